//! Which version predicts: promotions, which the gate decides, and rollbacks, which a person does.

use digitallz_common::marketplace::Marketplace;
use digitallz_scorer::promotion::{self, Decision};
use digitallz_scorer::registry::{self, Change, Registered};
use digitallz_scorer::target::ModelName;
use serde_json::{Value, json};

use super::{explained, no_champion};
use crate::cli::{Cli, ModelArgs};
use crate::exit::{Ending, UserError};
use crate::output;
use crate::session::Session;

/// Lets a version predict if it beats seasonal naive and the champion on what is known now.
pub async fn promote(
    cli: &Cli,
    session: &Session,
    args: &ModelArgs,
    version: i32,
    by: &str,
    is_dry_run: bool,
) -> anyhow::Result<Ending> {
    let (marketplace, model_name) = (args.marketplace, args.model);
    let candidate = super::version(&session.db, marketplace, model_name, version).await?;
    let champion = registry::champion(&session.db, model_name, marketplace).await?;
    if candidate.state == "champion" {
        return Err(UserError::new(
            format!("version {version} of {marketplace} {model_name} predicts already"),
            format!("see `digitallz models list --marketplace {marketplace} --model {model_name}` for others"),
        )
        .into());
    }
    let decision = promotion::weigh(&session.db, model_name, marketplace, candidate.clone(), session.clock.now())
        .await
        .map_err(|error| explained(error, marketplace, model_name))?;
    if !decision.is_promoted && !is_dry_run {
        return Err(UserError::new(
            format!("version {version} of {marketplace} {model_name} was not promoted: it is {}", decision.reason),
            "train another with `digitallz models train`, or take a former champion back with `digitallz models rollback`",
        )
        .into());
    }
    if !is_dry_run {
        let change = Change {
            action: "promote_model",
            state_after: "retired",
            actor: by,
            reason: &decision.reason,
            evidence: json!(decision),
        };
        replace(session, marketplace, model_name, champion.as_ref(), &candidate, &change).await?;
    }
    print_promotion(cli, args, version, &decision, is_dry_run)?;
    Ok(Ending::Done)
}

fn print_promotion(
    cli: &Cli,
    args: &ModelArgs,
    version: i32,
    decision: &Decision,
    is_dry_run: bool,
) -> anyhow::Result<()> {
    let (marketplace, model_name) = (args.marketplace, args.model);
    if cli.json {
        let mut promotion = json!(decision);
        promotion["marketplace"] = json!(marketplace);
        promotion["model_name"] = json!(model_name);
        promotion["version"] = json!(version);
        promotion["is_dry_run"] = json!(is_dry_run);
        return output::print_json(&json!({ "promotion": promotion }));
    }
    let verb = match (decision.is_promoted, is_dry_run) {
        (true, false) => "predicts from now on",
        (true, true) => "would be promoted",
        (false, _) => "would not be promoted",
    };
    output::print(&format!("version {version} of {marketplace} {model_name} {verb}: it is {}", decision.reason))
}

/// Takes the champion back: the one before it predicts, or another former one.
pub async fn roll_back(
    cli: &Cli,
    session: &Session,
    args: &ModelArgs,
    to: Option<i32>,
    reason: &str,
    by: &str,
    is_dry_run: bool,
) -> anyhow::Result<Ending> {
    let (marketplace, model_name) = (args.marketplace, args.model);
    let champion = registry::champion(&session.db, model_name, marketplace).await?;
    let champion = champion.ok_or_else(|| no_champion(marketplace, model_name))?;
    let successor = match to {
        Some(version) => super::version(&session.db, marketplace, model_name, version).await?,
        None => registry::previous_champion(&session.db, model_name, marketplace).await?.ok_or_else(|| {
            UserError::new(
                format!("no version predicted before version {} of {marketplace} {model_name}", champion.version),
                "name a former champion with --to, or train another with `digitallz models train`",
            )
        })?,
    };
    if !["retired", "demoted"].contains(&successor.state.as_str()) {
        return Err(UserError::new(
            format!("version {} of {marketplace} {model_name} is no former champion but {}", successor.version, successor.state),
            format!("see `digitallz models list`; a candidate is promoted with `digitallz models promote {marketplace} {model_name}`"),
        )
        .into());
    }
    // A version that cannot be read could not predict.
    successor.open()?;
    if !is_dry_run {
        let change =
            Change { action: "roll_back_model", state_after: "demoted", actor: by, reason, evidence: Value::Null };
        replace(session, marketplace, model_name, Some(&champion), &successor, &change).await?;
    }
    if cli.json {
        output::print_json(&json!({ "rollback": {
            "marketplace": marketplace,
            "model_name": model_name,
            "version_before": champion.version,
            "version_after": successor.version,
            "reason": reason,
            "is_dry_run": is_dry_run,
        }}))?;
    } else {
        let verb = if is_dry_run { "would predict" } else { "predicts from now on" };
        output::print(&format!(
            "version {} of {marketplace} {model_name} {verb}, in place of version {}",
            successor.version, champion.version
        ))?;
    }
    Ok(Ending::Done)
}

/// Puts one version in the place of another, unless a third took that place meanwhile.
async fn replace(
    session: &Session,
    marketplace: Marketplace,
    model_name: ModelName,
    champion: Option<&Registered>,
    successor: &Registered,
    change: &Change<'_>,
) -> anyhow::Result<()> {
    let mut tx = session.db.begin().await?;
    let found = registry::lock(&mut tx, model_name, marketplace).await?;
    if found != champion.map(|champion| champion.model_version_id) {
        return Err(UserError::new(
            format!("another version of {marketplace} {model_name} was made champion meanwhile"),
            format!("see `digitallz models show {marketplace} {model_name}`, then try again"),
        )
        .into());
    }
    let successor_id = Some(successor.model_version_id);
    registry::replace_champion(&mut tx, model_name, marketplace, successor_id, change, session.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}
