//! Trainings and backtests by hand, and trainings done again.

use digitallz_common::marketplace::Marketplace;
use digitallz_scorer::material::TrainError;
use digitallz_scorer::registry::{self, NewVersion};
use digitallz_scorer::replay;
use digitallz_scorer::target::ModelName;
use digitallz_scorer::train::{self, Tried};
use serde::Serialize;
use serde_json::json;

use super::{changes, explained};
use crate::cli::{Cli, ModelFilterArgs};
use crate::commands::predictions::percent;
use crate::exit::{Ending, UserError};
use crate::output::{self, number, text};
use crate::session::Session;

/// What came of a training.
#[derive(Debug, Serialize)]
struct Training {
    marketplace: Marketplace,
    model_name: ModelName,
    /// None in a dry run, and where nothing was trained.
    version: Option<i32>,
    algorithm: Option<&'static str>,
    error: Option<f64>,
    naive_error: Option<f64>,
    is_promoted: bool,
    reason: String,
}

impl Training {
    fn of(new: &NewVersion) -> Training {
        Training {
            marketplace: new.marketplace,
            model_name: new.model_name,
            version: None,
            algorithm: Some(new.algorithm),
            error: new.metrics.model_error,
            naive_error: new.metrics.naive_error,
            is_promoted: new.decision.is_promoted,
            reason: new.decision.reason.clone(),
        }
    }

    fn refused(marketplace: Marketplace, model_name: ModelName, reason: String) -> Training {
        Training {
            marketplace,
            model_name,
            version: None,
            algorithm: None,
            error: None,
            naive_error: None,
            is_promoted: false,
            reason,
        }
    }
}

/// Returns the models that a filter leaves.
fn chosen(filter: &ModelFilterArgs) -> impl Iterator<Item = (Marketplace, ModelName)> {
    let ModelFilterArgs { marketplace, model } = *filter;
    let marketplaces = Marketplace::ALL.into_iter().filter(move |one| marketplace.is_none_or(|only| only == *one));
    marketplaces.flat_map(move |marketplace| {
        let models = ModelName::ALL.into_iter().filter(move |one| model.is_none_or(|only| only == *one));
        models.map(move |model_name| (marketplace, model_name))
    })
}

/// Trains on what is known now, and registers what comes out unless it is a dry run.
pub async fn run(cli: &Cli, session: &Session, filter: &ModelFilterArgs, is_dry_run: bool) -> anyhow::Result<Ending> {
    let as_of = session.clock.now();
    let mut trainings = Vec::new();
    for (marketplace, model_name) in chosen(filter) {
        let new = match train::train(&session.db, model_name, marketplace, as_of).await {
            Ok(new) => new,
            Err(TrainError::Refused(reason)) => {
                trainings.push(Training::refused(marketplace, model_name, reason));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let mut training = Training::of(&new);
        if !is_dry_run {
            let mut tx = session.db.begin().await?;
            let stored = registry::register(&mut tx, &new, as_of, session.clock.now()).await?;
            tx.commit().await?;
            training.version = Some(stored.version);
            training.is_promoted = stored.is_champion;
        }
        trainings.push(training);
    }
    output::list(
        cli.json,
        "trainings",
        &trainings,
        &[
            text("MODEL", |row: &Training| format!("{} {}", row.marketplace, row.model_name)),
            number("VERSION", |row: &Training| {
                row.version.map_or_else(|| "-".to_owned(), |version| version.to_string())
            }),
            text("ALGORITHM", |row: &Training| row.algorithm.unwrap_or("-").to_owned()),
            number("ERROR", |row: &Training| changes(row.error)),
            number("NAIVE", |row: &Training| changes(row.naive_error)),
            text("PREDICTS", |row: &Training| if row.is_promoted { "yes" } else { "no" }.to_owned()),
            text("WHY", |row: &Training| row.reason.clone()),
        ],
    )?;
    if is_dry_run && !cli.json {
        eprintln!("dry run: nothing was stored");
    }
    Ok(if trainings.iter().all(|training| training.algorithm.is_some()) { Ending::Done } else { Ending::PartlyDone })
}

/// Does the training of a version again and tells whether the same came out.
pub async fn replay(cli: &Cli, session: &Session, filter: &ModelFilterArgs, version: i32) -> anyhow::Result<Ending> {
    let (Some(marketplace), Some(model_name)) = (filter.marketplace, filter.model) else {
        return Err(UserError::usage(
            "a version is counted by marketplace and model",
            format!("for example `digitallz models train --replay {version} --marketplace amazon --model demand`"),
        )
        .into());
    };
    let registered = super::version(&session.db, marketplace, model_name, version).await?;
    let registered_sha256 = hex(&registered.artifact_sha256);
    let replay = replay::replay(&session.db, model_name, marketplace, registered)
        .await
        .map_err(|error| explained(error, marketplace, model_name))?;
    let replayed_sha256 = hex(&replay.artifact_sha256);
    if cli.json {
        output::print_json(&json!({ "replay": {
            "marketplace": marketplace,
            "model_name": model_name,
            "version": version,
            "artifact_sha256": registered_sha256,
            "replayed_sha256": replayed_sha256,
            "is_same": replay.is_same,
            "differences": replay.differences,
        }}))?;
    } else {
        output::print(&format!("registered  {registered_sha256}\nreplayed    {replayed_sha256}"))?;
        let verdict = if replay.is_same { "the same came out" } else { "something else came out" };
        eprintln!("{marketplace} {model_name}, version {version}: {verdict}");
        for difference in &replay.differences {
            eprintln!("  {difference}");
        }
    }
    Ok(if replay.is_same { Ending::Done } else { Ending::Failed })
}

/// Replays every algorithm at past weeks and stores nothing.
pub async fn backtest(cli: &Cli, session: &Session, filter: &ModelFilterArgs) -> anyhow::Result<Ending> {
    let as_of = session.clock.now();
    let mut all = Vec::new();
    let mut is_all = true;
    for (marketplace, model_name) in chosen(filter) {
        match train::backtest(&session.db, model_name, marketplace, as_of).await {
            Ok(tried) => all.extend(tried),
            Err(TrainError::Refused(reason)) => {
                is_all = false;
                eprintln!("{marketplace} {model_name}: {reason}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    output::list(
        cli.json,
        "backtests",
        &all,
        &[
            text("MODEL", |row: &Tried| format!("{} {}", row.marketplace, row.model_name)),
            text("ALGORITHM", |row: &Tried| row.algorithm.clone()),
            number("ORIGINS", |row: &Tried| row.metrics.origins.len().to_string()),
            number("ERROR", |row: &Tried| changes(row.metrics.model_error)),
            number("NAIVE", |row: &Tried| changes(row.metrics.naive_error)),
            number("GAIN", |row: &Tried| changes(row.against_naive.gain)),
            number("AT THE LEAST", |row: &Tried| changes(row.against_naive.gain_lower_95)),
            number("KEYWORDS", |row: &Tried| row.against_naive.keyword_count.to_string()),
            number("80 % COVERED", |row: &Tried| percent(row.metrics.coverage_80)),
            number("95 % COVERED", |row: &Tried| percent(row.metrics.coverage_95)),
        ],
    )?;
    Ok(if is_all { Ending::Done } else { Ending::PartlyDone })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
