//! Schedules as they are stored in `ops.schedules`.

use std::str::FromStr;

use chrono::{DateTime, Duration, Utc};
use digitallz_common::marketplace::{Marketplace, Resource, Site};
use serde::de::DeserializeOwned;
use sqlx::PgConnection;

use super::SchedulerError;
use super::definition::{Action, Definition, Origin};
use super::policy::Settlement;
use super::rhythm::Rhythm;

/// A schedule as it is stored, readable or not.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Name.
    pub schedule_name: String,
    /// What it starts.
    pub action: String,
    /// Cron expression of six fields.
    pub cron_expression: String,
    /// IANA time zone of the expression.
    pub time_zone: String,
    /// Marketplace to crawl.
    pub marketplace: Option<String>,
    /// Market to crawl.
    pub market: Option<String>,
    /// Tags of the keywords to crawl; none for all active ones.
    pub keyword_tags: Option<Vec<String>>,
    /// Kinds of data to ask for; none for those of the settings.
    pub resources: Option<Vec<String>>,
    /// Most requests one run may spend.
    pub request_budget: Option<i32>,
    /// Jobs of a higher number run first.
    pub priority: i32,
    /// Time within which a run starts after it is due.
    pub jitter_seconds: f64,
    /// What happens while the run before is open.
    pub overlap_policy: String,
    /// Which missed moments are made up for.
    pub missed_run_policy: String,
    /// Age beyond which a missed moment is passed over.
    pub catch_up_seconds: f64,
    /// True while it does not fire.
    pub is_paused: bool,
    /// Why it is paused.
    pub pause_reason: Option<String>,
    /// The next due moment.
    pub next_due_at: DateTime<Utc>,
    /// The due moment that fired last.
    pub last_fired_at: Option<DateTime<Utc>>,
    /// The due moment that waits for the run before to end.
    pub buffered_due_at: Option<DateTime<Utc>>,
    /// Moments that were passed over, ever.
    pub missed_run_count: i64,
    /// Who defined it.
    pub origin: String,
}

impl Stored {
    /// Reads the definition.
    pub fn definition(&self) -> Result<Definition, SchedulerError> {
        let problem = |problem: &dyn std::fmt::Display| SchedulerError::malformed(&self.schedule_name, &problem);
        let resources =
            self.resources.as_ref().map(|names| names.iter().map(|name| Resource::from_str(name)).collect());
        Ok(Definition {
            name: self.schedule_name.clone(),
            action: self.action()?,
            rhythm: Rhythm::parse(&self.cron_expression, &self.time_zone)
                .map_err(|error| problem(&digitallz_common::failure::chain(&error)))?,
            jitter: duration(self.jitter_seconds),
            keyword_tags: self.keyword_tags.clone(),
            resources: resources.transpose().map_err(|error| problem(&error))?,
            request_budget: self.request_budget,
            priority: self.priority,
            overlap: word(&self.overlap_policy).map_err(|error| problem(&error))?,
            missed_runs: word(&self.missed_run_policy).map_err(|error| problem(&error))?,
            catch_up: duration(self.catch_up_seconds),
        })
    }

    fn action(&self) -> Result<Action, SchedulerError> {
        let problem = |problem: &dyn std::fmt::Display| SchedulerError::malformed(&self.schedule_name, &problem);
        match (self.action.as_str(), &self.marketplace, &self.market) {
            ("crawl", Some(marketplace), Some(market)) => {
                let marketplace = Marketplace::from_str(marketplace).map_err(|error| problem(&error))?;
                Ok(Action::Crawl(Site::new(marketplace, market).map_err(|error| problem(&error))?))
            }
            ("train", ..) => Ok(Action::Train),
            ("score", ..) => Ok(Action::Score),
            ("purge", ..) => Ok(Action::Purge),
            (other, ..) => Err(problem(&format!("the action '{other}' is not known"))),
        }
    }
}

/// Returns the names of the schedules that may have something to start, those that were due first before the others.
pub async fn due_names(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "select schedule_name from ops.schedules
         where not is_paused and (next_due_at <= $1 or buffered_due_at is not null)
         order by next_due_at, schedule_name",
        now
    )
    .fetch_all(connection)
    .await
}

/// Locks a schedule that still may have something to start; false when it has not, or another scheduler holds it.
pub async fn lock_due(connection: &mut PgConnection, name: &str, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let locked = sqlx::query_scalar!(
        "select schedule_name from ops.schedules
         where schedule_name = $1 and not is_paused and (next_due_at <= $2 or buffered_due_at is not null)
         for update skip locked",
        name,
        now
    )
    .fetch_optional(connection)
    .await?;
    Ok(locked.is_some())
}

/// Keeps everybody else from changing schedules until the transaction ends.
pub async fn lock_all(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("lock table ops.schedules in share row exclusive mode").execute(connection).await?;
    Ok(())
}

/// Returns the schedule of a name, or all of them by name.
pub async fn list(connection: &mut PgConnection, name: Option<&str>) -> Result<Vec<Stored>, sqlx::Error> {
    sqlx::query_as!(
        Stored,
        r#"select schedule_name, action, cron_expression, time_zone, marketplace, market, keyword_tags, resources,
                  request_budget, priority, extract(epoch from jitter)::float8 as "jitter_seconds!", overlap_policy,
                  missed_run_policy, extract(epoch from catch_up_window)::float8 as "catch_up_seconds!", is_paused,
                  pause_reason, next_due_at, last_fired_at, buffered_due_at, missed_run_count, origin
           from ops.schedules
           where $1::text is null or schedule_name = $1
           order by schedule_name"#,
        name
    )
    .fetch_all(connection)
    .await
}

