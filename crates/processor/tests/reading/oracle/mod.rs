//! What a payload says, found out a second time: by the contract, and without the program's readers.
//!
//! Everything that the program reads must be what is found here; what it leaves out must be broken here too.

mod amazon;
mod bids;
mod ebay;
mod etsy;
mod page;
mod reports;

use digitallz_common::observation::{Metric, Period};
use digitallz_processor::reading::{CategoryReading, ListingReading, ReadError, Reading, SellerReading, SerpEntry};

use crate::json::{Broken, Json, Read, Unread};
use crate::question::Question;
use digitallz_common::marketplace::Resource;

/// What a payload says.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    observations: Vec<Fact>,
    listings: Vec<ListingReading>,
    serp_entries: Vec<SerpEntry>,
    sellers: Vec<SellerReading>,
    categories: Vec<CategoryReading>,
    quarantined: Vec<String>,
    row_count: usize,
    untracked_row_count: usize,
    missing_row_count: usize,
}

/// One metric of one keyword; no value where there is none.
#[derive(Clone, Debug)]
pub struct Fact {
    keyword_id: i64,
    metric: Metric,
    value: Option<f64>,
    unit: Option<String>,
    period: Period,
}

/// Compares what the program made of a payload with what it says, and tells the first difference.
pub fn compare(question: &Question, body: &[u8], outcome: &Result<Reading, ReadError>) -> Result<(), String> {
    let unpacked = reports::unpacked(question.resource, body);
    let Some(bytes) = unpacked else { return refused(outcome, "it is not packed well") };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        // A field that nobody reads may hold anything. What was read otherwise is compared with what can be read.
        let Ok(reading) = outcome else { return Ok(()) };
        let Ok(json) = Json::parse(&String::from_utf8_lossy(bytes)) else { return Ok(()) };
        return facts(question, &json).map_or(Ok(()), |facts| difference(&facts, reading));
    };
    if bytes.is_empty() && question.status_code == 204 {
        return match outcome {
            Ok(reading) => difference(&Facts::default(), reading),
            Err(error) => Err(format!("no content is an answer, but: {error}")),
        };
    }
    match (Json::parse(text).map(|json| facts(question, &json)), outcome) {
        // A report is stepped through, and what stands beside its rows is stepped over.
        (Err(_), Ok(_)) if reports::is_report(question.resource) => Ok(()),
        (Err(Unread::Deep), _) => Ok(()),
        (Err(Unread::NotJson), outcome) => refused(outcome, "it is not JSON"),
        (Ok(Err(Broken)), outcome) => refused(outcome, "its frame breaks the contract"),
        (Ok(Ok(facts)), Ok(reading)) => difference(&facts, reading),
        (Ok(Ok(_)), Err(error)) => Err(format!("it keeps the contract, but was refused: {error}")),
    }
}

fn refused(outcome: &Result<Reading, ReadError>, reason: &str) -> Result<(), String> {
    match outcome {
        Err(_) => Ok(()),
        Ok(reading) => Err(format!("{reason}, but was read: {reading:?}")),
    }
}

fn facts(question: &Question, json: &Json) -> Read<Facts> {
    match question.resource {
        Resource::ListingSearch | Resource::ListingBatch => etsy::listings(question, json),
        Resource::Shop => etsy::shop(json),
        Resource::ListingReviews => etsy::reviews(question, json),
        Resource::ItemSearch => ebay::search(question, json),
        Resource::ItemDetails => ebay::items(question, json),
        Resource::CategorySuggestions => ebay::categories(json),
        Resource::ItemSales => ebay::sales(question, json),
        Resource::CatalogSearch => amazon::search(question, json),
        Resource::CompetitivePricing => amazon::prices(question, json),
        Resource::SearchTermsReport => reports::search_terms(question, json),
        Resource::SearchQueryReport => reports::search_queries(question, json),
        Resource::KeywordBids | Resource::SuggestedBids => bids::bids(question, json),
        file => unreachable!("{file} is a file and no answer"),
    }
}

/// Tells the first difference between what a payload says and what was read.
fn difference(facts: &Facts, reading: &Reading) -> Result<(), String> {
    let quarantined: Vec<&str> = reading.quarantined.iter().map(|row| row.json_pointer.as_str()).collect();
    same("quarantined", &facts.quarantined, &quarantined)?;
    if let Some(row) = reading.quarantined.iter().find(|row| row.reason.is_empty()) {
        return Err(format!("{} is quarantined without a reason", row.json_pointer));
    }
    same("listings", &facts.listings, &reading.listings)?;
    same("positions", &facts.serp_entries, &reading.serp_entries)?;
    same("sellers", &facts.sellers, &reading.sellers)?;
    same("categories", &facts.categories, &reading.categories)?;
    same("row count", &(facts.row_count as i32), &reading.row_count)?;
    same("untracked rows", &(facts.untracked_row_count as i32), &reading.untracked_row_count)?;
    same("missing rows", &(facts.missing_row_count as i32), &reading.missing_row_count)?;

    for observation in &reading.observations {
        let (value, keyword_id, metric) = (observation.observed.value(), observation.keyword_id, observation.metric);
        let named = format!("{} of keyword {keyword_id}", metric.name());
        let mut found = facts.observations.iter().filter(|fact| (fact.keyword_id, fact.metric) == (keyword_id, metric));
        let (Some(fact), None) = (found.next(), found.next()) else {
            return Err(format!("{named} is {:?}, but the payload says nothing of it", observation.observed));
        };
        if !nearly(fact.value, value) {
            return Err(format!("{named} is {:?}, but should be {:?}", observation.observed, fact.value));
        }
        if value.is_none() && observation.observed.reason().is_none_or(str::is_empty) {
            return Err(format!("{named} is absent without a reason"));
        }
        let unit = fact.unit.as_deref().unwrap_or(metric.unit());
        same(&format!("unit of {named}"), unit, observation.unit.as_str())?;
        same(&format!("period of {named}"), &fact.period, &observation.period)?;
    }
    same("number of observations", &facts.observations.len(), &reading.observations.len())
}

fn same<Expected, Found>(what: &str, expected: &Expected, found: &Found) -> Result<(), String>
where
    Expected: PartialEq<Found> + std::fmt::Debug + ?Sized,
    Found: std::fmt::Debug + ?Sized,
{
    match expected == found {
        true => Ok(()),
        false => Err(format!("{what}: should be {expected:?}, is {found:?}")),
    }
}

fn nearly(left: Option<f64>, right: Option<f64>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => (left - right).abs() <= 1e-9 * left.abs().max(1.0),
        (left, right) => left.is_none() && right.is_none(),
    }
}
