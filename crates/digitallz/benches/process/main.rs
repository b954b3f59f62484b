//! `make bench-process`: how fast stored answers become rows, held against a plain COPY of the very same rows.
//!
//! 1. Answers with so many SERP entries are generated, stored, and read by two processor processes: from the first job
//!    taken to the last one committed.
//! 2. The rows they wrote go by plain COPY, one connection, into the same tables with the same indexes and keys of a
//!    database that holds all else. The ratio of the two times is `ratio_to_copy`.
//! 3. The tables grow to so many million rows each, and the first measurement is repeated: `growth` is the highest cost of
//!    an entry in relation to that in empty tables.
//! 4. Analysts' queries are asked at full size: `query_p95_ms` is the slowest 95th percentile of all of them.
//!
//! Talk goes to standard error; standard output ends with one line of JSON. `BENCH_ENTRIES` (a million) and
//! `BENCH_GROWTH` (10000000,30000000) change the sizes.

#![expect(clippy::disallowed_methods, reason = "the measurement asks the database what no query of the program asks")]

mod answers;
mod filler;
mod peer;
mod queries;
mod workers;

use std::path::Path;

use anyhow::{Context, ensure};
use digitallz::postgres::{self, PrivatePostgres};
use digitallz_common::database;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};

use answers::Answers;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let entries = number("BENCH_ENTRIES", "1000000")?;
    let sizes = std::env::var("BENCH_GROWTH").unwrap_or_else(|_| "10000000,30000000".to_owned());
    let sizes = sizes.split(',').filter(|text| !text.is_empty()).map(str::parse).collect::<Result<Vec<u64>, _>>()?;

    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench-process");
    std::fs::create_dir_all(&directory)?;
    let directory = directory.canonicalize()?;
    let private = postgres::start(&directory.join("data"), &[]).await?;
    let outcome = measure(&private, &directory, entries, &sizes).await;
    private.leave()?;
    println!("{}", outcome?);
    Ok(())
}

async fn measure(
    private: &PrivatePostgres,
    directory: &Path,
    entries: u64,
    sizes: &[u64],
) -> anyhow::Result<serde_json::Value> {
    private.recreate_database("process").await?;
    let db = database::connect(&private.url("process"), 4).await?;
    database::migrate(&db).await?;
    let answers = Answers::of(entries);

    eprintln!("storing {} answers with {entries} entries", answers.payload_count());
    answers.store(&db, 0).await?;
    // The peer starts from the same state: all that the rows refer to is there, and none of the rows.
    db.close().await;
    administer(private, "drop database if exists peer with (force)").await?;
    administer(private, "create database peer template process").await?;
    let db = database::connect(&private.url("process"), 4).await?;

    let first = workers::process(&db, private, directory, "empty").await?;
    ensure!(first.entry_count == entries, "{} of {entries} entries arrived", first.entry_count);
    println!("{:>12} rows before: {:>9.0} entries/s, peak {:.0} MB", 0, first.entries_per_s(), first.peak_mb);
    let copied_s = {
        let peer_db = database::connect(&private.url("peer"), 2).await?;
        peer::copy(&db, &peer_db, directory).await?
    };
    let ratio_to_copy = copied_s / first.seconds;
    println!("{:>12} plain COPY:  {:>9.0} entries/s, ratio {ratio_to_copy:.2}", "", entries as f64 / copied_s);
    administer(private, "drop database peer with (force)").await?;

    let (mut growth, mut peak_mb) = (1.0_f64, first.peak_mb);
    for (round, size) in sizes.iter().enumerate() {
        eprintln!("growing the tables to {size} rows");
        filler::grow(&db, *size).await?;
        answers.store(&db, round as u32 + 1).await?;
        settle(&db).await?;
        let grown = workers::process(&db, private, directory, &size.to_string()).await?;
        ensure!(grown.entry_count == entries, "{} of {entries} entries arrived", grown.entry_count);
        println!("{size:>12} rows before: {:>9.0} entries/s, peak {:.0} MB", grown.entries_per_s(), grown.peak_mb);
        growth = growth.max(first.entries_per_s() / grown.entries_per_s());
        peak_mb = peak_mb.max(grown.peak_mb);
    }

    settle(&db).await?;
    let query_p95_ms = queries::slowest_p95_ms(&db).await?;
    db.close().await;
    let rounded = |number: f64| (number * 1000.0).round() / 1000.0;
    Ok(json!({
        "rows_per_s": first.entries_per_s().round(),
        "ratio_to_copy": rounded(ratio_to_copy),
        "growth": rounded(growth),
        "peak_mb": rounded(peak_mb),
        "query_p95_ms": rounded(query_p95_ms),
        "entries": entries,
        "sizes": sizes,
    }))
}

async fn administer(private: &PrivatePostgres, statement: &'static str) -> anyhow::Result<()> {
    let db = database::connect(&private.url("postgres"), 1).await?;
    sqlx::raw_sql(statement).execute(&db).await.context(statement)?;
    db.close().await;
    Ok(())
}

/// Lets Postgres do now what it would do on the side later.
async fn settle(db: &PgPool) -> anyhow::Result<()> {
    for statement in ["vacuum analyze", "checkpoint"] {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(db).await.context(statement)?;
    }
    Ok(())
}

fn number(name: &str, default: &str) -> anyhow::Result<u64> {
    let text = std::env::var(name).unwrap_or_else(|_| default.to_owned());
    text.parse().with_context(|| format!("{name} is no number"))
}
