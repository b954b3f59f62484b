//! From a crawl run to keyword data, through every part, over real HTTP.

use digitallz::cli::Role;
use digitallz_common::jobs::{FetchPage, Job};
use digitallz_common::marketplace::{Marketplace, Resource, Site};
use digitallz_common::queue;

use crate::harness::TestApp;

#[tokio::test]
async fn a_crawl_run_of_each_marketplace_is_collected_and_read_and_its_accounts_close() {
    let app = TestApp::start().await;
    let mut runs = Vec::new();
    for marketplace in Marketplace::ALL {
        let keywords = app.keywords(marketplace, 3);
        runs.push((marketplace, app.crawl(marketplace, &keywords).await));
    }
    app.work_until_idle().await;
    for (marketplace, crawl_run_id) in runs {
        let sums = app.sums(crawl_run_id).await;
        assert!(sums.is_closed, "{marketplace}: {sums:?}");
        assert_eq!(
            (sums.dead_job_count, sums.quarantined_payload_count, sums.quarantined_row_count),
            (0, 0, 0),
            "{marketplace}"
        );
        // Amazon: three searches and one report. Etsy: three searches and the views of each. eBay: three searches and the
        // items of each.
        let expected_payloads = match marketplace {
            Marketplace::Amazon => 4,
            Marketplace::Etsy => 6,
            Marketplace::Ebay => 6,
        };
        assert_eq!(sums.payload_count, expected_payloads, "{marketplace}");
        assert!(sums.observation_count >= 3 * 5, "{marketplace}: {sums:?}");
        assert!(sums.serp_entry_count >= 3 * 10, "{marketplace}: {sums:?}");
    }
    let data = app
        .database
        .count("select count(*) from analytics.keyword_data_v1 where last_updated is not null and search_volume is null and search_volume_status = 'unavailable'")
        .await;
    assert_eq!(data, 9);
}

#[tokio::test]
async fn what_is_read_is_what_the_marketplace_answered() {
    let app = TestApp::start().await;
    let keywords = app.keywords(Marketplace::Ebay, 1);
    app.crawl(Marketplace::Ebay, &keywords).await;
    app.work_until_idle().await;
    let answer = app
        .sandbox
        .requests()
        .into_iter()
        .find(|request| request.operation == "itemSummarySearch")
        .expect("the sandbox was asked");
    let answer: serde_json::Value = serde_json::from_slice(&answer.response_body).unwrap();
    let total = answer["total"].as_i64().unwrap();
    assert_eq!(
        app.database.count("select value::bigint from core.keyword_observations where metric = 'result_count'").await,
        total
    );
    let expected: Vec<String> = answer["itemSummaries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let price = if item["price"].is_null() { &item["currentBidPrice"] } else { &item["price"] };
            format!(
                "{} {} {} {}",
                item["itemId"].as_str().unwrap(),
                price["value"].as_str().unwrap(),
                price["currency"].as_str().unwrap(),
                item["seller"]["username"].as_str().unwrap()
            )
        })
        .collect();
    let found = app
        .database
        .texts("select format('%s %s %s %s', marketplace_listing_id, price_amount, price_currency, seller) from analytics.serp_entries_v1 order by position")
        .await;
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_page_fetched_twice_is_stored_once() {
    let app = TestApp::start().await;
    let keywords = app.keywords(Marketplace::Ebay, 1);
    let crawl_run_id = app.crawl(Marketplace::Ebay, &keywords).await;
    app.work_until_idle().await;
    let before = app.sums(crawl_run_id).await;
    // The job's end is forgotten, as when the worker dies before its acknowledgement.
    app.database
        .execute("update ops.jobs set state = 'dead', finished_at = now() where job_name <> 'plan_crawl'")
        .await;
    for job_id in app.database.texts("select job_id::text from ops.jobs where state = 'dead'").await {
        let mut connection = app.db().acquire().await.unwrap();
        queue::retry_now(&mut connection, job_id.parse().unwrap()).await.unwrap();
    }
    app.work_until_idle().await;
    let after = app.sums(crawl_run_id).await;
    assert_eq!(
        (before.payload_count, before.observation_count, before.serp_entry_count, before.job_count),
        (after.payload_count, after.observation_count, after.serp_entry_count, after.job_count)
    );
    assert!(after.is_closed, "{after:?}");
}

