//! The analysts' point queries and how long they take.

use std::time::Instant;

use anyhow::ensure;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::{AssertSqlSafe, PgPool};

/// Questions of each kind.
const QUESTIONS: usize = 400;

/// Each asks about one keyword, `$1`.
const QUERIES: [(&str, &str); 4] = [
    ("keyword_data_v1 by identifier", "select * from analytics.keyword_data_v1 where keyword_id = $1"),
    (
        "keyword_data_v1 by name",
        "select * from analytics.keyword_data_v1
         where (platform, market, keyword) = (select marketplace, market, keyword_text from core.keywords where keyword_id = $1)",
    ),
    (
        "keyword_predictions_v1",
        "select * from analytics.keyword_predictions_v1 where keyword_id = $1 and is_latest order by target_kind, target_date",
    ),
    (
        "series of two years",
        "select period_start_date, value, value_status from analytics.keyword_observations_v1
         where keyword_id = $1 and metric = 'result_count' and period_start_date >= date '2024-11-01' order by period_start_date",
    ),
];

/// Asks all of them about keywords at random, prints the percentiles and returns the slowest 95th, in milliseconds.
pub async fn slowest_p95_ms(db: &PgPool) -> anyhow::Result<f64> {
    let keyword_ids: Vec<i64> =
        sqlx::query_scalar("select keyword_id from core.keywords where keyword_text like 'filler %'")
            .fetch_all(db)
            .await?;
    let mut random = StdRng::seed_from_u64(7);
    let mut slowest: f64 = 0.0;
    println!("{:<32} {:>8} {:>8} {:>8}", "QUERY", "P50 MS", "P95 MS", "MAX MS");
    for (name, query) in QUERIES {
        let mut row_count = 0;
        let mut times_ms = Vec::with_capacity(QUESTIONS);
        let mut connection = db.acquire().await?;
        for _ in 0..QUESTIONS {
            let keyword_id = keyword_ids[random.random_range(0..keyword_ids.len())];
            let started = Instant::now();
            let rows =
                sqlx::query(AssertSqlSafe(query.to_owned())).bind(keyword_id).fetch_all(&mut *connection).await?;
            times_ms.push(started.elapsed().as_secs_f64() * 1e3);
            row_count += rows.len();
        }
        ensure!(row_count >= QUESTIONS, "{name}: {row_count} rows answer {QUESTIONS} questions");
        times_ms.sort_by(f64::total_cmp);
        let percentile = |share: f64| times_ms[((QUESTIONS - 1) as f64 * share) as usize];
        println!("{name:<32} {:>8.2} {:>8.2} {:>8.2}", percentile(0.5), percentile(0.95), percentile(1.0));
        slowest = slowest.max(percentile(0.95));
    }
    Ok(slowest)
}
