//! Sets what payloads say when they are read again against what is stored, and puts what differs in its place.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use digitallz_common::raw_payload::RawPayload;
use serde::Serialize;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::listings::Listings;
use super::rows::{self, Place, TABLES, Table};
use super::{Said, batch, differences};
use crate::READER_VERSION;
use crate::reading::Reading;
use crate::store::storable;

/// A payload that was read again, and why nothing in it can be trusted where that is so.
pub(crate) struct Reread<'a> {
    pub(crate) payload: &'a RawPayload,
    pub(crate) said: Option<Said<'a>>,
    pub(crate) reason: Option<String>,
}

impl<'a> Reread<'a> {
    pub(crate) fn new(payload: &'a RawPayload, outcome: &'a Result<Reading, String>) -> Reread<'a> {
        Reread {
            payload,
            said: outcome.as_ref().ok().map(|reading| Said { payload, reading }),
            reason: outcome.as_ref().err().cloned(),
        }
    }
}

/// What differs in one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableChanges {
    /// The table.
    pub table: String,
    /// Rows that are as they were.
    pub same_count: i64,
    /// Rows that say something else.
    pub changed_count: i64,
    /// Rows that were not there.
    pub new_count: i64,
    /// Rows that are no longer said.
    pub gone_count: i64,
}

impl TableChanges {
    /// Tells whether anything differs.
    pub fn is_empty(&self) -> bool {
        self.changed_count == 0 && self.new_count == 0 && self.gone_count == 0
    }

    /// Adds what differs in other payloads.
    pub fn add(&mut self, other: &TableChanges) {
        self.same_count += other.same_count;
        self.changed_count += other.changed_count;
        self.new_count += other.new_count;
        self.gone_count += other.gone_count;
    }
}

/// One row that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Example {
    /// The table.
    pub table: String,
    /// The row as it is stored; null where there is none.
    pub stored: Option<Value>,
    /// The row as it is read now; null where it is no longer said.
    pub reread: Option<Value>,
}

/// What differs between what is stored and what is read now.
pub(crate) struct Replaced {
    /// The tables.
    pub(crate) tables: Vec<TableChanges>,
    /// Some of the rows.
    pub(crate) examples: Vec<Example>,
    /// Payloads of which anything differs.
    pub(crate) changed_payload_count: i64,
}

