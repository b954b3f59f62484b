//! Generated answers: search results pages of eBay, two hundred items each, week after week.

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use digitallz_common::jobs::{Job, ProcessPayload};
use digitallz_common::keyword::{self, Keyword};
use digitallz_common::marketplace::{Marketplace, Resource, Site};
use digitallz_common::queue;
use digitallz_common::raw_payload::{self, NewRawPayload};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

/// Items on a page, the most that eBay gives.
pub const PAGE_ITEMS: u64 = 200;

/// Pages of one keyword in one round, a week apart.
const WEEKS: u64 = 50;

/// The share of a page that was not there the week before.
const NEW_ITEMS_A_WEEK: u64 = 20;

/// When the first page of the first round was fetched.
const FIRST_FETCH: &str = "2024-11-03T06:00:00Z";

const WORDS: [&str; 16] = [
    "vintage", "ceramic", "handmade", "blue", "large", "travel", "gift", "steel", "wooden", "retro", "garden",
    "kitchen", "leather", "mini", "classic", "set",
];

/// Pages with so many entries in all.
pub struct Answers {
    keyword_count: u64,
    pages_left: u64,
}

impl Answers {
    /// Plans them; the last keyword may have fewer weeks.
    pub fn of(entries: u64) -> Answers {
        let pages = entries.div_ceil(PAGE_ITEMS);
        Answers { keyword_count: pages.div_ceil(WEEKS), pages_left: pages }
    }

    /// Returns how many pages there are.
    pub fn payload_count(&self) -> u64 {
        self.pages_left
    }

    /// Stores the pages of a round and enqueues the jobs that read them.
    pub async fn store(&self, db: &PgPool, round: u32) -> anyhow::Result<()> {
        let first_fetch: DateTime<Utc> = FIRST_FETCH.parse()?;
        let site = Site::new(Marketplace::Ebay, "US")?;
        let crawl_run_id = Uuid::now_v7();
        sqlx::query(
            "insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, created_at, planned_at)
             values ($1, 'manual', $2, 'ebay', 'US', $2, $2)",
        )
        .bind(crawl_run_id)
        .bind(first_fetch)
        .execute(db)
        .await?;
        let mut left = self.pages_left;
        for number in 0..self.keyword_count {
            let text = format!("{} {} {number}", WORDS[number as usize % 16], WORDS[number as usize / 16 % 16]);
            let mut tx = db.begin().await?;
            let keyword_id = keyword::ensure(&mut tx, &site, &Keyword::parse(&text)?, &text, first_fetch).await?;
            let mut jobs = Vec::new();
            for week in 0..WEEKS.min(left) {
                let weeks = i64::from(round) * WEEKS as i64 + week as i64;
                let fetched_at = first_fetch + TimeDelta::weeks(weeks) + TimeDelta::seconds(number as i64);
                let payload = NewRawPayload {
                    request_key: format!("bench:{round}:{number}:{week}"),
                    site: site.clone(),
                    resource: Resource::ItemSearch,
                    keyword_id: Some(keyword_id),
                    crawl_run_id,
                    job_id: None,
                    page_number: 1,
                    request_method: "GET".to_owned(),
                    request_url: format!("https://api.ebay.com/buy/browse/v1/item_summary/search?q={number}&limit=200"),
                    request_body: None,
                    status_code: 200,
                    response_headers: json!({"content-type": "application/json"}),
                    content_type: Some("application/json".to_owned()),
                    body: serde_json::to_vec(&page(number, weeks as u64))?.into(),
                    fetched_at,
                    ingested_at: fetched_at,
                };
                let raw_payload_id = raw_payload::insert(&mut tx, &payload).await?.context("a new page is stored")?;
                jobs.push(Job::ProcessPayload(ProcessPayload { raw_payload_id, crawl_run_id }));
            }
            left -= WEEKS.min(left);
            queue::enqueue_all(&mut tx, &jobs, 0).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

/// A page of a keyword in a week: most of its items stood there the week before.
fn page(keyword: u64, week: u64) -> Value {
    let items: Vec<Value> = (0..PAGE_ITEMS).map(|place| item(keyword, week, place)).collect();
    json!({
        "href": format!("https://api.ebay.com/buy/browse/v1/item_summary/search?q={keyword}&limit=200&offset=0"),
        "total": 40_000 + week * 37 + keyword,
        "next": format!("https://api.ebay.com/buy/browse/v1/item_summary/search?q={keyword}&limit=200&offset=200"),
        "limit": PAGE_ITEMS,
        "offset": 0,
        "itemSummaries": items,
    })
}

fn item(keyword: u64, week: u64, place: u64) -> Value {
    let number = 100_000_000_000 + keyword * 1_000_000 + week * NEW_ITEMS_A_WEEK + place;
    let mut random = SmallRng::seed_from_u64(number);
    let words: Vec<&str> = (0..8).map(|_| WORDS[random.random_range(0..WORDS.len())]).collect();
    let seller = random.random_range(0..40_000);
    let is_auction = random.random_ratio(1, 10);
    let price = json!({"value": format!("{}.{:02}", random.random_range(3..300), random.random_range(0..100)), "currency": "USD"});
    let mut item = json!({
        "itemId": format!("v1|{number}|0"),
        "title": format!("{} {number}", words.join(" ")),
        "leafCategoryIds": ["20625"],
        "categories": [{"categoryId": "20625", "categoryName": "Kitchen, Dining & Bar"}],
        "image": {"imageUrl": format!("https://i.ebayimg.com/thumbs/images/g/{number:012x}/s-l225.jpg")},
        "itemHref": format!("https://api.ebay.com/buy/browse/v1/item/v1%7C{number}%7C0"),
        "seller": {"username": format!("seller-{seller}"), "feedbackPercentage": "99.1", "feedbackScore": seller * 3},
        "condition": "New",
        "conditionId": "1000",
        "shippingOptions": [{"shippingCostType": "FIXED", "shippingCost": {"value": "4.99", "currency": "USD"}}],
        "buyingOptions": [if is_auction { "AUCTION" } else { "FIXED_PRICE" }],
        "itemWebUrl": format!("https://www.ebay.com/itm/{number}"),
        "itemLocation": {"postalCode": "111**", "country": "US"},
        "adultOnly": false,
        "availableCoupons": false,
        "itemCreationDate": "2024-05-01T10:00:00.000Z",
        "topRatedBuyingExperience": false,
        "priorityListing": random.random_ratio(1, 12),
        "listingMarketplaceId": "EBAY_US",
        "legacyItemId": number.to_string(),
    });
    if is_auction {
        item["bidCount"] = json!(random.random_range(0..20) + week % 5);
        item["currentBidPrice"] = price;
    } else {
        item["price"] = price;
    }
    item
}
