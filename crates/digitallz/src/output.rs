//! What commands print: tables for people, JSON for programs.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;
use serde_json::{Value, json};

/// Prints a list: as a table, or as `{"<plural>": [...], "meta": {"count": n}}`.
pub fn list<Row: Serialize>(as_json: bool, plural: &str, rows: &[Row], columns: &[Column<Row>]) -> anyhow::Result<()> {
    if as_json {
        return print_json(&json!({ plural: rows, "meta": { "count": rows.len() } }));
    }
    if rows.is_empty() {
        eprintln!("no {}", plural.replace('_', " "));
        return Ok(());
    }
    print(&table(rows, columns))
}

/// Prints one thing: its fields a line each, or as `{"<singular>": {...}}`.
pub fn item<Item: Serialize>(as_json: bool, singular: &str, item: &Item) -> anyhow::Result<()> {
    let value = serde_json::to_value(item)?;
    if as_json {
        return print_json(&json!({ singular: value }));
    }
    let mut text = String::new();
    if let Value::Object(fields) = &value {
        let width = fields.keys().map(String::len).max().unwrap_or(0);
        for (name, field) in fields {
            text.push_str(&format!("{name:width$}  {}\n", plain(field)));
        }
    }
    print(text.trim_end())
}

/// A column of a table: its heading, and how a row fills it.
pub struct Column<Row> {
    heading: &'static str,
    is_number: bool,
    cell: Box<dyn Fn(&Row) -> String>,
}

/// Makes a column of text.
pub fn text<Row>(heading: &'static str, cell: impl Fn(&Row) -> String + 'static) -> Column<Row> {
    Column { heading, is_number: false, cell: Box::new(cell) }
}

/// Makes a column of numbers, aligned to the right.
pub fn number<Row>(heading: &'static str, cell: impl Fn(&Row) -> String + 'static) -> Column<Row> {
    Column { heading, is_number: true, cell: Box::new(cell) }
}

/// Draws rows as a table without borders.
pub fn table<Row>(rows: &[Row], columns: &[Column<Row>]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.heading));
    for row in rows {
        table.add_row(columns.iter().map(|column| (column.cell)(row)));
    }
    for (index, column) in columns.iter().enumerate() {
        if let (true, Some(drawn)) = (column.is_number, table.column_mut(index)) {
            drawn.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Prints a text on standard output; a closed pipe ends the program quietly.
pub fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => Ok(result?),
    }
}

/// Prints a JSON value on standard output.
pub fn print_json(value: &Value) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// Writes a count with separated thousands.
pub fn thousands(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if count < 0 { format!("-{text}") } else { text }
}

/// Writes a number of things, one or many.
pub fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(count as i64))
}

/// Writes a range of requests; one number where both ends are the same.
pub fn range(fewest: u32, most: u32) -> String {
    let (fewest, most) = (thousands(fewest.into()), thousands(most.into()));
    if fewest == most { most } else { format!("{fewest} to {most}") }
}

/// Writes a time in its two largest units.
pub fn span(seconds: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let Some(first) = UNITS.iter().position(|(_, length)| seconds >= *length) else { return "0 s".to_owned() };
    let (unit, length) = UNITS[first];
    let mut text = format!("{} {unit}", seconds / length);
    if let Some((unit, next)) = UNITS.get(first + 1) {
        let rest = seconds % length / next;
        if rest > 0 {
            text.push_str(&format!(" {rest} {unit}"));
        }
    }
    text
}

/// Draws values as a line of small bars, the lowest to the highest; a gap where there is none.
pub fn sparkline(values: &[Option<f64>]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let known = || values.iter().flatten().copied();
    let low = known().fold(f64::INFINITY, f64::min);
    let span = known().fold(f64::NEG_INFINITY, f64::max) - low;
    let bar = |value: f64| if span > 0.0 { BARS[((value - low) / span * 7.0).round() as usize] } else { BARS[0] };
    values.iter().map(|value| value.map_or(' ', bar)).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_ranges_are_written_for_people() {
        assert_eq!([0, 59, 61, 3_600, 90_061].map(span), ["0 s", "59 s", "1 min 1 s", "1 h", "1 d 1 h"]);
        assert_eq!((range(3, 3), range(1, 4_810)), ("3".to_owned(), "1 to 4,810".to_owned()));
    }

    #[test]
    fn a_sparkline_rises_with_its_values() {
        assert_eq!(sparkline(&[Some(1.0), None, Some(2.0), Some(8.0)]), "▁ ▂█");
        assert_eq!(sparkline(&[Some(3.0), Some(3.0)]), "▁▁");
        assert_eq!(sparkline(&[None, None]), "  ");
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!([0, 999, 1000, -1234567].map(thousands), ["0", "999", "1,000", "-1,234,567"]);
    }
}
