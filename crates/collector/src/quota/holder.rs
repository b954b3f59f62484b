//! The sign of life of this process in the ledger: a session of its own that holds an advisory lock as long as it lives.
//!
//! When the process dies, however it dies, its session ends and the lock goes with it; whoever looks at the ledger next sees
//! that and need not wait until the permits of the dead expire. A session that was lost is replaced under another number, so
//! that a permit is good only while the very session lasts under which it was granted.

use rand::Rng;
use sqlx::{PgConnection, PgPool};
use tokio::sync::Mutex;
use tracing::debug;

/// First half of the key of the advisory locks; the second is the holder.
pub const LOCK_CLASS: i32 = 0x6469_676c;

/// This process as a holder of permits.
#[derive(Debug, Default)]
pub struct Holder(Mutex<Option<Session>>);

#[derive(Debug)]
struct Session {
    id: i32,
    connection: PgConnection,
}

impl Holder {
    /// Returns the number under which others see this process, after opening a session if there is none.
    pub async fn id(&self, pool: &PgPool) -> Result<i32, sqlx::Error> {
        let mut session = self.0.lock().await;
        match &mut *session {
            Some(session) => Ok(session.id),
            none => Ok(none.insert(open(pool).await?).id),
        }
    }

    /// Tells whether the session of this number still lasts, so that others saw this process alive all the time since.
    pub async fn is_seen_as(&self, id: i32) -> bool {
        let mut held = self.0.lock().await;
        let Some(session) = held.as_mut().filter(|session| session.id == id) else { return false };
        match sqlx::query_scalar!("select 1 as one").fetch_one(&mut session.connection).await {
            Ok(_) => true,
            Err(lost) => {
                debug!(error = %lost, "lost the session that shows this collector alive");
                *held = None;
                false
            }
        }
    }
}

/// Opens a session outside of the pool and takes a lock that nobody else has.
async fn open(pool: &PgPool) -> Result<Session, sqlx::Error> {
    let mut connection = pool.acquire().await?.detach();
    loop {
        let id: i32 = rand::rng().random();
        let is_taken = sqlx::query_scalar!(r#"select pg_try_advisory_lock($1, $2) as "is_taken!""#, LOCK_CLASS, id)
            .fetch_one(&mut connection)
            .await?;
        if is_taken {
            return Ok(Session { id, connection });
        }
    }
}
