//! What a credential is granted beyond public data, found out by fetching the tokens that open it.

use digitallz_common::failure::Failure;
use digitallz_common::marketplace::{Marketplace, Resource};

use crate::Context;
use crate::ask::Asking;
use crate::marketplaces::MissingSettings;

/// A kind of data that takes more than the credential itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The kind of data.
    pub resource: Resource,
    /// Whether it may be asked for.
    pub standing: Standing,
}

/// Whether a kind of data may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The marketplace gave a token for it.
    Granted,
    /// The marketplace gave none, and says why.
    Refused(String),
    /// No token could be asked for: settings are missing.
    NotSet,
    /// The marketplace could not be asked.
    Unknown(String),
}

/// Fetches the tokens of a marketplace that open more than public data. A token that is known and fresh is not fetched again.
pub async fn probe(ctx: &Context, marketplace: Marketplace) -> Result<Vec<Grant>, MissingSettings> {
    let channel = ctx.marketplaces.channel(marketplace)?;
    let asking = Asking { ctx, attempt: None, channel, http: ctx.marketplaces.http() };
    let mut grants = Vec::new();
    for (resource, kind) in channel.adapter.grants() {
        let standing = match channel.adapter.token_request(*kind) {
            None => Standing::NotSet,
            Some(_) => match asking.token(*kind).await {
                Ok(_) => Standing::Granted,
                Err(Failure::GiveUp { cause }) => Standing::Refused(cause),
                Err(Failure::Retry { cause } | Failure::Snooze { cause, .. }) => Standing::Unknown(cause),
            },
        };
        grants.push(Grant { resource: *resource, standing });
    }
    Ok(grants)
}
