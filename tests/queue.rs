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
        Worker::start_with(database, quick(), concurrency, answer)
    }

    fn start_with<Answer>(
        database: &TestDatabase,
        config: QueueConfig,
        concurrency: usize,
        answer: impl Fn(Job, Attempt) -> Answer + Clone + Send + Sync + 'static,
    ) -> Worker
    where
        Answer: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let shutdown = CancellationToken::new();
        let work = queue::work(database.db.clone(), config, Queue::Score, concurrency, shutdown.clone(), answer);
        Worker { shutdown, task: tokio::spawn(work) }
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

#[tokio::test]
async fn thousands_of_jobs_are_enqueued_at_once_and_each_once() {
    let database = TestDatabase::new().await;
    let jobs: Vec<Job> = (0..5000).map(job).collect();
    let mut connection = database.db.acquire().await.unwrap();
    let started = std::time::Instant::now();
    assert_eq!(queue::enqueue_all(&mut connection, &jobs, 0).await.unwrap().len(), 5000);
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
    assert_eq!(queue::enqueue_all(&mut connection, &jobs, 0).await.unwrap().len(), 0);
    let twice = [job(5001), job(5001)];
    assert_eq!(queue::enqueue_all(&mut connection, &twice, 0).await.unwrap().len(), 1);
    assert_eq!(database.count("select count(*) from ops.jobs").await, 5001);
    assert_eq!(database.count("select count(*) from apalis.jobs").await, 5001);
}

#[tokio::test]
async fn an_operators_job_overtakes_thousands_that_wait() {
    let database = TestDatabase::new().await;
    let nightly: Vec<Job> = (0..3000).map(job).collect();
    let mut connection = database.db.acquire().await.unwrap();
    queue::enqueue_all(&mut connection, &nightly, 0).await.unwrap();
    let worker = Worker::start(&database, 4, |_, _| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(())
    });
    database.wait_for_at_least("select count(*) from ops.job_attempts", 20).await;
    let job_id = queue::enqueue(&mut connection, &job(9000), 10).await.unwrap().unwrap();
    database
        .wait_for_count(&format!("select count(*) from ops.jobs where job_id = '{job_id}' and state = 'done'"), 1)
        .await;
    let before = database
        .count(&format!(
            "select count(*) from ops.job_attempts tries, ops.jobs late
             where late.job_id = '{job_id}' and tries.started_at > late.enqueued_at
               and tries.started_at < (select started_at from ops.job_attempts where job_id = late.job_id)"
        ))
        .await;
    worker.stop().await;
    assert!(
        before <= 12,
        "{before} others began first; what is fetched already is 4 running and 4 ready, and one more fetch may be on its way"
    );
}

#[tokio::test]
async fn a_job_that_does_not_end_in_time_goes_back_uncounted_and_its_late_effects_are_refused() {
    let database = TestDatabase::new().await;
    for number in 0..6 {
        enqueue(&database, number).await;
    }
    let (held, mut attempts) = tokio::sync::mpsc::unbounded_channel();
    let config = QueueConfig { drain: Duration::from_millis(300), ..quick() };
    let worker = Worker::start_with(&database, config, 2, move |_, attempt| {
        held.send(attempt).unwrap();
        std::future::pending()
    });
    let late = attempts.recv().await.unwrap();
    attempts.recv().await.unwrap();
    let started = std::time::Instant::now();
    worker.stop().await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());

    assert_eq!(
        database
            .count("select count(*) from ops.jobs where state = 'ready' and run_at <= now() and attempts = 0")
            .await,
        6
    );
    assert_eq!(
        database.texts("select distinct outcome || ': ' || cause from ops.job_attempts").await,
        ["snooze: its worker was stopped"]
    );
    assert_eq!(database.count("select count(*) from apalis.jobs where status in ('Queued', 'Running')").await, 0);
    let mut tx = database.db.begin().await.unwrap();
    assert!(late.complete(&mut tx).await.is_err(), "what was handed back must not be finished by the first worker");
    drop(tx);

    let worker = Worker::start(&database, 2, |_, _| async { Ok(()) });
    database.wait_until_idle().await;
    worker.stop().await;
    assert_eq!(database.count("select count(*) from ops.job_attempts where outcome = 'done'").await, 6);
}

#[tokio::test]
async fn a_worker_whose_jobs_are_long_while_others_wait_in_its_hands_is_not_taken_for_dead() {
    let database = TestDatabase::new().await;
    enqueue(&database, 1).await;
    let long = |_, _| async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok(())
    };
    let worker = Worker::start(&database, 2, long);
    database.wait_for_count("select count(*) from ops.jobs where state = 'running'", 1).await;
    // Of these it fetches both and can begin one: the library says nothing while the other waits.
    let mut tx = database.db.begin().await.unwrap();
    queue::enqueue_all(&mut tx, &[job(2), job(3)], 0).await.unwrap();
    tx.commit().await.unwrap();
    database.wait_for_count("select count(*) from ops.jobs where state = 'running'", 2).await;
    let watcher = Worker::start(&database, 2, |_, _| async { Ok(()) });
    database.wait_until_idle().await;
    watcher.stop().await;
    worker.stop().await;
    assert_eq!(database.texts("select outcome from ops.job_attempts").await, ["done", "done", "done"]);
}

