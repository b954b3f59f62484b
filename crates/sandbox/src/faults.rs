//! Scripted trouble: rules that spoil chosen answers.

use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Marketplace;
use crate::noise::{hash, hash_texts, unit};
use crate::world::normalize;

/// A way in which an answer goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Answers 429 in the marketplace's words.
    TooManyRequests {
        /// Seconds for a `retry-after` header; `None` leaves the header out.
        retry_after_s: Option<u64>,
    },
    /// Answers with this status and the marketplace's error body.
    ServerError(u16),
    /// Waits before the true answer; over HTTP the wait is given in milliseconds.
    Slow(#[serde(with = "millis")] Duration),
    /// Announces the whole body, sends half of it and closes the connection.
    TruncatedBody,
    /// Answers 200 with a page for people to prove they are no robot.
    HtmlWithStatus200,
    /// Says that the link to a report document has expired.
    ExpiredReportLink,
    /// Cancels the report that is asked about.
    CancelledReport,
    /// Lets the report that is asked about end FATAL, with a document that gives the cause.
    FatalReport,
    /// Breaks the type of one field in one row of a good answer.
    MalformedRow,
    /// Adds a field of this name to every row of a good answer; documents that are streamed stay as they are.
    UnknownField(String),
    /// Makes a text of the field of this name in every row of a good answer; documents that are streamed stay as they are.
    ChangedType(String),
    /// Answers as if the credentials were no longer valid.
    Unauthorized,
    /// Gives the true answer, but calls it HTML.
    WrongContentType,
    /// Closes the connection without an answer; what was asked for is not done.
    ConnectionClosed,
    /// Lets a search claim that nothing matches.
    EmptyResults,
}

/// Says which requests meet a fault.
///
/// A request over a limit never meets one: the limits come first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultRule {
    /// The marketplace whose answers are spoiled.
    pub marketplace: Marketplace,
    /// The operation, such as `searchCatalogItems`; `None` means all that the fault makes sense for.
    #[serde(default)]
    pub operation: Option<String>,
    /// The keyword asked for; `None` means any request.
    #[serde(default)]
    pub keyword: Option<String>,
    /// How many requests are spoiled; `None` means all.
    #[serde(default)]
    pub times: Option<u32>,
    /// The part of the fitting requests that is spoiled, from 0 to 1; `None` means all.
    ///
    /// Which ones depends only on the sandbox's seed, the number of rules before this one and the number of requests
    /// that fitted it.
    #[serde(default)]
    pub share: Option<f64>,
    /// What goes wrong.
    pub fault: Fault,
}

/// The rules in force, in the order they were given.
pub(crate) struct Faults {
    seed: u64,
    rules: Mutex<Rules>,
}

#[derive(Default)]
struct Rules {
    given: u64,
    in_force: Vec<RuleInForce>,
}

struct RuleInForce {
    rule: FaultRule,
    salt: u64,
    /// The requests that fitted so far.
    fitting: u64,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed: hash_texts(seed, &["faults"]), rules: Mutex::default() }
    }

    pub(crate) fn inject(&self, rule: FaultRule) {
        let mut rules = self.rules.lock().expect("no holder panics");
        let salt = hash(self.seed, rules.given);
        rules.given += 1;
        rules.in_force.push(RuleInForce { rule, salt, fitting: 0 });
    }

    pub(crate) fn clear(&self) {
        self.rules.lock().expect("no holder panics").in_force.clear();
    }

    /// Takes the fault of the first rule that hits a request and counts it.
    pub(crate) fn take(&self, marketplace: Marketplace, operation: &str, keyword: Option<&str>) -> Option<Fault> {
        let mut rules = self.rules.lock().expect("no holder panics");
        rules.in_force.retain(|in_force| in_force.rule.times != Some(0));
        for in_force in &mut rules.in_force {
            if !in_force.rule.fits(marketplace, operation, keyword) {
                continue;
            }
            let chance = unit(hash(in_force.salt, in_force.fitting));
            in_force.fitting += 1;
            if in_force.rule.share.is_some_and(|share| chance >= share) {
                continue;
            }
            if let Some(times) = &mut in_force.rule.times {
                *times -= 1;
            }
            return Some(in_force.rule.fault.clone());
        }
        None
    }
}

