//! Rows on their way into a table: so many a statement, column by column.

/// Rows of one statement.
pub(crate) const CHUNK_ROWS: usize = 5_000;

/// Returns one column of some rows.
pub(crate) fn list<Row, T>(rows: &[Row], of: impl Fn(&Row) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}
