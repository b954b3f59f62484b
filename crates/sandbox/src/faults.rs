//! Scripted trouble: rules that spoil chosen answers.

use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Marketplace;
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
    /// Answers as if the credentials were no longer valid.
    Unauthorized,
}

/// Says which requests meet a fault.
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
    /// What goes wrong.
    pub fault: Fault,
}

/// The rules in force, in the order they were given.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<FaultRule>>);

impl Faults {
    pub(crate) fn inject(&self, rule: FaultRule) {
        self.0.lock().expect("no holder panics").push(rule);
    }

    pub(crate) fn clear(&self) {
        self.0.lock().expect("no holder panics").clear();
    }

    /// Takes the fault of the first rule that fits a request and counts it.
    pub(crate) fn take(&self, marketplace: Marketplace, operation: &str, keyword: Option<&str>) -> Option<Fault> {
        let mut rules = self.0.lock().expect("no holder panics");
        rules.retain(|rule| rule.times != Some(0));
        let rule = rules.iter_mut().find(|rule| rule.fits(marketplace, operation, keyword))?;
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        Some(rule.fault.clone())
    }
}

impl FaultRule {
    fn fits(&self, marketplace: Marketplace, operation: &str, keyword: Option<&str>) -> bool {
        let operation_fits = match &self.operation {
            Some(wanted) => wanted == operation,
            None => self.fault.suits(operation),
        };
        let keyword_fits = match &self.keyword {
            Some(wanted) => keyword.is_some_and(|keyword| normalize(wanted) == normalize(keyword)),
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
            Fault::MalformedRow => matches!(
                operation,
                "searchCatalogItems"
                    | "downloadDocument"
                    | "findAllListingsActive"
                    | "getListingsByListingIds"
                    | "itemSummarySearch"
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
        let faults = Faults::default();
        faults.inject(FaultRule {
            marketplace: Marketplace::Etsy,
            operation: None,
            keyword: Some("Boho Lamp".into()),
            times: Some(2),
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
    fn a_rule_is_read_from_json() {
        let text = r#"{"marketplace":"amazon","times":1,"fault":{"slow":250}}"#;
        let rule: FaultRule = serde_json::from_str(text).unwrap();
        assert_eq!(rule.fault, Fault::Slow(Duration::from_millis(250)));
        let text = r#"{"marketplace":"ebay","fault":{"too_many_requests":{"retry_after_s":null}}}"#;
        let rule: FaultRule = serde_json::from_str(text).unwrap();
        assert_eq!(rule.fault, Fault::TooManyRequests { retry_after_s: None });
    }
}
