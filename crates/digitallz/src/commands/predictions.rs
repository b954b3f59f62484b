//! `digitallz predictions list`: the latest predictions, a keyword a line.

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
    /// Level of competition.
    pub competition_level: Option<String>,
    /// Why there is no prediction.
    pub abstain_reason: Option<String>,
    /// Model and version; none where the terms of the source allow no model.
    pub model: String,
}

/// Lists predictions.
pub async fn run(cli: &Cli, command: &PredictionsCommand) -> anyhow::Result<Ending> {
    let PredictionsCommand::List { marketplace, keyword, horizon_weeks, limit } = command;
    let session = Session::open(cli).await?;
    let horizon_weeks = horizon_weeks.map(i32::from);
    let rows = latest(&session.db, *marketplace, keyword.as_deref(), horizon_weeks, *limit).await;
    session.close().await?;
    let rows = rows?;
    if cli.json {
        return output::list(true, "predictions", &rows, &[]).map(|()| Ending::Done);
    }
    output::list(
        false,
        "predictions",
        &rows,
        &[
            output::text("KEYWORD", |row: &PredictionRow| row.keyword.clone()),
            output::text("SITE", |row: &PredictionRow| format!("{} {}", row.marketplace, row.market)),
            output::text("PREDICTED", |row: &PredictionRow| row.target_metric.clone()),
            output::text("WEEK OF", |row: &PredictionRow| row.target_date.to_string()),
            output::number("NOW", |row: &PredictionRow| figure(row.current_value)),
            output::number("PREDICTION", |row: &PredictionRow| figure(row.predicted_value)),
            output::text("80 % INTERVAL", |row: &PredictionRow| interval(row)),
            output::text("DIRECTION", |row: &PredictionRow| {
                row.abstain_reason
                    .clone()
                    .or(row.trend_class.clone())
                    .or(row.competition_level.clone())
                    .unwrap_or_default()
            }),
            output::text("MODEL", |row: &PredictionRow| row.model.clone()),
        ],
    )?;
    Ok(Ending::Done)
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
        r#"select keyword_text as "keyword!", marketplace as "marketplace!", locale as "market!",
                  target_kind as "target_kind!", target_metric as "target_metric!", unit as "unit!",
                  target_date as "target_date!", horizon_days / 7 as "horizon_weeks!", current_value, predicted_value,
                  lo_80, hi_80, trend_class, competition_level, abstain_reason,
                  coalesce(model_name || ' ' || model_version, 'none') as "model!"
           from analytics.keyword_predictions_v1
           where is_latest
             and keyword_id in (
                 select keyword_id from core.keywords
                 where ($1::text is null or marketplace = $1)
                   and ($2::text is null or strpos(keyword_text, lower($2)) > 0)
                 order by marketplace, market, keyword_text
                 limit $4)
             and ($3::integer is null or horizon_days = $3 * 7)
           order by marketplace, locale, keyword_text, target_kind desc, horizon_days"#,
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

fn interval(row: &PredictionRow) -> String {
    match (row.lo_80, row.hi_80) {
        (Some(_), Some(_)) => format!("{} to {}", figure(row.lo_80), figure(row.hi_80)),
        _ => "-".to_owned(),
    }
}
