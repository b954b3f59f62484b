//! Computes competition scores and predicts demand and competition for every active keyword, some at a time.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use digitallz_common::failure::{Failure, chain};
use digitallz_common::jobs::{Job, ScoreKeywordRange, ScoreKeywords, ScorePredictions};
use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue::{self, Attempt};
use serde_json::{Map, Value};
use sqlx::{PgConnection, PgPool};
use tracing::{info, warn};

use crate::competition::{self, Definition, Published, SCORE_VERSION};
use crate::entry::{self, EntryPrediction, Results};
use crate::features::{self, FEATURE_SET_VERSION, FeatureError, Panel};
use crate::prediction::{self, Prediction, Predictor};
use crate::rows::{CHUNK_ROWS, list};
use crate::series::{self, History, Measure, MeasuredWeek, ScoredWeek};
use crate::target::{ModelName, Target};
use crate::{Context, demotion, market, permission};

/// Keywords that are worked at together: what is known of them fits in memory, whatever the size of a marketplace.
pub const KEYWORDS_OF_RANGE: usize = 2_000;

/// Why a scoring failed.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The features could not be built.
    #[error("failed to build the features of a scoring")]
    Features(#[from] FeatureError),
    /// The scoring panicked or was cancelled.
    #[error("a scoring was broken off")]
    BrokenOff(#[from] tokio::task::JoinError),
}

impl From<ScoreError> for Failure {
    fn from(error: ScoreError) -> Failure {
        Failure::retry(error)
    }
}

/// Shares out the active keywords: each job scores and predicts some of a marketplace's, so that many scorers can work at a
/// night's scoring. Then earlier predictions are held against what came.
///
/// A champion that cannot be read is demoted first.
pub async fn run(ctx: &Context, attempt: &Attempt, job: ScoreKeywords) -> Result<(), Failure> {
    let as_of = job.as_of;
    let mut jobs = Vec::new();
    for marketplace in Marketplace::ALL {
        let keyword_ids = series::active_keywords(&ctx.db, marketplace, series::EVERY_KEYWORD).await?;
        if keyword_ids.is_empty() {
            continue;
        }
        if permission::may_train(&ctx.db, marketplace).await? {
            for model_name in ModelName::ALL {
                if demotion::readable_champion(ctx, model_name, marketplace, as_of).await?.is_none() {
                    warn!(
                        %marketplace,
                        model.name = model_name.name(),
                        keyword_count = keyword_ids.len(),
                        "predicts no {model_name} for {marketplace}: no model is trained yet",
                    );
                }
            }
        }
        let range = |keyword_ids: &[i64]| {
            let (first_keyword_id, last_keyword_id) = (keyword_ids[0], keyword_ids[keyword_ids.len() - 1]);
            Job::ScoreKeywordRange(ScoreKeywordRange { as_of, marketplace, first_keyword_id, last_keyword_id })
        };
        jobs.extend(keyword_ids.chunks(KEYWORDS_OF_RANGE).map(range));
    }
    let range_count = jobs.len();
    jobs.push(Job::ScorePredictions(ScorePredictions { as_of }));

    let mut tx = ctx.db.begin().await?;
    competition::publish_definitions(&mut tx).await?;
    queue::enqueue_all(&mut tx, &jobs, attempt.priority).await?;
    attempt.complete(&mut tx).await?;
    tx.commit().await?;
    info!(range_count, "shared out a scoring as {range_count} jobs");
    Ok(())
}

/// Scores and predicts some keywords of a marketplace from what was known at `job.as_of`.
///
/// Where the marketplace has a champion, every active keyword gets a row per model and horizon; where its history
/// cannot carry a prediction, the row says why. Where the data of a marketplace may not train a model, no model speaks of
/// it, not even one that was trained before: the rows say so.
pub async fn run_range(ctx: &Context, attempt: &Attempt, job: ScoreKeywordRange) -> Result<(), Failure> {
    let ScoreKeywordRange { as_of, marketplace, first_keyword_id, last_keyword_id } = job;
    let keyword_ids = series::active_keywords(&ctx.db, marketplace, first_keyword_id..=last_keyword_id).await?;
    let definitions = definitions(&ctx.db).await?;
    let mut results = entry::load(&ctx.db, marketplace, &keyword_ids, as_of).await?;
    let measured = measure(&ctx.db, marketplace, &keyword_ids, &definitions, &results, as_of).await?;
    let first = Definition::first();
    let mut competition = series::histories_of(&series::score_weeks(first.components(marketplace), &measured));
    let mut scores = Vec::new();
    for published in &definitions {
        let scored = series::score_weeks(published.definition.components(marketplace), &measured);
        scores.push(only_new(&ctx.db, marketplace, &keyword_ids, published, scored).await?);
    }
    let demand = series::load(&ctx.db, ModelName::Demand, marketplace, &keyword_ids, as_of).await?;
    market::add(&mut competition, marketplace, &measured, &demand);
    let may_train = permission::may_train(&ctx.db, marketplace).await?;
    let mut entries = Vec::new();
    if may_train {
        entry::attach(&mut results, &competition);
        entries = entry::predict(ctx, marketplace, &keyword_ids, &results, as_of).await?;
    }
    let mut predictions = Vec::new();
    for (model_name, histories) in [(ModelName::Demand, demand), (ModelName::Competition, competition)] {
        if may_train {
            predictions.extend(predict(ctx, model_name, marketplace, &keyword_ids, histories, as_of).await?);
        } else {
            predictions.push(abstain(model_name, marketplace, &keyword_ids, &histories, as_of));
        }
    }

    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    for batch in &scores {
        insert_scores(&mut tx, batch, now).await?;
    }
    insert_entries(&mut tx, &entries, as_of.date_naive(), attempt, now).await?;
    for batch in &predictions {
        insert_predictions(&mut tx, batch, as_of.date_naive(), attempt, now).await?;
    }
    attempt.complete(&mut tx).await?;
    tx.commit().await?;

    let rows = || predictions.iter().flat_map(|batch| &batch.rows);
    let abstained_count = rows().filter(|row| row.abstain_reason.is_some()).count();
    let prediction_count = rows().count() - abstained_count;
    let score_count: usize = scores.iter().map(|batch| batch.weeks.len()).sum();
    info!(
        %marketplace,
        score_count,
        prediction_count,
        abstained_count,
        entry_count = entries.len(),
        "scored {score_count} weeks of {} keywords of {marketplace}, wrote {prediction_count} predictions, abstained from {abstained_count}",
        keyword_ids.len(),
    );
    Ok(())
}

/// The predictions of one model.
struct Batch {
    model_name: ModelName,
    target: Target,
    /// None where the terms allow no model.
    model_version_id: Option<i64>,
    rows: Vec<Prediction>,
}

/// Says of every keyword that no model may predict it.
fn abstain(
    model_name: ModelName,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    histories: &[History],
    as_of: DateTime<Utc>,
) -> Batch {
    let target = Target::of(model_name, marketplace);
    let rows = prediction::abstain(target, keyword_ids, histories, as_of, &permission::refusal(marketplace));
    Batch { model_name, target, model_version_id: None, rows }
}

async fn predict(
    ctx: &Context,
    model_name: ModelName,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    mut histories: Vec<History>,
    as_of: DateTime<Utc>,
) -> Result<Option<Batch>, Failure> {
    let Some((champion, fitted)) = demotion::readable_champion(ctx, model_name, marketplace, as_of).await? else {
        return Ok(None);
    };
    // The market of competition was added for entry already, of what was loaded for the scores.
    if fitted.model.reads_features() && model_name == ModelName::Demand {
        series::add_beside(&ctx.db, model_name, marketplace, keyword_ids, as_of, &mut histories).await?;
    }
    let target = Target::of(model_name, marketplace);
    let keyword_ids = keyword_ids.to_vec();
    let rows = tokio::task::spawn_blocking(move || {
        let families = if fitted.model.reads_features() { features::families(model_name) } else { &[] };
        let panel = Panel::build(series::series_of(&histories, target), families)?;
        let predictor = Predictor { target, panel: &panel, fitted: &fitted, as_of };
        Ok::<_, FeatureError>(predictor.predict(&keyword_ids, &histories))
    })
    .await
    .map_err(ScoreError::from)?
    .map_err(ScoreError::from)?;
    Ok(Some(Batch { model_name, target, model_version_id: Some(champion.model_version_id), rows }))
}

/// Returns every published definition that a score can be made of.
async fn definitions(db: &PgPool) -> Result<Vec<Published>, sqlx::Error> {
    let mut usable = Vec::new();
    for read in competition::published(db).await? {
        match read {
            Ok(published) => usable.push(published),
            Err(error) => warn!(error = %chain(&error), "left out a definition of the competition score"),
        }
    }
    Ok(usable)
}

/// Loads everything that some definition or the weekly forecast weighs, and the market beside it.
async fn measure(
    db: &PgPool,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    definitions: &[Published],
    results: &[Results],
    as_of: DateTime<Utc>,
) -> Result<Vec<MeasuredWeek>, sqlx::Error> {
    let first = Definition::first();
    let all = definitions.iter().map(|published| &published.definition).chain([&first]);
    let weighed = all.flat_map(|definition| definition.components(marketplace)).map(|part| part.metric.as_str());
    let metrics: BTreeSet<&str> = weighed.chain(market::METRICS).collect();
    let metrics: Vec<String> = metrics.into_iter().map(str::to_owned).collect();
    let mut measured = series::load_measured(db, keyword_ids, &metrics, as_of).await?;
    let results: BTreeMap<i64, &Results> = results.iter().map(|results| (results.keyword_id, results)).collect();
    for week in &mut measured {
        let Some(results) = results.get(&week.keyword_id) else { continue };
        let known = entry::measures(results, series::week_of(week.week_start_date));
        week.measures.extend(known.into_iter().map(|(metric, value)| Measure {
            metric: metric.to_owned(),
            value,
            source: None,
        }));
    }
    Ok(measured)
}

/// The scores of some keywords of a marketplace by one definition.
struct Scores<'a> {
    marketplace: Marketplace,
    published: &'a Published,
    weeks: Vec<ScoredWeek>,
}

