//! Each way a marketplace can fail leads to its documented outcome, and never to a stored value.

use std::time::Duration;

use digitallz_common::marketplace::Marketplace;
use digitallz_sandbox::{Fault, FaultRule};

use crate::harness::TestApp;

/// What became of one crawl under a fault.
struct Outcome {
    app: TestApp,
    /// Outcomes of the attempts at asking, in order, each once: a set of `retry`, `snooze`, `dead`, `done`.
    outcomes: Vec<String>,
    causes: Vec<String>,
}

/// Crawls one keyword under a fault and returns what happened.
async fn crawl_under(marketplace: Marketplace, operation: Option<&str>, times: Option<u32>, fault: Fault) -> Outcome {
    let app = TestApp::start().await;
    app.sandbox.inject(FaultRule {
        marketplace: match marketplace {
            Marketplace::Amazon => digitallz_sandbox::Marketplace::Amazon,
            Marketplace::Etsy => digitallz_sandbox::Marketplace::Etsy,
            Marketplace::Ebay => digitallz_sandbox::Marketplace::Ebay,
        },
        operation: operation.map(str::to_owned),
        keyword: None,
        times,
        share: None,
        fault,
    });
    let keywords = app.keywords(marketplace, 1);
    app.crawl(marketplace, &keywords).await;
    app.work_until_idle().await;
    let outcomes = app
        .database
        .texts("select distinct outcome from ops.job_attempts join ops.jobs using (job_id) where job_name = 'fetch_page' order by 1")
        .await;
    let causes =
        app.database.texts("select distinct cause from ops.job_attempts where cause is not null order by 1").await;
    Outcome { app, outcomes, causes }
}

impl Outcome {
    /// The fault passed and every value is there as if nothing had happened.
    async fn recovered_by(&self, how: &str) {
        assert!(
            self.outcomes.iter().any(|outcome| outcome == how),
            "expected {how}: {:?} {:?}",
            self.outcomes,
            self.causes
        );
        assert_eq!(self.app.dead_letters().await, Vec::<String>::new());
        let values =
            self.app.database.count("select count(*) from core.keyword_observations where value is not null").await;
        assert!(values > 0, "nothing was read after the fault");
    }

    /// The fault stayed: the work is kept as a dead letter with its cause, and no value was made of it.
    async fn buried_because(&self, part_of_cause: &str) {
        let causes = self.app.dead_letters().await;
        assert!(causes.iter().any(|cause| cause.contains(part_of_cause)), "expected '{part_of_cause}': {causes:?}");
        assert_eq!(self.app.database.count("select count(*) from core.keyword_observations").await, 0);
        assert_eq!(self.app.database.count("select count(*) from core.serp_entries").await, 0);
    }
}

#[tokio::test]
async fn a_429_with_retry_after_snoozes_as_long_as_it_says() {
    let fault = Fault::TooManyRequests { retry_after_s: Some(2) };
    let outcome = crawl_under(Marketplace::Etsy, Some("findAllListingsActive"), Some(1), fault).await;
    outcome.recovered_by("snooze").await;
    let early = outcome
        .app
        .database
        .count("select count(*) from ops.job_attempts late join ops.job_attempts early using (job_id) where late.try_number = early.try_number + 1 and early.outcome = 'snooze' and late.started_at - early.finished_at < interval '2 seconds'")
        .await;
    assert_eq!(early, 0);
}

#[tokio::test]
async fn a_429_without_retry_after_snoozes_by_our_own_clock() {
    let fault = Fault::TooManyRequests { retry_after_s: None };
    crawl_under(Marketplace::Amazon, Some("searchCatalogItems"), Some(1), fault).await.recovered_by("snooze").await;
}

#[tokio::test]
async fn a_5xx_is_tried_again_and_buried_when_it_stays() {
    crawl_under(Marketplace::Ebay, Some("itemSummarySearch"), Some(2), Fault::ServerError(500))
        .await
        .recovered_by("retry")
        .await;
    crawl_under(Marketplace::Ebay, Some("itemSummarySearch"), None, Fault::ServerError(500))
        .await
        .buried_because("500")
        .await;
}

#[tokio::test]
async fn a_slow_answer_is_waited_for() {
    let fault = Fault::Slow(Duration::from_millis(1500));
    crawl_under(Marketplace::Ebay, Some("itemSummarySearch"), Some(1), fault).await.recovered_by("done").await;
}