#[tokio::test]
async fn a_missing_credential_ends_in_a_dead_letter_that_names_it() {
    let mut app = TestApp::start().await;
    app.environment =
        digitallz::settings::Environment::default().with([("DIGITALLZ_RETRY_BASE_SECONDS", "0.1".to_owned())]);
    let keywords = app.keywords(Marketplace::Etsy, 1);
    app.crawl(Marketplace::Etsy, &keywords).await;
    app.work_until_idle().await;
    let causes = app.dead_letters().await;
    assert_eq!(causes.len(), 1);
    assert!(causes[0].contains("DIGITALLZ_ETSY_KEYSTRING"), "{causes:?}");
}

#[tokio::test]
async fn secrets_reach_neither_the_database_nor_the_queue() {
    let app = TestApp::start().await;
    for marketplace in Marketplace::ALL {
        let keywords = app.keywords(marketplace, 1);
        app.crawl(marketplace, &keywords).await;
    }
    app.work_until_idle().await;
    let secrets: Vec<String> = app
        .environment
        .given()
        .filter(|(name, _)| name.contains("SECRET") || name.contains("REFRESH_TOKEN") || name.contains("KEYSTRING"))
        .map(|(_, secret)| secret.expose().to_owned())
        .collect();
    assert_eq!(secrets.len(), 7);
    let everything = app
        .database
        .texts(
            "select request_url || coalesce(request_body, '') || response_headers from raw.payloads
             union all select message::text || job_key from ops.jobs
             union all select coalesce(cause, '') from ops.job_attempts
             union all select convert_from(job, 'utf8') from apalis.jobs",
        )
        .await;
    for text in everything {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "a secret stands in {text}");
        }
        assert!(
            !text.contains("signature=")
                || text.contains("signature=[removed]")
                || text.contains("signature=%5Bremoved%5D"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn limits_of_the_configuration_hold() {
    let mut app = TestApp::start().await;
    app.environment = app.environment.with([
        ("DIGITALLZ_EBAY_LIMITS", "browse=5:1".to_owned()),
        ("DIGITALLZ_EBAY_RESOURCES", "item_search".to_owned()),
    ]);
    let keywords = app.keywords(Marketplace::Ebay, 6);
    app.crawl(Marketplace::Ebay, &keywords).await;
    let roles = app.play(&[Role::Collector]);
    app.database
        .wait_for_count("select count(*) from ops.jobs where job_name = 'fetch_page' and state = 'done'", 6)
        .await;
    roles.stop().await;
    // Six questions at five a second, one at a time: the first at once, the last a second later. Fetching is faster, so
    // what is seen is the limit; the bound is on what may happen, not on how fast this machine is.
    let span_is_long_enough = app
        .database
        .count("select (max(tries.finished_at) - min(tries.started_at) >= interval '950 milliseconds')::integer::bigint from ops.job_attempts tries join ops.jobs using (job_id) where job_name = 'fetch_page'")
        .await;
    assert_eq!(span_is_long_enough, 1);
}

#[tokio::test]
async fn an_empty_result_is_a_true_zero() {
    let app = TestApp::start().await;
    let nothing = crate::harness::entry(Marketplace::Ebay, "zxqzxqzxqzxqzxqzxqzxqzxqzxqzxq");
    app.crawl(Marketplace::Ebay, &[nothing]).await;
    app.work_until_idle().await;
    let found = app
        .database
        .texts("select format('%s %s %s', metric, value_status, coalesce(value::text, status_reason)) from core.keyword_observations order by metric")
        .await;
    assert!(found.contains(&"result_count observed 0".to_owned()), "{found:?}");
    assert!(found.contains(&"price_median unavailable no entries on the page".to_owned()), "{found:?}");
}

#[test]
fn the_key_of_a_fetch_job_tells_pages_apart() {
    let page = |page_number, cursor: Option<&str>| {
        Job::FetchPage(FetchPage {
            crawl_run_id: uuid::Uuid::nil(),
            site: Site::new(Marketplace::Ebay, "US").unwrap(),
            resource: Resource::ItemSearch,
            keyword_id: Some(1),
            keyword_ids: Vec::new(),
            then: Vec::new(),
            page_number,
            cursor: cursor.map(str::to_owned),
            scheduled_for: chrono::DateTime::UNIX_EPOCH,
        })
        .key()
    };
    assert_ne!(page(1, None), page(2, None));
    assert_ne!(page(1, None), page(1, Some("x")));
}
