//! The canary: a keyword that always has results. When a search finds nothing, it tells a keyword nobody offers anything for
//! from a marketplace that shows us nothing.

use digitallz_common::jobs::FetchPage;
use digitallz_common::marketplace::Site;
use sqlx::PgPool;

use crate::ask::Asking;
use crate::marketplaces::adapter::{Question, Step};

/// How long a canary is believed.
const BELIEVED_S: f64 = 900.0;

/// Tells whether a search that found nothing may be believed: the canary, asked by the same operation, was found lately.
///
/// A canary that cannot be asked now leaves the question open; then the answer is not believed either, and is asked again.
pub async fn is_believable(
    asking: &Asking<'_>,
    empty: &Question,
    operation: &'static str,
) -> Result<bool, sqlx::Error> {
    let pool = &asking.ctx.db;
    let site = &empty.job.site;
    let known = sqlx::query_scalar!(
        r#"select canary_is_healthy as "is_healthy!" from ops.source_health
           where marketplace = $1 and market = $2 and operation = $3 and canary_is_healthy is not null
             and canary_checked_at > now() - make_interval(secs => $4)"#,
        site.marketplace.name(),
        site.market,
        operation,
        BELIEVED_S,
    )
    .fetch_optional(pool)
    .await?;
    if known == Some(true) {
        return Ok(true);
    }
    let Some(keyword) = asking.ctx.marketplaces.canary() else { return Ok(true) };
    let question = Question {
        job: FetchPage { keyword_id: None, page_number: 1, cursor: None, then: Vec::new(), ..empty.job.clone() },
        keyword_text: Some(keyword.to_owned()),
        keyword_texts: Vec::new(),
        cursor: None,
    };
    let is_healthy = match Box::pin(asking.exchange(question.clone(), None)).await {
        Ok((exchange, Step::Keep(_))) => !asking.channel.adapter.found_nothing(&question, &exchange.answer),
        Ok(_) | Err(_) => false,
    };
    note(pool, site, operation, is_healthy).await?;
    Ok(is_healthy)
}

async fn note(pool: &PgPool, site: &Site, operation: &str, is_healthy: bool) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into ops.source_health (marketplace, market, operation, canary_checked_at, canary_is_healthy)
         values ($1, $2, $3, now(), $4)
         on conflict (marketplace, market, operation) do update
         set canary_checked_at = excluded.canary_checked_at, canary_is_healthy = excluded.canary_is_healthy",
        site.marketplace.name(),
        site.market,
        operation,
        is_healthy,
    )
    .execute(pool)
    .await?;
    Ok(())
}
