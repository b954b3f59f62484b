//! Raw payloads: the bodies of answers, verbatim.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::marketplace::{Marketplace, Resource, Site};

/// Largest body that is unpacked into memory, in bytes.
pub const MAX_BODY_BYTES: usize = 512 * 1024 * 1024;

const ZSTD_LEVEL: i32 = 3;

/// An answer about to be stored. Secrets are already gone from request and headers.
#[derive(Clone, Debug)]
pub struct NewRawPayload {
    /// Natural key of the request; a second answer to the same key is not stored.
    pub request_key: String,
    /// Where it was asked.
    pub site: Site,
    /// What was asked for.
    pub resource: Resource,
    /// The keyword it was asked for, if for one.
    pub keyword_id: Option<i64>,
    /// The crawl run that asked.
    pub crawl_run_id: Uuid,
    /// The job that asked, if a job did.
    pub job_id: Option<Uuid>,
    /// Page within the run and resource, from 1.
    pub page_number: i32,
    /// HTTP method.
    pub request_method: String,
    /// Address, without secrets.
    pub request_url: String,
    /// Request body, without secrets.
    pub request_body: Option<String>,
    /// HTTP status.
    pub status_code: u16,
    /// Headers of the answer as an object of name and value, without cookies.
    pub response_headers: Value,
    /// Media type the answer claimed.
    pub content_type: Option<String>,
    /// The body as received.
    pub body: Vec<u8>,
    /// When it arrived.
    pub fetched_at: DateTime<Utc>,
    /// When it became known here.
    pub ingested_at: DateTime<Utc>,
}

/// A stored answer.
#[derive(Clone, Debug)]
pub struct RawPayload {
    /// Identifier.
    pub raw_payload_id: i64,
    /// Where it was asked.
    pub site: Site,
    /// What was asked for.
    pub resource: Resource,
    /// The keyword it was asked for, if for one.
    pub keyword_id: Option<i64>,
    /// Its normalised text.
    pub keyword_text: Option<String>,
    /// The crawl run that asked.
    pub crawl_run_id: Uuid,
    /// Page within the run and resource, from 1.
    pub page_number: i32,
    /// Address that was asked.
    pub request_url: String,
    /// HTTP status.
    pub status_code: u16,
    /// The body as received.
    pub body: Vec<u8>,
    /// When it arrived.
    pub fetched_at: DateTime<Utc>,
}

/// Why a stored answer cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum RawPayloadError {
    /// The database failed.
    #[error("failed to load raw payload {raw_payload_id}")]
    Database {
        /// The payload.
        raw_payload_id: i64,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// The stored bytes are damaged.
    #[error("raw payload {raw_payload_id} is damaged: {problem}")]
    Damaged {
        /// The payload.
        raw_payload_id: i64,
        /// What does not hold.
        problem: String,
    },
}

/// Stores an answer and returns its identifier, or nothing when the request key already has one.
pub async fn insert(connection: &mut PgConnection, payload: &NewRawPayload) -> Result<Option<i64>, sqlx::Error> {
    let (body, body_encoding) = encode(&payload.body);
    let content_sha256: [u8; 32] = Sha256::digest(&payload.body).into();
    sqlx::query_scalar!(
        "insert into raw.payloads (request_key, marketplace, market, resource, keyword_id, crawl_run_id, job_id,
             page_number, request_method, request_url, request_body, status_code, response_headers, content_type,
             body, body_encoding, body_size_bytes, content_sha256, fetched_at, ingested_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
         on conflict (request_key) do nothing
         returning raw_payload_id",
        payload.request_key,
        payload.site.marketplace.name(),
        payload.site.market,
        payload.resource.name(),
        payload.keyword_id,
        payload.crawl_run_id,
        payload.job_id,
        payload.page_number,
        payload.request_method,
        payload.request_url,
        payload.request_body,
        payload.status_code as i16,
        payload.response_headers,
        payload.content_type,
        body,
        body_encoding,
        payload.body.len() as i64,
        content_sha256.as_slice(),
        payload.fetched_at,
        payload.ingested_at,
    )
    .fetch_optional(connection)
    .await
}

/// Loads an answer, unpacks it and checks it against its hash.
pub async fn get(connection: &mut PgConnection, raw_payload_id: i64) -> Result<RawPayload, RawPayloadError> {
    let row = sqlx::query!(
        r#"select payloads.marketplace, payloads.market, payloads.resource, payloads.keyword_id,
                  keywords.keyword_text as "keyword_text?", payloads.crawl_run_id, payloads.page_number,
                  payloads.request_url, payloads.status_code, payloads.body, payloads.body_encoding,
                  payloads.body_size_bytes, payloads.content_sha256, payloads.fetched_at
           from raw.payloads payloads
           left join core.keywords keywords using (keyword_id)
           where payloads.raw_payload_id = $1"#,
        raw_payload_id
    )
    .fetch_one(connection)
    .await
    .map_err(|source| RawPayloadError::Database { raw_payload_id, source })?;

    let damaged = |problem: String| RawPayloadError::Damaged { raw_payload_id, problem };
    let stored = row.body.ok_or_else(|| damaged("its body is not here".to_owned()))?;
    let body = match row.body_encoding.as_str() {
        "identity" => stored,
        _ => {
            let size = usize::try_from(row.body_size_bytes).unwrap_or(usize::MAX);
            if size > MAX_BODY_BYTES {
                return Err(damaged(format!("it claims {size} bytes")));
            }
            zstd::bulk::decompress(&stored, size).map_err(|error| damaged(error.to_string()))?
        }
    };
    let content_sha256: [u8; 32] = Sha256::digest(&body).into();
    if content_sha256.as_slice() != row.content_sha256 {
        return Err(damaged("its content does not match its hash".to_owned()));
    }
    let marketplace: Marketplace = row.marketplace.parse().map_err(|error| damaged(format!("{error}")))?;
    Ok(RawPayload {
        raw_payload_id,
        site: Site { marketplace, market: row.market },
        resource: row.resource.parse().map_err(|error| damaged(format!("{error}")))?,
        keyword_id: row.keyword_id,
        keyword_text: row.keyword_text,
        crawl_run_id: row.crawl_run_id,
        page_number: row.page_number,
        request_url: row.request_url,
        status_code: row.status_code as u16,
        body,
        fetched_at: row.fetched_at,
    })
}

/// Records that nothing in a payload could be trusted.
pub async fn quarantine(
    connection: &mut PgConnection,
    raw_payload_id: i64,
    reason: &str,
    reader_version: i16,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into raw.payload_readings (raw_payload_id, outcome, reason, reader_version, read_at)
         values ($1, 'quarantined', $2, $3, $4)
         on conflict (raw_payload_id) do nothing",
        raw_payload_id,
        reason,
        reader_version,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Compresses a body, unless it came compressed.
fn encode(body: &[u8]) -> (Vec<u8>, &'static str) {
    const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
    if body.starts_with(&GZIP_MAGIC) {
        return (body.to_vec(), "identity");
    }
    match zstd::bulk::compress(body, ZSTD_LEVEL) {
        Ok(compressed) => (compressed, "zstd"),
        Err(_) => (body.to_vec(), "identity"),
    }
}
