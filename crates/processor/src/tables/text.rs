//! Cuts text into rows and cells in constant memory. Rows end with LF, CRLF or CR, also mixed; blank lines are skipped and
//! counted, so that the line of a row is the one that an editor shows.

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use super::{Row, line_pointer};
use crate::reading::Problem;

/// Longest row, in bytes; an open quotation mark must not swallow the rest of the file.
const ROW_BYTES_MAX: u64 = 1024 * 1024;

/// What may stand between two cells.
pub const DELIMITERS: [(u8, &str); 4] = [(b',', "comma"), (b'\t', "tab"), (b';', "semicolon"), (b'|', "pipe")];

/// The rows of a text in UTF-8. The first error ends them: nothing after it can be trusted.
pub struct TextRows<Text> {
    reader: csv::Reader<Metered<LineEnds<Text>>>,
    allowance: Rc<Cell<u64>>,
    last_line: u64,
    is_over: bool,
}

impl<Text: Read> TextRows<BufReader<Text>> {
    /// Begins with the first row.
    pub fn new(text: Text, delimiter: u8) -> TextRows<BufReader<Text>> {
        let allowance = Rc::new(Cell::new(ROW_BYTES_MAX));
        let lines = LineEnds { inner: BufReader::new(text), is_after_cr: false, last: b'\n', is_over: false };
        let metered = Metered { inner: lines, allowance: Rc::clone(&allowance) };
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(metered);
        TextRows { reader, allowance, last_line: 0, is_over: false }
    }
}

impl<Text: Read> TextRows<Text> {
    fn next_record(&mut self) -> Result<Option<(u64, csv::ByteRecord)>, Problem> {
        let mut record = csv::ByteRecord::new();
        self.allowance.set(ROW_BYTES_MAX);
        let is_there = self.reader.read_byte_record(&mut record).map_err(|error| {
            Problem::at(line_pointer(self.last_line + 1), format!("the file cannot be read further: {error}"))
        })?;
        if !is_there {
            return Ok(None);
        }
        // Every row ends with LF here, so it began as many lines above the next one as it has line ends.
        let inner_line_ends: usize = record.iter().map(|cell| cell.iter().filter(|byte| **byte == b'\n').count()).sum();
        let next_line = self.reader.position().line();
        self.last_line = next_line.saturating_sub(1 + inner_line_ends as u64).max(1);
        Ok(Some((self.last_line, record)))
    }
}

impl<Text: Read> Iterator for TextRows<Text> {
    type Item = Result<Row, Problem>;

    fn next(&mut self) -> Option<Result<Row, Problem>> {
        if self.is_over {
            return None;
        }
        let (line, record) = match self.next_record() {
            Ok(Some(found)) => found,
            Ok(None) => return None,
            Err(problem) => {
                self.is_over = true;
                return Some(Err(problem));
            }
        };
        let cells: Result<Vec<String>, _> = record.iter().map(|cell| str::from_utf8(cell).map(str::to_owned)).collect();
        Some(cells.map(|cells| Row { line, cells }).map_err(|_| {
            self.is_over = true;
            let text = format!("the line is not UTF-8{}", super::decoding::advice(record.as_slice()));
            Problem::at(line_pointer(line), text)
        }))
    }
}

/// Reads the first rows of the beginning of a text; bytes that are not UTF-8 are replaced. A row that the end of `head` cuts
/// off is left out where `is_cut`.
pub fn first_rows(head: &[u8], delimiter: u8, most: usize, is_cut: bool) -> Vec<Row> {
    let mut reader = TextRows::new(head, delimiter);
    let mut rows = Vec::new();
    while rows.len() < most {
        let Ok(Some((line, record))) = reader.next_record() else { break };
        let cells = record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
        rows.push(Row { line, cells });
    }
    if is_cut && rows.len() < most {
        rows.pop();
    }
    rows
}

/// Turns every line end into LF, and ends the text with one.
struct LineEnds<Inner> {
    inner: Inner,
    is_after_cr: bool,
    last: u8,
    is_over: bool,
}

impl<Inner: Read> Read for LineEnds<Inner> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.is_over || buffer.is_empty() {
                return Ok(0);
            }
            let length = self.inner.read(buffer)?;
            if length == 0 {
                self.is_over = true;
                if self.last == b'\n' {
                    return Ok(0);
                }
                buffer[0] = b'\n';
                return Ok(1);
            }
            let mut kept = 0;
            for place in 0..length {
                let byte = buffer[place];
                let is_second_of_crlf = byte == b'\n' && self.is_after_cr;
                self.is_after_cr = byte == b'\r';
                if !is_second_of_crlf {
                    buffer[kept] = if byte == b'\r' { b'\n' } else { byte };
                    kept += 1;
                }
            }
            if kept > 0 {
                self.last = buffer[kept - 1];
                return Ok(kept);
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(text: &str) -> Vec<(u64, Vec<String>)> {
        TextRows::new(text.as_bytes(), b',').map(|row| row.map(|row| (row.line, row.cells)).unwrap()).collect()
    }

    #[test]
    fn every_line_end_ends_a_row_and_lines_are_those_of_an_editor() {
        let cells = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let expected = vec![(1, cells("a,b")), (2, cells("1,2")), (4, cells("3,4"))];
        for text in ["a,b\n1,2\n\n3,4\n", "a,b\r\n1,2\r\n\r\n3,4", "a,b\r1,2\r\r3,4\r", "a,b\r\n1,2\n\r3,4"] {
            assert_eq!(rows(text), expected, "{text:?}");
        }
        assert_eq!(rows("\r\n\n\"a\r\nb\",c\r\nd,e")[1].0, 5);
        assert_eq!(rows("\r\n\n\"a\r\nb\",c\r\nd,e")[0], (3, vec!["a\nb".to_owned(), "c".to_owned()]));
        assert!(rows("\r\n\r\n").is_empty());
    }

    proptest! {
        #[test]
        fn rows_are_read_as_they_were_written(
            table in prop::collection::vec(prop::collection::vec("[a-zé ,;\"\n]{0,6}", 2..5), 1..12),
            ends in prop::collection::vec(0_usize..3, 12),
            blanks in prop::collection::vec(0_usize..3, 12),
            ends_last in any::<bool>(),
        ) {
            let line_ends = ["\n", "\r\n", "\r"];
            let mut text = String::new();
            let mut expected = Vec::new();
            let mut line = 1;
            for (index, row) in table.iter().enumerate() {
                let end = line_ends[ends[index]];
                for _ in 0..blanks[index] {
                    text.push_str("\r\n");
                    line += 1;
                }
                let quoted: Vec<String> =
                    row.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
                text.push_str(&quoted.join(","));
                expected.push((line, row.clone()));
                line += 1 + row.iter().map(|cell| cell.matches('\n').count() as u64).sum::<u64>();
                if ends_last || index + 1 < table.len() {
                    text.push_str(end);
                }
                // CR followed by CRLF is two line ends, CR followed by LF would be one.
            }
            prop_assert_eq!(rows(&text), expected);
        }
    }
}
