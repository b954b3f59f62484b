//! The roles of the binary: which queues each serves, and by which function.

use std::time::Duration;

use digitallz_common::clock::Clock;
use digitallz_common::jobs::{Job, Queue};
use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue::{self, QueueConfig};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::cli::Role;
use crate::scheduler;
use crate::settings::Environment;

/// How often a scheduler looks for due entries.
const TICK: Duration = Duration::from_secs(1);

/// Roles at work in this process, until they are told to stop.
#[derive(Debug)]
pub struct Roles {
    tasks: JoinSet<()>,
    shutdown: CancellationToken,
}

/// Starts roles. They end when [`Roles::stop`] is called.
pub fn start(db: &PgPool, clock: &Clock, environment: &Environment, roles: &[Role]) -> anyhow::Result<Roles> {
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let config = environment.queue()?;
    for role in roles {
        match role {
            Role::Scheduler => {
                let timetable = scheduler::Timetable::read(environment)?;
                tasks.spawn(run_scheduler(db.clone(), clock.clone(), timetable, shutdown.clone()));
            }
            Role::Collector => start_collector(&mut tasks, db, clock, environment, &config, &shutdown)?,
            Role::Processor => start_processor(&mut tasks, db, clock, environment, &config, &shutdown)?,
            Role::Scorer => start_scorer(&mut tasks, db, clock, &config, &shutdown),
        }
    }
    info!(?roles, "roles started");
    Ok(Roles { tasks, shutdown })
}

impl Roles {
    /// Lets running jobs finish, gives waiting ones back, and returns when all is quiet.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn run_scheduler(db: PgPool, clock: Clock, timetable: scheduler::Timetable, shutdown: CancellationToken) {
    loop {
        let tick = async {
            scheduler::ensure_timetable(&db, &timetable, clock.now()).await?;
            scheduler::tick(&db, clock.now()).await
        };
        if let Err(problem) = tick.await {
            error!(error = %digitallz_common::failure::chain(&problem), "the scheduler could not tick");
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

fn start_collector(
    tasks: &mut JoinSet<()>,
    db: &PgPool,
    clock: &Clock,
    environment: &Environment,
    config: &QueueConfig,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let context = digitallz_collector::Context::new(db.clone(), clock.clone(), &environment.collector()?)?;
    let concurrency = environment.collect_concurrency()?;
    let queues = Marketplace::ALL.map(|marketplace| (Queue::Fetch(marketplace), concurrency));
    for (queue, concurrency) in queues.into_iter().chain([(Queue::Plan, 1)]) {
        let context = context.clone();
        let handler = move |job, attempt| {
            let context = context.clone();
            async move {
                match job {
                    Job::PlanCrawl(job) => digitallz_collector::plan::run(&context, &attempt, job).await,
                    Job::FetchPage(job) => digitallz_collector::fetch::run(&context, &attempt, job).await,
                    other => Err(not_served(&other)),
                }
            }
        };
        tasks.spawn(queue::work(db.clone(), config.clone(), queue, concurrency, shutdown.clone(), handler));
    }
    Ok(())
}

fn start_processor(
    tasks: &mut JoinSet<()>,
    db: &PgPool,
    clock: &Clock,
    environment: &Environment,
    config: &QueueConfig,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let context = digitallz_processor::Context { db: db.clone(), clock: clock.clone() };
    let handler = move |job, attempt| {
        let context = context.clone();
        async move {
            match job {
                Job::ProcessPayload(job) => digitallz_processor::process::run(&context, &attempt, job).await,
                other => Err(not_served(&other)),
            }
        }
    };
    let concurrency = environment.process_concurrency()?;
    tasks.spawn(queue::work(db.clone(), config.clone(), Queue::Process, concurrency, shutdown.clone(), handler));
    Ok(())
}

fn start_scorer(
    tasks: &mut JoinSet<()>,
    db: &PgPool,
    clock: &Clock,
    config: &QueueConfig,
    shutdown: &CancellationToken,
) {
    let context = digitallz_scorer::Context { db: db.clone(), clock: clock.clone() };
    let handler = move |job, attempt| {
        let context = context.clone();
        async move {
            match job {
                Job::TrainModels(job) => digitallz_scorer::train::run(&context, &attempt, job).await,
                Job::ScoreKeywords(job) => digitallz_scorer::score::run(&context, &attempt, job).await,
                other => Err(not_served(&other)),
            }
        }
    };
    tasks.spawn(queue::work(db.clone(), config.clone(), Queue::Score, 1, shutdown.clone(), handler));
}

/// A job in a queue that does not carry its kind comes from a newer or broken program.
fn not_served(job: &Job) -> digitallz_common::failure::Failure {
    digitallz_common::failure::Failure::GiveUp { cause: format!("no worker of this queue runs {}", job.name()) }
}
