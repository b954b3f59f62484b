//! The mark on a database that the demo made, by which it knows what it may make anew.

use chrono::{DateTime, Utc};
use digitallz_common::clock::Clock;
use digitallz_common::marketplace::Marketplace;
use digitallz_common::source_policy::{self, Rules};
use sqlx::{Executor, PgPool};

const DEMO: &str = "demo data of Digitallz Keywords; `digitallz demo` makes this database anew";
const DEMO_AND_MORE: &str = "demo data of Digitallz Keywords with data of a user; `digitallz demo` keeps it aside";

/// Who acknowledges the terms of the pretend marketplaces.
const DEMO_ACTOR: &str = "demo";

/// What a database holds, as far as the demo is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// No keywords and no answers.
    Empty,
    /// What the demo made, and nothing else.
    Demo,
    /// What the demo made, and what a user added.
    DemoAndMore,
    /// What a user made.
    UsersOwn,
}

/// Looks at a database, migrated or not.
pub async fn read(db: &PgPool) -> Result<Content, sqlx::Error> {
    let state = sqlx::query!(
        r#"select shobj_description(oid, 'pg_database') as mark,
                  to_regclass('core.keywords') is not null as "is_migrated!"
           from pg_database where datname = current_database()"#
    )
    .fetch_one(db)
    .await?;
    match state.mark.as_deref() {
        Some(DEMO) => return Ok(Content::Demo),
        Some(DEMO_AND_MORE) => return Ok(Content::DemoAndMore),
        _ => {}
    }
    let is_used = state.is_migrated
        && sqlx::query_scalar!(
            r#"select exists (select from core.keywords) or exists (select from raw.payloads) as "is_used!""#
        )
        .fetch_one(db)
        .await?;
    Ok(if is_used { Content::UsersOwn } else { Content::Empty })
}

/// Marks a database as made by the demo.
pub async fn put(db: &PgPool) -> Result<(), sqlx::Error> {
    mark(db, DEMO).await
}

/// Acknowledges the terms of the demo's own pretend marketplaces, keeps all that they answer, and lets it train.
pub async fn acknowledge_sources(db: &PgPool, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let mut tx = db.begin().await?;
    for marketplace in Marketplace::ALL {
        source_policy::set_rules(&mut tx, marketplace, Rules::UNLIMITED, DEMO_ACTOR, now).await?;
        source_policy::acknowledge(&mut tx, marketplace, DEMO_ACTOR, now).await?;
    }
    tx.commit().await
}

/// Takes back what the demo acknowledged: it never spoke of the true marketplaces.
async fn withdraw_sources(db: &PgPool, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let mut tx = db.begin().await?;
    for marketplace in Marketplace::ALL {
        let policy = source_policy::get(&mut tx, marketplace).await?;
        if policy.acknowledged.is_some_and(|acknowledged| acknowledged.acknowledged_by == DEMO_ACTOR) {
            source_policy::set_rules(&mut tx, marketplace, Rules::default_of(marketplace), DEMO_ACTOR, now).await?;
            source_policy::withdraw(&mut tx, marketplace, DEMO_ACTOR, now).await?;
        }
    }
    tx.commit().await
}

/// Notes, before a user's data is written to a demo database, that it is more than that from now on.
///
/// What comes after may reach true marketplaces, so the demo's acknowledgements end here.
pub async fn note_users_data(db: &PgPool) -> Result<(), sqlx::Error> {
    if read(db).await? == Content::Demo {
        eprintln!("note: this database holds demo data; for real work give --data-dir or DATABASE_URL of your own");
        withdraw_sources(db, Clock::System.now()).await?;
        mark(db, DEMO_AND_MORE).await?;
    }
    Ok(())
}

/// A remark on a database takes neither parameters nor an expression for its name.
async fn mark(db: &PgPool, remark: &'static str) -> Result<(), sqlx::Error> {
    let name = sqlx::query_scalar!(r#"select quote_ident(current_database()) as "name!""#).fetch_one(db).await?;
    db.execute(sqlx::AssertSqlSafe(format!("comment on database {name} is '{remark}'"))).await?;
    Ok(())
}
