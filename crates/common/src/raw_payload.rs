//! Raw payloads: the bodies of answers, verbatim. They lie in chunks; small ones in a single one.

mod chunks;

use std::io::Read;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::marketplace::{Marketplace, Resource, Site};
use crate::partitions;
use crate::spool::{Spool, SpoolWriter};

pub use chunks::Chunks;

/// Largest body that is unpacked into memory, in bytes.
pub const MAX_BODY_BYTES: usize = 512 * 1024 * 1024;

/// Largest body that lies in a single chunk and is loaded whole, in bytes as received.
pub const MAX_HELD_BODY_BYTES: u64 = 4 * 1024 * 1024;

const ZSTD_LEVEL: i32 = 3;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

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
    pub body: Body,
    /// When it arrived.
    pub fetched_at: DateTime<Utc>,
    /// When it became known here.
    pub ingested_at: DateTime<Utc>,
}

/// A body about to be stored.
#[derive(Clone, Debug)]
pub enum Body {
    /// In memory.
    Held(Vec<u8>),
    /// In a file, because nobody knows how large it is.
    Spooled(Spool),
}

impl From<Vec<u8>> for Body {
    fn from(body: Vec<u8>) -> Body {
        Body::Held(body)
    }
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
    /// The body as received; empty where it is large and passes by in chunks.
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
    /// The body was deleted because its time was over.
    #[error("the body of raw payload {raw_payload_id} was purged on {}", .purged_at.date_naive())]
    Purged {
        /// The payload.
        raw_payload_id: i64,
        /// When.
        purged_at: DateTime<Utc>,
    },
    /// The body is too large to be held in memory; [`open`] reads it as it passes by.
    #[error("the body of raw payload {raw_payload_id} lies in {chunk_count} chunks and is not held in memory")]
    InChunks {
        /// The payload.
        raw_payload_id: i64,
        /// Number of its chunks.
        chunk_count: i32,
    },
}

/// Stores an answer and returns its identifier, or nothing when the request key already has one.
///
/// A large body passes from its file into chunks; the caller's transaction holds the payload and all chunks, or nothing.
/// The partitions of its month are made when they are not there.
pub async fn insert(connection: &mut PgConnection, payload: &NewRawPayload) -> Result<Option<i64>, sqlx::Error> {
    let body = NewBody::of(&payload.body)?;
    let held = match &body.place {
        Place::Held(bytes) => Some(bytes.as_slice()),
        Place::Spooled(_) => None,
    };
    partitions::make(connection, payload.fetched_at, payload.fetched_at).await?;
    let raw_payload_id = sqlx::query_scalar!(
        "with stored as (
             -- The true number of chunks is known when the last one is written.
             insert into raw.payloads (request_key, marketplace, market, resource, keyword_id, crawl_run_id, job_id,
                 page_number, request_method, request_url, request_body, status_code, response_headers, content_type,
                 body_encoding, body_size_bytes, content_sha256, fetched_at, ingested_at, chunk_count)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, 1)
             on conflict (request_key) do nothing
             returning raw_payload_id
         ), single as (
             insert into raw.payload_chunks (raw_payload_id, chunk_number, bytes, fetched_at)
             select raw_payload_id, 1, $20::bytea, $18 from stored where $20 is not null
         )
         select raw_payload_id from stored",
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
        body.encoding,
        body.size_bytes as i64,
        body.content_sha256.as_slice(),
        payload.fetched_at,
        payload.ingested_at,
        held,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let (Some(raw_payload_id), Place::Spooled(spool)) = (raw_payload_id, &body.place) {
        let chunk_count = chunks::insert(connection, raw_payload_id, payload.fetched_at, spool).await?;
        set_chunk_count(connection, raw_payload_id, chunk_count).await?;
    }
    Ok(raw_payload_id)
}

/// Loads an answer, unpacks it and checks it against its hash. A body too large to be held is refused.
pub async fn get(connection: &mut PgConnection, raw_payload_id: i64) -> Result<RawPayload, RawPayloadError> {
    match open(connection, raw_payload_id).await? {
        (payload, None) => Ok(payload),
        (_, Some(chunks)) => Err(RawPayloadError::InChunks { raw_payload_id, chunk_count: chunks.chunk_count }),
    }
}

