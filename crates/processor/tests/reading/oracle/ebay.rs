//! eBay's answers by the contract.

use chrono::{DateTime, NaiveDate, Utc};
use digitallz_common::observation::{Metric, Period};
use digitallz_processor::reading::{CategoryReading, ListingReading, Price};

use super::Facts;
use super::page::{Page, amount, concentration, identifier, optional, price, text};
use crate::json::{Broken, Json, Read};
use crate::question::Question;

pub(super) fn search(question: &Question, json: &Json) -> Read<Facts> {
    json.required("href")?.text()?;
    json.required("limit")?.unsigned()?;
    let total = json.required("total")?.count()?;
    let offset = json.required("offset")?.unsigned()?;
    let summaries = json.field("itemSummaries")?.map(Json::list).transpose()?;
    if offset == 0 && total > 0 && summaries.is_none() {
        return Err(Broken);
    }
    let mut page = Page::read(question, summaries.unwrap_or_default(), "/itemSummaries", |row| summary(row).map(Some));
    let brands = match json.field("refinement")?.map(brand_counts) {
        None => None,
        Some(Ok(counts)) => concentration(counts.into_iter()),
        Some(Err(Broken)) => {
            page.facts.quarantined.push("/refinement".to_owned());
            None
        }
    };
    if offset == 0 {
        let asks_for_auctions = question.url.contains("AUCTION");
        let of_no_auction = asks_for_auctions.then_some(0.0);
        page.say(Metric::ResultCount, Some(total as f64));
        page.say_sellers(|listing| listing.seller.as_ref());
        page.say(Metric::BrandConcentration, brands);
        page.say_prices([Metric::PriceLowerQuartile, Metric::PriceMedian, Metric::PriceUpperQuartile].map(Some));
        page.say_new_listings();
        page.say(Metric::SellerFeedbackMedian, feedback_median(&page));
        page.say_titles();
        let promoted = page.listings.iter().filter(|(_, listing)| listing.is_promoted == Some(true)).count();
        let is_marked = !page.listings.is_empty() && !question.url.contains("sort=");
        page.say(Metric::PromotedShare, is_marked.then(|| promoted as f64 / page.listings.len() as f64));
        page.say(Metric::AuctionBids, page.sum(|listing| listing.bid_count, of_no_auction));
        page.say(Metric::AuctionCount, page.sum(|listing| listing.bid_count.map(|_| 1), of_no_auction));
    }
    page.with_positions(offset)
}

/// Counts each seller once, as it first tells its score.
fn feedback_median(page: &Page<'_>) -> Option<f64> {
    let mut seen = Vec::new();
    let mut scores = Vec::new();
    for (_, listing) in &page.listings {
        if let Some(score) = listing.seller_feedback_score
            && !listing.seller.as_ref().is_some_and(|seller| seen.contains(seller))
        {
            seen.extend(listing.seller.clone());
            scores.push(score);
        }
    }
    scores.sort_unstable();
    let (lower, upper) = (scores.get(scores.len().checked_sub(1)? / 2)?, scores.get(scores.len() / 2)?);
    Some((lower + upper) as f64 / 2.0)
}

fn brand_counts(refinement: &Json) -> Read<Vec<u64>> {
    let mut counts = Vec::new();
    for aspect in refinement.field("aspectDistributions")?.map(Json::list).transpose()?.unwrap_or_default() {
        let name = aspect.required("localizedAspectName")?.text()?;
        for value in aspect.required("aspectValueDistributions")?.list()? {
            let count = value.required("matchCount")?;
            count.unsigned()?;
            if ["Brand", "Marke", "Marque", "Marca", "Merk", "Marka"].contains(&name) {
                counts.push(count.count()? as u64);
            }
        }
    }
    Ok(counts)
}

fn summary(row: &Json) -> Read<ListingReading> {
    let is_promoted = optional(row.field("priorityListing")?, Json::bool)? == Some(true);
    Ok(ListingReading { is_promoted: Some(is_promoted), ..offer(row)? })
}

/// Reads what a summary and an item have in common.
fn offer(row: &Json) -> Read<ListingReading> {
    let mut is_auction = false;
    for option in row.field("buyingOptions")?.map(Json::list).transpose()?.unwrap_or_default() {
        is_auction |= option.text()? == "AUCTION";
    }
    let fixed = row.field("price")?.map(money).transpose()?;
    let bid = row.field("currentBidPrice")?.map(money).transpose()?.filter(|_| is_auction);
    let bid_count = optional(row.field("bidCount")?, Json::count)?.unwrap_or(0);
    let (mut seller, mut score) = (None, None);
    if let Some(json) = row.field("seller")? {
        seller = text(json.field("username")?)?;
        score = optional(json.field("feedbackScore")?, Json::signed)?;
    }
    if score.is_some_and(|score| !(-1_000_000_000..=1_000_000_000).contains(&score)) {
        return Err(Broken);
    }
    let origin = row.field("itemOriginDate")?.map(Json::text).transpose()?;
    let creation = row.field("itemCreationDate")?.map(Json::text).transpose()?;
    Ok(ListingReading {
        marketplace_listing_id: identifier(row.required("itemId")?)?,
        title: text(row.field("title")?)?,
        seller,
        listing_url: text(row.field("itemWebUrl")?)?,
        listed_at: origin.or(creation).map(moment).transpose()?,
        price: bid.or(fixed).map(|(value, currency)| price(amount(value)?, currency)).transpose()?,
        bid_count: is_auction.then_some(bid_count),
        seller_feedback_score: score,
        ..ListingReading::default()
    })
}

