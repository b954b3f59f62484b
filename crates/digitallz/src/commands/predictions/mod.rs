//! `digitallz predictions`: the latest predictions, and how earlier ones came true.

mod entry;

use chrono::NaiveDate;
use digitallz_common::marketplace::Marketplace;
use serde::Serialize;
use sqlx::PgPool;

use crate::cli::{Cli, PredictionsCommand};
use crate::exit::Ending;
use crate::output;
use crate::session::Session;

/// A prediction as it is listed.
#[derive(Clone, Debug, Serialize)]
pub struct PredictionRow {
    /// The keyword.
    pub keyword: String,
    /// Its marketplace.
    pub marketplace: String,
    /// Its market.
    pub market: String,
    /// demand or competition.
    pub target_kind: String,
    /// The metric that is predicted.
    pub target_metric: String,
    /// Unit of the values.
    pub unit: String,
    /// First day of the week that is predicted.
    pub target_date: NaiveDate,
    /// Weeks after the last observed one.
    pub horizon_weeks: i32,
    /// The last observed value.
    pub current_value: Option<f64>,
    /// The prediction.
    pub predicted_value: Option<f64>,
    /// Lower end of the 80 % interval.
    pub lo_80: Option<f64>,
    /// Upper end of the 80 % interval.
    pub hi_80: Option<f64>,
    /// Direction of demand.
    pub trend_class: Option<String>,
    /// Probability that the mean demand of all predicted weeks lies more than a tenth below that of the last four.
    pub probability_falling: Option<f64>,
    /// Probability that it lies within a tenth of it.
    pub probability_stable: Option<f64>,
    /// Probability that it lies more than a tenth above it.
    pub probability_rising: Option<f64>,
    /// Kind of the known history: smooth, seasonal, intermittent, lumpy, isolated_event or dead.
    pub demand_pattern: Option<String>,
    /// Share of what moves around the level that the season explains.
    pub season_strength: Option<f64>,
    /// Weeks from the last observed week to that of the next peak of the season.
    pub weeks_until_peak: Option<i32>,
    /// Level of competition.
    pub competition_level: Option<String>,
    /// Why there is no prediction.
    pub abstain_reason: Option<String>,
    /// Model and version; none where the terms of the source allow no model.
    pub model: String,
    /// By the observed weeks it stands on: accuracy is that of predictions of the same class.
    pub history_class: String,
    /// Earlier predictions for the same marketplace, target, horizon and class whose actual value is known.
    pub outcome_count: i64,
    /// Their mean error, in mean absolute weekly changes.
    pub mean_scaled_error: Option<f64>,
    /// Their mean error divided by that of seasonal naive; below 1 is better.
    pub error_ratio: Option<f64>,
    /// Share of the actual values that lay inside the 80 % interval.
    pub coverage_80: Option<f64>,
    /// Share of the actual values that lay inside the 95 % interval.
    pub coverage_95: Option<f64>,
}

/// How predictions of one kind came true.
#[derive(Debug, Serialize)]
struct Accuracy {
    marketplace: String,
    target_kind: String,
    target_metric: String,
    horizon_weeks: i32,
    history_class: String,
    prediction_count: i64,
    keyword_count: i64,
    mean_scaled_error: Option<f64>,
    naive_mean_scaled_error: Option<f64>,
    error_ratio: Option<f64>,
    coverage_80: Option<f64>,
    coverage_95: Option<f64>,
}

/// Does what the command says.
pub async fn run(cli: &Cli, command: &PredictionsCommand) -> anyhow::Result<Ending> {
    let session = Session::open(cli).await?;
    let result = match command {
        PredictionsCommand::List { marketplace, keyword, horizon_weeks, limit } => {
            let horizon_weeks = horizon_weeks.map(i32::from);
            list(cli, &session.db, *marketplace, keyword.as_deref(), horizon_weeks, *limit).await
        }
        PredictionsCommand::Entry { marketplace, keyword, limit } => {
            entry::list(cli, &session.db, *marketplace, keyword.as_deref(), *limit).await
        }
        PredictionsCommand::Accuracy { marketplace } => accuracy(cli, &session.db, *marketplace).await,
    };
    session.close().await?;
    result.map(|()| Ending::Done)
}

async fn list(
    cli: &Cli,
    db: &PgPool,
    marketplace: Option<Marketplace>,
    keyword: Option<&str>,
    horizon_weeks: Option<i32>,
    limit: u32,
) -> anyhow::Result<()> {
    let rows = latest(db, marketplace, keyword, horizon_weeks, limit).await?;
    output::list(
        cli.json,
        "predictions",
        &rows,
        &[
            output::text("KEYWORD", |row: &PredictionRow| row.keyword.clone()),
            output::text("SITE", |row: &PredictionRow| format!("{} {}", row.marketplace, row.market)),
            output::text("PREDICTED", |row: &PredictionRow| row.target_metric.clone()),
            output::text("WEEK OF", |row: &PredictionRow| row.target_date.to_string()),
            output::number("NOW", |row: &PredictionRow| figure(row.current_value)),
            output::number("PREDICTION", |row: &PredictionRow| figure(row.predicted_value)),
            output::text("80 % INTERVAL", |row: &PredictionRow| interval(row.lo_80, row.hi_80)),
            output::text("DIRECTION", |row: &PredictionRow| {
                row.abstain_reason
                    .clone()
                    .or(row.trend_class.clone())
                    .or(row.competition_level.clone())
                    .unwrap_or_default()
            }),
            output::number("FALLING", |row: &PredictionRow| percent(row.probability_falling)),
            output::number("RISING", |row: &PredictionRow| percent(row.probability_rising)),
            output::text("MODEL", |row: &PredictionRow| row.model.clone()),
            output::number("OUTCOMES", |row: &PredictionRow| output::thousands(row.outcome_count)),
            output::number("OF NAIVE", |row: &PredictionRow| percent(row.error_ratio)),
            output::number("80 % COVERED", |row: &PredictionRow| percent(row.coverage_80)),
        ],
    )
}

