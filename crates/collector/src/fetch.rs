//! Fetches one page: asks the marketplace, keeps the answer, and enqueues what follows from it.

use digitallz_common::failure::Failure;
use digitallz_common::jobs::{FetchPage, Job, ProcessPayload};
use digitallz_common::keyword;
use digitallz_common::queue::{self, Attempt};
use digitallz_common::raw_payload;
use sqlx::PgConnection;
use tracing::{info, warn};

use crate::Context;
use crate::ask::{Asking, Exchange, Stop};
use crate::marketplaces::adapter::{NextFetch, Question, Step};

/// Version under which the collector itself quarantines: it reads nothing, so it has none.
const READER_VERSION: i16 = 0;

/// Fetches one page.
pub async fn run(ctx: &Context, attempt: &Attempt, job: FetchPage) -> Result<(), Failure> {
    crate::terms::check(&mut *ctx.db.acquire().await?, job.site.marketplace).await?;
    let request_key = Job::FetchPage(job.clone()).key();
    let Some(question) = load(ctx, &request_key, job).await? else { return Ok(()) };
    let site = question.job.site.clone();
    let channel = ctx.marketplaces.channel(site.marketplace).map_err(Failure::give_up)?;

    let asking = Asking { ctx, attempt: Some(attempt), channel, http: ctx.marketplaces.http() };
    let (exchange, step) = match asking.ask(question).await {
        Ok(reached) => reached,
        Err(Stop::Failure(failure)) => return Err(failure),
        Err(Stop::Evidence { exchange, reason }) => {
            keep_evidence(ctx, attempt, &request_key, *exchange, &reason).await?;
            return Err(Failure::Retry { cause: format!("{site} answered what was not asked for: {reason}") });
        }
    };

    let job = exchange.question.job.clone();
    let (is_kept, next) = match step {
        Step::Keep(next) => (true, next),
        Step::Continue(next) => (false, vec![next]),
        Step::End => (false, Vec::new()),
        Step::Wait { cause, delay } => return Err(Failure::Snooze { cause, delay }),
        Step::Ask(_) => return Err(Failure::Retry { cause: format!("{site} sent the question on and on") }),
    };

    let payload = match is_kept {
        true => {
            let payload = exchange.into_payload(request_key, attempt, ctx.clock.now());
            Some(ctx.body_stores.stow(&ctx.db, payload).await?)
        }
        false => None,
    };
    let mut tx = ctx.db.begin().await?;
    if let Some(payload) = payload
        && let Some(raw_payload_id) = raw_payload::insert(&mut tx, &payload).await?
    {
        let process = ProcessPayload { raw_payload_id, crawl_run_id: job.crawl_run_id };
        queue::enqueue(&mut tx, &Job::ProcessPayload(process), attempt.priority).await?;
    }
    for fetch in next {
        queue::enqueue(&mut tx, &Job::FetchPage(follow(&job, fetch)), attempt.priority).await?;
    }
    attempt.complete(&mut tx).await?;
    tx.commit().await?;
    info!(crawl_run.id = %job.crawl_run_id, marketplace = site.marketplace.name(), resource = job.resource.name(),
        page_number = job.page_number, "fetched {} page {} of {site}", job.resource, job.page_number);
    Ok(())
}

/// Loads what the question needs; nothing when its answer is stored already.
async fn load(ctx: &Context, request_key: &str, job: FetchPage) -> Result<Option<Question>, Failure> {
    let mut connection = ctx.db.acquire().await?;
    // A job that was killed between its commit and its acknowledgement must not ask again.
    if is_stored(&mut connection, request_key).await? {
        return Ok(None);
    }
    let keyword_text = match job.keyword_id {
        None => None,
        Some(keyword_id) => match keyword::text(&mut connection, keyword_id).await {
            Ok(text) => Some(text),
            Err(sqlx::Error::RowNotFound) => {
                return Err(Failure::GiveUp { cause: format!("there is no keyword {keyword_id} to ask for") });
            }
            Err(error) => return Err(error.into()),
        },
    };
    let keyword_texts = keyword::texts(&mut connection, &job.keyword_ids).await?;
    let cursor = job.cursor.clone();
    Ok(Some(Question { job, keyword_text, keyword_texts, cursor }))
}

/// Makes the job that follows from an answer.
fn follow(job: &FetchPage, next: NextFetch) -> FetchPage {
    let then = if next.resource == job.resource { job.then.clone() } else { Vec::new() };
    FetchPage { resource: next.resource, page_number: next.page_number, cursor: next.cursor, then, ..job.clone() }
}

/// Keeps an answer that cannot be one, so that a person can see what came.
async fn keep_evidence(
    ctx: &Context,
    attempt: &Attempt,
    request_key: &str,
    exchange: Exchange,
    reason: &str,
) -> Result<(), Failure> {
    let now = ctx.clock.now();
    let request_key = format!("{request_key}:rejected:{}", attempt.try_number);
    let operation = exchange.request.operation;
    let payload = exchange.into_payload(request_key, attempt, now);
    let payload = ctx.body_stores.stow(&ctx.db, payload).await?;
    let mut tx = ctx.db.begin().await?;
    if let Some(raw_payload_id) = raw_payload::insert(&mut tx, &payload).await? {
        raw_payload::quarantine(&mut tx, raw_payload_id, reason, READER_VERSION, now).await?;
    }
    tx.commit().await?;
    warn!(crawl_run.id = %payload.crawl_run_id, marketplace = payload.site.marketplace.name(), operation, reason,
        "quarantined an answer of {}: {reason}", payload.site);
    Ok(())
}

async fn is_stored(connection: &mut PgConnection, request_key: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from raw.payloads where request_key = $1) as "is_stored!""#,
        request_key
    )
    .fetch_one(connection)
    .await
}
