//! The search query performance report: how often a search term was looked for, and what came of it, in a week.
//!
//! A row is one of the user's own listings under one search term. What is kept of it are the totals of the search term
//! over all listings, which the rows of several listings repeat; where they differ, the row of the most searches counts.
//! The report covers only what concerns these listings, so that a search term is not in it says nothing of how often
//! it was looked for. The order of the rows does not matter.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use digitallz_common::observation::{Metric, Observed, Period};
use digitallz_common::raw_payload::RawPayload;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::value::RawValue;

use super::payload::{CurrencyAmount, SearchQueryOnly, SearchQueryRow};
use super::report_head::{self, Contents};
use super::report_stream::stream;
use super::set_aside::SetAside;
use crate::guard::Guard;
use crate::reading::{KeywordObservation, Price, Problem, ReadError, Reading, TrackedKeywords};
use crate::{rows, words};

const REPORT_TYPE: &str = "GET_BRAND_ANALYTICS_SEARCH_QUERY_PERFORMANCE_REPORT";
const ROWS: &str = "/dataByAsin";

/// Reads a report document, packed or not, or the answer that says that a report was cancelled.
pub(super) fn search_query_report(
    payload: &RawPayload,
    tracked: &TrackedKeywords,
    guard: &mut Guard<'_>,
) -> Result<Reading, ReadError> {
    let mut rows = Rows::new(tracked);
    let head = stream(payload.body.as_slice(), |raw_row| rows.take_up(guard, raw_row))?;
    guard.look_at_frame(&head.frame);
    match report_head::contents(head, REPORT_TYPE, ROWS)? {
        Contents::Rows(period) if rows.row_count > 0 => {
            rows.set_aside.check(ROWS, rows.row_count)?;
            if let Some(other) = rows.start_dates.iter().find(|date| **date != period.start_date()) {
                let text =
                    format!("rows are about the week of {other}, the report is about that of {}", period.start_date());
                return Err(Problem::at(ROWS, text).into());
            }
            Ok(rows.into_reading(period))
        }
        Contents::Rows(period) => {
            Ok(report_head::no_data(tracked, Metric::SearchQueryVolume, period, "the report has no rows"))
        }
        Contents::NoData(period, reason) => {
            Ok(report_head::no_data(tracked, Metric::SearchQueryVolume, period, reason))
        }
    }
}

/// What a week brought a search term, over all listings; the order is that in which one of two counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Totals {
    volume: i64,
    impressions: i64,
    clicks: i64,
    cart_adds: i64,
    purchases: i64,
    click_price: Option<(Decimal, String)>,
}

/// What is kept of the rows: of tracked keywords everything, of the rest their number.
struct Rows<'keywords> {
    tracked: &'keywords TrackedKeywords,
    totals: HashMap<i64, Totals>,
    broken_keywords: HashSet<i64>,
    set_aside: SetAside,
    start_dates: HashSet<NaiveDate>,
    row_count: u64,
    untracked_row_count: usize,
}

