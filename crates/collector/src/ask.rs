//! Asks a marketplace until an answer is reached that ends the try, and decides what a bad answer means for the job.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use digitallz_common::failure::{Failure, chain};
use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue::Attempt;
use digitallz_common::raw_payload::NewRawPayload;
use digitallz_common::secret::Secret;
use rand::Rng;
use tracing::warn;
use uuid::Uuid;

use crate::Context;
use crate::canary;
use crate::exchange::{Answer, Expects, Request, TokenKind, open_url};
use crate::gate::{self, Source};
use crate::http::{Http, HttpError};
use crate::marketplaces::adapter::{AnswerError, Question, Step};
use crate::marketplaces::{Channel, credential_settings};
use crate::quota::ledger::{self, End, LedgerError, Lesson, Purpose, Scope};
use crate::quota::{Held, NoPermit, Pacer};
use crate::token::Found;

/// Most requests that one try may ask one after the other.
const ASKS_MAX: usize = 10;

/// Shortest pause after a refusal for too many requests.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Longest pause that is chosen here; a marketplace may ask for a longer one.
const PAUSE_MAX: Duration = Duration::from_secs(900);

/// How long a document may take that has no time limit as a whole.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(3_600);

/// How often a marketplace that says nothing of limits in its answers is asked for them.
const LIMITS_EVERY: Duration = Duration::from_secs(900);

/// One question and all that is needed to ask it.
pub struct Asking<'a> {
    /// The database and the clock.
    pub ctx: &'a Context,
    /// The running try; none for a person who looks.
    pub attempt: Option<&'a Attempt>,
    /// The marketplace.
    pub channel: &'a Channel,
    /// The way out.
    pub http: &'a Http,
}

/// A question, the request that was sent and the answer that came.
pub struct Exchange {
    /// The question.
    pub question: Question,
    /// The request.
    pub request: Request,
    /// The answer.
    pub answer: Answer,
}

/// Why asking came to no good answer.
pub enum Stop {
    /// There is none.
    Failure(Failure),
    /// Something came that is not what was asked for.
    Evidence {
        /// What came.
        exchange: Box<Exchange>,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}

impl Asking<'_> {
    /// Asks until an answer is reached that ends the try.
    pub async fn ask(&self, mut question: Question) -> Result<(Exchange, Step), Stop> {
        let crawl_run_id = Some(question.job.crawl_run_id);
        self.ask_for_limits(&question).await;
        let mut asks = 1;
        loop {
            let (exchange, step) = self.exchange(question, crawl_run_id).await?;
            match step {
                Step::Ask(cursor) if asks < ASKS_MAX => {
                    asks += 1;
                    question = Question { cursor: Some(cursor), ..exchange.question };
                }
                Step::Keep(_) if self.channel.adapter.found_nothing(&exchange.question, &exchange.answer) => {
                    return self.believe_or_not(exchange, step).await;
                }
                step => return Ok((exchange, step)),
            }
        }
    }

    /// Sends one request, a second time with a fresh token if the first token is refused.
    pub async fn exchange(&self, question: Question, crawl_run_id: Option<Uuid>) -> Result<(Exchange, Step), Stop> {
        let pool = &self.ctx.db;
        let mut is_second = false;
        loop {
            let adapter = &self.channel.adapter;
            let mut request = adapter.request(&question).map_err(Failure::give_up)?;
            let source = Source { site: &question.job.site, operation: request.operation };
            let standing = gate::check(pool, source).await?;
            let mut token = None;
            if let Some(kind) = request.token {
                let issued = self.token(kind).await?;
                request = adapter.authorize(request, &issued);
                token = Some((kind, issued));
            }
            let answer = match self.send(&request, crawl_run_id).await {
                Ok(answer) => answer,
                Err(Unsent::Unreachable(failure)) => {
                    gate::note_failure(pool, source, self.ctx.marketplaces.breaker(), failure.cause())
                        .await
                        .map_err(Failure::from)?;
                    return Err(failure.into());
                }
                Err(Unsent::Failure(failure)) => return Err(failure.into()),
            };
            let exchange = Exchange { question: question.clone(), request, answer };
            let (exchange, read) = self.read(exchange).await?;
            let source = Source { site: &question.job.site, operation: exchange.request.operation };
            let error = match read {
                Ok(step) => {
                    gate::note_success(pool, source, standing).await.map_err(Failure::from)?;
                    return Ok((exchange, step));
                }
                Err(error) => error,
            };
            if let (AnswerError::Unauthorized(_), Some((kind, token)), false) = (&error, &token, is_second) {
                self.channel.tokens.forget(pool, *kind, token).await.map_err(Failure::from)?;
                is_second = true;
                continue;
            }
            if error.is_of_the_source() {
                let config = self.ctx.marketplaces.breaker();
                gate::note_failure(pool, source, config, &chain(&error)).await.map_err(Failure::from)?;
            }
            if let AnswerError::Unusable(reason) = error {
                return Err(Stop::Evidence { exchange: Box::new(exchange), reason });
            }
            return Err(self.failure(exchange.request.operation, error).into());
        }
    }

