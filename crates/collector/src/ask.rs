//! Asks a marketplace until an answer is reached that ends the try, and decides what a bad answer means for the job.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use digitallz_common::failure::{Failure, chain};
use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue::Attempt;
use digitallz_common::raw_payload::NewRawPayload;
use digitallz_common::secret::Secret;
use rand::Rng;

use crate::Context;
use crate::exchange::{Answer, Expects, Request, TokenKind, open_url};
use crate::http::{Http, HttpError};
use crate::limiter::Wait;
use crate::marketplaces::adapter::{AnswerError, Question, Step};
use crate::marketplaces::{Channel, credential_settings};

/// Most requests that one try may ask one after the other.
const ASKS_MAX: usize = 10;

/// Shortest pause after a refusal for too many requests.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Longest pause that is chosen here; a marketplace may ask for a longer one.
const PAUSE_MAX: Duration = Duration::from_secs(900);

/// One question and all that is needed to ask it.
pub struct Asking<'a> {
    /// The database and the clock.
    pub ctx: &'a Context,
    /// The running try.
    pub attempt: &'a Attempt,
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
        let mut asks = 1;
        loop {
            let (exchange, step) = self.exchange(question).await?;
            match step {
                Step::Ask(cursor) if asks < ASKS_MAX => {
                    asks += 1;
                    question = Question { cursor: Some(cursor), ..exchange.question };
                }
                step => return Ok((exchange, step)),
            }
        }
    }

    /// Sends one request, a second time with a fresh token if the first token is refused.
    async fn exchange(&self, question: Question) -> Result<(Exchange, Step), Stop> {
        let mut is_second = false;
        loop {
            let adapter = &self.channel.adapter;
            let mut request = adapter.request(&question).map_err(Failure::give_up)?;
            let mut token = None;
            if let Some(kind) = request.token {
                let issued = self.token(kind).await?;
                request = adapter.authorize(request, &issued);
                token = Some(issued);
            }
            let answer = self.send(&request).await?;
            let exchange = Exchange { question: question.clone(), request, answer };
            let (exchange, read) = self.read(exchange).await?;
            let error = match read {
                Ok(step) => return Ok((exchange, step)),
                Err(AnswerError::Unusable(reason)) => {
                    return Err(Stop::Evidence { exchange: Box::new(exchange), reason });
                }
                Err(error) => error,
            };
            if let (AnswerError::Unauthorized(_), Some(token), false) = (&error, &token, is_second) {
                self.channel.tokens.forget(token).await;
                is_second = true;
                continue;
            }
            return Err(self.failure(exchange.request.operation, error).into());
        }
    }

    /// Returns the access token, a fresh one if need be; only one job at a time fetches it.
    async fn token(&self, kind: TokenKind) -> Result<Secret, Failure> {
        let mut slot = self.channel.tokens.open().await;
        if let Some(token) = slot.current() {
            return Ok(token);
        }
        let Some(request) = self.channel.adapter.token_request(kind) else {
            return Err(Failure::GiveUp { cause: format!("{} issues no tokens", self.marketplace()) });
        };
        let answer = self.send(&request).await?;
        match self.channel.adapter.read_token(&answer) {
            Ok(issued) => Ok(slot.keep(issued)),
            Err(error) => Err(self.failure(request.operation, error)),
        }
    }

    /// Waits for its turn and sends a request.
    async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let limiter = &self.channel.limiter;
        limiter.acquire(request.operation, self.ctx.clock.now()).await.map_err(put_off)?;
        self.attempt.count_request();
        let answer = self.http.send(request, &self.ctx.clock).await.map_err(|error| match error {
            HttpError::TooLarge { .. } | HttpError::Header(_) | HttpError::Setup(_) => Failure::give_up(error),
            HttpError::Exchange { .. } | HttpError::Body { .. } | HttpError::Spool(_) => Failure::retry(error),
        })?;
        limiter.learn(request.operation, self.channel.adapter.stated_limit(&answer));
        Ok(answer)
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
    fn failure(&self, operation: &str, error: AnswerError) -> Failure {
        let marketplace = self.marketplace();
        let cause = format!("{marketplace} {operation}: {}", chain(&error));
        match error {
            AnswerError::TooManyRequests { retry_after, .. } => {
                let delay = self.pause(operation, retry_after);
                Failure::Snooze { cause, delay }
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

    /// Holds the operation up for everybody, and returns how long this job is put off.
    fn pause(&self, operation: &str, retry_after: Option<Duration>) -> Duration {
        let limiter = &self.channel.limiter;
        if let Some(delay) = retry_after {
            let delay = delay.max(PAUSE_MIN);
            limiter.pause(operation, delay);
            return delay;
        }
        let period = limiter.period(operation).max(PAUSE_MIN);
        limiter.pause(operation, period);
        own_delay(self.attempt.try_number, rand::rng().random_range(0.5..=1.0)).max(period)
    }

    fn marketplace(&self) -> Marketplace {
        self.channel.marketplace
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

/// Puts a job off whose turn is too far away, a little longer than needed so that not all come back at once.
fn put_off(wait: Wait) -> Failure {
    let delay = wait.delay.mul_f64(rand::rng().random_range(1.0..=1.25));
    Failure::Snooze { cause: wait.to_string(), delay }
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
