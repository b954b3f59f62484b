//! What the schema itself forbids and explains.

use digitallz::commands::dictionary;
use sqlx::AssertSqlSafe;

use crate::harness::{TestDatabase, workspace_root};

const SCHEMAS: &str = "('raw', 'core', 'ops', 'ml', 'analytics')";

#[tokio::test]
async fn every_table_and_column_is_explained() {
    let database = TestDatabase::new().await;
    let silent = database
        .texts(&format!(
            "select format('%I.%I', nspname, relname) from pg_class join pg_namespace n on n.oid = relnamespace
             where nspname in {SCHEMAS} and relkind in ('r', 'v', 'p', 'm') and obj_description(pg_class.oid) is null
             union all
             select format('%I.%I.%I', nspname, relname, attname)
             from pg_attribute join pg_class on pg_class.oid = attrelid join pg_namespace n on n.oid = relnamespace
             where nspname in {SCHEMAS} and relkind in ('r', 'v', 'p', 'm') and attnum > 0 and not attisdropped
               and col_description(attrelid, attnum) is null
             order by 1"
        ))
        .await;
    assert!(silent.is_empty(), "without a comment: {silent:#?}");
}

#[tokio::test]
async fn the_data_dictionary_says_what_the_comments_say() {
    let database = TestDatabase::new().await;
    let columns = dictionary::columns(&database.db).await.unwrap();
    assert!(columns.iter().all(|column| !column.column_comment.is_empty() && !column.relation_comment.is_empty()));
    for schema in ["raw", "core", "ops", "ml", "analytics"] {
        assert!(columns.iter().any(|column| column.schema_name == schema), "nothing of {schema}");
    }
    let committed = std::fs::read_to_string(workspace_root().join("docs/data-dictionary.md")).unwrap();
    assert_eq!(dictionary::markdown(&columns), committed, "docs/data-dictionary.md is out of date: make dictionary");
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    let database = TestDatabase::new().await;
    digitallz_common::database::migrate(&database.db).await.unwrap();
}

