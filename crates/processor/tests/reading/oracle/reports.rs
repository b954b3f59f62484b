//! Brand Analytics reports by the contract.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read as _;

use chrono::{Datelike, Weekday};
use digitallz_common::keyword::Keyword;
use digitallz_common::marketplace::Resource;
use digitallz_common::observation::{Metric, Period};
use flate2::read::MultiGzDecoder;
use rust_decimal::prelude::ToPrimitive;

use super::amazon::{date, money};
use super::page::optional;
use super::{Fact, Facts};
use crate::json::{Broken, Json, Read};
use crate::question::{Question, TRACKED};

const ROWS: [&str; 2] = ["dataByDepartmentAndSearchTerm", "dataByAsin"];
/// More than any packed fixture unpacks to.
const MAX_UNPACKED: u64 = 64 * 1024 * 1024;

/// Tells whether a resource is a report.
pub(super) fn is_report(resource: Resource) -> bool {
    matches!(resource, Resource::SearchTermsReport | Resource::SearchQueryReport)
}

/// Unpacks a report that is packed.
pub(super) fn unpacked(resource: Resource, body: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !is_report(resource) || !body.starts_with(&[0x1f, 0x8b]) {
        return Some(Cow::Borrowed(body));
    }
    let mut text = Vec::new();
    MultiGzDecoder::new(body).take(MAX_UNPACKED).read_to_end(&mut text).ok()?;
    Some(Cow::Owned(text))
}

/// The last field of a name counts here, as a stream knows no other.
fn last<'a>(document: &'a Json, name: &str) -> Read<Option<&'a Json>> {
    let Json::Object(fields) = document else { return Err(Broken) };
    let found = fields.iter().rev().find(|(key, _)| key.as_deref() == Some(name));
    Ok(found.map(|(_, value)| value).filter(|value| **value != Json::Null))
}

/// Returns the period of a report, and its rows or nothing where it says that it has none.
fn contents<'a>(document: &'a Json, report_type: &str) -> Read<(Period, &'a [Json])> {
    let Json::Object(fields) = document else { return Err(Broken) };
    if fields.iter().any(|(key, _)| key.is_none()) {
        return Err(Broken);
    }
    let known = ["reportSpecification", "processingStatus", "dataStartTime", "dataEndTime"];
    for (key, value) in fields.iter().filter(|(_, value)| *value != Json::Null) {
        match key.as_deref() {
            Some("reportSpecification") => drop(specification(value)?),
            Some(name) if known.contains(&name) => drop(value.text()?),
            _ => {}
        }
    }
    let mut rows = fields.iter().filter(|(key, _)| key.as_deref().is_some_and(|key| ROWS.contains(&key)));
    let (first, second) = (rows.next().map(|(_, value)| value.list()).transpose()?, rows.next());
    if second.is_some() {
        return Err(Broken);
    }
    let status = last(document, "processingStatus")?.map(Json::text).transpose()?;
    let time = |name: &str| last(document, name)?.map_or(Ok(""), Json::text);
    if status == Some("CANCELLED") {
        return Ok((week(time("dataStartTime")?, time("dataEndTime")?)?, &[]));
    }
    if status.is_some() || last(document, "errorDetails")?.is_some() {
        return Err(Broken);
    }
    let (stated, period, start, end) = specification(last(document, "reportSpecification")?.ok_or(Broken)?)?;
    let rows = first.ok_or(Broken)?;
    if stated.is_some_and(|stated| stated != report_type) || period != "WEEK" {
        return Err(Broken);
    }
    Ok((week(start, end)?, rows))
}

type Specification<'a> = (Option<&'a str>, &'a str, &'a str, &'a str);

fn specification(json: &Json) -> Read<Specification<'_>> {
    Ok((
        json.field("reportType")?.map(Json::text).transpose()?,
        json.required("reportOptions")?.required("reportPeriod")?.text()?,
        json.required("dataStartTime")?.text()?,
        json.required("dataEndTime")?.text()?,
    ))
}

