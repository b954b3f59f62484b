//! Search terms documents of any length, written while they are sent.

use std::fmt::Display;
use std::io::Write;

use axum::body::{Body, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;
use tokio::sync::mpsc;

use crate::keywords::{FILLER_KINDS, FILLER_THINGS};
use crate::noise::{hash, unit};
use crate::words::COLORS;

/// Packed bytes that are sent together.
const CHUNK_SIZE: usize = 64 * 1024;
/// Chunks that may wait for a slow reader.
const CHUNKS_WAITING_MAX: usize = 4;
/// Rows are packed in pieces of about this size.
const TEXT_SIZE: usize = 256 * 1024;

/// What a long document is made of.
pub(crate) struct LongReport {
    pub(crate) seed: u64,
    /// The text before the first row.
    pub(crate) head: String,
    /// The terms of the world with the listings clicked most, the most searched first.
    pub(crate) terms: Vec<Term>,
    /// The text after the last row.
    pub(crate) tail: String,
    /// The document is at least so long, unpacked.
    pub(crate) bytes_min: u64,
    /// Whether a row in the middle has a field of the wrong type.
    pub(crate) has_malformed_row: bool,
}

/// A search term with its three rows.
pub(crate) struct Term {
    pub(crate) text: String,
    pub(crate) clicked: Vec<Clicked>,
}

/// A listing clicked after a search.
pub(crate) struct Clicked {
    pub(crate) asin: String,
    pub(crate) item_name: String,
    pub(crate) click_share: f64,
    pub(crate) conversion_share: f64,
}

impl LongReport {
    /// Begins to write the document on a thread of its own; it stops when nobody reads any more.
    pub(crate) fn into_body(self) -> Body {
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
        tokio::task::spawn_blocking(move || {
            let mut sink =
                Sink { encoder: GzEncoder::new(Vec::with_capacity(2 * CHUNK_SIZE), Compression::fast()), sender };
            if self.write(&mut sink).is_some() {
                sink.finish();
            }
        });
        let chunks = stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|chunk| (Ok::<Bytes, std::io::Error>(chunk), receiver))
        });
        Body::from_stream(chunks)
    }

    /// Writes the whole document; `None` means that the reader has gone.
    ///
    /// The terms of the world are spread evenly through terms that nobody tracks; ranks count all of them.
    fn write(&self, sink: &mut Sink) -> Option<()> {
        let mut text = Vec::with_capacity(TEXT_SIZE + 8 * 1024);
        text.extend_from_slice(self.head.as_bytes());
        let mut packed_bytes = 0;
        let mut is_row_due = self.has_malformed_row;
        let mut terms = self.terms.iter().zip(0u64..).peekable();
        for rank in 1u64.. {
            let written = packed_bytes + text.len() as u64;
            if is_row_due && written >= self.bytes_min / 2 {
                write_row(&mut text, "{ \"value\": null }", 1, "broken lamp", ("B000000000", "Lamp"), (0.1, 0.1));
                is_row_due = false;
            }
            match terms.peek() {
                Some((term, place)) if written * self.terms.len() as u64 >= place * self.bytes_min => {
                    write_term(&mut text, rank, term);
                    terms.next();
                }
                None if written >= self.bytes_min => break,
                _ => write_filler(&mut text, self.seed, rank),
            }
            if text.len() >= TEXT_SIZE {
                packed_bytes += text.len() as u64;
                sink.pack(&text)?;
                text.clear();
            }
        }
        text.extend_from_slice(self.tail.as_bytes());
        sink.pack(&text)
    }
}

/// Packs text and sends it on.
struct Sink {
    encoder: GzEncoder<Vec<u8>>,
    sender: mpsc::Sender<Bytes>,
}

impl Sink {
    fn pack(&mut self, text: &[u8]) -> Option<()> {
        self.encoder.write_all(text).expect("writing to memory does not fail");
        if self.encoder.get_ref().len() < CHUNK_SIZE {
            return Some(());
        }
        let chunk = std::mem::replace(self.encoder.get_mut(), Vec::with_capacity(2 * CHUNK_SIZE));
        self.sender.blocking_send(chunk.into()).ok()
    }

    fn finish(self) {
        let rest = self.encoder.finish().expect("writing to memory does not fail");
        // An error means that the reader has gone, which ends the work as well.
        let _ = self.sender.blocking_send(rest.into());
    }
}

fn write_term(text: &mut Vec<u8>, rank: u64, term: &Term) {
    for (place, clicked) in (1u64..).zip(&term.clicked) {
        let shares = (clicked.click_share, clicked.conversion_share);
        write_row(text, rank, place, &term.text, (&clicked.asin, &clicked.item_name), shares);
    }
}

/// Writes the rows of a term that nobody tracks; its number keeps it apart from all others.
fn write_filler(text: &mut Vec<u8>, seed: u64, rank: u64) {
    let salt = hash(seed, rank);
    let pick = |choices: &[&'static str], shift: u32| choices[(salt >> shift) as usize % choices.len()];
    let (kind, thing, color) = (pick(&FILLER_KINDS, 0), pick(&FILLER_THINGS, 16), pick(&COLORS, 32));
    let term = format!("{kind} {thing} {rank}");
    for place in 1..=3 {
        let salt = hash(salt, place);
        let asin = format!("B0{:08X}", salt as u32);
        let item_name = format!("{kind} {thing}, {color}, model {}", salt % 10_000);
        let click_share = (unit(salt) * 0.2 / place as f64 * 10_000.0).round() / 10_000.0;
        let conversion_share = (click_share * unit(salt.rotate_left(32)) * 10_000.0).round() / 10_000.0;
        write_row(text, rank, place, &term, (&asin, &item_name), (click_share, conversion_share));
    }
}

/// Writes a row as pretty-printed JSON. No text in it needs an escape.
fn write_row(
    text: &mut Vec<u8>,
    rank: impl Display,
    place: u64,
    term: &str,
    (asin, item_name): (&str, &str),
    (click_share, conversion_share): (f64, f64),
) {
    let is_first = text.last() == Some(&b'[');
    let comma = if is_first { "" } else { "," };
    write!(
        text,
        "{comma}\n    {{\n      \"departmentName\": \"Amazon.com\",\n      \"searchTerm\": \"{term}\",\n      \
         \"searchFrequencyRank\": {rank},\n      \"clickedAsin\": \"{asin}\",\n      \
         \"clickedItemName\": \"{item_name}\",\n      \"clickShareRank\": {place},\n      \
         \"clickShare\": {click_share:?},\n      \"conversionShare\": {conversion_share:?}\n    }}"
    )
    .expect("writing to memory does not fail");
}
