//! Object stores: where bodies lie when they do not lie in Postgres.
//!
//! A body is written before the transaction that stores its payload, under a key that no other try uses. Its address stands
//! in `raw.loose_bodies` from before its first byte is written until the transaction of its payload takes it over, and again
//! once the payload gives it up. So whatever lies in a store is named in one of two tables, and what stays loose is deleted
//! by [`BodyStores::sweep`].

mod address;
mod loose;
mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::packing::{self, Packed, PackedContent};
use super::{Body, NewRawPayload, StoredBody};
use crate::failure::Failure;
use crate::secret::Secret;
use crate::spool::Spool;
use store::Store;

pub use address::{AddressError, StoreAddress};
pub(super) use loose::take_over;
pub use loose::{StoreInUse, Swept, Waiting, condemn, in_use, waiting};
pub use store::is_store_variable;

/// Size of a part of a large body on its way into a store; only the last one is smaller. S3 takes no less than 5 MiB.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// What is set of object stores.
#[derive(Clone, Debug, Default)]
pub struct BodyStoreConfig {
    /// Where new bodies go; Postgres when there is none.
    pub current: Option<StoreAddress>,
    /// Stores of earlier settings, whose bodies are read and deleted where they lie.
    pub earlier: Vec<StoreAddress>,
    /// The stores' own settings: `AWS_*`, `AZURE_*`, `GOOGLE_*`.
    pub variables: BTreeMap<String, Secret>,
}

/// Why a body could not be written, read or deleted. No secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum BodyStoreError {
    /// The store cannot be used as it is set.
    #[error("the object store {store} cannot be used as it is set: {problem}")]
    Settings {
        /// Its address.
        store: String,
        /// What is wrong.
        problem: String,
    },
    /// The store failed or refused.
    #[error("failed to {doing} the object store {store}: {problem}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// Its address.
        store: String,
        /// What it said.
        problem: String,
    },
    /// The store answers, and the object is not there.
    #[error("its object {location} is not there")]
    Missing {
        /// Address of the object.
        location: String,
    },
    /// The object lies in a store that this process was not told of.
    #[error("{location} lies in no store that is set; name its store in DIGITALLZ_RAW_STORE_EARLIER")]
    Unknown {
        /// Address of the object.
        location: String,
    },
    /// The database failed.
    #[error("failed to keep account of a body")]
    Database(#[from] sqlx::Error),
    /// The file in which a large body waits cannot be read.
    #[error("failed to read a body that waits to be stored")]
    Spool(#[from] io::Error),
}

/// A store may come back, and a setting may be corrected.
impl From<BodyStoreError> for Failure {
    fn from(error: BodyStoreError) -> Failure {
        Failure::retry(error)
    }
}

/// The object stores of a process. Clones share their connections.
#[derive(Clone, Default)]
pub struct BodyStores {
    current: Option<Arc<Store>>,
    all: Arc<[Arc<Store>]>,
}

impl fmt::Debug for BodyStores {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.all.iter().map(|store| store.address())).finish()
    }
}

impl BodyStores {
    /// Makes the stores that are set; none of them is asked anything.
    pub fn new(config: &BodyStoreConfig) -> Result<BodyStores, BodyStoreError> {
        let mut all: Vec<Arc<Store>> = Vec::new();
        for address in config.current.iter().chain(&config.earlier) {
            if !all.iter().any(|store| store.address() == address) {
                all.push(Arc::new(Store::new(address, &config.variables)?));
            }
        }
        let current = config.current.as_ref().and_then(|_| all.first().cloned());
        Ok(BodyStores { current, all: all.into() })
    }

    /// Returns where new bodies go; nothing where they go into Postgres.
    pub fn current(&self) -> Option<&StoreAddress> {
        self.current.as_ref().map(|store| store.address())
    }

    /// Returns the addresses of all stores that are set.
    pub fn addresses(&self) -> impl Iterator<Item = &StoreAddress> {
        self.all.iter().map(|store| store.address())
    }

