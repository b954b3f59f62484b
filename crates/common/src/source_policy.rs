//! What the terms of use of a marketplace allow here: whether it may be asked, how long its answers are kept, and whether
//! models may learn from them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::audit;
use crate::marketplace::{Marketplace, Resource};
use crate::terms;

/// The policy of one marketplace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePolicy {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// Version of the terms that was acknowledged, by whom and when; nothing is collected before.
    pub acknowledged: Option<Acknowledgement>,
    /// What is done with its data.
    pub rules: Rules,
    /// When the policy changed last.
    pub updated_at: DateTime<Utc>,
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

/// How long data of a marketplace is kept, and whether it may train a model. No time means for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long content of listings is kept, raw answers about listings included.
    pub listing_retention: Option<TimeDelta>,
    /// How long other raw answers are kept.
    pub raw_retention: Option<TimeDelta>,
    /// How long observations of keywords, which are derived, are kept.
    pub aggregate_retention: Option<TimeDelta>,
    /// Whether models may be trained on its data.
    pub may_train: bool,
}

/// Where a marketplace stands with its terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The known version was acknowledged.
    Acknowledged,
    /// No version ever was.
    Never,
    /// An older version was: the terms changed since.
    Changed,
}

impl SourcePolicy {
    /// Tells whether the terms as this program knows them are acknowledged.
    pub fn standing(&self) -> Standing {
        match &self.acknowledged {
            None => Standing::Never,
            // Versions are dates, so they compare as text.
            Some(acknowledged) if *acknowledged.terms_version < *terms::known(self.marketplace).version => {
                Standing::Changed
            }
            Some(_) => Standing::Acknowledged,
        }
    }

    /// Says why nothing may be collected; nothing when the terms are acknowledged.
    pub fn refusal(&self) -> Option<String> {
        let terms = terms::known(self.marketplace);
        let (marketplace, version) = (self.marketplace, terms.version);
        match (self.standing(), &self.acknowledged) {
            (Standing::Acknowledged, _) => None,
            (Standing::Changed, Some(acknowledged)) => Some(format!(
                "nothing is collected from {marketplace}: its terms changed, version {version} is not acknowledged, only {}",
                acknowledged.terms_version
            )),
            _ => Some(format!(
                "nothing is collected from {marketplace}: version {version} of its terms is not acknowledged"
            )),
        }
    }
}

impl Rules {
    /// Returns the rules of a marketplace before a person sets others: what its terms say.
    pub fn default_of(marketplace: Marketplace) -> Rules {
        match marketplace {
            Marketplace::Amazon => Rules::UNLIMITED,
            Marketplace::Etsy | Marketplace::Ebay => Rules {
                listing_retention: Some(TimeDelta::hours(6)),
                raw_retention: Some(TimeDelta::hours(24)),
                aggregate_retention: None,
                may_train: false,
            },
        }
    }

    /// Everything is kept for ever and may train.
    pub const UNLIMITED: Rules =
        Rules { listing_retention: None, raw_retention: None, aggregate_retention: None, may_train: true };

    fn to_json(self) -> Value {
        let seconds = |time: Option<TimeDelta>| time.map(|time| time.num_seconds());
        json!({
            "listing_retention_seconds": seconds(self.listing_retention),
            "raw_retention_seconds": seconds(self.raw_retention),
            "aggregate_retention_seconds": seconds(self.aggregate_retention),
            "may_train": self.may_train,
        })
    }
}

/// Tells whether answers of a resource are content of listings, which is kept for a shorter time than other content.
pub fn concerns_listings(resource: Resource) -> bool {
    match resource {
        Resource::CatalogSearch
        | Resource::CompetitivePricing
        | Resource::ListingSearch
        | Resource::ListingBatch
        | Resource::Shop
        | Resource::ListingReviews
        | Resource::ItemSearch
        | Resource::ItemDetails
        | Resource::ItemSales => true,
        Resource::SearchTermsReport
        | Resource::SearchQueryReport
        | Resource::KeywordBids
        | Resource::CategorySuggestions
        | Resource::SuggestedBids => false,
        Resource::SearchTermsFile
        | Resource::SearchQueryFile
        | Resource::InterestFile
        | Resource::KeywordPlanFile
        | Resource::SeriesFile => false,
    }
}