#[tokio::test]
async fn a_worker_that_waits_for_its_last_job_is_not_taken_for_dead() {
    let database = TestDatabase::new().await;
    enqueue(&database, 1).await;
    // The other worker takes jobs back after two seconds of silence; this one works on for five.
    let stopping = Worker::start(&database, 1, |_, _| async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok(())
    });
    database.wait_for_count("select count(*) from ops.jobs where state = 'running'", 1).await;
    let other = Worker::start(&database, 1, |_, _| async { Ok(()) });
    stopping.stop().await;
    other.stop().await;
    assert_eq!(database.texts("select outcome from ops.job_attempts").await, ["done"]);
}

/// Serves the queue as a process of its own; the tests below start it and what becomes of it is no test.
#[tokio::test]
#[ignore = "started as a child process by other tests"]
async fn worker_process() {
    let Ok(url) = std::env::var("WORKER_DATABASE_URL") else { return };
    let is_poison = std::env::var("WORKER_IS_POISONED").is_ok();
    let config = if is_poison { quick() } else { QueueConfig::default() };
    let db = digitallz_common::database::connect(&digitallz_common::secret::Secret::new(url), 8).await.unwrap();
    let handler = move |_, _| async move {
        if is_poison {
            std::process::abort();
        }
        std::future::pending::<Result<(), Failure>>().await
    };
    queue::work(db, config, Queue::Score, 1, CancellationToken::new(), handler).await;
}

fn start_worker_process(database: &TestDatabase, is_poisoned: bool) -> std::process::Child {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["queue::worker_process", "--exact", "--ignored", "--nocapture"]);
    command.env("WORKER_DATABASE_URL", database.url.expose());
    if is_poisoned {
        command.env("WORKER_IS_POISONED", "yes");
    }
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
}

#[tokio::test]
async fn a_job_that_kills_its_process_each_time_ends_as_a_dead_letter() {
    let database = TestDatabase::new().await;
    enqueue(&database, 1).await;
    let mut deaths = 0;
    while database.count("select count(*) from ops.dead_letters").await == 0 {
        assert!(deaths <= 8, "it is started again and again");
        let mut child = start_worker_process(&database, true);
        loop {
            if child.try_wait().unwrap().is_some() {
                deaths += 1;
                break;
            }
            if database.count("select count(*) from ops.dead_letters").await > 0 {
                child.kill().unwrap();
                child.wait().unwrap();
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert_eq!(deaths, 4);
    assert_eq!(database.texts("select cause from ops.dead_letters").await, ["its worker died during each of 4 tries"]);
    assert_eq!(database.texts("select outcome from ops.job_attempts").await, ["lost"; 4]);
}

#[tokio::test]
async fn the_jobs_of_a_killed_process_run_elsewhere_within_a_minute_by_default() {
    let database = TestDatabase::new().await;
    enqueue(&database, 1).await;
    let mut child = start_worker_process(&database, false);
    database.wait_for_count("select count(*) from ops.jobs where state = 'running'", 1).await;
    let worker = Worker::start_with(&database, QueueConfig::default(), 1, |_, _| async { Ok(()) });
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = std::time::Instant::now();
    database.wait_until_idle().await;
    let elapsed = killed.elapsed();
    worker.stop().await;
    assert!(elapsed < Duration::from_secs(60), "{elapsed:?}");
    assert_eq!(database.texts("select outcome from ops.job_attempts order by try_number").await, ["lost", "done"]);
}

#[tokio::test]
async fn work_that_is_cut_off_leaves_no_transaction_to_the_next_user_of_its_connection() {
    let database = TestDatabase::new().await;
    let db = digitallz_common::database::connect(&database.url, 1).await.unwrap();
    // Where the answer is there at once the transaction has begun, and nothing is cut off: once more.
    let mut is_cut_off = false;
    while !is_cut_off {
        let mut connection = db.acquire().await.unwrap();
        let mut beginning = Box::pin(sqlx::Connection::begin(&mut *connection));
        is_cut_off = futures::poll!(&mut beginning).is_pending();
    }
    let write = "insert into ops.audit_events (happened_at, actor, action, subject, detail)
                 values (now(), 'test', 'write', 'test', '{}')";
    sqlx::query(write).execute(&db).await.unwrap();
    db.close().await;
    let written = "select count(*) from ops.audit_events where action = 'write'";
    assert_eq!(database.count(written).await, 1);
}
