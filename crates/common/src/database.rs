//! The connection to Postgres and the migrations of every schema.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgConnection, PgPool};
use tracing::debug;
use tracing::log::LevelFilter;

use crate::queue;
use crate::secret::Secret;

/// A statement that takes longer is told in debug logs, with its whole text; some work on all rows and take their time.
const SLOW: Duration = Duration::from_secs(1);

/// Why there is no usable database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The connection string cannot be read.
    #[error("the database URL is malformed")]
    Url(#[source] sqlx::Error),
    /// Nobody answers, or the login is refused.
    #[error("failed to connect to the database at {address}")]
    Connect {
        /// Host, port and database name; no user, no password.
        address: String,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// A migration failed.
    #[error("failed to migrate the database")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The queue's own tables could not be made.
    #[error("failed to set up the queue")]
    Queue(#[source] queue::QueueError),
}

/// Connects, with at most `max_connections` connections.
pub async fn connect(url: &Secret, max_connections: u32) -> Result<PgPool, DatabaseError> {
    let options: PgConnectOptions = url.expose().parse().map_err(DatabaseError::Url)?;
    let address = format!(
        "{}:{}/{}",
        options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string()),
        options.get_port(),
        options.get_database().unwrap_or("(default)")
    );
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_secs(10))
        .after_release(|connection, _| Box::pin(async move { Ok(is_outside_a_transaction(connection).await) }))
        .connect_with(options.options([("timezone", "UTC")]).log_slow_statements(LevelFilter::Debug, SLOW))
        .await
        .map_err(|source| DatabaseError::Connect { address, source })
}

/// Tells whether a connection may go to its next user.
///
/// Work that is cut off while it begins a transaction leaves it open without sqlx 0.9.0 knowing it; whatever the next user of
/// the connection wrote would never be committed (transact-rs/sqlx#4393). A block may roll back only outside a transaction.
async fn is_outside_a_transaction(connection: &mut PgConnection) -> bool {
    let probe = sqlx::raw_sql("do $$ begin rollback; end $$").execute(connection).await;
    if let Err(error) = &probe {
        debug!(%error, "closing a connection that was left inside a transaction");
    }
    probe.is_ok()
}

/// Brings every schema, and the queue's tables, to the version of this program. Forward only; a second call changes nothing.
pub async fn migrate(pool: &PgPool) -> Result<(), DatabaseError> {
    queue::setup(pool).await.map_err(DatabaseError::Queue)?;
    sqlx::migrate!("./migrations").run(pool).await.map_err(DatabaseError::Migrate)
}