#[tokio::test]
async fn a_truncated_body_is_tried_again_and_never_stored_as_an_answer() {
    crawl_under(Marketplace::Etsy, Some("findAllListingsActive"), Some(1), Fault::TruncatedBody)
        .await
        .recovered_by("retry")
        .await;
    let stayed = crawl_under(Marketplace::Etsy, Some("findAllListingsActive"), None, Fault::TruncatedBody).await;
    assert_eq!(
        stayed.app.database.count("select count(*) from raw.payload_readings where outcome = 'processed'").await,
        0
    );
    assert_eq!(stayed.app.database.count("select count(*) from core.keyword_observations").await, 0);
    assert_eq!(stayed.app.dead_letters().await.len(), 1);
}

#[tokio::test]
async fn html_with_status_200_is_a_block_kept_as_evidence_and_never_a_zero() {
    crawl_under(Marketplace::Ebay, Some("itemSummarySearch"), Some(1), Fault::HtmlWithStatus200)
        .await
        .recovered_by("retry")
        .await;
    let stayed = crawl_under(Marketplace::Ebay, Some("itemSummarySearch"), None, Fault::HtmlWithStatus200).await;
    stayed.buried_because("blocked").await;
    let kept =
        stayed.app.database.count("select count(*) from raw.payload_readings where outcome = 'quarantined'").await;
    assert!(kept > 0, "the page is kept, quarantined");
    assert!(digitallz::commands::runs::sums(stayed.app.db(), None).await.unwrap().is_closed);
}

#[tokio::test]
async fn an_expired_document_link_is_asked_for_again() {
    let outcome = crawl_under(Marketplace::Amazon, None, Some(1), Fault::ExpiredReportLink).await;
    outcome.recovered_by("done").await;
    let counts = outcome.app.sandbox.request_counts();
    assert!(counts["amazon.getReportDocument"] >= 2, "{counts:?}");
    assert_eq!(counts["amazon.createReport"], 1, "{counts:?}");
    assert!(
        outcome
            .app
            .database
            .count("select count(*) from core.keyword_observations where metric = 'search_frequency_rank'")
            .await
            > 0
    );
}

#[tokio::test]
async fn a_cancelled_report_is_an_empty_period_not_an_error_and_not_a_zero() {
    let outcome = crawl_under(Marketplace::Amazon, None, Some(1), Fault::CancelledReport).await;
    assert_eq!(outcome.app.dead_letters().await, Vec::<String>::new());
    let found = outcome
        .app
        .database
        .texts("select format('%s %s', value_status, value is null) from core.keyword_observations where metric = 'search_frequency_rank'")
        .await;
    assert_eq!(found, ["unavailable t"]);
}

#[tokio::test]
async fn a_fatal_report_is_buried_with_its_detail() {
    let outcome = crawl_under(Marketplace::Amazon, None, Some(1), Fault::FatalReport).await;
    let causes = outcome.app.dead_letters().await;
    assert!(causes.len() == 1 && causes[0].contains("FATAL"), "{causes:?}");
    assert_eq!(
        outcome
            .app
            .database
            .count("select count(*) from core.keyword_observations where metric = 'search_frequency_rank'")
            .await,
        0
    );
}

#[tokio::test]
async fn a_token_that_expired_is_renewed() {
    let outcome = crawl_under(Marketplace::Ebay, Some("itemSummarySearch"), Some(1), Fault::Unauthorized).await;
    assert_eq!(outcome.app.dead_letters().await, Vec::<String>::new());
    // Two for the search, and the one of the details.
    assert_eq!(outcome.app.sandbox.request_counts()["ebay.oauthToken"], 3);
}

#[tokio::test]
async fn credentials_that_stay_refused_are_given_up_at_once() {
    let outcome = crawl_under(Marketplace::Ebay, Some("itemSummarySearch"), None, Fault::Unauthorized).await;
    outcome.buried_because("the credentials are refused").await;
    assert_eq!(outcome.outcomes, ["dead"]);
}

#[tokio::test]
async fn a_row_that_breaks_the_contract_is_set_aside_and_the_rest_is_kept() {
    for (marketplace, operation) in [
        (Marketplace::Amazon, "searchCatalogItems"),
        (Marketplace::Amazon, "downloadDocument"),
        (Marketplace::Etsy, "findAllListingsActive"),
        (Marketplace::Ebay, "itemSummarySearch"),
    ] {
        let outcome = crawl_under(marketplace, Some(operation), Some(1), Fault::MalformedRow).await;
        let app = &outcome.app;
        assert_eq!(app.dead_letters().await, Vec::<String>::new(), "{operation}");
        assert_eq!(app.database.count("select count(*) from raw.quarantined_rows").await, 1, "{operation}");
        let unexplained = app
            .database
            .count("select count(*) from raw.quarantined_rows where json_pointer not like '/%' or reason = '' or row_text = ''")
            .await;
        assert_eq!(unexplained, 0, "{operation}");
        assert!(
            app.database.count("select count(*) from core.keyword_observations where value is not null").await > 0,
            "{operation}"
        );
    }
}
