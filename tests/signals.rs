//! From stored answers about demand, prices and bids to rows, by the processor that runs in production.

use digitallz::cli::Role;
use digitallz_common::jobs::{Job, ProcessPayload};
use digitallz_common::marketplace::{Marketplace, Resource, Site};
use digitallz_common::raw_payload::{self, NewRawPayload};
use digitallz_common::{keyword, queue};
use digitallz_sandbox::SandboxConfig;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{TestApp, entry};

/// One marketplace with a crawl run and some keywords.
struct Collected {
    app: TestApp,
    site: Site,
    crawl_run_id: Uuid,
    keyword_ids: Vec<i64>,
}

impl Collected {
    async fn new(marketplace: Marketplace, keywords: &[&str]) -> Collected {
        let app = TestApp::start().await;
        let site = Site::new(marketplace, "US").unwrap();
        let mut connection = app.db().acquire().await.unwrap();
        let mut keyword_ids = Vec::new();
        for text in keywords {
            let parsed = entry(marketplace, text).keyword;
            keyword_ids.push(keyword::ensure(&mut connection, &site, &parsed, text, app.clock.now()).await.unwrap());
        }
        drop(connection);
        let crawl_run_id = Uuid::now_v7();
        app.database
            .execute(&format!(
                "insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, created_at)
                 values ('{crawl_run_id}', 'manual', now(), '{marketplace}', 'US', now())"
            ))
            .await;
        app.database
            .execute(&format!(
                "insert into core.publications (crawl_run_id, marketplace, market, state, checks, decided_at, decided_by,
                     evaluated_at)
                 values ('{crawl_run_id}', '{marketplace}', 'US', 'published', '[]', now(), 'test', now())"
            ))
            .await;
        Collected { app, site, crawl_run_id, keyword_ids }
    }

    /// Stores an answer as a collector does, and reads it.
    async fn answer(&self, resource: Resource, url: &str, request_body: Option<Value>, status_code: u16, body: &str) {
        let is_of_keyword = resource.subject() == digitallz_common::marketplace::Subject::Keyword;
        let payload = NewRawPayload {
            request_key: Uuid::now_v7().to_string(),
            site: self.site.clone(),
            resource,
            keyword_id: is_of_keyword.then(|| self.keyword_ids[0]),
            crawl_run_id: self.crawl_run_id,
            job_id: None,
            page_number: 1,
            request_method: "GET".to_owned(),
            request_url: url.to_owned(),
            request_body: request_body.map(|body| body.to_string()),
            status_code,
            response_headers: json!({}),
            content_type: None,
            body: body.as_bytes().to_vec().into(),
            fetched_at: self.app.clock.now(),
            ingested_at: self.app.clock.now(),
        };
        let mut tx = self.app.db().begin().await.unwrap();
        let raw_payload_id = raw_payload::insert(&mut tx, &payload).await.unwrap().unwrap();
        let job = Job::ProcessPayload(ProcessPayload { raw_payload_id, crawl_run_id: self.crawl_run_id });
        queue::enqueue(&mut tx, &job, 0).await.unwrap();
        tx.commit().await.unwrap();
        let roles = self.app.play(&[Role::Processor]);
        self.app.database.wait_until_idle().await;
        roles.stop().await;
        let quarantined =
            self.app.database.texts("select reason from raw.payload_readings where outcome = 'quarantined'");
        assert_eq!(quarantined.await, Vec::<String>::new());
    }

    /// Returns the observations as text, ordered.
    async fn observations(&self) -> Vec<String> {
        let sql = "select line from (select format('%s %s %s %s %s', keyword_text, metric, value_status, coalesce(value::text, status_reason), unit) as line
                   from analytics.keyword_observations_v1) lines order by line collate \"C\"";
        self.app.database.texts(sql).await
    }

    /// Returns what the table of keyword data says of searches and bids.
    async fn data(&self) -> Vec<String> {
        let sql = "select concat_ws(' ', keyword, coalesce(search_volume::text, '-'), search_volume_status, search_volume_source,
                       coalesce(search_volume_start_date::text, '-'), '|', coalesce(cpc::text, '-'), cpc_status, cpc_source,
                       coalesce(cpc_currency, '-'))
                   from analytics.keyword_data_v1 order by 1";
        self.app.database.texts(sql).await
    }
}