impl<'keywords> Rows<'keywords> {
    fn new(tracked: &'keywords TrackedKeywords) -> Rows<'keywords> {
        Rows {
            tracked,
            totals: HashMap::new(),
            broken_keywords: HashSet::new(),
            set_aside: SetAside::default(),
            start_dates: HashSet::new(),
            row_count: 0,
            untracked_row_count: 0,
        }
    }

    /// Takes up one row, or sets it aside.
    fn take_up(&mut self, guard: &mut Guard<'_>, raw_row: &RawValue) {
        let index = self.row_count;
        self.row_count += 1;
        let read = guard
            .row::<SearchQueryRow>(raw_row, ROWS, index)
            .and_then(|row| Ok((totals(&row)?, rows::date(&row.start_date, "/startDate")?, row)));
        match read {
            Err(problem) => self.set_aside(index, &problem, raw_row),
            Ok((totals, start_date, row)) => {
                self.start_dates.insert(start_date);
                match self.keyword_id(&row.search_query_data.search_query) {
                    None => self.untracked_row_count += 1,
                    Some(keyword_id) => {
                        let known = self.totals.entry(keyword_id).or_insert_with(|| totals.clone());
                        *known = totals.max(known.clone());
                    }
                }
            }
        }
    }

    fn keyword_id(&self, search_query: &str) -> Option<i64> {
        Some(self.tracked.get(&words::keyword_text(search_query)?)?.keyword_id)
    }

    fn set_aside(&mut self, index: u64, problem: &Problem, raw_row: &RawValue) {
        self.set_aside.push(ROWS, index, problem, raw_row);
        if let Ok(row) = rows::row::<SearchQueryOnly>(raw_row) {
            self.broken_keywords.extend(self.keyword_id(&row.search_query_data.search_query));
        }
    }

    /// Says of every tracked keyword what the week brought it, or why that is not known.
    fn into_reading(mut self, period: Period) -> Reading {
        let mut observations = Vec::new();
        for keyword in self.tracked.sorted() {
            let mut add = |metric, observed| {
                observations.push(KeywordObservation::new(keyword.keyword_id, metric, observed, period));
            };
            match self.totals.remove(&keyword.keyword_id) {
                Some(totals) => {
                    add(Metric::SearchQueryVolume, Observed::Value(totals.volume as f64));
                    add(Metric::SearchQueryImpressions, Observed::Value(totals.impressions as f64));
                    add(Metric::SearchQueryClicks, Observed::Value(totals.clicks as f64));
                    add(Metric::SearchQueryCartAdds, Observed::Value(totals.cart_adds as f64));
                    add(Metric::SearchQueryPurchases, Observed::Value(totals.purchases as f64));
                    let click_price =
                        totals.click_price.and_then(|(amount, currency)| Some((amount.to_f64()?, currency)));
                    match click_price {
                        Some((amount, currency)) => {
                            add(Metric::ClickPriceMedian, Observed::Value(amount));
                            if let Some(observation) = observations.last_mut() {
                                observation.unit = currency;
                            }
                        }
                        None => {
                            add(Metric::ClickPriceMedian, Observed::Unavailable("nothing that has a price was clicked"))
                        }
                    }
                }
                None if self.broken_keywords.contains(&keyword.keyword_id) => {
                    add(
                        Metric::SearchQueryVolume,
                        Observed::Unavailable("the rows of the search term could not be read"),
                    );
                }
                None if keyword.is_active => {
                    add(Metric::SearchQueryVolume, Observed::NotFound("not a search term of the user's own listings"));
                }
                None => {}
            }
        }
        let (quarantined, further_quarantined_row_count) = self.set_aside.into_parts();
        Reading {
            observations,
            quarantined,
            further_quarantined_row_count,
            row_count: i32::try_from(self.row_count).unwrap_or(i32::MAX),
            untracked_row_count: i32::try_from(self.untracked_row_count).unwrap_or(i32::MAX),
            ..Reading::default()
        }
    }
}

/// Reads the totals of a row and checks what the types cannot say.
fn totals(row: &SearchQueryRow) -> Result<Totals, Problem> {
    let clicks = rows::count(row.click_data.total_click_count, "/clickData/totalClickCount")?;
    let price = row.click_data.total_median_click_price.as_deref();
    let price = price.map(|price| amount(price, "/clickData/totalMedianClickPrice")).transpose()?;
    Ok(Totals {
        volume: rows::count(row.search_query_data.search_query_volume, "/searchQueryData/searchQueryVolume")?,
        impressions: rows::count(
            row.impression_data.total_query_impression_count,
            "/impressionData/totalQueryImpressionCount",
        )?,
        clicks,
        cart_adds: rows::count(row.cart_add_data.total_cart_add_count, "/cartAddData/totalCartAddCount")?,
        purchases: rows::count(row.purchase_data.total_purchase_count, "/purchaseData/totalPurchaseCount")?,
        // Where nothing was clicked, the amount of zero is no price.
        click_price: price.filter(|_| clicks > 0).map(|price| (price.amount, price.currency)),
    })
}

/// Reads an amount of money.
pub(super) fn amount(money: &CurrencyAmount, json_pointer: &str) -> Result<Price, Problem> {
    Ok(Price {
        amount: money.amount.amount(&format!("{json_pointer}/amount"))?,
        currency: rows::currency(&money.currency_code, &format!("{json_pointer}/currencyCode"))?,
    })
}
