//! The timetable: which schedules there are, and how due ones become crawl runs, trainings and scorings.
//!
//! Any number of schedulers may look at the same table. A due entry is taken under a row lock, and its run or job is made
//! in the transaction that moves the entry on, so it fires once. A gap, however long, fires once too: for the entry that
//! was due first; the moments missed meanwhile are passed over.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use digitallz_common::jobs::{Job, PlanCrawl, ScoreKeywords, TrainModels};
use digitallz_common::marketplace::{Marketplace, Site, UnknownName};
use digitallz_common::queue::{self, QueueError};
use sqlx::{PgConnection, PgPool};
use tracing::{error, info};
use uuid::Uuid;

use crate::settings::{Environment, SettingsError};

/// Why the scheduler could not tick.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The database failed.
    #[error("the scheduler's database failed")]
    Database(#[from] sqlx::Error),
    /// A job could not be enqueued.
    #[error("failed to enqueue a scheduled job")]
    Queue(#[from] QueueError),
    /// An entry of the table cannot be read.
    #[error("schedule '{schedule_name}' is malformed: {problem}")]
    Malformed {
        /// The entry.
        schedule_name: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// When things happen unless an operator says otherwise.
#[derive(Clone, Debug)]
pub struct Timetable {
    crawl: cron::Schedule,
    train: cron::Schedule,
    score: cron::Schedule,
    time_zone: Tz,
}

impl Timetable {
    /// Reads the timetable from the settings.
    pub fn read(environment: &Environment) -> Result<Timetable, SettingsError> {
        Ok(Timetable {
            crawl: environment.cron("DIGITALLZ_CRAWL_CRON")?,
            train: environment.cron("DIGITALLZ_TRAIN_CRON")?,
            score: environment.cron("DIGITALLZ_SCORE_CRON")?,
            time_zone: environment.time_zone()?,
        })
    }
}

/// What an entry starts when it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A crawl run over the active keywords of a site.
    Crawl(Site),
    /// A training of all models.
    Train,
    /// Predictions for all keywords.
    Score,
}

/// Makes an entry for every site that has keywords, and for training and scoring, where there is none yet.
pub async fn ensure_timetable(db: &PgPool, timetable: &Timetable, now: DateTime<Utc>) -> Result<(), SchedulerError> {
    let mut connection = db.acquire().await?;
    let sites = sqlx::query!(
        "select distinct marketplace, market from core.keywords
         where is_active and not exists (
             select from ops.schedules
             where action = 'crawl' and schedules.marketplace = keywords.marketplace
               and schedules.market = keywords.market)"
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in sites {
        let site =
            parse_site(&row.marketplace, &row.market).map_err(|problem| malformed(&row.marketplace, &problem))?;
        let name = format!("crawl-{}-{}", site.marketplace, site.market.to_lowercase());
        ensure_schedule(&mut connection, &name, &Action::Crawl(site), &timetable.crawl, timetable.time_zone, now)
            .await?;
    }
    ensure_schedule(&mut connection, "train", &Action::Train, &timetable.train, timetable.time_zone, now).await?;
    ensure_schedule(&mut connection, "score", &Action::Score, &timetable.score, timetable.time_zone, now).await
}

/// Makes an entry unless there is one of that name.
pub async fn ensure_schedule(
    connection: &mut PgConnection,
    name: &str,
    action: &Action,
    cron: &cron::Schedule,
    time_zone: Tz,
    now: DateTime<Utc>,
) -> Result<(), SchedulerError> {
    let (action_name, site) = match action {
        Action::Crawl(site) => ("crawl", Some(site)),
        Action::Train => ("train", None),
        Action::Score => ("score", None),
    };
    let next_due_at = next_after(cron, time_zone, now).ok_or_else(|| malformed(name, "it never falls due"))?;
    sqlx::query!(
        "insert into ops.schedules (schedule_name, action, cron_expression, time_zone, marketplace, market, next_due_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (schedule_name) do nothing",
        name,
        action_name,
        cron.source(),
        time_zone.name(),
        site.map(|site| site.marketplace.name()),
        site.map(|site| site.market.as_str()),
        next_due_at,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Fires every entry that is due, each once, and returns how many.
pub async fn tick(db: &PgPool, now: DateTime<Utc>) -> Result<usize, SchedulerError> {
    let mut fired = 0;
    loop {
        let mut tx = db.begin().await?;
        let Some(due) = next_due(&mut tx, now).await? else { return Ok(fired) };
        match due.parse(now) {
            Ok(firing) => {
                start(&mut tx, &due, &firing, now).await?;
                info!(schedule = due.schedule_name, due_at = %due.next_due_at, "schedule {} fired", due.schedule_name);
                fired += 1;
            }
            Err(problem) => {
                // One broken entry must not hold up the others for ever.
                error!(schedule = due.schedule_name, "{problem}; the schedule is paused");
                sqlx::query!("update ops.schedules set is_paused = true where schedule_name = $1", due.schedule_name)
                    .execute(&mut *tx)
                    .await?;
            }
        }
        tx.commit().await?;
    }
}

/// An entry that is due, as it is stored.
struct Due {
    schedule_name: String,
    action: String,
    cron_expression: String,
    time_zone: String,
    marketplace: Option<String>,
    market: Option<String>,
    next_due_at: DateTime<Utc>,
}

/// What a due entry does, and when it is due again.
struct Firing {
    action: Action,
    next_due_at: DateTime<Utc>,
}

impl Due {
    fn parse(&self, now: DateTime<Utc>) -> Result<Firing, SchedulerError> {
        let problem = |problem: &dyn std::fmt::Display| malformed(&self.schedule_name, &problem.to_string());
        let cron = cron::Schedule::from_str(&self.cron_expression).map_err(|error| problem(&error))?;
        let time_zone: Tz = self.time_zone.parse().map_err(|error| problem(&error))?;
        let next_due_at = next_after(&cron, time_zone, now).ok_or_else(|| problem(&"it never falls due again"))?;
        let action = match (self.action.as_str(), &self.marketplace, &self.market) {
            ("crawl", Some(marketplace), Some(market)) => {
                Action::Crawl(parse_site(marketplace, market).map_err(|error| problem(&error))?)
            }
            ("train", ..) => Action::Train,
            ("score", ..) => Action::Score,
            (other, ..) => return Err(problem(&format!("the action '{other}' is not known"))),
        };
        Ok(Firing { action, next_due_at })
    }
}

/// Locks the entry that is due first and that no other scheduler holds.
async fn next_due(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<Option<Due>, sqlx::Error> {
    sqlx::query_as!(
        Due,
        "select schedule_name, action, cron_expression, time_zone, marketplace, market, next_due_at
         from ops.schedules
         where not is_paused and next_due_at <= $1
         order by next_due_at
         limit 1
         for update skip locked",
        now
    )
    .fetch_optional(connection)
    .await
}

/// Makes what the entry asks for and moves it on.
async fn start(
    connection: &mut PgConnection,
    due: &Due,
    firing: &Firing,
    now: DateTime<Utc>,
) -> Result<(), SchedulerError> {
    match &firing.action {
        Action::Crawl(site) => {
            start_scheduled_run(connection, &due.schedule_name, due.next_due_at, site, now).await?;
        }
        Action::Train => {
            queue::enqueue(connection, &Job::TrainModels(TrainModels { as_of: now }), 0).await?;
        }
        Action::Score => {
            queue::enqueue(connection, &Job::ScoreKeywords(ScoreKeywords { as_of: now }), 0).await?;
        }
    }
    sqlx::query!(
        "update ops.schedules set next_due_at = $2, last_fired_at = $3 where schedule_name = $1",
        due.schedule_name,
        firing.next_due_at,
        due.next_due_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn start_scheduled_run(
    connection: &mut PgConnection,
    schedule_name: &str,
    scheduled_for: DateTime<Utc>,
    site: &Site,
    now: DateTime<Utc>,
) -> Result<(), SchedulerError> {
    let crawl_run_id = Uuid::now_v7();
    let inserted = sqlx::query!(
        "insert into ops.crawl_runs (crawl_run_id, trigger, schedule_name, scheduled_for, marketplace, market, created_at)
         values ($1, 'schedule', $2, $3, $4, $5, $6)
         on conflict (schedule_name, scheduled_for, marketplace, market) do nothing",
        crawl_run_id,
        schedule_name,
        scheduled_for,
        site.marketplace.name(),
        site.market,
        now,
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if inserted > 0 {
        queue::enqueue(connection, &Job::PlanCrawl(PlanCrawl { crawl_run_id }), 0).await?;
    }
    Ok(())
}

fn next_after(cron: &cron::Schedule, time_zone: Tz, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    cron.after(&now.with_timezone(&time_zone)).next().map(|next| next.with_timezone(&Utc))
}

fn parse_site(marketplace: &str, market: &str) -> Result<Site, UnknownName> {
    Site::new(Marketplace::from_str(marketplace)?, market)
}

fn malformed(schedule_name: &str, problem: &(impl std::fmt::Display + ?Sized)) -> SchedulerError {
    SchedulerError::Malformed { schedule_name: schedule_name.to_owned(), problem: problem.to_string() }
}
