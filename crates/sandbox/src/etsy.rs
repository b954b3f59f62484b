//! The pretend Etsy: search among active listings and reading listings by id; shops and reviews have their own files.

use std::sync::Arc;

use axum::http::Method;
use serde::Serialize;

use crate::clock::{day_of, timestamp_of};
use crate::config::{Marketplace, credentials};
use crate::exchange::{Answer, Incoming};
use crate::limits::Standing;
use crate::listings::{Listing, SELLERS, Shelf};
use crate::noise::{Dice, hash};
use crate::server::Shared;
use crate::windows::LimitWindow;
use crate::{reviews, shops, words};

const LIMIT_MAX: u64 = 100;
const OFFSET_MAX: u64 = 12_000;
const BATCH_MAX: usize = 100;
/// A listing id is this base, then 24 bits for the keyword, then 14 bits for the listing.
const LISTING_ID_BASE: u64 = 1_000_000_000;
const LISTING_NUMBER_BITS: u64 = 14;
const SHOP_ID_BASE: u64 = 8_000_000;
/// Listings are renewed after so many days.
const RENEWAL_DAYS: f64 = 120.0;

/// Names the operation a request means.
pub(crate) fn operation(incoming: &Incoming) -> Option<&'static str> {
    if incoming.method != Method::GET {
        return None;
    }
    match incoming.path.as_str() {
        "/v3/application/listings/active" => Some("findAllListingsActive"),
        "/v3/application/listings/batch" => Some("getListingsByListingIds"),
        path if shops::shop_id(path).is_some() => Some("getShop"),
        path if reviews::listing_id(path).is_some() => Some("getReviewsByListing"),
        _ => None,
    }
}

/// Answers a request within the limits after looking at its key.
pub(crate) fn answer(shared: &Shared, operation: &str, incoming: &Incoming, standings: &[Standing]) -> Answer {
    if let Err(refusal) = check_key(incoming.header("x-api-key")) {
        return refusal;
    }
    let answer = match operation {
        "findAllListingsActive" => search(shared, incoming).unwrap_or_else(|message| error(400, &message)),
        "getListingsByListingIds" => batch(shared, incoming).unwrap_or_else(|message| error(400, &message)),
        "getShop" => shops::answer(shared, incoming),
        _ => reviews::answer(shared, incoming),
    };
    with_allowance(answer, standings)
}

/// Refuses a request over a limit; only the daily one says when to come back.
pub(crate) fn over_limit(window: &LimitWindow, standings: &[Standing]) -> Answer {
    let answer = match window.is_long() {
        false => error(429, "Exceeded per second rate limit"),
        true => error(429, "Exceeded daily rate limit").with_header("retry-after", "86400"),
    };
    with_allowance(answer, standings)
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
}

/// Writes an error as Etsy does.
pub(crate) fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, &ErrorBody { error: message })
}

pub(crate) fn unauthorized() -> Answer {
    error(401, "invalid_token")
}

/// Refuses keys that are absent, without their secret or wrong.
fn check_key(key: Option<&str>) -> Result<(), Answer> {
    let key = key.ok_or_else(|| error(403, "Missing x-api-key header."))?;
    let (keystring, secret) =
        key.split_once(':').ok_or_else(|| error(403, "Shared secret is required in x-api-key header."))?;
    if (keystring, secret) != (credentials::ETSY_KEYSTRING, credentials::ETSY_SHARED_SECRET) {
        return Err(error(403, "API key not found or not active, or incorrect shared secret for API key."));
    }
    Ok(())
}

/// States the limits: the short window as that of a second, the long one as that of a day.
fn with_allowance(mut answer: Answer, standings: &[Standing]) -> Answer {
    const NAMES: [(bool, &str, &str); 2] =
        [(false, "x-limit-per-second", "x-remaining-this-second"), (true, "x-limit-per-day", "x-remaining-today")];
    for (is_long, limit, remaining) in NAMES {
        if let Some(standing) = standings.iter().find(|standing| standing.window.is_long() == is_long) {
            answer = answer
                .with_header(limit, standing.window.allowed().to_string())
                .with_header(remaining, standing.left.to_string());
        }
    }
    answer
}

