//! How a number of searches follows from a rank or another proxy, learnt where the user's own truth stands beside it.
//!
//! One line per marketplace, market, truth and length of period: the logarithm of the searches against the logarithm of
//! the proxy, by linfa's least squares. How wrong it is is measured on keywords it has not seen: five times, each fifth of
//! the keywords is held out and estimated from the others. The same errors give the 80 % interval, whose coverage is
//! measured once more on what it was not made from. What it gives is an estimate with an error and never a count.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use digitallz_common::failure::Failure;
use digitallz_common::marketplace::{Marketplace, Resource};
use linfa::DatasetBase;
use linfa::traits::Fit as _;
use linfa_linear::{LinearError, LinearRegression};
use ndarray::{Array1, Array2};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};

use crate::intervals::{lower, upper};
use crate::series::look_as_of;
use crate::target::{ModelName, Target};

/// Fewer pairs than this give no line.
pub const PAIRS_MIN: usize = 30;

/// Pairs of fewer keywords than this give no line: it would tell of these keywords only.
pub const KEYWORDS_MIN: usize = 10;

/// Parts of which each is held out once.
const FOLDS: usize = 5;

/// Logarithms of proxies that vary less than this carry no line.
const SPREAD_MIN: f64 = 1e-6;

/// How a line is fitted and measured, as it is stored beside it.
const METHOD: &str = "least squares of ln(searches) on ln(proxy); errors on keywords held out, five folds";

/// A true number of searches and the proxy of the same keyword and time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The keyword.
    pub keyword_id: i64,
    /// First day of the time.
    pub period_start_date: NaiveDate,
    /// Searches.
    pub truth: f64,
    /// The rank or other proxy.
    pub proxy: f64,
}

/// A line and how wrong it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Line {
    /// An estimate is exp(intercept + slope * ln(proxy)).
    pub intercept: f64,
    /// See intercept.
    pub slope: f64,
    /// An estimate times this is the lower end of its 80 % interval.
    pub factor_lo_80: f64,
    /// An estimate times this is the upper end of its 80 % interval.
    pub factor_hi_80: f64,
    /// Lowest proxy it was fitted on.
    pub proxy_min: f64,
    /// Highest proxy it was fitted on.
    pub proxy_max: f64,
    /// Median of |estimate - truth| / truth on keywords it had not seen.
    pub median_percentage_error: f64,
    /// Mean of |ln(estimate) - ln(truth)| on the same.
    pub mean_log_error: f64,
    /// Share of the truth of unseen keywords within the 80 % interval.
    pub coverage_80: f64,
}

/// What the pairs of one marketplace, market, truth and length of period give.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// The market.
    pub market: String,
    /// What is estimated.
    pub truth_metric: String,
    /// What it is estimated from.
    pub proxy_metric: &'static str,
    /// week or month.
    pub period_kind: String,
    /// Pairs of both.
    pub pair_count: usize,
    /// Keywords they are about.
    pub keyword_count: usize,
    /// The line, where there are pairs enough.
    pub line: Option<Line>,
    /// Why there is none.
    pub refusal: Option<String>,
    #[serde(skip)]
    fingerprint: [u8; 32],
}

/// Why calibrations could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The database failed.
    #[error("failed to load the pairs of {marketplace}")]
    Database {
        /// The marketplace.
        marketplace: Marketplace,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// The solver failed.
    #[error("failed to fit {truth_metric} of {marketplace} {market}")]
    Solve {
        /// The marketplace.
        marketplace: Marketplace,
        /// The market.
        market: String,
        /// What was to be estimated.
        truth_metric: String,
        /// The cause.
        #[source]
        source: LinearError<f64>,
    },
}

impl From<CalibrationError> for Failure {
    fn from(error: CalibrationError) -> Failure {
        Failure::retry(error)
    }
}

/// Fits a line wherever there are pairs, as they were known at `as_of`.
pub async fn measure(db: &PgPool, as_of: DateTime<Utc>) -> Result<Vec<Calibration>, CalibrationError> {
    let mut all = Vec::new();
    for marketplace in Marketplace::ALL {
        let proxy_metric = Target::of(ModelName::Demand, marketplace).metric();
        let groups = pairs(db, marketplace, proxy_metric, as_of)
            .await
            .map_err(|source| CalibrationError::Database { marketplace, source })?;
        for ((market, truth_metric, period_kind), pairs) in groups {
            let fitted = fit(&pairs).map_err(|source| CalibrationError::Solve {
                marketplace,
                market: market.clone(),
                truth_metric: truth_metric.clone(),
                source,
            })?;
            all.push(Calibration {
                marketplace,
                market,
                truth_metric,
                proxy_metric,
                period_kind,
                pair_count: pairs.len(),
                keyword_count: keywords_of(&pairs).len(),
                line: fitted.clone().ok(),
                refusal: fitted.err(),
                fingerprint: fingerprint(&pairs),
            });
        }
    }
    Ok(all)
}

