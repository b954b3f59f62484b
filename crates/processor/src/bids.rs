//! Bids that a marketplace suggests for clicks on advertisements, for many keywords in one answer.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use digitallz_common::observation::{Metric, Observed, Period};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::guard::{Guard, Row};
use crate::reading::{KeywordObservation, Problem, QuarantinedRow, Reading, TrackedKeywords};
use crate::{rows, words};

/// The method by which bids are known: nobody says that they were paid.
pub(crate) const SUGGESTED: &str = "suggested by the marketplace";
/// From this bid on, an answer without a single fraction may well be in cents.
const DOUBTFUL_BID: Decimal = Decimal::TEN;

/// What is suggested for one keyword.
pub(crate) struct Bid {
    /// The suggestion.
    pub(crate) suggested: Decimal,
    /// Lower end of the range around it.
    pub(crate) low: Option<Decimal>,
    /// Upper end of the range around it.
    pub(crate) high: Option<Decimal>,
    /// ISO 4217 code of all three.
    pub(crate) currency: String,
}

impl Bid {
    fn amounts(&self) -> impl Iterator<Item = Decimal> {
        [Some(self.suggested), self.low, self.high].into_iter().flatten()
    }
}

/// The bids of one answer.
pub(crate) struct Bids<'keywords> {
    tracked: &'keywords TrackedKeywords,
    by_keyword: BTreeMap<i64, Option<Bid>>,
    broken_keywords: BTreeSet<i64>,
    quarantined: Vec<QuarantinedRow>,
    row_count: usize,
    untracked_row_count: usize,
    /// Whether a fraction occurs anywhere, in rows about untracked keywords too.
    has_fraction: bool,
    highest: Decimal,
    is_doubtful: bool,
}

impl<'keywords> Bids<'keywords> {
    /// Starts with none.
    pub(crate) fn new(tracked: &'keywords TrackedKeywords) -> Bids<'keywords> {
        Bids {
            tracked,
            by_keyword: BTreeMap::new(),
            broken_keywords: BTreeSet::new(),
            quarantined: Vec::new(),
            row_count: 0,
            untracked_row_count: 0,
            has_fraction: false,
            highest: Decimal::ZERO,
            is_doubtful: false,
        }
    }

    /// Takes up a row that names a keyword and perhaps a bid, or sets it aside; `read` passes over other match types.
    pub(crate) fn take_up<'a, R: Row<'a>>(
        &mut self,
        guard: &mut Guard<'_>,
        raw_row: &'a RawValue,
        rows_pointer: &str,
        read: impl FnOnce(R) -> Result<Option<(String, Option<Bid>)>, Problem>,
    ) {
        let index = self.row_count;
        self.row_count += 1;
        match guard.row(raw_row, rows_pointer, index as u64).and_then(read) {
            Ok(None) => {}
            Ok(Some((keyword, bid))) => {
                for amount in bid.iter().flat_map(Bid::amounts) {
                    self.has_fraction |= !amount.fract().is_zero();
                    self.highest = self.highest.max(amount);
                }
                match self.keyword_id(&keyword) {
                    None => self.untracked_row_count += 1,
                    Some(keyword_id) => {
                        let known = self.by_keyword.entry(keyword_id).or_default();
                        *known = known.take().or(bid);
                    }
                }
            }
            Err(problem) => {
                self.quarantined.push(rows::quarantined(format!("{rows_pointer}/{index}"), &problem, raw_row));
                if let Ok(named) = rows::row::<KeywordOnly>(raw_row) {
                    self.broken_keywords.extend(self.keyword_id(&named.keyword));
                }
            }
        }
    }

    /// Lets no bid be believed when all of them are whole numbers and some are large, as amounts in cents are.
    pub(crate) fn doubt_whole_numbers(&mut self) {
        self.is_doubtful = !self.has_fraction && self.highest >= DOUBTFUL_BID;
    }

    /// Says of every tracked keyword that was asked for or answered what is suggested, or why nothing is.
    pub(crate) fn into_reading(mut self, asked: impl Iterator<Item = String>, at: DateTime<Utc>) -> Reading {
        for keyword_id in asked.filter_map(|text| self.keyword_id(&text)).collect::<Vec<_>>() {
            self.by_keyword.entry(keyword_id).or_default();
        }
        for keyword_id in &self.broken_keywords {
            self.by_keyword.entry(*keyword_id).or_default();
        }
        let mut observations = Vec::new();
        for (keyword_id, bid) in &self.by_keyword {
            let mut add = |metric, observed, currency: Option<&str>| {
                let mut observation = KeywordObservation::new(*keyword_id, metric, observed, Period::Instant(at));
                if let Some(currency) = currency {
                    observation.unit = currency.to_owned();
                }
                observations.push(observation);
            };
            match bid {
                Some(bid) => {
                    let currency = Some(bid.currency.as_str());
                    let observed = |amount| self.observed(amount, &bid.currency);
                    add(Metric::CpcSuggested, observed(Some(bid.suggested)), currency);
                    add(Metric::CpcSuggestedLow, observed(bid.low), currency);
                    add(Metric::CpcSuggestedHigh, observed(bid.high), currency);
                }
                None if self.broken_keywords.contains(keyword_id) => {
                    let reason = "the row of the keyword could not be read";
                    add(Metric::CpcSuggested, Observed::Unavailable(reason), None);
                }
                None => {
                    let reason = "the marketplace suggests no bid for exact match";
                    add(Metric::CpcSuggested, Observed::NotFound(reason), None);
                }
            }
        }
        Reading {
            observations,
            quarantined: self.quarantined,
            row_count: i32::try_from(self.row_count).unwrap_or(i32::MAX),
            untracked_row_count: i32::try_from(self.untracked_row_count).unwrap_or(i32::MAX),
            ..Reading::default()
        }
    }

    fn keyword_id(&self, keyword: &str) -> Option<i64> {
        Some(self.tracked.get(&words::keyword_text(keyword)?)?.keyword_id)
    }

    fn observed(&self, amount: Option<Decimal>, currency: &str) -> Observed {
        match amount {
            None => Observed::Unavailable("no range is given around the bid"),
            Some(amount) if amount.is_zero() => Observed::Invalid("a bid of zero buys no click"),
            Some(amount) if amount > highest_believed(currency) => {
                Observed::Invalid("too high for a bid in its currency")
            }
            Some(_) if self.is_doubtful => {
                Observed::Invalid("every bid of the answer is a whole number: it may be in cents")
            }
            Some(amount) => {
                let estimated = |amount| Observed::Estimated(amount, SUGGESTED);
                amount.to_f64().map_or(Observed::Invalid("not a number"), estimated)
            }
        }
    }
}

/// The keyword of a row that breaks the contract elsewhere.
#[derive(Deserialize)]
struct KeywordOnly {
    #[serde(alias = "keywordText")]
    keyword: String,
}

/// Returns the highest bid that is believed: about a hundred dollars or euros in every currency.
fn highest_believed(currency: &str) -> Decimal {
    match currency {
        "JPY" => Decimal::from(15_000),
        "MXN" | "SEK" => Decimal::ONE_THOUSAND,
        "BRL" | "PLN" => Decimal::from(500),
        _ => Decimal::ONE_HUNDRED,
    }
}
