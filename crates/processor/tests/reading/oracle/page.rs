//! The rows of a page, and the metrics that sum it up, by their definitions.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use digitallz_common::keyword::Keyword;
use digitallz_common::observation::{Metric, Period};
use digitallz_processor::reading::{EntryKind, ListingReading, Price, SerpEntry};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{Fact, Facts};
use crate::json::{Broken, Json, Read};
use crate::question::{KEYWORD_ID, Question};

/// A page while it is read.
pub(super) struct Page<'a> {
    question: &'a Question,
    pub(super) period: Period,
    pub(super) listings: Vec<(usize, ListingReading)>,
    pub(super) facts: Facts,
}

impl<'a> Page<'a> {
    /// Reads rows; one that is nothing was asked for and is gone.
    pub(super) fn read(
        question: &'a Question,
        rows: &[Json],
        pointer: &str,
        read: impl Fn(&Json) -> Read<Option<ListingReading>>,
    ) -> Page<'a> {
        let period = Period::Instant(question.fetched_at);
        let mut page = Page { question, period, listings: Vec::new(), facts: Facts::default() };
        page.facts.row_count = rows.len();
        for (index, row) in rows.iter().enumerate() {
            match read(row) {
                Ok(Some(listing)) => page.listings.push((index, listing)),
                Ok(None) => {
                    page.facts.row_count -= 1;
                    page.facts.missing_row_count += 1;
                }
                Err(Broken) => page.facts.quarantined.push(format!("{pointer}/{index}")),
            }
        }
        page
    }

    /// Adds a metric.
    pub(super) fn say(&mut self, metric: Metric, value: Option<f64>) {
        self.say_in(metric, value, None);
    }

    /// Adds a metric in a unit that is not its own.
    pub(super) fn say_in(&mut self, metric: Metric, value: Option<f64>, unit: Option<String>) {
        self.facts.observations.push(Fact { keyword_id: KEYWORD_ID, metric, value, unit, period: self.period });
    }

    /// Adds number and concentration of what the listings name.
    pub(super) fn say_sellers(&mut self, name: fn(&ListingReading) -> Option<&String>) {
        let mut counts: BTreeMap<&String, u64> = BTreeMap::new();
        for name in self.listings.iter().filter_map(|(_, listing)| name(listing)) {
            *counts.entry(name).or_default() += 1;
        }
        let number = counts.len();
        let shares = concentration(counts.into_values());
        let number = if self.facts.row_count == 0 { Some(0.0) } else { (number > 0).then_some(number as f64) };
        self.say(Metric::SellerCount, number);
        self.say(Metric::SellerConcentration, shares);
    }

    /// Adds how many of the listings have all words of the keyword in their title.
    pub(super) fn say_titles(&mut self) {
        let wanted = words(&self.question.keyword_text);
        let titles: Vec<Vec<String>> =
            self.listings.iter().filter_map(|(_, listing)| listing.title.as_deref().map(words)).collect();
        let matching = titles.iter().filter(|title| wanted.iter().all(|word| title.contains(word))).count();
        let is_known = !titles.is_empty() && !wanted.is_empty();
        self.say(Metric::TitleMatchShare, is_known.then(|| matching as f64 / titles.len() as f64));
    }

    /// Adds how many of the listings are of the last 30 days.
    pub(super) fn say_new_listings(&mut self) {
        let listed: Vec<DateTime<Utc>> = self.listings.iter().filter_map(|(_, listing)| listing.listed_at).collect();
        let new = listed.iter().filter(|at| self.question.fetched_at - **at <= TimeDelta::days(30)).count();
        self.say(Metric::NewListingShare, (!listed.is_empty()).then(|| new as f64 / listed.len() as f64));
    }

    /// Adds the quartiles of the prices in the most frequent currency.
    pub(super) fn say_prices(&mut self, metrics: [Option<Metric>; 3]) {
        let mut by_currency: BTreeMap<&str, Vec<Decimal>> = BTreeMap::new();
        for price in self.listings.iter().filter_map(|(_, listing)| listing.price.as_ref()) {
            by_currency.entry(&price.currency).or_default().push(price.amount);
        }
        // Of two that are as frequent, the first in the alphabet.
        let most = by_currency.values().map(Vec::len).max();
        let found = by_currency.into_iter().find(|(_, amounts)| Some(amounts.len()) == most);
        let currency = found.as_ref().map(|(currency, _)| (*currency).to_owned());
        let amounts: Vec<f64> =
            found.into_iter().flat_map(|(_, amounts)| amounts).filter_map(|amount| amount.to_f64()).collect();
        for (metric, part) in metrics.into_iter().zip([0.25, 0.5, 0.75]) {
            if let Some(metric) = metric {
                self.say_in(metric, quantile(amounts.clone(), part), currency.clone());
            }
        }
    }

    /// Returns the median of what some listings tell.
    pub(super) fn median(&self, number: fn(&ListingReading) -> Option<i64>, before_index: usize) -> Option<f64> {
        let first = self.listings.iter().filter(|(index, _)| *index < before_index);
        quantile(first.filter_map(|(_, listing)| number(listing)).map(|number| number as f64).collect(), 0.5)
    }

    /// Returns the sum of what the listings tell; of none it is what holds without.
    pub(super) fn sum(&self, number: fn(&ListingReading) -> Option<i64>, of_none: Option<f64>) -> Option<f64> {
        let numbers: Vec<i64> = self.listings.iter().filter_map(|(_, listing)| number(listing)).collect();
        match () {
            () if self.facts.row_count > 0 && self.listings.is_empty() => None,
            () if numbers.is_empty() => of_none,
            () => Some(numbers.iter().map(|number| *number as f64).sum()),
        }
    }

    /// Ends with listings and no positions.
    pub(super) fn without_positions(mut self) -> Facts {
        for (_, listing) in self.listings {
            let id = &listing.marketplace_listing_id;
            match self.facts.listings.iter_mut().find(|known| known.marketplace_listing_id == *id) {
                Some(known) => known.is_promoted = known.is_promoted.max(listing.is_promoted),
                None => self.facts.listings.push(listing),
            }
        }
        self.facts
    }

    /// Ends with listings at positions after an offset.
    pub(super) fn with_positions(mut self, offset: u64) -> Read<Facts> {
        if offset.saturating_add(self.facts.row_count as u64) > 100_000 {
            return Err(Broken);
        }
        self.facts.serp_entries = self
            .listings
            .iter()
            .map(|(index, listing)| SerpEntry {
                position: offset as i32 + *index as i32 + 1,
                marketplace_listing_id: listing.marketplace_listing_id.clone(),
                kind: if listing.is_promoted == Some(true) { EntryKind::Sponsored } else { EntryKind::Organic },
            })
            .collect();
        Ok(self.without_positions())
    }
}