/// Loads the pairs of a marketplace by market, truth and length of period.
async fn pairs(
    db: &PgPool,
    marketplace: Marketplace,
    proxy_metric: &str,
    as_of: DateTime<Utc>,
) -> Result<BTreeMap<(String, String, String), Vec<Pair>>, sqlx::Error> {
    let mut tx = look_as_of(db, as_of).await?;
    let rows = sqlx::query_file!(
        "src/calibration_pairs.sql",
        marketplace.name(),
        proxy_metric,
        as_of,
        &Resource::imported_names()
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let mut groups: BTreeMap<_, Vec<Pair>> = BTreeMap::new();
    for row in rows {
        let pair = Pair {
            keyword_id: row.keyword_id,
            period_start_date: row.period_start_date,
            truth: row.truth,
            proxy: row.proxy,
        };
        groups.entry((row.market, row.truth_metric, row.period_kind)).or_default().push(pair);
    }
    Ok(groups)
}

/// Stores every line that other pairs gave than the version in force. The caller owns the transaction.
pub async fn register(
    connection: &mut PgConnection,
    calibrations: &[Calibration],
    as_of: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    // Two at once would give the same number to two versions.
    sqlx::query!("select pg_advisory_xact_lock(hashtext('ml.volume_calibrations'))").execute(&mut *connection).await?;
    for calibration in calibrations {
        let Some(line) = &calibration.line else { continue };
        sqlx::query!(
            "with latest as (
                 select version, data_fingerprint from ml.volume_calibrations
                 where marketplace = $1 and market = $2 and truth_metric = $3 and period_kind = $5
                 order by version desc limit 1)
             insert into ml.volume_calibrations (marketplace, market, truth_metric, proxy_metric, period_kind, version,
                 method, intercept, slope, factor_lo_80, factor_hi_80, proxy_min, proxy_max, pair_count, keyword_count,
                 median_percentage_error, mean_log_error, coverage_80, as_of, fitted_at, data_fingerprint)
             select $1, $2, $3, $4, $5, coalesce((select version from latest), 0) + 1, $6, $7, $8, $9, $10, $11, $12, $13,
                    $14, $15, $16, $17, $18, $19, $20
             where not exists (select from latest where data_fingerprint = $20)",
            calibration.marketplace.name(),
            calibration.market,
            calibration.truth_metric,
            calibration.proxy_metric,
            calibration.period_kind,
            METHOD,
            line.intercept,
            line.slope,
            line.factor_lo_80,
            line.factor_hi_80,
            line.proxy_min,
            line.proxy_max,
            calibration.pair_count as i32,
            calibration.keyword_count as i32,
            line.median_percentage_error,
            line.mean_log_error,
            line.coverage_80,
            as_of,
            now,
            calibration.fingerprint.as_slice(),
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Fits a line, or says why there is none.
pub fn fit(pairs: &[Pair]) -> Result<Result<Line, String>, LinearError<f64>> {
    let keywords = keywords_of(pairs);
    if pairs.len() < PAIRS_MIN || keywords.len() < KEYWORDS_MIN {
        return Ok(Err(format!(
            "too few pairs: {} of {} keywords, and at least {PAIRS_MIN} of {KEYWORDS_MIN} keywords are needed",
            pairs.len(),
            keywords.len()
        )));
    }
    let fold_of = |pair: &Pair| keywords.binary_search(&pair.keyword_id).unwrap_or_else(|place| place) % FOLDS;
    let mut residuals: Vec<Vec<f64>> = vec![Vec::new(); FOLDS];
    for (fold, residuals) in residuals.iter_mut().enumerate() {
        let (held_out, others): (Vec<Pair>, Vec<Pair>) = pairs.iter().partition(|pair| fold_of(pair) == fold);
        if spread(&others) < SPREAD_MIN {
            return Ok(Err("the proxies do not vary, so nothing follows from them".to_owned()));
        }
        let (intercept, slope) = least_squares(&others)?;
        residuals.extend(held_out.iter().map(|pair| pair.truth.ln() - intercept - slope * pair.proxy.ln()));
    }
    let (intercept, slope) = least_squares(pairs)?;
    let sorted = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values
    };
    let all = sorted(residuals.concat());
    let percentages = sorted(all.iter().map(|residual| ((-residual).exp() - 1.0).abs()).collect());
    let proxies = pairs.iter().map(|pair| pair.proxy);
    Ok(Ok(Line {
        intercept,
        slope,
        factor_lo_80: lower(&all, 0.1).exp(),
        factor_hi_80: upper(&all, 0.1).exp(),
        proxy_min: proxies.clone().fold(f64::INFINITY, f64::min),
        proxy_max: proxies.fold(f64::NEG_INFINITY, f64::max),
        median_percentage_error: percentages[percentages.len() / 2],
        mean_log_error: all.iter().map(|residual| residual.abs()).sum::<f64>() / all.len() as f64,
        coverage_80: coverage(&residuals),
    }))
}

/// Returns the share of each fold's residuals that lie within the interval of all others.
fn coverage(residuals: &[Vec<f64>]) -> f64 {
    let (mut covered, mut count) = (0_usize, 0_usize);
    for (fold, held_out) in residuals.iter().enumerate() {
        let others = residuals.iter().enumerate().filter(|(other, _)| *other != fold);
        let mut others: Vec<f64> = others.flat_map(|(_, residuals)| residuals.iter().copied()).collect();
        others.sort_by(f64::total_cmp);
        let ends = lower(&others, 0.1)..=upper(&others, 0.1);
        covered += held_out.iter().filter(|residual| ends.contains(residual)).count();
        count += held_out.len();
    }
    covered as f64 / count as f64
}

/// Returns intercept and slope of the line through the logarithms.
fn least_squares(pairs: &[Pair]) -> Result<(f64, f64), LinearError<f64>> {
    let x = Array2::from_shape_fn((pairs.len(), 1), |(row, _)| pairs[row].proxy.ln());
    let y = Array1::from_iter(pairs.iter().map(|pair| pair.truth.ln()));
    let fitted = LinearRegression::new().fit(&DatasetBase::new(x, y))?;
    Ok((fitted.intercept(), fitted.params()[0]))
}

fn spread(pairs: &[Pair]) -> f64 {
    let logarithms = pairs.iter().map(|pair| pair.proxy.ln());
    logarithms.clone().fold(f64::NEG_INFINITY, f64::max) - logarithms.fold(f64::INFINITY, f64::min)
}

fn keywords_of(pairs: &[Pair]) -> Vec<i64> {
    let mut keywords: Vec<i64> = pairs.iter().map(|pair| pair.keyword_id).collect();
    keywords.sort_unstable();
    keywords.dedup();
    keywords
}

fn fingerprint(pairs: &[Pair]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(METHOD);
    for pair in pairs {
        hash.update(pair.keyword_id.to_le_bytes());
        hash.update(pair.period_start_date.to_string());
        hash.update(pair.truth.to_le_bytes());
        hash.update(pair.proxy.to_le_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Dice;

    /// Makes pairs of some keywords whose searches are 5,000,000 / rank ^ 0.8, with noise on the logarithm.
    fn pairs(keyword_count: i64, week_count: u64, noise: f64) -> Vec<Pair> {
        let mut dice = Dice::new(3);
        let mut pairs = Vec::new();
        for keyword_id in 1..=keyword_count {
            let level = 100.0 * (8.0 * dice.unit()).exp();
            for week in 0..week_count {
                let proxy = (level * (0.2 * dice.normal()).exp()).round().max(1.0);
                let truth = (5e6_f64.ln() - 0.8 * proxy.ln() + noise * dice.normal()).exp().round().max(1.0);
                let period_start_date = crate::series::sunday_of(2_900 + week as i32);
                pairs.push(Pair { keyword_id, period_start_date, truth, proxy });
            }
        }
        pairs
    }

    #[test]
    fn a_power_law_is_found_again_and_its_error_is_that_of_the_noise() {
        let line = fit(&pairs(60, 6, 0.3)).unwrap().unwrap();
        assert!((line.slope + 0.8).abs() < 0.05, "{line:?}");
        assert!((line.intercept - 5e6_f64.ln()).abs() < 0.4, "{line:?}");
        assert!((line.mean_log_error - 0.3 * (2.0 / std::f64::consts::PI).sqrt()).abs() < 0.05, "{line:?}");
        assert!((0.15..0.28).contains(&line.median_percentage_error), "{line:?}");
        assert!((line.coverage_80 - 0.8).abs() < 0.07, "{line:?}");
        assert!(line.factor_lo_80 < 1.0 && 1.0 < line.factor_hi_80 && line.proxy_min < line.proxy_max);
    }

    #[test]
    fn too_few_pairs_or_keywords_give_no_line_but_a_reason() {
        for few in [pairs(29, 1, 0.1), pairs(9, 20, 0.1), Vec::new()] {
            let refusal = fit(&few).unwrap().unwrap_err();
            assert!(refusal.contains("too few pairs") && refusal.contains(&few.len().to_string()), "{refusal}");
        }
        assert!(fit(&pairs(10, 3, 0.1)).unwrap().is_ok());
    }

    #[test]
    fn proxies_that_do_not_vary_give_no_line() {
        let mut same = pairs(20, 3, 0.1);
        same.iter_mut().for_each(|pair| pair.proxy = 7.0);
        assert!(fit(&same).unwrap().unwrap_err().contains("do not vary"));
    }

    #[test]
    fn an_error_is_measured_on_keywords_that_were_not_seen() {
        // Every keyword has its own factor, which no other keyword tells: seen keywords would look far better.
        let mut dice = Dice::new(9);
        let mut all = pairs(50, 20, 0.0);
        for own in all.chunk_by_mut(|a, b| a.keyword_id == b.keyword_id) {
            let factor = dice.normal().exp();
            own.iter_mut().for_each(|pair| pair.truth *= factor);
        }
        let line = fit(&all).unwrap().unwrap();
        assert!(line.mean_log_error > 0.6, "{line:?}");
    }
}
