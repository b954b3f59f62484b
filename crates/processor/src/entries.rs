//! The entries of one page of listings, and the metrics that sum a page up.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use digitallz_common::observation::{Metric, Observed, Period};
use digitallz_common::raw_payload::RawPayload;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::guard::{Guard, Row};
use crate::reading::{
    EntryKind, KeywordObservation, ListingReading, Problem, QuarantinedRow, ReadError, Reading, SerpEntry,
};
use crate::rows;
use crate::statistics::{concentration, median, occurrences, quartiles};
use crate::words::Words;

/// Last position that is believed; no marketplace pages further than 12,000.
const MAX_POSITION: u64 = 100_000;
/// Positions whose listings are the incumbents: who is new has to get past them.
const INCUMBENTS: usize = 10;
/// How many days long a listing is new.
const NEW_DAYS: i64 = 30;

/// The keyword a page was asked for.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) keyword_id: i64,
    pub(crate) keyword_text: &'a str,
    /// The market it was asked for in.
    pub(crate) market: &'a str,
}

impl<'a> Asked<'a> {
    /// Finds the keyword of a payload.
    pub(crate) fn of(payload: &'a RawPayload) -> Result<Asked<'a>, ReadError> {
        match (payload.keyword_id, &payload.keyword_text) {
            (Some(keyword_id), Some(keyword_text)) => {
                Ok(Asked { keyword_id, keyword_text, market: &payload.site.market })
            }
            _ => Err(ReadError::NoKeyword),
        }
    }
}

/// The rows of a page: those that could be read, each with its index, and those that could not.
pub(crate) struct Entries {
    listings: Vec<(usize, ListingReading)>,
    quarantined: Vec<QuarantinedRow>,
    row_count: usize,
    missing_row_count: usize,
    /// Whether values were set aside because their type changed.
    lacks_values: bool,
}

impl Entries {
    /// Reads the rows of the array at `json_pointer` one by one.
    pub(crate) fn read<'a, R: Row<'a>>(
        guard: &mut Guard<'_>,
        raw_rows: &[&'a RawValue],
        json_pointer: &str,
        normalize: impl Fn(R) -> Result<ListingReading, Problem>,
    ) -> Entries {
        Entries::read_present(guard, raw_rows, json_pointer, |row| normalize(row).map(Some))
    }

    /// Reads the same where a row may say that the marketplace has nothing to show: such rows are counted as missing.
    pub(crate) fn read_present<'a, R: Row<'a>>(
        guard: &mut Guard<'_>,
        raw_rows: &[&'a RawValue],
        json_pointer: &str,
        normalize: impl Fn(R) -> Result<Option<ListingReading>, Problem>,
    ) -> Entries {
        let mut entries = Entries {
            listings: Vec::new(),
            quarantined: Vec::new(),
            row_count: 0,
            missing_row_count: 0,
            lacks_values: false,
        };
        let discarded_before = guard.discarded_count();
        for (index, raw_row) in raw_rows.iter().enumerate() {
            entries.row_count += 1;
            match guard.row(raw_row, json_pointer, index as u64).and_then(&normalize) {
                Ok(Some(listing)) => entries.listings.push((index, listing)),
                Ok(None) => {
                    entries.row_count -= 1;
                    entries.missing_row_count += 1;
                }
                Err(problem) => {
                    let row_pointer = format!("{json_pointer}/{index}");
                    entries.quarantined.push(rows::quarantined(row_pointer, &problem, raw_row));
                }
            }
        }
        entries.lacks_values = guard.discarded_count() > discarded_before;
        entries
    }

    /// Adds rows that were asked for and did not come.
    pub(crate) fn with_missing(self, missing_row_count: usize) -> Entries {
        Entries { missing_row_count: self.missing_row_count + missing_row_count, ..self }
    }

    /// Returns how many rows the answer held.
    pub(crate) fn row_count(&self) -> usize {
        self.row_count
    }

    /// Returns how many different names there are, of those that are named.
    pub(crate) fn distinct(&self, name: impl Fn(&ListingReading) -> Option<&str>) -> Observed {
        if self.row_count == 0 {
            return Observed::Value(0.0);
        }
        self.summed_up("no entry names one", || {
            let names: Vec<&str> = self.all().filter_map(&name).collect();
            let is_told = !names.is_empty() && !self.is_cut(names.len());
            is_told.then(|| occurrences(names).len() as f64)
        })
    }

    /// Returns how concentrated the entries are on few names, of those that are named.
    pub(crate) fn concentration(&self, name: impl Fn(&ListingReading) -> Option<&str>) -> Observed {
        self.summed_up("no entry names one", || concentration(occurrences(self.all().filter_map(&name)).into_values()))
    }

    /// Returns how concentrated all that matches is on few brands, by the counts that stand beside the page. Counts that
    /// break the contract are set aside like a row.
    pub(crate) fn brand_concentration<'a, Refinements: Deserialize<'a>>(
        &mut self,
        refinements: Option<&'a RawValue>,
        json_pointer: &str,
        counts: impl Fn(Refinements) -> Vec<u64>,
    ) -> Observed {
        let read = |raw: &'a RawValue| {
            let counts = counts(rows::row(raw)?);
            counts.iter().try_for_each(|count| rows::count(*count, "").map(drop))?;
            Ok(counts)
        };
        match refinements.map(|raw| read(raw).map_err(|problem: Problem| (problem, raw))) {
            Some(Ok(counts)) => {
                concentration(counts).map_or(Observed::Unavailable("the answer counts no brands"), Observed::Value)
            }
            Some(Err((problem, raw))) => {
                self.quarantined.push(rows::quarantined(json_pointer.to_owned(), &problem, raw));
                Observed::Unavailable("the counts by brand could not be read")
            }
            None => Observed::Unavailable("the answer counts no brands"),
        }
    }

    /// Returns the median of a number over the entries that have it.
    pub(crate) fn median(&self, number: impl Fn(&ListingReading) -> Option<i64>, absence: &'static str) -> Observed {
        self.summed_up(absence, || median(self.all().filter_map(&number).map(Decimal::from).collect())?.to_f64())
    }

    /// Returns the median of a number over the first entries that have it.
    pub(crate) fn incumbent_median(
        &self,
        number: impl Fn(&ListingReading) -> Option<i64>,
        absence: &'static str,
    ) -> Observed {
        self.summed_up(absence, || {
            let incumbents = self.listings.iter().filter(|(index, _)| *index < INCUMBENTS);
            median(incumbents.filter_map(|(_, listing)| number(listing)).map(Decimal::from).collect())?.to_f64()
        })
    }

    /// Returns the share of the entries that were listed lately, of those that tell when they were listed.
    pub(crate) fn new_listing_share(&self, now: DateTime<Utc>) -> Observed {
        let new_from = now - TimeDelta::days(NEW_DAYS);
        self.summed_up("no entry tells when it was listed", || {
            let listed: Vec<DateTime<Utc>> = self.all().filter_map(|listing| listing.listed_at).collect();
            let new = listed.iter().filter(|listed_at| **listed_at >= new_from).count();
            (!listed.is_empty()).then(|| new as f64 / listed.len() as f64)
        })
    }

    /// Returns the median feedback score, each seller counted once.
    pub(crate) fn seller_feedback_median(&self) -> Observed {
        self.summed_up("no entry tells the seller's feedback score", || {
            let mut seen = HashSet::new();
            let first_of_seller = self.all().filter(|listing| match &listing.seller {
                Some(seller) if listing.seller_feedback_score.is_some() => seen.insert(seller),
                _ => true,
            });
            median(first_of_seller.filter_map(|listing| listing.seller_feedback_score).map(Decimal::from).collect())?
                .to_f64()
        })
    }

    /// Returns the quartiles of the price over the entries in the most frequent currency, and that currency as the unit.
    /// Of two currencies equally frequent, the one first in the alphabet counts.
    pub(crate) fn price_quartiles(&self) -> ([Observed; 3], Option<String>) {
        let currencies = occurrences(self.all().filter_map(|listing| Some(listing.price.as_ref()?.currency.as_str())));
        let most_frequent = currencies.into_iter().max_by(|(left, left_count), (right, right_count)| {
            left_count.cmp(right_count).then_with(|| right.cmp(left))
        });
        let currency = most_frequent.map(|(currency, _)| currency.to_owned());
        let prices = self.all().filter_map(|listing| listing.price.as_ref());
        let comparable = prices.filter(|price| Some(&price.currency) == currency.as_ref());
        let quartiles = quartiles(comparable.map(|price| price.amount).collect());
        let observed = [0, 1, 2].map(|which| {
            self.summed_up("no entry has a price", || quartiles.and_then(|quartiles| quartiles[which].to_f64()))
        });
        (observed, currency)
    }

    /// Returns the share of the titled entries whose title holds every word of the search term.
    pub(crate) fn title_match_share(&self, asked: Asked<'_>) -> Observed {
        let words = Words::of(asked.keyword_text, asked.market);
        if words.is_empty() {
            return Observed::Unavailable("the search term has no words");
        }
        self.summed_up("no entry has a title", || {
            let titles: Vec<&str> = self.all().filter_map(|listing| listing.title.as_deref()).collect();
            let matches = titles.iter().filter(|title| words.all_occur_in(title)).count();
            (!titles.is_empty()).then(|| matches as f64 / titles.len() as f64)
        })
    }

    /// Returns the share of the entries of which something holds.
    pub(crate) fn share(&self, holds: impl Fn(&ListingReading) -> bool) -> Observed {
        self.summed_up("no entries on the page", || {
            Some(self.all().filter(|listing| holds(listing)).count() as f64 / self.listings.len() as f64)
        })
    }

    /// Returns the sum of a number over the entries that have it; of none it is what `of_none` says.
    pub(crate) fn sum(&self, number: impl Fn(&ListingReading) -> Option<i64>, of_none: Observed) -> Observed {
        if self.row_count > 0 && self.listings.is_empty() {
            return Observed::Unavailable("no readable entries on the page");
        }
        let numbers: Vec<i64> = self.all().filter_map(&number).collect();
        match numbers.is_empty() || self.is_cut(numbers.len()) {
            true => self.absent(of_none),
            false => Observed::Value(numbers.iter().map(|number| *number as f64).sum()),
        }
    }

    /// Turns the entries into a reading with positions after `offset`.
    pub(crate) fn into_search_reading(
        self,
        observations: Vec<KeywordObservation>,
        offset: u64,
    ) -> Result<Reading, ReadError> {
        let last_position = offset.saturating_add(self.row_count as u64);
        if last_position > MAX_POSITION {
            let text = format!("position {last_position} is beyond {MAX_POSITION}");
            return Err(Problem::at("", text).into());
        }
        let serp_entries = self.listings.iter().map(|(index, listing)| SerpEntry {
            position: (offset as usize + index + 1) as i32,
            marketplace_listing_id: listing.marketplace_listing_id.clone(),
            kind: if listing.is_promoted == Some(true) { EntryKind::Sponsored } else { EntryKind::Organic },
        });
        let serp_entries = serp_entries.collect();
        Ok(Reading { serp_entries, ..self.into_reading(observations) })
    }

    /// Turns the entries into a reading without positions.
    pub(crate) fn into_reading(self, observations: Vec<KeywordObservation>) -> Reading {
        Reading {
            observations,
            listings: once_each(self.listings.into_iter().map(|(_, listing)| listing)),
            quarantined: self.quarantined,
            row_count: self.row_count as i32,
            missing_row_count: self.missing_row_count as i32,
            ..Reading::default()
        }
    }

    fn all(&self) -> impl Iterator<Item = &ListingReading> {
        self.listings.iter().map(|(_, listing)| listing)
    }

    /// Returns a statistic, or why the page does not have it.
    fn summed_up(&self, absence: &'static str, statistic: impl FnOnce() -> Option<f64>) -> Observed {
        if self.row_count == 0 {
            return Observed::Unavailable("no entries on the page");
        }
        if self.listings.is_empty() {
            return Observed::Unavailable("no readable entries on the page");
        }
        statistic().map_or_else(|| self.absent(Observed::Unavailable(absence)), Observed::Value)
    }

    /// Tells whether what so many entries tell may be less than what all of them would: then it does not add up.
    fn is_cut(&self, telling_count: usize) -> bool {
        self.lacks_values && telling_count < self.listings.len()
    }

    /// Says why there is no number: perhaps not because no entry told it.
    fn absent(&self, usually: Observed) -> Observed {
        match self.lacks_values {
            true => Observed::Invalid("values whose type changed were set aside"),
            false => usually,
        }
    }
}

/// Keeps a listing that occurs twice once, as promoted if it was so at either position.
fn once_each(listings: impl Iterator<Item = ListingReading>) -> Vec<ListingReading> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut unique: Vec<ListingReading> = Vec::new();
    for listing in listings {
        match places.get(&listing.marketplace_listing_id) {
            Some(place) => unique[*place].is_promoted = unique[*place].is_promoted.max(listing.is_promoted),
            None => {
                places.insert(listing.marketplace_listing_id.clone(), unique.len());
                unique.push(listing);
            }
        }
    }
    unique
}

/// Collects the observations that one page makes of its keyword.
pub(crate) struct Observations {
    keyword_id: i64,
    period: Period,
    list: Vec<KeywordObservation>,
}

impl Observations {
    /// Starts with none.
    pub(crate) fn of(asked: Asked<'_>, payload: &RawPayload) -> Observations {
        Observations { keyword_id: asked.keyword_id, period: Period::Instant(payload.fetched_at), list: Vec::new() }
    }

