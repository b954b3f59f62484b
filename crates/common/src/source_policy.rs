//! What the terms of use of a marketplace allow here: whether it may be asked, how long its answers are kept, and whether
//! models may learn from them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::marketplace::Marketplace;

/// The policy of one marketplace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePolicy {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// Version of the terms that was acknowledged, by whom and when; nothing is collected before.
    pub acknowledged: Option<Acknowledgement>,
    /// Whether models may be trained on its data.
    pub may_train: bool,
}

/// That somebody read terms of use and takes responsibility for collecting under them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Version of the terms.
    pub terms_version: String,
    /// Who acknowledged them.
    pub acknowledged_by: String,
    /// When.
    pub acknowledged_at: DateTime<Utc>,
}

/// Returns the policy of a marketplace.
pub async fn get(connection: &mut PgConnection, marketplace: Marketplace) -> Result<SourcePolicy, sqlx::Error> {
    let row = sqlx::query!(
        "select terms_version, acknowledged_by, acknowledged_at, may_train
         from ops.source_policies where marketplace = $1",
        marketplace.name()
    )
    .fetch_one(connection)
    .await?;
    let acknowledged = match (row.terms_version, row.acknowledged_by, row.acknowledged_at) {
        (Some(terms_version), Some(acknowledged_by), Some(acknowledged_at)) => {
            Some(Acknowledgement { terms_version, acknowledged_by, acknowledged_at })
        }
        _ => None,
    };
    Ok(SourcePolicy { marketplace, acknowledged, may_train: row.may_train })
}
