//! Every combination of value, status, reason, unit and period that an observation could have, and which of them the table takes.

use chrono::{Datelike, NaiveDate, Weekday};
use sqlx::Row;

use crate::harness::TestDatabase;

const STATUSES: [&str; 12] = [
    "observed",
    "estimated",
    "imputed",
    "below_threshold",
    "not_found",
    "pending",
    "unavailable",
    "invalid",
    "blocked",
    "failed",
    "quarantined",
    "no such status",
];
const VALUES: [Option<f64>; 6] = [None, Some(0.0), Some(0.5), Some(5.0), Some(f64::NAN), Some(f64::INFINITY)];
const REASONS: [Option<&str>; 3] = [None, Some("why"), Some("")];
const UNITS: [&str; 4] = ["listings", "share", "rank", ""];
const KINDS: [&str; 7] = ["instant", "day", "week", "month", "quarter", "trailing_90_days", "fortnight"];
/// The day on which all of them were observed: a Saturday, and the last of a month and of a quarter.
const OBSERVED_ON: &str = "2026-10-31";
/// First and last days, with what is wrong or right about them for some kind of period.
const SPANS: [(&str, &str); 17] = [
    ("2026-10-31", "2026-10-31"),
    ("2026-10-30", "2026-10-30"),
    ("2026-10-31", "2026-11-01"),
    ("2026-10-31", "2026-10-30"),
    ("2026-10-25", "2026-10-31"),
    ("2026-10-26", "2026-11-01"),
    ("2026-10-25", "2026-10-30"),
    ("2026-10-01", "2026-10-31"),
    ("2026-10-01", "2026-10-30"),
    ("2026-10-02", "2026-11-01"),
    ("2024-02-01", "2024-02-29"),
    ("2026-02-01", "2026-02-28"),
    ("2026-07-01", "2026-09-30"),
    ("2026-08-01", "2026-10-31"),
    ("2026-10-01", "2026-12-30"),
    ("2026-08-03", "2026-10-31"),
    ("2026-08-02", "2026-10-30"),
];

/// The rule, written without looking at the table.
fn is_allowed(attempt: &Attempt) -> bool {
    let Attempt { value, status, reason, unit, kind, start, end } = *attempt;
    let carries_value = ["observed", "estimated", "imputed"].contains(&status);
    let is_status = STATUSES[..11].contains(&status);
    let value_fits = match value {
        None => !carries_value,
        Some(value) => {
            let is_in_unit = match unit {
                "share" => (0.0..=1.0).contains(&value),
                "rank" => value >= 1.0,
                _ => true,
            };
            carries_value && value.is_finite() && is_in_unit
        }
    };
    let reason_fits = match reason {
        None => status == "observed",
        Some(reason) => status != "observed" && !reason.is_empty(),
    };
    let observed_on = day(OBSERVED_ON);
    let (start, end) = (day(start), day(end));
    let whole_months = |months: u32| {
        let month = start.month0() + months;
        let next = NaiveDate::from_ymd_opt(start.year() + (month / 12) as i32, month % 12 + 1, 1).unwrap();
        start.day() == 1 && end.succ_opt() == Some(next)
    };
    let period_fits = match kind {
        "instant" => start == observed_on && end == observed_on,
        "day" => start == end,
        "week" => start.weekday() == Weekday::Sun && (end - start).num_days() == 6,
        "month" => whole_months(1),
        "quarter" => start.month0() % 3 == 0 && whole_months(3),
        "trailing_90_days" => end == observed_on && (end - start).num_days() == 89,
        _ => false,
    };
    is_status && value_fits && reason_fits && period_fits && !unit.is_empty()
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    value: Option<f64>,
    status: &'static str,
    reason: Option<&'static str>,
    unit: &'static str,
    kind: &'static str,
    start: &'static str,
    end: &'static str,
}

