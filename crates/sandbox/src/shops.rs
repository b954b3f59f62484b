//! The shops of the pretend Etsy: how much their owners have sold and have on offer.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde::Serialize;

use crate::clock::{day_of, timestamp_of};
use crate::config::Marketplace;
use crate::etsy::{error, seller_of, shop_id_of, user_id_of};
use crate::exchange::{Answer, Incoming};
use crate::keywords::keywords;
use crate::listings::{Listing, Shelf};
use crate::noise::{Dice, hash, unit};
use crate::reviews::{REVIEWS_PER_SALE, SALES_PER_VIEW};
use crate::server::Shared;
use crate::words;
use crate::world::World;

/// The listings of every seller on the shelves of the named keywords.
#[derive(Default)]
pub(crate) struct Shops(OnceLock<HashMap<u64, Stock>>);

/// Listings with the shelves they stand on.
type Stock = Vec<(Arc<Shelf>, Listing)>;

impl Shops {
    fn listings_of(&self, world: &World, seller: u64) -> &[(Arc<Shelf>, Listing)] {
        let by_seller = self.0.get_or_init(|| {
            let mut by_seller: HashMap<u64, Stock> = HashMap::new();
            for keyword in keywords(Marketplace::Etsy) {
                let shelf = world.shelf(Marketplace::Etsy, keyword);
                for listing in shelf.listings() {
                    by_seller.entry(listing.seller).or_default().push((Arc::clone(&shelf), *listing));
                }
            }
            by_seller
        });
        by_seller.get(&seller).map_or(&[], Vec::as_slice)
    }
}

/// Reads the shop's number from a path.
pub(crate) fn shop_id(path: &str) -> Option<u64> {
    path.strip_prefix("/v3/application/shops/")?.parse().ok()
}

#[derive(Serialize)]
struct Shop {
    shop_id: u64,
    user_id: u64,
    shop_name: String,
    create_date: i64,
    created_timestamp: i64,
    title: Option<&'static str>,
    announcement: Option<&'static str>,
    currency_code: &'static str,
    is_vacation: bool,
    vacation_message: Option<&'static str>,
    sale_message: Option<&'static str>,
    digital_sale_message: Option<&'static str>,
    update_date: i64,
    updated_timestamp: i64,
    listing_active_count: u64,
    digital_listing_count: u64,
    login_name: String,
    accepts_custom_requests: bool,
    policy_welcome: Option<&'static str>,
    policy_payment: Option<&'static str>,
    policy_shipping: Option<&'static str>,
    policy_refunds: Option<&'static str>,
    policy_additional: Option<&'static str>,
    policy_seller_info: Option<&'static str>,
    policy_update_date: i64,
    policy_has_private_receipt_info: bool,
    has_unstructured_policies: bool,
    policy_privacy: Option<&'static str>,
    vacation_autoreply: Option<&'static str>,
    url: String,
    image_url_760x100: Option<&'static str>,
    num_favorers: u64,
    languages: [&'static str; 1],
    icon_url_fullxfull: Option<&'static str>,
    is_using_structured_policies: bool,
    has_onboarded_structured_policies: bool,
    include_dispute_form_link: bool,
    is_direct_checkout_onboarded: bool,
    is_etsy_payments_onboarded: bool,
    is_calculated_eligible: bool,
    is_opted_in_to_buyer_promise: bool,
    is_shop_us_based: bool,
    transaction_sold_count: u64,
    shipping_from_country_iso: &'static str,
    shop_location_country_iso: &'static str,
    review_count: u64,
    review_average: Option<f64>,
}

/// Shows one shop.
pub(crate) fn answer(shared: &Shared, incoming: &Incoming) -> Answer {
    let Some(seller) = shop_id(&incoming.path).and_then(seller_of) else {
        return error(404, "Resource not found");
    };
    let day = day_of(shared.clock.now());
    let listings = shared.shops.listings_of(&shared.world, seller);
    let mut dice = Dice::new(hash(hash(shared.world.seed(), 61), seller));
    let opened = -dice.between(1_300.0, 3_500.0);
    let sold_elsewhere_per_day = (2.0 * dice.normal() - 2.0).exp();
    let sold_until = |day: f64| {
        let here: f64 = listings.iter().map(|(shelf, listing)| sold(shelf, listing, day)).sum();
        (here + sold_elsewhere_per_day * (day - opened)).max(0.0)
    };
    let sold = sold_until(day) as u64;
    let reviews = (REVIEWS_PER_SALE * (sold_until(day) - sold_until(day - 365.0))) as u64;
    let on_offer = listings.iter().filter(|(_, listing)| listing.is_alive(day)).count() as u64 + dice.next() % 40;
    let is_us_based = dice.chance(0.6);
    let country = if is_us_based { "US" } else { dice.pick(&["GB", "DE", "CA", "TR", "LT"]) };
    let currency = if is_us_based { "USD" } else { dice.pick(&["GBP", "EUR", "CAD", "USD"]) };
    let name = words::seller(seller);
    let (created, updated) = (timestamp_of(opened), timestamp_of(day.floor()));
    let url = format!("https://www.etsy.com/shop/{name}");
    Answer::json(
        200,
        &Shop {
            shop_id: shop_id_of(seller),
            user_id: user_id_of(seller),
            create_date: created,
            created_timestamp: created,
            title: dice.chance(0.8).then_some("Made by hand with love"),
            announcement: None,
            currency_code: currency,
            is_vacation: false,
            vacation_message: None,
            sale_message: None,
            digital_sale_message: None,
            update_date: updated,
            updated_timestamp: updated,
            listing_active_count: on_offer,
            digital_listing_count: on_offer / 12,
            login_name: name.to_lowercase(),
            shop_name: name,
            accepts_custom_requests: dice.chance(0.5),
            policy_welcome: None,
            policy_payment: None,
            policy_shipping: None,
            policy_refunds: None,
            policy_additional: None,
            policy_seller_info: None,
            policy_update_date: created,
            policy_has_private_receipt_info: false,
            has_unstructured_policies: false,
            policy_privacy: None,
            vacation_autoreply: None,
            url,
            image_url_760x100: None,
            num_favorers: sold / 6,
            languages: ["en-US"],
            icon_url_fullxfull: None,
            is_using_structured_policies: true,
            has_onboarded_structured_policies: true,
            include_dispute_form_link: false,
            is_direct_checkout_onboarded: true,
            is_etsy_payments_onboarded: true,
            is_calculated_eligible: is_us_based,
            is_opted_in_to_buyer_promise: false,
            is_shop_us_based: is_us_based,
            transaction_sold_count: sold,
            shipping_from_country_iso: country,
            shop_location_country_iso: country,
            review_count: reviews,
            review_average: (reviews > 0).then(|| ((4.2 + 0.8 * unit(hash(seller, 62))) * 100.0).round() / 100.0),
        },
    )
}

/// How much a listing has sold until a day.
fn sold(shelf: &Shelf, listing: &Listing, day: f64) -> f64 {
    SALES_PER_VIEW * listing.share * shelf.demand_between(listing.born, day.min(listing.dies))
}
