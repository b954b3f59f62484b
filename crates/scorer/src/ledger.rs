//! The prediction ledger: every prediction is held against what came, by the values from which models learn; those of entry
//! by [`entry::ledger`].
//!
//! A week is looked at once it is over, and for half a year more: a value that comes later, or is corrected by then, is
//! taken into account. A week without a value leaves no outcome; one in which a search term was beyond the end of the
//! marketplace's list leaves the least that the error can be.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use chrono::{DateTime, Days, NaiveDate, Utc};
use digitallz_common::failure::Failure;
use digitallz_common::jobs::ScorePredictions;
use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue::Attempt;
use digitallz_common::week::last_full_week_start;
use sqlx::{PgConnection, PgPool};
use tracing::info;

use crate::competition::SCORE_VERSION;
use crate::rows::{CHUNK_ROWS, list};
use crate::score::KEYWORDS_OF_RANGE;
use crate::series::{self, Actual};
use crate::target::{ModelName, Target};
use crate::{Context, demotion, entry};

/// Weeks after which a value that is new or was corrected changes no outcome any more.
const AWAITED_WEEKS: u64 = 26;

/// Adds an outcome for every prediction whose actual value became known or was corrected by `job.as_of`, then measures how far
/// champions have drifted, demotes those that fell behind, and sums up how predictions came true.
pub async fn run(ctx: &Context, attempt: &Attempt, job: ScorePredictions) -> Result<(), Failure> {
    let mut outcome_count = 0;
    for marketplace in Marketplace::ALL {
        let keyword_ids = series::active_keywords(&ctx.db, marketplace, series::EVERY_KEYWORD).await?;
        for keyword_ids in keyword_ids.chunks(KEYWORDS_OF_RANGE) {
            for model_name in ModelName::ALL {
                outcome_count += score(ctx, model_name, marketplace, keyword_ids, job.as_of).await?;
            }
            let days = awaited_days(job.as_of);
            outcome_count += entry::ledger::score(ctx, marketplace, keyword_ids, days, job.as_of).await?;
        }
        entry::ledger::judge(ctx, marketplace).await?;
    }
    info!(outcome_count, "scored {outcome_count} predictions");

    demotion::look(ctx, job.as_of).await?;

    let mut tx = ctx.db.begin().await?;
    sqlx::query_file!("src/ledger_summarise.sql", ctx.clock.now()).execute(&mut *tx).await?;
    attempt.complete(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Returns the first and the last day of the weeks that are over and were not left alone yet.
fn awaited_days(as_of: DateTime<Utc>) -> RangeInclusive<NaiveDate> {
    let last_week = last_full_week_start(as_of);
    last_week - Days::new(7 * (AWAITED_WEEKS - 1))..=last_week + Days::new(6)
}

/// Adds the outcomes of some keywords and returns how many there are.
async fn score(
    ctx: &Context,
    model_name: ModelName,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    as_of: DateTime<Utc>,
) -> Result<usize, sqlx::Error> {
    let target = Target::of(model_name, marketplace);
    let actuals = awaited(&ctx.db, model_name, marketplace, keyword_ids, as_of).await?;
    let due = due(&ctx.db, model_name, target, &actuals).await?;
    let outcomes: Vec<Outcome> = due.into_iter().map(|due| Outcome::of(target, due)).collect();
    let mut tx = ctx.db.begin().await?;
    insert(&mut tx, &outcomes, ctx.clock.now()).await?;
    tx.commit().await?;
    Ok(outcomes.len())
}

/// Returns the actual values of the weeks that are over and were not left alone yet.
async fn awaited(
    db: &PgPool,
    model_name: ModelName,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    as_of: DateTime<Utc>,
) -> Result<Vec<Actual>, sqlx::Error> {
    let days = awaited_days(as_of);
    let mut actuals = series::load_actuals(db, model_name, marketplace, keyword_ids, as_of).await?;
    actuals.retain(|actual| days.contains(&actual.week_start_date));
    Ok(actuals)
}

/// A prediction whose actual value is not the one of its latest outcome.
#[derive(Clone, Debug)]
struct Due {
    prediction_id: i64,
    revision: i32,
    actual_value: f64,
    /// Whether what came lies beyond that value, nobody knows how far.
    is_beyond: bool,
    raw_payload_ids: Vec<i64>,
    predicted_value: f64,
    baseline_value: Option<f64>,
    lo_80: Option<f64>,
    hi_80: Option<f64>,
    lo_95: Option<f64>,
    hi_95: Option<f64>,
    error_scale: Option<f64>,
}

async fn due(db: &PgPool, model_name: ModelName, target: Target, actuals: &[Actual]) -> Result<Vec<Due>, sqlx::Error> {
    let score_version = (target == Target::CompetitionScore).then_some(SCORE_VERSION);
    let mut all = Vec::new();
    for chunk in actuals.chunks(CHUNK_ROWS) {
        let by_week: BTreeMap<(i64, NaiveDate), &Actual> =
            chunk.iter().map(|actual| ((actual.keyword_id, actual.week_start_date), actual)).collect();
        let rows = sqlx::query_file!(
            "src/ledger_due.sql",
            model_name.name(),
            target.metric(),
            score_version,
            &chunk.iter().map(|actual| actual.keyword_id).collect::<Vec<_>>(),
            &chunk.iter().map(|actual| actual.week_start_date).collect::<Vec<_>>(),
            &chunk.iter().map(|actual| actual.value).collect::<Vec<_>>(),
            &chunk.iter().map(|actual| actual.is_beyond).collect::<Vec<_>>(),
        )
        .fetch_all(db)
        .await?;
        all.extend(rows.into_iter().map(|row| Due {
            prediction_id: row.prediction_id,
            revision: row.revision,
            actual_value: row.actual_value,
            is_beyond: row.is_beyond,
            raw_payload_ids: by_week[&(row.keyword_id, row.target_date)].raw_payload_ids.clone(),
            predicted_value: row.predicted_value,
            baseline_value: row.baseline_value,
            lo_80: row.lo_80,
            hi_80: row.hi_80,
            lo_95: row.lo_95,
            hi_95: row.hi_95,
            error_scale: row.error_scale,
        }));
    }
    Ok(all)
}

/// How wrong a prediction was.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    prediction_id: i64,
    revision: i32,
    actual_value: f64,
    is_beyond: bool,
    error: f64,
    scaled_error: Option<f64>,
    is_inside_80: Option<bool>,
    is_inside_95: Option<bool>,
    naive_error: Option<f64>,
    naive_scaled_error: Option<f64>,
    raw_payload_ids: Vec<i64>,
}

impl Outcome {
    fn of(target: Target, due: Due) -> Outcome {
        // Of what came beyond a list nobody knows more than that: it may be what was said, if that is beyond too.
        let is_less_wanted = |said: f64| target.to_model_scale(said) < target.to_model_scale(due.actual_value);
        let nearest = |said: f64| if due.is_beyond && is_less_wanted(said) { said } else { due.actual_value };
        let scaled = |said: f64| {
            let distance = (target.to_model_scale(nearest(said)) - target.to_model_scale(said)).abs();
            due.error_scale.map(|scale| distance / scale)
        };
        let is_inside = |lo: Option<f64>, hi: Option<f64>| lo.zip(hi).map(|(lo, hi)| (lo..=hi).contains(&nearest(lo)));
        Outcome {
            prediction_id: due.prediction_id,
            revision: due.revision,
            actual_value: due.actual_value,
            is_beyond: due.is_beyond,
            error: nearest(due.predicted_value) - due.predicted_value,
            scaled_error: scaled(due.predicted_value),
            is_inside_80: is_inside(due.lo_80, due.hi_80),
            is_inside_95: is_inside(due.lo_95, due.hi_95),
            naive_error: due.baseline_value.map(|baseline| nearest(baseline) - baseline),
            naive_scaled_error: due.baseline_value.and_then(scaled),
            raw_payload_ids: due.raw_payload_ids,
        }
    }
}

async fn insert(connection: &mut PgConnection, outcomes: &[Outcome], now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    for chunk in outcomes.chunks(CHUNK_ROWS) {
        // Postgres has no arrays of arrays of different lengths: each list travels as the text of an array.
        let payloads = |outcome: &Outcome| {
            let ids: Vec<String> = outcome.raw_payload_ids.iter().map(i64::to_string).collect();
            format!("{{{}}}", ids.join(","))
        };
        sqlx::query!(
            "insert into ml.prediction_outcomes (prediction_id, revision, actual_value, is_beyond, error, scaled_error,
                 is_inside_80, is_inside_95, naive_error, naive_scaled_error, source_payload_ids, scored_at)
             select prediction_id, revision, actual_value, is_beyond, error, scaled_error, is_inside_80, is_inside_95,
                    naive_error, naive_scaled_error, payloads::bigint[], $1
             from unnest($2::bigint[], $3::integer[], $4::double precision[], $5::boolean[], $6::double precision[],
                         $7::double precision[], $8::boolean[], $9::boolean[], $10::double precision[],
                         $11::double precision[], $12::text[])
                 as outcomes (prediction_id, revision, actual_value, is_beyond, error, scaled_error, is_inside_80,
                              is_inside_95, naive_error, naive_scaled_error, payloads)
             on conflict do nothing",
            now,
            &list(chunk, |outcome| outcome.prediction_id),
            &list(chunk, |outcome| outcome.revision),
            &list(chunk, |outcome| outcome.actual_value),
            &list(chunk, |outcome| outcome.is_beyond),
            &list(chunk, |outcome| outcome.error),
            &list(chunk, |outcome| outcome.scaled_error) as &[Option<f64>],
            &list(chunk, |outcome| outcome.is_inside_80) as &[Option<bool>],
            &list(chunk, |outcome| outcome.is_inside_95) as &[Option<bool>],
            &list(chunk, |outcome| outcome.naive_error) as &[Option<f64>],
            &list(chunk, |outcome| outcome.naive_scaled_error) as &[Option<f64>],
            &list(chunk, payloads),
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(actual_value: f64) -> Due {
        Due {
            prediction_id: 1,
            revision: 1,
            actual_value,
            is_beyond: false,
            raw_payload_ids: vec![7],
            predicted_value: 1_000.0,
            baseline_value: Some(2_000.0),
            lo_80: Some(900.0),
            hi_80: Some(1_100.0),
            lo_95: Some(800.0),
            hi_95: Some(1_300.0),
            error_scale: Some(0.1),
        }
    }

    #[test]
    fn an_error_is_told_in_the_unit_and_in_mean_weekly_changes() {
        let outcome = Outcome::of(Target::SearchFrequencyRank, due(1_200.0));
        assert_eq!((outcome.error, outcome.naive_error), (200.0, Some(-800.0)));
        assert!((outcome.scaled_error.unwrap() - 1.2_f64.ln() / 0.1).abs() < 1e-9);
        assert!((outcome.naive_scaled_error.unwrap() - (2_000.0 / 1_200.0_f64).ln() / 0.1).abs() < 1e-9);
        assert_eq!((outcome.is_inside_80, outcome.is_inside_95), (Some(false), Some(true)));
    }

    #[test]
    fn beyond_a_list_an_error_is_what_it_is_at_the_least() {
        let beyond = |list_end: f64| Outcome::of(Target::SearchFrequencyRank, Due { is_beyond: true, ..due(list_end) });
        // The list ended beyond both: as wrong as if the rank had been the next one.
        let far = beyond(4_000.0);
        assert_eq!(
            (far.error, far.naive_error, far.is_inside_80, far.is_inside_95),
            (3_000.0, Some(2_000.0), Some(false), Some(false))
        );
        assert!((far.naive_scaled_error.unwrap() - 2.0_f64.ln() / 0.1).abs() < 1e-9);
        // It ended within the wide interval, and before what seasonal naive said.
        let near = beyond(1_200.0);
        assert_eq!(
            (near.error, near.naive_error, near.is_inside_80, near.is_inside_95),
            (200.0, Some(0.0), Some(false), Some(true))
        );
        // It ended before all that was said: nobody is known to be wrong.
        let before = beyond(500.0);
        assert_eq!((before.error, before.scaled_error, before.is_inside_80), (0.0, Some(0.0), Some(true)));
    }

    #[test]
    fn what_a_prediction_did_not_say_is_not_judged() {
        let silent = Due { baseline_value: None, lo_80: None, hi_80: None, error_scale: None, ..due(1_000.0) };
        let outcome = Outcome::of(Target::SearchFrequencyRank, silent);
        assert_eq!((outcome.error, outcome.scaled_error, outcome.naive_scaled_error), (0.0, None, None));
        assert_eq!((outcome.is_inside_80, outcome.is_inside_95), (None, Some(true)));
    }
}
