//! Amazon's answers about one search by the contract.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use digitallz_common::observation::Metric;
use digitallz_processor::reading::{ListingReading, Price};
use rust_decimal::Decimal;

use super::Facts;
use super::page::{Page, amount, concentration, identifier, optional, price, text};
use crate::json::{Broken, Json, Read};
use crate::question::Question;

pub(super) fn search(question: &Question, json: &Json) -> Read<Facts> {
    let result_count = json.required("numberOfResults")?.count()?;
    let rows = json.required("items")?.list()?;
    let mut page = Page::read(question, rows, "/items", |row| item(row).map(Some));
    let brands = match json.field("refinements")?.map(brand_counts) {
        None => None,
        Some(Ok(counts)) => concentration(counts.into_iter()),
        Some(Err(Broken)) => {
            page.facts.quarantined.push("/refinements".to_owned());
            None
        }
    };
    let is_first = !question.url.contains("pageToken=");
    if is_first {
        page.say(Metric::ResultCount, Some(result_count as f64));
        page.say_sellers(|listing| listing.brand.as_ref());
        page.say(Metric::BrandConcentration, brands);
        page.say(Metric::SalesRankMedian, page.median(|listing| listing.sales_rank, usize::MAX));
        page.say_new_listings();
        page.say_titles();
    }
    // The questions of the tests ask for 20 at once.
    page.with_positions(if is_first { 0 } else { 20 * (question.page_number as u64 - 1) })
}

fn brand_counts(refinements: &Json) -> Read<Vec<u64>> {
    let brands = refinements.required("brands")?.list()?;
    brands.iter().map(|brand| Ok(brand.required("numberOfResults")?.count()? as u64)).collect()
}

fn item(row: &Json) -> Read<ListingReading> {
    let mut told = Vec::new();
    for summary in row.field("summaries")?.map(Json::list).transpose()?.unwrap_or_default() {
        let released = summary.field("releaseDate")?.map(Json::text).transpose()?;
        told.push((text(summary.field("itemName")?)?, text(summary.field("brand")?)?, released));
    }
    let mut ranks = Vec::new();
    for of_marketplace in row.field("salesRanks")?.map(Json::list).transpose()?.unwrap_or_default() {
        for name in ["classificationRanks", "displayGroupRanks"] {
            for rank in of_marketplace.field(name)?.map(Json::list).transpose()?.unwrap_or_default() {
                ranks.push(rank.required("rank")?.unsigned()?);
            }
        }
    }
    let best = ranks.into_iter().min();
    if best.is_some_and(|best| !(1..=1_000_000_000_000).contains(&best)) {
        return Err(Broken);
    }
    let (title, brand, released) = told.into_iter().next().unwrap_or_default();
    Ok(ListingReading {
        marketplace_listing_id: identifier(row.required("asin")?)?,
        title,
        brand,
        listed_at: released.map(day).transpose()?,
        sales_rank: best.map(|best| best as i64),
        ..ListingReading::default()
    })
}

/// Returns the first moment of the day that a text begins with.
fn day(text: &str) -> Read<DateTime<Utc>> {
    Ok(date(text)?.and_time(NaiveTime::MIN).and_utc())
}

/// Returns the date that a text begins with.
pub(super) fn date(text: &str) -> Read<NaiveDate> {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        let part = text.get(range).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        part.and_then(|part| part.parse::<u32>().ok()).ok_or(Broken)
    };
    if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return Err(Broken);
    }
    NaiveDate::from_ymd_opt(digits(0..4)? as i32, digits(5..7)?, digits(8..10)?).ok_or(Broken)
}

pub(super) fn prices(question: &Question, json: &Json) -> Read<Facts> {
    let rows = json.required("responses")?.list()?;
    let mut page = Page::read(question, rows, "/responses", summary);
    if question.page_number == 1 {
        page.say_prices([Metric::PriceLowerQuartile, Metric::PriceMedian, Metric::PriceUpperQuartile].map(Some));
    }
    Ok(page.without_positions())
}

fn summary(row: &Json) -> Read<Option<ListingReading>> {
    let status = row.required("status")?;
    let code = optional(status.field("statusCode")?, Json::unsigned)?;
    status.field("reasonPhrase")?.map(Json::text).transpose()?;
    let body = row.required("body")?;
    let asin = body.required("asin")?;
    asin.text()?;
    let mut featured = Vec::new();
    for option in body.field("featuredBuyingOptions")?.map(Json::list).transpose()?.unwrap_or_default() {
        for one in option.required("segmentedFeaturedOffers")?.list()? {
            featured.push(offer(one)?);
        }
    }
    let mut new = Vec::new();
    for list in body.field("lowestPricedOffers")?.map(Json::list).transpose()?.unwrap_or_default() {
        let condition = list.required("lowestPricedOffersInput")?.required("itemCondition")?.text()?;
        for one in list.required("offers")?.list()? {
            let (listing_price, _) = offer(one)?;
            if condition.eq_ignore_ascii_case("new") {
                new.push(listing_price);
            }
        }
    }
    match code {
        None | Some(200..=299) => {}
        Some(404) => return Ok(None),
        Some(_) => return Err(Broken),
    }
    let mut best: Option<&(&Json, f64)> = None;
    for one in &featured {
        if best.is_none_or(|best| one.1 > best.1) {
            best = Some(one);
        }
    }
    let price = match best {
        Some((listing_price, _)) => Some(money(listing_price)?),
        None => {
            let mut lowest: Option<Price> = None;
            for one in new.into_iter().map(money).collect::<Read<Vec<Price>>>()? {
                if lowest.as_ref().is_none_or(|lowest| one.amount < lowest.amount) {
                    lowest = Some(one);
                }
            }
            lowest
        }
    };
    Ok(Some(ListingReading { marketplace_listing_id: identifier(asin)?, price, ..ListingReading::default() }))
}

/// Returns the price of an offer as it stands, and to how many it is shown.
fn offer(json: &Json) -> Read<(&Json, f64)> {
    let listing_price = json.required("listingPrice")?;
    listing_price.required("amount")?.number()?;
    listing_price.required("currencyCode")?.text()?;
    let mut visitors = 0.0;
    for segment in json.field("featuredOfferSegments")?.map(Json::list).transpose()?.unwrap_or_default() {
        if let Some(details) = segment.field("segmentDetails")? {
            visitors += optional(details.field("glanceViewWeightPercentage")?, Json::fraction)?.unwrap_or(0.0);
        }
    }
    Ok((listing_price, visitors))
}

/// Returns an amount of money whose amount is a number.
pub(super) fn money(json: &Json) -> Read<Price> {
    price(number(json.required("amount")?)?, json.required("currencyCode")?)
}

/// Returns an amount that is written as a number, with an exponent perhaps.
pub(super) fn number(json: &Json) -> Read<Decimal> {
    let text = json.number()?;
    let Some((digits, exponent)) = text.split_once(['e', 'E']) else { return amount(text) };
    let exponent: i32 = exponent.parse().map_err(|_| Broken)?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let places = fraction.len() as i32 - exponent;
    let digits = format!("{whole}{fraction}");
    match places {
        0..=28 if digits.len() <= 28 => {
            let padded = format!("{digits:0>width$}", width = places as usize + 1);
            let (whole, fraction) = padded.split_at(padded.len() - places as usize);
            amount(&if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") })
        }
        -12..0 if digits.len() <= 28 => amount(&format!("{digits}{}", "0".repeat(-places as usize))),
        _ => Err(Broken),
    }
}
