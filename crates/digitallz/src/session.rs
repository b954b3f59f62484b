//! What most commands begin with: settings, a database that is there and migrated, and a clean leave.

use digitallz_common::clock::Clock;
use digitallz_common::database;
use digitallz_common::raw_payload::stores::BodyStores;
use digitallz_common::secret::Secret;
use sqlx::PgPool;

use crate::cli::Cli;
use crate::postgres::{self, DATABASE_NAME, PrivatePostgres};
use crate::settings::Environment;

/// Connections of a command that only reads or writes a little.
const FEW_CONNECTIONS: u32 = 4;

/// Connections of a process that plays roles: one listener per queue, the jobs at work, and some air.
const WORKER_CONNECTIONS: u32 = 32;

/// An open database with the settings in force.
#[derive(Debug)]
pub struct Session {
    /// Connections to the database.
    pub db: PgPool,
    /// The settings.
    pub environment: Environment,
    /// The clock of the world.
    pub clock: Clock,
    /// The object stores in which bodies lie.
    pub body_stores: BodyStores,
    private_postgres: Option<PrivatePostgres>,
}

impl Session {
    /// Opens the database for a command.
    pub async fn open(cli: &Cli) -> anyhow::Result<Session> {
        Session::with_connections(cli, FEW_CONNECTIONS).await
    }

    /// Opens the database for roles.
    pub async fn open_for_work(cli: &Cli) -> anyhow::Result<Session> {
        Session::with_connections(cli, WORKER_CONNECTIONS).await
    }

    async fn with_connections(cli: &Cli, max_connections: u32) -> anyhow::Result<Session> {
        let environment = Environment::read(cli.env_file.as_deref())?;
        environment.check()?;
        let body_stores = environment.body_stores()?;
        let (private_postgres, url): (Option<PrivatePostgres>, Secret) = match environment.database_url() {
            Some(url) => (None, url),
            None => {
                let private_postgres = postgres::start(&cli.data_dir, &[]).await?;
                let url = private_postgres.url(DATABASE_NAME);
                (Some(private_postgres), url)
            }
        };
        let opened = async {
            let db = database::connect(&url, max_connections).await?;
            database::migrate(&db).await?;
            Ok::<PgPool, database::DatabaseError>(db)
        };
        match opened.await {
            Ok(db) => Ok(Session { db, environment, clock: Clock::System, body_stores, private_postgres }),
            Err(error) => {
                if let Some(private_postgres) = private_postgres {
                    private_postgres.leave()?;
                }
                Err(error.into())
            }
        }
    }

    /// Closes the connections and leaves the private Postgres, which stops unless another process uses it.
    pub async fn close(self) -> anyhow::Result<()> {
        self.db.close().await;
        if let Some(private_postgres) = self.private_postgres {
            private_postgres.leave()?;
        }
        Ok(())
    }
}
