//! Bringing the table of schedules to what a file says: what is new, what changes field by field, what goes.
//!
//! Applying the same file again changes nothing. A change of the rhythm counts from now on; whatever else is changed keeps
//! the moment at which the schedule is due next. A schedule that started crawl runs is never deleted, for they keep their
//! origin: it is paused.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use digitallz_common::audit;
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;

use super::definition::{Definition, Origin};
use super::file::Entry;
use super::table::{self, Stored};
use super::{SchedulerError, rhythm::Rhythm};

/// Why a schedule is paused that started runs and is no longer in the file.
const PRUNED: &str = "no longer in the file of schedules";

/// What became of one schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Its name.
    pub schedule: String,
    /// `created`, `changed`, `unchanged`, `removed`, or `paused` for one that is gone from the file and started runs.
    pub outcome: &'static str,
    /// The fields that change.
    pub changes: Vec<Change>,
}

/// A field that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The key of the file.
    pub field: &'static str,
    /// The value before; `-` for none.
    pub from: String,
    /// The value after; `-` for none.
    pub to: String,
}

/// Applies a file in the caller's transaction, which is rolled back for a dry run.
///
/// With `prune`, schedules that a file made and that this one does not name are removed.
pub async fn apply(
    connection: &mut PgConnection,
    entries: &[Entry],
    prune: bool,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Applied>, SchedulerError> {
    table::lock_all(connection).await?;
    let stored = table::list(connection, None).await?;
    let mut applied = Vec::new();
    for entry in entries {
        let name = &entry.definition.name;
        let before = stored.iter().find(|schedule| schedule.schedule_name == *name);
        applied.push(match before {
            Some(before) => change(connection, before, entry, now).await?,
            None => create(connection, entry, now).await?,
        });
    }
    if prune {
        let named: BTreeSet<&str> = entries.iter().map(|entry| entry.definition.name.as_str()).collect();
        let gone = |schedule: &&Stored| {
            schedule.origin == Origin::File.name()
                && !named.contains(schedule.schedule_name.as_str())
                && schedule.pause_reason.as_deref() != Some(PRUNED)
        };
        for schedule in stored.iter().filter(gone) {
            applied.push(remove(connection, &schedule.schedule_name).await?);
        }
    }
    for schedule in applied.iter().filter(|schedule| schedule.outcome != "unchanged") {
        let detail = json!({ "outcome": schedule.outcome, "changes": schedule.changes });
        audit::record(connection, now, actor, "apply_schedule", &schedule.schedule, detail).await?;
    }
    Ok(applied)
}

async fn create(connection: &mut PgConnection, entry: &Entry, now: DateTime<Utc>) -> Result<Applied, SchedulerError> {
    let name = &entry.definition.name;
    table::insert(connection, &entry.definition, Origin::File, now).await?;
    if entry.is_paused == Some(true) {
        table::pause(connection, name, reason(entry)).await?;
    }
    let fields = defined_fields(&entry.definition);
    let changes = fields
        .into_iter()
        .filter(|(_, to)| to != "-")
        .map(|(field, to)| Change { field, from: "-".to_owned(), to })
        .collect();
    Ok(Applied { schedule: name.clone(), outcome: "created", changes })
}

async fn change(
    connection: &mut PgConnection,
    before: &Stored,
    entry: &Entry,
    now: DateTime<Utc>,
) -> Result<Applied, SchedulerError> {
    let after = &entry.definition;
    let mut changes = Vec::new();
    let mut compare = |field, from: String, to: String| {
        if from != to {
            changes.push(Change { field, from, to });
        }
    };
    for ((field, from), (_, to)) in stored_fields(before).into_iter().zip(defined_fields(after)) {
        compare(field, from, to);
    }
    compare("origin", before.origin.clone(), Origin::File.name().to_owned());
    // Being in the file again ends the pause that being gone from it began.
    let was_pruned = before.pause_reason.as_deref() == Some(PRUNED);
    let is_paused = entry.is_paused.unwrap_or(before.is_paused && !was_pruned);
    compare("paused", before.is_paused.to_string(), is_paused.to_string());
    if entry.is_paused == Some(true) {
        compare("pause_reason", shown(before.pause_reason.clone()), reason(entry).to_owned());
    }
    let applied = |outcome, changes| Applied { schedule: after.name.clone(), outcome, changes };
    if changes.is_empty() {
        return Ok(applied("unchanged", changes));
    }

    table::define(connection, after, Origin::File).await?;
    if is_other_rhythm(before, &after.rhythm) {
        let passed = before.last_fired_at.map_or(now, |last_fired_at| last_fired_at.max(now));
        let next_due_at = after.rhythm.next_after(passed).ok_or_else(|| SchedulerError::never_due(&after.name))?;
        table::set_next_due(connection, &after.name, next_due_at).await?;
    }
    if entry.is_paused == Some(true) {
        table::pause(connection, &after.name, reason(entry)).await?;
    } else if before.is_paused && !is_paused {
        let defined = table::list(connection, Some(&after.name)).await?;
        for stored in &defined {
            table::resume(connection, stored, false, now).await?;
        }
    }
    Ok(applied("changed", changes))
}

async fn remove(connection: &mut PgConnection, name: &str) -> Result<Applied, SchedulerError> {
    let outcome = if table::remove(connection, name).await? {
        "removed"
    } else {
        table::pause(connection, name, PRUNED).await?;
        "paused"
    };
    Ok(Applied { schedule: name.to_owned(), outcome, changes: Vec::new() })
}

fn reason(entry: &Entry) -> &str {
    entry.pause_reason.as_deref().unwrap_or("paused in the file of schedules")
}

fn is_other_rhythm(before: &Stored, after: &Rhythm) -> bool {
    before.cron_expression != after.expression() || before.time_zone != after.time_zone().name()
}

/// Writes a time as it is written in a file.
pub fn duration_text(duration: Duration) -> String {
    duration.to_std().map_or_else(|_| duration.to_string(), |duration| humantime::format_duration(duration).to_string())
}

fn stored_fields(stored: &Stored) -> Vec<(&'static str, String)> {
    let seconds = |seconds: f64| duration_text(Duration::milliseconds((seconds * 1000.0) as i64));
    vec![
        ("action", stored.action.clone()),
        ("marketplace", shown(stored.marketplace.clone())),
        ("market", shown(stored.market.clone())),
        ("cron", stored.cron_expression.clone()),
        ("time_zone", stored.time_zone.clone()),
        ("jitter", seconds(stored.jitter_seconds)),
        ("keyword_tags", shown(stored.keyword_tags.as_ref().map(|tags| tags.join(", ")))),
        ("resources", shown(stored.resources.as_ref().map(|resources| resources.join(", ")))),
        ("request_budget", shown(stored.request_budget)),
        ("priority", stored.priority.to_string()),
        ("overlap", stored.overlap_policy.clone()),
        ("missed_runs", stored.missed_run_policy.clone()),
        ("catch_up", seconds(stored.catch_up_seconds)),
    ]
}

/// Returns the same fields in the same order.
fn defined_fields(definition: &Definition) -> Vec<(&'static str, String)> {
    let site = definition.action.site();
    let resources = definition.resources.as_ref();
    vec![
        ("action", definition.action.name().to_owned()),
        ("marketplace", shown(site.map(|site| site.marketplace))),
        ("market", shown(site.map(|site| site.market.clone()))),
        ("cron", definition.rhythm.expression().to_owned()),
        ("time_zone", definition.rhythm.time_zone().name().to_owned()),
        ("jitter", duration_text(definition.jitter)),
        ("keyword_tags", shown(definition.keyword_tags.as_ref().map(|tags| tags.join(", ")))),
        ("resources", shown(resources.map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")))),
        ("request_budget", shown(definition.request_budget)),
        ("priority", definition.priority.to_string()),
        ("overlap", definition.overlap.to_string()),
        ("missed_runs", definition.missed_runs.to_string()),
        ("catch_up", duration_text(definition.catch_up)),
    ]
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
