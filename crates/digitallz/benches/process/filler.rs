//! Years of history, so that what is measured is measured in tables that have grown.

use anyhow::Context;
use sqlx::{AssertSqlSafe, PgPool};

/// Weeks of history of every keyword that fills the tables.
const WEEKS: u64 = 104;

/// Rows of each table that one keyword has in one week.
const ROWS_A_WEEK: u64 = 10;

/// Grows observations of keywords, observations of listings and SERP entries to so many rows each, week after week, as rows come in.
///
/// The rows refer to payloads, keywords and listings as real ones do. That these exist is not checked row by row while the
/// tables are filled, which is no part of any measurement.
pub async fn grow(db: &PgPool, size: u64) -> anyhow::Result<()> {
    let present: i64 = sqlx::query_scalar("select count(*) from core.keyword_observations").fetch_one(db).await?;
    let present_entries: i64 = sqlx::query_scalar("select count(*) from core.serp_entries").fetch_one(db).await?;
    let keywords = size.saturating_sub(present as u64) / (WEEKS * ROWS_A_WEEK);
    let with_entries = size.saturating_sub(present_entries as u64) / (WEEKS * ROWS_A_WEEK);
    let first: i64 =
        sqlx::query_scalar("select coalesce(max(keyword_id), 0) + 1 from core.keywords").fetch_one(db).await?;
    let mut connection = db.acquire().await?;
    for statement in [
        "select core.make_partitions('2024-11-01', '2026-12-01')".to_owned(),
        "set session_replication_role = replica".to_owned(),
        // Keywords of the three marketplaces in turn.
        format!(
            "insert into core.keywords (keyword_id, marketplace, market, keyword_text, original_text,
                 normalization_version, created_at)
             overriding system value
             select number, (array['amazon', 'etsy', 'ebay'])[number % 3 + 1], 'US', 'filler ' || number, 'filler ' || number,
                    1, '2024-11-01'
             from generate_series({first}, {first} + {keywords} - 1) number"
        ),
        "select setval(pg_get_serial_sequence('core.keywords', 'keyword_id'), max(keyword_id)) from core.keywords".to_owned(),
        // One payload for each keyword and week, under numbers that no other has.
        format!(
            "insert into raw.payloads (raw_payload_id, request_key, marketplace, market, resource, keyword_id, crawl_run_id,
                 page_number, request_method, request_url, status_code, response_headers, body_encoding, body_size_bytes,
                 content_sha256, fetched_at, ingested_at, purged_at)
             overriding system value
             select 1000000000 + keyword_id * {WEEKS} + week, 'filler:' || keyword_id || ':' || week,
                    (array['amazon', 'etsy', 'ebay'])[keyword_id % 3 + 1], 'US',
                    (array['catalog_search', 'listing_batch', 'item_search'])[keyword_id % 3 + 1], keyword_id, (select crawl_run_id from ops.crawl_runs limit 1), 1, 'GET', '/', 200, '{{}}',
                    'zstd', 0, sha256(''), at, at, at
             from generate_series({first}, {first} + {keywords} - 1) keyword_id,
                  generate_series(0, {WEEKS} - 1) week,
                  lateral (select timestamptz '2024-11-03 07:00Z' + make_interval(weeks => week) as at) moment"
        ),
        format!(
            "insert into raw.payload_readings (raw_payload_id, outcome, reader_version, row_count, observation_count,
                 listing_count, serp_entry_count, quarantined_row_count, untracked_row_count, missing_row_count, read_at)
             select raw_payload_id, 'processed', 1, 0, 0, 0, 0, 0, 0, 0, ingested_at
             from raw.payloads where request_key like 'filler:%' and keyword_id >= {first}"
        ),
        format!(
            "insert into core.listings (marketplace, market, marketplace_listing_id, title, title_seen_at, first_seen_at,
                 last_seen_at)
             select 'ebay', 'US', 'filler|' || keyword_id || '|' || place, 'a listing that fills', '2024-11-03', '2024-11-03',
                    '2026-10-25'
             from generate_series({first}, {first} + {keywords} - 1) keyword_id, generate_series(1, {ROWS_A_WEEK}) place
             on conflict do nothing"
        ),
        // The first metric of each marketplace is its demand; Amazon's is that of a week.
        format!(
            "insert into core.keyword_observations (keyword_id, metric, value, unit, value_status, resource, observed_at,
                 period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id, crawl_run_id)
             select keyword_id, coalesce((array['search_frequency_rank', 'listing_views_per_week'])[keyword_id % 3 + 1], 'auction_bids'),
                    1 + random() * 1000, 'each its own', 'observed',
                    (array['search_terms_report', 'listing_batch', 'item_search'])[keyword_id % 3 + 1], at, at::date,
                    at::date + case when keyword_id % 3 = 0 then 6 else 0 end,
                    case when keyword_id % 3 = 0 then 'week' else 'instant' end, at, at, 1000000000 + keyword_id * {WEEKS} + week,
                    (select crawl_run_id from ops.crawl_runs limit 1)
             from generate_series(0, {WEEKS} - 1) week,
                  generate_series({first}, {first} + {keywords} - 1) keyword_id,
                  lateral (select timestamptz '2024-11-03 07:00Z' + make_interval(weeks => week) as at) moment
             union all
             select keyword_id, metric, random() * 1000, 'listings', 'observed', 'item_search', at, at::date, at::date,
                    'instant', at, at, 1000000000 + keyword_id * {WEEKS} + week,
                    (select crawl_run_id from ops.crawl_runs limit 1)
             from generate_series(0, {WEEKS} - 1) week,
                  generate_series({first}, {first} + {keywords} - 1) keyword_id,
                  lateral (select timestamptz '2024-11-03 07:00Z' + make_interval(weeks => week) as at) moment,
                  unnest(array['result_count', 'seller_count', 'seller_concentration', 'price_median', 'title_match_share',
                               'promoted_share', 'auction_count', 'seller_feedback_median', 'cpc_suggested']) metric"
        ),
        format!(
            "insert into core.listing_observations (raw_payload_id, listing_id, observed_at, price_amount, price_currency,
                 seller_feedback_score, is_promoted, ingested_at)
             select 1000000000 + keyword_id * {WEEKS} + week, first_listing + place, at, 9.99, 'USD', 100, false, at
             from generate_series(0, {WEEKS} - 1) week,
                  generate_series({first}, {first} + {with_entries} - 1) keyword_id,
                  generate_series(1, {ROWS_A_WEEK}) place,
                  lateral (select timestamptz '2024-11-03 07:00Z' + make_interval(weeks => week) as at) moment,
                  lateral (select 1000 + (keyword_id % 10000) * {ROWS_A_WEEK} as first_listing) listing"
        ),
        format!(
            "insert into core.serp_entries (raw_payload_id, position, keyword_id, listing_id, entry_kind, observed_at,
                 ingested_at)
             select 1000000000 + keyword_id * {WEEKS} + week, place, keyword_id, 1000 + (keyword_id % 10000) * {ROWS_A_WEEK} + place,
                    'organic', at, at
             from generate_series(0, {WEEKS} - 1) week,
                  generate_series({first}, {first} + {with_entries} - 1) keyword_id,
                  generate_series(1, {ROWS_A_WEEK}) place,
                  lateral (select timestamptz '2024-11-03 07:00Z' + make_interval(weeks => week) as at) moment"
        ),
        // Every quarter of a year a model predicted eight weeks ahead, and a score was computed.
        "insert into ml.score_definitions (score_version, definition, description, is_current) values ('filler', '{}', 'fills', true)
         on conflict do nothing"
            .to_owned(),
        format!(
            "insert into ml.competition_scores (keyword_id, week_start_date, score_version, score, level, contributions,
                 source_payload_ids, observed_at, scored_at)
             select keyword_id, sunday, 'filler', 0.5, 'medium', jsonb_build_object('supply', 0.5), '{{}}', sunday, sunday
             from generate_series({first}, {first} + {keywords} - 1) keyword_id,
                  generate_series(date '2024-11-03', date '2026-10-25', interval '13 weeks') sunday"
        ),
        format!(
            "insert into ml.predictions (keyword_id, target_kind, target_metric, unit, as_of_date, horizon_days, target_date,
                 current_value, predicted_value, lo_80, hi_80, lo_95, hi_95, is_abstained, feature_set_version,
                 observation_count, source_list, data_quality_score, run_id, predicted_at, model_version_id)
             select keyword_id, kind, 'auction_bids', 'bids', sunday, horizon * 7, sunday + horizon * 7, 1, 1, 0, 2, 0, 3, false,
                    'filler', 104, '{{}}', 1, '00000000-0000-0000-0000-000000000000', sunday, 1
             from generate_series({first}, {first} + {keywords} - 1) keyword_id, unnest(array['demand', 'competition']) kind,
                  generate_series(1, 8) horizon,
                  lateral (select date '2024-11-03' + 91 * quarter as sunday from generate_series(0, 7) quarter) origins"
        ),
        // All of it is visible.
        "insert into core.publications (crawl_run_id, marketplace, market, state, checks, decided_at, decided_by, evaluated_at)
         select crawl_run_id, marketplace, market, 'published', '[]', created_at, 'the bench', created_at from ops.crawl_runs
         on conflict do nothing"
            .to_owned(),
        "set session_replication_role = origin".to_owned(),
    ] {
        let what = statement.split('(').next().unwrap_or_default().to_owned();
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await.context(what)?;
    }
    Ok(())
}
