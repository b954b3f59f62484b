//! The items of the pretend eBay, read by their ids: with what has been sold of them.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::browse::{Offer, Search, item_number};
use crate::clock::day_of;
use crate::config::Marketplace;
use crate::ebay::{ErrorEntry, error, the_site};
use crate::exchange::{Answer, Incoming};
use crate::listings::{Listing, Shelf};
use crate::noise::{Dice, hash};
use crate::server::Shared;

/// Sales of a fixed-price listing for every bid that demand stands for.
pub(crate) const SALES_PER_BID: f64 = 0.5;

const ITEMS_MAX: usize = 20;
/// How far behind the known listings of a search an item is still found.
const TAIL_MAX: u32 = 400;
/// What only a search shows of an item, or shows in another shape.
const ONLY_IN_SEARCH: [&str; 5] =
    ["leafCategoryIds", "categories", "itemHref", "availableCoupons", "listingMarketplaceId"];

/// Shows the items that are on offer; the others are named in warnings.
pub(crate) fn answer(shared: &Shared, incoming: &Incoming) -> Result<Answer, Answer> {
    let site = the_site(incoming)?;
    if incoming.parameter("item_group_ids").is_some() {
        return Err(error(
            400,
            11_013,
            "The specified group IDs are invalid, or the format of the specified values are invalid.",
        ));
    }
    let text = incoming.parameter("item_ids").ok_or_else(|| {
        error(400, 11_017, "An item_ids or an item_group_ids list is required. Please use one of these lists.")
    })?;
    let ids: Vec<&str> = text.split(',').map(str::trim).collect();
    if ids.len() > ITEMS_MAX {
        let message = format!(
            "The maximum number of item IDs has been exceeded. Please reduce the number of item IDs to {ITEMS_MAX} or less."
        );
        return Err(error(400, 11_015, &message));
    }
    let numbers: Option<Vec<u64>> = ids.iter().map(|id| item_number_of(id)).collect();
    let numbers = numbers.ok_or_else(|| {
        error(400, 11_012, "The specified item IDs are invalid, or the format of the specified values are invalid.")
    })?;

    let day = day_of(shared.clock.now());
    let found = find(shared, &numbers, day);
    let mut items: Vec<Value> = Vec::new();
    let mut warnings: Vec<ErrorEntry> = Vec::new();
    for number in &numbers {
        match found.iter().find(|(known, _, _)| known == number) {
            Some((_, shelf, offer)) => {
                let base_url = shared.base_url(Marketplace::Ebay);
                let search = Search { shelf, day, site, limit: 1, offset: 0, base_url, incoming };
                items.push(detail(&search, offer));
            }
            None => warnings.push(ErrorEntry::request(11_001, "The specified item ID was not found.")),
        }
    }
    if items.is_empty() {
        return Err(error(404, 11_001, "The specified item ID was not found."));
    }
    let mut answer = json!({ "total": items.len(), "items": items });
    if !warnings.is_empty() {
        answer["warnings"] = json!(warnings);
    }
    Ok(Answer::json(200, &answer))
}

/// Reads the number from an id like `v1|110000000001|0`.
fn item_number_of(id: &str) -> Option<u64> {
    id.strip_prefix("v1|")?.strip_suffix("|0")?.parse().ok()
}

/// Looks for items on all known shelves.
fn find(shared: &Shared, numbers: &[u64], day: f64) -> Vec<(u64, Arc<Shelf>, Offer)> {
    let mut found = Vec::new();
    for shelf in shared.world.known_shelves(Marketplace::Ebay) {
        let mut keep = |listing: &Listing, bids: Option<u32>| {
            let number = item_number(&shelf, listing);
            if numbers.contains(&number) {
                found.push((number, Arc::clone(&shelf), Offer { listing: *listing, bids, score: 0.0 }));
            }
        };
        shelf.alive(day).for_each(|listing| keep(listing, None));
        shelf.auctions(day).iter().for_each(|auction| keep(&auction.listing, Some(auction.bids)));
        (0..TAIL_MAX).for_each(|position| keep(&shelf.tail(position), None));
        if found.len() >= numbers.len() {
            break;
        }
    }
    found
}

/// Shows what the search shows of an item, and the rest.
fn detail(search: &Search<'_>, offer: &Offer) -> Value {
    let mut item = json!(search.summary(offer));
    let category = item["categories"][0].take();
    if let Some(fields) = item.as_object_mut() {
        fields.retain(|name, _| !ONLY_IN_SEARCH.contains(&name.as_str()));
    }
    let listing = &offer.listing;
    let mut dice = Dice::new(hash(listing.salt, 55));
    item["categoryId"] = category["categoryId"].clone();
    item["categoryPath"] = category["categoryName"].clone();
    item["sellerItemRevision"] = json!("0");
    item["eligibleForInlineCheckout"] = json!(offer.bids.is_none());
    item["enabledForGuestCheckout"] = json!(true);
    if let Some(bids) = offer.bids {
        item["uniqueBidderCount"] = json!(bids.div_ceil(2));
    }
    item["estimatedAvailabilities"] = json!([availability(search, offer, &mut dice)]);
    item
}

/// Says what is left and what was sold; a large stock is only hinted at.
fn availability(search: &Search<'_>, offer: &Offer, dice: &mut Dice) -> Value {
    let listing = &offer.listing;
    let sold = if offer.bids.is_some() {
        0
    } else {
        (SALES_PER_BID * listing.share * search.shelf.demand_between(listing.born, search.day)) as u64
    };
    let mut availability = json!({
        "deliveryOptions": ["SHIP_TO_HOME"],
        "estimatedAvailabilityStatus": "IN_STOCK",
        "estimatedSoldQuantity": sold,
    });
    if offer.bids.is_some() {
        availability["estimatedAvailableQuantity"] = json!(1);
    } else if dice.chance(0.4) {
        availability["availabilityThreshold"] = json!(10);
        availability["availabilityThresholdType"] = json!("MORE_THAN");
    } else {
        availability["estimatedAvailableQuantity"] = json!(1 + dice.next() % 10);
    }
    availability
}
