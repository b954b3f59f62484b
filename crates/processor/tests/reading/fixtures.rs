//! Answers made by hand in the shape of the contracts, each with the traps that marketplaces set.
//!
//! Every fixture is read by the test `every_fixture_is_read_as_its_snapshot_shows` (whole reading) and by
//! `every_fixture_says_what_was_read` (a second reader finds the same); all are where fuzzing begins.
//!
//! | trap | fixture |
//! | --- | --- |
//! | HTML escapes, also twice escaped; blank titles | `etsy/listing_search`, `ebay/item_search`, `amazon/catalog_search` |
//! | two creation times, of which the original counts; a time of 1970 | `etsy/listing_search` |
//! | money as amount and divisor, also 1 and 1000; a divisor that is no power of ten; a negative amount | `etsy/listing_search` |
//! | prices in several currencies | `etsy/listing_search`, `ebay/item_search`, `amazon/competitive_pricing` |
//! | a listing number beyond what floats hold; `listing_type` as a number | `etsy/listing_search` |
//! | unknown fields anywhere | `etsy/listing_search`, `amazon/catalog_search`, `amazon/search_terms_report` |
//! | nothing found is a true zero | `etsy/listing_search_nothing`, `ebay/item_search_nothing`, `ebay/item_sales_nothing` |
//! | an error, or a page for people, with status 200 | `etsy/listing_search_error`, `ebay/item_search_error`, `amazon/html` |
//! | views of 0 of a new listing, which nobody counted yet; negative views | `etsy/listing_batch` |
//! | a shop without reviews has no average | `etsy/shop_without_reviews` |
//! | reviews of another listing, stars beyond five, texts of people | `etsy/listing_reviews_broken` |
//! | numbers as strings, and where strings must be, numbers; a comma for a point | `ebay/item_search` |
//! | auctions without price, with bids; auctions with both prices | `ebay/item_search`, `ebay/item_details` |
//! | converted prices, of which the converted one counts | `ebay/item_search` |
//! | no condition, no seller, no dates | `ebay/item_search` |
//! | the same item twice, once promoted | `ebay/item_search` |
//! | warnings with status 200 | `ebay/item_search`, `ebay/item_details` |
//! | `itemSummaries` absent, though there are results | `ebay/item_search_without_items` |
//! | brand counts that cannot be read, in another language | `ebay/item_search_broken_counts`, `amazon/catalog_search_broken_counts` |
//! | items that are gone | `ebay/item_details`, `ebay/item_details_gone`, `amazon/competitive_pricing` |
//! | sold counts that are not told, or are no numbers | `ebay/item_details`, `ebay/item_sales` |
//! | no content | `ebay/category_suggestions_none` |
//! | bids of other match types, as no number, too high, of zero, absent | `ebay/suggested_bids`, `amazon/keyword_bids` |
//! | bids that may be in cents | `amazon/keyword_bids_in_cents` |
//! | pagination absent; empty and missing sales ranks and summaries; a rank of 0 | `amazon/catalog_search` |
//! | a byte order mark | `amazon/catalog_search_marked` |
//! | a search term split over three rows, between others; two departments; curly apostrophes | `amazon/search_terms_report` |
//! | a pretty-printed report; a packed one; one that begins with its rows | `amazon/search_terms_report`, `amazon/search_terms_report_packed`, `amazon/search_terms_report_of_departments` |
//! | shares that exceed the whole | `amazon/search_terms_report_of_departments` |
//! | a packed report that is cut off | `amazon/search_terms_report_cut_off` |
//! | reports that are empty, cancelled, fatal or of another period | `amazon/search_terms_report_empty`, `amazon/report_cancelled`, `amazon/report_fatal`, `amazon/search_terms_report_of_a_day` |
//! | a price of zero where nothing was clicked | `amazon/search_query_report` |

use std::io::Write;

use digitallz_common::marketplace::Resource;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::question::Question;

/// An answer made by hand, and the question that it answers.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// Its name, and that of its snapshot.
    pub name: &'static str,
    /// What was asked.
    pub question: Question,
    /// What came.
    pub body: Vec<u8>,
}