#[tokio::test]
async fn amazon_tells_searches_bids_and_prices() {
    let world = Collected::new(Marketplace::Amazon, &["blue mug", "red mug"]).await;
    assert_eq!(
        world.data().await,
        [
            "blue mug - unavailable the search terms report gives a rank, not a count - | - unavailable no source of bids is connected -",
            "red mug - unavailable the search terms report gives a rank, not a count - | - unavailable no source of bids is connected -",
        ]
    );

    let usd = |amount: f64| json!({"amount": amount, "currencyCode": "USD"});
    let report = |start: &str, end: &str, volume: u64| {
        let row = json!({
            "startDate": start, "endDate": end, "asin": "B0TEST0001",
            "searchQueryData": {"searchQuery": "Blue Mug", "searchQueryScore": 1, "searchQueryVolume": volume},
            "impressionData": {"totalQueryImpressionCount": 9000}, "cartAddData": {"totalCartAddCount": 30},
            "clickData": {"totalClickCount": 100, "totalMedianClickPrice": usd(19.99)},
            "purchaseData": {"totalPurchaseCount": 10}
        });
        let specification = json!({
            "reportType": "GET_BRAND_ANALYTICS_SEARCH_QUERY_PERFORMANCE_REPORT",
            "reportOptions": {"reportPeriod": "WEEK", "asin": "B0TEST0001"},
            "dataStartTime": start, "dataEndTime": end, "marketplaceIds": ["ATVPDKIKX0DER"]
        });
        json!({"reportSpecification": specification, "dataByAsin": [row]}).to_string()
    };
    let url = "https://example.com/document";
    // Of two weeks the later counts, whichever is read first.
    for (start, end, volume) in [("2026-03-01", "2026-03-07", 1_500), ("2026-02-22", "2026-02-28", 1_200)] {
        world.answer(Resource::SearchQueryReport, url, None, 200, &report(start, end, volume)).await;
    }

    let bids = json!({"keywordTargetList": [{"keyword": "blue mug", "bidInfo": [
        {"matchType": "EXACT", "suggestedBid": {"rangeStart": 0.44, "suggested": 0.58, "rangeEnd": 0.78}}]}]});
    let question = json!({"targets": [{"keyword": "blue mug"}, {"keyword": "red mug"}]});
    let url = "https://advertising-api.amazon.com/sp/targets/keywords/recommendations";
    world.answer(Resource::KeywordBids, url, Some(question), 200, &bids.to_string()).await;

    let offer = |amount: f64| json!({"listingPrice": usd(amount), "featuredOfferSegments": []});
    let prices = json!({"responses": [
        {"status": {"statusCode": 200}, "body": {"asin": "B0TEST0001", "marketplaceId": "ATVPDKIKX0DER",
            "featuredBuyingOptions": [{"buyingOptionType": "New", "segmentedFeaturedOffers": [offer(18.11)]}]}},
        {"status": {"statusCode": 404}, "body": {"asin": "B0TEST0002", "marketplaceId": "ATVPDKIKX0DER"}}
    ]});
    let url = "https://sellingpartnerapi-na.amazon.com/batches/products/pricing/2022-05-01/items/competitiveSummary";
    world.answer(Resource::CompetitivePricing, url, None, 200, &prices.to_string()).await;

    let nowhere = "red mug search_query_volume not_found not a search term of the user's own listings searches";
    assert_eq!(
        world.observations().await,
        [
            "blue mug click_price_median observed 19.99 USD",
            "blue mug click_price_median observed 19.99 USD",
            "blue mug cpc_suggested estimated 0.58 USD",
            "blue mug cpc_suggested_high estimated 0.78 USD",
            "blue mug cpc_suggested_low estimated 0.44 USD",
            "blue mug price_lower_quartile observed 18.11 USD",
            "blue mug price_median observed 18.11 USD",
            "blue mug price_upper_quartile observed 18.11 USD",
            "blue mug search_query_cart_adds observed 30 cart adds",
            "blue mug search_query_cart_adds observed 30 cart adds",
            "blue mug search_query_clicks observed 100 clicks",
            "blue mug search_query_clicks observed 100 clicks",
            "blue mug search_query_impressions observed 9000 impressions",
            "blue mug search_query_impressions observed 9000 impressions",
            "blue mug search_query_purchases observed 10 purchases",
            "blue mug search_query_purchases observed 10 purchases",
            "blue mug search_query_volume observed 1200 searches",
            "blue mug search_query_volume observed 1500 searches",
            "red mug cpc_suggested not_found the marketplace suggests no bid for exact match currency",
            nowhere,
            nowhere,
        ]
    );
    assert_eq!(
        world.data().await,
        [
            "blue mug 1500 observed search_query_report 2026-03-01 | 0.58 estimated keyword_bids USD",
            "red mug - not_found not a search term of the user's own listings - | - not_found the marketplace suggests no bid for exact match -",
        ]
    );
    let price = "select concat_ws(' ', marketplace_listing_id, price_amount, price_currency)
                 from core.listing_observations join core.listings using (listing_id)";
    assert_eq!(world.app.database.texts(price).await, ["B0TEST0001 18.11 USD"]);
    assert_eq!(world.app.database.count("select max(missing_row_count)::bigint from raw.payload_readings").await, 1);
}

