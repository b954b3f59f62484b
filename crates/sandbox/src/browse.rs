//! The result pages of the pretend eBay: which items stand on them, in which order, with which counts.

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use url::form_urlencoded;

use crate::clock::timestamp_of;
use crate::ebay::ErrorEntry;
use crate::exchange::Incoming;
use crate::listings::{Listing, Shelf};
use crate::noise::{Dice, hash, unit};
use crate::refinements::Refinement;
use crate::words;

pub(crate) const CONDITIONS: [(&str, &str); 4] =
    [("New", "1000"), ("Open box", "1500"), ("Seller refurbished", "2500"), ("Used", "3000")];
pub(crate) const CATEGORIES: [(&str, &str); 10] = [
    ("625", "Cameras & Photo"),
    ("888", "Sporting Goods"),
    ("220", "Toys & Hobbies"),
    ("11450", "Clothing, Shoes & Accessories"),
    ("58058", "Computers/Tablets & Networking"),
    ("281", "Jewelry & Watches"),
    ("1", "Collectibles"),
    ("6000", "eBay Motors"),
    ("11700", "Home & Garden"),
    ("293", "Consumer Electronics"),
];
/// Results behind this position cannot be reached.
const REACHABLE_MAX: u64 = 10_000;

/// A search whose parameters have been checked.
pub(crate) struct Search<'a> {
    pub(crate) shelf: &'a Shelf,
    pub(crate) day: f64,
    pub(crate) site: &'a str,
    pub(crate) limit: u64,
    pub(crate) offset: u64,
    pub(crate) base_url: &'a str,
    pub(crate) incoming: &'a Incoming,
}

/// One page of results.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<'a> {
    href: String,
    total: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev: Option<String>,
    limit: u64,
    offset: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    item_summaries: Vec<ItemSummary<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refinement: Option<Refinement>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<ErrorEntry>,
}

/// The kinds of offer a search lets through.
#[derive(Clone, Copy)]
struct Formats {
    fixed_price: bool,
    auction: bool,
    best_offer_only: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Sort {
    BestMatch,
    PriceUp,
    PriceDown,
    NewlyListed,
    EndingSoonest,
}

/// What a search shows besides or instead of items.
#[derive(Clone, Copy, Default)]
pub(crate) struct Groups {
    pub(crate) items: bool,
    pub(crate) categories: bool,
    pub(crate) conditions: bool,
    pub(crate) buying_options: bool,
    pub(crate) aspects: bool,
}

/// A candidate for the page: a listing and, if it is an auction, its bids.
#[derive(Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) listing: Listing,
    pub(crate) bids: Option<u32>,
    pub(crate) score: f64,
}

impl<'a> Search<'a> {
    /// Puts the page together.
    pub(crate) fn answer(&self) -> Page<'a> {
        let mut warnings = Vec::new();
        let formats = self.formats(&mut warnings);
        let sort = self.sort(&mut warnings);
        let groups = self.groups(&mut warnings);

        let fixed_total = self.shelf.total(self.day);
        let mut offers = self.offers(formats);
        let auctions = offers.iter().filter(|offer| offer.bids.is_some()).count() as u64;
        let total = auctions + if formats.fixed_price { fixed_total } else { 0 };
        let total = if formats.best_offer_only { total * 2 / 5 } else { total };
        order(&mut offers, sort, self.day);