/// Adds a schedule unless there is one of that name, and tells whether it did.
pub async fn insert(
    connection: &mut PgConnection,
    schedule: &Definition,
    origin: Origin,
    now: DateTime<Utc>,
) -> Result<bool, SchedulerError> {
    let next_due_at = schedule.rhythm.next_after(now).ok_or_else(|| SchedulerError::never_due(&schedule.name))?;
    let inserted = sqlx::query!(
        "insert into ops.schedules (schedule_name, action, cron_expression, time_zone, next_due_at, origin, created_at,
             marketplace, market)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (schedule_name) do nothing",
        schedule.name,
        schedule.action.name(),
        schedule.rhythm.expression(),
        schedule.rhythm.time_zone().name(),
        next_due_at,
        origin.name(),
        now,
        schedule.action.site().map(|site| site.marketplace.name()),
        schedule.action.site().map(|site| site.market.as_str()),
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if inserted > 0 {
        define(connection, schedule, origin).await?;
    }
    Ok(inserted > 0)
}

/// Writes a definition over that of the schedule of its name. When it is due next is left as it is.
pub async fn define(
    connection: &mut PgConnection,
    schedule: &Definition,
    origin: Origin,
) -> Result<(), SchedulerError> {
    let resources: Option<Vec<String>> =
        schedule.resources.as_ref().map(|resources| resources.iter().map(ToString::to_string).collect());
    sqlx::query!(
        "update ops.schedules
         set action = $2, cron_expression = $3, time_zone = $4, marketplace = $5, market = $6, keyword_tags = $7,
             resources = $8, request_budget = $9, priority = $10, jitter = make_interval(secs => $11),
             overlap_policy = $12, missed_run_policy = $13, catch_up_window = make_interval(secs => $14), origin = $15
         where schedule_name = $1",
        schedule.name,
        schedule.action.name(),
        schedule.rhythm.expression(),
        schedule.rhythm.time_zone().name(),
        schedule.action.site().map(|site| site.marketplace.name()),
        schedule.action.site().map(|site| site.market.as_str()),
        schedule.keyword_tags.as_deref(),
        resources.as_deref(),
        schedule.request_budget,
        schedule.priority,
        seconds(schedule.jitter),
        schedule.overlap.to_string(),
        schedule.missed_runs.to_string(),
        seconds(schedule.catch_up),
        origin.name(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Moves a schedule on after a look; never back, whatever the clock says.
pub async fn move_on(
    connection: &mut PgConnection,
    name: &str,
    next_due_at: DateTime<Utc>,
    settlement: &Settlement,
    missed_count: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update ops.schedules
         set next_due_at = greatest(next_due_at, $2), buffered_due_at = $3, missed_run_count = missed_run_count + $4,
             last_fired_at = greatest(last_fired_at, $5)
         where schedule_name = $1",
        name,
        next_due_at,
        settlement.buffered,
        missed_count,
        settlement.starting.last().copied(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Sets when a schedule is due next.
pub async fn set_next_due(
    connection: &mut PgConnection,
    name: &str,
    next_due_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!("update ops.schedules set next_due_at = $2 where schedule_name = $1", name, next_due_at)
        .execute(connection)
        .await?;
    Ok(())
}

/// Pauses a schedule.
pub async fn pause(connection: &mut PgConnection, name: &str, reason: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update ops.schedules set is_paused = true, pause_reason = $2 where schedule_name = $1", name, reason)
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends the pause of a schedule.
///
/// What fell due during the pause is made up for as its missed-run policy says when `catch_up` is true; else the schedule
/// goes on with the first moment after now, and what waited for a run to end still waits.
pub async fn resume(
    connection: &mut PgConnection,
    stored: &Stored,
    catch_up: bool,
    now: DateTime<Utc>,
) -> Result<(), SchedulerError> {
    let name = &stored.schedule_name;
    if !catch_up {
        let rhythm = stored.definition()?.rhythm;
        let next_due_at = if stored.next_due_at > now {
            stored.next_due_at
        } else {
            rhythm.next_after(now).ok_or_else(|| SchedulerError::never_due(name))?
        };
        set_next_due(connection, name, next_due_at).await?;
    }
    sqlx::query!("update ops.schedules set is_paused = false, pause_reason = null where schedule_name = $1", name)
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes a schedule that started no crawl run yet; false when it did, for runs keep the schedule they came from.
pub async fn remove(connection: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    let removed = sqlx::query!(
        "delete from ops.schedules
         where schedule_name = $1 and not exists (select from ops.crawl_runs where schedule_name = $1)",
        name
    )
    .execute(connection)
    .await?
    .rows_affected();
    Ok(removed > 0)
}

/// Reads one of the words of an enum.
fn word<Word: DeserializeOwned>(text: &str) -> Result<Word, serde_json::Error> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
}

fn duration(seconds: f64) -> Duration {
    Duration::milliseconds((seconds * 1000.0) as i64)
}

fn seconds(duration: Duration) -> f64 {
    duration.num_milliseconds() as f64 / 1000.0
}