#[derive(Serialize)]
struct Listings {
    count: u64,
    results: Vec<ListingBody>,
}

/// Searches active listings; without a choice the newest come first.
fn search(shared: &Shared, incoming: &Incoming) -> Result<Answer, String> {
    let limit = number(incoming, "limit", 25)?;
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(format!("limit must be between 1 and {LIMIT_MAX}."));
    }
    let offset = number(incoming, "offset", 0)?;
    if offset > OFFSET_MAX {
        return Err("Offset provided is greater than the maximum offset allowed.".into());
    }
    let order = Order::read(incoming)?;
    let day = day_of(shared.clock.now());
    let keyword = incoming.parameter("keywords").unwrap_or_default();
    let shelf = shared.world.searched_shelf(Marketplace::Etsy, keyword, incoming);
    let count = shelf.total(day);
    let known = order.sort(&shelf, day);

    let positions = offset..(offset + limit).min(count);
    let at = |position: u64| match known.get(position as usize) {
        Some(listing) => body(&shelf, listing, day, false),
        None => body(&shelf, &shelf.tail((position - known.len() as u64) as u32), day, false),
    };
    let results = positions.map(at).collect();
    Ok(Answer::json(200, &Listings { count, results }))
}

/// Reads a parameter that is a number.
pub(crate) fn number(incoming: &Incoming, name: &str, default: u64) -> Result<u64, String> {
    match incoming.parameter(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| format!("{name} must be a non-negative integer.")),
    }
}

/// The order in which listings are shown.
#[derive(Clone, Copy)]
enum Order {
    Score,
    Created { descending: bool },
    Updated { descending: bool },
    Price { descending: bool },
}

impl Order {
    fn read(incoming: &Incoming) -> Result<Self, String> {
        let descending = match incoming.parameter("sort_order").unwrap_or("desc") {
            "desc" | "descending" | "down" => true,
            "asc" | "ascending" | "up" => false,
            other => return Err(format!("Invalid value for sort_order: {other}.")),
        };
        match incoming.parameter("sort_on").unwrap_or("created") {
            "score" => Ok(Order::Score),
            // Without a search text the choice of order counts for nothing.
            _ if incoming.parameter("keywords").is_none() => Ok(Order::Created { descending: true }),
            "created" => Ok(Order::Created { descending }),
            "updated" => Ok(Order::Updated { descending }),
            "price" => Ok(Order::Price { descending }),
            other => Err(format!("Invalid value for sort_on: {other}.")),
        }
    }

    fn sort(self, shelf: &Shelf, day: f64) -> Vec<&Listing> {
        let mut listings = shelf.ranked(day);
        let (key, descending): (fn(&Listing, f64) -> f64, bool) = match self {
            Order::Score => return listings,
            Order::Created { descending } => (renewed_on, descending),
            Order::Updated { descending } => (updated_on, descending),
            Order::Price { descending } => (|listing, day| listing.price_cents(day) as f64, descending),
        };
        listings.sort_by(|a, b| key(a, day).total_cmp(&key(b, day)));
        if descending {
            listings.reverse();
        }
        listings
    }
}

/// Reads listings by their ids, with their views.
fn batch(shared: &Shared, incoming: &Incoming) -> Result<Answer, String> {
    let text = incoming.parameter("listing_ids").ok_or("listing_ids is required.")?;
    let ids: Vec<u64> = text
        .split(',')
        .map(|id| id.trim().parse().map_err(|_| format!("Invalid listing id: {id}.")))
        .collect::<Result<_, _>>()?;
    if ids.len() > BATCH_MAX {
        return Err(format!("listing_ids must hold at most {BATCH_MAX} ids."));
    }
    let day = day_of(shared.clock.now());
    let results: Vec<ListingBody> = ids.iter().filter_map(|id| listing_by_id(shared, *id, day)).collect();
    Ok(Answer::json(200, &Listings { count: results.len() as u64, results }))
}

