//! The list of jobs and their messages: identifiers and due times, never data that a table holds.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::marketplace::{Marketplace, Resource, Site};

/// Every kind of job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "job_name", rename_all = "snake_case")]
pub enum Job {
    /// Makes a crawl run's fetch jobs.
    PlanCrawl(PlanCrawl),
    /// Asks a marketplace for one page.
    FetchPage(FetchPage),
    /// Reads one stored raw payload.
    ProcessPayload(ProcessPayload),
    /// Fits the models anew and backtests them.
    TrainModels(TrainModels),
    /// Shares out the keywords of a scoring.
    ScoreKeywords(ScoreKeywords),
    /// Predicts for some keywords of a marketplace.
    ScoreKeywordRange(ScoreKeywordRange),
    /// Holds predictions against what came.
    ScorePredictions(ScorePredictions),
    /// Deletes what has been kept for as long as the terms of its source allow.
    PurgeExpired(PurgeExpired),
}

/// Makes one fetch job per keyword and resource of a crawl run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanCrawl {
    /// The run.
    pub crawl_run_id: Uuid,
}

/// Asks a marketplace for one page and stores its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FetchPage {
    /// The run it belongs to.
    pub crawl_run_id: Uuid,
    /// Where to ask.
    pub site: Site,
    /// What to ask for.
    pub resource: Resource,
    /// The keyword to ask for; absent when the resource is about many or about the whole market.
    pub keyword_id: Option<i64>,
    /// The keywords to ask for, where one request is about many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keyword_ids: Vec<i64>,
    /// The resources that are to be asked for next, where the answer tells of what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Resource>,
    /// Page within the run and resource, from 1; where one request is about many keywords, the number of the request.
    pub page_number: i32,
    /// Where to continue, in the words of the marketplace's adapter; absent at the start.
    pub cursor: Option<String>,
    /// The moment for which the run collects.
    pub scheduled_for: DateTime<Utc>,
}

/// Reads one stored raw payload and writes what it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessPayload {
    /// The payload.
    pub raw_payload_id: i64,
    /// The run it belongs to.
    pub crawl_run_id: Uuid,
}

/// Fits every model on what was known at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainModels {
    /// The moment.
    pub as_of: DateTime<Utc>,
}

/// Makes the jobs that predict for every keyword from what was known at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreKeywords {
    /// The moment.
    pub as_of: DateTime<Utc>,
}

/// Predicts for the active keywords of a marketplace whose identifiers lie in a range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreKeywordRange {
    /// The moment.
    pub as_of: DateTime<Utc>,
    /// Whose keywords.
    pub marketplace: Marketplace,
    /// The first of them.
    pub first_keyword_id: i64,
    /// The last of them.
    pub last_keyword_id: i64,
}

/// Holds predictions against what was known at a moment of the weeks they are about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScorePredictions {
    /// The moment.
    pub as_of: DateTime<Utc>,
}

/// Deletes what has been kept for as long as the terms of its source allow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PurgeExpired {
    /// The moment at which age is measured.
    pub as_of: DateTime<Utc>,
}

impl Job {
    /// Returns the kind, a verb phrase.
    pub fn name(&self) -> &'static str {
        match self {
            Job::PlanCrawl(_) => "plan_crawl",
            Job::FetchPage(_) => "fetch_page",
            Job::ProcessPayload(_) => "process_payload",
            Job::TrainModels(_) => "train_models",
            Job::ScoreKeywords(_) => "score_keywords",
            Job::ScoreKeywordRange(_) => "score_keyword_range",
            Job::ScorePredictions(_) => "score_predictions",
            Job::PurgeExpired(_) => "purge_expired",
        }
    }

    /// Returns the queue that carries it. Each marketplace has its own, so that a slow one holds up no other.
    pub fn queue(&self) -> Queue {
        match self {
            Job::PlanCrawl(_) => Queue::Plan,
            Job::FetchPage(job) => Queue::Fetch(job.site.marketplace),
            Job::ProcessPayload(_) | Job::PurgeExpired(_) => Queue::Process,
            Job::TrainModels(_) | Job::ScoreKeywords(_) | Job::ScoreKeywordRange(_) | Job::ScorePredictions(_) => {
                Queue::Score
            }
        }
    }

    /// Returns the natural key: two jobs of the same key are one.
    pub fn key(&self) -> String {
        match self {
            Job::PlanCrawl(job) => format!("plan_crawl:{}", job.crawl_run_id),
            Job::FetchPage(job) => format!(
                "fetch_page:{}:{}:{}:{}:{}",
                job.crawl_run_id,
                job.resource,
                job.keyword_id.map_or_else(|| job.site.market.clone(), |keyword_id| keyword_id.to_string()),
                job.page_number,
                job.cursor.as_deref().unwrap_or("start"),
            ),
            Job::ProcessPayload(job) => format!("process_payload:{}", job.raw_payload_id),
            Job::TrainModels(job) => format!("train_models:{}", job.as_of.to_rfc3339()),
            Job::ScoreKeywords(job) => format!("score_keywords:{}", job.as_of.to_rfc3339()),
            Job::ScoreKeywordRange(job) => {
                format!("score_keyword_range:{}:{}:{}", job.as_of.to_rfc3339(), job.marketplace, job.first_keyword_id)
            }
            Job::ScorePredictions(job) => format!("score_predictions:{}", job.as_of.to_rfc3339()),
            Job::PurgeExpired(job) => format!("purge_expired:{}", job.as_of.to_rfc3339()),
        }
    }

    /// Returns the crawl run it belongs to, if it does.
    pub fn crawl_run_id(&self) -> Option<Uuid> {
        match self {
            Job::PlanCrawl(job) => Some(job.crawl_run_id),
            Job::FetchPage(job) => Some(job.crawl_run_id),
            Job::ProcessPayload(job) => Some(job.crawl_run_id),
            Job::TrainModels(_)
            | Job::ScoreKeywords(_)
            | Job::ScoreKeywordRange(_)
            | Job::ScorePredictions(_)
            | Job::PurgeExpired(_) => None,
        }
    }

    /// Returns after how many counted tries it is given up.
    pub fn max_attempts(&self) -> i32 {
        match self {
            Job::FetchPage(_) => 6,
            Job::PlanCrawl(_)
            | Job::ProcessPayload(_)
            | Job::TrainModels(_)
            | Job::ScoreKeywords(_)
            | Job::ScoreKeywordRange(_)
            | Job::ScorePredictions(_)
            | Job::PurgeExpired(_) => 4,
        }
    }
}

/// The queues, each served by workers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Plans of crawl runs.
    Plan,
    /// Questions to one marketplace.
    Fetch(Marketplace),
    /// Answers to be read.
    Process,
    /// Trainings and scorings.
    Score,
}

impl Queue {
    /// All queues.
    pub const ALL: [Queue; 6] = [
        Queue::Plan,
        Queue::Fetch(Marketplace::Amazon),
        Queue::Fetch(Marketplace::Etsy),
        Queue::Fetch(Marketplace::Ebay),
        Queue::Process,
        Queue::Score,
    ];

    /// Returns the name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Queue::Plan => "plan",
            Queue::Fetch(Marketplace::Amazon) => "fetch.amazon",
            Queue::Fetch(Marketplace::Etsy) => "fetch.etsy",
            Queue::Fetch(Marketplace::Ebay) => "fetch.ebay",
            Queue::Process => "process",
            Queue::Score => "score",
        }
    }
}
