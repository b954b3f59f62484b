//! Reads tables of cells from files that others wrote: text in any encoding, line end and delimiter, Parquet, zip and gzip.
//!
//! | file | does |
//! | --- | --- |
//! | `packing.rs` | takes the tables out of zip and gzip, within bounds |
//! | `decoding.rs` | detects the encoding and turns it into UTF-8 |
//! | `text.rs` | cuts text into rows and cells, and counts lines as an editor does |
//! | `parquet.rs` | steps through the rows of a Parquet file |
//! | `numbers.rs` | reads numbers in the spellings of all locales |
//! | `dates.rs` | reads dates, months and ISO weeks, and decides the order of day and month |
//!
//! `import`, `forecast` and `evaluate` all read their files through this module.

pub mod dates;
pub mod decoding;
pub mod numbers;
pub mod packing;
pub mod parquet;
pub mod text;

use crate::rows::cut;

/// A row of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Its line in the text, from 1, as an editor shows it; in a Parquet file its number.
    pub line: u64,
    /// Its cells.
    pub cells: Vec<String>,
}

impl Row {
    /// Returns the trimmed cell of a column; empty where the row has none.
    pub fn cell(&self, column: Option<usize>) -> &str {
        column.and_then(|place| self.cells.get(place)).map_or("", |cell| cell.trim())
    }

    /// Returns the row as a text for whoever looks at it later.
    pub fn text(&self) -> String {
        cut(&self.cells.join(" | "), crate::rows::MAX_ROW_TEXT).to_owned()
    }
}

/// Writes the place of a line.
pub fn line_pointer(line: u64) -> String {
    format!("/line/{line}")
}