/// All values with all statuses, reasons and units on one day; all kinds with all spans, values and reasons of each sort.
fn attempts() -> Vec<Attempt> {
    let (start, end) = SPANS[0];
    let mut all = Vec::new();
    for status in STATUSES {
        for (value, reason) in VALUES.into_iter().flat_map(|value| REASONS.map(|reason| (value, reason))) {
            all.extend(UNITS.map(|unit| Attempt { value, status, reason, unit, kind: "instant", start, end }));
            for kind in KINDS.into_iter().filter(|_| value.is_none_or(|value| value == 0.0 || value == 5.0)) {
                let of = |(start, end)| Attempt { value, status, reason, unit: "listings", kind, start, end };
                all.extend(SPANS.map(of));
            }
        }
    }
    all
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[tokio::test]
async fn the_table_takes_what_the_rule_allows_and_nothing_else() {
    let database = TestDatabase::new().await;
    database.make_partitions("'2025-01-01'", "now()").await;
    for statement in [
        "insert into core.keywords (marketplace, market, keyword_text, original_text, normalization_version, created_at)
         values ('ebay', 'US', 'lamp', 'lamp', 1, now())",
        "insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, created_at)
         values (gen_random_uuid(), 'manual', now(), 'ebay', 'US', now())",
        "insert into raw.payloads (request_key, marketplace, market, resource, crawl_run_id, page_number, request_method,
             request_url, status_code, response_headers, chunk_count, body_encoding, body_size_bytes, content_sha256, fetched_at,
             ingested_at)
         select 'k', 'ebay', 'US', 'item_search', crawl_run_id, 1, 'GET', '/', 200, '{}', 1, 'identity', 0, sha256(''),
                now(), now()
         from ops.crawl_runs",
        // Tries one and takes it back; null when it was taken.
        "create function refusal(value double precision, status text, reason text, unit text, kind text, first date, last date)
         returns text language plpgsql as $$
         declare refused_by text;
         begin
             insert into core.keyword_observations (keyword_id, metric, value, unit, value_status, status_reason, resource,
                 observed_at, period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id,
                 crawl_run_id)
             select keywords.keyword_id, 'result_count', value, unit, status, reason, 'item_search', '2026-10-31T23:59:59Z', first, last,
                    kind, now(), now(), raw_payload_id, crawl_run_id
             from core.keywords cross join raw.payloads;
             raise exception using errcode = 'ZZ001';
         exception
             when sqlstate 'ZZ001' then return null;
             when check_violation then
                 get stacked diagnostics refused_by = constraint_name;
                 return refused_by;
         end $$",
    ] {
        database.execute(statement).await;
    }

    let attempts = attempts();
    let texts = |of: fn(&Attempt) -> Option<&'static str>| attempts.iter().map(of).collect::<Vec<_>>();
    let dates = |of: fn(&Attempt) -> &'static str| attempts.iter().map(|one| day(of(one))).collect::<Vec<_>>();
    let rows = sqlx::query(
        "select refusal(value, status, reason, unit, kind, first, last)
         from unnest($1::float8[], $2::text[], $3::text[], $4::text[], $5::text[], $6::date[], $7::date[])
              with ordinality as all_of_them (value, status, reason, unit, kind, first, last, number)
         order by number",
    )
    .bind(attempts.iter().map(|one| one.value).collect::<Vec<_>>())
    .bind(texts(|one| Some(one.status)))
    .bind(texts(|one| one.reason))
    .bind(texts(|one| Some(one.unit)))
    .bind(texts(|one| Some(one.kind)))
    .bind(dates(|one| one.start))
    .bind(dates(|one| one.end))
    .fetch_all(&database.db)
    .await
    .unwrap();
    assert_eq!(rows.len(), attempts.len());

    let mut taken = 0;
    for (attempt, row) in attempts.iter().zip(rows) {
        let refused_by: Option<String> = row.get(0);
        assert_eq!(refused_by.is_none(), is_allowed(attempt), "{attempt:?}: {refused_by:?}");
        taken += u32::from(refused_by.is_none());
    }
    // Every kind of period was taken at least once, so the rule does not forbid everything.
    assert!(taken > 100, "{taken} of {} were taken", attempts.len());
    for kind in &KINDS[..6] {
        assert!(attempts.iter().any(|one| one.kind == *kind && is_allowed(one)), "no {kind} is allowed");
    }
    assert_eq!(database.count("select count(*) from core.keyword_observations").await, 0);
}
