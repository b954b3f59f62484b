//! Etsy's JSON, named as Etsy names it. Fields that nobody reads are left out; unknown ones are tolerated.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::guard::Row;
use crate::rows::Named;

/// `ShopListings`, `ShopListingsWithAssociations`.
#[derive(Deserialize)]
pub(super) struct ShopListings<'a> {
    pub(super) count: u64,
    #[serde(borrow)]
    pub(super) results: Vec<&'a RawValue>,
}

/// `ShopListing`, and of `ShopListingWithAssociations` the views.
#[derive(Deserialize)]
pub(super) struct ShopListing {
    pub(super) listing_id: u64,
    pub(super) shop_id: Option<u64>,
    pub(super) title: Option<String>,
    pub(super) url: Option<String>,
    pub(super) original_creation_timestamp: Option<i64>,
    pub(super) creation_timestamp: Option<i64>,
    pub(super) created_timestamp: Option<i64>,
    pub(super) num_favorers: Option<u64>,
    pub(super) price: Option<Named<Money>>,
    pub(super) views: Option<u64>,
}

impl Row<'_> for ShopListing {
    // Without one of these times another would take its place, and without all of them a zero of views would be believed.
    const TELLING: &'static [&'static str] =
        &["/original_creation_timestamp", "/creation_timestamp", "/created_timestamp"];
}

/// `Money`: the value is `amount / divisor`.
#[derive(Deserialize)]
pub(super) struct Money {
    pub(super) amount: u64,
    pub(super) divisor: u64,
    pub(super) currency_code: String,
}

/// `Shop`; its texts and its owner are not read.
#[derive(Deserialize)]
pub(super) struct Shop {
    pub(super) shop_id: u64,
    pub(super) transaction_sold_count: Option<u64>,
    pub(super) listing_active_count: Option<u64>,
    pub(super) review_count: Option<u64>,
    pub(super) review_average: Option<f64>,
    pub(super) num_favorers: Option<u64>,
}

impl Row<'_> for Shop {}

/// `ListingReviews`.
#[derive(Deserialize)]
pub(super) struct ListingReviews<'a> {
    pub(super) count: u64,
    #[serde(borrow)]
    pub(super) results: Vec<&'a RawValue>,
}

/// `ListingReview`; what people wrote is not read.
#[derive(Deserialize)]
pub(super) struct ListingReview {
    pub(super) listing_id: Option<u64>,
    pub(super) rating: Option<u64>,
    pub(super) create_timestamp: Option<i64>,
    pub(super) created_timestamp: Option<i64>,
}

impl Row<'_> for ListingReview {
    const IS_PERSONAL: bool = true;
}
