//! `digitallz db dictionary`: every table and view with its columns, as their comments explain them.

use std::fmt::Write;

use serde::Serialize;
use sqlx::PgPool;

use crate::cli::Cli;
use crate::exit::Ending;
use crate::output;
use crate::session::Session;

const INTRODUCTION: &str = "# Data dictionary

Generated from the comments in the database by `make dictionary`; do not edit. Times are UTC. Columns of views may be null unless
their comment says otherwise.
";

/// A column as the dictionary explains it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnEntry {
    /// Its schema.
    pub schema_name: String,
    /// What the schema holds.
    pub schema_comment: String,
    /// Its table or view.
    pub relation_name: String,
    /// True for a view.
    pub is_view: bool,
    /// What the table or view holds.
    pub relation_comment: String,
    /// Its name.
    pub column_name: String,
    /// Its type, as Postgres writes it.
    pub type_name: String,
    /// True when a table refuses null; what a view shows is not known.
    pub is_not_null: bool,
    /// What it means.
    pub column_comment: String,
}

/// Prints the dictionary.
pub async fn run(cli: &Cli) -> anyhow::Result<Ending> {
    let session = Session::open(cli).await?;
    let columns = columns(&session.db).await;
    session.close().await?;
    let columns = columns?;
    match cli.json {
        true => output::list(true, "columns", &columns, &[])?,
        false => output::print(markdown(&columns).trim_end())?,
    }
    Ok(Ending::Done)
}

/// Returns every column, what people query first.
pub async fn columns(db: &PgPool) -> Result<Vec<ColumnEntry>, sqlx::Error> {
    sqlx::query_file_as!(ColumnEntry, "src/commands/dictionary.sql").fetch_all(db).await
}

/// Writes the dictionary as a Markdown document.
pub fn markdown(columns: &[ColumnEntry]) -> String {
    let mut document = INTRODUCTION.to_owned();
    let (mut last_schema, mut last_relation) = ("", "");
    for column in columns {
        if column.schema_name != last_schema {
            section(&mut document, 2, &column.schema_name, &column.schema_comment);
        }
        if (column.schema_name.as_str(), column.relation_name.as_str()) != (last_schema, last_relation) {
            let kind = if column.is_view { "view" } else { "table" };
            let name = format!("`{}.{}` ({kind})", column.schema_name, column.relation_name);
            section(&mut document, 3, &name, &column.relation_comment);
            document.push_str("\n| column | type | null | meaning |\n| --- | --- | --- | --- |\n");
        }
        (last_schema, last_relation) = (&column.schema_name, &column.relation_name);
        let null = if column.is_not_null { "no" } else { "yes" };
        let cells = [&format!("`{}`", column.column_name), &column.type_name, null, &column.column_comment];
        line(&mut document, &format!("| {} |", cells.map(cell).join(" | ")));
    }
    document
}

fn section(document: &mut String, level: usize, name: &str, comment: &str) {
    line(document, &format!("\n{} {name}\n\n{comment}", "#".repeat(level)));
}

fn line(document: &mut String, text: &str) {
    // Writing into a string does not fail.
    let _ = writeln!(document, "{text}");
}

/// Returns a text that does not end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
