//! Bodies too large for one row: written and read in chunks, of which a few are in memory at a time.

use std::io::{self, Read};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tokio::sync::mpsc;

use super::{GZIP_MAGIC, RawPayloadError, ZSTD_LEVEL};
use crate::spool::Spool;

/// Size of a chunk; only the last one is smaller.
pub(super) const CHUNK_BYTES: usize = 1024 * 1024;

/// Chunks that wait between the database and whoever makes or reads them.
const CHUNKS_AHEAD: usize = 2;

/// The body of a stored answer that lies in chunks.
#[derive(Debug)]
pub struct Chunks {
    pub(super) raw_payload_id: i64,
    pub(super) fetched_at: DateTime<Utc>,
    pub(super) chunk_count: i32,
    pub(super) is_zstd: bool,
    pub(super) content_sha256: Vec<u8>,
}

impl Chunks {
    /// Lets `read` read the body as it was received, on a thread of its own, while the chunks are fetched one by one.
    ///
    /// What `read` made of the body is returned only when the whole body, to its end, matches its hash.
    pub async fn read<Outcome: Send + 'static>(
        self,
        connection: &mut PgConnection,
        read: impl FnOnce(&mut dyn Read) -> Outcome + Send + 'static,
    ) -> Result<Outcome, RawPayloadError> {
        let Chunks { raw_payload_id, fetched_at, chunk_count, is_zstd, content_sha256 } = self;
        let damaged = |problem: String| RawPayloadError::Damaged { raw_payload_id, problem };
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let reading = tokio::task::spawn_blocking(move || {
            let chunks = ChunkReader { receiver, left: chunk_count, chunk: Vec::new(), position: 0 };
            let mut body = HashingReader { body: unpacked(chunks, is_zstd)?, hash: Sha256::new() };
            let outcome = read(&mut body);
            // However little of the body was of interest, it must be the body that was stored.
            io::copy(&mut body, &mut io::sink())?;
            Ok::<_, io::Error>((outcome, body.hash.finalize()))
        });
        let fetched = fetch(connection, raw_payload_id, fetched_at, chunk_count, sender).await;
        let read = match reading.await {
            Ok(read) => read,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(ended) => return Err(damaged(ended.to_string())),
        };
        // That a chunk could not be fetched explains whatever the reader says of the body.
        fetched?;
        let (outcome, found_sha256) = read.map_err(|error| damaged(error.to_string()))?;
        if found_sha256[..] != content_sha256 {
            return Err(damaged("its content does not match its hash".to_owned()));
        }
        Ok(outcome)
    }
}

/// Stores a body in chunks and returns their number.
pub(super) async fn insert(
    connection: &mut PgConnection,
    raw_payload_id: i64,
    fetched_at: DateTime<Utc>,
    spool: &Spool,
) -> Result<i32, sqlx::Error> {
    let (sender, mut receiver) = mpsc::channel(CHUNKS_AHEAD);
    let spool = spool.clone();
    let making = tokio::task::spawn_blocking(move || {
        let mut body = packed(&spool)?;
        while let Some(chunk) = next_chunk(&mut body)? {
            if sender.blocking_send(chunk).is_err() {
                break; // The transaction is over already.
            }
        }
        Ok::<_, io::Error>(())
    });
    let mut chunk_count = 0;
    while let Some(chunk) = receiver.recv().await {
        chunk_count += 1;
        insert_one(connection, raw_payload_id, fetched_at, chunk_count, &chunk).await?;
    }
    making.await.map_err(|ended| sqlx::Error::Io(io::Error::other(ended)))??;
    Ok(chunk_count)
}