    /// Believes an answer that nothing matches only while the canary sings.
    async fn believe_or_not(&self, exchange: Exchange, step: Step) -> Result<(Exchange, Step), Stop> {
        let operation = exchange.request.operation;
        if canary::is_believable(self, &exchange.question, operation).await.map_err(Failure::from)? {
            return Ok((exchange, step));
        }
        let reason = "blocked, nothing is found even for a keyword that always has results".to_owned();
        let source = Source { site: &exchange.question.job.site, operation };
        let config = self.ctx.marketplaces.breaker();
        gate::note_failure(&self.ctx.db, source, config, &reason).await.map_err(Failure::from)?;
        Err(Stop::Evidence { exchange: Box::new(exchange), reason })
    }

    /// Returns the access token, a fresh one if need be; of all collectors one fetches it.
    pub async fn token(&self, kind: TokenKind) -> Result<Secret, Failure> {
        const LOOK: Duration = Duration::from_millis(100);
        const LOOKS_MAX: u32 = 50;
        let (pool, tokens) = (&self.ctx.db, &self.channel.tokens);
        for _ in 0..LOOKS_MAX {
            match tokens.find(pool, kind).await? {
                Found::Token(token) => return Ok(token),
                Found::Wait => tokio::time::sleep(LOOK).await,
                Found::FetchIt => {
                    let fetched = self.fetch_token(kind).await;
                    if fetched.is_err() {
                        tokens.abandon(pool, kind).await?;
                    }
                    return fetched;
                }
            }
        }
        let cause = format!("{}: another collector is fetching an access token", self.marketplace());
        Err(Failure::Snooze { cause, delay: PAUSE_MIN * 2 })
    }

    async fn fetch_token(&self, kind: TokenKind) -> Result<Secret, Failure> {
        let Some(request) = self.channel.adapter.token_request(kind) else {
            let cause = format!("{} grants no {} token with these settings", self.marketplace(), kind.name());
            return Err(Failure::GiveUp { cause });
        };
        let answer = self.send(&request, None).await.map_err(Unsent::into_failure)?;
        match self.channel.adapter.read_token(kind, &answer) {
            Ok(issued) => Ok(self.channel.tokens.keep(&self.ctx.db, kind, issued).await?),
            Err(error) => Err(self.failure(request.operation, error)),
        }
    }

    /// Waits for a permit, sends a request, and settles the permit with what the answer teaches.
    async fn send(&self, request: &Request, crawl_run_id: Option<Uuid>) -> Result<Answer, Unsent> {
        let pool = &self.ctx.db;
        let pacer = self.channel.pacer(request.operation, request.partition);
        let held = self.permit(&pacer, request, crawl_run_id).await?;
        let sent = self.http.send(request, &self.ctx.clock).await;
        let (end, lesson) = match &sent {
            Ok(answer) => (End::Spent(Some(answer.status)), self.lesson(request.operation, answer)),
            Err(HttpError::Exchange { source, .. }) if source.is_connect() => {
                (End::Returned, Lesson { is_trouble: true, ..Lesson::default() })
            }
            Err(HttpError::Header(_) | HttpError::Setup(_)) => (End::Returned, Lesson::default()),
            Err(_) => (End::Spent(None), Lesson { is_trouble: true, ..Lesson::default() }),
        };
        if let (Some(attempt), Some(_), End::Spent(_)) = (self.attempt, crawl_run_id, end) {
            attempt.count_request();
        }
        if let Err(problem) = pacer.settle(pool, &held, end, &lesson, self.ctx.world()).await {
            // The answer is worth more than the account: an open permit counts as spent until it expires, and then too.
            warn!(operation = request.operation, error = %chain(&problem), "failed to settle a permit");
        }
        sent.map_err(|error| match error {
            HttpError::TooLarge { .. } | HttpError::Header(_) | HttpError::Setup(_) => {
                Unsent::Failure(Failure::give_up(error))
            }
            HttpError::Exchange { .. } | HttpError::Body { .. } => Unsent::Unreachable(Failure::retry(error)),
            // The disk here, not the marketplace.
            HttpError::Spool(_) => Unsent::Failure(Failure::retry(error)),
        })
    }