/// Drops the weeks that are scored already: a score is written once.
async fn only_new<'a>(
    db: &PgPool,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    published: &'a Published,
    mut weeks: Vec<ScoredWeek>,
) -> Result<Scores<'a>, sqlx::Error> {
    let known: BTreeSet<(i64, NaiveDate)> = sqlx::query!(
        "select keyword_id, week_start_date from ml.competition_scores
         where keyword_id = any($1) and score_version = $2",
        keyword_ids,
        published.score_version,
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| (row.keyword_id, row.week_start_date))
    .collect();
    weeks.retain(|week| !known.contains(&(week.keyword_id, week.week_start_date)));
    Ok(Scores { marketplace, published, weeks })
}

async fn insert_scores(
    connection: &mut PgConnection,
    scores: &Scores<'_>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let definition = &scores.published.definition;
    let named = |values: &[f64]| {
        let parts = definition.components(scores.marketplace).iter().zip(values);
        Value::Object(parts.map(|(part, &value)| (part.name.clone(), value.into())).collect::<Map<_, _>>())
    };
    for chunk in scores.weeks.chunks(CHUNK_ROWS) {
        let contributions: Vec<Value> = chunk.iter().map(|week| named(&week.score.contributions)).collect();
        let components: Vec<Value> = chunk.iter().map(|week| named(&week.score.levels)).collect();
        let levels: Vec<String> = chunk.iter().map(|week| definition.level(week.score.score).to_owned()).collect();
        // Postgres has no arrays of arrays of different lengths: each list travels as the text of an array.
        let payloads: Vec<String> = chunk
            .iter()
            .map(|week| {
                let ids: Vec<String> = week.raw_payload_ids.iter().map(i64::to_string).collect();
                format!("{{{}}}", ids.join(","))
            })
            .collect();
        sqlx::query!(
            "insert into ml.competition_scores (keyword_id, week_start_date, score_version, score, level,
                 contributions, components, source_payload_ids, observed_at, scored_at)
             select keyword_id, week_start_date, $1, score, level, contributions, components, payloads::bigint[],
                    observed_at, $2
             from unnest($3::bigint[], $4::date[], $5::double precision[], $6::text[], $7::jsonb[], $8::jsonb[],
                         $9::text[], $10::timestamptz[])
                 as scores (keyword_id, week_start_date, score, level, contributions, components, payloads, observed_at)
             on conflict do nothing",
            scores.published.score_version,
            now,
            &chunk.iter().map(|week| week.keyword_id).collect::<Vec<_>>(),
            &chunk.iter().map(|week| week.week_start_date).collect::<Vec<_>>(),
            &chunk.iter().map(|week| week.score.score).collect::<Vec<_>>(),
            &levels,
            &contributions,
            &components,
            &payloads,
            &chunk.iter().map(|week| week.observed_at).collect::<Vec<_>>(),
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn insert_entries(
    connection: &mut PgConnection,
    entries: &[EntryPrediction],
    as_of_date: NaiveDate,
    attempt: &Attempt,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    for chunk in entries.chunks(CHUNK_ROWS) {
        entry::insert(connection, chunk, as_of_date, attempt.job_id, now).await?;
    }
    Ok(())
}

async fn insert_predictions(
    connection: &mut PgConnection,
    batch: &Batch,
    as_of_date: NaiveDate,
    attempt: &Attempt,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let score_version = (batch.target == Target::CompetitionScore).then_some(SCORE_VERSION);
    for chunk in batch.rows.chunks(CHUNK_ROWS) {
        sqlx::query_file!(
            "src/score_insert_predictions.sql",
            batch.model_name.name(),
            batch.target.metric(),
            batch.target.unit(),
            as_of_date,
            batch.model_version_id,
            FEATURE_SET_VERSION,
            score_version,
            attempt.job_id,
            now,
            &list(chunk, |row| row.keyword_id),
            &list(chunk, |row| 7 * row.horizon as i32),
            &list(chunk, |row| row.target_date),
            &list(chunk, |row| row.current_value) as &[Option<f64>],
            &list(chunk, |row| row.value) as &[Option<f64>],
            &list(chunk, |row| row.lo_80) as &[Option<f64>],
            &list(chunk, |row| row.hi_80) as &[Option<f64>],
            &list(chunk, |row| row.lo_95) as &[Option<f64>],
            &list(chunk, |row| row.hi_95) as &[Option<f64>],
            &list(chunk, |row| row.baseline_value) as &[Option<f64>],
            &list(chunk, |row| row.trend_class) as &[Option<&str>],
            &list(chunk, |row| row.competition_level) as &[Option<&str>],
            &list(chunk, |row| row.abstain_reason.clone()) as &[Option<String>],
            &list(chunk, |row| row.observation_count as i32),
            &list(chunk, |row| row.first_observed_date) as &[Option<NaiveDate>],
            &list(chunk, |row| row.last_observed_date) as &[Option<NaiveDate>],
            &list(chunk, |row| row.sources.clone()),
            &list(chunk, |row| row.data_quality_score),
            &list(chunk, |row| row.error_scale) as &[Option<f64>],
            &list(chunk, |row| row.direction.map(|direction| direction.falling)) as &[Option<f64>],
            &list(chunk, |row| row.direction.map(|direction| direction.stable)) as &[Option<f64>],
            &list(chunk, |row| row.direction.map(|direction| direction.rising)) as &[Option<f64>],
            &list(chunk, |row| row.demand_pattern) as &[Option<&str>],
            &list(chunk, |row| row.season_strength) as &[Option<f64>],
            &list(chunk, |row| row.next_peak_date) as &[Option<NaiveDate>],
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
