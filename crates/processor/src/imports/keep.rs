//! Looks at a file, and stores it as a raw payload of a run of its own, with the job that reads it: all in one
//! transaction, once.

use chrono::{DateTime, Utc};
use digitallz_common::jobs::{Job, ProcessPayload};
use digitallz_common::keyword::{self, Keyword};
use digitallz_common::marketplace::Site;
use digitallz_common::queue::{self, QueueError};
use digitallz_common::raw_payload::stores::{BodyStoreError, BodyStores};
use digitallz_common::raw_payload::{self, Body, NewRawPayload};
use digitallz_common::spool::Spool;
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{ImportRequest, Imported, Kind, Surroundings};
use crate::reading::Problem;
use crate::store as tables;

/// Why a file could not be stored; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The database failed.
    #[error("failed to store {file}")]
    Database {
        /// Its name.
        file: String,
        /// The cause.
        #[source]
        source: QueueError,
    },
    /// The object store failed.
    #[error("failed to store the body of {file}")]
    BodyStore {
        /// Its name.
        file: String,
        /// The cause.
        #[source]
        source: BodyStoreError,
    },
}

/// Why a file could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// It is not what it is taken for, or cannot be trusted.
    #[error("{file} cannot be imported: {problem}")]
    File {
        /// Its name.
        file: String,
        /// Where and what.
        problem: Problem,
    },
    /// The database failed.
    #[error("failed to load the keywords of {site}")]
    Database {
        /// The site.
        site: Site,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// The reading was broken off.
    #[error("the reading of {file} was broken off")]
    BrokenOff {
        /// Its name.
        file: String,
        /// The cause.
        #[source]
        source: tokio::task::JoinError,
    },
}

/// Reads a file as the processor would, and stores nothing.
pub async fn examine(
    db: &PgPool,
    site: &Site,
    body: &Spool,
    kind: Option<Kind>,
    request: &ImportRequest,
    now: DateTime<Utc>,
) -> Result<Imported, ExamineError> {
    let in_database = |source| ExamineError::Database { site: site.clone(), source };
    let mut connection = db.acquire().await.map_err(in_database)?;
    let tracked = tables::tracked_keywords(&mut connection, site).await.map_err(in_database)?;
    drop(connection);
    let (body, asked, of) = (body.reader(), request.clone(), site.clone());
    let read = tokio::task::spawn_blocking(move || {
        let surroundings = Surroundings { site: &of, tracked: &tracked, imported_at: now };
        super::read(body, kind, &asked, surroundings)
    });
    let file = || request.file_name.clone();
    let read = read.await.map_err(|source| ExamineError::BrokenOff { file: file(), source })?;
    read.map_err(|problem| ExamineError::File { file: file(), problem })
}

/// What becomes of a file besides being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// Its keywords are to be tracked from now on.
    pub adds_keywords: bool,
    /// Models may learn from it.
    pub may_train: bool,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its payload.
    pub raw_payload_id: i64,
    /// False when the same file was stored before, as the same thing.
    pub is_new: bool,
    /// Keywords that were added.
    pub added_keyword_count: usize,
}

/// Stores a file with the job that reads it, and first the keywords of it that are to be tracked from now on.
#[expect(clippy::too_many_arguments, reason = "each of them is a thing of its own")]
pub async fn keep(
    db: &PgPool,
    body_stores: &BodyStores,
    site: &Site,
    body: &Spool,
    request: &ImportRequest,
    imported: &Imported,
    wishes: Wishes,
    now: DateTime<Utc>,
) -> Result<Kept, KeepError> {
    let failed = |source: QueueError| KeepError::Database { file: request.file_name.clone(), source };
    let body = stow(db, body_stores, site, body, request, imported, now)
        .await
        .map_err(|source| KeepError::BodyStore { file: request.file_name.clone(), source })?;
    let mut tx = db.begin().await.map_err(|error| failed(error.into()))?;
    let mut added_keyword_count = 0;
    if wishes.adds_keywords {
        for (text, original_text) in &imported.keywords.untracked {
            // What was normalised once is normal.
            let Ok(keyword) = Keyword::parse(text) else { continue };
            keyword::ensure(&mut tx, site, &keyword, original_text, now).await.map_err(|error| failed(error.into()))?;
            added_keyword_count += 1;
        }
    }
    let (raw_payload_id, is_new) =
        store(&mut tx, site, body, request, imported, wishes.may_train, now).await.map_err(failed)?;
    tx.commit().await.map_err(|error| failed(error.into()))?;
    Ok(Kept { raw_payload_id, is_new, added_keyword_count })
}

/// Writes a file that is new into the object store, where one is set.
async fn stow(
    db: &PgPool,
    body_stores: &BodyStores,
    site: &Site,
    body: &Spool,
    request: &ImportRequest,
    imported: &Imported,
    now: DateTime<Utc>,
) -> Result<Body, BodyStoreError> {
    let body = Body::Spooled(body.clone());
    if stored_before(&mut *db.acquire().await?, &request_key(site, request, imported)).await?.is_some() {
        return Ok(body);
    }
    body_stores.stow_body(db, body, now).await
}

fn request_key(site: &Site, request: &ImportRequest, imported: &Imported) -> String {
    format!("import:{}:{}:{}:{}", site.marketplace, site.market, imported.kind.resource(), request.said())
}

async fn store(
    connection: &mut PgConnection,
    site: &Site,
    body: Body,
    request: &ImportRequest,
    imported: &Imported,
    may_train: bool,
    now: DateTime<Utc>,
) -> Result<(i64, bool), QueueError> {
    let resource = imported.kind.resource();
    let request_key = request_key(site, request, imported);
    if let Some(raw_payload_id) = stored_before(connection, &request_key).await? {
        return Ok((raw_payload_id, false));
    }
    let crawl_run_id = Uuid::now_v7();
    sqlx::query!(
        "insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, created_at, planned_at,
             keyword_count)
         values ($1, 'import', $2, $3, $4, $2, $2, $5)",
        crawl_run_id,
        now,
        site.marketplace.name(),
        site.market,
        i32::try_from(imported.keywords.tracked_count).unwrap_or(i32::MAX),
    )
    .execute(&mut *connection)
    .await?;
    let payload = NewRawPayload {
        request_key: request_key.clone(),
        site: site.clone(),
        resource,
        keyword_id: None,
        crawl_run_id,
        job_id: None,
        page_number: 1,
        request_method: "IMPORT".to_owned(),
        request_url: request.to_string(),
        request_body: None,
        status_code: 200,
        response_headers: json!({}),
        content_type: None,
        body,
        fetched_at: now,
        ingested_at: now,
    };
    let Some(raw_payload_id) = raw_payload::insert(connection, &payload).await? else {
        // Somebody else stored the same file since we looked.
        let known = stored_before(connection, &request_key).await?.ok_or(sqlx::Error::RowNotFound)?;
        return Ok((known, false));
    };
    if !may_train {
        sqlx::query!("update raw.payloads set may_train = false where raw_payload_id = $1", raw_payload_id)
            .execute(&mut *connection)
            .await?;
    }
    let process = ProcessPayload { raw_payload_id, crawl_run_id };
    queue::enqueue(connection, &Job::ProcessPayload(process), 0).await?;
    Ok((raw_payload_id, true))
}

async fn stored_before(connection: &mut PgConnection, request_key: &str) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!("select raw_payload_id from raw.payloads where request_key = $1", request_key)
        .fetch_optional(connection)
        .await
}
