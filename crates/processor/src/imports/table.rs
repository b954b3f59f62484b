//! Finds the table of an import in a text or a Parquet file, and steps through its rows in constant memory.

use std::fs::File;
use std::io::{self, Cursor, Read};

use super::Kind;
use super::headers::{self, Column, Header};
use super::request::ImportRequest;
use crate::reading::Problem;
use crate::tables::dates::{self, DateOrder};
use crate::tables::numbers::{self, DecimalMark};
use crate::tables::packing::unreadable;
use crate::tables::text::{DELIMITERS, TextRows, first_rows};
use crate::tables::{decoding, parquet};

pub(super) use crate::tables::{Row, line_pointer};

/// Bytes in which the header must stand, and by which decimal marks and the order of dates are decided.
const HEAD_BYTES: u64 = 1024 * 1024;

/// Rows among which the header is looked for.
const HEAD_ROWS: usize = 25;

/// Rows by which decimal marks and the order of dates are decided.
const DECIDING_ROWS: usize = 20_000;

/// A table whose header is known.
pub(super) struct Table<'a> {
    /// The rows above the header.
    pub(super) preamble: Vec<Vec<String>>,
    /// The header.
    pub(super) header: Header,
    /// What stands before the decimals of its numbers.
    pub(super) decimal_mark: DecimalMark,
    /// The order of its dates.
    pub(super) date_order: DateOrder,
    /// The first words that are not ASCII, where the encoding was detected or named.
    pub(super) sample: Option<String>,
    rows: Box<dyn Iterator<Item = Result<Row, Problem>> + 'a>,
}

/// Why there is no table.
pub(super) enum OpenError {
    /// No known header was found.
    NotRecognised(Problem),
    /// Something was found that cannot be trusted.
    Broken(Problem),
}

impl<'a> Table<'a> {
    /// Finds the table of a kind, or of any kind, in a text.
    pub(super) fn open(
        text: impl Read + 'a,
        request: &ImportRequest,
        kind: Option<Kind>,
    ) -> Result<Table<'a>, OpenError> {
        let broken = |error: io::Error| {
            let is_refused = error.kind() == io::ErrorKind::InvalidData;
            OpenError::Broken(if is_refused { Problem::at("", error.to_string()) } else { unreadable(error) })
        };
        let decoded = decoding::decode(text, request.encoding).map_err(broken)?;
        let (mut text, encoding) = (decoded.text, decoded.name);
        let mut head = Vec::new();
        (&mut text).take(HEAD_BYTES).read_to_end(&mut head).map_err(broken)?;
        let is_cut = head.len() as u64 == HEAD_BYTES;

        let mut candidates = Vec::new();
        for (delimiter, name) in DELIMITERS {
            let rows = first_rows(&head, delimiter, HEAD_ROWS, is_cut);
            candidates.push(headers::Candidate { delimiter, form: format!("{encoding}, {name}"), rows });
        }
        let found = headers::recognise(candidates, kind).map_err(OpenError::NotRecognised)?;
        let header_line = found.header.line;
        let mut deciding = first_rows(&head, found.delimiter, DECIDING_ROWS, is_cut);
        deciding.retain(|row| row.line > header_line);
        let decimal_mark = match request.decimal_mark {
            DecimalMark::Auto => numbers::decide(number_cells(&found.header, &deciding), found.delimiter == b';'),
            named => named,
        };
        let date_order = match request.date_order {
            DateOrder::Auto => dates::decide(date_cells(&found.header, &deciding)),
            named => named,
        };
        let rows = TextRows::new(Cursor::new(head).chain(text), found.delimiter);
        let rows = rows.skip_while(move |row| row.as_ref().is_ok_and(|row| row.line <= header_line));
        Ok(Table {
            preamble: found.preamble,
            header: found.header,
            decimal_mark,
            date_order,
            sample: decoded.sample,
            rows: Box::new(rows),
        })
    }

    /// Opens a Parquet file, which holds numbers and dates and not their spelling.
    pub(super) fn open_parquet(file: File, kind: Option<Kind>) -> Result<Table<'static>, OpenError> {
        let (names, rows) = parquet::open(file).map_err(OpenError::Broken)?;
        // Other exports are never Parquet, so nothing else is looked for.
        let only = Some(kind.unwrap_or(Kind::Series));
        let header = Row { line: 0, cells: names };
        let candidate = headers::Candidate { delimiter: 0, form: "Parquet".to_owned(), rows: vec![header] };
        let found = headers::recognise(vec![candidate], only).map_err(OpenError::NotRecognised)?;
        Ok(Table {
            preamble: Vec::new(),
            header: found.header,
            decimal_mark: DecimalMark::Point,
            date_order: DateOrder::Ymd,
            sample: None,
            rows: Box::new(rows),
        })
    }

    /// Returns the next row; an error means that nothing after it can be trusted.
    pub(super) fn next_row(&mut self) -> Result<Option<Row>, Problem> {
        self.rows.next().transpose()
    }
}

fn number_cells<'a>(header: &'a Header, rows: &'a [Row]) -> impl Iterator<Item = &'a str> {
    let places = header.columns().filter(|(_, column)| !is_text_or_date(column)).map(|(place, _)| place);
    let places: Vec<usize> = places.collect();
    rows.iter().flat_map(move |row| places.clone().into_iter().map(move |place| row.cell(Some(place))))
}

fn date_cells<'a>(header: &'a Header, rows: &'a [Row]) -> impl Iterator<Item = &'a str> {
    let places = header.columns().filter(|(_, column)| is_date(column)).map(|(place, _)| place);
    let places: Vec<usize> = places.collect();
    rows.iter().flat_map(move |row| places.clone().into_iter().map(move |place| row.cell(Some(place))))
}

fn is_date(column: &Column) -> bool {
    matches!(column, Column::LastDay | Column::Date | Column::Week | Column::Day | Column::Month)
}

fn is_text_or_date(column: &Column) -> bool {
    let is_text = matches!(
        column,
        Column::Keyword
            | Column::Department
            | Column::Metric
            | Column::Unit
            | Column::Currency
            | Column::Period
            | Column::NotKept
            | Column::Unknown
    );
    is_text || is_date(column)
}
