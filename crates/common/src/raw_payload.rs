//! Raw payloads: the bodies of answers, verbatim. They lie in Postgres in chunks, small ones in a single one, or in an
//! object store; each payload says where its body is.

mod chunks;
mod packing;
pub mod stores;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::marketplace::{Marketplace, Resource, Site};
use crate::partitions;
use crate::spool::Spool;
use chunks::Place;
use packing::{Packed, PackedContent};
use stores::{BodyStoreError, BodyStores};

pub use chunks::Passing;

/// Largest body that is unpacked into memory, in bytes.
pub const MAX_BODY_BYTES: usize = 512 * 1024 * 1024;

/// Largest body that lies in a single chunk or part and is loaded whole, in bytes as received.
pub const MAX_HELD_BODY_BYTES: u64 = 4 * 1024 * 1024;

/// What packing may add to a body that does not compress, generously.
const PACKING_BYTES: u64 = 64 * 1024;

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
    /// Written into an object store by [`BodyStores::stow`].
    Stored(StoredBody),
}

/// A body that lies in an object store and has no payload yet.
#[derive(Clone, Debug)]
pub struct StoredBody {
    location: String,
    encoding: &'static str,
    size_bytes: u64,
    content_sha256: [u8; 32],
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
    /// The body as received; empty where it is large and passes by in pieces.
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
    /// The body is too large to be held in memory; [`open`] lets it pass by.
    #[error("the body of raw payload {raw_payload_id} is too large to be held in memory")]
    TooLarge {
        /// The payload.
        raw_payload_id: i64,
    },
    /// The object store that holds the body failed, or is not set.
    #[error("failed to load the body of raw payload {raw_payload_id}")]
    Store {
        /// The payload.
        raw_payload_id: i64,
        /// The cause.
        #[source]
        source: BodyStoreError,
    },
}

/// Stores an answer and returns its identifier, or nothing when the request key already has one.
///
/// A large body passes from its file into chunks; the caller's transaction holds the payload and all chunks, or nothing.
/// A body that [`BodyStores::stow`] wrote into an object store is taken over by the payload in the same transaction. The
/// partitions of its month are made when they are not there.
pub async fn insert(connection: &mut PgConnection, payload: &NewRawPayload) -> Result<Option<i64>, sqlx::Error> {
    let body = Packed::of(&payload.body)?;
    let (held, location) = match &body.content {
        PackedContent::Held(bytes) => (Some(bytes.as_slice()), None),
        PackedContent::Spooled(_) => (None, None),
        PackedContent::Stored(location) => (None, Some(location.as_str())),
    };
    partitions::make(connection, payload.fetched_at, payload.fetched_at).await?;
    let raw_payload_id = sqlx::query_scalar!(
        "with stored as (
             -- The true number of chunks is known when the last one is written.
             insert into raw.payloads (request_key, marketplace, market, resource, keyword_id, crawl_run_id, job_id,
                 page_number, request_method, request_url, request_body, status_code, response_headers, content_type,
                 body_encoding, body_size_bytes, content_sha256, fetched_at, ingested_at, chunk_count, body_location)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
                 case when $21::text is null then 1 end, $21)
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
        location,
    )
    .fetch_optional(&mut *connection)
    .await?;
    match (raw_payload_id, &body.content) {
        (Some(raw_payload_id), PackedContent::Spooled(spool)) => {
            let chunk_count = chunks::insert(connection, raw_payload_id, payload.fetched_at, spool).await?;
            set_chunk_count(connection, raw_payload_id, chunk_count).await?;
        }
        (Some(_), PackedContent::Stored(location)) => stores::take_over(connection, location).await?,
        _ => {}
    }
    Ok(raw_payload_id)
}

/// Loads an answer, unpacks it and checks it against its hash. A body too large to be held is refused.
///
/// To be called outside of transactions, because the body may lie in an object store.
pub async fn get(
    connection: &mut PgConnection,
    stores: &BodyStores,
    raw_payload_id: i64,
) -> Result<RawPayload, RawPayloadError> {
    match open(connection, stores, raw_payload_id).await? {
        (payload, None) => Ok(payload),
        (_, Some(_)) => Err(RawPayloadError::TooLarge { raw_payload_id }),
    }
}

