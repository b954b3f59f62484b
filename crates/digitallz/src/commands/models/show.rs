//! Everything about one version: what it was made from, how well it did, and why it predicts or does not.

use chrono::{DateTime, NaiveDate, Utc};
use digitallz_scorer::backtest::{ClassMetrics, HorizonMetrics, Metrics};
use digitallz_scorer::registry;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::types::Json;

use super::{changes, no_champion};
use crate::cli::{Cli, ModelArgs};
use crate::commands::predictions::percent;
use crate::exit::Ending;
use crate::output::{self, number, text};

/// A row of the registry.
#[derive(Debug, Serialize)]
struct Model {
    marketplace: String,
    model_name: String,
    version: i32,
    state: String,
    parent_version: Option<i32>,
    algorithm: String,
    parameters: Value,
    feature_set_version: String,
    as_of: DateTime<Utc>,
    trained_at: DateTime<Utc>,
    promoted_at: Option<DateTime<Utc>>,
    training_first_date: Option<NaiveDate>,
    training_last_date: Option<NaiveDate>,
    training_row_count: i32,
    training_licence: Option<Value>,
    data_fingerprint: String,
    artifact_sha256: String,
    is_intact: bool,
    artifact_size_bytes: i32,
    decision: Option<Value>,
    metrics: Json<Metrics>,
    code_version: String,
}

/// What came of the predictions of a version so many weeks ahead.
#[derive(Debug, Serialize)]
struct HorizonOutcomes {
    horizon_weeks: i32,
    prediction_count: i64,
    mean_scaled_error: Option<f64>,
    naive_mean_scaled_error: Option<f64>,
    coverage_80: Option<f64>,
    coverage_95: Option<f64>,
}

/// How far the version had drifted at the latest look.
#[derive(Debug, Serialize)]
struct Drift {
    as_of: DateTime<Utc>,
    measure: String,
    value: f64,
    expected_value: f64,
    tolerance: f64,
    keyword_count: i32,
    is_drifted: bool,
}

/// A change of the champion that concerns the version.
#[derive(Debug, Serialize)]
struct Event {
    happened_at: DateTime<Utc>,
    actor: String,
    action: String,
    version_before: Option<i32>,
    version_after: Option<i32>,
    reason: Option<String>,
}

/// Shows a version; the champion when none is named.
pub async fn run(cli: &Cli, db: &PgPool, args: &ModelArgs, version: Option<i32>) -> anyhow::Result<Ending> {
    let (marketplace, model_name) = (args.marketplace, args.model);
    let version = match version {
        Some(version) => super::version(db, marketplace, model_name, version).await?.version,
        None => {
            let champion = registry::champion(db, model_name, marketplace).await?;
            champion.ok_or_else(|| no_champion(marketplace, model_name))?.version
        }
    };
    let model = load(db, args, version).await?;
    let outcomes = outcomes(db, args, version).await?;
    let drift = drift(db, args, version).await?;
    let events = events(db, args, version).await?;
    if cli.json {
        let mut shown = serde_json::to_value(&model)?;
        shown["outcomes"] = json!(outcomes);
        shown["drift"] = json!(drift);
        shown["events"] = json!(events);
        return output::print_json(&json!({ "model": shown })).map(|()| Ending::Done);
    }
    print_facts(&model)?;
    print_horizons(&model.metrics.horizons, outcomes)?;
    print_classes(&model.metrics.classes)?;
    if let Some(looked) = drift.first() {
        output::print(&format!("\nDrift, as of {}", looked.as_of.format("%Y-%m-%d %H:%M")))?;
        output::list(
            false,
            "drift",
            &drift,
            &[
                text("MEASURE", |row: &Drift| row.measure.replace('_', " ")),
                number("VALUE", |row: &Drift| changes(Some(row.value))),
                number("EXPECTED", |row: &Drift| changes(Some(row.expected_value))),
                number("TOLERANCE", |row: &Drift| changes(Some(row.tolerance))),
                number("KEYWORDS", |row: &Drift| output::thousands(row.keyword_count.into())),
                text("DRIFTED", |row: &Drift| if row.is_drifted { "yes" } else { "no" }.to_owned()),
            ],
        )?;
    }
    if !events.is_empty() {
        output::print("\nWhat became of it")?;
        output::list(
            false,
            "events",
            &events,
            &[
                text("WHEN", |row: &Event| row.happened_at.format("%Y-%m-%d %H:%M").to_string()),
                text("WHO", |row: &Event| row.actor.clone()),
                text("WHAT", |row: &Event| row.action.replace('_', " ")),
                number("BEFORE", |row: &Event| version_or_none(row.version_before)),
                number("AFTER", |row: &Event| version_or_none(row.version_after)),
                text("WHY", |row: &Event| row.reason.clone().unwrap_or_default()),
            ],
        )?;
    }
    Ok(Ending::Done)
}

