//! The roles of the binary: which queues each serves, and by which function.

use std::time::Duration;

use digitallz_common::clock::Clock;
use digitallz_common::failure::Failure;
use digitallz_common::jobs::{Job, Queue};
use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue::{self, Attempt, QueueConfig, Shutdown};
use digitallz_processor::drift;
use digitallz_processor::publish::{self, PublishConfig};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::cli::Role;
use crate::scheduler;
use crate::scheduler::timetable::{self, Timetable};
use crate::settings::Environment;

/// How often a scheduler looks for due entries.
const TICK: Duration = Duration::from_secs(1);

/// How often a processor looks for crawl runs that are complete.
const PUBLISHING: Duration = Duration::from_secs(1);

/// How often a scheduler prunes the history of jobs.
const PRUNING: Duration = Duration::from_secs(3600);

/// How often a processor looks for schema drift.
const DRIFT_LOOK: Duration = Duration::from_secs(600);

/// Roles at work in this process, until they are told to stop.
#[derive(Debug)]
pub struct Roles {
    tasks: JoinSet<()>,
    shutdown: Shutdown,
}

/// Starts roles. They end when [`Roles::stop`] is called.
pub fn start(db: &PgPool, clock: &Clock, environment: &Environment, roles: &[Role]) -> anyhow::Result<Roles> {
    let shutdown = Shutdown::default();
    let mut tasks = JoinSet::new();
    let config = environment.queue()?;
    let body_stores = environment.body_stores()?;
    let mut service = Service { tasks: &mut tasks, db, config: &config, shutdown: &shutdown };
    for role in roles {
        match role {
            Role::Scheduler => {
                let timetable = Timetable::read(environment)?;
                service.tasks.spawn(run_scheduler(db.clone(), clock.clone(), timetable, shutdown.clone()));
                let retention = environment.job_retention()?;
                service.tasks.spawn(run_pruning(db.clone(), retention, shutdown.clone()));
            }
            Role::Collector => {
                let context = digitallz_collector::Context::new(
                    db.clone(),
                    clock.clone(),
                    body_stores.clone(),
                    &environment.collector()?,
                )?;
                let concurrency = environment.collect_concurrency()?;
                for marketplace in Marketplace::ALL {
                    service.serve(Queue::Fetch(marketplace), concurrency, &context, collect);
                }
                service.serve(Queue::Plan, 1, &context, collect);
            }
            Role::Processor => {
                let context = digitallz_processor::Context::new(db.clone(), clock.clone(), body_stores.clone());
                service.serve(Queue::Process, environment.process_concurrency()?, &context, process);
                let publishing = run_publishing(db.clone(), clock.clone(), environment.publish()?, shutdown.clone());
                service.tasks.spawn(publishing);
                service.tasks.spawn(run_drift(db.clone(), clock.clone(), shutdown.clone()));
            }
            Role::Scorer => {
                let context = digitallz_scorer::Context { db: db.clone(), clock: clock.clone() };
                service.serve(Queue::Score, 1, &context, score);
            }
        }
    }
    info!(?roles, "roles started");
    Ok(Roles { tasks, shutdown })
}