        let reachable = total.min(REACHABLE_MAX);
        let end = (self.offset + self.limit).min(reachable);
        let item = |position: u64| match offers.get(position as usize) {
            Some(offer) => self.item(offer, sort),
            None => {
                let listing = self.shelf.tail((position - offers.len() as u64) as u32);
                self.item(&Offer { listing, bids: None, score: 0.0 }, sort)
            }
        };
        let items = if groups.items { (self.offset..end).map(item).collect() } else { Vec::new() };
        let shows_counts = groups.categories || groups.conditions || groups.buying_options || groups.aspects;
        let has_next = self.offset + self.limit < reachable;
        Page {
            href: self.href(self.offset),
            total,
            next: has_next.then(|| self.href(self.offset + self.limit)),
            prev: (self.offset > 0).then(|| self.href(self.offset.saturating_sub(self.limit))),
            limit: self.limit,
            offset: self.offset,
            item_summaries: items,
            refinement: (shows_counts && total > 0).then(|| self.refinement(groups, total, auctions)),
            warnings,
        }
    }

    /// Shows one offer outside a result page.
    pub(crate) fn summary(&self, offer: &Offer) -> ItemSummary<'a> {
        self.item(offer, Sort::NewlyListed)
    }

    /// Reads the buying options; without a choice only offers with a fixed price are found.
    fn formats(&self, warnings: &mut Vec<ErrorEntry>) -> Formats {
        let by_default = Formats { fixed_price: true, auction: false, best_offer_only: false };
        let Some(filter) = self.incoming.parameter("filter") else { return by_default };
        let Some((_, rest)) = filter.split_once("buyingOptions:{") else { return by_default };
        let names: Vec<&str> = rest.split('}').next().unwrap_or_default().split('|').map(str::trim).collect();
        const KNOWN: [&str; 4] = ["FIXED_PRICE", "AUCTION", "BEST_OFFER", "CLASSIFIED_AD"];
        if names.iter().any(|name| !KNOWN.contains(name)) {
            let message =
                "The buyingOptions value is invalid. For the valid values, refer to the API call documentation.";
            warnings.push(ErrorEntry::request(12_002, message));
            return by_default;
        }
        let fixed_price = names.contains(&"FIXED_PRICE");
        let best_offer = names.contains(&"BEST_OFFER");
        Formats {
            fixed_price: fixed_price || best_offer,
            auction: names.contains(&"AUCTION"),
            best_offer_only: best_offer && !fixed_price,
        }
    }

    fn sort(&self, warnings: &mut Vec<ErrorEntry>) -> Sort {
        match self.incoming.parameter("sort") {
            None | Some("bestMatch") => Sort::BestMatch,
            Some("price") => Sort::PriceUp,
            Some("-price") => Sort::PriceDown,
            Some("newlyListed") => Sort::NewlyListed,
            Some("endingSoonest") => Sort::EndingSoonest,
            Some(_) => {
                let message = "The 'sort' value is invalid. For the valid values, refer to the API call documentation.";
                warnings.push(ErrorEntry::request(12_008, message));
                Sort::BestMatch
            }
        }
    }

    /// Reads the field groups; refinements alone show no items.
    fn groups(&self, warnings: &mut Vec<ErrorEntry>) -> Groups {
        let mut groups = Groups::default();
        for name in self.incoming.parameter("fieldgroups").unwrap_or("MATCHING_ITEMS").split(',') {
            match name.trim() {
                "MATCHING_ITEMS" | "EXTENDED" => groups.items = true,
                "CATEGORY_REFINEMENTS" => groups.categories = true,
                "CONDITION_REFINEMENTS" => groups.conditions = true,
                "BUYING_OPTION_REFINEMENTS" => groups.buying_options = true,
                "ASPECT_REFINEMENTS" => groups.aspects = true,
                "FULL" => {
                    groups =
                        Groups { items: true, categories: true, conditions: true, buying_options: true, aspects: true };
                }
                other => {
                    let message = format!(
                        "The 'fieldgroups' value {other} is invalid. For the valid values, refer to the API call reference documentation"
                    );
                    warnings.push(ErrorEntry::request(12_016, message));
                    groups.items = true;
                }
            }
        }
        groups
    }

    /// Collects the known offers of the wanted formats; an auction with a fixed price counts as both.
    fn offers(&self, formats: Formats) -> Vec<Offer> {
        let mut offers = Vec::new();
        if formats.fixed_price {
            offers.extend(
                self.shelf
                    .alive(self.day)
                    .filter(|listing| !formats.best_offer_only || takes_offers(listing))
                    .map(|listing| Offer { listing: *listing, bids: None, score: self.shelf.score(listing, self.day) }),
            );
        }
        for auction in self.shelf.auctions(self.day) {
            let fits = formats.auction
                || (formats.fixed_price && !formats.best_offer_only && can_be_bought_now(&auction.listing));
            if fits {
                offers.push(Offer { listing: auction.listing, bids: Some(auction.bids), score: auction.score });
            }
        }
        offers
    }

    fn href(&self, offset: u64) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let kept = self.incoming.query.iter().filter(|(name, _)| name != "limit" && name != "offset");
        query.extend_pairs(kept);
        query.append_pair("limit", &self.limit.to_string()).append_pair("offset", &offset.to_string());
        format!("{}{}?{}", self.base_url, self.incoming.path, query.finish())
    }
}

