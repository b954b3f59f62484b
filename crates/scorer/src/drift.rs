//! Drift: whether a champion still sees what it learnt from, and keeps what it promised.
//!
//! Looked at after every scoring. Of the inputs, the population stability index between the last year of the training and
//! now: `sum (now - then) ln(now / then)` over the tenths of what was seen then (Siddiqi 2006). Above 0.25 is by convention
//! another population, unless chance alone would do that with so few keywords. Of the outcomes, the coverage of both
//! intervals and the error beside that of seasonal naive; these weigh more, and the last one costs a champion its place.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use digitallz_common::failure::Failure;
use digitallz_common::marketplace::Marketplace;
use digitallz_common::week::last_full_week_start;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::types::Json;
use tracing::warn;

use crate::bootstrap::{Comparison, KEYWORDS_MIN};
use crate::features::{FeatureError, Panel, Row};
use crate::intervals::Coverage;
use crate::registry::Registered;
use crate::rows::list;
use crate::score::ScoreError;
use crate::series::{self, Series, week_of};
use crate::target::{ModelName, Target};
use crate::{Context, permission};

/// Weeks with outcomes that are looked at; with fewer nothing is said of them.
pub(crate) const WEEKS: i64 = 4;

/// Weeks of the training with which the present is compared: a year holds every season.
const REFERENCE_WEEKS: i32 = 52;

/// A series that ended so many weeks ago or longer is not of the present.
const PRESENT_WEEKS: i32 = 5;

/// The index above which convention sees another population.
const PSI_MAX: f64 = 0.25;

/// How far a coverage may lie from what was promised.
const COVERAGE_TOLERANCE: f64 = 0.05;

/// Weeks over which the longer move is told.
const MOVE_WEEKS: usize = 8;

/// What is looked at of a week; nothing where the series is too young.
type Input = fn(&Series, &Row) -> Option<f64>;

/// The inputs, on the models' scale: what every model, whatever it is, makes its predictions of.
const INPUTS: [(&str, Input); 5] = [
    ("level", |_, row| Some(row.value)),
    ("weekly_change", |_, row| Some(row.scale.ln())),
    ("last_move", |series, row| moved(series, row, 1)),
    ("move_8_weeks", |series, row| moved(series, row, MOVE_WEEKS)),
    ("bridged_share", |series, row| {
        let recent = &series.is_filled[(row.position + 1).saturating_sub(MOVE_WEEKS)..=row.position];
        Some(recent.iter().filter(|is_filled| **is_filled).count() as f64 / recent.len() as f64)
    }),
];

fn moved(series: &Series, row: &Row, weeks: usize) -> Option<f64> {
    Some((row.value - series.values[row.position.checked_sub(weeks)?]) / row.scale)
}

/// How the inputs of a training were distributed, by their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingInputs(BTreeMap<String, Distribution>);

/// How the values of an input fell into the tenths of the training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Distribution {
    /// Where one tenth ends and the next begins; of equal ones the first.
    cuts: Vec<f64>,
    /// Values in each.
    counts: Vec<u32>,
    /// Keywords they are of.
    keyword_count: usize,
}

impl TrainingInputs {
    /// Reads the distributions off the last year of what a model is trained on.
    pub fn of(panel: &Panel) -> TrainingInputs {
        let last = panel.rows.iter().map(|row| row.week).max().unwrap_or(0);
        let recent: Vec<&Row> = panel.rows.iter().filter(|row| row.week > last - REFERENCE_WEEKS).collect();
        let keyword_count = keyword_count(panel, &recent);
        let distributions = INPUTS.iter().filter_map(|(name, input)| {
            let values = values(panel, &recent, *input);
            (!values.is_empty()).then(|| {
                let cuts = tenths(&values);
                let counts = counts(&cuts, &values);
                (format!("psi_{name}"), Distribution { cuts, counts, keyword_count })
            })
        });
        TrainingInputs(distributions.collect())
    }

