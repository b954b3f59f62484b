//! Etsy's answers by the contract.

use chrono::{DateTime, TimeDelta, Utc};
use digitallz_common::marketplace::Resource;
use digitallz_common::observation::Metric;
use digitallz_processor::reading::{ListingReading, Price, SellerReading};
use rust_decimal::Decimal;

use super::Facts;
use super::page::{Page, optional, price, text};
use crate::json::{Broken, Json, Read};
use crate::question::Question;

pub(super) fn listings(question: &Question, json: &Json) -> Read<Facts> {
    let count = json.required("count")?;
    let rows = json.required("results")?.list()?;
    count.unsigned()?;
    let mut page = Page::read(question, rows, "/results", |row| listing(question, row).map(Some));
    if question.resource == Resource::ListingBatch {
        if question.page_number == 1 {
            page.say(Metric::ListingViewsTotal, page.sum(|listing| listing.view_count, None));
        }
        return Ok(page.without_positions());
    }
    let result_count = count.count()?;
    let offset = question.url.split_once("offset=").map_or(0, |(_, offset)| offset.parse().expect("an offset"));
    if offset == 0 {
        page.say(Metric::ResultCount, Some(result_count as f64));
        page.say_sellers(|listing| listing.seller.as_ref());
        page.say_prices([Metric::PriceLowerQuartile, Metric::PriceMedian, Metric::PriceUpperQuartile].map(Some));
        page.say(Metric::FavoriteMedian, page.median(|listing| listing.favorite_count, usize::MAX));
        page.say(Metric::IncumbentFavoriteMedian, page.median(|listing| listing.favorite_count, 10));
        page.say_new_listings();
        page.say_titles();
    }
    page.with_positions(offset)
}

fn listing(question: &Question, row: &Json) -> Read<ListingReading> {
    let listing_id = row.required("listing_id")?.signed()?;
    let shop_id = optional(row.field("shop_id")?, Json::unsigned)?;
    // The first that is told counts, but all must be times or absent.
    let mut told = Vec::new();
    for name in ["original_creation_timestamp", "creation_timestamp", "created_timestamp"] {
        told.extend(optional(row.field(name)?, Json::signed)?);
    }
    let listed_at = told.first().map(|seconds| moment(*seconds)).transpose()?;
    let views = optional(row.field("views")?, Json::count)?;
    let is_new = listed_at.is_some_and(|listed_at| question.fetched_at - listed_at < TimeDelta::days(1));
    if listing_id <= 0 {
        return Err(Broken);
    }
    Ok(ListingReading {
        marketplace_listing_id: listing_id.to_string(),
        title: text(row.field("title")?)?,
        seller: shop_id.map(|shop_id| shop_id.to_string()),
        listing_url: text(row.field("url")?)?,
        listed_at,
        price: row.field("price")?.map(money).transpose()?,
        view_count: if is_new && views == Some(0) { None } else { views },
        favorite_count: optional(row.field("num_favorers")?, Json::count)?,
        ..ListingReading::default()
    })
}

fn money(json: &Json) -> Read<Price> {
    let amount = json.required("amount")?.count()?;
    let divisor = json.required("divisor")?.unsigned()?;
    let places = (0..20).find(|places| 10_u64.pow(*places) == divisor).ok_or(Broken)?;
    price(Decimal::new(amount, places), json.required("currency_code")?)
}

fn moment(seconds: i64) -> Read<DateTime<Utc>> {
    let moment = DateTime::from_timestamp(seconds, 0).ok_or(Broken)?;
    let is_believed = ("2000-01-01".."2100-01-01").contains(&moment.format("%Y-%m-%d").to_string().as_str());
    if is_believed && seconds > 0 { Ok(moment) } else { Err(Broken) }
}

pub(super) fn shop(json: &Json) -> Read<Facts> {
    let shop_id = json.required("shop_id")?.signed()?;
    let stars = optional(json.field("review_average")?, Json::fraction)?;
    if shop_id <= 0 || stars.is_some_and(|stars| !(0.0..=5.0).contains(&stars)) {
        return Err(Broken);
    }
    let seller = SellerReading {
        seller: shop_id.to_string(),
        sold_count: optional(json.field("transaction_sold_count")?, Json::count)?,
        active_listing_count: optional(json.field("listing_active_count")?, Json::count)?,
        review_count: optional(json.field("review_count")?, Json::count)?,
        review_average: stars,
        favorite_count: optional(json.field("num_favorers")?, Json::count)?,
    };
    Ok(Facts { sellers: vec![seller], row_count: 1, ..Facts::default() })
}

/// Reads the reviews of the listing 77, whenever they were written.
pub(super) fn reviews(question: &Question, json: &Json) -> Read<Facts> {
    let count = json.required("count")?.count()?;
    let rows = json.required("results")?.list()?;
    let mut facts = Facts { row_count: rows.len(), ..Facts::default() };
    let mut reviews = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        match review(row) {
            Ok(review) => reviews.push(review),
            Err(Broken) => facts.quarantined.push(format!("/results/{index}")),
        }
    }
    let recent_from = question.fetched_at - TimeDelta::days(28);
    let is_newest_first = reviews.windows(2).all(|pair| pair[0].0 >= pair[1].0);
    let reaches_back = reviews.last().is_some_and(|(oldest, _)| *oldest < recent_from);
    let is_known = reviews.len() as i64 == count || (is_newest_first && reaches_back);
    let recent = reviews.iter().filter(|(at, _)| *at >= recent_from).count() as i64;
    let stars: u64 = reviews.iter().map(|(_, stars)| stars).sum();
    facts.listings = vec![ListingReading {
        marketplace_listing_id: "77".to_owned(),
        review_count: Some(count),
        recent_review_count: (is_known && facts.quarantined.is_empty()).then_some(recent),
        review_average: (!reviews.is_empty()).then(|| stars as f64 / reviews.len() as f64),
        ..ListingReading::default()
    }];
    Ok(facts)
}

fn review(row: &Json) -> Read<(DateTime<Utc>, u64)> {
    let listing_id = optional(row.field("listing_id")?, Json::unsigned)?;
    let rating = row.required("rating")?.unsigned()?;
    let created = optional(row.field("created_timestamp")?, Json::signed)?;
    let create = optional(row.field("create_timestamp")?, Json::signed)?;
    let at = moment(created.or(create).ok_or(Broken)?)?;
    let is_asked_for = listing_id.is_none_or(|listing_id| listing_id == 77);
    if is_asked_for && (1..=5).contains(&rating) { Ok((at, rating)) } else { Err(Broken) }
}
