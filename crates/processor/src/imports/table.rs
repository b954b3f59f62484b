//! Finds the table in a text, and steps through its rows in constant memory.

use std::cell::Cell;
use std::io::{self, BufReader, Cursor, Read};
use std::rc::Rc;

use super::headers::{self, Header};
use super::packing::unreadable;
use super::request::ImportRequest;
use super::{Kind, decoding};
use crate::reading::Problem;
use crate::rows::cut;

/// Bytes in which the header must stand.
const HEAD_BYTES: u64 = 64 * 1024;

/// Rows among which the header is looked for.
const HEAD_ROWS: usize = 25;

/// Longest row, in bytes; an open quotation mark must not swallow the rest of the file.
const ROW_BYTES_MAX: u64 = 1024 * 1024;

/// What may stand between two cells.
const DELIMITERS: [(u8, &str); 3] = [(b',', "comma"), (b'\t', "tab"), (b';', "semicolon")];

/// A table whose header is known.
pub(super) struct Table<'a> {
    /// The rows above the header.
    pub(super) preamble: Vec<Vec<String>>,
    /// The header.
    pub(super) header: Header,
    rows: Box<dyn Iterator<Item = Result<Row, Problem>> + 'a>,
}

/// A row of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    /// Its line in the text, from 1; in a Parquet file its number.
    pub(super) line: u64,
    /// Its cells.
    pub(super) cells: Vec<String>,
}

/// Why there is no table.
pub(super) enum OpenError {
    /// No known header was found.
    NotRecognised(Problem),
    /// Something was found that cannot be trusted.
    Broken(Problem),
}

impl<'a> Table<'a> {
    /// Makes a table of its parts.
    pub(super) fn new(
        preamble: Vec<Vec<String>>,
        header: Header,
        rows: impl Iterator<Item = Result<Row, Problem>> + 'a,
    ) -> Table<'a> {
        Table { preamble, header, rows: Box::new(rows) }
    }

    /// Finds the table of a kind, or of any kind, in a text.
    pub(super) fn open(
        text: impl Read + 'a,
        request: &ImportRequest,
        kind: Option<Kind>,
    ) -> Result<Table<'a>, OpenError> {
        let broken = |error: io::Error| OpenError::Broken(unreadable(error));
        let (mut text, encoding) = decoding::decode(text, request.encoding).map_err(broken)?;
        let mut head = Vec::new();
        (&mut text).take(HEAD_BYTES).read_to_end(&mut head).map_err(broken)?;

        let mut candidates = Vec::new();
        for (delimiter, name) in DELIMITERS {
            let rows = first_rows(&head, delimiter);
            candidates.push(headers::Candidate { delimiter, form: format!("{encoding}, {name}"), rows });
        }
        let found = headers::recognise(candidates, kind).map_err(OpenError::NotRecognised)?;
        let rows = Rows::new(Cursor::new(head).chain(text), found.delimiter, found.header.line);
        Ok(Table { preamble: found.preamble, header: found.header, rows: Box::new(rows) })
    }

    /// Returns the next row; an error means that nothing after it can be trusted.
    pub(super) fn next_row(&mut self) -> Result<Option<Row>, Problem> {
        self.rows.next().transpose()
    }
}

impl Row {
    /// Returns the cell of a column; empty where the row has none.
    pub(super) fn cell(&self, column: Option<usize>) -> &str {
        column.and_then(|place| self.cells.get(place)).map_or("", |cell| cell.trim())
    }

    /// Returns the row as a text for whoever looks at it later.
    pub(super) fn text(&self) -> String {
        cut(&self.cells.join(" | "), crate::rows::MAX_ROW_TEXT).to_owned()
    }
}

/// Reads the first rows of a text; bytes that are no UTF-8 are replaced, for this is only a look.
fn first_rows(head: &[u8], delimiter: u8) -> Vec<Row> {
    let mut reader = csv_reader(head, delimiter);
    let mut rows = Vec::new();
    let mut record = csv::ByteRecord::new();
    while rows.len() < HEAD_ROWS && reader.read_byte_record(&mut record).unwrap_or(false) {
        let line = record.position().map_or(0, csv::Position::line);
        rows.push(Row { line, cells: record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect() });
    }
    rows
}

fn csv_reader<Text: Read>(text: Text, delimiter: u8) -> csv::Reader<Text> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text)
}

/// The rows below a header.
struct Rows<Text> {
    reader: csv::Reader<Metered<Text>>,
    allowance: Rc<Cell<u64>>,
    header_line: u64,
    last_line: u64,
    is_over: bool,
}

impl<Text: Read> Rows<BufReader<Text>> {
    fn new(text: Text, delimiter: u8, header_line: u64) -> Rows<BufReader<Text>> {
        let allowance = Rc::new(Cell::new(ROW_BYTES_MAX));
        let metered = Metered { inner: BufReader::new(text), allowance: Rc::clone(&allowance) };
        Rows { reader: csv_reader(metered, delimiter), allowance, header_line, last_line: 0, is_over: false }
    }
}

impl<Text: Read> Iterator for Rows<Text> {
    type Item = Result<Row, Problem>;

    fn next(&mut self) -> Option<Result<Row, Problem>> {
        let mut record = csv::ByteRecord::new();
        while !self.is_over {
            self.allowance.set(ROW_BYTES_MAX);
            match self.reader.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(Problem::at(
                        line_pointer(self.last_line + 1),
                        format!("it cannot be read on: {error}"),
                    )));
                }
            }
            self.last_line = record.position().map_or(0, csv::Position::line);
            if self.last_line <= self.header_line {
                continue;
            }
            let cells = record.iter().map(|cell| str::from_utf8(cell).map(str::to_owned)).collect();
            let row = match cells {
                Ok(cells) => Ok(Row { line: self.last_line, cells }),
                Err(_) => {
                    self.is_over = true;
                    let text = "it is not UTF-8; if it was saved by an old spreadsheet, say --encoding windows-1252";
                    Err(Problem::at(line_pointer(self.last_line), text))
                }
            };
            return Some(row);
        }
        None
    }
}

/// Writes the place of a line.
pub(super) fn line_pointer(line: u64) -> String {
    format!("/line/{line}")
}

/// Fails when one row takes more bytes than any row may.
struct Metered<Inner> {
    inner: Inner,
    allowance: Rc<Cell<u64>>,
}

impl<Inner: Read> Read for Metered<Inner> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let left = self.allowance.get().checked_sub(length as u64);
        self.allowance.set(left.ok_or_else(|| {
            io::Error::other(format!("a row is longer than {ROW_BYTES_MAX} bytes; is a quotation mark left open?"))
        })?);
        Ok(length)
    }
}