/// Returns the sum of the squares of shares.
pub(super) fn concentration(counts: impl Iterator<Item = u64>) -> Option<f64> {
    let counts: Vec<f64> = counts.map(|count| count as f64).collect();
    let total: f64 = counts.iter().sum();
    (total > 0.0).then(|| counts.iter().map(|count| (count / total) * (count / total)).sum())
}

/// Returns the value below which a part of all lies.
fn quantile(mut values: Vec<f64>, part: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let place = part * values.len().checked_sub(1)? as f64;
    let (lower, upper) = (values[place.floor() as usize], values[place.ceil() as usize]);
    Some(lower + (upper - lower) * place.fract())
}

/// Returns the words of a text in the normal form of keywords.
fn words(text: &str) -> Vec<String> {
    let parts = text.split(|letter: char| letter.is_whitespace() || ",;:/|-()[]".contains(letter));
    // A row of a thousand braces is no keyword, and still no part of the word before it.
    let normal = parts.map(|part| Keyword::parse(part).map_or(part.to_lowercase(), |word| word.as_str().to_owned()));
    normal
        .map(|word| word.trim_matches(|letter: char| !letter.is_alphanumeric()).to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Returns a human text that may be absent.
pub(super) fn text(json: Option<&Json>) -> Read<Option<String>> {
    let Some(json) = json else { return Ok(None) };
    let decoded = html_escape::decode_html_entities(json.text()?).into_owned();
    let clean: String = decoded.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let clean = clean.trim().to_owned();
    Ok((!clean.is_empty()).then_some(clean))
}

/// Returns an identifier.
pub(super) fn identifier(json: &Json) -> Read<String> {
    let text = json.text()?;
    let is_good = (1..=200).contains(&text.len()) && !text.chars().any(char::is_control);
    is_good.then(|| text.to_owned()).ok_or(Broken)
}

/// Returns a number that may be absent.
pub(super) fn optional<T>(json: Option<&Json>, read: fn(&Json) -> Read<T>) -> Read<Option<T>> {
    json.map(read).transpose()
}

/// Returns an amount that is written in digits, with a point or without.
pub(super) fn amount(text: &str) -> Read<Decimal> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return Err(Broken);
    }
    let amount = Decimal::from_str_exact(text).map_err(|_| Broken)?;
    if amount > Decimal::from(1_000_000_000_000_u64) { Err(Broken) } else { Ok(amount) }
}

/// Returns a price of an amount and a currency code.
pub(super) fn price(amount: Decimal, currency: &Json) -> Read<Price> {
    let currency = currency.text()?;
    let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    is_code.then(|| Price { amount, currency: currency.to_owned() }).ok_or(Broken)
}