/// Loads an answer as [`get`] does; where its body is large, its chunks are returned to be read as they pass by.
pub async fn open(
    connection: &mut PgConnection,
    raw_payload_id: i64,
) -> Result<(RawPayload, Option<Chunks>), RawPayloadError> {
    let row = sqlx::query!(
        r#"select payloads.marketplace, payloads.market, payloads.resource, payloads.keyword_id,
                  case when named.unreadable_reason is null then named.keyword_text end as "keyword_text?",
                  payloads.crawl_run_id, payloads.page_number, payloads.request_url, payloads.status_code,
                  payloads.body_encoding, payloads.body_size_bytes, payloads.content_sha256, payloads.fetched_at,
                  payloads.purged_at, payloads.chunk_count, chunks.bytes as "single?"
           from raw.payloads payloads
           left join core.keywords keywords using (keyword_id)
           left join core.keywords named
               on named.keyword_id = coalesce(keywords.merged_into_keyword_id, keywords.keyword_id)
           left join raw.payload_chunks chunks
               on payloads.chunk_count = 1 and payloads.body_size_bytes <= $2
              and chunks.raw_payload_id = payloads.raw_payload_id and chunks.chunk_number = 1
              and chunks.fetched_at = payloads.fetched_at
           where payloads.raw_payload_id = $1"#,
        raw_payload_id,
        MAX_HELD_BODY_BYTES as i64,
    )
    .fetch_one(connection)
    .await
    .map_err(|source| RawPayloadError::Database { raw_payload_id, source })?;

    if let Some(purged_at) = row.purged_at {
        return Err(RawPayloadError::Purged { raw_payload_id, purged_at });
    }
    let damaged = |problem: String| RawPayloadError::Damaged { raw_payload_id, problem };
    let is_zstd = row.body_encoding == "zstd";
    let (body, chunks) = match (row.single, row.chunk_count) {
        (Some(stored), _) => {
            let body = unpack(stored, is_zstd, row.body_size_bytes).map_err(damaged)?;
            if Sha256::digest(&body)[..] != row.content_sha256 {
                return Err(damaged("its content does not match its hash".to_owned()));
            }
            (body, None)
        }
        (None, Some(chunk_count)) => {
            let (fetched_at, content_sha256) = (row.fetched_at, row.content_sha256);
            (Vec::new(), Some(Chunks { raw_payload_id, fetched_at, chunk_count, is_zstd, content_sha256 }))
        }
        (None, None) => return Err(damaged("its body is not here".to_owned())),
    };
    let marketplace: Marketplace = row.marketplace.parse().map_err(|error| damaged(format!("{error}")))?;
    let payload = RawPayload {
        raw_payload_id,
        site: Site { marketplace, market: row.market },
        resource: Resource::stored(&row.resource)
            .ok_or_else(|| damaged(format!("unknown resource '{}'", row.resource)))?,
        keyword_id: row.keyword_id,
        keyword_text: row.keyword_text,
        crawl_run_id: row.crawl_run_id,
        page_number: row.page_number,
        request_url: row.request_url,
        status_code: row.status_code as u16,
        body,
        fetched_at: row.fetched_at,
    };
    Ok((payload, chunks))
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

/// A body as it will lie in the database.
struct NewBody {
    place: Place,
    encoding: &'static str,
    size_bytes: u64,
    content_sha256: [u8; 32],
}

enum Place {
    Held(Vec<u8>),
    Spooled(Spool),
}

impl NewBody {
    fn of(body: &Body) -> std::io::Result<NewBody> {
        match body {
            Body::Held(bytes) if bytes.len() as u64 > MAX_HELD_BODY_BYTES => {
                let mut writer = SpoolWriter::create(None)?;
                writer.write(bytes)?;
                NewBody::spooled(writer.finish())
            }
            Body::Held(bytes) => Ok(NewBody::held(bytes)),
            Body::Spooled(spool) if spool.size_bytes() > MAX_HELD_BODY_BYTES => NewBody::spooled(spool.clone()),
            Body::Spooled(spool) => {
                let mut bytes = Vec::new();
                spool.reader().read_to_end(&mut bytes)?;
                Ok(NewBody::held(&bytes))
            }
        }
    }

    fn held(bytes: &[u8]) -> NewBody {
        let (encoded, encoding) = encode(bytes);
        NewBody {
            place: Place::Held(encoded),
            encoding,
            size_bytes: bytes.len() as u64,
            content_sha256: Sha256::digest(bytes).into(),
        }
    }

    fn spooled(spool: Spool) -> std::io::Result<NewBody> {
        Ok(NewBody {
            encoding: if spool.starts_with(&GZIP_MAGIC)? { "identity" } else { "zstd" },
            size_bytes: spool.size_bytes(),
            content_sha256: spool.content_sha256(),
            place: Place::Spooled(spool),
        })
    }
}

async fn set_chunk_count(
    connection: &mut PgConnection,
    raw_payload_id: i64,
    chunk_count: i32,
) -> Result<(), sqlx::Error> {
    sqlx::query!("update raw.payloads set chunk_count = $2 where raw_payload_id = $1", raw_payload_id, chunk_count)
        .execute(connection)
        .await?;
    Ok(())
}

/// Compresses a body, unless it came compressed.
fn encode(body: &[u8]) -> (Vec<u8>, &'static str) {
    if body.starts_with(&GZIP_MAGIC) {
        return (body.to_vec(), "identity");
    }
    match zstd::bulk::compress(body, ZSTD_LEVEL) {
        Ok(compressed) => (compressed, "zstd"),
        Err(_) => (body.to_vec(), "identity"),
    }
}

fn unpack(stored: Vec<u8>, is_zstd: bool, size_bytes: i64) -> Result<Vec<u8>, String> {
    if !is_zstd {
        return Ok(stored);
    }
    let size = usize::try_from(size_bytes).unwrap_or(usize::MAX);
    if size > MAX_BODY_BYTES {
        return Err(format!("it claims {size} bytes"));
    }
    zstd::bulk::decompress(&stored, size).map_err(|error| error.to_string())
}
