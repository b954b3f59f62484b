//! The search query performance document: how the seller's own products did for the searches that led to them.

use chrono::Days;
use serde_json::{Value, json};

use crate::clock::EPOCH;
use crate::pricing::currency;
use crate::products::{self, Product};
use crate::reports::{QUERY_PERFORMANCE, Report};
use crate::server::Shared;

/// The searches that lead to a product: what is added to its keyword and the part of the keyword's searches.
const QUERIES: [(&str, f64); 3] = [("", 1.0), ("best ", 0.22), ("cheap ", 0.09)];
const IMPRESSIONS_PER_SEARCH: f64 = 9.0;
const CLICKS_PER_SEARCH: f64 = 0.55;
const CART_ADDS_PER_CLICK: f64 = 0.14;
const PURCHASES_PER_CART_ADD: f64 = 0.45;

/// Writes the document of a week.
pub(crate) fn document(shared: &Shared, report: &Report, asins: &[String]) -> Value {
    let own = products::own(&shared.world);
    let asked = own.iter().filter(|product| asins.contains(&product.asin()));
    let rows: Vec<Value> = asked.flat_map(|product| rows(report, product)).collect();
    json!({
        "reportSpecification": {
            "reportType": QUERY_PERFORMANCE,
            "reportOptions": { "reportPeriod": "WEEK", "asin": asins.join(" ") },
            "dataStartTime": report.first_day,
            "dataEndTime": report.first_day + Days::new(6),
            "marketplaceIds": report.marketplace_ids,
        },
        "dataByAsin": rows,
    })
}

/// The searches of a week that led to a product, the most frequent first; none while it is not on offer.
fn rows(report: &Report, product: &Product) -> Vec<Value> {
    let day = (report.first_day - EPOCH).num_days() as f64 + 3.0;
    let searches = product.shelf.demand_in_week_of(day);
    if !product.listing.is_alive(day) || searches < 1.0 {
        return Vec::new();
    }
    let mut prices: Vec<u64> = product.shelf.alive(day).map(|listing| listing.price_cents(day)).collect();
    prices.sort_unstable();
    let money = |cents: u64| {
        let marketplace_id = report.marketplace_ids.first().map_or("", String::as_str);
        json!({ "amount": cents as f64 / 100.0, "currencyCode": currency(marketplace_id) })
    };
    let prices = (money(prices.get(prices.len() / 2).copied().unwrap_or(0)), money(product.listing.price_cents(day)));
    let share = product.listing.share.clamp(0.0, 0.6);
    let row = |(place, (lead, part)): (usize, &(&str, f64))| {
        let volume = (searches * part).round();
        let impressions = volume * IMPRESSIONS_PER_SEARCH;
        let clicks = volume * CLICKS_PER_SEARCH;
        let cart_adds = clicks * CART_ADDS_PER_CLICK;
        let asin_impressions = (impressions * share).floor();
        json!({
            "startDate": report.first_day,
            "endDate": report.first_day + Days::new(6),
            "asin": product.asin(),
            "searchQueryData": {
                "searchQuery": format!("{lead}{}", product.shelf.keyword),
                "searchQueryScore": place + 1,
                "searchQueryVolume": volume as u64,
            },
            "impressionData": {
                "totalQueryImpressionCount": impressions as u64,
                "asinImpressionCount": asin_impressions as u64,
                "asinImpressionShare": ratio(asin_impressions, impressions.floor()),
            },
            "clickData": step("Click", clicks, share * 1.1, volume, &prices),
            "cartAddData": step("CartAdd", cart_adds, share * 1.2, volume, &prices),
            "purchaseData": step("Purchase", cart_adds * PURCHASES_PER_CART_ADD, share * 1.25, volume, &prices),
        })
    };
    QUERIES.iter().enumerate().map(row).collect()
}

/// One step on the way from a search to a purchase.
fn step(name: &str, total: f64, share: f64, volume: f64, (median, asin_median): &(Value, Value)) -> Value {
    let total = total.floor();
    let of_asin = (total * share).floor();
    let mut data = json!({});
    let mut set = |field: String, value: Value| data[field] = value;
    set(format!("total{name}Count"), json!(total as u64));
    set(format!("total{name}Rate"), json!(ratio(total, volume)));
    set(format!("asin{name}Count"), json!(of_asin as u64));
    set(format!("asin{name}Share"), json!(ratio(of_asin, total)));
    set(format!("totalMedian{name}Price"), median.clone());
    set(format!("asinMedian{name}Price"), asin_median.clone());
    for (speed, part) in [("SameDay", 0.2), ("OneDay", 0.3), ("TwoDay", 0.5)] {
        set(format!("total{speed}Shipping{name}Count"), json!((total * part) as u64));
    }
    data
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (part / whole * 10_000.0).round() / 10_000.0 } else { 0.0 }
}
