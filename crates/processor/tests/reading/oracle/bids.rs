//! Suggested bids by the contracts of Amazon Ads and eBay.

use std::collections::{BTreeMap, BTreeSet};

use digitallz_common::keyword::Keyword;
use digitallz_common::marketplace::Resource;
use digitallz_common::observation::{Metric, Period};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::amazon::number;
use super::page::{amount, price};
use super::{Fact, Facts};
use crate::json::{Broken, Json, Read};
use crate::question::{Question, TRACKED, asked};

/// Suggestion, lower and upper end, and their currency.
type Bid = ([Option<Decimal>; 3], String);

pub(super) fn bids(question: &Question, json: &Json) -> Read<Facts> {
    let is_amazon = question.resource == Resource::KeywordBids;
    let (rows, pointer) = match is_amazon {
        true => (json.required("keywordTargetList")?.list()?, "/keywordTargetList"),
        false => (json.field("suggestedBids")?.map(Json::list).transpose()?.unwrap_or_default(), "/suggestedBids"),
    };
    let mut facts = Facts { row_count: rows.len(), ..Facts::default() };
    let mut known: BTreeMap<i64, Option<Bid>> = BTreeMap::new();
    let mut broken = BTreeSet::new();
    let mut amounts = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        match if is_amazon { amazon_row(row) } else { ebay_row(row) } {
            Ok(None) => {}
            Ok(Some((text, bid))) => {
                amounts.extend(bid.iter().flat_map(|(amounts, _)| amounts.iter().flatten().copied()));
                match keyword_id(&text) {
                    None => facts.untracked_row_count += 1,
                    Some(keyword_id) => {
                        let first = known.entry(keyword_id).or_default();
                        *first = first.take().or(bid);
                    }
                }
            }
            Err(Broken) => {
                facts.quarantined.push(format!("{pointer}/{index}"));
                let named = ["keyword", "keywordText"].map(|name| row.field(name).ok().flatten());
                if let [Some(name), None] | [None, Some(name)] = named
                    && let Ok(text) = name.text()
                {
                    broken.extend(keyword_id(text));
                }
            }
        }
    }
    let is_in_cents = is_amazon
        && amounts.iter().all(|amount| amount.fract().is_zero())
        && amounts.iter().any(|amount| *amount >= Decimal::TEN);
    for keyword_id in asked().iter().filter_map(|text| keyword_id(text)).chain(broken.iter().copied()) {
        known.entry(keyword_id).or_default();
    }
    let period = Period::Instant(question.fetched_at);
    for (keyword_id, bid) in known {
        let metrics = [Metric::CpcSuggested, Metric::CpcSuggestedLow, Metric::CpcSuggestedHigh];
        let Some((amounts, currency)) = bid else {
            facts.observations.push(Fact { keyword_id, metric: metrics[0], value: None, unit: None, period });
            continue;
        };
        for (metric, amount) in metrics.into_iter().zip(amounts) {
            let limit = if currency == "JPY" { 15_000 } else { believed(&currency) };
            let amount = amount.filter(|amount| !is_in_cents && !amount.is_zero() && *amount <= Decimal::from(limit));
            let value = amount.and_then(|amount| amount.to_f64());
            facts.observations.push(Fact { keyword_id, metric, value, unit: Some(currency.clone()), period });
        }
    }
    Ok(facts)
}

/// Returns what about a hundred dollars are in a currency.
fn believed(currency: &str) -> i64 {
    match currency {
        "MXN" | "SEK" => 1_000,
        "BRL" | "PLN" => 500,
        _ => 100,
    }
}

fn keyword_id(text: &str) -> Option<i64> {
    let keyword = Keyword::parse(text).ok()?;
    TRACKED.iter().position(|tracked| *tracked == keyword.as_str()).map(|place| place as i64 + 1)
}

fn ebay_row(row: &Json) -> Read<Option<(String, Option<Bid>)>> {
    let text = row.required("keywordText")?.text()?.to_owned();
    let match_type = row.field("matchType")?.map(Json::text).transpose()?;
    let proposed = row.field("proposedBid")?;
    let texts =
        |name: &str| proposed.map(|bid| bid.field(name)).transpose().map(Option::flatten)?.map(Json::text).transpose();
    let [value, low, high] = [texts("value")?, texts("rangeStart")?, texts("rangeEnd")?];
    let currency = texts("currency")?;
    let Some(bid) = proposed else { return Ok(is_exact(match_type).then_some((text, None))) };
    let (Some(value), Some(_)) = (value, currency) else { return Err(Broken) };
    if !is_exact(match_type) {
        return Ok(None);
    }
    let suggested = amount(value)?;
    let price = price(suggested, bid.required("currency")?)?;
    let ends = [low.map(amount).transpose()?, high.map(amount).transpose()?];
    Ok(Some((text, Some(([Some(suggested), ends[0], ends[1]], price.currency)))))
}

fn is_exact(match_type: Option<&str>) -> bool {
    match_type.is_none_or(|match_type| match_type == "EXACT")
}

fn amazon_row(row: &Json) -> Read<Option<(String, Option<Bid>)>> {
    let text = row.required("keyword")?.text()?.to_owned();
    let mut first: Option<Option<[Option<&Json>; 3]>> = None;
    for info in row.field("bidInfo")?.map(Json::list).transpose()?.unwrap_or_default() {
        let match_type = info.field("matchType")?.map(Json::text).transpose()?;
        let theme = info.field("theme")?.map(Json::text).transpose()?;
        let mut suggested = None;
        if let Some(bid) = info.field("suggestedBid")? {
            let amounts = [bid.field("suggested")?, bid.field("rangeStart")?, bid.field("rangeEnd")?];
            for amount in amounts.into_iter().flatten() {
                amount.number()?;
            }
            suggested = Some(amounts);
        }
        let is_usual = theme.is_none_or(|theme| theme == "CONVERSION_OPPORTUNITIES");
        if first.is_none() && match_type == Some("EXACT") && is_usual {
            first = Some(suggested);
        }
    }
    let bid = match first.flatten() {
        Some([Some(suggested), low, high]) => {
            let amounts = [Some(number(suggested)?), low.map(number).transpose()?, high.map(number).transpose()?];
            Some((amounts, "USD".to_owned()))
        }
        _ => None,
    };
    Ok(Some((text, bid)))
}
