//! The reviews of the pretend Etsy: one for every few sales, at the moment demand brings it.

use serde_json::{Value, json};

use crate::clock::{day_of, timestamp_of};
use crate::etsy::{error, find_listing, number, shop_id_of};
use crate::exchange::{Answer, Incoming};
use crate::listings::{Listing, Shelf};
use crate::noise::{Dice, hash};
use crate::server::Shared;

/// Sales for every view of a listing.
pub(crate) const SALES_PER_VIEW: f64 = 0.03;
/// Reviews for every sale.
pub(crate) const REVIEWS_PER_SALE: f64 = 0.25;

const LIMIT_MAX: u64 = 100;
/// The earliest moment the contract knows: the first second of 2000.
const CREATED_MIN: u64 = 946_684_800;

/// Reads the listing's number from a path.
pub(crate) fn listing_id(path: &str) -> Option<u64> {
    path.strip_prefix("/v3/application/listings/")?.strip_suffix("/reviews")?.parse().ok()
}

/// Shows a page of the reviews of one listing, the newest first.
pub(crate) fn answer(shared: &Shared, incoming: &Incoming) -> Answer {
    page(shared, incoming).unwrap_or_else(|message| error(400, &message))
}

fn page(shared: &Shared, incoming: &Incoming) -> Result<Answer, String> {
    let limit = number(incoming, "limit", 25)?;
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(format!("limit must be between 1 and {LIMIT_MAX}."));
    }
    let offset = number(incoming, "offset", 0)?;
    let (min_created, max_created) =
        (number(incoming, "min_created", CREATED_MIN)?, number(incoming, "max_created", i64::MAX as u64)?);
    if min_created < CREATED_MIN || max_created < CREATED_MIN {
        return Err(format!("min_created and max_created must be at least {CREATED_MIN}."));
    }
    let day = day_of(shared.clock.now());
    let id = listing_id(&incoming.path).unwrap_or_default();
    let Some((shelf, listing)) = find_listing(shared, id).filter(|(_, listing)| listing.born <= day) else {
        return Ok(error(404, "Resource not found"));
    };
    let mut written: Vec<(u64, i64)> = moments(&shelf, &listing, day)
        .into_iter()
        .zip(0..)
        .map(|(moment, number)| (number, moment))
        .filter(|(_, moment)| (min_created..=max_created).contains(&(*moment as u64)))
        .collect();
    written.reverse();
    let on_page = written.iter().skip(offset as usize).take(limit as usize);
    let results: Vec<Value> = on_page.map(|(number, moment)| review(&listing, id, *number, *moment)).collect();
    Ok(Answer::json(200, &json!({ "count": written.len(), "results": results })))
}

/// The moments at which the reviews until a day were written, the oldest first.
fn moments(shelf: &Shelf, listing: &Listing, day: f64) -> Vec<i64> {
    let views_per_review = 1.0 / (SALES_PER_VIEW * REVIEWS_PER_SALE);
    let end = day.min(listing.dies);
    let count = (listing.share * shelf.demand_between(listing.born, end) / views_per_review) as u64;
    (1..=count)
        .filter_map(|number| shelf.day_of_demand(listing.born, number as f64 * views_per_review / listing.share))
        .map(|written_on| timestamp_of(written_on.min(end)))
        .collect()
}

fn review(listing: &Listing, listing_id: u64, number: u64, moment: i64) -> Value {
    const TEXTS: [&str; 5] =
        ["Beautiful, exactly as shown.", "Fast delivery &amp; lovely packing.", "My sister loves it!", "Okay.", ""];
    let mut dice = Dice::new(hash(hash(listing.salt, 63), number));
    let rating = dice.pick(&[5, 5, 5, 5, 5, 5, 4, 4, 3, 1]);
    let text = dice.pick(&TEXTS);
    json!({
        "shop_id": shop_id_of(listing.seller),
        "listing_id": listing_id,
        "rating": rating,
        "review": text,
        "language": "en-US",
        "image_url_fullxfull": null,
        "create_timestamp": moment,
        "created_timestamp": moment,
        "update_timestamp": moment,
        "updated_timestamp": moment,
    })
}
