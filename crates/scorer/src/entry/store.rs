//! The tables of entry: results are read, models and predictions are written.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use digitallz_common::failure::Failure;
use digitallz_common::marketplace::Marketplace;
use digitallz_common::week::last_full_week_start;
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::learn::features_at;
use super::{
    Appearance, COHORT_WEEKS, ENTRY_FEATURE_SET_VERSION, EntryModel, EntryModelError, HORIZON_WEEKS, Held, Learnt,
    PUBLISHED_PRIOR, Results, learn, ledger, persistence, top_positions,
};
use crate::Context;
use crate::competition::{ENTRY_SUCCESS, PAGE_TURNOVER};
use crate::series::{History, sunday_of, week_of};

/// Why entry could not be learnt or predicted.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// A model could not be fitted or read.
    #[error("failed to learn the entry of newcomers for {0}")]
    Model(String, #[source] EntryModelError),
    /// The learning panicked or was cancelled.
    #[error("the learning of entry for {0} was broken off")]
    BrokenOff(&'static str, #[source] tokio::task::JoinError),
    /// The stored bytes are not those that were registered.
    #[error("the artifact of entry model {0} does not have the hash it was registered with")]
    Hash(i64),
    /// The model was made for other features than this program builds.
    #[error("entry model {0} was made for {1}, this program builds {ENTRY_FEATURE_SET_VERSION}")]
    FeatureSet(i64, String),
}

/// A broken artifact does not mend by itself: a person should look.
impl From<EntryError> for Failure {
    fn from(error: EntryError) -> Failure {
        match error {
            EntryError::BrokenOff(..) => Failure::retry(error),
            _ => Failure::give_up(error),
        }
    }
}

/// Loads what the results of some keywords of a marketplace showed, as far as it was known at `as_of`.
pub async fn load(
    db: &PgPool,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    as_of: DateTime<Utc>,
) -> Result<Vec<Results>, sqlx::Error> {
    let mut rows = sqlx::query_file!("src/entry/results.sql", keyword_ids, as_of).fetch(db);
    let mut all = Vec::new();
    let mut appearances: Vec<Appearance> = Vec::new();
    let mut keyword_id = None;
    let top = top_positions(marketplace);
    // One keyword's listings are held at a time: all of them would be most of the database.
    while let Some(row) = rows.try_next().await? {
        if let Some(before) = keyword_id.replace(row.keyword_id).filter(|before| *before != row.keyword_id) {
            all.push(Results::gather(before, top, &appearances));
            appearances.clear();
        }
        let weeks = row.weeks.into_iter().zip(row.positions).collect();
        appearances.push(Appearance { listing_id: row.listing_id, listed_week: row.listed_week, weeks });
    }
    if let Some(last) = keyword_id {
        all.push(Results::gather(last, top, &appearances));
    }
    Ok(all)
}

/// Adds the components of the published score, and the market, to the results of the same keywords.
pub fn attach(all: &mut [Results], histories: &[History]) {
    let histories: BTreeMap<i64, &History> = histories.iter().map(|history| (history.keyword_id, history)).collect();
    for results in all {
        if let Some(history) = histories.get(&results.keyword_id) {
            results.scores.clone_from(&history.weeks);
        }
    }
}

/// Returns what the published score takes from the results of a keyword in a week, by the names it has there.
pub fn measures(results: &Results, week: i32) -> Vec<(&'static str, f64)> {
    let mut known = Vec::new();
    if let Some(outcome) = results.outcome(week - HORIZON_WEEKS) {
        // Newcomers of the first weeks cannot be told from listings that were there before.
        if results.looks[0].week + COHORT_WEEKS <= week - HORIZON_WEEKS {
            known.push((ENTRY_SUCCESS, PUBLISHED_PRIOR.success(outcome)));
        }
    }
    let look = results.looks_within(week - 1, week).first();
    if let Some(turnover) = look.and_then(|look| look.turnover) {
        known.push((PAGE_TURNOVER, turnover));
    }
    known
}

/// A learnt model that is not registered yet.
#[derive(Clone, Debug)]
pub struct NewEntryModel {
    marketplace: Marketplace,
    learnt: Learnt,
    data_fingerprint: [u8; 32],
}

/// Learns from what was known at `as_of`; none where that is too little.
pub async fn train(
    db: &PgPool,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    as_of: DateTime<Utc>,
    histories: &[History],
) -> Result<Option<NewEntryModel>, Failure> {
    let mut all = load(db, marketplace, keyword_ids, as_of).await?;
    attach(&mut all, histories);
    let known_until = week_of(last_full_week_start(as_of));
    let data_fingerprint = Sha256::digest(format!("{all:?}")).into();
    let learnt = tokio::task::spawn_blocking(move || learn(&all, known_until))
        .await
        .map_err(|source| EntryError::BrokenOff(marketplace.name(), source))?
        .map_err(|source| EntryError::Model(marketplace.name().to_owned(), source))?;
    Ok(learnt.map(|learnt| NewEntryModel { marketplace, learnt, data_fingerprint }))
}

/// Registers a model under the next version. It serves when its error is lower than that of persistence.
pub async fn register(
    connection: &mut PgConnection,
    new: &NewEntryModel,
    as_of: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<i32, Failure> {
    let Learnt { model, example_count, held } = &new.learnt;
    let artifact = serde_json::to_vec(model)
        .map_err(|source| EntryError::Model(new.marketplace.name().to_owned(), EntryModelError::from(source)))?;
    let version = sqlx::query_scalar!(
        "insert into ml.entry_models (marketplace, version, is_serving, feature_set_version, as_of, trained_at,
             example_count, data_fingerprint, artifact, artifact_sha256, metrics, code_version)
         select $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
         from ml.entry_models where marketplace = $1
         returning version",
        new.marketplace.name(),
        held.model_error < held.persistence_error,
        ENTRY_FEATURE_SET_VERSION,
        as_of,
        now,
        *example_count as i32,
        &new.data_fingerprint[..],
        artifact,
        &Sha256::digest(&artifact)[..],
        Json(held) as Json<&Held>,
        env!("CARGO_PKG_VERSION"),
    )
    .fetch_one(connection)
    .await?;
    Ok(version)
}

/// What a model says of the newcomers of a keyword's next four weeks, or why it says nothing.
#[derive(Clone, Debug)]
pub struct EntryPrediction {
    keyword_id: i64,
    entry_model_id: i64,
    first_week: i32,
    forecast: Option<super::Forecast>,
    persistence: Option<f64>,
    newcomer_count: i32,
    abstain_reason: Option<&'static str>,
}

/// Predicts for every keyword from what was known at `as_of`; nothing where no model serves that can be read.
pub async fn predict(
    ctx: &Context,
    marketplace: Marketplace,
    keyword_ids: &[i64],
    all: &[Results],
    as_of: DateTime<Utc>,
) -> Result<Vec<EntryPrediction>, Failure> {
    let Some((stored, model)) = ledger::readable(ctx, marketplace).await? else { return Ok(Vec::new()) };
    let by_keyword: BTreeMap<i64, &Results> = all.iter().map(|results| (results.keyword_id, results)).collect();
    let week = week_of(last_full_week_start(as_of));
    let predict = |keyword_id: &i64| {
        let known = by_keyword.get(keyword_id).copied();
        let forecast = known.and_then(|results| features_at(results, week, &model.prior)).map(|at| model.predict(&at));
        let newcomers = known.map_or(0, |results| {
            let after = week - HORIZON_WEEKS;
            results.count(after, after + COHORT_WEEKS, week).newcomers
        });
        EntryPrediction {
            keyword_id: *keyword_id,
            entry_model_id: stored.entry_model_id,
            first_week: week + 1,
            forecast,
            persistence: known.filter(|_| newcomers > 0).map(|results| persistence(results, week, &model.prior)),
            newcomer_count: newcomers as i32,
            abstain_reason: forecast.is_none().then_some("the results were looked at for too few weeks"),
        }
    };
    Ok(keyword_ids.iter().map(predict).collect())
}

/// A registered model, not read yet.
#[derive(Clone, Debug)]
pub(super) struct StoredModel {
    pub(super) entry_model_id: i64,
    pub(super) version: i32,
    marketplace: String,
    feature_set_version: String,
    artifact: Vec<u8>,
    artifact_sha256: Vec<u8>,
}

impl StoredModel {
    /// Reads the model, after checking that its bytes are those that were registered.
    pub(super) fn open(&self) -> Result<EntryModel, EntryError> {
        if Sha256::digest(&self.artifact)[..] != self.artifact_sha256[..] {
            return Err(EntryError::Hash(self.entry_model_id));
        }
        if self.feature_set_version != ENTRY_FEATURE_SET_VERSION {
            return Err(EntryError::FeatureSet(self.entry_model_id, self.feature_set_version.clone()));
        }
        serde_json::from_slice(&self.artifact)
            .map_err(|source| EntryError::Model(self.marketplace.clone(), EntryModelError::from(source)))
    }
}

/// Returns a model of a marketplace: the one that predicts, or another.
pub(super) async fn find<'c>(
    db: impl PgExecutor<'c>,
    marketplace: Marketplace,
    entry_model_id: Option<i64>,
) -> Result<Option<StoredModel>, sqlx::Error> {
    sqlx::query_as!(
        StoredModel,
        "select entry_model_id, version, marketplace, feature_set_version, artifact, artifact_sha256
         from ml.entry_models
         where marketplace = $1 and (entry_model_id = $2 or $2::bigint is null and is_serving)
         order by version desc limit 1",
        marketplace.name(),
        entry_model_id,
    )
    .fetch_optional(db)
    .await
}