#[tokio::test]
async fn etsy_tells_what_shops_sold_and_how_listings_are_reviewed() {
    let world = Collected::new(Marketplace::Etsy, &["blue mug"]).await;
    let shop = json!({"shop_id": 8_614_061, "transaction_sold_count": 54_321, "listing_active_count": 210,
                      "review_count": 900, "review_average": 4.87, "num_favorers": 3_000, "announcement": "private words"});
    let url = "https://openapi.etsy.com/v3/application/shops/8614061";
    world.answer(Resource::Shop, url, None, 200, &shop.to_string()).await;
    let review = |days_ago: i64, rating: u64| {
        let written_at = world.app.clock.now().timestamp() - days_ago * 86_400;
        json!({"shop_id": 5, "listing_id": 77, "rating": rating, "review": "private words", "created_timestamp": written_at})
    };
    let mut broken = review(3, 5);
    broken["rating"] = json!("private words");
    let reviews = json!({"count": 3, "results": [review(1, 5), review(40, 4), broken]});
    let url = "https://openapi.etsy.com/v3/application/listings/77/reviews?limit=100";
    world.answer(Resource::ListingReviews, url, None, 200, &reviews.to_string()).await;

    let sellers = "select concat_ws(' ', marketplace, market, seller, sold_count, active_listing_count, review_count, review_average, favorite_count)
                   from core.seller_observations";
    assert_eq!(world.app.database.texts(sellers).await, ["etsy US 8614061 54321 210 900 4.87 3000"]);
    let listings = "select concat_ws(' ', marketplace_listing_id, review_count, coalesce(recent_review_count::text, '-'), review_average)
                    from core.listing_observations join core.listings using (listing_id)";
    assert_eq!(world.app.database.texts(listings).await, ["77 3 - 4.5"]);
    assert_eq!(world.observations().await, Vec::<String>::new());
    // What people wrote stands in the raw answer only.
    let quoted = world
        .app
        .database
        .count("select count(*) from raw.quarantined_rows where row_text like '%private%' or reason like '%private%'")
        .await;
    assert_eq!(quoted, 0);
    assert_eq!(world.app.database.count("select count(*) from raw.quarantined_rows").await, 1);
}

#[tokio::test]
async fn ebay_tells_what_was_sold_where_and_what_a_click_may_cost() {
    let world = Collected::new(Marketplace::Ebay, &["blue mug", "red mug"]).await;
    let items = json!({
        "items": [{"itemId": "v1|1|0", "price": {"value": "12.50", "currency": "USD"}, "estimatedAvailabilities":
                   [{"estimatedSoldQuantity": 2_166, "estimatedAvailableQuantity": 4}],
                   "primaryProductReviewRating": {"reviewCount": 453}}],
        "warnings": [{"errorId": 11_001, "message": "The specified item ID was not found."}]
    });
    let url = "https://api.ebay.com/buy/browse/v1/item/?item_ids=v1%7C1%7C0%2Cv1%7C2%7C0";
    world.answer(Resource::ItemDetails, url, None, 200, &items.to_string()).await;
    let categories = json!({"categorySuggestions": [{"category": {"categoryId": "20695", "categoryName": "Mugs"}},
                                                    {"category": {"categoryId": "177009", "categoryName": "Cups"}}]});
    let url = "https://api.ebay.com/commerce/taxonomy/v1/category_tree/0/get_category_suggestions?q=blue%20mug";
    world.answer(Resource::CategorySuggestions, url, None, 200, &categories.to_string()).await;
    world.answer(Resource::CategorySuggestions, url, None, 204, "").await;
    let sales = json!({"total": 321, "limit": 50, "offset": 0, "itemSales": [
        {"itemId": "v1|9|0", "totalSoldQuantity": 30, "lastSoldPrice": {"value": "10.50", "currency": "USD"}}]});
    let url = "https://api.ebay.com/buy/marketplace_insights/v1_beta/item_sales/search?q=blue,mug&category_ids=20695";
    world.answer(Resource::ItemSales, url, None, 200, &sales.to_string()).await;
    let bids = json!({"suggestedBids": [{"keywordText": "Blue mug", "matchType": "EXACT", "proposedBid":
                     {"currency": "USD", "value": "0.41", "rangeStart": "0.33", "rangeEnd": "0.53"}}]});
    let question = json!({"keywords": [{"keywordText": "blue mug", "matchType": "EXACT"},
                                       {"keywordText": "red mug", "matchType": "EXACT"}]});
    let url = "https://api.ebay.com/sell/marketing/v1/ad_campaign/1/ad_group/2/suggest_bids";
    world.answer(Resource::SuggestedBids, url, Some(question), 200, &bids.to_string()).await;

    assert_eq!(
        world.observations().await,
        [
            "blue mug cpc_suggested estimated 0.41 USD",
            "blue mug cpc_suggested_high estimated 0.53 USD",
            "blue mug cpc_suggested_low estimated 0.33 USD",
            "blue mug incumbent_review_median observed 453 reviews",
            "blue mug sold_count_listings observed 1 listings",
            "blue mug sold_count_total observed 2166 sales",
            "blue mug sold_listing_count observed 321 listings",
            "blue mug sold_price_median observed 10.5 USD",
            "blue mug sold_quantity_90d observed 30 sales",
            "red mug cpc_suggested not_found the marketplace suggests no bid for exact match currency",
        ]
    );
    let no_count = "- unavailable the marketplace gives no number of searches -";
    assert_eq!(
        world.data().await,
        [
            format!("blue mug {no_count} | 0.41 estimated suggested_bids USD"),
            format!("red mug {no_count} | - not_found the marketplace suggests no bid for exact match -"),
        ]
    );
    let listings =
        "select concat_ws(' ', marketplace_listing_id, price_amount, sold_count, available_count, review_count)
                    from core.listing_observations join core.listings using (listing_id)";
    assert_eq!(world.app.database.texts(listings).await, ["v1|1|0 12.50 2166 4 453"]);
    let suggested =
        "select concat_ws(' ', relevancy_rank, category_id, category_name) from core.keyword_categories order by 1";
    assert_eq!(world.app.database.texts(suggested).await, ["1 20695 Mugs", "2 177009 Cups"]);
    let period =
        "select concat_ws(' ', period_kind, period_end_date - period_start_date) from core.keyword_observations
                  where metric = 'sold_quantity_90d'";
    assert_eq!(world.app.database.texts(period).await, ["trailing_90_days 89"]);
    assert_eq!(world.app.database.count("select sum(missing_row_count)::bigint from raw.payload_readings").await, 1);
}