macro_rules! fixture {
    ($name:literal, $question:expr) => {
        Fixture {
            name: $name,
            question: $question,
            body: include_bytes!(concat!("fixtures/", $name, ".json")).to_vec(),
        }
    };
}

/// Returns all fixtures.
pub fn all() -> Vec<Fixture> {
    use Resource::*;
    let mut all = vec![
        fixture!("etsy/listing_search", Question::of(ListingSearch)),
        fixture!("etsy/listing_search_nothing", Question::of(ListingSearch)),
        fixture!("etsy/listing_search_later_page", Question::of(ListingSearch).with("offset=100").page(2)),
        fixture!("etsy/listing_search_error", Question::of(ListingSearch)),
        fixture!("etsy/listing_batch", Question::of(ListingBatch)),
        fixture!("etsy/shop", Question::of(Shop)),
        fixture!("etsy/shop_without_reviews", Question::of(Shop)),
        fixture!("etsy/listing_reviews", Question::of(ListingReviews)),
        fixture!("etsy/listing_reviews_broken", Question::of(ListingReviews)),
        fixture!("ebay/item_search", Question::of(ItemSearch)),
        fixture!("ebay/item_search_nothing", Question::of(ItemSearch)),
        fixture!("ebay/item_search_without_items", Question::of(ItemSearch)),
        fixture!("ebay/item_search_error", Question::of(ItemSearch)),
        fixture!("ebay/item_search_broken_counts", Question::of(ItemSearch).with("sort=price")),
        fixture!("ebay/item_details", Question::of(ItemDetails)),
        fixture!("ebay/item_details_gone", Question::of(ItemDetails)),
        fixture!("ebay/category_suggestions", Question::of(CategorySuggestions)),
        fixture!("ebay/item_sales", Question::of(ItemSales)),
        fixture!("ebay/item_sales_nothing", Question::of(ItemSales)),
        fixture!("ebay/suggested_bids", Question::of(SuggestedBids)),
        fixture!("amazon/catalog_search", Question::of(CatalogSearch)),
        fixture!("amazon/catalog_search_broken_counts", Question::of(CatalogSearch)),
        fixture!("amazon/competitive_pricing", Question::of(CompetitivePricing)),
        fixture!("amazon/search_terms_report", Question::of(SearchTermsReport)),
        fixture!("amazon/search_terms_report_of_departments", Question::of(SearchTermsReport)),
        fixture!("amazon/search_terms_report_empty", Question::of(SearchTermsReport)),
        fixture!("amazon/search_terms_report_of_a_day", Question::of(SearchTermsReport)),
        fixture!("amazon/report_cancelled", Question::of(SearchTermsReport)),
        fixture!("amazon/report_fatal", Question::of(SearchQueryReport)),
        fixture!("amazon/search_query_report", Question::of(SearchQueryReport)),
        fixture!("amazon/keyword_bids", Question::of(KeywordBids)),
        fixture!("amazon/keyword_bids_in_cents", Question::of(KeywordBids)),
    ];
    let report = include_bytes!("fixtures/amazon/search_terms_report.json");
    let packed = packed(report);
    let half = packed[..packed.len() / 2].to_vec();
    let catalog = include_bytes!("fixtures/amazon/catalog_search.json");
    let marked = [b"\xef\xbb\xbf".as_slice(), catalog].concat();
    let nothing = Question { status_code: 204, ..Question::of(CategorySuggestions) };
    let html = include_bytes!("fixtures/html.html").to_vec();
    all.extend([
        Fixture { name: "amazon/search_terms_report_packed", question: Question::of(SearchTermsReport), body: packed },
        Fixture { name: "amazon/search_terms_report_cut_off", question: Question::of(SearchTermsReport), body: half },
        Fixture { name: "amazon/catalog_search_marked", question: Question::of(CatalogSearch), body: marked },
        Fixture { name: "amazon/html", question: Question::of(CatalogSearch), body: html },
        Fixture { name: "ebay/category_suggestions_none", question: nothing, body: Vec::new() },
    ]);
    all
}

/// Packs a text as marketplaces pack reports.
pub fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}