async fn accuracy(cli: &Cli, db: &PgPool, marketplace: Option<Marketplace>) -> anyhow::Result<()> {
    let rows = sqlx::query_as!(
        Accuracy,
        r#"select marketplace as "marketplace!", target_kind as "target_kind!", target_metric as "target_metric!",
                  horizon_days / 7 as "horizon_weeks!", history_class as "history_class!",
                  prediction_count as "prediction_count!", keyword_count as "keyword_count!", mean_scaled_error,
                  naive_mean_scaled_error, error_ratio, coverage_80, coverage_95
           from analytics.prediction_accuracy_summary_v1
           where $1::text is null or marketplace = $1
           order by array_position(array['amazon', 'etsy', 'ebay'], marketplace), target_kind desc, target_metric,
                    horizon_days, first_target_date, history_class"#,
        marketplace.map(Marketplace::name),
    )
    .fetch_all(db)
    .await?;
    output::list(
        cli.json,
        "accuracies",
        &rows,
        &[
            output::text("MODEL", |row: &Accuracy| format!("{} {}", row.marketplace, row.target_kind)),
            output::number("WEEKS AHEAD", |row: &Accuracy| row.horizon_weeks.to_string()),
            output::text("HISTORY", |row: &Accuracy| row.history_class.replace('_', " ")),
            output::number("OUTCOMES", |row: &Accuracy| output::thousands(row.prediction_count)),
            output::number("KEYWORDS", |row: &Accuracy| output::thousands(row.keyword_count)),
            output::number("ERROR", |row: &Accuracy| figure(row.mean_scaled_error)),
            output::number("NAIVE", |row: &Accuracy| figure(row.naive_mean_scaled_error)),
            output::number("OF NAIVE", |row: &Accuracy| percent(row.error_ratio)),
            output::number("80 % COVERED", |row: &Accuracy| percent(row.coverage_80)),
            output::number("95 % COVERED", |row: &Accuracy| percent(row.coverage_95)),
        ],
    )
}

/// Returns the predictions of the newest scoring of each keyword, at most `limit` keywords.
pub async fn latest(
    db: &PgPool,
    marketplace: Option<Marketplace>,
    keyword: Option<&str>,
    horizon_weeks: Option<i32>,
    limit: u32,
) -> Result<Vec<PredictionRow>, sqlx::Error> {
    sqlx::query_as!(
        PredictionRow,
        r#"select keyword_text as "keyword!", predictions.marketplace as "marketplace!", locale as "market!",
                  predictions.target_kind as "target_kind!", predictions.target_metric as "target_metric!",
                  unit as "unit!", target_date as "target_date!", predictions.horizon_days / 7 as "horizon_weeks!",
                  current_value, predicted_value, lo_80, hi_80, trend_class, probability_falling, probability_stable,
                  probability_rising, demand_pattern, season_strength, weeks_until_peak, competition_level,
                  abstain_reason,
                  coalesce(model_name || ' ' || model_version, 'none') as "model!",
                  predictions.history_class as "history_class!", coalesce(prediction_count, 0) as "outcome_count!",
                  mean_scaled_error, error_ratio, coverage_80, coverage_95
           from analytics.keyword_predictions_v1 predictions
           left join analytics.prediction_accuracy_summary_v1 accuracy
               using (marketplace, target_kind, target_metric, horizon_days, history_class)
           where is_latest
             -- As an array the keywords reach into the view, which then reads no others.
             and keyword_id = any(array(
                 select keyword_id from core.keywords
                 where ($1::text is null or marketplace = $1)
                   and ($2::text is null or strpos(keyword_text, lower($2)) > 0)
                 order by marketplace, market, keyword_text
                 limit $4))
             and ($3::integer is null or predictions.horizon_days = $3 * 7)
           order by predictions.marketplace, locale, keyword_text, predictions.target_kind desc,
                    predictions.horizon_days"#,
        marketplace.map(Marketplace::name),
        keyword,
        horizon_weeks,
        i64::from(limit),
    )
    .fetch_all(db)
    .await
}

/// Writes a value with as many digits as a person reads.
pub fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() >= 100.0 => output::thousands(value.round() as i64),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// Writes a share, or the ratio of two errors.
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

fn interval(lo: Option<f64>, hi: Option<f64>) -> String {
    match (lo, hi) {
        (Some(_), Some(_)) => format!("{} to {}", figure(lo), figure(hi)),
        _ => "-".to_owned(),
    }
}