fn listing_by_id(shared: &Shared, id: u64, day: f64) -> Option<ListingBody> {
    let (shelf, listing) = find_listing(shared, id)?;
    listing.is_alive(day).then(|| body(&shelf, &listing, day, true))
}

/// Finds the listing of an id, whether it is on offer or not.
pub(crate) fn find_listing(shared: &Shared, id: u64) -> Option<(Arc<Shelf>, Listing)> {
    let code = id.checked_sub(LISTING_ID_BASE)?;
    let shelf = shared.world.shelf_by_keyword_id(code >> LISTING_NUMBER_BITS)?;
    let listing = shelf.by_number((code & ((1 << LISTING_NUMBER_BITS) - 1)) as u32)?;
    Some((shelf, listing))
}

/// Tells a shop's number from its seller's.
pub(crate) fn shop_id_of(seller: u64) -> u64 {
    SHOP_ID_BASE + seller
}

/// Tells the number of the user behind a seller.
pub(crate) fn user_id_of(seller: u64) -> u64 {
    20_000_000 + seller * 7
}

/// Tells the seller behind a shop's number.
pub(crate) fn seller_of(shop_id: u64) -> Option<u64> {
    shop_id.checked_sub(SHOP_ID_BASE).filter(|seller| *seller < SELLERS)
}

#[derive(Serialize)]
struct Money {
    amount: u64,
    divisor: u64,
    currency_code: &'static str,
}

#[derive(Serialize)]
struct ListingBody {
    listing_id: u64,
    user_id: u64,
    shop_id: u64,
    title: String,
    description: String,
    state: &'static str,
    creation_timestamp: i64,
    created_timestamp: i64,
    ending_timestamp: i64,
    original_creation_timestamp: i64,
    last_modified_timestamp: i64,
    updated_timestamp: i64,
    state_timestamp: i64,
    quantity: u64,
    shop_section_id: Option<u64>,
    featured_rank: i64,
    url: String,
    num_favorers: u64,
    non_taxable: bool,
    is_taxable: bool,
    is_customizable: bool,
    is_personalizable: bool,
    listing_type: &'static str,
    tags: Vec<String>,
    materials: Vec<&'static str>,
    shipping_profile_id: Option<u64>,
    return_policy_id: Option<u64>,
    processing_min: Option<u64>,
    processing_max: Option<u64>,
    who_made: &'static str,
    when_made: &'static str,
    is_supply: bool,
    item_weight: Option<f64>,
    item_length: Option<f64>,
    item_width: Option<f64>,
    item_height: Option<f64>,
    is_private: bool,
    style: Vec<&'static str>,
    file_data: &'static str,
    has_variations: bool,
    should_auto_renew: bool,
    language: &'static str,
    price: Money,
    taxonomy_id: Option<u64>,
    suggested_title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    views: Option<u64>,
}

