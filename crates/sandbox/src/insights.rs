//! The pretend eBay's Marketplace Insights: what was sold in the last 90 days.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::browse::{CATEGORIES, Offer, Search, first_category};
use crate::clock::{day_of, timestamp_of};
use crate::config::Marketplace;
use crate::ebay::{domain_error, the_site, the_window};
use crate::exchange::{Answer, Incoming};
use crate::items::SALES_PER_BID;
use crate::listings::{Listing, Shelf};
use crate::server::Shared;

const DAYS: f64 = 90.0;
const CATEGORIES_MAX: usize = 4;
/// What a search shows of an item and a sale does not.
const NOT_IN_SALES: [&str; 13] = [
    "leafCategoryIds",
    "categories",
    "price",
    "currentBidPrice",
    "shippingOptions",
    "legacyItemId",
    "availableCoupons",
    "itemCreationDate",
    "itemEndDate",
    "topRatedBuyingExperience",
    "priorityListing",
    "listingMarketplaceId",
    "bidCount",
];

/// Searches sold items. In the search text a comma means and, a space means or: the reverse of Browse.
pub(crate) fn answer(shared: &Shared, incoming: &Incoming) -> Result<Answer, Answer> {
    let site = the_site(incoming)?;
    let (limit, offset) = the_window(incoming)?;
    let query = incoming.parameter("q").ok_or_else(|| {
        error(100_001, "The call must have a valid 'q', 'category_ids', 'epid' or 'gtin' query parameter.")
    })?;
    let categories = incoming.parameter("category_ids").unwrap_or_default();
    if categories.is_empty() {
        return Err(error(100_018, "This query requires at least one category."));
    }
    if categories.split(',').count() > CATEGORIES_MAX {
        let message =
            format!("You have exceeded the maximum number of categories. The maximum number is {CATEGORIES_MAX}.");
        return Err(error(100_019, &message));
    }
    let day = day_of(shared.clock.now());
    let shelf = |part: &str| shared.world.searched_shelf(Marketplace::Ebay, &part.replace(',', " "), incoming);
    let shelves: Vec<Arc<Shelf>> = query.split_whitespace().map(shelf).collect();
    let mut sales: Vec<(&Shelf, &Listing, u64)> = Vec::new();
    for shelf in shelves.iter().filter(|shelf| shelf.has_results()) {
        let sold = |listing: &Listing| {
            let demand = shelf.demand_between(listing.born.max(day - DAYS), day.min(listing.dies));
            (SALES_PER_BID * listing.share * demand) as u64
        };
        let with_sales = shelf.listings().iter().map(|listing| (shelf.as_ref(), listing, sold(listing)));
        sales.extend(with_sales.filter(|(_, _, sold)| *sold > 0));
    }
    sales.sort_by(|a, b| b.2.cmp(&a.2).then(a.1.salt.cmp(&b.1.salt)));

    let total = sales.len() as u64;
    let base_url = shared.base_url(Marketplace::Ebay);
    let on_page = sales.iter().skip(offset as usize).take(limit as usize);
    let items: Vec<Value> = on_page
        .map(|(shelf, listing, sold)| {
            let search = Search { shelf, day, site, limit, offset, base_url, incoming };
            sale(&search, listing, *sold)
        })
        .collect();
    let href = |offset: u64| {
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(incoming.query.iter().filter(|(name, _)| name != "limit" && name != "offset"));
        text.append_pair("limit", &limit.to_string()).append_pair("offset", &offset.to_string());
        format!("{base_url}{}?{}", incoming.path, text.finish())
    };
    let mut page = json!({ "href": href(offset), "total": total, "limit": limit, "offset": offset });
    if !items.is_empty() {
        page["itemSales"] = json!(items);
    }
    if offset + limit < total {
        page["next"] = json!(href(offset + limit));
    }
    if offset > 0 {
        page["prev"] = json!(href(offset.saturating_sub(limit)));
    }
    Ok(Answer::json(200, &page))
}

/// Shows a listing by what was sold of it.
fn sale(search: &Search<'_>, listing: &Listing, sold: u64) -> Value {
    let offer = Offer { listing: *listing, bids: None, score: 0.0 };
    let mut item = json!(search.summary(&offer));
    let price = item["price"].take();
    if let Some(fields) = item.as_object_mut() {
        fields.retain(|name, _| !NOT_IN_SALES.contains(&name.as_str()));
    }
    let from = listing.born.max(search.day - DAYS);
    let last_sold = search.shelf.day_of_demand(from, sold as f64 / (SALES_PER_BID * listing.share));
    let last_sold = DateTime::from_timestamp(timestamp_of(last_sold.unwrap_or(from)), 0).unwrap_or_default();
    item["categories"] = json!([{ "categoryId": CATEGORIES[first_category(search.shelf)].0 }]);
    item["lastSoldDate"] = json!(last_sold.to_rfc3339_opts(SecondsFormat::Millis, true));
    item["lastSoldPrice"] = price;
    item["totalSoldQuantity"] = json!(sold);
    item
}

fn error(error_id: i64, message: &str) -> Answer {
    domain_error("API_MARKETPLACE_INSIGHTS", 400, error_id, message)
}
