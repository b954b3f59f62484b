//! How hard it will be for the next newcomers of each keyword to come up.

use chrono::NaiveDate;
use digitallz_common::marketplace::Marketplace;
use serde::Serialize;
use sqlx::PgPool;

use super::{figure, percent};
use crate::cli::Cli;
use crate::output::{self, number, text};

/// A prediction of entry as it is listed.
#[derive(Debug, Serialize)]
struct EntryRow {
    keyword: String,
    marketplace: String,
    market: String,
    cohort_start_date: NaiveDate,
    outcome_date: NaiveDate,
    predicted_value: Option<f64>,
    lo_80: Option<f64>,
    hi_80: Option<f64>,
    low_probability: Option<f64>,
    medium_probability: Option<f64>,
    high_probability: Option<f64>,
    level: Option<String>,
    persistence_value: Option<f64>,
    newcomer_count: i32,
    abstain_reason: Option<String>,
    model_version: i32,
    /// Earlier predictions for the same marketplace whose newcomers were counted.
    outcome_count: i64,
    /// Their mean error, in parts of one.
    mean_error: Option<f64>,
    /// Their mean error divided by that of persistence; below 1 is better.
    error_ratio: Option<f64>,
    /// Share of the counted difficulties that lay inside the 80 % interval.
    coverage_80: Option<f64>,
}

/// Lists the newest prediction of each keyword.
pub async fn list(
    cli: &Cli,
    db: &PgPool,
    marketplace: Option<Marketplace>,
    keyword: Option<&str>,
    limit: u32,
) -> anyhow::Result<()> {
    let rows = sqlx::query_as!(
        EntryRow,
        r#"select keyword_text as "keyword!", predictions.marketplace as "marketplace!", market as "market!",
                  cohort_start_date as "cohort_start_date!", outcome_date as "outcome_date!", predicted_value, lo_80, hi_80,
                  low_probability, medium_probability, high_probability, level, persistence_value,
                  newcomer_count as "newcomer_count!", abstain_reason, model_version as "model_version!",
                  coalesce(accuracy.prediction_count, 0) as "outcome_count!", accuracy.mean_scaled_error as mean_error,
                  accuracy.error_ratio, accuracy.coverage_80
           from analytics.entry_predictions_v1 predictions
           left join analytics.prediction_accuracy_summary_v1 accuracy
               on accuracy.marketplace = predictions.marketplace and accuracy.target_kind = 'entry'
           where is_latest
             and ($1::text is null or predictions.marketplace = $1)
             and ($2::text is null or strpos(keyword_text, lower($2)) > 0)
           order by array_position(array['amazon', 'etsy', 'ebay'], predictions.marketplace), market, keyword_text
           limit $3"#,
        marketplace.map(Marketplace::name),
        keyword,
        i64::from(limit),
    )
    .fetch_all(db)
    .await?;
    if rows.is_empty() {
        eprintln!(
            "note: a marketplace is foretold once its results were looked at for about 40 weeks, enough listings were new there, and \
             a model of it beats persistence"
        );
    }
    output::list(
        cli.json,
        "entries",
        &rows,
        &[
            text("KEYWORD", |row: &EntryRow| row.keyword.clone()),
            text("SITE", |row: &EntryRow| format!("{} {}", row.marketplace, row.market)),
            text("NEWCOMERS FROM", |row: &EntryRow| row.cohort_start_date.to_string()),
            text("COUNTED", |row: &EntryRow| row.outcome_date.to_string()),
            text("LEVEL", |row: &EntryRow| row.level.clone().or(row.abstain_reason.clone()).unwrap_or_default()),
            number("LOW", |row: &EntryRow| percent(row.low_probability)),
            number("MEDIUM", |row: &EntryRow| percent(row.medium_probability)),
            number("HIGH", |row: &EntryRow| percent(row.high_probability)),
            number("DIFFICULTY", |row: &EntryRow| figure(row.predicted_value)),
            text("80 % INTERVAL", |row: &EntryRow| super::interval(row.lo_80, row.hi_80)),
            number("BEFORE", |row: &EntryRow| figure(row.persistence_value)),
            number("OUTCOMES", |row: &EntryRow| output::thousands(row.outcome_count)),
            number("OF PERSISTENCE", |row: &EntryRow| percent(row.error_ratio)),
            number("80 % COVERED", |row: &EntryRow| percent(row.coverage_80)),
        ],
    )
}
