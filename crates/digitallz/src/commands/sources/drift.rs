//! Schema drift: how answers differ from those of the days before.

use digitallz_common::marketplace::Marketplace;
use digitallz_processor::drift::{self, SchemaChange};

use crate::age;
use crate::cli::Cli;
use crate::output;
use crate::session::Session;

/// Lists what differs, after a look at what came since the last one.
pub async fn list(cli: &Cli, session: &Session, marketplace: Option<Marketplace>, since: &str) -> anyhow::Result<()> {
    let now = session.clock.now();
    let since = age::moment(since, now)?;
    let mut connection = session.db.acquire().await?;
    drift::update(&mut connection, now).await?;
    let changes = drift::changes(&mut connection, marketplace, since.date_naive()).await?;
    output::list(
        cli.json,
        "schema_changes",
        &changes,
        &[
            output::text("DAY", |row: &SchemaChange| row.observed_on.to_string()),
            output::text("SOURCE", |row: &SchemaChange| format!("{} {}", row.marketplace, row.market)),
            output::text("RESOURCE", |row: &SchemaChange| row.resource.clone()),
            output::text("CHANGE", |row: &SchemaChange| row.change_kind.clone()),
            output::text("FIELD", |row: &SchemaChange| row.path.clone()),
            output::text("WAS", |row: &SchemaChange| row.state_before.clone()),
            output::text("IS", |row: &SchemaChange| row.state_after.clone()),
        ],
    )
}
