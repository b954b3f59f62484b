//! `digitallz models`: the versions of the models, how well they do, and which of them predict.

mod change;
mod list;
mod show;
mod train;

use digitallz_common::marketplace::Marketplace;
use digitallz_scorer::material::TrainError;
use digitallz_scorer::registry::{self, Registered};
use digitallz_scorer::target::ModelName;
use sqlx::PgPool;

use crate::cli::{Cli, ModelsCommand};
use crate::exit::{Ending, UserError};
use crate::session::Session;

/// Does what the command says.
pub async fn run(cli: &Cli, command: &ModelsCommand) -> anyhow::Result<Ending> {
    let session = Session::open(cli).await?;
    let result = match command {
        ModelsCommand::List { filter, champions, limit } => {
            list::run(cli, &session.db, filter, *champions, *limit).await
        }
        ModelsCommand::Show { model, version } => show::run(cli, &session.db, model, *version).await,
        ModelsCommand::Backtest { filter } => train::backtest(cli, &session, filter).await,
        ModelsCommand::Train { filter, replay: Some(version), .. } => {
            train::replay(cli, &session, filter, *version).await
        }
        ModelsCommand::Train { filter, dry_run, .. } => train::run(cli, &session, filter, *dry_run).await,
        ModelsCommand::Promote { model, version, actor, dry_run } => {
            change::promote(cli, &session, model, *version, &actor.by, *dry_run).await
        }
        ModelsCommand::Rollback { model, to, reason, actor, dry_run } => {
            change::roll_back(cli, &session, model, *to, reason, &actor.by, *dry_run).await
        }
    };
    session.close().await?;
    result
}

/// Returns a version, or an error that says which there are.
async fn version(
    db: &PgPool,
    marketplace: Marketplace,
    model_name: ModelName,
    version: i32,
) -> anyhow::Result<Registered> {
    let found = registry::version(db, model_name, marketplace, version).await?;
    Ok(found.ok_or_else(|| {
        UserError::new(
            format!("there is no version {version} of {marketplace} {model_name}"),
            format!("see `digitallz models list --marketplace {marketplace} --model {model_name}`"),
        )
    })?)
}

/// Says of data that may not train, or are too few, what to do about it.
fn explained(error: TrainError, marketplace: Marketplace, model_name: ModelName) -> anyhow::Error {
    match error {
        TrainError::Refused(reason) => UserError::new(
            format!("nothing can be learnt of {marketplace} {model_name}: {reason}"),
            format!("see `digitallz sources show {marketplace}` for what may train, and go on collecting"),
        )
        .into(),
        error => error.into(),
    }
}

/// Says that nothing predicts.
fn no_champion(marketplace: Marketplace, model_name: ModelName) -> UserError {
    UserError::new(
        format!("no version of {marketplace} {model_name} predicts"),
        "train one with `digitallz models train`",
    )
}

/// Writes an error in mean absolute weekly changes.
fn changes(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}
