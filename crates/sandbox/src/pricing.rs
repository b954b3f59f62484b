//! The prices of the pretend Amazon: featured and lowest offers of some ASINs at once.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::amazon::{MARKETPLACE_IDS, invalid_input};
use crate::clock::day_of;
use crate::exchange::{Answer, Incoming};
use crate::noise::{Dice, hash};
use crate::products::{self, Product};
use crate::server::Shared;

pub(crate) const PATH: &str = "/batches/products/pricing/2022-05-01/items/competitiveSummary";

const REQUESTS_MAX: usize = 20;
const URI: &str = "/products/pricing/2022-05-01/items/competitiveSummary";
const INCLUDED_DATA: [&str; 4] = ["featuredBuyingOptions", "referencePrices", "lowestPricedOffers", "similarItems"];

#[derive(Deserialize)]
struct Batch {
    requests: Vec<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    asin: String,
    marketplace_id: String,
    included_data: Vec<String>,
    method: String,
    uri: String,
}

/// Answers every request of a batch with its own status.
pub(crate) fn answer(shared: &Shared, incoming: &Incoming) -> Answer {
    let Ok(batch) = serde_json::from_slice::<Batch>(&incoming.body) else {
        return invalid_input("The request body is not valid JSON for getCompetitiveSummary.");
    };
    if !(1..=REQUESTS_MAX).contains(&batch.requests.len()) {
        return invalid_input("The batch must hold between 1 and 20 requests.");
    }
    let asins: Vec<String> = batch.requests.iter().map(|request| request.asin.clone()).collect();
    let found = products::find(&shared.world, &asins);
    let day = day_of(shared.clock.now());
    let response = |request: &Request| match check(request) {
        Err(message) => refused(request, 400, "InvalidInput", &message),
        Ok(()) => match found.get(&request.asin).filter(|product| product.listing.is_alive(day)) {
            Some(product) => summary(request, product, day),
            None => refused(request, 404, "ResourceNotFound", "The requested ASIN was not found in the marketplace."),
        },
    };
    Answer::json(200, &json!({ "responses": batch.requests.iter().map(response).collect::<Vec<_>>() }))
}

/// Names the currency of a country site.
pub(crate) fn currency(marketplace_id: &str) -> &'static str {
    match marketplace_id {
        "ATVPDKIKX0DER" => "USD",
        "A2EUQ1WTGCTBG2" => "CAD",
        "A1AM78C64UM0Y8" => "MXN",
        "A1F83G8C2ARO7P" => "GBP",
        _ => "EUR",
    }
}

fn check(request: &Request) -> Result<(), String> {
    if !MARKETPLACE_IDS.contains(&request.marketplace_id.as_str()) {
        return Err(format!("Invalid marketplace id '{}'.", request.marketplace_id));
    }
    if request.method != "GET" || request.uri != URI {
        return Err(format!("A request of the batch must GET {URI}."));
    }
    if request.included_data.is_empty() {
        return Err("Missing required field 'includedData'.".into());
    }
    match request.included_data.iter().find(|name| !INCLUDED_DATA.contains(&name.as_str())) {
        Some(name) => Err(format!("Invalid value '{name}' in field 'includedData'.")),
        None => Ok(()),
    }
}

fn refused(request: &Request, status: u16, code: &str, message: &str) -> Value {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    json!({
        "status": { "statusCode": status, "reasonPhrase": reason.unwrap_or_default() },
        "body": {
            "asin": request.asin,
            "marketplaceId": request.marketplace_id,
            "errors": [{ "code": code, "message": message, "details": "" }],
        },
    })
}

fn summary(request: &Request, product: &Product, day: f64) -> Value {
    let mut body = json!({ "asin": request.asin, "marketplaceId": request.marketplace_id });
    for name in &request.included_data {
        body[name] = match name.as_str() {
            "featuredBuyingOptions" => featured(request, product, day),
            "referencePrices" => reference_prices(request, product, day),
            "lowestPricedOffers" => lowest(request, product, day),
            _ => similar(product, day),
        };
    }
    json!({ "status": { "statusCode": 200, "reasonPhrase": "Success" }, "body": body })
}

fn money(request: &Request, cents: u64) -> Value {
    json!({ "amount": cents as f64 / 100.0, "currencyCode": currency(&request.marketplace_id) })
}

/// One of the sellers of a product; the first asks the listing's price, the others a little more.
fn offer(request: &Request, product: &Product, day: f64, place: u64) -> Value {
    let mut dice = Dice::new(hash(hash(product.listing.salt, 71), place));
    let price_cents = product.listing.price_cents(day) + place * (30 + dice.next() % 200);
    let is_fulfilled_by_amazon = place == 0 || dice.chance(0.5);
    let shipping_cents = if is_fulfilled_by_amazon { 0 } else { 399 };
    json!({
        "sellerId": format!("A{:013X}", hash(product.listing.seller, place) & 0xF_FFFF_FFFF_FFFF),
        "condition": "New",
        "subCondition": "New",
        "fulfillmentType": if is_fulfilled_by_amazon { "AFN" } else { "MFN" },
        "listingPrice": money(request, price_cents),
        "shippingOptions": [{ "shippingOptionType": "DEFAULT", "price": money(request, shipping_cents) }],
        "primeDetails": { "eligibility": if is_fulfilled_by_amazon { "NATIONAL" } else { "NONE" } },
    })
}

fn featured(request: &Request, product: &Product, day: f64) -> Value {
    let mut featured = offer(request, product, day, 0);
    featured["featuredOfferSegments"] = json!([{
        "customerMembership": "DEFAULT",
        "segmentDetails": { "glanceViewWeightPercentage": 100.0 },
    }]);
    json!([{ "buyingOptionType": "New", "segmentedFeaturedOffers": [featured] }])
}

fn reference_prices(request: &Request, product: &Product, day: f64) -> Value {
    let is_competed = product.listing.trait_unit(5) < 0.5;
    let cents = product.listing.price_cents(day);
    let mut prices = vec![json!({ "name": "WasPrice", "price": money(request, cents * 21 / 20) })];
    if is_competed {
        prices.push(json!({ "name": "CompetitivePriceThreshold", "price": money(request, cents * 19 / 20) }));
    }
    json!(prices)
}

fn lowest(request: &Request, product: &Product, day: f64) -> Value {
    let sellers = 1 + (product.listing.trait_unit(6) * 6.0) as u64;
    let offers: Vec<Value> = (0..sellers).map(|place| offer(request, product, day, place)).collect();
    json!([{ "lowestPricedOffersInput": { "itemCondition": "New", "offerType": "Consumer" }, "offers": offers }])
}

fn similar(product: &Product, day: f64) -> Value {
    const SIMILAR_MAX: usize = 10;
    let ranked = product.shelf.ranked(day).into_iter().filter(|other| other.number != product.listing.number);
    let items: Vec<Value> =
        ranked.take(SIMILAR_MAX).map(|other| json!({ "asin": crate::catalog::asin(&product.shelf, other) })).collect();
    json!([{ "items": items }])
}