    /// Lets those added from now on be about another time than that of the answer.
    pub(crate) fn about(&mut self, period: Period) {
        self.period = period;
    }

    /// Adds one in the metric's own unit.
    pub(crate) fn add(&mut self, metric: Metric, observed: Observed) {
        self.list.push(KeywordObservation::new(self.keyword_id, metric, observed, self.period));
    }

    /// Adds the median price, and how prices spread around it.
    pub(crate) fn add_prices(&mut self, entries: &Entries) {
        let ([lower, median, upper], currency) = entries.price_quartiles();
        self.add_money(Metric::PriceLowerQuartile, lower, currency.as_deref());
        self.add_money(Metric::PriceMedian, median, currency.as_deref());
        self.add_money(Metric::PriceUpperQuartile, upper, currency.as_deref());
    }

    /// Adds one of money.
    pub(crate) fn add_money(&mut self, metric: Metric, observed: Observed, currency: Option<&str>) {
        self.add(metric, observed);
        if let (Some(observation), Some(currency)) = (self.list.last_mut(), currency) {
            observation.unit = currency.to_owned();
        }
    }

    /// Returns all of them.
    pub(crate) fn into_list(self) -> Vec<KeywordObservation> {
        self.list
    }
}

/// Returns a parameter of the address that was asked, undecoded.
pub(crate) fn query_parameter<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = url.split_once('?')?;
    let parameters = query.split('#').next()?.split('&').filter_map(|parameter| parameter.split_once('='));
    parameters.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Returns a numeric parameter of the address that was asked, or what holds without it.
pub(crate) fn numeric_parameter(url: &str, name: &str, default: u64) -> Result<u64, ReadError> {
    let Some(text) = query_parameter(url, name) else { return Ok(default) };
    text.parse().map_err(|_| Problem::at("", format!("the request's {name} is not a number")).into())
}