    /// Waits for a permit that is still good when it is in hand.
    async fn permit(&self, pacer: &Pacer, request: &Request, crawl_run_id: Option<Uuid>) -> Result<Held, Unsent> {
        let timeout = match request.expects {
            Expects::Json => self.http.timeout(),
            Expects::Document => DOCUMENT_TIMEOUT,
        };
        let holder = self.ctx.marketplaces.holder();
        loop {
            let purpose = Purpose {
                marketplace: self.marketplace(),
                operation: request.operation,
                crawl_run_id,
                job_id: self.attempt.map(|attempt| attempt.job_id),
                timeout,
                holder: holder.id(&self.ctx.db).await.map_err(|problem| Unsent::Failure(problem.into()))?,
            };
            let is_urgent = self.attempt.is_none_or(|attempt| attempt.priority > 0);
            let held = pacer.acquire(&self.ctx.db, purpose, self.ctx.world(), is_urgent).await?;
            if holder.is_seen_as(purpose.holder).await && held.is_valid() {
                return Ok(held);
            }
            pacer.settle(&self.ctx.db, &held, End::Returned, &Lesson::default(), self.ctx.world()).await?;
        }
    }

    /// Draws from an answer what everybody should know about the limits.
    fn lesson(&self, operation: &str, answer: &Answer) -> Lesson {
        let statements = self.channel.adapter.statements(answer);
        let pause = match answer.status {
            429 => Some(answer.retry_after().unwrap_or(PAUSE_MIN).max(PAUSE_MIN)),
            503 => answer.retry_after(),
            _ => None,
        };
        if answer.status == 429 {
            warn!(
                marketplace = self.marketplace().name(),
                operation,
                "{} refused {operation} for too many requests",
                self.marketplace()
            );
            self.channel.limits_are_doubted.store(true, Ordering::Relaxed);
        }
        Lesson { statements, pause, is_trouble: matches!(answer.status, 408 | 429 | 500..) }
    }

    /// Asks a marketplace for the limits, now and then and after it refused a request, where its answers tell nothing of them.
    async fn ask_for_limits(&self, question: &Question) {
        let Some(mut request) = self.channel.adapter.limits_request() else { return };
        // The others wait: what is learnt may be that they must not ask at all.
        let mut asked_at = self.channel.limits_asked_at.lock().await;
        let is_wanted = self.channel.limits_are_doubted.swap(false, Ordering::Relaxed);
        if !is_wanted && asked_at.is_some_and(|asked_at| asked_at.elapsed() < LIMITS_EVERY) {
            return;
        }
        *asked_at = Some(Instant::now());
        let learnt = async {
            if let Some(kind) = request.token {
                let token = self.token(kind).await?;
                request = self.channel.adapter.authorize(request, &token);
            }
            let answer = self.send(&request, None).await.map_err(Unsent::into_failure)?;
            let said = self.channel.adapter.read_limits(&answer).map_err(Failure::retry)?;
            for (scope, statement) in said {
                let limit = self.channel.scope_limit(scope);
                if limit.windows.is_empty() {
                    continue;
                }
                let scope = Scope {
                    quota_id: self.channel.open_account(&self.ctx.db, request.partition, &limit).await?,
                    name: limit.scope,
                    is_set_by_operator: limit.is_set_by_operator,
                };
                ledger::learn(&self.ctx.db, &scope, &[statement], self.ctx.world()).await?;
            }
            Ok::<(), Failure>(())
        };
        if let Err(problem) = learnt.await {
            warn!(marketplace = self.marketplace().name(), site = %question.job.site, cause = problem.cause(),
                "failed to ask {} for its limits: {}", self.marketplace(), problem.cause());
        }
    }