/// Every resource of every marketplace, asked over real HTTP and read.
#[tokio::test]
async fn what_the_marketplaces_answer_about_everything_is_read_without_quarantine() {
    let config = SandboxConfig { limit_factor: 1e6, insights_granted: true, ..SandboxConfig::default() };
    let mut app = TestApp::start_with(config).await;
    let all = |marketplace: Marketplace| marketplace.resources().map(Resource::name).collect::<Vec<_>>().join(",");
    app.environment = app.environment.with([
        ("DIGITALLZ_AMAZON_RESOURCES", all(Marketplace::Amazon)),
        ("DIGITALLZ_ETSY_RESOURCES", all(Marketplace::Etsy)),
        ("DIGITALLZ_EBAY_RESOURCES", all(Marketplace::Ebay)),
    ]);
    for marketplace in Marketplace::ALL {
        let keywords = app.keywords(marketplace, 3);
        app.crawl(marketplace, &keywords).await;
    }
    app.work_until_idle().await;
    assert_eq!(app.dead_letters().await, Vec::<String>::new());

    let unread = "select concat_ws(' ', resource, coalesce(reason, 'unread')) from raw.payloads
                  left join raw.payload_readings using (raw_payload_id)
                  where outcome is distinct from 'processed' or quarantined_row_count > 0";
    assert_eq!(app.database.texts(unread).await, Vec::<String>::new());
    let read = app.database.texts("select distinct resource from raw.payloads order by 1").await;
    assert_eq!(read.len(), Resource::ALL.len(), "{read:?}");

    for (what, metric) in [
        ("keyword_bids", "cpc_suggested"),
        ("suggested_bids", "cpc_suggested"),
        ("competitive_pricing", "price_median"),
        ("item_details", "sold_count_total"),
        ("item_sales", "sold_quantity_90d"),
    ] {
        let valued = format!(
            "select count(*) from core.keyword_observations where resource = '{what}' and metric = '{metric}' and value > 0"
        );
        assert!(app.database.count(&valued).await >= 1, "{what} gives no {metric}");
    }
    for sql in [
        "select count(*) from core.keyword_observations where metric = 'search_query_volume'",
        "select count(*) from core.seller_observations where sold_count > 0",
        "select count(*) from core.keyword_categories where relevancy_rank = 1",
        "select count(*) from core.listing_observations where sold_count is not null",
        "select count(*) from core.listing_observations where review_count is not null",
        "select count(*) from analytics.keyword_data_v1 where cpc > 0 and cpc_currency = 'USD'",
    ] {
        assert!(app.database.count(sql).await >= 1, "{sql}");
    }
}