/// Tries to store an observation and returns the constraint that refused it.
async fn refusal(
    database: &TestDatabase,
    value: &str,
    status: &str,
    reason: &str,
    start: &str,
    end: &str,
    kind: &str,
) -> Option<String> {
    let sql = format!(
        "insert into core.keyword_observations (keyword_id, metric, value, unit, value_status, status_reason, resource,
             observed_at, period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id,
             crawl_run_id)
         values (1, 'result_count', {value}, 'listings', '{status}', {reason}, 'item_search', '2026-03-11T12:00:00Z', '{start}', '{end}',
             '{kind}', now(), now(), 1, '00000000-0000-0000-0000-000000000000')"
    );
    database.make_partitions("'2026-03-11'", "'2026-03-11'").await;
    let mut tx = database.db.begin().await.unwrap();
    let result = sqlx::query(AssertSqlSafe(sql)).execute(&mut *tx).await;
    tx.rollback().await.unwrap();
    match result {
        Ok(_) => None,
        Err(sqlx::Error::Database(error)) => Some(error.constraint().unwrap_or("?").to_owned()),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_failure_can_never_be_stored_as_a_value() {
    let database = TestDatabase::new().await;
    database
        .execute("insert into core.keywords (marketplace, market, keyword_text, original_text, normalization_version, created_at) values ('ebay', 'US', 'lamp', 'lamp', 1, now())")
        .await;
    database
        .execute("insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, created_at) values (gen_random_uuid(), 'manual', now(), 'ebay', 'US', now())")
        .await;
    database
        .execute("insert into raw.payloads (request_key, marketplace, market, resource, crawl_run_id, page_number, request_method, request_url, status_code, response_headers, chunk_count, body_encoding, body_size_bytes, content_sha256, fetched_at, ingested_at) select 'k', 'ebay', 'US', 'item_search', crawl_run_id, 1, 'GET', '/', 200, '{}', 1, 'identity', 0, sha256(''), now(), now() from ops.crawl_runs")
        .await;
    let day = "2026-03-11";
    assert_eq!(refusal(&database, "5", "observed", "null", day, day, "instant").await, None);
    assert_eq!(refusal(&database, "null", "unavailable", "'why'", day, day, "instant").await, None);
    for status in
        ["failed", "blocked", "pending", "unavailable", "not_found", "below_threshold", "invalid", "quarantined"]
    {
        for value in ["0", "5"] {
            let refused = refusal(&database, value, status, "'why'", day, day, "instant").await;
            assert_eq!(refused.as_deref(), Some("a_value_exists_only_when_seen"), "{value} {status}");
        }
    }
    let refused = refusal(&database, "null", "observed", "null", day, day, "instant").await;
    assert!(matches!(refused.as_deref(), Some("a_value_exists_only_when_seen")), "{refused:?}");
    assert_eq!(
        refusal(&database, "null", "failed", "null", day, day, "instant").await.as_deref(),
        Some("all_but_the_observed_has_a_reason")
    );
    assert_eq!(
        refusal(&database, "'nan'", "observed", "null", day, day, "instant").await.as_deref(),
        Some("a_value_is_a_number")
    );
    assert_eq!(
        refusal(&database, "1", "observed", "null", day, "2026-03-12", "week").await.as_deref(),
        Some("a_week_has_seven_days")
    );
    assert_eq!(
        refusal(&database, "1", "observed", "null", day, "2026-03-12", "instant").await.as_deref(),
        Some("an_instant_lies_on_one_day")
    );
    for (last_day, kind, constraint) in [
        ("2026-03-12", "day", "a_day_is_one_day"),
        ("2026-04-10", "month", "a_month_is_a_month_of_the_calendar"),
        ("2026-06-10", "quarter", "a_quarter_is_a_quarter_of_the_calendar"),
        (day, "year", "keyword_observations_period_kind_check"),
    ] {
        assert_eq!(refusal(&database, "1", "observed", "null", day, last_day, kind).await.as_deref(), Some(constraint));
    }
    for (first_day, last_day, kind) in [
        ("2026-02-01", "2026-02-28", "month"),
        ("2026-01-01", "2026-03-31", "quarter"),
        (day, day, "day"),
        (day, "2026-05-20", "span"),
    ] {
        assert_eq!(refusal(&database, "1", "observed", "null", first_day, last_day, kind).await, None, "{kind}");
    }
    assert_eq!(
        refusal(&database, "null", "no such status", "'why'", day, day, "instant").await.as_deref(),
        Some("keyword_observations_value_status_check")
    );
}

#[tokio::test]
async fn the_data_view_has_the_columns_it_promises() {
    let database = TestDatabase::new().await;
    let columns = database
        .texts("select attname::text from pg_attribute where attrelid = 'analytics.keyword_data_v1'::regclass and attnum > 0 order by attnum")
        .await;
    assert_eq!(
        columns[..7],
        ["keyword", "platform", "search_volume", "competition", "cpc", "trend_data", "last_updated"]
    );
}

#[tokio::test]
async fn the_predictions_view_has_the_columns_it_promises() {
    let database = TestDatabase::new().await;
    let columns = database
        .texts("select attname::text from pg_attribute where attrelid = 'analytics.keyword_predictions_v1'::regclass and attnum > 0")
        .await;
    for column in [
        "prediction_id",
        "keyword_id",
        "keyword_text",
        "marketplace",
        "locale",
        "target_metric",
        "target_date",
        "horizon_days",
        "predicted_value",
        "lo_80",
        "hi_80",
        "lo_95",
        "hi_95",
        "unit",
        "baseline_value",
        "trend_class",
        "is_abstained",
        "abstain_reason",
        "as_of_date",
        "predicted_at",
        "run_id",
        "model_name",
        "model_version",
        "feature_set_version",
        "score_version",
        "observation_count",
        "first_observed_date",
        "last_observed_date",
        "source_list",
        "data_quality_score",
        "is_latest",
    ] {
        assert!(columns.iter().any(|found| found == column), "{column} is missing");
    }
}
