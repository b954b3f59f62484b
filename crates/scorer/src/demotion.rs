//! Demotion: a champion that fell behind seasonal naive, or that cannot be read, predicts no longer.
//!
//! The champion before it takes its place, where there is one, else seasonal naive. Nobody has to ask for it.

use chrono::{DateTime, Utc};
use digitallz_common::failure::{Failure, chain};
use digitallz_common::marketplace::Marketplace;
use serde_json::{Value, json};
use tracing::{error, warn};

use crate::drift::{self, Recent, WEEKS};
use crate::material::TrainError;
use crate::registry::{self, Change, Fitted, ITSELF, Registered};
use crate::target::ModelName;
use crate::{Context, train};

/// Returns the champion and what it learnt, after demoting every one that this program cannot read: its artifact was changed, or an older
/// version of the program made it.
pub(crate) async fn readable_champion(
    ctx: &Context,
    model_name: ModelName,
    marketplace: Marketplace,
    as_of: DateTime<Utc>,
) -> Result<Option<(Registered, Fitted)>, Failure> {
    // Who takes its place was looked at before, so this ends.
    while let Some(champion) = registry::champion(&ctx.db, model_name, marketplace).await? {
        let reason = match champion.open() {
            Ok(fitted) => return Ok(Some((champion, fitted))),
            Err(error) => chain(&error),
        };
        demote(ctx, model_name, marketplace, &champion, &reason, Value::Null, as_of).await?;
    }
    Ok(None)
}

/// Measures how far every champion has drifted, and demotes those that fell behind seasonal naive by more than noise, or cannot
/// be read.
pub(crate) async fn look(ctx: &Context, as_of: DateTime<Utc>) -> Result<(), Failure> {
    for marketplace in Marketplace::ALL {
        for model_name in ModelName::ALL {
            let Some((champion, _)) = readable_champion(ctx, model_name, marketplace, as_of).await? else { continue };
            let recent = Recent::load(&ctx.db, &champion).await?;
            drift::measure(ctx, model_name, marketplace, &champion, recent.as_ref(), as_of).await?;
            let Some(Recent { naive, .. }) = recent else { continue };
            if naive.is_beyond_noise() {
                let reason = format!(
                    "over the last {WEEKS} weeks with outcomes seasonal naive was better by more than noise: {}",
                    naive.explain()
                );
                demote(ctx, model_name, marketplace, &champion, &reason, json!(naive), as_of).await?;
            }
        }
    }
    Ok(())
}

/// Puts the champion before it, or else seasonal naive, in the place of a champion, and raises the event.
async fn demote(
    ctx: &Context,
    model_name: ModelName,
    marketplace: Marketplace,
    champion: &Registered,
    reason: &str,
    evidence: Value,
    as_of: DateTime<Utc>,
) -> Result<(), Failure> {
    let previous = registry::previous_champion(&ctx.db, model_name, marketplace).await?;
    let naive = match previous {
        Some(_) => None,
        None => match train::train_naive(&ctx.db, model_name, marketplace, as_of).await {
            Ok(naive) => Some(naive),
            Err(TrainError::Refused(refusal)) => {
                error!(%marketplace, model.name = %model_name, "no model predicts {model_name} for {marketplace}: {refusal}");
                None
            }
            Err(error) => return Err(error.into()),
        },
    };

    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    // Another process may have come first.
    if registry::lock(&mut tx, model_name, marketplace).await? != Some(champion.model_version_id) {
        return Ok(());
    }
    let successor_id = match (&previous, &naive) {
        (Some(previous), _) => Some(previous.model_version_id),
        (None, Some(naive)) => Some(registry::insert(&mut tx, naive, as_of, now).await?.model_version_id),
        (None, None) => None,
    };
    let change = Change { action: "demote_model", state_after: "demoted", actor: ITSELF, reason, evidence };
    registry::replace_champion(&mut tx, model_name, marketplace, successor_id, &change, now).await?;
    tx.commit().await?;
    warn!(
        %marketplace,
        model.name = %model_name,
        model.version = champion.version,
        "demoted version {} of {marketplace} {model_name}: {reason}",
        champion.version,
    );
    Ok(())
}
