//! What came of predictions of entry: eight weeks later the newcomers that were meant are counted.
//!
//! A model that falls behind persistence, or that cannot be read, predicts no longer; the one before it takes its place.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use chrono::{DateTime, NaiveDate, Utc};
use digitallz_common::audit;
use digitallz_common::failure::{Failure, chain};
use digitallz_common::marketplace::Marketplace;
use serde_json::{Value, json};
use sqlx::PgPool;
use tracing::warn;

use super::model::level_of;
use super::store::{self, StoredModel};
use super::{EntryModel, NEWCOMERS_MIN, Outcome, Results};
use crate::Context;
use crate::bootstrap::Comparison;
use crate::competition::LEVELS;
use crate::registry::ITSELF;
use crate::rows::{CHUNK_ROWS, list};
use crate::series::week_of;

/// Cohorts with outcomes over which a model is held against persistence; with fewer it is not judged.
const COHORTS: i64 = 4;

/// A prediction whose cohort may be counted, with what was counted of it last.
#[derive(Clone, Debug)]
struct Due {
    entry_prediction_id: i64,
    entry_model_id: i64,
    /// The keyword itself, or the one that it was merged into.
    keyword_id: i64,
    cohort_start_date: NaiveDate,
    predicted_value: f64,
    lo_80: f64,
    hi_80: f64,
    lo_95: f64,
    hi_95: f64,
    persistence_value: Option<f64>,
    revision: i32,
    newcomer_count: Option<i32>,
    success_count: Option<i32>,
}

/// What came of a prediction.
#[derive(Clone, Debug, PartialEq)]
struct Counted {
    entry_prediction_id: i64,
    revision: i32,
    outcome: Outcome,
    actual_value: f64,
    actual_level: &'static str,
    error: f64,
    persistence_error: Option<f64>,
    is_inside_80: bool,
    is_inside_95: bool,
}

/// Adds an outcome for every prediction about some keywords whose eight weeks ended on one of some days, unless it is the one
/// that is there already; returns how many were added.
pub async fn score(
    ctx: &Context,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    days: RangeInclusive<NaiveDate>,
    as_of: DateTime<Utc>,
) -> Result<usize, Failure> {
    let due = sqlx::query_file_as!(Due, "src/entry/ledger_due.sql", keyword_ids, days.start(), days.end())
        .fetch_all(&ctx.db)
        .await?;
    if due.is_empty() {
        return Ok(0);
    }
    let models = models(&ctx.db, marketplace, &due).await?;
    let mut keyword_ids: Vec<i64> = due.iter().map(|due| due.keyword_id).collect();
    keyword_ids.sort_unstable();
    keyword_ids.dedup();
    let results = store::load(&ctx.db, marketplace, &keyword_ids, as_of).await?;
    let results: BTreeMap<i64, &Results> = results.iter().map(|results| (results.keyword_id, results)).collect();
    let counted: Vec<Counted> = due
        .iter()
        .filter_map(|due| count(due, models.get(&due.entry_model_id)?, results.get(&due.keyword_id)?))
        .collect();
    insert(&ctx.db, &counted, as_of, ctx.clock.now()).await?;
    Ok(counted.len())
}

/// Loads the models that made some predictions; what cannot be read any more cannot be held to what it meant.
async fn models(db: &PgPool, marketplace: Marketplace, due: &[Due]) -> Result<BTreeMap<i64, EntryModel>, sqlx::Error> {
    let ids: BTreeSet<i64> = due.iter().map(|due| due.entry_model_id).collect();
    let mut models = BTreeMap::new();
    for entry_model_id in ids {
        match store::find(db, marketplace, Some(entry_model_id)).await?.map(|stored| stored.open()) {
            Some(Ok(model)) => {
                models.insert(entry_model_id, model);
            }
            Some(Err(error)) => warn!(error = %chain(&error), "left out the predictions of an entry model"),
            None => {}
        }
    }
    Ok(models)
}