/// Loads an answer as [`get`] does; a large body is returned to be read as it passes by.
pub async fn open(
    connection: &mut PgConnection,
    stores: &BodyStores,
    raw_payload_id: i64,
) -> Result<(RawPayload, Option<Passing>), RawPayloadError> {
    let row = sqlx::query!(
        r#"select payloads.marketplace, payloads.market, payloads.resource, payloads.keyword_id,
                  case when named.unreadable_reason is null then named.keyword_text end as "keyword_text?",
                  payloads.crawl_run_id, payloads.page_number, payloads.request_url, payloads.status_code,
                  payloads.body_encoding, payloads.body_size_bytes, payloads.content_sha256, payloads.fetched_at,
                  payloads.purged_at, payloads.chunk_count, payloads.body_location, chunks.bytes as "single?"
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
    .fetch_one(&mut *connection)
    .await
    .map_err(|source| RawPayloadError::Database { raw_payload_id, source })?;

    if let Some(purged_at) = row.purged_at {
        return Err(RawPayloadError::Purged { raw_payload_id, purged_at });
    }
    let damaged = |problem: String| RawPayloadError::Damaged { raw_payload_id, problem };
    let is_held = row.body_size_bytes <= MAX_HELD_BODY_BYTES as i64;
    let (single, place) = match (row.single, row.chunk_count, row.body_location) {
        (Some(stored), _, _) => (Some(stored), None),
        (None, Some(chunk_count), _) => (None, Some(Place::Chunks { fetched_at: row.fetched_at, chunk_count })),
        (None, None, Some(location)) if is_held => {
            (Some(load_object(connection, stores, raw_payload_id, &location).await?), None)
        }
        (None, None, Some(location)) => (None, Some(Place::Object { stores: stores.clone(), location })),
        (None, None, None) => return Err(damaged("its body is not here".to_owned())),
    };
    let is_zstd = row.body_encoding == "zstd";
    let body = match single {
        None => Vec::new(),
        Some(stored) => {
            let body = packing::unpack(stored, is_zstd, row.body_size_bytes).map_err(damaged)?;
            if Sha256::digest(&body)[..] != row.content_sha256 {
                return Err(damaged("its content does not match its hash".to_owned()));
            }
            body
        }
    };
    let content_sha256 = row.content_sha256;
    let passing = place.map(|place| Passing { raw_payload_id, is_zstd, content_sha256, place });
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
    Ok((payload, passing))
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

/// Loads an object that is small enough to be held.
async fn load_object(
    connection: &mut PgConnection,
    stores: &BodyStores,
    raw_payload_id: i64,
    location: &str,
) -> Result<Vec<u8>, RawPayloadError> {
    let bound = MAX_HELD_BODY_BYTES + PACKING_BYTES;
    match stores.read(location, 0..bound).await {
        Ok((bytes, size)) if size <= bound => Ok(bytes.into()),
        Ok((_, size)) => {
            let problem = format!("its object has {size} bytes, more than its body can have");
            Err(RawPayloadError::Damaged { raw_payload_id, problem })
        }
        Err(error) => Err(object_failure(connection, raw_payload_id, error).await),
    }
}

/// Tells why an object cannot be read. One that is missing was purged meanwhile, or is lost.
async fn object_failure(connection: &mut PgConnection, raw_payload_id: i64, error: BodyStoreError) -> RawPayloadError {
    if !matches!(error, BodyStoreError::Missing { .. }) {
        return RawPayloadError::Store { raw_payload_id, source: error };
    }
    let purged_at = sqlx::query_scalar!("select purged_at from raw.payloads where raw_payload_id = $1", raw_payload_id)
        .fetch_one(connection)
        .await;
    match purged_at {
        Ok(Some(purged_at)) => RawPayloadError::Purged { raw_payload_id, purged_at },
        Ok(None) => RawPayloadError::Damaged { raw_payload_id, problem: error.to_string() },
        Err(source) => RawPayloadError::Database { raw_payload_id, source },
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