/// Compares and replaces in the caller's transaction; rolling it back makes this a look at what would change.
pub(crate) async fn replace(
    tx: &mut PgConnection,
    reread: &[Reread<'_>],
    now: DateTime<Utc>,
    examples_max: i64,
) -> Result<Replaced, sqlx::Error> {
    let raw_payload_ids: Vec<i64> = reread.iter().map(|one| one.payload.raw_payload_id).collect();
    let said: Vec<Said<'_>> = reread.iter().filter_map(|one| one.said).collect();
    // Whoever reads one of them for the first time, or again, waits here.
    sqlx::query!(
        "select from raw.payloads where raw_payload_id = any($1) order by raw_payload_id for update",
        &raw_payload_ids
    )
    .execute(&mut *tx)
    .await?;
    batch::make_partitions(tx, &said).await?;
    for table in TABLES {
        let name = table.name;
        run(tx, format!(
            "create temporary table if not exists reread_{name} (like core.{name} including defaults) on commit delete rows"
        ))
        .await?;
    }
    let (listing_ids, listing_changes) = Listings::of(&said).merge_anew(tx).await?;
    rows::copy(tx, &said, &listing_ids, now, Place::Beside).await?;

    let mut tables = vec![listing_changes];
    let mut examples = Vec::new();
    let mut changed: HashSet<i64> = HashSet::new();
    for table in TABLES {
        let (changes, changed_here) = count(tx, table, &raw_payload_ids).await?;
        tables.push(changes);
        changed.extend(changed_here);
        let wanted = examples_max - examples.len() as i64;
        if wanted > 0 {
            examples.extend(look(tx, table, &raw_payload_ids, wanted).await?);
        }
        supersede(tx, table, &raw_payload_ids, now).await?;
        insert(tx, table).await?;
    }
    tables.push(differences::renew(tx, reread.iter().map(|one| one.payload), now).await?);
    renew_set_aside(tx, &raw_payload_ids, &said, now).await?;
    changed.extend(renew_readings(tx, reread, now).await?);
    Ok(Replaced { tables, examples, changed_payload_count: changed.len() as i64 })
}

/// Says that two rows have the same key.
fn same_key(table: &Table) -> String {
    table.key.iter().map(|column| format!("stored.{column} = reread.{column}")).collect::<Vec<_>>().join(" and ")
}

/// Says that two rows say the same.
fn same_content(table: &Table) -> String {
    let of = |row: &str| table.content().map(|column| format!("{row}.{column}")).collect::<Vec<_>>().join(", ");
    format!("row({}) is not distinct from row({})", of("stored"), of("reread"))
}

/// Returns a join of what stands with what is read now.
fn pairs(table: &Table) -> String {
    format!(
        "(select * from core.{name} where raw_payload_id = any($1) and superseded_at is null and {is_read}) stored
         full join reread_{name} reread on {key}",
        name = table.name,
        is_read = differences::is_read(table),
        key = same_key(table)
    )
}

async fn count(
    tx: &mut PgConnection,
    table: &Table,
    raw_payload_ids: &[i64],
) -> Result<(TableChanges, Vec<i64>), sqlx::Error> {
    let same = same_content(table);
    let statement = format!(
        "select count(*) filter (where stored.raw_payload_id is not null and reread.raw_payload_id is not null and {same}),
                count(*) filter (where stored.raw_payload_id is not null and reread.raw_payload_id is not null
                                   and not {same}),
                count(*) filter (where stored.raw_payload_id is null),
                count(*) filter (where reread.raw_payload_id is null),
                coalesce(array_agg(distinct coalesce(stored.raw_payload_id, reread.raw_payload_id))
                         filter (where stored.raw_payload_id is null or reread.raw_payload_id is null or not {same}), '{{}}')
         from {}",
        pairs(table)
    );
    let row = query(&statement).bind(raw_payload_ids).fetch_one(tx).await?;
    let changes = TableChanges {
        table: format!("core.{}", table.name),
        same_count: row.try_get(0)?,
        changed_count: row.try_get(1)?,
        new_count: row.try_get(2)?,
        gone_count: row.try_get(3)?,
    };
    Ok((changes, row.try_get(4)?))
}

/// Returns some of the rows that differ.
async fn look(
    tx: &mut PgConnection,
    table: &Table,
    raw_payload_ids: &[i64],
    limit: i64,
) -> Result<Vec<Example>, sqlx::Error> {
    let object = |row: &str| {
        let fields: Vec<String> = table
            .key
            .iter()
            .copied()
            .chain(table.content())
            .map(|column| format!("'{column}', {row}.{column}"))
            .collect();
        format!("case when {row}.raw_payload_id is not null then jsonb_build_object({}) end", fields.join(", "))
    };
    let statement = format!(
        "select {}, {} from {}
         where stored.raw_payload_id is null or reread.raw_payload_id is null or not {}
         order by coalesce(stored.raw_payload_id, reread.raw_payload_id)
         limit $2",
        object("stored"),
        object("reread"),
        pairs(table),
        same_content(table)
    );
    let rows = query(&statement).bind(raw_payload_ids).bind(limit).fetch_all(tx).await?;
    rows.iter()
        .map(|row| {
            Ok(Example { table: format!("core.{}", table.name), stored: row.try_get(0)?, reread: row.try_get(1)? })
        })
        .collect()
}

async fn supersede(
    tx: &mut PgConnection,
    table: &Table,
    raw_payload_ids: &[i64],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let statement = format!(
        "update core.{name} stored set superseded_at = greatest($2, stored.ingested_at)
         where stored.raw_payload_id = any($1) and stored.superseded_at is null and {is_read}
           and not exists (select from reread_{name} reread where {} and {})",
        same_key(table),
        same_content(table),
        name = table.name,
        is_read = differences::is_read(table),
    );
    query(&statement).bind(raw_payload_ids).bind(now).execute(tx).await?;
    Ok(())
}

async fn insert(tx: &mut PgConnection, table: &Table) -> Result<(), sqlx::Error> {
    let columns = table.columns().collect::<Vec<_>>().join(", ");
    run(
        tx,
        format!(
            "insert into core.{name} ({columns})
         select {columns} from reread_{name} reread
         where not exists (select from core.{name} stored where {} and stored.superseded_at is null)",
            same_key(table),
            name = table.name,
        ),
    )
    .await
}

/// Lets go of rows that were set aside and need not be any more, and sets aside those that must be now. What a person
/// discarded stays so.
async fn renew_set_aside(
    tx: &mut PgConnection,
    raw_payload_ids: &[i64],
    said: &[Said<'_>],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let rows =
        said.iter().flat_map(|said| said.reading.quarantined.iter().map(|row| (said.payload.raw_payload_id, row)));
    let (of, pointers): (Vec<i64>, Vec<String>) =
        rows.clone().map(|(raw_payload_id, row)| (raw_payload_id, storable(&row.json_pointer))).unzip();
    let reasons: Vec<String> = rows.map(|(_, row)| storable(&row.reason)).collect();
    sqlx::query!(
        "delete from raw.quarantined_rows stored
         where raw_payload_id = any($1)
           and not exists (
               select from unnest($2::bigint[], $3::text[], $4::text[]) as still (raw_payload_id, json_pointer, reason)
               where still.raw_payload_id = stored.raw_payload_id and still.json_pointer = stored.json_pointer
                 and (still.reason = stored.reason or stored.discarded_at is not null))",
        raw_payload_ids,
        &of,
        &pointers,
        &reasons,
    )
    .execute(&mut *tx)
    .await?;
    batch::insert_quarantined_rows(tx, said, now).await
}

/// Makes the readings say what the payloads say now, and which reader says so. Returns the payloads that could be read and
/// now cannot, or the other way about.
async fn renew_readings(
    tx: &mut PgConnection,
    reread: &[Reread<'_>],
    now: DateTime<Utc>,
) -> Result<Vec<i64>, sqlx::Error> {
    let readings = reread.iter().map(|one| one.said.map(|said| said.reading));
    let counts =
        |count: fn(&Reading) -> i32| readings.clone().map(|reading| reading.map_or(0, count)).collect::<Vec<_>>();
    let raw_payload_ids: Vec<i64> = reread.iter().map(|one| one.payload.raw_payload_id).collect();
    let reasons: Vec<Option<String>> = reread.iter().map(|one| one.reason.clone()).collect();
    let renewed = sqlx::query!(
        r#"with before as (
             select raw_payload_id, outcome from raw.payload_readings where raw_payload_id = any($1)
         )
         update raw.payload_readings readings
         set outcome = case when given.reason is null then 'processed' else 'quarantined' end, reason = given.reason,
             reader_version = $10, row_count = given.row_count, observation_count = given.observation_count,
             listing_count = given.listing_count, serp_entry_count = given.serp_entry_count,
             quarantined_row_count = given.quarantined_row_count, untracked_row_count = given.untracked_row_count,
             missing_row_count = given.missing_row_count, read_at = $11,
             discarded_at = case when given.reason is not null then readings.discarded_at end,
             discarded_by = case when given.reason is not null then readings.discarded_by end,
             discard_reason = case when given.reason is not null then readings.discard_reason end
         from unnest($1::bigint[], $2::text[], $3::integer[], $4::integer[], $5::integer[], $6::integer[], $7::integer[],
                     $8::integer[], $9::integer[])
              as given (raw_payload_id, reason, row_count, observation_count, listing_count, serp_entry_count,
                        quarantined_row_count, untracked_row_count, missing_row_count)
         join before using (raw_payload_id)
         where readings.raw_payload_id = given.raw_payload_id
           and (readings.outcome, readings.reason, readings.reader_version, readings.row_count, readings.observation_count,
                readings.listing_count, readings.serp_entry_count, readings.quarantined_row_count,
                readings.untracked_row_count, readings.missing_row_count)
               is distinct from
               (case when given.reason is null then 'processed' else 'quarantined' end, given.reason, $10::smallint,
                given.row_count, given.observation_count, given.listing_count, given.serp_entry_count,
                given.quarantined_row_count, given.untracked_row_count, given.missing_row_count)
         returning readings.raw_payload_id, readings.outcome <> before.outcome as "is_turned!""#,
        &raw_payload_ids,
        &reasons as &[Option<String>],
        &counts(|reading| reading.row_count),
        &counts(|reading| reading.observations.len() as i32),
        &counts(|reading| reading.listings.len() as i32),
        &counts(|reading| reading.serp_entries.len() as i32),
        &counts(Reading::quarantined_row_count),
        &counts(|reading| reading.untracked_row_count),
        &counts(|reading| reading.missing_row_count),
        READER_VERSION,
        now,
    )
    .fetch_all(tx)
    .await?;
    Ok(renewed.into_iter().filter(|row| row.is_turned).map(|row| row.raw_payload_id).collect())
}

/// Prepares a statement that is put together from the names of tables and columns in [`TABLES`], and nothing from outside.
#[expect(clippy::disallowed_methods, reason = "the same comparison for every table, over temporary tables")]
fn query(statement: &str) -> sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments> {
    sqlx::query(AssertSqlSafe(statement.to_owned()))
}

async fn run(tx: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    query(&statement).execute(tx).await?;
    Ok(())
}