fn order(offers: &mut [Offer], sort: Sort, day: f64) {
    let key = |offer: &Offer| match sort {
        Sort::BestMatch => -offer.score,
        Sort::PriceUp => offer.listing.price_cents(day) as f64,
        Sort::PriceDown => -(offer.listing.price_cents(day) as f64),
        Sort::NewlyListed => -offer.listing.born,
        Sort::EndingSoonest => offer.listing.dies,
    };
    offers.sort_by(|a, b| key(a).total_cmp(&key(b)).then(a.listing.salt.cmp(&b.listing.salt)));
}

/// The number in the id of an item.
pub(crate) fn item_number(shelf: &Shelf, listing: &Listing) -> u64 {
    110_000_000_000 + hash(shelf.salt, listing.salt) % 280_000_000_000
}

/// The place of the category in which most listings of a shelf stand.
pub(crate) fn first_category(shelf: &Shelf) -> usize {
    (hash(shelf.salt, 54) % CATEGORIES.len() as u64) as usize
}

fn takes_offers(listing: &Listing) -> bool {
    listing.trait_unit(1) < 0.4
}

fn can_be_bought_now(auction: &Listing) -> bool {
    auction.trait_unit(2) < 0.1
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ItemSummary<'a> {
    item_id: String,
    title: String,
    leaf_category_ids: [&'static str; 1],
    categories: [Category; 1],
    image: Image,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_bid_price: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bid_count: Option<u32>,
    item_href: String,
    seller: Seller,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition_id: Option<&'static str>,
    shipping_options: [ShippingOption; 1],
    buying_options: Vec<&'static str>,
    item_web_url: String,
    item_location: Location,
    adult_only: bool,
    legacy_item_id: String,
    available_coupons: bool,
    item_creation_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_end_date: Option<String>,
    top_rated_buying_experience: bool,
    priority_listing: bool,
    listing_marketplace_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Category {
    category_id: &'static str,
    category_name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    image_url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Amount {
    value: String,
    currency: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    converted_from_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    converted_from_currency: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Seller {
    username: String,
    feedback_percentage: String,
    feedback_score: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShippingOption {
    shipping_cost_type: &'static str,
    shipping_cost: Amount,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    postal_code: &'static str,
    country: &'static str,
}

impl<'a> Search<'a> {
    /// Shows one offer.
    fn item(&self, offer: &Offer, sort: Sort) -> ItemSummary<'a> {
        let listing = &offer.listing;
        let mut dice = Dice::new(hash(listing.salt, 51));
        let legacy_item_id = item_number(self.shelf, listing).to_string();
        let item_id = format!("v1|{legacy_item_id}|0");
        let condition = (!dice.chance(0.03)).then(|| *condition_of(self.shelf, listing));
        let country = if dice.chance(0.88) { "US" } else { dice.pick(&["GB", "CN", "JP", "DE"]) };
        let (category_id, category_name) = *category_of(self.shelf, listing);
        let buys_now = offer.bids.is_none() || can_be_bought_now(listing);
        let price_cents = listing.price_cents(self.day);
        let moment = |day: f64| {
            let moment = DateTime::from_timestamp(timestamp_of(day), 0).unwrap_or_default();
            moment.to_rfc3339_opts(SecondsFormat::Millis, true)
        };
        let mut buying_options = Vec::new();
        if buys_now {
            buying_options.push("FIXED_PRICE");
        }
        if offer.bids.is_none() && takes_offers(listing) {
            buying_options.push("BEST_OFFER");
        }
        if offer.bids.is_some() {
            buying_options.push("AUCTION");
        }
        let bid_price = offer.bids.map(|bids| price_cents as f64 * (0.15 + 0.07 * f64::from(bids)).min(0.95));
        let shipping_cents = if dice.chance(0.5) { 0 } else { 399 + dice.next() % 900 };
        let seller_score = hash(listing.seller, 52);
        ItemSummary {
            title: words::title(listing.salt, "", &self.shelf.heading),
            leaf_category_ids: [category_id],
            categories: [Category { category_id, category_name }],
            image: Image {
                image_url: format!("https://i.ebayimg.com/thumbs/images/g/{:012x}/s-l225.jpg", listing.salt >> 16),
            },
            price: buys_now.then(|| self.amount(price_cents, country)),
            current_bid_price: bid_price.map(|cents| self.amount(cents as u64, country)),
            bid_count: offer.bids,
            item_href: format!("{}/buy/browse/v1/item/v1%7C{legacy_item_id}%7C0", self.base_url),
            seller: Seller {
                username: words::seller(listing.seller).to_lowercase(),
                feedback_percentage: format!("{:.1}", 97.0 + 3.0 * unit(seller_score)),
                feedback_score: (10.0 * (9.0 * unit(hash(seller_score, 1))).exp()) as u64,
            },
            condition: condition.map(|(name, _)| name),
            condition_id: condition.map(|(_, id)| id),
            shipping_options: [ShippingOption {
                shipping_cost_type: "FIXED",
                shipping_cost: self.amount(shipping_cents, "US"),
            }],
            buying_options,
            item_web_url: format!("https://www.ebay.com/itm/{legacy_item_id}"),
            item_location: Location { postal_code: "111**", country },
            adult_only: false,
            available_coupons: false,
            item_creation_date: moment(listing.born),
            item_end_date: offer.bids.map(|_| moment(listing.dies)),
            top_rated_buying_experience: dice.chance(0.3),
            priority_listing: sort == Sort::BestMatch && offer.bids.is_none() && dice.chance(0.08),
            listing_marketplace_id: self.site,
            legacy_item_id,
            item_id,
        }
    }

    /// Writes an amount in the site's currency; offers from elsewhere name the original one too.
    fn amount(&self, cents: u64, country: &str) -> Amount {
        let currency = match self.site {
            "EBAY_US" => "USD",
            "EBAY_GB" => "GBP",
            "EBAY_AU" => "AUD",
            "EBAY_CA" => "CAD",
            _ => "EUR",
        };
        let (original, rate) = match country {
            "GB" => ("GBP", 0.78),
            "CN" => ("CNY", 7.1),
            "JP" => ("JPY", 148.0),
            "DE" => ("EUR", 0.91),
            _ => (currency, 1.0),
        };
        let is_foreign = original != currency;
        Amount {
            value: format!("{:.2}", cents as f64 / 100.0),
            currency,
            converted_from_value: is_foreign.then(|| format!("{:.2}", cents as f64 / 100.0 * rate)),
            converted_from_currency: is_foreign.then_some(original),
        }
    }
}

fn condition_of(shelf: &Shelf, listing: &Listing) -> &'static (&'static str, &'static str) {
    let bias = unit(hash(shelf.salt, 53));
    match listing.trait_unit(3) {
        x if x < 0.2 + 0.6 * bias => &CONDITIONS[0],
        x if x < 0.27 + 0.6 * bias => &CONDITIONS[1],
        x if x < 0.33 + 0.6 * bias => &CONDITIONS[2],
        _ => &CONDITIONS[3],
    }
}

fn category_of(shelf: &Shelf, listing: &Listing) -> &'static (&'static str, &'static str) {
    let first = first_category(shelf);
    let step = match listing.trait_unit(4) {
        x if x < 0.75 => 0,
        x if x < 0.93 => 1,
        _ => 2,
    };
    &CATEGORIES[(first + step) % CATEGORIES.len()]
}
