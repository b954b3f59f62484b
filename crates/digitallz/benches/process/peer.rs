//! The limit: a plain COPY of the very same rows.

use std::path::Path;
use std::time::Instant;

use futures::TryStreamExt;
use sqlx::PgPool;
use sqlx::postgres::PgPoolCopyExt;
use tokio::io::AsyncWriteExt;

/// The tables that hold what was read, those referred to first.
const TABLES: [&str; 5] = [
    "raw.payload_readings",
    "core.listings",
    "core.keyword_observations",
    "core.listing_observations",
    "core.serp_entries",
];

/// Bytes that are sent at a time: so many that sending costs nothing beside storing.
const PIECE_BYTES: usize = 256 * 1024;

/// Copies all rows into the peer's empty tables and returns how many seconds that took, from rows in memory to the commit.
pub async fn copy(db: &PgPool, peer: &PgPool, directory: &Path) -> anyhow::Result<f64> {
    for table in TABLES {
        let path = directory.join(format!("{table}.copy"));
        let mut file = tokio::fs::File::create(&path).await?;
        let mut rows = db.copy_out_raw(&format!("copy (select * from {table}) to stdout (format binary)")).await?;
        while let Some(bytes) = rows.try_next().await? {
            file.write_all(&bytes).await?;
        }
        file.flush().await?;
    }
    sqlx::raw_sql("checkpoint").execute(peer).await?;
    let mut seconds = 0.0;
    let mut tx = peer.begin().await?;
    for table in TABLES {
        let path = directory.join(format!("{table}.copy"));
        let rows = std::fs::read(&path)?;
        let started = Instant::now();
        let mut copy = tx.copy_in_raw(&format!("copy {table} from stdin (format binary)")).await?;
        for piece in rows.chunks(PIECE_BYTES) {
            copy.send(piece).await?;
        }
        copy.finish().await?;
        seconds += started.elapsed().as_secs_f64();
        std::fs::remove_file(path)?;
    }
    let started = Instant::now();
    tx.commit().await?;
    Ok(seconds + started.elapsed().as_secs_f64())
}