/// Writes predictions; one that was made on the same day by the same model stays as it is.
pub async fn insert(
    connection: &mut PgConnection,
    rows: &[EntryPrediction],
    as_of_date: NaiveDate,
    run_id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let figures = |of: fn(&super::Forecast) -> f64| -> Vec<Option<f64>> {
        rows.iter().map(|row| row.forecast.as_ref().map(of)).collect()
    };
    let first_days: Vec<NaiveDate> = rows.iter().map(|row| sunday_of(row.first_week)).collect();
    sqlx::query!(
        "insert into ml.entry_predictions (keyword_id, entry_model_id, as_of_date, cohort_start_date, outcome_date,
             predicted_value, lo_80, hi_80, lo_95, hi_95, low_probability, medium_probability, high_probability, level,
             persistence_value, newcomer_count, abstain_reason, run_id, predicted_at)
         select keyword_id, entry_model_id, $1, first_day, first_day + $2::integer, value, lo_80, hi_80, lo_95, hi_95,
                low, medium, high, level, persistence, newcomer_count, reason, $3, $4
         from unnest($5::bigint[], $6::bigint[], $7::date[], $8::double precision[], $9::double precision[],
                     $10::double precision[], $11::double precision[], $12::double precision[],
                     $13::double precision[], $14::double precision[], $15::double precision[], $16::text[],
                     $17::double precision[], $18::integer[], $19::text[])
             as rows (keyword_id, entry_model_id, first_day, value, lo_80, hi_80, lo_95, hi_95, low, medium, high, level,
                      persistence, newcomer_count, reason)
         on conflict do nothing",
        as_of_date,
        7 * HORIZON_WEEKS - 1,
        run_id,
        now,
        &rows.iter().map(|row| row.keyword_id).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.entry_model_id).collect::<Vec<_>>(),
        &first_days,
        &figures(|said| said.difficulty) as &[Option<f64>],
        &figures(|said| said.ends[1]) as &[Option<f64>],
        &figures(|said| said.ends[2]) as &[Option<f64>],
        &figures(|said| said.ends[0]) as &[Option<f64>],
        &figures(|said| said.ends[3]) as &[Option<f64>],
        &figures(|said| said.probabilities[0]) as &[Option<f64>],
        &figures(|said| said.probabilities[1]) as &[Option<f64>],
        &figures(|said| said.probabilities[2]) as &[Option<f64>],
        &rows.iter().map(|row| row.forecast.map(|said| said.level())).collect::<Vec<_>>() as &[Option<&str>],
        &rows.iter().map(|row| row.persistence).collect::<Vec<_>>() as &[Option<f64>],
        &rows.iter().map(|row| row.newcomer_count).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.abstain_reason).collect::<Vec<_>>() as &[Option<&str>],
    )
    .execute(connection)
    .await?;
    Ok(())
}