impl FaultRule {
    fn fits(&self, marketplace: Marketplace, operation: &str, keyword: Option<&str>) -> bool {
        let operation_fits = match &self.operation {
            Some(wanted) => wanted == operation,
            None => self.fault.suits(operation),
        };
        let keyword_fits = match &self.keyword {
            // Some services write the words of a keyword with commas between them.
            Some(wanted) => keyword.is_some_and(|keyword| normalize(wanted) == normalize(&keyword.replace(',', " "))),
            None => true,
        };
        self.marketplace == marketplace && operation_fits && keyword_fits
    }
}

impl Fault {
    /// Whether the fault makes sense for an operation that the rule does not name.
    fn suits(&self, operation: &str) -> bool {
        match self {
            Fault::ExpiredReportLink => operation == "downloadDocument",
            Fault::CancelledReport | Fault::FatalReport => operation == "getReport",
            Fault::MalformedRow | Fault::UnknownField(_) | Fault::ChangedType(_) => matches!(
                operation,
                "searchCatalogItems"
                    | "downloadDocument"
                    | "findAllListingsActive"
                    | "getListingsByListingIds"
                    | "itemSummarySearch"
                    | "getCompetitiveSummary"
                    | "getKeywordRecommendations"
                    | "getReviewsByListing"
                    | "getItems"
                    | "itemSalesSearch"
                    | "suggestBids"
            ),
            Fault::EmptyResults => matches!(
                operation,
                "searchCatalogItems" | "findAllListingsActive" | "itemSummarySearch" | "itemSalesSearch"
            ),
            Fault::Unauthorized => !matches!(operation, "lwaToken" | "oauthToken" | "downloadDocument"),
            _ => true,
        }
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(wait: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(wait.as_millis() as u64)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Ok(Duration::from_millis(u64::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_fires_as_often_as_it_says_and_only_where_it_fits() {
        let faults = Faults::new(1);
        faults.inject(FaultRule {
            marketplace: Marketplace::Etsy,
            operation: None,
            keyword: Some("Boho Lamp".into()),
            times: Some(2),
            share: None,
            fault: Fault::ServerError(503),
        });
        let take = |keyword| faults.take(Marketplace::Etsy, "findAllListingsActive", keyword);
        assert_eq!(take(Some("svg bundle")), None);
        assert_eq!(take(None), None);
        assert_eq!(faults.take(Marketplace::Ebay, "itemSummarySearch", Some("boho lamp")), None);
        assert_eq!(take(Some("boho lamp")), Some(Fault::ServerError(503)));
        assert_eq!(take(Some("boho  lamp")), Some(Fault::ServerError(503)));
        assert_eq!(take(Some("boho lamp")), None);
    }

    #[test]
    fn a_share_of_the_requests_is_hit_and_the_same_ones_every_time() {
        let hits = |seed| -> Vec<bool> {
            let faults = Faults::new(seed);
            let rule = r#"{"marketplace":"ebay","share":0.3,"fault":"connection_closed"}"#;
            faults.inject(serde_json::from_str(rule).unwrap());
            faults.inject(serde_json::from_str(&rule.replace("0.3", "0.0")).unwrap());
            (0..1_000).map(|_| faults.take(Marketplace::Ebay, "getItems", None).is_some()).collect()
        };
        assert_eq!(hits(1), hits(1));
        assert_ne!(hits(1), hits(2));
        let count = hits(1).iter().filter(|hit| **hit).count();
        assert!((250..350).contains(&count), "{count}");
    }

    #[test]
    fn a_rule_is_read_from_json() {
        let text = r#"{"marketplace":"amazon","times":1,"fault":{"slow":250}}"#;
        let rule: FaultRule = serde_json::from_str(text).unwrap();
        assert_eq!(rule.fault, Fault::Slow(Duration::from_millis(250)));
        let text = r#"{"marketplace":"ebay","fault":{"too_many_requests":{"retry_after_s":null}}}"#;
        let rule: FaultRule = serde_json::from_str(text).unwrap();
        assert_eq!(rule.fault, Fault::TooManyRequests { retry_after_s: None });
    }
}