/// Counts the newcomers that a prediction meant; nothing where they are too few, too few weeks were looked at, or the count
/// is known.
fn count(due: &Due, model: &EntryModel, results: &Results) -> Option<Counted> {
    let outcome = results.outcome(week_of(due.cohort_start_date) - 1)?;
    let before = (due.newcomer_count, due.success_count);
    if outcome.newcomers < NEWCOMERS_MIN || before == (Some(outcome.newcomers as i32), Some(outcome.successes as i32)) {
        return None;
    }
    let actual_value = 1.0 - model.prior.success(outcome);
    Some(Counted {
        entry_prediction_id: due.entry_prediction_id,
        revision: due.revision + 1,
        outcome,
        actual_value,
        actual_level: LEVELS[level_of(&model.cuts, actual_value)],
        error: actual_value - due.predicted_value,
        persistence_error: due.persistence_value.map(|persistence| actual_value - persistence),
        is_inside_80: (due.lo_80..=due.hi_80).contains(&actual_value),
        is_inside_95: (due.lo_95..=due.hi_95).contains(&actual_value),
    })
}

async fn insert(db: &PgPool, counted: &[Counted], as_of: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    for chunk in counted.chunks(CHUNK_ROWS) {
        sqlx::query_file!(
            "src/entry/ledger_insert.sql",
            as_of,
            now,
            &list(chunk, |one| one.entry_prediction_id),
            &list(chunk, |one| one.revision),
            &list(chunk, |one| one.outcome.newcomers as i32),
            &list(chunk, |one| one.outcome.successes as i32),
            &list(chunk, |one| one.actual_value),
            &list(chunk, |one| one.actual_level.to_owned()),
            &list(chunk, |one| one.error),
            &list(chunk, |one| one.persistence_error) as &[Option<f64>],
            &list(chunk, |one| one.is_inside_80),
            &list(chunk, |one| one.is_inside_95),
        )
        .execute(db)
        .await?;
    }
    Ok(())
}

/// Takes the model of a marketplace from its place when persistence was better than it by more than noise, over the latest
/// cohorts that were counted.
pub async fn judge(ctx: &Context, marketplace: Marketplace) -> Result<(), Failure> {
    let Some((stored, _)) = readable(ctx, marketplace).await? else { return Ok(()) };
    let rows =
        sqlx::query_file!("src/entry/ledger_errors.sql", stored.entry_model_id, COHORTS).fetch_all(&ctx.db).await?;
    if rows.first().is_none_or(|row| row.cohort_count < COHORTS) {
        return Ok(());
    }
    let persistence: BTreeMap<i64, f64> = rows.iter().map(|row| (row.keyword_id, row.persistence_error)).collect();
    let model: BTreeMap<i64, f64> = rows.iter().map(|row| (row.keyword_id, row.error)).collect();
    let comparison = Comparison::of(&persistence, &model);
    if comparison.is_beyond_noise() {
        let reason = format!(
            "over the last {COHORTS} cohorts that were counted persistence was better by more than noise: {}",
            comparison.explain()
        );
        demote(ctx, marketplace, &stored, &reason, json!(comparison)).await?;
    }
    Ok(())
}

/// Returns the model that predicts, after demoting every one that this program cannot read: its artifact was changed, or
/// an older version of the program made it.
pub(super) async fn readable(
    ctx: &Context,
    marketplace: Marketplace,
) -> Result<Option<(StoredModel, EntryModel)>, Failure> {
    while let Some(stored) = store::find(&ctx.db, marketplace, None).await? {
        match stored.open() {
            Ok(model) => return Ok(Some((stored, model))),
            Err(error) => demote(ctx, marketplace, &stored, &chain(&error), Value::Null).await?,
        }
    }
    Ok(None)
}