async fn insert_one(
    connection: &mut PgConnection,
    raw_payload_id: i64,
    fetched_at: DateTime<Utc>,
    chunk_number: i32,
    bytes: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into raw.payload_chunks (raw_payload_id, chunk_number, bytes, fetched_at) values ($1, $2, $3, $4)",
        raw_payload_id,
        chunk_number,
        bytes,
        fetched_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Hands all chunks over in order, until nobody wants them any more.
async fn fetch(
    connection: &mut PgConnection,
    raw_payload_id: i64,
    fetched_at: DateTime<Utc>,
    chunk_count: i32,
    sender: mpsc::Sender<Vec<u8>>,
) -> Result<(), RawPayloadError> {
    for chunk_number in 1..=chunk_count {
        let chunk = sqlx::query_scalar!(
            "select bytes from raw.payload_chunks where raw_payload_id = $1 and chunk_number = $2 and fetched_at = $3",
            raw_payload_id,
            chunk_number,
            fetched_at,
        )
        .fetch_optional(&mut *connection)
        .await
        .map_err(|source| RawPayloadError::Database { raw_payload_id, source })?;
        let Some(chunk) = chunk else {
            let problem = format!("chunk {chunk_number} of {chunk_count} is missing");
            return Err(RawPayloadError::Damaged { raw_payload_id, problem });
        };
        if sender.send(chunk).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Compresses a body while it is read, unless it came compressed.
fn packed(spool: &Spool) -> io::Result<Box<dyn Read + Send>> {
    if spool.starts_with(&GZIP_MAGIC)? {
        return Ok(Box::new(spool.reader()));
    }
    Ok(Box::new(zstd::stream::read::Encoder::new(spool.reader(), ZSTD_LEVEL)?))
}

fn unpacked(chunks: ChunkReader, is_zstd: bool) -> io::Result<Box<dyn Read>> {
    if is_zstd { Ok(Box::new(zstd::stream::read::Decoder::new(chunks)?)) } else { Ok(Box::new(chunks)) }
}

fn next_chunk(body: &mut dyn Read) -> io::Result<Option<Vec<u8>>> {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    body.take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
    Ok((!chunk.is_empty()).then_some(chunk))
}

/// Reads chunks as they arrive from the other side of a channel.
struct ChunkReader {
    receiver: mpsc::Receiver<Vec<u8>>,
    left: i32,
    chunk: Vec<u8>,
    position: usize,
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.position == self.chunk.len() {
            if self.left == 0 {
                return Ok(0);
            }
            self.left -= 1;
            self.position = 0;
            // An end that comes too early must not look like the end of the body.
            self.chunk = self.receiver.blocking_recv().ok_or(io::ErrorKind::UnexpectedEof)?;
        }
        let length = buffer.len().min(self.chunk.len() - self.position);
        buffer[..length].copy_from_slice(&self.chunk[self.position..self.position + length]);
        self.position += length;
        Ok(length)
    }
}

/// Takes the hash of what passes by.
struct HashingReader {
    body: Box<dyn Read>,
    hash: Sha256,
}

impl Read for HashingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.body.read(buffer)?;
        self.hash.update(&buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::SpoolWriter;

    fn spool(bytes: &[u8]) -> Spool {
        let mut writer = SpoolWriter::create(None).unwrap();
        writer.write(bytes).unwrap();
        writer.finish()
    }

    fn chunks_of(spool: &Spool) -> Vec<Vec<u8>> {
        let mut body = packed(spool).unwrap();
        std::iter::from_fn(|| next_chunk(&mut body).unwrap()).collect()
    }

    fn read_back(chunks: Vec<Vec<u8>>, left: i32, is_zstd: bool) -> io::Result<Vec<u8>> {
        let (sender, receiver) = mpsc::channel(chunks.len().max(1));
        for chunk in chunks {
            sender.try_send(chunk).unwrap();
        }
        drop(sender);
        let mut body = Vec::new();
        unpacked(ChunkReader { receiver, left, chunk: Vec::new(), position: 0 }, is_zstd)?.read_to_end(&mut body)?;
        Ok(body)
    }

    /// Bytes that cannot be compressed.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn what_came_compressed_lies_in_chunks_as_it_came() {
        let mut body = noise(2 * CHUNK_BYTES + 5);
        body[..2].copy_from_slice(&[0x1f, 0x8b]);
        let chunks = chunks_of(&spool(&body));
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [CHUNK_BYTES, CHUNK_BYTES, 5]);
        assert_eq!(chunks.concat(), body);
        assert!(read_back(chunks, 3, false).unwrap() == body);
    }

    #[test]
    fn what_came_plain_is_compressed_on_the_way() {
        let body = noise(2 * CHUNK_BYTES);
        let chunks = chunks_of(&spool(&body));
        assert_eq!(chunks.len(), 3, "noise grows a little");
        assert!(read_back(chunks, 3, true).unwrap() == body);
        assert_eq!(chunks_of(&spool(&vec![b'a'; 8 * CHUNK_BYTES])).len(), 1);
    }

    #[test]
    fn a_feed_that_breaks_off_is_no_end() {
        let error = read_back(vec![noise(10)], 2, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
