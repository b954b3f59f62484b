//! The versions of all models, a line each.

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::Marketplace;
use digitallz_scorer::target::ModelName;
use serde::Serialize;
use sqlx::PgPool;

use super::changes;
use crate::cli::{Cli, ModelFilterArgs};
use crate::commands::predictions::percent;
use crate::exit::Ending;
use crate::output::{self, number, text};

/// A version as it is listed.
#[derive(Debug, Serialize)]
struct ModelRow {
    marketplace: String,
    model_name: String,
    version: i32,
    state: String,
    algorithm: String,
    as_of: DateTime<Utc>,
    trained_at: DateTime<Utc>,
    promoted_at: Option<DateTime<Utc>>,
    error: Option<f64>,
    naive_error: Option<f64>,
    error_ratio: Option<f64>,
    coverage_80: Option<f64>,
    outcome_count: i64,
    outcome_error_ratio: Option<f64>,
    outcome_coverage_80: Option<f64>,
    reason: Option<String>,
}

/// Lists versions, by model and the newest first.
pub async fn run(
    cli: &Cli,
    db: &PgPool,
    filter: &ModelFilterArgs,
    only_champions: bool,
    limit: u32,
) -> anyhow::Result<Ending> {
    let rows = sqlx::query_as!(
        ModelRow,
        r#"select models.marketplace, models.model_name, models.version, models.state, models.algorithm, models.as_of,
                  models.trained_at, models.promoted_at,
                  (models.metrics ->> 'model_error')::double precision as error,
                  (models.metrics ->> 'naive_error')::double precision as naive_error,
                  (models.metrics ->> 'ratio')::double precision as error_ratio,
                  (models.metrics ->> 'coverage_80')::double precision as coverage_80,
                  outcomes.outcome_count as "outcome_count!", outcomes.error_ratio as outcome_error_ratio,
                  outcomes.coverage_80 as outcome_coverage_80,
                  models.decision ->> 'reason' as reason
           from ml.model_versions models
           cross join lateral (
               select count(*) as outcome_count,
                      avg(scaled_error) / nullif(avg(naive_scaled_error), 0) as error_ratio,
                      avg(is_inside_80::integer)::double precision as coverage_80
               from analytics.prediction_accuracy_v1 accuracy
               where accuracy.marketplace = models.marketplace and accuracy.target_kind = models.model_name
                 and accuracy.model_version = models.version
           ) outcomes
           where ($1::text is null or models.marketplace = $1)
             and ($2::text is null or models.model_name = $2)
             and (not $3 or models.state = 'champion')
           order by array_position(array['amazon', 'etsy', 'ebay'], models.marketplace), models.model_name desc,
                    models.version desc
           limit $4"#,
        filter.marketplace.map(Marketplace::name),
        filter.model.map(ModelName::name),
        only_champions,
        i64::from(limit),
    )
    .fetch_all(db)
    .await?;
    output::list(
        cli.json,
        "models",
        &rows,
        &[
            text("MODEL", |row: &ModelRow| format!("{} {}", row.marketplace, row.model_name)),
            number("VERSION", |row: &ModelRow| row.version.to_string()),
            text("STATE", |row: &ModelRow| row.state.clone()),
            text("ALGORITHM", |row: &ModelRow| row.algorithm.clone()),
            text("KNOWN UNTIL", |row: &ModelRow| row.as_of.format("%Y-%m-%d %H:%M").to_string()),
            number("BACKTEST", |row: &ModelRow| changes(row.error)),
            number("OF NAIVE", |row: &ModelRow| percent(row.error_ratio)),
            number("OUTCOMES", |row: &ModelRow| output::thousands(row.outcome_count)),
            number("OF NAIVE", |row: &ModelRow| percent(row.outcome_error_ratio)),
            number("80 % COVERED", |row: &ModelRow| percent(row.outcome_coverage_80)),
        ],
    )?;
    Ok(Ending::Done)
}
