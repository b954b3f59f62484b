//! Bodies too large to be held: written to the database in chunks, and read piece by piece from wherever they lie.

use std::io::{self, Read};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tokio::sync::mpsc;

use super::packing::{next_piece, packing, unpacking};
use super::stores::BodyStores;
use super::{RawPayloadError, object_failure};
use crate::spool::Spool;

/// Size of a chunk; only the last one is smaller.
pub(super) const CHUNK_BYTES: usize = 1024 * 1024;

/// Size of what is read of an object at a time.
const STRETCH_BYTES: u64 = 4 * 1024 * 1024;

/// Pieces that wait between where the body lies and whoever makes or reads them.
const PIECES_AHEAD: usize = 2;

/// The body of a stored answer that is too large to be held, to be read as it passes by.
#[derive(Debug)]
pub struct Passing {
    pub(super) raw_payload_id: i64,
    pub(super) is_zstd: bool,
    pub(super) content_sha256: Vec<u8>,
    pub(super) place: Place,
}

/// Where the body lies.
#[derive(Debug)]
pub(super) enum Place {
    /// In chunks in the database.
    Chunks { fetched_at: DateTime<Utc>, chunk_count: i32 },
    /// In an object store.
    Object { stores: BodyStores, location: String },
}

impl Passing {
    /// Lets `read` read the body as it was received, on a thread of its own, while its pieces are fetched one by one.
    ///
    /// What `read` made of the body is returned only when the whole body, to its end, matches its hash.
    pub async fn read<Outcome: Send + 'static>(
        self,
        connection: &mut PgConnection,
        read: impl FnOnce(&mut dyn Read) -> Outcome + Send + 'static,
    ) -> Result<Outcome, RawPayloadError> {
        let Passing { raw_payload_id, is_zstd, content_sha256, place } = self;
        let damaged = |problem: String| RawPayloadError::Damaged { raw_payload_id, problem };
        let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
        let reading = tokio::task::spawn_blocking(move || {
            let pieces = PieceReader { receiver, is_over: false, piece: Bytes::new() };
            let mut body = HashingReader { body: unpacking(pieces, is_zstd)?, hash: Sha256::new() };
            let outcome = read(&mut body);
            // However little of the body was of interest, it must be the body that was stored.
            io::copy(&mut body, &mut io::sink())?;
            Ok::<_, io::Error>((outcome, body.hash.finalize()))
        });
        let fetched = match &place {
            Place::Chunks { fetched_at, chunk_count } => {
                fetch_chunks(connection, raw_payload_id, *fetched_at, *chunk_count, sender).await
            }
            Place::Object { stores, location } => {
                fetch_object(connection, raw_payload_id, stores, location, sender).await
            }
        };
        let read = match reading.await {
            Ok(read) => read,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(ended) => return Err(damaged(ended.to_string())),
        };
        // That a piece could not be fetched explains whatever the reader says of the body.
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
    let (sender, mut receiver) = mpsc::channel(PIECES_AHEAD);
    let spool = spool.clone();
    let making = tokio::task::spawn_blocking(move || {
        let mut body = packing(&spool)?;
        while let Some(chunk) = next_piece(&mut body, CHUNK_BYTES)? {
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

/// A piece of a body on its way to its reader; nothing after the last one.
type Piece = Option<Bytes>;

/// Hands all chunks over in order, until nobody wants them any more.
async fn fetch_chunks(
    connection: &mut PgConnection,
    raw_payload_id: i64,
    fetched_at: DateTime<Utc>,
    chunk_count: i32,
    sender: mpsc::Sender<Piece>,
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
        if sender.send(Some(chunk.into())).await.is_err() {
            return Ok(());
        }
    }
    // Whoever does not listen any more has a reason of its own.
    let _ = sender.send(None).await;
    Ok(())
}

/// Hands an object over in order, a stretch at a time, until nobody wants it any more.
async fn fetch_object(
    connection: &mut PgConnection,
    raw_payload_id: i64,
    stores: &BodyStores,
    location: &str,
    sender: mpsc::Sender<Piece>,
) -> Result<(), RawPayloadError> {
    let mut start = 0;
    loop {
        let (stretch, size) = match stores.read(location, start..start + STRETCH_BYTES).await {
            Ok(read) => read,
            Err(error) => return Err(object_failure(connection, raw_payload_id, error).await),
        };
        let end = (start + STRETCH_BYTES).min(size);
        if start + stretch.len() as u64 != end {
            let problem = format!("its object ends after {} of {size} bytes", start + stretch.len() as u64);
            return Err(RawPayloadError::Damaged { raw_payload_id, problem });
        }
        if sender.send(Some(stretch)).await.is_err() {
            return Ok(());
        }
        if end == size {
            break;
        }
        start = end;
    }
    // Whoever does not listen any more has a reason of its own.
    let _ = sender.send(None).await;
    Ok(())
}

/// Reads pieces as they arrive from the other side of a channel.
struct PieceReader {
    receiver: mpsc::Receiver<Piece>,
    is_over: bool,
    piece: Bytes,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            if self.is_over {
                return Ok(0);
            }
            // An end that comes too early must not look like the end of the body.
            match self.receiver.blocking_recv().ok_or(io::ErrorKind::UnexpectedEof)? {
                Some(piece) => self.piece = piece,
                None => self.is_over = true,
            }
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
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
        let mut body = packing(spool).unwrap();
        std::iter::from_fn(|| next_piece(&mut body, CHUNK_BYTES).unwrap()).collect()
    }

    fn read_back(chunks: Vec<Vec<u8>>, is_whole: bool, is_zstd: bool) -> io::Result<Vec<u8>> {
        let (sender, receiver) = mpsc::channel(chunks.len() + 1);
        for chunk in chunks {
            sender.try_send(Some(chunk.into())).unwrap();
        }
        if is_whole {
            sender.try_send(None).unwrap();
        }
        drop(sender);
        let mut body = Vec::new();
        unpacking(PieceReader { receiver, is_over: false, piece: Bytes::new() }, is_zstd)?.read_to_end(&mut body)?;
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
        assert!(read_back(chunks, true, false).unwrap() == body);
    }

    #[test]
    fn what_came_plain_is_compressed_on_the_way() {
        let body = noise(2 * CHUNK_BYTES);
        let chunks = chunks_of(&spool(&body));
        assert_eq!(chunks.len(), 3, "noise grows a little");
        assert!(read_back(chunks, true, true).unwrap() == body);
        assert_eq!(chunks_of(&spool(&vec![b'a'; 8 * CHUNK_BYTES])).len(), 1);
    }

    #[test]
    fn a_feed_that_breaks_off_is_no_end() {
        let error = read_back(vec![noise(10)], false, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
