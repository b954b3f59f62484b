//! What a schedule makes when it fires: a crawl run with its job, or a job.

use chrono::{DateTime, Utc};
use digitallz_common::jobs::{Job, PlanCrawl, PurgeExpired, ScoreKeywords, TrainModels};
use digitallz_common::marketplace::Site;
use digitallz_common::queue;
use sqlx::PgConnection;
use uuid::Uuid;

use super::SchedulerError;
use super::definition::{Action, Definition};

/// Why a schedule starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// It is due.
    Due,
    /// An operator asked for it.
    Operator,
}

/// Makes what a schedule asks for, for a due moment. Returns the crawl run, if it is one, or nothing when the moment had
/// fired before.
pub async fn start(
    connection: &mut PgConnection,
    schedule: &Definition,
    due_at: DateTime<Utc>,
    trigger: Trigger,
    now: DateTime<Utc>,
) -> Result<Option<Started>, SchedulerError> {
    let priority = match trigger {
        Trigger::Due => schedule.priority,
        Trigger::Operator => schedule.priority.max(queue::OPERATOR_PRIORITY),
    };
    let as_of = due_at;
    let job = match &schedule.action {
        Action::Crawl(site) => {
            let run = start_crawl(connection, schedule, site, due_at, trigger, priority, now).await?;
            let Some(crawl_run_id) = run else { return Ok(None) };
            Job::PlanCrawl(PlanCrawl { crawl_run_id })
        }
        Action::Train => Job::TrainModels(TrainModels { as_of }),
        Action::Score => Job::ScoreKeywords(ScoreKeywords { as_of }),
        Action::Purge => Job::PurgeExpired(PurgeExpired { as_of }),
    };
    let job_id = queue::enqueue(connection, &job, priority).await?;
    Ok(job_id.map(|job_id| Started { job_id, crawl_run_id: job.crawl_run_id() }))
}

/// What was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Started {
    /// The job.
    pub job_id: Uuid,
    /// The crawl run, if it is one.
    pub crawl_run_id: Option<Uuid>,
}

/// Tells whether what a schedule started before is still open: a job of one of its crawl runs, or a job of its kind.
pub async fn is_previous_open(connection: &mut PgConnection, schedule: &Definition) -> Result<bool, sqlx::Error> {
    let job_name = match &schedule.action {
        Action::Crawl(_) => return is_crawl_open(connection, &schedule.name).await,
        Action::Train => "train_models",
        Action::Score => "score_keywords",
        Action::Purge => "purge_expired",
    };
    sqlx::query_scalar!(
        r#"select exists (
               select from ops.jobs where job_name = $1 and state in ('ready', 'running')
           ) as "is_open!""#,
        job_name
    )
    .fetch_one(connection)
    .await
}

/// A run that is not planned yet has an open job too, that of planning it.
async fn is_crawl_open(connection: &mut PgConnection, schedule_name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (
               select from ops.jobs join ops.crawl_runs using (crawl_run_id)
               where schedule_name = $1 and state in ('ready', 'running')
           ) as "is_open!""#,
        schedule_name
    )
    .fetch_one(connection)
    .await
}

async fn start_crawl(
    connection: &mut PgConnection,
    schedule: &Definition,
    site: &Site,
    due_at: DateTime<Utc>,
    trigger: Trigger,
    priority: i32,
    now: DateTime<Utc>,
) -> Result<Option<Uuid>, SchedulerError> {
    let crawl_run_id = Uuid::now_v7();
    let resources: Option<Vec<String>> =
        schedule.resources.as_ref().map(|resources| resources.iter().map(ToString::to_string).collect());
    let inserted = sqlx::query!(
        "insert into ops.crawl_runs (crawl_run_id, trigger, schedule_name, scheduled_for, marketplace, market,
             keyword_tags, resources, request_budget, priority, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         on conflict (schedule_name, scheduled_for, marketplace, market) do nothing",
        crawl_run_id,
        match trigger {
            Trigger::Due => "schedule",
            Trigger::Operator => "manual",
        },
        schedule.name,
        due_at,
        site.marketplace.name(),
        site.market,
        schedule.keyword_tags.as_deref(),
        resources.as_deref(),
        schedule.request_budget,
        priority,
        now,
    )
    .execute(connection)
    .await?
    .rows_affected();
    Ok((inserted > 0).then_some(crawl_run_id))
}
