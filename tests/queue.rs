//! What we rely on of the queue, each on real Postgres.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use digitallz_common::failure::Failure;
use digitallz_common::jobs::{Job, Queue, TrainModels};
use digitallz_common::queue::{self, Attempt, QueueConfig};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::harness::TestDatabase;

/// A job that needs no other row.
fn job(number: i64) -> Job {
    Job::TrainModels(TrainModels { as_of: chrono::DateTime::from_timestamp(number, 0).expect("a time") })
}

fn quick() -> QueueConfig {
    QueueConfig {
        heartbeat: Duration::from_secs(1),
        missed_heartbeats: 2,
        poll_interval: Duration::from_millis(50),
        retry_base: Duration::from_millis(10),
        retry_cap: Duration::from_millis(50),
        drain: Duration::from_secs(25),
    }
}

async fn enqueue(database: &TestDatabase, number: i64) -> Option<Uuid> {
    let mut connection = database.db.acquire().await.unwrap();
    queue::enqueue(&mut connection, &job(number), 0).await.unwrap()
}

/// Runs a worker whose jobs answer as `answer` says, until it is stopped.
struct Worker {
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Worker {
    fn start<Answer>(
        database: &TestDatabase,
        concurrency: usize,
        answer: impl Fn(Job, Attempt) -> Answer + Clone + Send + Sync + 'static,
    ) -> Worker
    where
        Answer: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(queue::work(
            database.db.clone(),
            quick(),
            Queue::Score,
            concurrency,
            shutdown.clone(),
            answer,
        ));
        Worker { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn enqueueing_the_same_work_twice_enqueues_it_once() {
    let database = TestDatabase::new().await;
    assert!(enqueue(&database, 1).await.is_some());
    assert!(enqueue(&database, 1).await.is_none());
    assert_eq!(database.count("select count(*) from ops.jobs").await, 1);
    assert_eq!(database.count("select count(*) from apalis.jobs").await, 1);
}

#[tokio::test]
async fn a_job_exists_exactly_when_its_transaction_committed() {
    let database = TestDatabase::new().await;
    let mut tx = database.db.begin().await.unwrap();
    queue::enqueue(&mut tx, &job(1), 0).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(database.count("select count(*) from ops.jobs").await, 0);
    assert_eq!(database.count("select count(*) from apalis.jobs").await, 0);
}

#[tokio::test]
async fn a_job_runs_and_is_done() {
    let database = TestDatabase::new().await;
    let job_id = enqueue(&database, 1).await.unwrap();
    let worker = Worker::start(&database, 2, |_, _| async { Ok(()) });
    database.wait_until_idle().await;
    worker.stop().await;
    let state = database.texts(&format!("select state from ops.jobs where job_id = '{job_id}'")).await;
    assert_eq!(state, ["done"]);
    assert_eq!(database.texts("select outcome from ops.job_attempts").await, ["done"]);
}

#[tokio::test]
async fn a_failed_job_is_tried_again_later_and_at_last_becomes_a_dead_letter_with_its_cause() {
    let database = TestDatabase::new().await;
    enqueue(&database, 1).await;
    let worker = Worker::start(&database, 1, |_, _| async { Err(Failure::Retry { cause: "the sky fell".to_owned() }) });
    database.wait_until_idle().await;
    worker.stop().await;
    assert_eq!(
        database.texts("select outcome from ops.job_attempts order by try_number").await,
        ["retry", "retry", "retry", "dead"]
    );
    assert_eq!(database.texts("select cause from ops.dead_letters").await, ["the sky fell"]);
    let spread = database
        .count("select count(*) from (select started_at - lag(finished_at) over (order by try_number) as pause from ops.job_attempts) t where pause > interval '5 milliseconds'")
        .await;
    assert_eq!(spread, 3, "every further try waits");
}

#[tokio::test]
async fn a_snoozed_job_waits_and_the_try_does_not_count() {
    let database = TestDatabase::new().await;
    enqueue(&database, 1).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let seen = tries.clone();
    let worker = Worker::start(&database, 1, move |_, _| {
        let number = seen.fetch_add(1, Ordering::SeqCst);
        async move {
            match number {
                0 => Err(Failure::Snooze { cause: "asked to wait".to_owned(), delay: Duration::from_secs(1) }),
                _ => Ok(()),
            }
        }
    });
    database.wait_until_idle().await;
    worker.stop().await;
    assert_eq!(database.count("select attempts::bigint from ops.jobs").await, 1);
    assert_eq!(database.count("select snoozes::bigint from ops.jobs").await, 1);
    let early = database
        .count("select count(*) from ops.job_attempts late join ops.job_attempts early on late.try_number = early.try_number + 1 where late.started_at - early.finished_at < interval '1 second'")
        .await;
    assert_eq!(early, 0, "it came back before its time");
}

#[tokio::test]
async fn a_job_that_is_given_up_is_not_tried_again_until_an_operator_says_so() {
    let database = TestDatabase::new().await;
    let job_id = enqueue(&database, 1).await.unwrap();
    let worker = Worker::start(&database, 1, |_, _| async { Err(Failure::GiveUp { cause: "never".to_owned() }) });
    database.wait_until_idle().await;
    worker.stop().await;
    assert_eq!(database.texts("select state from ops.jobs").await, ["dead"]);
    assert_eq!(database.count("select count(*) from ops.job_attempts").await, 1);

    let mut connection = database.db.acquire().await.unwrap();
    assert!(queue::retry_now(&mut connection, job_id).await.unwrap());
    drop(connection);
    let worker = Worker::start(&database, 1, |_, _| async { Ok(()) });
    database.wait_until_idle().await;
    worker.stop().await;
    assert_eq!(database.texts("select state from ops.jobs").await, ["done"]);
    assert_eq!(database.texts("select resolution from ops.dead_letters").await, ["retried"]);
}

#[tokio::test]
async fn a_discarded_job_never_runs() {
    let database = TestDatabase::new().await;
    let job_id = enqueue(&database, 1).await.unwrap();
    let mut connection = database.db.acquire().await.unwrap();
    assert!(queue::discard(&mut connection, job_id).await.unwrap());
    drop(connection);
    enqueue(&database, 2).await;
    let worker = Worker::start(&database, 1, |_, _| async { Ok(()) });
    database.wait_until_idle().await;
    worker.stop().await;
    assert_eq!(database.texts("select state from ops.jobs order by job_key").await, ["discarded", "done"]);
}

#[tokio::test]
async fn a_panic_is_a_failed_try() {
    let database = TestDatabase::new().await;
    enqueue(&database, 1).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let seen = tries.clone();
    let worker = Worker::start(&database, 1, move |_, _| {
        let number = seen.fetch_add(1, Ordering::SeqCst);
        async move {
            assert!(number > 0, "first try");
            Ok(())
        }
    });
    database.wait_until_idle().await;
    worker.stop().await;
    assert_eq!(database.texts("select outcome from ops.job_attempts order by try_number").await, ["retry", "done"]);
    let cause = database.texts("select cause from ops.job_attempts where cause is not null").await;
    assert!(cause[0].starts_with("the job panicked: first try"), "{cause:?}");
}

#[tokio::test]
async fn the_jobs_of_a_dead_worker_are_taken_over_and_its_late_effects_are_refused() {
    let database = TestDatabase::new().await;
    enqueue(&database, 1).await;
    let (held, mut attempts) = tokio::sync::mpsc::unbounded_channel();
    let dying = Worker::start(&database, 1, move |_, attempt| {
        held.send(attempt).unwrap();
        std::future::pending()
    });
    let late = attempts.recv().await.unwrap();
    dying.task.abort(); // no farewell, as when the process is killed

    let worker = Worker::start(&database, 1, |_, _| async { Ok(()) });
    database.wait_until_idle().await;
    worker.stop().await;
    assert_eq!(database.texts("select outcome from ops.job_attempts order by try_number").await, ["lost", "done"]);

    let mut tx = database.db.begin().await.unwrap();
    assert!(late.complete(&mut tx).await.is_err(), "the first worker must not finish what another has taken over");
}

#[tokio::test]
async fn a_job_that_kills_its_worker_is_given_up_after_its_tries() {
    let database = TestDatabase::new().await;
    enqueue(&database, 1).await;
    database.execute("update ops.jobs set state = 'running', attempts = max_attempts").await;
    let worker = Worker::start(&database, 1, |_, _| async { Ok(()) });
    database.wait_until_idle().await;
    worker.stop().await;
    assert_eq!(database.texts("select cause from ops.dead_letters").await, ["its worker died during each of 4 tries"]);
}

#[tokio::test]
async fn jobs_of_a_higher_priority_run_first() {
    let database = TestDatabase::new().await;
    let mut connection = database.db.acquire().await.unwrap();
    for number in 0..4 {
        queue::enqueue(&mut connection, &job(number), if number == 3 { 10 } else { 0 }).await.unwrap();
    }
    drop(connection);
    let worker = Worker::start(&database, 1, |_, _| async { Ok(()) });
    database.wait_until_idle().await;
    worker.stop().await;
    let first = database
        .texts("select job_key from ops.jobs join ops.job_attempts using (job_id) order by started_at limit 1")
        .await;
    assert_eq!(first, [job(3).key()]);
}

#[tokio::test]
async fn a_worker_that_loses_its_connections_comes_back() {
    let database = TestDatabase::new().await;
    let worker = Worker::start(&database, 1, |_, _| async { Ok(()) });
    enqueue(&database, 1).await;
    database.wait_until_idle().await;
    // Everybody is thrown out, this test's own connections included; the pool makes new ones.
    let _ = sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
        .execute(&database.db)
        .await;
    let mut enqueued = None;
    for _ in 0..10 {
        let Ok(mut connection) = database.db.acquire().await else { continue };
        if let Ok(done) = queue::enqueue(&mut connection, &job(2), 0).await {
            enqueued = done;
            break;
        }
    }
    assert!(enqueued.is_some());
    database.wait_until_idle().await;
    worker.stop().await;
    assert_eq!(database.count("select count(*) from ops.jobs where state = 'done'").await, 2);
}

#[tokio::test]
async fn a_stopped_worker_finishes_what_runs_and_leaves_the_rest() {
    let database = TestDatabase::new().await;
    for number in 0..20 {
        enqueue(&database, number).await;
    }
    let worker = Worker::start(&database, 2, |_, _| async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(())
    });
    database.wait_for_count("select count(*) from ops.jobs where state = 'running'", 2).await;
    worker.stop().await;
    assert_eq!(database.count("select count(*) from ops.jobs where state = 'running'").await, 0);
    assert!(database.count("select count(*) from ops.jobs where state = 'ready'").await > 0);

    let worker = Worker::start(&database, 8, |_, _| async { Ok(()) });
    database.wait_until_idle().await;
    worker.stop().await;
    assert_eq!(database.count("select count(*) from ops.job_attempts where outcome = 'done'").await, 20);
    assert_eq!(database.count("select count(*) from ops.job_attempts").await, 20, "each ran once");
}