fn week(start: &str, end: &str) -> Read<Period> {
    let (start, end) = (date(start)?, date(end)?);
    let is_week = start.weekday() == Weekday::Sun && (end - start).num_days() == 6;
    is_week.then_some(Period::Week(start)).ok_or(Broken)
}

/// Adds what holds for every keyword of which no row tells anything.
fn say_absences(facts: &mut Facts, metric: Metric, period: Period, broken: &[i64], told: &[i64]) {
    for keyword_id in (1..).take(TRACKED.len()) {
        let is_active = keyword_id < TRACKED.len() as i64;
        if !told.contains(&keyword_id) && (is_active || broken.contains(&keyword_id)) {
            facts.observations.push(Fact { keyword_id, metric, value: None, unit: None, period });
        }
    }
}

fn keyword_id(text: &str) -> Option<i64> {
    let keyword = Keyword::parse(text).ok()?;
    TRACKED.iter().position(|tracked| *tracked == keyword.as_str()).map(|place| place as i64 + 1)
}

struct Row<'a> {
    department: &'a str,
    term: &'a str,
    rank: i64,
    place: i128,
    shares: (f64, f64),
}

pub(super) fn search_terms(_: &Question, json: &Json) -> Read<Facts> {
    let (period, rows) = contents(json, "GET_BRAND_ANALYTICS_SEARCH_TERMS_REPORT")?;
    let mut facts = Facts { row_count: rows.len(), ..Facts::default() };
    let mut by_keyword: BTreeMap<i64, Vec<Row<'_>>> = BTreeMap::new();
    let (mut broken, mut last_of_site) = (Vec::new(), None);
    for (index, json) in rows.iter().enumerate() {
        match row(json) {
            Ok(row) => {
                last_of_site = last_of_site.max(is_site(row.department).then_some(row.rank));
                match keyword_id(row.term) {
                    Some(keyword_id) => by_keyword.entry(keyword_id).or_default().push(row),
                    None => facts.untracked_row_count += 1,
                }
            }
            Err(Broken) => {
                facts.quarantined.push(format!("/dataByDepartmentAndSearchTerm/{index}"));
                let term = json.required("searchTerm").and_then(Json::text);
                broken.extend(term.ok().and_then(keyword_id));
            }
        }
    }
    let mut told = Vec::new();
    for (keyword_id, rows) in by_keyword {
        let standing = |row: &Row<'_>| (!is_site(row.department), row.rank, row.department.to_owned());
        let Some(best) = rows.iter().map(standing).min() else { continue };
        if last_of_site.is_some() && best.0 {
            continue;
        }
        let mut top: BTreeMap<i128, (f64, f64)> = BTreeMap::new();
        for row in rows.iter().filter(|row| standing(row) == best) {
            let place = top.entry(row.place).or_insert(row.shares);
            if row.shares.0 > place.0 || (row.shares.0 == place.0 && row.shares.1 > place.1) {
                *place = row.shares;
            }
        }
        let share = |sum: f64| (sum <= 1.001).then(|| sum.min(1.0));
        let values = [
            (Metric::SearchFrequencyRank, Some(best.1 as f64)),
            (Metric::TopClickShare, share(top.values().map(|shares| shares.0).sum())),
            (Metric::TopConversionShare, share(top.values().map(|shares| shares.1).sum())),
        ];
        facts.observations.extend(values.map(|(metric, value)| Fact { keyword_id, metric, value, unit: None, period }));
        told.push(keyword_id);
    }
    for keyword_id in (1..TRACKED.len() as i64).filter(|id| !told.contains(id) && !broken.contains(id)) {
        let value = last_of_site.map(|rank| rank as f64);
        let end = Fact { keyword_id, metric: Metric::SearchTermListEnd, value, unit: None, period };
        facts.observations.extend(value.map(|_| end));
    }
    say_absences(&mut facts, Metric::SearchFrequencyRank, period, &broken, &told);
    Ok(facts)
}

