//! Computes competition scores and predicts demand and competition for every active keyword.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use digitallz_common::failure::Failure;
use digitallz_common::jobs::{Job, ScoreKeywords, ScorePredictions};
use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue::{self, Attempt};
use serde_json::{Map, Value};
use sqlx::{PgConnection, PgPool};
use tracing::{info, warn};

use crate::competition::{self, SCORE_VERSION};
use crate::features::{FEATURE_SET_VERSION, FeatureError, Panel};
use crate::prediction::{self, Prediction, Predictor};
use crate::series::{self, History, ScoredWeek};
use crate::target::{ModelName, Target};
use crate::{Context, demotion, permission};

/// Rows of one statement.
const CHUNK_ROWS: usize = 5_000;

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

/// Scores and predicts from what was known at `job.as_of`.
///
/// Every active keyword of a marketplace that has a champion gets a row per model and horizon; where its history
/// cannot carry a prediction, the row says why. Where the data of a marketplace may not train a model, no model speaks of
/// it, not even one that was trained before: the rows say so.
pub async fn run(ctx: &Context, attempt: &Attempt, job: ScoreKeywords) -> Result<(), Failure> {
    let mut scores = Vec::new();
    let mut predictions = Vec::new();
    for marketplace in Marketplace::ALL {
        let keyword_ids = series::active_keywords(&ctx.db, marketplace).await?;
        if keyword_ids.is_empty() {
            continue;
        }
        let scored = series::load_competition(&ctx.db, marketplace, job.as_of).await?;
        let competition = series::histories_of(&scored);
        scores.extend(only_new(&ctx.db, marketplace, scored).await?);
        let demand = series::load(&ctx.db, ModelName::Demand, marketplace, job.as_of).await?;
        let may_train = permission::may_train(&ctx.db, marketplace).await?;
        for (model_name, histories) in [(ModelName::Demand, demand), (ModelName::Competition, competition)] {
            if may_train {
                predictions.extend(predict(ctx, model_name, marketplace, &keyword_ids, histories, job.as_of).await?);
            } else {
                predictions.push(abstain(model_name, marketplace, &keyword_ids, &histories, job.as_of));
            }
        }
    }

    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    competition::publish_definition(&mut tx).await?;
    insert_scores(&mut tx, &scores, now).await?;
    for batch in &predictions {
        insert_predictions(&mut tx, batch, job.as_of.date_naive(), attempt, now).await?;
    }
    queue::enqueue(&mut tx, &Job::ScorePredictions(ScorePredictions { as_of: job.as_of }), attempt.priority).await?;
    attempt.complete(&mut tx).await?;
    tx.commit().await?;

    let rows = || predictions.iter().flat_map(|batch| &batch.rows);
    let abstained_count = rows().filter(|row| row.abstain_reason.is_some()).count();
    info!(
        score_count = scores.len(),
        prediction_count = rows().count() - abstained_count,
        abstained_count,
        "scored {} weeks, wrote {} predictions, abstained from {abstained_count}",
        scores.len(),
        rows().count() - abstained_count,
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
    histories: Vec<History>,
    as_of: DateTime<Utc>,
) -> Result<Option<Batch>, Failure> {
    let Some(champion) = demotion::intact_champion(ctx, model_name, marketplace, as_of).await? else {
        warn!(
            %marketplace,
            model.name = model_name.name(),
            keyword_count = keyword_ids.len(),
            "predicted no {} for {marketplace}: no model is trained yet",
            model_name.name(),
        );
        return Ok(None);
    };
    let (model, intervals) = champion.open()?;
    let target = Target::of(model_name, marketplace);
    let keyword_ids = keyword_ids.to_vec();
    let rows = tokio::task::spawn_blocking(move || {
        let panel = Panel::build(series::series_of(&histories, target), model_name)?;
        let predictor = Predictor { target, panel: &panel, model: model.as_ref(), intervals: &intervals, as_of };
        Ok::<_, FeatureError>(predictor.predict(&keyword_ids, &histories))
    })
    .await
    .map_err(ScoreError::from)?
    .map_err(ScoreError::from)?;
    Ok(Some(Batch { model_name, target, model_version_id: Some(champion.model_version_id), rows }))
}

/// Drops the weeks that are scored already: a score is written once.
async fn only_new(
    db: &PgPool,
    marketplace: Marketplace,
    mut scored: Vec<ScoredWeek>,
) -> Result<Vec<(Marketplace, ScoredWeek)>, sqlx::Error> {
    let known: BTreeSet<(i64, NaiveDate)> = sqlx::query!(
        "select keyword_id, week_start_date from ml.competition_scores
         join core.keywords using (keyword_id)
         where keywords.marketplace = $1 and score_version = $2",
        marketplace.name(),
        SCORE_VERSION,
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| (row.keyword_id, row.week_start_date))
    .collect();
    scored.retain(|week| !known.contains(&(week.keyword_id, week.week_start_date)));
    Ok(scored.into_iter().map(|week| (marketplace, week)).collect())
}

async fn insert_scores(
    connection: &mut PgConnection,
    scores: &[(Marketplace, ScoredWeek)],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    for chunk in scores.chunks(CHUNK_ROWS) {
        let contributions: Vec<Value> = chunk
            .iter()
            .map(|(marketplace, week)| {
                let components = competition::components(*marketplace).iter();
                let named = components.zip(&week.score.contributions);
                Value::Object(named.map(|(part, &value)| (part.name.to_owned(), value.into())).collect::<Map<_, _>>())
            })
            .collect();
        let levels: Vec<String> =
            chunk.iter().map(|(_, week)| competition::level(week.score.score).to_owned()).collect();
        // Postgres has no arrays of arrays of different lengths: each list travels as the text of an array.
        let payloads: Vec<String> = chunk
            .iter()
            .map(|(_, week)| {
                let ids: Vec<String> = week.raw_payload_ids.iter().map(i64::to_string).collect();
                format!("{{{}}}", ids.join(","))
            })
            .collect();
        sqlx::query!(
            "insert into ml.competition_scores (keyword_id, week_start_date, score_version, score, level,
                 contributions, source_payload_ids, observed_at, scored_at)
             select keyword_id, week_start_date, $1, score, level, contributions, payloads::bigint[], observed_at, $2
             from unnest($3::bigint[], $4::date[], $5::double precision[], $6::text[], $7::jsonb[], $8::text[],
                         $9::timestamptz[])
                 as scores (keyword_id, week_start_date, score, level, contributions, payloads, observed_at)
             on conflict do nothing",
            SCORE_VERSION,
            now,
            &chunk.iter().map(|(_, week)| week.keyword_id).collect::<Vec<_>>(),
            &chunk.iter().map(|(_, week)| week.week_start_date).collect::<Vec<_>>(),
            &chunk.iter().map(|(_, week)| week.score.score).collect::<Vec<_>>(),
            &levels,
            &contributions,
            &payloads,
            &chunk.iter().map(|(_, week)| week.observed_at).collect::<Vec<_>>(),
        )
        .execute(&mut *connection)
        .await?;
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
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Returns one column of some rows.
fn list<T>(rows: &[Prediction], of: impl Fn(&Prediction) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}
