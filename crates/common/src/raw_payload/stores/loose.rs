//! `raw.loose_bodies`: the objects that no payload names, from before they are written and until they are deleted.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::store::Store;
use super::{BodyStoreError, BodyStores};

/// Objects that are deleted at a time.
const BATCH: i64 = 500;

/// What a sweep did.
#[derive(Debug, Default)]
pub struct Swept {
    /// Objects that are gone now.
    pub deleted_count: u64,
    /// What kept others from being deleted; they are tried again by the next sweep.
    pub problems: Vec<BodyStoreError>,
}

impl BodyStores {
    /// Deletes the objects that are condemned, and those that have been loose for an hour: nobody writes them any more.
    ///
    /// One whose payload is just being stored is safe. Either the payload takes it over first, or it is condemned first, and
    /// then the payload is refused and its job tries again.
    pub async fn sweep(&self, db: &PgPool) -> Result<Swept, BodyStoreError> {
        condemn_abandoned(db).await?;
        let mut swept = Swept::default();
        for store in self.all.iter() {
            while let Some(rows) = condemned(db, store).await? {
                let (gone, outcome) = delete(store, &rows).await;
                forget(db, &gone).await?;
                swept.deleted_count += gone.len() as u64;
                // One object that cannot be deleted must not keep those behind it.
                if gone.is_empty() {
                    swept.problems.extend(outcome.err());
                    break;
                }
            }
        }
        swept.problems.extend(self.unknown(db).await?);
        Ok(swept)
    }

    /// Names one object of a store that is not set.
    async fn unknown(&self, db: &PgPool) -> Result<Option<BodyStoreError>, sqlx::Error> {
        let prefixes: Vec<String> = self.addresses().map(|address| format!("{address}/")).collect();
        let location = sqlx::query_scalar!(
            "select body_location from raw.loose_bodies
             where condemned_at is not null
               and not exists (select from unnest($1::text[]) prefix where starts_with(body_location, prefix))
             limit 1",
            &prefixes,
        )
        .fetch_optional(db)
        .await?;
        Ok(location.map(|location| BodyStoreError::Unknown { location }))
    }
}

/// Deletes objects, and parts of those that were never completed; returns those that are gone.
async fn delete(store: &Store, rows: &[Condemned]) -> (Vec<String>, Result<(), BodyStoreError>) {
    for row in rows {
        if let Some(upload_id) = &row.upload_id
            && let Err(problem) = store.abort(&row.body_location, upload_id).await
        {
            return (Vec::new(), Err(problem));
        }
    }
    let locations: Vec<String> = rows.iter().map(|row| row.body_location.clone()).collect();
    store.delete(&locations).await
}

/// An object that goes.
struct Condemned {
    body_location: String,
    upload_id: Option<String>,
}

/// Notes an object before its first byte is written.
pub(super) async fn note(db: &PgPool, location: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("insert into raw.loose_bodies (body_location) values ($1)", location).execute(db).await?;
    Ok(())
}

/// Notes the store's name for an upload in parts, while there are parts and no object.
pub(super) async fn note_upload(db: &PgPool, location: &str, upload_id: Option<&str>) -> Result<(), sqlx::Error> {
    sqlx::query!("update raw.loose_bodies set upload_id = $2 where body_location = $1", location, upload_id)
        .execute(db)
        .await?;
    Ok(())
}

/// Notes that an object is still being written.
pub(super) async fn go_on(db: &PgPool, location: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update raw.loose_bodies set loose_since = now() where body_location = $1 and condemned_at is null",
        location
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes an object over into the payload that is being stored in this transaction; one that is condemned is refused.
pub(in crate::raw_payload) async fn take_over(
    connection: &mut PgConnection,
    location: &str,
) -> Result<(), sqlx::Error> {
    let taken =
        sqlx::query!("delete from raw.loose_bodies where body_location = $1 and condemned_at is null", location)
            .execute(connection)
            .await?;
    match taken.rows_affected() {
        1 => Ok(()),
        _ => Err(sqlx::Error::Io(std::io::Error::other("the body was swept away before its payload was stored"))),
    }
}

/// Condemns the objects of payloads that are being purged in this transaction.
pub async fn condemn(connection: &mut PgConnection, raw_payload_ids: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into raw.loose_bodies (body_location, condemned_at)
         select body_location, now() from raw.payloads
         where raw_payload_id = any($1) and body_location is not null",
        raw_payload_ids,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Condemns what nobody went on with for an hour: what a try left behind that was killed, rolled back or overtaken.
async fn condemn_abandoned(db: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update raw.loose_bodies set condemned_at = now()
         where condemned_at is null and loose_since < now() - interval '1 hour'"
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Returns some of the objects of a store that go; nothing when there is none.
async fn condemned(db: &PgPool, store: &Store) -> Result<Option<Vec<Condemned>>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Condemned,
        "select body_location, upload_id from raw.loose_bodies
         where condemned_at is not null and starts_with(body_location, $1)
         order by condemned_at
         limit $2",
        format!("{}/", store.address()),
        BATCH,
    )
    .fetch_all(db)
    .await?;
    Ok((!rows.is_empty()).then_some(rows))
}

/// Forgets objects that are gone.
pub(super) async fn forget(db: &PgPool, locations: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from raw.loose_bodies where body_location = any($1)", locations).execute(db).await?;
    Ok(())
}

/// A store that holds bodies of payloads.
#[derive(Clone, Debug)]
pub struct StoreInUse {
    /// Its address.
    pub address: String,
    /// Bodies in it.
    pub body_count: i64,
    /// Address of one of them.
    pub example: String,
}

/// Tells where bodies lie that do not lie in Postgres.
pub async fn in_use(db: &PgPool) -> Result<Vec<StoreInUse>, sqlx::Error> {
    sqlx::query_as!(
        StoreInUse,
        r#"select regexp_replace(body_location, '/[^/]+/[^/]+$', '') as "address!", count(*) as "body_count!",
                  max(body_location) as "example!"
           from raw.payloads where body_location is not null
           group by 1 order by 1"#
    )
    .fetch_all(db)
    .await
}

/// What waits to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Objects.
    pub object_count: i64,
    /// When the first of them was condemned.
    pub since: Option<DateTime<Utc>>,
}

/// Counts what is condemned and still there.
pub async fn waiting(db: &PgPool) -> Result<Waiting, sqlx::Error> {
    sqlx::query_as!(
        Waiting,
        r#"select count(*) as "object_count!", min(condemned_at) as since
           from raw.loose_bodies where condemned_at is not null"#
    )
    .fetch_one(db)
    .await
}
