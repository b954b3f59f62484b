//! Brings recorded answers in: HAR 1.2 files, as browsers and proxies write them.
//!
//! Good answers to questions that the collectors ask too become raw payloads and go the usual way from there.
//! Everything else is reported, one line per entry. The same file brought in twice changes nothing.

mod har;
mod recognition;
mod report;

use std::collections::HashMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use digitallz_common::jobs::{Job, ProcessPayload};
use digitallz_common::keyword::{self, Keyword};
use digitallz_common::marketplace::{Resource, Site};
use digitallz_common::queue::{self, QueueError};
use digitallz_common::raw_payload::stores::{BodyStoreError, BodyStores};
use digitallz_common::raw_payload::{self, Body, NewRawPayload};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use tracing::info;
use uuid::Uuid;

use har::{Entry, Har};
use recognition::{Recognised, recognise, recognise_document};

pub use report::{HarEntryReport, HarOutcome, HarReport};

use crate::exchange::open_url;
use crate::marketplaces::etsy;

/// Why a file could not be brought in; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum HarError {
    /// The file cannot be opened.
    #[error("failed to read {file}")]
    File {
        /// Its name.
        file: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is no HAR; the cause names line and column.
    #[error("{file} is no HAR file")]
    Malformed {
        /// Its name.
        file: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The database failed.
    #[error("failed to store the recordings of {file}")]
    Database {
        /// Its name.
        file: String,
        /// The cause.
        #[source]
        source: QueueError,
    },
    /// The object store failed.
    #[error("failed to store the bodies of {file}")]
    BodyStore {
        /// Its name.
        file: String,
        /// The cause.
        #[source]
        source: BodyStoreError,
    },
}

/// Brings in a HAR file.
pub async fn ingest_har(
    db: &PgPool,
    body_stores: &BodyStores,
    path: &Path,
    now: DateTime<Utc>,
) -> Result<HarReport, HarError> {
    let file = path.display().to_string();
    let bytes = tokio::fs::read(path).await.map_err(|source| HarError::File { file: file.clone(), source })?;
    ingest_har_bytes(db, body_stores, &file, &bytes, now).await
}

/// Brings in the bytes of a HAR file; its name is used in reports and errors only.
pub async fn ingest_har_bytes(
    db: &PgPool,
    body_stores: &BodyStores,
    file: &str,
    bytes: &[u8],
    now: DateTime<Utc>,
) -> Result<HarReport, HarError> {
    let har = Har::parse(bytes).map_err(|source| HarError::Malformed { file: file.to_owned(), source })?;

    let mut entries = Vec::with_capacity(har.entries.len());
    for (entry_index, text) in har.entries.iter().enumerate() {
        entries.push(match read_entry(entry_index, text.get()) {
            Ok(recorded) => stow(db, body_stores, recorded)
                .await
                .map(Ok)
                .map_err(|source| HarError::BodyStore { file: file.to_owned(), source })?,
            Err(report) => Err(report),
        });
    }

    let database = |source: QueueError| HarError::Database { file: file.to_owned(), source };
    let mut tx = db.begin().await.map_err(|error| database(error.into()))?;
    let mut storing =
        Storing { file_sha256: Sha256::digest(bytes).into(), now, runs: HashMap::new(), searches: Searches::default() };
    let mut reports = Vec::new();
    for entry in entries {
        let report = match entry {
            Ok(recorded) => storing.store(&mut tx, recorded).await.map_err(database)?,
            Err(report) => report,
        };
        reports.push(report);
    }
    storing.close_runs(&mut tx).await.map_err(|error| database(error.into()))?;
    tx.commit().await.map_err(|error| database(error.into()))?;

    let count = |outcome| reports.iter().filter(|report| report.outcome == outcome).count();
    let (stored_count, already_known_count) = (count(HarOutcome::Stored), count(HarOutcome::AlreadyKnown));
    let skipped_count = reports.len() - stored_count - already_known_count;
    info!(
        stored_count,
        already_known_count,
        skipped_count,
        "brought in {file}: {stored_count} stored, {already_known_count} already known, {skipped_count} skipped"
    );
    Ok(HarReport { file: file.to_owned(), stored_count, already_known_count, skipped_count, entries: reports })
}

/// An entry that is worth storing.
struct Recorded {
    entry: Entry,
    body: Vec<u8>,
    /// The same where it is stored; nothing where it goes with its payload into Postgres.
    stowed: Option<Body>,
    recorded_at: DateTime<Utc>,
    recognised: Recognised,
    report: HarEntryReport,
}

/// Writes the body of an entry that is new into the object store, before the transaction that may store it.
async fn stow(db: &PgPool, body_stores: &BodyStores, recorded: Recorded) -> Result<Recorded, BodyStoreError> {
    if body_stores.current().is_none() {
        return Ok(recorded);
    }
    let request_key = request_key(&recorded.entry, &recorded.body);
    if stored_before(&mut *db.acquire().await?, &request_key).await?.is_some() {
        return Ok(recorded);
    }
    let stowed = body_stores.stow_body(db, recorded.body.clone().into(), recorded.recorded_at).await?;
    Ok(Recorded { stowed: Some(stowed), ..recorded })
}

/// Reads one entry and decides whether it is worth storing.
fn read_entry(entry_index: usize, text: &str) -> Result<Recorded, HarEntryReport> {
    let mut report = HarEntryReport {
        entry_index,
        method: String::new(),
        url: String::new(),
        status_code: None,
        outcome: HarOutcome::Unreadable,
        reason: String::new(),
        raw_payload_id: None,
    };
    match judge_entry(text, &mut report) {
        Ok((entry, body, recorded_at, recognised)) => {
            Ok(Recorded { entry, body, stowed: None, recorded_at, recognised, report })
        }
        Err((outcome, reason)) => Err(HarEntryReport { outcome, reason, ..report }),
    }
}

type Judged = (Entry, Vec<u8>, DateTime<Utc>, Recognised);

fn judge_entry(text: &str, report: &mut HarEntryReport) -> Result<Judged, (HarOutcome, String)> {
    let unreadable = |reason: String| (HarOutcome::Unreadable, reason);
    let entry = Entry::parse(text).map_err(|error| unreadable(format!("it is no HAR entry: {error}")))?;
    report.method.clone_from(&entry.request.method);
    report.status_code = Some(entry.response.status);
    let url = entry.url().map_err(|error| unreadable(format!("its address cannot be read: {error}")))?;
    report.url = open_url(&url);

    let recognised = recognise(&entry.request.method, &url, entry.marketplace_header());
    if entry.response.status != 200 {
        let outcome = if entry.response.status >= 400 || recognised.is_ok() {
            HarOutcome::ErrorAnswer
        } else {
            HarOutcome::NotOurs
        };
        return Err((outcome, format!("status {} says nothing of a keyword", entry.response.status)));
    }
    let body = entry.body().map_err(&unreadable)?;
    let recognised = match recognised {
        Ok(recognised) => recognised,
        // A report document lies at an address that says nothing; the document itself does.
        Err(reason) => match body.as_deref().and_then(recognise_document) {
            Some(document) => document,
            None => return Err((HarOutcome::NotOurs, reason)),
        },
    };
    let body = body.ok_or_else(|| unreadable("the answer was recorded without its body".to_owned()))?;
    let recorded_at = entry.recorded_at().map_err(&unreadable)?;
    Ok((entry, body, recorded_at, recognised))
}

/// What is remembered while the entries of one file are stored.
struct Storing {
    file_sha256: [u8; 32],
    now: DateTime<Utc>,
    runs: HashMap<Site, Uuid>,
    searches: Searches,
}

/// The searches seen so far in the file; what follows them in the file belongs to their keywords.
#[derive(Default)]
struct Searches {
    keyword_of_listing: HashMap<u64, i64>,
    last_page_of_keyword: HashMap<i64, i32>,
}

impl Storing {
    async fn store(&mut self, connection: &mut PgConnection, recorded: Recorded) -> Result<HarEntryReport, QueueError> {
        let Recorded { entry, body, stowed, recorded_at, recognised, mut report } = recorded;
        let keyword_id = match &recognised.keyword_text {
            None => self.searches.keyword_of_batch(&recognised),
            Some(text) => match Keyword::parse(text) {
                Ok(keyword) => Some(keyword::ensure(connection, &recognised.site, &keyword, text, self.now).await?),
                Err(error) => {
                    return Ok(HarEntryReport { outcome: HarOutcome::Unreadable, reason: error.to_string(), ..report });
                }
            },
        };
        if recognised.resource == Resource::ListingBatch && keyword_id.is_none() {
            let reason = "no search before it in the file found its listings, so it belongs to no keyword".to_owned();
            return Ok(HarEntryReport { outcome: HarOutcome::NotOurs, reason, ..report });
        }
        let page_number = self.searches.remember(&recognised, keyword_id, &body);
        let request_key = request_key(&entry, &body);
        if let Some(raw_payload_id) = stored_before(connection, &request_key).await? {
            report.raw_payload_id = Some(raw_payload_id);
            return Ok(HarEntryReport {
                outcome: HarOutcome::AlreadyKnown,
                reason: format!("it is stored as raw payload {raw_payload_id}"),
                ..report
            });
        }

        let crawl_run_id = self.run(connection, &recognised.site, recorded_at).await?;
        let (site, resource) = (recognised.site, recognised.resource);
        let payload = NewRawPayload {
            request_key,
            site: site.clone(),
            resource,
            keyword_id,
            crawl_run_id,
            job_id: None,
            page_number,
            request_method: report.method.clone(),
            request_url: report.url.clone(),
            request_body: None,
            status_code: entry.response.status,
            response_headers: entry.open_headers(),
            content_type: entry.media_type(),
            body: stowed.unwrap_or(Body::Held(body)),
            fetched_at: recorded_at,
            ingested_at: self.now,
        };
        report.raw_payload_id = raw_payload::insert(connection, &payload).await?;
        if let Some(raw_payload_id) = report.raw_payload_id {
            let process = ProcessPayload { raw_payload_id, crawl_run_id };
            queue::enqueue(connection, &Job::ProcessPayload(process), 0).await?;
        }
        let reason = match &recognised.keyword_text {
            Some(text) => format!("a {resource} of {site} for '{text}'"),
            None => format!("a {resource} of {site}"),
        };
        Ok(HarEntryReport { outcome: HarOutcome::Stored, reason, ..report })
    }

    /// Returns the crawl run of this file and site; it is made when the first answer of the site is stored.
    async fn run(
        &mut self,
        connection: &mut PgConnection,
        site: &Site,
        recorded_at: DateTime<Utc>,
    ) -> Result<Uuid, sqlx::Error> {
        if let Some(crawl_run_id) = self.runs.get(site) {
            return Ok(*crawl_run_id);
        }
        let crawl_run_id = crawl_run_id(&self.file_sha256, site);
        ensure_run(connection, crawl_run_id, site, recorded_at, self.now).await?;
        self.runs.insert(site.clone(), crawl_run_id);
        Ok(crawl_run_id)
    }

    async fn close_runs(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        for crawl_run_id in self.runs.values() {
            count_keywords(connection, *crawl_run_id).await?;
        }
        Ok(())
    }
}

impl Searches {
    /// Returns the keyword of the search that a batch of listings belongs to.
    fn keyword_of_batch(&self, recognised: &Recognised) -> Option<i64> {
        recognised.listing_ids.iter().find_map(|listing_id| self.keyword_of_listing.get(listing_id)).copied()
    }

    /// Takes note of a page and returns its number.
    fn remember(&mut self, recognised: &Recognised, keyword_id: Option<i64>, body: &[u8]) -> i32 {
        let Some(keyword_id) = keyword_id else { return recognised.page_number.unwrap_or(1) };
        if recognised.resource == Resource::ListingSearch {
            for listing_id in etsy::listing_ids_of(body) {
                self.keyword_of_listing.entry(listing_id).or_insert(keyword_id);
            }
        }
        // A page token does not say how far it leads; the page before it in the file does.
        let last_page = self.last_page_of_keyword.entry(keyword_id).or_insert(1);
        let page_number = recognised.page_number.unwrap_or(*last_page + 1);
        *last_page = page_number;
        page_number
    }
}

/// Derives the identifier of a file's run, so that the same file has the same run.
fn crawl_run_id(file_sha256: &[u8; 32], site: &Site) -> Uuid {
    let digest: [u8; 32] = Sha256::new_with_prefix(file_sha256).chain_update(site.to_string()).finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn request_key(entry: &Entry, body: &[u8]) -> String {
    let digest = Sha256::new()
        .chain_update(&entry.request.url)
        .chain_update("\n")
        .chain_update(&entry.started_date_time)
        .chain_update("\n")
        .chain_update(body)
        .finalize();
    format!("recording:{}", hex::encode(digest))
}

async fn stored_before(connection: &mut PgConnection, request_key: &str) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!("select raw_payload_id from raw.payloads where request_key = $1", request_key)
        .fetch_optional(connection)
        .await
}

async fn ensure_run(
    connection: &mut PgConnection,
    crawl_run_id: Uuid,
    site: &Site,
    scheduled_for: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, created_at, planned_at)
         values ($1, 'recording', $2, $3, $4, $5, $5)
         on conflict (crawl_run_id) do nothing",
        crawl_run_id,
        scheduled_for,
        site.marketplace.name(),
        site.market,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn count_keywords(connection: &mut PgConnection, crawl_run_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update ops.crawl_runs
         set keyword_count = (select count(distinct keyword_id) from raw.payloads where crawl_run_id = $1)
         where crawl_run_id = $1",
        crawl_run_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