/// Returns the texts of a price, whatever they say.
fn money(json: &Json) -> Read<(&str, &Json)> {
    let currency = json.required("currency")?;
    currency.text()?;
    Ok((json.required("value")?.text()?, currency))
}

fn moment(text: &str) -> Read<DateTime<Utc>> {
    let moment = DateTime::parse_from_rfc3339(text).map_err(|_| Broken)?;
    let date = text.get(..10).ok_or(Broken)?;
    NaiveDate::parse_from_str(date, "%Y-%m-%d").map_err(|_| Broken)?;
    Ok(moment.with_timezone(&Utc))
}

pub(super) fn items(question: &Question, json: &Json) -> Read<Facts> {
    let items = json.field("items")?.map(Json::list).transpose()?;
    let warnings = json.field("warnings")?.map(Json::list).transpose()?.unwrap_or_default();
    if items.is_none() && warnings.is_empty() {
        return Err(Broken);
    }
    let mut page = Page::read(question, items.unwrap_or_default(), "/items", |row| item(row).map(Some));
    let asked = question.url.split_once("item_ids=").map(|(_, ids)| ids.split("%2C").count());
    page.facts.missing_row_count = asked.map_or(warnings.len(), |asked| asked.saturating_sub(page.facts.row_count));
    if question.page_number == 1 {
        page.say(Metric::SoldCountTotal, page.sum(|listing| listing.sold_count, None));
        page.say(Metric::SoldCountListings, page.sum(|listing| listing.sold_count.map(|_| 1), Some(0.0)));
        page.say(Metric::IncumbentReviewMedian, page.median(|listing| listing.review_count, usize::MAX));
    }
    Ok(page.without_positions())
}

fn item(row: &Json) -> Read<ListingReading> {
    let (mut sold, mut available) = (Vec::new(), Vec::new());
    for availability in row.field("estimatedAvailabilities")?.map(Json::list).transpose()?.unwrap_or_default() {
        sold.extend(optional(availability.field("estimatedSoldQuantity")?, Json::unsigned)?);
        available.extend(optional(availability.field("estimatedAvailableQuantity")?, Json::unsigned)?);
    }
    let most = |quantities: Vec<u64>| match quantities.into_iter().max() {
        Some(most) if most > 1_000_000_000_000 => Err(Broken),
        most => Ok(most.map(|most| most as i64)),
    };
    let reviews =
        row.field("primaryProductReviewRating")?.map(|rating| rating.field("reviewCount")).transpose()?.flatten();
    Ok(ListingReading {
        sold_count: most(sold)?,
        available_count: most(available)?,
        watch_count: optional(row.field("watchCount")?, Json::count)?,
        review_count: optional(reviews, Json::count)?,
        ..offer(row)?
    })
}

pub(super) fn categories(json: &Json) -> Read<Facts> {
    let rows = json.required("categorySuggestions")?.list()?;
    let mut facts = Facts { row_count: rows.len(), ..Facts::default() };
    for (index, row) in rows.iter().take(100).enumerate() {
        let category = || {
            let category = row.required("category")?;
            Ok(CategoryReading {
                relevancy_rank: index as i32 + 1,
                category_id: identifier(category.required("categoryId")?)?,
                category_name: text(category.field("categoryName")?)?,
            })
        };
        match category() {
            Ok(category) => facts.categories.push(category),
            Err(Broken) => facts.quarantined.push(format!("/categorySuggestions/{index}")),
        }
    }
    Ok(facts)
}

pub(super) fn sales(question: &Question, json: &Json) -> Read<Facts> {
    let total = json.required("total")?.count()?;
    let offset = optional(json.field("offset")?, Json::unsigned)?.unwrap_or(0);
    let rows = json.field("itemSales")?.map(Json::list).transpose()?;
    if offset == 0 && total > 0 && rows.is_none() {
        return Err(Broken);
    }
    let mut page = Page::read(question, rows.unwrap_or_default(), "/itemSales", |row| sale(row).map(Some));
    page.period = Period::Trailing90Days(question.fetched_at);
    if offset == 0 {
        page.say(Metric::SoldListingCount, Some(total as f64));
        let of_none = (page.facts.row_count == 0).then_some(0.0);
        page.say(Metric::SoldQuantity90d, page.sum(|listing| listing.sold_count, of_none));
        page.say_prices([None, Some(Metric::SoldPriceMedian), None]);
    }
    page.listings.clear();
    Ok(page.without_positions())
}

fn sale(row: &Json) -> Read<ListingReading> {
    let last: Option<Price> = row
        .field("lastSoldPrice")?
        .map(|json| money(json).and_then(|(value, currency)| price(amount(value)?, currency)))
        .transpose()?;
    Ok(ListingReading {
        marketplace_listing_id: identifier(row.required("itemId")?)?,
        price: last,
        sold_count: optional(row.field("totalSoldQuantity")?, Json::count)?,
        ..ListingReading::default()
    })
}