    /// Compares them with the present: the last week of every series that has not ended.
    fn beside(&self, panel: &Panel, last_week: i32) -> Vec<Measured> {
        let present: Vec<&Row> = panel
            .rows
            .iter()
            .filter(|row| {
                let is_last = row.position + 1 == panel.series[row.series].values.len();
                is_last && row.week > last_week - PRESENT_WEEKS
            })
            .collect();
        let keyword_count = keyword_count(panel, &present);
        let measure = |(name, input): &(&str, Input)| {
            let measure = format!("psi_{name}");
            let then = self.0.get(&measure)?;
            let values = values(panel, &present, *input);
            if keyword_count < KEYWORDS_MIN || values.is_empty() {
                return None;
            }
            let value = stability_index(&then.counts, &counts(&then.cuts, &values));
            let by_chance = stability_index_by_chance(then.counts.len(), then.keyword_count, keyword_count);
            let tolerance = PSI_MAX.max(by_chance);
            Some(Measured { measure, value, expected: 0.0, tolerance, keyword_count, is_drifted: value > tolerance })
        };
        INPUTS.iter().filter_map(measure).collect()
    }
}

fn values(panel: &Panel, rows: &[&Row], input: Input) -> Vec<f64> {
    rows.iter().filter_map(|row| input(&panel.series[row.series], row)).filter(|value| value.is_finite()).collect()
}