async fn load(db: &PgPool, args: &ModelArgs, version: i32) -> Result<Model, sqlx::Error> {
    sqlx::query_as!(
        Model,
        r#"select models.marketplace, models.model_name, models.version, models.state,
                  parents.version as "parent_version?", models.algorithm, models.parameters, models.feature_set_version,
                  models.as_of, models.trained_at, models.promoted_at, models.training_first_date,
                  models.training_last_date, models.training_row_count, models.training_licence,
                  encode(models.data_fingerprint, 'hex') as "data_fingerprint!",
                  encode(models.artifact_sha256, 'hex') as "artifact_sha256!",
                  sha256(models.artifact) = models.artifact_sha256 as "is_intact!",
                  octet_length(models.artifact) as "artifact_size_bytes!",
                  models.decision, models.metrics as "metrics: Json<Metrics>", models.code_version
           from ml.model_versions models
           left join ml.model_versions parents on parents.model_version_id = models.parent_model_version_id
           where models.marketplace = $1 and models.model_name = $2 and models.version = $3"#,
        args.marketplace.name(),
        args.model.name(),
        version,
    )
    .fetch_one(db)
    .await
}

async fn outcomes(db: &PgPool, args: &ModelArgs, version: i32) -> Result<Vec<HorizonOutcomes>, sqlx::Error> {
    sqlx::query_as!(
        HorizonOutcomes,
        r#"select horizon_days / 7 as "horizon_weeks!", count(*) as "prediction_count!",
                  avg(scaled_error) as mean_scaled_error, avg(naive_scaled_error) as naive_mean_scaled_error,
                  avg(is_inside_80::integer)::double precision as coverage_80,
                  avg(is_inside_95::integer)::double precision as coverage_95
           from analytics.prediction_accuracy_v1
           where marketplace = $1 and target_kind = $2 and model_version = $3
           group by horizon_days
           order by horizon_days"#,
        args.marketplace.name(),
        args.model.name(),
        version,
    )
    .fetch_all(db)
    .await
}

async fn drift(db: &PgPool, args: &ModelArgs, version: i32) -> Result<Vec<Drift>, sqlx::Error> {
    sqlx::query_as!(
        Drift,
        r#"select as_of as "as_of!", measure as "measure!", value as "value!", expected_value as "expected_value!",
                  tolerance as "tolerance!", keyword_count as "keyword_count!", is_drifted as "is_drifted!"
           from analytics.model_drift_v1
           where marketplace = $1 and model_name = $2 and model_version = $3 and is_latest
           order by measure"#,
        args.marketplace.name(),
        args.model.name(),
        version,
    )
    .fetch_all(db)
    .await
}

async fn events(db: &PgPool, args: &ModelArgs, version: i32) -> Result<Vec<Event>, sqlx::Error> {
    sqlx::query_as!(
        Event,
        "select happened_at, actor, action, (detail ->> 'version_before')::integer as version_before,
                (detail ->> 'version_after')::integer as version_after, detail ->> 'reason' as reason
         from ops.audit_events
         where action in ('promote_model', 'demote_model', 'roll_back_model') and subject = $1
           and $2 in ((detail ->> 'version_before')::integer, (detail ->> 'version_after')::integer)
         order by audit_event_id",
        format!("{} {}", args.marketplace, args.model),
        version,
    )
    .fetch_all(db)
    .await
}

fn print_facts(model: &Model) -> anyhow::Result<()> {
    let day = |date: Option<NaiveDate>| date.map_or_else(|| "unknown".to_owned(), |date| date.to_string());
    let moment = |moment: DateTime<Utc>| moment.format("%Y-%m-%d %H:%M").to_string();
    let state = match model.promoted_at {
        Some(promoted_at) => format!("{}, promoted {}", model.state, moment(promoted_at)),
        None => model.state.clone(),
    };
    output::print(&format!("{} {}, version {}", model.marketplace, model.model_name, model.version))?;
    for (label, text) in [
        ("state", state),
        ("decision", in_decision(model).unwrap_or_else(|| "unknown".to_owned())),
        ("held against", format!("version {}", version_or_none(model.parent_version))),
        ("algorithm", format!("{} {}", model.algorithm, model.parameters)),
        ("features", model.feature_set_version.clone()),
        (
            "trained on",
            format!(
                "{} rows, weeks of {} to {}, known until {}",
                output::thousands(model.training_row_count.into()),
                day(model.training_first_date),
                day(model.training_last_date),
                moment(model.as_of),
            ),
        ),
        ("may train", in_licence(model)),
        ("series", format!("sha256 {}", model.data_fingerprint)),
        (
            "artifact",
            format!(
                "sha256 {}, {} bytes, {}",
                model.artifact_sha256,
                output::thousands(model.artifact_size_bytes.into()),
                if model.is_intact { "intact" } else { "CHANGED" },
            ),
        ),
        ("code", format!("{}, at {}", model.code_version, moment(model.trained_at))),
    ] {
        output::print(&format!("  {label:13} {text}"))?;
    }
    Ok(())
}