/// Lets a model predict no longer, and raises the event.
async fn demote(
    ctx: &Context,
    marketplace: Marketplace,
    stored: &StoredModel,
    reason: &str,
    evidence: Value,
) -> Result<(), sqlx::Error> {
    let mut tx = ctx.db.begin().await?;
    let demoted = sqlx::query!(
        "update ml.entry_models set is_serving = false where entry_model_id = $1 and is_serving",
        stored.entry_model_id,
    )
    .execute(&mut *tx)
    .await?;
    // Another process may have come first.
    if demoted.rows_affected() == 0 {
        return Ok(());
    }
    let successor = store::find(&mut *tx, marketplace, None).await?.map(|successor| successor.version);
    let detail = json!({
        "version_before": stored.version,
        "version_after": successor,
        "reason": reason,
        "evidence": evidence,
    });
    let subject = format!("{marketplace} entry");
    audit::record(&mut tx, ctx.clock.now(), ITSELF, "demote_entry_model", &subject, detail).await?;
    tx.commit().await?;
    warn!(%marketplace, model.version = stored.version, "demoted version {} of {subject}: {reason}", stored.version);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::results::{Look, Newcomer};
    use super::super::{COHORT_WEEKS, HORIZON_WEEKS, PUBLISHED_PRIOR};
    use super::*;
    use crate::series::sunday_of;

    const FIRST_WEEK: i32 = 2_800;

    fn due() -> Due {
        Due {
            entry_prediction_id: 1,
            entry_model_id: 1,
            keyword_id: 1,
            cohort_start_date: sunday_of(FIRST_WEEK),
            predicted_value: 0.5,
            lo_80: 0.4,
            hi_80: 0.6,
            lo_95: 0.3,
            hi_95: 0.9,
            persistence_value: Some(0.9),
            revision: 0,
            newcomer_count: None,
            success_count: None,
        }
    }

    /// Results that were looked at every week, with ten newcomers of which some came up, and others too early or too late.
    fn results(successes: usize) -> Results {
        let look = |week| Look { week, fresh_share: None, turnover: None, tenure: 0.0 };
        let newcomer = |first_week, top_week| Newcomer { first_week, top_week };
        let mut newcomers = vec![newcomer(FIRST_WEEK - 1, Some(FIRST_WEEK)); 3];
        newcomers.extend((0..10).map(|number| {
            // The end of the eighth week still counts, the week after it does not.
            let after = HORIZON_WEEKS - i32::from(number < successes);
            newcomer(FIRST_WEEK + COHORT_WEEKS - 1, Some(FIRST_WEEK + after))
        }));
        newcomers.extend([newcomer(FIRST_WEEK + COHORT_WEEKS, Some(FIRST_WEEK + COHORT_WEEKS)); 3]);
        let looks = (FIRST_WEEK - 10..FIRST_WEEK + HORIZON_WEEKS).map(look).collect();
        Results { keyword_id: 1, looks, newcomers, scores: Vec::new() }
    }

    #[test]
    fn exactly_the_newcomers_that_were_meant_are_counted_by_the_prior_and_the_cuts_of_the_model() {
        let model = EntryModel::believing(PUBLISHED_PRIOR, [0.55, 0.7]);
        let counted = count(&due(), &model, &results(4)).unwrap();
        let actual = 1.0 - (4.0 + 1.2) / (10.0 + 7.2);
        assert_eq!((counted.outcome, counted.revision), (Outcome { newcomers: 10, successes: 4 }, 1));
        assert!((counted.actual_value - actual).abs() < 1e-12 && (counted.error - (actual - 0.5)).abs() < 1e-12);
        assert!((counted.persistence_error.unwrap() - (actual - 0.9)).abs() < 1e-12);
        assert_eq!((counted.actual_level, counted.is_inside_80, counted.is_inside_95), ("medium", false, true));
    }

    #[test]
    fn the_same_count_is_no_news_and_another_is_the_next_revision() {
        let model = EntryModel::believing(PUBLISHED_PRIOR, [0.55, 0.7]);
        let before = Due { revision: 1, newcomer_count: Some(10), success_count: Some(4), ..due() };
        assert_eq!(count(&before, &model, &results(4)), None);
        assert_eq!(count(&before, &model, &results(5)).unwrap().revision, 2);
    }

    #[test]
    fn too_few_newcomers_or_looks_tell_nothing() {
        let model = EntryModel::believing(PUBLISHED_PRIOR, [0.55, 0.7]);
        let mut few = results(4);
        few.newcomers.drain(3..10);
        assert_eq!(count(&due(), &model, &few), None);
        let mut unseen = results(4);
        unseen.looks.truncate(12);
        assert_eq!(count(&due(), &model, &unseen), None);
    }
}
