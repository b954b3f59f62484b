//! How bodies are packed: compressed, unless they came compressed; in memory, or while they pass by.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::{Body, MAX_BODY_BYTES, MAX_HELD_BODY_BYTES};
use crate::spool::{Spool, SpoolWriter};

const ZSTD_LEVEL: i32 = 3;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A body as it will be stored.
pub(super) struct Packed {
    pub(super) content: PackedContent,
    pub(super) encoding: &'static str,
    pub(super) size_bytes: u64,
    pub(super) content_sha256: [u8; 32],
}

/// The bytes of a body that is about to be stored.
pub(super) enum PackedContent {
    /// Packed and in memory.
    Held(Vec<u8>),
    /// In a file, to be packed while it passes by.
    Spooled(Spool),
    /// Already in an object store, at this address.
    Stored(String),
}

impl Packed {
    /// Packs what is small, and puts what is large into a file if it is in none.
    pub(super) fn of(body: &Body) -> io::Result<Packed> {
        match body {
            Body::Held(bytes) if bytes.len() as u64 > MAX_HELD_BODY_BYTES => {
                let mut writer = SpoolWriter::create(None)?;
                writer.write(bytes)?;
                Packed::spooled(writer.finish())
            }
            Body::Held(bytes) => Ok(Packed::held(bytes)),
            Body::Spooled(spool) if spool.size_bytes() > MAX_HELD_BODY_BYTES => Packed::spooled(spool.clone()),
            Body::Spooled(spool) => {
                let mut bytes = Vec::new();
                spool.reader().read_to_end(&mut bytes)?;
                Ok(Packed::held(&bytes))
            }
            Body::Stored(stored) => Ok(Packed {
                content: PackedContent::Stored(stored.location.clone()),
                encoding: stored.encoding,
                size_bytes: stored.size_bytes,
                content_sha256: stored.content_sha256,
            }),
        }
    }

    fn held(bytes: &[u8]) -> Packed {
        let (encoded, encoding) = encode(bytes);
        Packed {
            content: PackedContent::Held(encoded),
            encoding,
            size_bytes: bytes.len() as u64,
            content_sha256: Sha256::digest(bytes).into(),
        }
    }

    fn spooled(spool: Spool) -> io::Result<Packed> {
        Ok(Packed {
            encoding: if spool.starts_with(&GZIP_MAGIC)? { "identity" } else { "zstd" },
            size_bytes: spool.size_bytes(),
            content_sha256: spool.content_sha256(),
            content: PackedContent::Spooled(spool),
        })
    }
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

/// Unpacks a body in memory.
pub(super) fn unpack(stored: Vec<u8>, is_zstd: bool, size_bytes: i64) -> Result<Vec<u8>, String> {
    if !is_zstd {
        return Ok(stored);
    }
    let size = usize::try_from(size_bytes).unwrap_or(usize::MAX);
    if size > MAX_BODY_BYTES {
        return Err(format!("it claims {size} bytes"));
    }
    zstd::bulk::decompress(&stored, size).map_err(|error| error.to_string())
}

/// Packs a body while it is read.
pub(super) fn packing(spool: &Spool) -> io::Result<Box<dyn Read + Send>> {
    if spool.starts_with(&GZIP_MAGIC)? {
        return Ok(Box::new(spool.reader()));
    }
    Ok(Box::new(zstd::stream::read::Encoder::new(spool.reader(), ZSTD_LEVEL)?))
}

/// Unpacks a body while it is read.
pub(super) fn unpacking(stored: impl Read + 'static, is_zstd: bool) -> io::Result<Box<dyn Read>> {
    if is_zstd { Ok(Box::new(zstd::stream::read::Decoder::new(stored)?)) } else { Ok(Box::new(stored)) }
}

/// Returns the next piece of a body; only the last one is shorter than asked for.
pub(super) fn next_piece(body: &mut dyn Read, length: usize) -> io::Result<Option<Vec<u8>>> {
    let mut piece = Vec::with_capacity(length);
    body.take(length as u64).read_to_end(&mut piece)?;
    Ok((!piece.is_empty()).then_some(piece))
}
