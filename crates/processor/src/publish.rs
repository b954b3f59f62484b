//! Publishes crawl runs: what one brought is shown at once when it is complete and looks right, and otherwise not at all.
//!
//! | check | passed when | tells of |
//! | --- | --- | --- |
//! | `answered_share` | enough of the run's questions were answered | a source that fails |
//! | `blocked_share` | few of its answers were a block | a source that shuts us out |
//! | `quarantined_share` | few rows of its answers could not be read | a source whose answers changed |
//! | `canaries` | no keyword of known shape lost it | a source that shows nothing |
//! | `row_share` | a question brought about as many rows as the median of the last runs | a source that shows less |
//!
//! A run that is held leaves what was published before in place, marked as stale. It is checked again when more of its
//! jobs end, and an operator may decide otherwise.

use chrono::{DateTime, Utc};
use digitallz_common::audit;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use tracing::{info, warn};
use uuid::Uuid;

/// Who decides when no operator does.
const ITSELF: &str = "digitallz";

/// Runs that are checked in one go.
const RUNS_AT_A_TIME: i64 = 100;

/// Earlier runs that tell what is usual, and how many of them are needed for that.
const USUAL_RUNS: i64 = 7;
const USUAL_RUNS_MIN: i64 = 3;

/// How much may be wrong with a run that is published by itself; shares from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublishConfig {
    /// Least share of questions that were answered.
    pub answered_share_min: f64,
    /// Largest share of answers that were a block.
    pub blocked_share_max: f64,
    /// Largest share of rows that could not be read.
    pub quarantined_share_max: f64,
    /// Least rows per question, as a share of what is usual.
    pub row_share_min: f64,
}

impl Default for PublishConfig {
    fn default() -> PublishConfig {
        PublishConfig {
            answered_share_min: 0.8,
            blocked_share_max: 0.1,
            quarantined_share_max: 0.1,
            row_share_min: 0.5,
        }
    }
}

/// One check of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub check: String,
    /// What was found; nothing where there was nothing to find.
    pub value: Option<f64>,
    /// The bound it is held against.
    pub bound: f64,
    /// Whether the run passes.
    pub is_passed: bool,
}

/// Checks every crawl run that is complete and not decided on, and publishes or holds it. Returns how many were decided.
pub async fn publish_finished(db: &PgPool, config: &PublishConfig, now: DateTime<Utc>) -> Result<usize, sqlx::Error> {
    let mut decided = 0;
    let mut tx = db.begin().await?;
    // Of several processes one decides on a run; the others pass over it.
    let runs = sqlx::query!(
        r#"select runs.crawl_run_id, runs.marketplace, runs.market
           from ops.crawl_runs runs
           left join core.publications publications using (crawl_run_id)
           where runs.planned_at is not null
             and (publications.crawl_run_id is null
                  or (publications.state = 'held' and publications.decided_by = $1
                      and exists (select from ops.jobs where jobs.crawl_run_id = runs.crawl_run_id
                                    and jobs.finished_at > publications.evaluated_at)))
             and not exists (select from ops.jobs
                             where jobs.crawl_run_id = runs.crawl_run_id and jobs.state in ('ready', 'running'))
           order by runs.crawl_run_id
           limit $2
           for update of runs skip locked"#,
        ITSELF,
        RUNS_AT_A_TIME,
    )
    .fetch_all(&mut *tx)
    .await?;
    for run in runs {
        let found = Found::load(&mut tx, run.crawl_run_id, &run.marketplace, &run.market).await?;
        let checks = found.checks(config);
        let failed: Vec<String> = checks.iter().filter(|check| !check.is_passed).map(Check::explain).collect();
        let reason = (!failed.is_empty()).then(|| failed.join("; "));
        let state = if reason.is_none() { "published" } else { "held" };
        sqlx::query!(
            "insert into core.publications (crawl_run_id, marketplace, market, state, checks, reason, decided_at, decided_by,
                 evaluated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp())
             on conflict (crawl_run_id) do update
             set state = $4, checks = $5, reason = $6, decided_at = $7, decided_by = $8, evaluated_at = clock_timestamp()",
            run.crawl_run_id,
            run.marketplace,
            run.market,
            state,
            json!(checks),
            reason,
            now,
            ITSELF,
        )
        .execute(&mut *tx)
        .await?;
        decided += 1;
        let run_id = run.crawl_run_id;
        match reason {
            None => info!(crawl_run.id = %run_id, marketplace = run.marketplace, "published crawl run {run_id}"),
            Some(reason) => warn!(crawl_run.id = %run_id, marketplace = run.marketplace, reason,
                "crawl run {run_id} is held back, what was published before stays: {reason}"),
        }
    }
    tx.commit().await?;
    Ok(decided)
}

