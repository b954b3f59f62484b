//! The timetable: the schedules that the settings make where an operator has made none.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use digitallz_common::marketplace::{Marketplace, Site, UnknownName};
use sqlx::{PgConnection, PgPool};

use super::definition::{Action, Definition, Origin};
use super::rhythm::Rhythm;
use super::{SchedulerError, table};
use crate::settings::{Environment, SettingsError};

/// When things happen unless an operator says otherwise.
#[derive(Clone, Debug)]
pub struct Timetable {
    crawl: cron::Schedule,
    train: cron::Schedule,
    score: cron::Schedule,
    purge: cron::Schedule,
    time_zone: Tz,
}

impl Timetable {
    /// Reads the timetable from the settings.
    pub fn read(environment: &Environment) -> Result<Timetable, SettingsError> {
        Ok(Timetable {
            crawl: environment.cron("DIGITALLZ_CRAWL_CRON")?,
            train: environment.cron("DIGITALLZ_TRAIN_CRON")?,
            score: environment.cron("DIGITALLZ_SCORE_CRON")?,
            purge: environment.cron("DIGITALLZ_PURGE_CRON")?,
            time_zone: environment.time_zone()?,
        })
    }

    fn rhythm(&self, cron: &cron::Schedule) -> Rhythm {
        Rhythm::new(cron.clone(), self.time_zone)
    }
}

/// Makes a schedule for every site that has keywords, and for training, scoring and purging, where there is none yet.
pub async fn ensure(db: &PgPool, timetable: &Timetable, now: DateTime<Utc>) -> Result<(), SchedulerError> {
    let mut connection = db.acquire().await?;
    for site in sites_without_crawl(&mut connection).await? {
        let name = format!("crawl-{}-{}", site.marketplace, site.market.to_lowercase());
        let schedule = Definition::new(&name, Action::Crawl(site), timetable.rhythm(&timetable.crawl));
        table::insert(&mut connection, &schedule, Origin::Settings, now).await?;
    }
    let actions =
        [(Action::Train, &timetable.train), (Action::Score, &timetable.score), (Action::Purge, &timetable.purge)];
    for (action, cron) in actions {
        if !has_schedule(&mut connection, action.name()).await? {
            let schedule = Definition::new(action.name(), action.clone(), timetable.rhythm(cron));
            table::insert(&mut connection, &schedule, Origin::Settings, now).await?;
        }
    }
    Ok(())
}

async fn sites_without_crawl(connection: &mut PgConnection) -> Result<Vec<Site>, SchedulerError> {
    let rows = sqlx::query!(
        "select distinct marketplace, market from core.keywords
         where is_active and not exists (
             select from ops.schedules
             where action = 'crawl' and schedules.marketplace = keywords.marketplace
               and schedules.market = keywords.market)"
    )
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            site(&row.marketplace, &row.market).map_err(|problem| SchedulerError::malformed(&row.marketplace, &problem))
        })
        .collect()
}

async fn has_schedule(connection: &mut PgConnection, action: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select exists (select from ops.schedules where action = $1) as "has_schedule!""#, action)
        .fetch_one(connection)
        .await
}

fn site(marketplace: &str, market: &str) -> Result<Site, UnknownName> {
    Site::new(Marketplace::from_str(marketplace)?, market)
}