    async fn read(&self, exchange: Exchange) -> Result<(Exchange, Result<Step, AnswerError>), Failure> {
        let adapter = Arc::clone(&self.channel.adapter);
        let expects = exchange.request.expects;
        let read = move || {
            let step = adapter.read(&exchange.question, &exchange.answer);
            (exchange, step)
        };
        match expects {
            Expects::Json => Ok(read()),
            // A document of some gigabytes is unpacked to be checked: not on a thread that others wait for.
            Expects::Document => tokio::task::spawn_blocking(read).await.map_err(Failure::retry),
        }
    }

    /// Decides what becomes of the job after a bad answer.
    fn failure(&self, operation: &'static str, error: AnswerError) -> Failure {
        let marketplace = self.marketplace();
        let cause = format!("{marketplace} {operation}: {}", chain(&error));
        match error {
            AnswerError::TooManyRequests { retry_after, .. } => {
                let tries = self.attempt.map_or(1, |attempt| attempt.try_number);
                let own = || own_delay(tries, rand::rng().random_range(0.5..=1.0));
                Failure::Snooze { cause, delay: retry_after.unwrap_or_else(own).max(PAUSE_MIN) }
            }
            AnswerError::Unavailable { status: 503, retry_after: Some(delay), .. } => {
                Failure::Snooze { cause, delay: delay.max(PAUSE_MIN) }
            }
            AnswerError::Unauthorized(_) => {
                let settings = credential_settings(marketplace).join(", ");
                Failure::GiveUp { cause: format!("{cause}; check credentials {settings}") }
            }
            AnswerError::Unavailable { .. } | AnswerError::Unusable(_) | AnswerError::Lost(_) => {
                Failure::Retry { cause }
            }
            AnswerError::Refused { .. } | AnswerError::Misconfigured(_) | AnswerError::Failed(_) => {
                Failure::GiveUp { cause }
            }
        }
    }

    fn marketplace(&self) -> Marketplace {
        self.channel.marketplace
    }
}

/// Why a request brought no answer.
enum Unsent {
    /// The marketplace could not be reached, or fell silent.
    Unreachable(Failure),
    /// It was not sent, or what came cannot be taken.
    Failure(Failure),
}

impl Unsent {
    fn into_failure(self) -> Failure {
        match self {
            Unsent::Unreachable(failure) | Unsent::Failure(failure) => failure,
        }
    }
}

impl From<NoPermit> for Unsent {
    fn from(none: NoPermit) -> Unsent {
        Unsent::Failure(match none {
            NoPermit::Wait(wait) => Failure::Snooze { cause: wait.to_string(), delay: wait.delay },
            NoPermit::OverBudget { .. } => Failure::GiveUp { cause: none.to_string() },
            NoPermit::Ledger(problem) => problem.into(),
        })
    }
}

impl From<LedgerError> for Unsent {
    fn from(problem: LedgerError) -> Unsent {
        Unsent::Failure(problem.into())
    }
}

/// The database may come back.
impl From<LedgerError> for Failure {
    fn from(problem: LedgerError) -> Failure {
        Failure::retry(problem)
    }
}

impl Exchange {
    /// Makes of the answer what is stored.
    pub fn into_payload(self, request_key: String, attempt: &Attempt, now: DateTime<Utc>) -> NewRawPayload {
        let job = self.question.job;
        NewRawPayload {
            request_key,
            site: job.site,
            resource: job.resource,
            keyword_id: job.keyword_id,
            crawl_run_id: job.crawl_run_id,
            job_id: Some(attempt.job_id),
            page_number: job.page_number,
            request_method: self.request.method.name().to_owned(),
            request_url: open_url(&self.request.url),
            request_body: self.request.open_body(),
            status_code: self.answer.status,
            response_headers: self.answer.open_headers(),
            content_type: self.answer.media_type(),
            fetched_at: self.answer.received_at,
            body: self.answer.into_body(),
            ingested_at: now,
        }
    }
}

/// Returns how long a job pauses that was not told how long: doubled with each try, within bounds, partly random.
fn own_delay(try_number: i32, share: f64) -> Duration {
    const FIRST: Duration = Duration::from_secs(2);
    let doublings = try_number.clamp(1, 16) as u32 - 1;
    FIRST.saturating_mul(2u32.pow(doublings)).min(PAUSE_MAX).mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        assert_eq!(own_delay(1, 1.0), Duration::from_secs(2));
        assert_eq!(own_delay(4, 0.5), Duration::from_secs(8));
        assert_eq!(own_delay(i32::MAX, 1.0), PAUSE_MAX);
        assert_eq!(own_delay(0, 1.0), Duration::from_secs(2));
    }
}