    /// Writes the body of a payload into the store where one is set; where none is, it stays and goes into Postgres.
    ///
    /// To be called outside of transactions, right before the one that inserts the payload.
    pub async fn stow(&self, db: &PgPool, payload: NewRawPayload) -> Result<NewRawPayload, BodyStoreError> {
        let body = self.stow_body(db, payload.body, payload.fetched_at).await?;
        Ok(NewRawPayload { body, ..payload })
    }

    /// Does what [`BodyStores::stow`] does for a body whose payload is not known yet.
    pub async fn stow_body(&self, db: &PgPool, body: Body, fetched_at: DateTime<Utc>) -> Result<Body, BodyStoreError> {
        let Some(store) = &self.current else { return Ok(body) };
        let location = new_location(store.address(), fetched_at);
        let Packed { content, encoding, size_bytes, content_sha256 } = Packed::of(&body)?;
        match content {
            PackedContent::Stored(_) => return Ok(body),
            PackedContent::Held(bytes) => {
                loose::note(db, &location).await?;
                store.put(&location, bytes).await?;
            }
            PackedContent::Spooled(spool) => {
                loose::note(db, &location).await?;
                put_in_parts(db, store, &location, spool).await?;
            }
        }
        Ok(Body::Stored(StoredBody { location, encoding, size_bytes, content_sha256 }))
    }

    /// Reads a stretch of an object, less where it ends before; returns its whole size too.
    pub(super) async fn read(&self, location: &str, range: Range<u64>) -> Result<(Bytes, u64), BodyStoreError> {
        self.store_of(location)?.read(location, range).await
    }

    /// Writes, reads and deletes an object in the store for new bodies.
    pub async fn probe(&self, db: &PgPool) -> Result<(), BodyStoreError> {
        const CONTENT: &[u8] = b"probe";
        let Some(store) = &self.current else { return Ok(()) };
        let location = format!("{}/probe/{}", store.address(), Uuid::now_v7());
        loose::note(db, &location).await?;
        store.put(&location, CONTENT.to_vec()).await?;
        let read = store.read(&location, 0..CONTENT.len() as u64).await;
        let (gone, deleted) = store.delete(std::slice::from_ref(&location)).await;
        loose::forget(db, &gone).await?;
        deleted?;
        match read?.0 == CONTENT {
            true => Ok(()),
            false => Err(store.failure("read from", "what was written is not what is read")),
        }
    }

    /// Reads a little of an object, to see whether its store answers.
    pub async fn touch(&self, location: &str) -> Result<(), BodyStoreError> {
        self.read(location, 0..1).await.map(|_| ())
    }

    fn store_of(&self, location: &str) -> Result<&Arc<Store>, BodyStoreError> {
        let found = self.all.iter().find(|store| store.address().holds(location));
        found.ok_or_else(|| BodyStoreError::Unknown { location: location.to_owned() })
    }
}

/// Makes an address that nobody else uses; the month is for people who look into the store.
fn new_location(address: &StoreAddress, fetched_at: DateTime<Utc>) -> String {
    format!("{address}/{}/{}", fetched_at.format("%Y-%m"), Uuid::now_v7())
}

/// Packs a large body on a thread of its own while its parts are written one by one.
async fn put_in_parts(db: &PgPool, store: &Store, location: &str, spool: Spool) -> Result<(), BodyStoreError> {
    let (sender, mut receiver) = mpsc::channel(1);
    let making = tokio::task::spawn_blocking(move || {
        let mut body = packing::packing(&spool)?;
        while let Some(part) = packing::next_piece(&mut body, PART_BYTES)? {
            if sender.blocking_send(part).is_err() {
                break; // The writing was given up.
            }
        }
        Ok::<_, io::Error>(())
    });
    let mut upload = store.begin(location).await?;
    if upload.id().is_some() {
        loose::note_upload(db, location, upload.id()).await?;
    }
    while let Some(part) = receiver.recv().await {
        upload.put(part).await?;
        loose::go_on(db, location).await?;
    }
    making.await.map_err(io::Error::other)??;
    upload.complete().await?;
    loose::note_upload(db, location, None).await?;
    Ok(())
}