/// Returns the policy of a marketplace.
pub async fn get(connection: &mut PgConnection, marketplace: Marketplace) -> Result<SourcePolicy, sqlx::Error> {
    let row = sqlx::query!(
        "select terms_version, acknowledged_by, acknowledged_at, may_train, updated_at,
                extract(epoch from listing_retention)::bigint as listing_seconds,
                extract(epoch from raw_retention)::bigint as raw_seconds,
                extract(epoch from aggregate_retention)::bigint as aggregate_seconds
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
    let rules = Rules {
        listing_retention: row.listing_seconds.and_then(TimeDelta::try_seconds),
        raw_retention: row.raw_seconds.and_then(TimeDelta::try_seconds),
        aggregate_retention: row.aggregate_seconds.and_then(TimeDelta::try_seconds),
        may_train: row.may_train,
    };
    Ok(SourcePolicy { marketplace, acknowledged, rules, updated_at: row.updated_at })
}

/// Acknowledges the known version of a marketplace's terms, and writes that into the audit trail.
///
/// The caller owns the transaction: the acknowledgement and its event are committed together.
pub async fn acknowledge(
    connection: &mut PgConnection,
    marketplace: Marketplace,
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let terms = terms::known(marketplace);
    sqlx::query!(
        "update ops.source_policies
         set terms_version = $2, acknowledged_by = $3, acknowledged_at = $4, updated_at = $4
         where marketplace = $1",
        marketplace.name(),
        terms.version,
        by,
        now,
    )
    .execute(&mut *connection)
    .await?;
    let detail = json!({ "terms_version": terms.version, "title": terms.title, "url": terms.url });
    audit::record(connection, now, by, "acknowledge_terms", marketplace.name(), detail).await
}

/// Takes an acknowledgement back, and writes that into the audit trail; nothing is collected from then on.
pub async fn withdraw(
    connection: &mut PgConnection,
    marketplace: Marketplace,
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update ops.source_policies
         set terms_version = null, acknowledged_by = null, acknowledged_at = null, updated_at = $2
         where marketplace = $1",
        marketplace.name(),
        now,
    )
    .execute(&mut *connection)
    .await?;
    audit::record(connection, now, by, "withdraw_acknowledgement", marketplace.name(), json!({})).await
}

/// Sets what is done with a marketplace's data, and writes the rules before and after into the audit trail.
pub async fn set_rules(
    connection: &mut PgConnection,
    marketplace: Marketplace,
    rules: Rules,
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let before = get(connection, marketplace).await?.rules;
    let seconds = |time: Option<TimeDelta>| time.map(|time| time.num_seconds() as f64);
    sqlx::query!(
        "update ops.source_policies
         set listing_retention = make_interval(secs => $2), raw_retention = make_interval(secs => $3),
             aggregate_retention = make_interval(secs => $4), may_train = $5, updated_at = $6
         where marketplace = $1",
        marketplace.name(),
        seconds(rules.listing_retention),
        seconds(rules.raw_retention),
        seconds(rules.aggregate_retention),
        rules.may_train,
        now,
    )
    .execute(&mut *connection)
    .await?;
    let detail = json!({ "before": before.to_json(), "after": rules.to_json() });
    audit::record(connection, now, by, "set_policy", marketplace.name(), detail).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(version: Option<&str>) -> SourcePolicy {
        let acknowledged = version.map(|version| Acknowledgement {
            terms_version: version.to_owned(),
            acknowledged_by: "ada".to_owned(),
            acknowledged_at: DateTime::UNIX_EPOCH,
        });
        let rules = Rules::default_of(Marketplace::Etsy);
        SourcePolicy { marketplace: Marketplace::Etsy, acknowledged, rules, updated_at: DateTime::UNIX_EPOCH }
    }

    #[test]
    fn an_older_acknowledgement_does_not_count_any_more() {
        let known = terms::known(Marketplace::Etsy).version;
        assert_eq!(policy(Some(known)).refusal(), None);
        assert_eq!(policy(Some("2999-01-01")).standing(), Standing::Acknowledged);
        assert_eq!(policy(None).standing(), Standing::Never);
        let refusal = policy(Some("2024-01-01")).refusal().expect("refused");
        assert!(refusal.contains("its terms changed") && refusal.contains(known), "{refusal}");
    }
}