fn keyword_count(panel: &Panel, rows: &[&Row]) -> usize {
    let mut ids: Vec<i64> = rows.iter().map(|row| panel.series[row.series].keyword_id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

/// Returns the values that divide others into ten parts of about the same size; equal ones once.
fn tenths(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut cuts: Vec<f64> = (1..10).map(|tenth| sorted[tenth * (sorted.len() - 1) / 10]).collect();
    cuts.dedup();
    cuts
}

/// Counts how many values lie up to each cut and above the one before it, and above all.
fn counts(cuts: &[f64], values: &[f64]) -> Vec<u32> {
    let mut counts = vec![0; cuts.len() + 1];
    values.iter().for_each(|value| counts[cuts.partition_point(|cut| cut < value)] += 1);
    counts
}

/// Returns the population stability index between two distributions over the same parts. Half a value is added to each
/// part, so that one that is empty is a large difference and no infinite one.
fn stability_index(then: &[u32], now: &[u32]) -> f64 {
    let shares = |counts: &[u32]| -> Vec<f64> {
        let total = f64::from(counts.iter().sum::<u32>()) + 0.5 * counts.len() as f64;
        counts.iter().map(|&count| (f64::from(count) + 0.5) / total).collect()
    };
    shares(then).iter().zip(shares(now)).map(|(then, now)| (now - then) * (now / then).ln()).sum()
}

/// Returns the index that two samples of one population exceed once in a hundred times: about `chi2(parts - 1)` times
/// `1/n + 1/m` (Yurdakul 2018). The values of one keyword resemble each other, so keywords are counted.
fn stability_index_by_chance(part_count: usize, then_count: usize, now_count: usize) -> f64 {
    let freedom = part_count.saturating_sub(1).max(1) as f64;
    // Wilson and Hilferty 1931.
    let part = 2.0 / (9.0 * freedom);
    let chi_squared = freedom * (1.0 - part + 2.326 * part.sqrt()).powi(3);
    chi_squared * (1.0 / then_count.max(1) as f64 + 1.0 / now_count.max(1) as f64)
}

/// What came of a champion's predictions since it was promoted, over its latest weeks with outcomes.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    /// Seasonal naive beside the champion.
    pub(crate) naive: Comparison,
    /// Shares of the actual values inside the intervals, by keyword.
    inside_80: Vec<f64>,
    inside_95: Vec<f64>,
}

impl Recent {
    /// Loads it; nothing with too few weeks.
    pub(crate) async fn load(db: &PgPool, champion: &Registered) -> Result<Option<Recent>, sqlx::Error> {
        let rows = sqlx::query_file!("src/drift_outcomes.sql", champion.model_version_id, WEEKS).fetch_all(db).await?;
        if rows.first().is_none_or(|row| row.week_count < WEEKS) {
            return Ok(None);
        }
        let naive_errors = rows.iter().map(|row| (row.keyword_id, row.naive_error)).collect();
        let errors = rows.iter().map(|row| (row.keyword_id, row.error)).collect();
        Ok(Some(Recent {
            naive: Comparison::of(&naive_errors, &errors),
            inside_80: rows.iter().filter_map(|row| row.inside_80).collect(),
            inside_95: rows.iter().filter_map(|row| row.inside_95).collect(),
        }))
    }

    fn measures(&self) -> Vec<Measured> {
        let coverages = [("coverage_80", 0.8, &self.inside_80), ("coverage_95", 0.95, &self.inside_95)];
        let coverages = coverages.into_iter().filter_map(|(name, promised, inside)| coverage(name, promised, inside));
        coverages.chain(self.error_ratio()).collect()
    }

    fn error_ratio(&self) -> Option<Measured> {
        let naive = &self.naive;
        let value = naive.other_error? / naive.error.filter(|error| *error > 0.0)?;
        Some(Measured {
            measure: "error_ratio".to_owned(),
            value,
            expected: 1.0,
            tolerance: 0.0,
            keyword_count: naive.keyword_count,
            is_drifted: naive.is_beyond_noise(),
        })
    }
}

fn coverage(name: &str, promised: f64, shares: &[f64]) -> Option<Measured> {
    let coverage = Coverage::of(promised, COVERAGE_TOLERANCE, shares)?;
    Some(Measured {
        measure: name.to_owned(),
        value: coverage.value,
        expected: promised,
        tolerance: coverage.tolerance,
        keyword_count: coverage.keyword_count,
        is_drifted: coverage.is_off(),
    })
}

/// One measure of a champion's drift.
#[derive(Clone, Debug, PartialEq)]
struct Measured {
    measure: String,
    value: f64,
    expected: f64,
    tolerance: f64,
    keyword_count: usize,
    is_drifted: bool,
}

/// Measures the drift of a champion, keeps it, and warns of it.
pub(crate) async fn measure(
    ctx: &Context,
    model_name: ModelName,
    marketplace: Marketplace,
    champion: &Registered,
    recent: Option<&Recent>,
    as_of: DateTime<Utc>,
) -> Result<(), Failure> {
    let mut measured = inputs(ctx, model_name, marketplace, champion, as_of).await?;
    measured.extend(recent.map(Recent::measures).unwrap_or_default());
    for drifted in measured.iter().filter(|measured| measured.is_drifted) {
        let Measured { measure, value, expected, keyword_count, .. } = drifted;
        warn!(
            %marketplace,
            model.name = %model_name,
            model.version = champion.version,
            measure,
            value,
            "version {} of {marketplace} {model_name} has drifted: {measure} is {value:.3}, {expected} was expected, on {keyword_count} keywords",
            champion.version,
        );
    }
    insert(&ctx.db, champion, &measured, as_of, ctx.clock.now()).await?;
    Ok(())
}

/// Compares what the champion learnt from with the present; nothing where that was not kept, or where nothing may be learnt.
async fn inputs(
    ctx: &Context,
    model_name: ModelName,
    marketplace: Marketplace,
    champion: &Registered,
    as_of: DateTime<Utc>,
) -> Result<Vec<Measured>, Failure> {
    let then = sqlx::query_scalar!(
        r#"select training_inputs as "training_inputs: Json<TrainingInputs>" from ml.model_versions where model_version_id = $1"#,
        champion.model_version_id,
    )
    .fetch_one(&ctx.db)
    .await?;
    let Some(Json(then)) = then else { return Ok(Vec::new()) };
    if !permission::may_train(&ctx.db, marketplace).await? {
        return Ok(Vec::new());
    }
    let keyword_ids = series::taught_keywords(&ctx.db, marketplace, as_of).await?;
    let histories = series::load(&ctx.db, model_name, marketplace, &keyword_ids, as_of).await?;
    let last_week = week_of(last_full_week_start(as_of));
    let measured = tokio::task::spawn_blocking(move || {
        let panel = Panel::build(series::series_of(&histories, Target::of(model_name, marketplace)), &[])?;
        Ok::<_, FeatureError>(then.beside(&panel, last_week))
    })
    .await
    .map_err(ScoreError::from)?
    .map_err(ScoreError::from)?;
    Ok(measured)
}

async fn insert(
    db: &PgPool,
    champion: &Registered,
    measured: &[Measured],
    as_of: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into ml.model_drift (model_version_id, as_of, measure, value, expected_value, tolerance, keyword_count,
             is_drifted, measured_at)
         select $1, $2, measures.*, $3
         from unnest($4::text[], $5::double precision[], $6::double precision[], $7::double precision[], $8::integer[],
                     $9::boolean[]) measures
         on conflict do nothing",
        champion.model_version_id,
        as_of,
        now,
        &list(measured, |one| one.measure.clone()),
        &list(measured, |one| one.value),
        &list(measured, |one| one.expected),
        &list(measured, |one| one.tolerance),
        &list(measured, |one| one.keyword_count as i32),
        &list(measured, |one| one.is_drifted),
    )
    .execute(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::series_of;
    use crate::synthetic::{self, Dice};

    fn panel(seed: u64, keyword_count: i64, change: impl Fn(f64) -> f64) -> Panel {
        let mut histories = synthetic::counts(seed, keyword_count, 110);
        for week in histories.iter_mut().flat_map(|history| &mut history.weeks) {
            week.value = change(week.value);
        }
        Panel::build(series_of(&histories, Target::AuctionBids), &[]).unwrap()
    }

    fn last_week(panel: &Panel) -> i32 {
        panel.rows.iter().map(|row| row.week).max().unwrap()
    }

    #[test]
    fn the_index_is_what_one_computes_by_hand() {
        // Shares of 1/4 and 3/4, then 3/4 and 1/4, with half a value added to each part.
        let [small, large] = [10.5 / 41.0, 30.5 / 41.0_f64];
        let expected = 2.0 * (large - small) * (large / small).ln();
        assert!((stability_index(&[10, 30], &[30, 10]) - expected).abs() < 1e-12);
        assert_eq!(stability_index(&[10, 30], &[10, 30]), 0.0);
    }

    #[test]
    fn two_samples_of_one_population_exceed_what_chance_does_about_once_in_a_hundred_times() {
        let mut dice = Dice::new(91);
        let mut sample = |count: usize| -> Vec<f64> { (0..count).map(|_| dice.normal()).collect() };
        let mut exceeded = 0;
        for _ in 0..2_000 {
            let (then, now) = (sample(300), sample(200));
            let cuts = tenths(&then);
            let index = stability_index(&counts(&cuts, &then), &counts(&cuts, &now));
            exceeded += usize::from(index > stability_index_by_chance(cuts.len() + 1, 300, 200));
        }
        assert!((4..60).contains(&exceeded), "{exceeded} of 2000");
    }

    #[test]
    fn the_same_world_has_not_drifted_and_another_has() {
        let then = TrainingInputs::of(&panel(92, 200, |value| value));
        let same = panel(93, 200, |value| value);
        assert_eq!(then.beside(&same, last_week(&same)).len(), INPUTS.len());
        let drifted = |panel: &Panel| -> Vec<String> {
            let measured = then.beside(panel, last_week(panel));
            measured.into_iter().filter(|one| one.is_drifted).map(|one| one.measure).collect()
        };
        assert_eq!(drifted(&same), Vec::<String>::new());
        let grown = panel(93, 200, |value| 1_000.0 * (value + 1.0));
        assert!(drifted(&grown).contains(&"psi_level".to_owned()), "{:?}", drifted(&grown));
        let restless = panel(93, 200, |value| value * value);
        assert!(drifted(&restless).contains(&"psi_weekly_change".to_owned()), "{:?}", drifted(&restless));
        // Of series that ended long ago nothing is said.
        assert_eq!(then.beside(&same, last_week(&same) + PRESENT_WEEKS), Vec::new());
    }

    #[test]
    fn what_was_kept_survives_being_written() {
        let then = TrainingInputs::of(&panel(94, 20, |value| value));
        let written = serde_json::to_string(&then).unwrap();
        assert_eq!(serde_json::from_str::<TrainingInputs>(&written).unwrap(), then);
    }
}
