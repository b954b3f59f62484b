//! The sign of life of this process in the ledger: a session of its own that holds an advisory lock as long as it lives.
//!
//! When the process dies, however it dies, its session ends and the lock goes with it; whoever looks at the ledger next sees
//! that and need not wait until the permits of the dead expire.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::Rng;
use sqlx::{PgConnection, PgPool};
use tokio::task::JoinHandle;
use tracing::debug;

/// First half of the key of the advisory locks; the second is the holder.
pub const LOCK_CLASS: i32 = 0x6469_676c;

/// How often the session is tried.
const PING: Duration = Duration::from_millis(500);

/// How soon another session is tried after one was lost.
const RETRY: Duration = Duration::from_millis(500);

/// This process as a holder of permits.
#[derive(Debug)]
pub struct Holder {
    id: i32,
    has_session: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Holder {
    /// Opens the session and keeps it until the holder is dropped.
    pub async fn start(pool: &PgPool) -> Result<Holder, sqlx::Error> {
        let id = rand::rng().random();
        let has_session = Arc::new(AtomicBool::new(true));
        let mut session = open(pool, id).await?;
        let (pool, flag) = (pool.clone(), Arc::clone(&has_session));
        let task = tokio::spawn(async move {
            loop {
                let lost = keep(&mut session).await;
                flag.store(false, Ordering::SeqCst);
                debug!(error = %lost, "lost the session that shows this collector alive");
                session = loop {
                    tokio::time::sleep(RETRY).await;
                    if pool.is_closed() {
                        return;
                    }
                    if let Ok(session) = open(&pool, id).await {
                        break session;
                    }
                };
                flag.store(true, Ordering::SeqCst);
            }
        });
        Ok(Holder { id, has_session, task })
    }

    /// Returns the holder's number.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Tells whether others see that this process lives. While they do not, no permit may be used.
    pub fn is_seen(&self) -> bool {
        self.has_session.load(Ordering::SeqCst)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens a session outside of the pool and takes the lock.
async fn open(pool: &PgPool, id: i32) -> Result<PgConnection, sqlx::Error> {
    let mut session = pool.acquire().await?.detach();
    sqlx::query_scalar!("select pg_advisory_lock($1, $2)", LOCK_CLASS, id).fetch_one(&mut session).await?;
    Ok(session)
}

/// Keeps a session until it is lost, and returns how.
async fn keep(session: &mut PgConnection) -> sqlx::Error {
    loop {
        tokio::time::sleep(PING).await;
        if let Err(lost) = sqlx::query_scalar!("select 1 as one").fetch_one(&mut *session).await {
            return lost;
        }
    }
}