/// Shows one listing; only reading by id tells the views.
fn body(shelf: &Shelf, listing: &Listing, day: f64, with_views: bool) -> ListingBody {
    const MATERIALS: [&str; 8] = ["cotton", "wood", "ceramic", "silver", "linen", "leather", "paper", "resin"];
    let mut dice = Dice::new(hash(listing.salt, 41));
    let listing_id = LISTING_ID_BASE + (shelf.keyword_id << LISTING_NUMBER_BITS) + u64::from(listing.number);
    let renewed = timestamp_of(renewed_on(listing, day));
    let updated = timestamp_of(updated_on(listing, day));
    let color = words::color(listing.salt);
    let title = title(shelf, listing);
    let is_download = dice.chance(0.08);
    let has_size = dice.chance(0.2);
    ListingBody {
        listing_id,
        user_id: user_id_of(listing.seller),
        shop_id: shop_id_of(listing.seller),
        description: format!(
            "{} in {}, made to order.\nPlease write us with your wishes.",
            shelf.heading,
            color.to_lowercase()
        ),
        state: "active",
        creation_timestamp: renewed,
        created_timestamp: renewed,
        ending_timestamp: renewed + (RENEWAL_DAYS * 86_400.0) as i64,
        original_creation_timestamp: timestamp_of(listing.born),
        last_modified_timestamp: updated,
        updated_timestamp: updated,
        state_timestamp: renewed,
        quantity: 1 + dice.next() % 200,
        shop_section_id: dice.chance(0.7).then_some(30_000_000 + listing.seller * 3),
        featured_rank: -1,
        url: format!("https://www.etsy.com/listing/{listing_id}/{}", shelf.keyword.replace(' ', "-")),
        num_favorers: (0.05 * (0.5 + dice.unit()) * listing.share * shelf.demand_between(listing.born, day)) as u64,
        non_taxable: false,
        is_taxable: true,
        is_customizable: dice.chance(0.5),
        is_personalizable: dice.chance(0.4),
        listing_type: if is_download { "download" } else { "physical" },
        tags: vec![shelf.keyword.clone(), format!("{} {}", color.to_lowercase(), shelf.keyword), "gift idea".into()],
        materials: vec![dice.pick(&MATERIALS)],
        shipping_profile_id: (!is_download).then_some(155_000_000_000 + listing.seller),
        return_policy_id: Some(1 + listing.seller),
        processing_min: (!is_download).then_some(1),
        processing_max: (!is_download).then_some(3 + dice.next() % 10),
        who_made: dice.pick(&["i_did", "collective", "someone_else"]),
        when_made: dice.pick(&["made_to_order", "made_to_order", "2020_2026", "1990s"]),
        is_supply: false,
        item_weight: has_size.then_some(8.5),
        item_length: has_size.then_some(12.0),
        item_width: has_size.then_some(6.0),
        item_height: has_size.then_some(2.5),
        is_private: false,
        style: Vec::new(),
        file_data: "",
        has_variations: dice.chance(0.5),
        should_auto_renew: true,
        language: "en-US",
        price: Money {
            amount: listing.price_cents(day),
            divisor: 100,
            currency_code: if dice.chance(0.9) { "USD" } else { dice.pick(&["GBP", "EUR", "CAD"]) },
        },
        taxonomy_id: Some(1_000 + hash(shelf.salt, 42) % 2_000),
        suggested_title: dice.chance(0.1).then(|| title.clone()),
        views: with_views.then(|| views(shelf, listing, day)),
        title,
    }
}

/// Writes a title the way Etsy sends it: with HTML escapes.
fn title(shelf: &Shelf, listing: &Listing) -> String {
    let lead = match (listing.trait_unit(1) * 12.0) as u32 {
        0 => "Mom&#39;s Favorite ",
        1 => "&quot;Love&quot; ",
        2 => "Rustic &amp; Modern ",
        3..6 => "Handmade ",
        6..8 => "Custom ",
        _ => "",
    };
    words::title(listing.salt, lead, &shelf.heading)
}

/// Views are counted once a day, at midnight; the first day has none yet.
fn views(shelf: &Shelf, listing: &Listing, day: f64) -> u64 {
    (listing.share * shelf.demand_between(listing.born, day.floor())) as u64
}

fn renewed_on(listing: &Listing, day: f64) -> f64 {
    listing.born + ((day - listing.born) / RENEWAL_DAYS).floor() * RENEWAL_DAYS
}

fn updated_on(listing: &Listing, day: f64) -> f64 {
    let renewed = renewed_on(listing, day);
    (renewed + listing.trait_unit(2) * 60.0).min(day)
}