fn in_decision(model: &Model) -> Option<String> {
    Some(model.decision.as_ref()?["reason"].as_str()?.to_owned())
}

/// Says what allowed the data to train the version.
fn in_licence(model: &Model) -> String {
    let Some(licence) = &model.training_licence else { return "unknown".to_owned() };
    let word = |name: &str| licence[name].as_str().unwrap_or("none").to_owned();
    let words = |name: &str| -> Vec<&str> {
        licence[name].as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(Value::as_str).collect()
    };
    let beside = words("other_marketplaces");
    format!(
        "{}, by the policy of {}; terms {} acknowledged by {}; from {}{}",
        if licence["may_train"] == true { "yes" } else { "no" },
        word("policy_updated_at"),
        word("terms_version"),
        word("acknowledged_by"),
        words("resources").join(", "),
        if beside.is_empty() { String::new() } else { format!(", beside {}", beside.join(", ")) },
    )
}

/// A horizon in the backtest and in the ledger.
struct Line {
    backtest: HorizonMetrics,
    outcomes: Option<HorizonOutcomes>,
}

fn print_horizons(horizons: &[HorizonMetrics], outcomes: Vec<HorizonOutcomes>) -> anyhow::Result<()> {
    let mut outcomes = outcomes.into_iter().peekable();
    let lines: Vec<Line> = horizons
        .iter()
        .map(|backtest| Line {
            backtest: backtest.clone(),
            outcomes: outcomes.next_if(|outcomes| outcomes.horizon_weeks == backtest.horizon as i32),
        })
        .collect();
    let of_outcomes = |write: fn(&HorizonOutcomes) -> String| {
        move |line: &Line| line.outcomes.as_ref().map_or_else(|| "-".to_owned(), write)
    };
    output::print("\nErrors in mean absolute weekly changes: in the backtest, and of what came of its predictions")?;
    output::print(&output::table(
        &lines,
        &[
            number("WEEKS AHEAD", |line: &Line| line.backtest.horizon.to_string()),
            number("BACKTEST", |line: &Line| changes(line.backtest.model_error)),
            number("NAIVE", |line: &Line| changes(line.backtest.naive_error)),
            number("80 % COVERED", |line: &Line| percent(line.backtest.coverage_80)),
            number("95 % COVERED", |line: &Line| percent(line.backtest.coverage_95)),
            number("OUTCOMES", of_outcomes(|outcomes| output::thousands(outcomes.prediction_count))),
            number("ERROR", of_outcomes(|outcomes| changes(outcomes.mean_scaled_error))),
            number("NAIVE", of_outcomes(|outcomes| changes(outcomes.naive_mean_scaled_error))),
            number("80 % COVERED", of_outcomes(|outcomes| percent(outcomes.coverage_80))),
            number("95 % COVERED", of_outcomes(|outcomes| percent(outcomes.coverage_95))),
        ],
    ))
}

fn print_classes(classes: &[ClassMetrics]) -> anyhow::Result<()> {
    if classes.is_empty() {
        return Ok(());
    }
    output::print("\nErrors in the backtest, by the weeks that were observed")?;
    output::print(&output::table(
        classes,
        &[
            text("HISTORY", |row: &ClassMetrics| row.history_class.to_string()),
            number("KEYWORDS", |row: &ClassMetrics| output::thousands(row.keyword_count as i64)),
            number("PREDICTIONS", |row: &ClassMetrics| output::thousands(row.n as i64)),
            number("BACKTEST", |row: &ClassMetrics| changes(row.model_error)),
            number("NAIVE", |row: &ClassMetrics| changes(row.naive_error)),
            number("80 % COVERED", |row: &ClassMetrics| percent(row.coverage_80)),
            number("95 % COVERED", |row: &ClassMetrics| percent(row.coverage_95)),
        ],
    ))
}

fn version_or_none(version: Option<i32>) -> String {
    version.map_or_else(|| "none".to_owned(), |version| version.to_string())
}
