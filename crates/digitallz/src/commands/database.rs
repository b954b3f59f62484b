//! `digitallz migrate` and `digitallz db`: the database itself.

use digitallz_processor::content_hash::{self, TableHash};
use serde_json::json;

use crate::cli::{Cli, DbCommand};
use crate::commands::dictionary;
use crate::exit::{Ending, UserError};
use crate::output::{self, number, text, thousands};
use crate::postgres::{self, DATABASE_NAME};
use crate::session::Session;
use crate::settings::Environment;

/// Brings the database to the version of this program.
pub async fn migrate(cli: &Cli) -> anyhow::Result<Ending> {
    // Opening a session migrates: every command works on a database of its own version.
    Session::open(cli).await?.close().await?;
    eprintln!("the database is up to date");
    Ok(Ending::Done)
}

/// Prints what each table of readings says, in one number each.
async fn hash(cli: &Cli) -> anyhow::Result<Ending> {
    let session = Session::open(cli).await?;
    let tables = async { content_hash::of_tables(&mut *session.db.acquire().await?).await }.await;
    session.close().await?;
    let columns = [
        text("TABLE", |table: &TableHash| table.table_name.clone()),
        number("ROWS", |table: &TableHash| thousands(table.row_count)),
        text("HASH", |table: &TableHash| table.content_hash.clone()),
    ];
    output::list(cli.json, "tables", &tables?, &columns)?;
    Ok(Ending::Done)
}

/// Prints the private database's connection string, stops it, or prints what the tables hold.
pub async fn run(cli: &Cli, command: &DbCommand) -> anyhow::Result<Ending> {
    let is_private_only = matches!(command, DbCommand::Url | DbCommand::Stop);
    if is_private_only && Environment::read(cli.env_file.as_deref())?.database_url().is_some() {
        return Err(UserError::new(
            "DATABASE_URL is set, so there is no private Postgres",
            "use DATABASE_URL itself, or unset it",
        )
        .into());
    }
    match command {
        DbCommand::Dictionary => return dictionary::run(cli).await,
        DbCommand::Hash => return hash(cli).await,
        DbCommand::Url => {
            let private_postgres = postgres::start(&cli.data_dir, &[]).await?;
            private_postgres.keep_up()?;
            let url = private_postgres.url(DATABASE_NAME);
            if cli.json {
                output::print_json(&json!({ "database": { "url": url.expose() } }))?;
            } else {
                output::print(url.expose())?;
            }
            eprintln!("the private Postgres is running; `digitallz db stop` stops it");
        }
        DbCommand::Stop => {
            if postgres::stop(&cli.data_dir)? {
                eprintln!("the private Postgres was stopped");
            } else {
                eprintln!("the private Postgres was not running");
            }
        }
    }
    Ok(Ending::Done)
}