fn row(json: &Json) -> Read<Row<'_>> {
    let row = Row {
        department: json.required("departmentName")?.text()?,
        term: json.required("searchTerm")?.text()?,
        rank: json.required("searchFrequencyRank")?.count()?,
        place: json.required("clickShareRank")?.whole()?,
        shares: (json.required("clickShare")?.fraction()?, json.required("conversionShare")?.fraction()?),
    };
    let is_share = |share: f64| (0.0..=1.0).contains(&share);
    let is_good = (1..=1_000_000_000).contains(&row.rank) && (1..=3).contains(&row.place);
    if is_good && is_share(row.shares.0) && is_share(row.shares.1) { Ok(row) } else { Err(Broken) }
}

fn is_site(department: &str) -> bool {
    department.to_ascii_lowercase().starts_with("amazon.")
}

pub(super) fn search_queries(_: &Question, json: &Json) -> Read<Facts> {
    let (period, rows) = contents(json, "GET_BRAND_ANALYTICS_SEARCH_QUERY_PERFORMANCE_REPORT")?;
    let mut facts = Facts { row_count: rows.len(), ..Facts::default() };
    let mut best: BTreeMap<i64, Totals> = BTreeMap::new();
    let mut broken = Vec::new();
    for (index, json) in rows.iter().enumerate() {
        match query(json) {
            Ok((start, text, totals)) => {
                if start != period.start_date() {
                    return Err(Broken);
                }
                match keyword_id(text) {
                    None => facts.untracked_row_count += 1,
                    Some(keyword_id) => {
                        let known = best.entry(keyword_id).or_insert_with(|| totals.clone());
                        if totals > *known {
                            *known = totals;
                        }
                    }
                }
            }
            Err(Broken) => {
                facts.quarantined.push(format!("/dataByAsin/{index}"));
                let text = json.required("searchQueryData").and_then(|data| data.required("searchQuery")?.text());
                broken.extend(text.ok().and_then(keyword_id));
            }
        }
    }
    for (keyword_id, (counts, click_price)) in &best {
        let metrics = [
            Metric::SearchQueryVolume,
            Metric::SearchQueryImpressions,
            Metric::SearchQueryClicks,
            Metric::SearchQueryCartAdds,
            Metric::SearchQueryPurchases,
        ];
        for (metric, count) in metrics.into_iter().zip(counts) {
            let value = Some(*count as f64);
            facts.observations.push(Fact { keyword_id: *keyword_id, metric, value, unit: None, period });
        }
        let value = click_price.as_ref().and_then(|(amount, _)| amount.to_f64());
        let unit = click_price.as_ref().map(|(_, currency)| currency.clone());
        let metric = Metric::ClickPriceMedian;
        facts.observations.push(Fact { keyword_id: *keyword_id, metric, value, unit, period });
    }
    let told: Vec<i64> = best.into_keys().collect();
    say_absences(&mut facts, Metric::SearchQueryVolume, period, &broken, &told);
    Ok(facts)
}

/// Searches, impressions, clicks, cart adds and purchases, and what a click costs.
type Totals = ([i64; 5], Option<(rust_decimal::Decimal, String)>);

fn query(json: &Json) -> Read<(chrono::NaiveDate, &str, Totals)> {
    let (query, clicks) = (json.required("searchQueryData")?, json.required("clickData")?);
    let counts = [
        query.required("searchQueryVolume")?,
        json.required("impressionData")?.required("totalQueryImpressionCount")?,
        clicks.required("totalClickCount")?,
        json.required("cartAddData")?.required("totalCartAddCount")?,
        json.required("purchaseData")?.required("totalPurchaseCount")?,
    ];
    let mut totals = [0; 5];
    for (total, count) in totals.iter_mut().zip(counts) {
        *total = count.count()?;
    }
    let price = optional(clicks.field("totalMedianClickPrice")?, money)?;
    let price = price.filter(|_| totals[2] > 0).map(|price| (price.amount, price.currency));
    Ok((date(json.required("startDate")?.text()?)?, query.required("searchQuery")?.text()?, (totals, price)))
}