impl Roles {
    /// Returns what can hurry a stop.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Gives waiting jobs back, lets running ones finish for as long as the settings allow, then gives them back too.
    pub async fn stop(mut self) {
        self.shutdown.stop();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn run_scheduler(db: PgPool, clock: Clock, timetable: Timetable, shutdown: Shutdown) {
    loop {
        let tick = async {
            timetable::ensure(&db, &timetable, clock.now()).await?;
            scheduler::tick(&db, clock.now()).await
        };
        if let Err(problem) = tick.await {
            error!(error = %digitallz_common::failure::chain(&problem), "the scheduler could not tick");
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = shutdown.stopping() => return,
        }
    }
}

/// Prunes the history of jobs now and then; of many processes one does it.
async fn run_pruning(db: PgPool, retention: Duration, shutdown: Shutdown) {
    loop {
        match queue::prune_history(&db, retention).await {
            Ok(Some(pruned)) if !pruned.is_empty() => info!(?pruned, "pruned the history of jobs"),
            Ok(_) => {}
            Err(problem) => {
                error!(error = %digitallz_common::failure::chain(&problem), "the history of jobs could not be pruned");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PRUNING) => {}
            () = shutdown.stopping() => return,
        }
    }
}

/// Publishes crawl runs as they are completed; the last time after it was told to stop.
async fn run_publishing(db: PgPool, clock: Clock, config: PublishConfig, shutdown: Shutdown) {
    loop {
        let is_last = shutdown.is_stopping();
        if let Err(problem) = publish::publish_finished(&db, &config, clock.now()).await {
            error!(error = %digitallz_common::failure::chain(&problem), "crawl runs could not be published");
        }
        if is_last {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(PUBLISHING) => {}
            () = shutdown.stopping() => {}
        }
    }
}

/// Tells now and then how answers differ from those of the days before; of many processes one does it at a time.
async fn run_drift(db: PgPool, clock: Clock, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(DRIFT_LOOK) => {}
            () = shutdown.stopping() => return,
        }
        let update = async { drift::update(&mut *db.acquire().await?, clock.now()).await };
        if let Err(problem) = update.await {
            error!(error = %digitallz_common::failure::chain(&problem), "schema drift could not be looked for");
        }
    }
}

/// What every queue of this process is served with.
struct Service<'a> {
    tasks: &'a mut JoinSet<()>,
    db: &'a PgPool,
    config: &'a QueueConfig,
    shutdown: &'a Shutdown,
}

impl Service<'_> {
    /// Serves a queue with the functions of a crate.
    fn serve<Context, Handler, Answer>(&mut self, queue: Queue, concurrency: usize, context: &Context, run: Handler)
    where
        Context: Clone + Send + Sync + 'static,
        Handler: Fn(Context, Job, Attempt) -> Answer + Clone + Send + Sync + 'static,
        Answer: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let context = context.clone();
        let handler = move |job, attempt| run(context.clone(), job, attempt);
        let (db, config, shutdown) = (self.db.clone(), self.config.clone(), self.shutdown.clone());
        self.tasks.spawn(queue::work(db, config, queue, concurrency, shutdown, handler));
    }
}

async fn collect(context: digitallz_collector::Context, job: Job, attempt: Attempt) -> Result<(), Failure> {
    match job {
        Job::PlanCrawl(job) => digitallz_collector::plan::run(&context, &attempt, job).await,
        Job::FetchPage(job) => digitallz_collector::fetch::run(&context, &attempt, job).await,
        other => Err(not_served(&other)),
    }
}

async fn process(context: digitallz_processor::Context, job: Job, attempt: Attempt) -> Result<(), Failure> {
    match job {
        Job::ProcessPayload(job) => digitallz_processor::process::run(&context, &attempt, job).await,
        Job::PurgeExpired(job) => digitallz_processor::purge::run(&context, &attempt, job).await,
        other => Err(not_served(&other)),
    }
}

async fn score(context: digitallz_scorer::Context, job: Job, attempt: Attempt) -> Result<(), Failure> {
    match job {
        Job::TrainModels(job) => digitallz_scorer::train::run(&context, &attempt, job).await,
        Job::ScoreKeywords(job) => digitallz_scorer::score::run(&context, &attempt, job).await,
        Job::ScoreKeywordRange(job) => digitallz_scorer::score::run_range(&context, &attempt, job).await,
        Job::ScorePredictions(job) => digitallz_scorer::ledger::run(&context, &attempt, job).await,
        other => Err(not_served(&other)),
    }
}

/// A job in a queue that does not carry its kind comes from a newer or broken program.
fn not_served(job: &Job) -> Failure {
    Failure::GiveUp { cause: format!("no worker of this queue runs {}", job.name()) }
}