/// Publishes or holds a run because an operator says so; false when nobody has decided on it yet.
pub async fn decide(
    connection: &mut PgConnection,
    crawl_run_id: Uuid,
    is_published: bool,
    by: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let state = if is_published { "published" } else { "held" };
    let changed = sqlx::query!(
        "update core.publications set state = $2, reason = $3, decided_at = $4, decided_by = $5 where crawl_run_id = $1",
        crawl_run_id,
        state,
        reason,
        now,
        by,
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if changed > 0 {
        let action = if is_published { "publish_run" } else { "hold_run" };
        audit::record(connection, now, by, action, &crawl_run_id.to_string(), json!({ "reason": reason })).await?;
    }
    Ok(changed > 0)
}

impl Check {
    fn at_least(name: &str, value: Option<f64>, bound: f64) -> Check {
        Check { check: name.to_owned(), value, bound, is_passed: value.is_none_or(|value| value >= bound) }
    }

    fn at_most(name: &str, value: Option<f64>, bound: f64) -> Check {
        Check { check: name.to_owned(), value, bound, is_passed: value.is_none_or(|value| value <= bound) }
    }

    fn explain(&self) -> String {
        let value = self.value.unwrap_or_default();
        let bound = self.bound;
        match self.check.as_str() {
            "answered_share" => {
                format!(
                    "{:.0} % of the questions were answered, at least {:.0} % are needed",
                    value * 100.0,
                    bound * 100.0
                )
            }
            "blocked_share" => {
                format!("{:.0} % of the answers were a block, at most {:.0} % may be", value * 100.0, bound * 100.0)
            }
            "quarantined_share" => {
                format!("{:.0} % of the rows could not be read, at most {:.0} % may be", value * 100.0, bound * 100.0)
            }
            "row_share" => {
                format!(
                    "a question brought {:.0} % of the usual rows, at least {:.0} % are needed",
                    value * 100.0,
                    bound * 100.0
                )
            }
            _ => format!("{value:.0} operations do not show a keyword that always has results"),
        }
    }
}

/// What is counted of a run.
struct Found {
    question_count: i64,
    answered_count: i64,
    payload_count: i64,
    blocked_count: i64,
    quarantined_payload_count: i64,
    row_count: i64,
    quarantined_row_count: i64,
    sick_canary_count: i64,
    kept_per_answer: Option<f64>,
    usual_kept_per_answer: Option<f64>,
}

impl Found {
    async fn load(
        connection: &mut PgConnection,
        crawl_run_id: Uuid,
        marketplace: &str,
        market: &str,
    ) -> Result<Found, sqlx::Error> {
        sqlx::query_file_as!(
            Found,
            "src/publish_found.sql",
            crawl_run_id,
            marketplace,
            market,
            USUAL_RUNS,
            USUAL_RUNS_MIN
        )
        .fetch_one(connection)
        .await
    }

    fn checks(&self, config: &PublishConfig) -> Vec<Check> {
        let share = |part: i64, whole: i64| (whole > 0).then(|| part as f64 / whole as f64);
        let quarantined_payloads = share(self.quarantined_payload_count, self.payload_count);
        let quarantined_rows = share(self.quarantined_row_count, self.row_count);
        let row_share = match (self.kept_per_answer, self.usual_kept_per_answer) {
            (Some(kept), Some(usual)) if usual > 0.0 => Some(kept / usual),
            _ => None,
        };
        vec![
            Check::at_least(
                "answered_share",
                share(self.answered_count, self.question_count),
                config.answered_share_min,
            ),
            Check::at_most("blocked_share", share(self.blocked_count, self.payload_count), config.blocked_share_max),
            Check::at_most(
                "quarantined_share",
                [quarantined_payloads, quarantined_rows].into_iter().flatten().max_by(f64::total_cmp),
                config.quarantined_share_max,
            ),
            Check::at_most("canaries", Some(self.sick_canary_count as f64), 0.0),
            Check::at_least("row_share", row_share, config.row_share_min),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Found {
        Found {
            question_count: 100,
            answered_count: 98,
            payload_count: 100,
            blocked_count: 1,
            quarantined_payload_count: 2,
            row_count: 4_800,
            quarantined_row_count: 20,
            sick_canary_count: 0,
            kept_per_answer: Some(48.0),
            usual_kept_per_answer: Some(50.0),
        }
    }

    fn failed(found: &Found) -> Vec<String> {
        let checks = found.checks(&PublishConfig::default());
        checks.into_iter().filter(|check| !check.is_passed).map(|check| check.check).collect()
    }

    #[test]
    fn a_run_that_looks_right_passes_and_one_fault_is_one_failed_check() {
        assert_eq!(failed(&good()), Vec::<String>::new());
        assert_eq!(failed(&Found { answered_count: 79, ..good() }), ["answered_share"]);
        assert_eq!(failed(&Found { blocked_count: 11, ..good() }), ["blocked_share"]);
        assert_eq!(failed(&Found { quarantined_payload_count: 11, ..good() }), ["quarantined_share"]);
        assert_eq!(failed(&Found { quarantined_row_count: 600, ..good() }), ["quarantined_share"]);
        assert_eq!(failed(&Found { sick_canary_count: 1, ..good() }), ["canaries"]);
        assert_eq!(failed(&Found { kept_per_answer: Some(24.0), ..good() }), ["row_share"]);
    }

    #[test]
    fn what_cannot_be_told_yet_holds_nothing_back() {
        assert_eq!(
            failed(&Found { usual_kept_per_answer: None, kept_per_answer: Some(1.0), ..good() }),
            Vec::<String>::new()
        );
        let empty = Found {
            question_count: 0,
            answered_count: 0,
            payload_count: 0,
            blocked_count: 0,
            quarantined_payload_count: 0,
            row_count: 0,
            quarantined_row_count: 0,
            kept_per_answer: None,
            ..good()
        };
        assert_eq!(failed(&empty), Vec::<String>::new());
    }
}
