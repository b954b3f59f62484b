//! Predictions that keep their promises: the ledger, the gate that models pass, and what becomes of those that fall behind.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use digitallz::cli::Role;
use digitallz::roles;
use digitallz::settings::Environment;
use digitallz_common::audit;
use digitallz_common::clock::Clock;
use digitallz_common::jobs::{Job, ScoreKeywordRange, ScoreKeywords, ScorePredictions, TrainModels};
use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue;
use digitallz_scorer::history_class::HistoryClass;
use digitallz_scorer::series::{self, History};
use digitallz_scorer::target::ModelName;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::harness::{TestDatabase, command, stderr, stdout};

const KEYWORDS: i64 = 8;

/// The Sunday on which the first week of these worlds begins.
const FIRST_WEEK: NaiveDate = NaiveDate::from_ymd_opt(2025, 1, 5).expect("a date");

/// Returns noon of the Wednesday of a week.
fn noon(week: u64) -> DateTime<Utc> {
    (FIRST_WEEK + Days::new(7 * week + 3)).and_hms_opt(12, 0, 0).expect("a time").and_utc()
}

/// Bids that grow by some percent a week, each keyword at a pace of its own: the last value is always too low.
fn rising(keyword: i64, week: u64) -> f64 {
    let (keyword, week) = (keyword as f64, week as f64);
    (3.0 + (0.02 + 0.002 * keyword) * week + 0.01 * (3.1 * keyword + 1.7 * week).sin()).exp()
}

/// Bids that come and go with the year, and are the same each year but for a little noise.
fn seasonal(keyword: i64, week: u64) -> f64 {
    let (keyword, week) = (keyword as f64, week as f64);
    let season = 0.8 * (std::f64::consts::TAU * (week - 5.0 * keyword) / 52.0).cos();
    (5.0 + season + 0.01 * (2.3 * keyword + 0.9 * week).sin()).exp()
}

/// Bids that wander: every step has nothing to do with those before.
fn wandering(keyword: i64, week: u64) -> f64 {
    let step = |week: u64| {
        let mixed = (keyword as u64 * 1_000 + week).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    (5.0 + 0.2 * (0..=week).map(step).sum::<f64>()).exp()
}

/// Keywords of a marketplace whose demand is known week by week: on eBay bids.
struct World {
    database: TestDatabase,
    clock: Clock,
    marketplace: Marketplace,
    demand: fn(i64, u64) -> f64,
}

impl World {
    /// Makes a world in which the weeks before `weeks` were observed.
    async fn new(bids: fn(i64, u64) -> f64, weeks: u64) -> World {
        World::on(Marketplace::Ebay, bids, weeks).await
    }

    async fn on(marketplace: Marketplace, demand: fn(i64, u64) -> f64, weeks: u64) -> World {
        let database = TestDatabase::new().await;
        database.acknowledge_terms().await;
        database.make_partitions("'2025-01-01'", "'2027-06-01'").await;
        database
            .execute(&format!(
                "insert into core.keywords (keyword_id, marketplace, market, keyword_text, original_text,
                     normalization_version, created_at)
                 overriding system value
                 select number, '{marketplace}', 'US', 'keyword ' || number, 'keyword', 1, '2025-01-01'
                 from generate_series(1, {KEYWORDS}) number"
            ))
            .await;
        database
            .execute(&format!("insert into ops.crawl_runs (crawl_run_id, trigger, scheduled_for, marketplace, market, created_at) values (gen_random_uuid(), 'manual', '2025-01-01', '{marketplace}', 'US', '2025-01-01')"))
            .await;
        let world = World { database, clock: Clock::manual(noon(0)), marketplace, demand };
        for week in 0..weeks {
            world.observe(week, &[]).await;
        }
        world
    }

    /// Writes what was observed of a week on its Sunday, but for some keywords.
    async fn observe(&self, week: u64, missing: &[i64]) {
        let at = (FIRST_WEEK + Days::new(7 * week)).and_hms_opt(6, 0, 0).unwrap().and_utc();
        let (marketplace, resource) = (self.marketplace, self.resource());
        self.database
            .execute(&format!(
                "insert into raw.payloads (request_key, marketplace, market, resource, crawl_run_id, page_number,
                     request_method, request_url, status_code, response_headers, chunk_count, body_encoding,
                     body_size_bytes, content_sha256, fetched_at, ingested_at)
                 select 'week {week}', '{marketplace}', 'US', '{resource}', crawl_run_id, 1, 'GET', '/', 200, '{{}}', 1,
                        'identity', 0, sha256(''), '{at}', '{at}' from ops.crawl_runs"
            ))
            .await;
        for keyword in (1..=KEYWORDS).filter(|keyword| !missing.contains(keyword)) {
            self.say(keyword, week, (self.demand)(keyword, week), at).await;
        }
    }

    fn resource(&self) -> &'static str {
        if self.marketplace == Marketplace::Amazon { "search_terms_report" } else { "item_search" }
    }

    /// Writes the demand for a keyword in a week as it became known at a moment.
    async fn say(&self, keyword: i64, week: u64, value: f64, known_at: DateTime<Utc>) {
        let metric = if self.marketplace == Marketplace::Amazon { "search_frequency_rank" } else { "auction_bids" };
        self.write(keyword, week, metric, Some(value), known_at).await;
    }

    /// Writes that a search term was not in a week's list, which ended with a rank.
    async fn drop_out(&self, keyword: i64, week: u64, list_end: f64) {
        let known_at = noon(week);
        self.write(keyword, week, "search_frequency_rank", None, known_at).await;
        self.write(keyword, week, "search_term_list_end", Some(list_end), known_at).await;
    }

    /// Writes one observation; without a value that of a search term beyond the list.
    async fn write(&self, keyword: i64, week: u64, metric: &str, value: Option<f64>, known_at: DateTime<Utc>) {
        let (unit, days, period) =
            if self.marketplace == Marketplace::Amazon { ("rank", 6, "week") } else { ("bids", 0, "instant") };
        let (value, status, reason) = match value {
            Some(value) => (value.to_string(), "observed", "null"),
            None => ("null".to_owned(), "below_threshold", "'not in the list'"),
        };
        let resource = self.resource();
        let day = FIRST_WEEK + Days::new(7 * week);
        self.database
            .execute(&format!(
                "insert into core.keyword_observations (keyword_id, metric, value, unit, value_status, status_reason, resource,
                     observed_at, period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id,
                     crawl_run_id)
                 select {keyword}, '{metric}', {value}::double precision, '{unit}', '{status}', {reason}, '{resource}',
                        fetched_at, '{day}', date '{day}' + {days}, '{period}', fetched_at, '{known_at}', raw_payload_id,
                        crawl_run_id
                 from raw.payloads where request_key = 'week {week}'"
            ))
            .await;
    }

    /// Runs a job, and those that follow from it, at a moment.
    async fn work(&self, now: DateTime<Utc>, job: Job) {
        self.clock.set(now);
        queue::enqueue(&mut self.database.db.acquire().await.unwrap(), &job, 0).await.unwrap();
        let roles = roles::start(&self.database.db, &self.clock, &Environment::default(), &[Role::Scorer]).unwrap();
        self.database.wait_until_idle().await;
        roles.stop().await;
        let causes = self.database.texts("select cause from ops.dead_letters where resolution is null").await;
        assert_eq!(causes, Vec::<String>::new());
    }

    async fn train(&self, week: u64) {
        self.work(noon(week), Job::TrainModels(TrainModels { as_of: noon(week) })).await;
    }

    async fn score(&self, week: u64) {
        self.work(noon(week), Job::ScoreKeywords(ScoreKeywords { as_of: noon(week) })).await;
    }

    /// Registers a model that says that everything stays as it is.
    async fn plant(&self, version: i32, state: &str) {
        let artifact = r#"{"algorithm":"last_value","state":{},"intervals":[]}"#;
        self.database
            .execute(&format!(
                "insert into ml.model_versions (model_name, marketplace, version, state, algorithm, feature_set_version,
                     parameters, as_of, trained_at, training_row_count, data_fingerprint, artifact, artifact_sha256,
                     metrics, code_version, promoted_at)
                 select model_name, marketplace, {version}, '{state}', 'last_value', feature_set_version, '{{}}', as_of,
                        trained_at, training_row_count, data_fingerprint, planted, sha256(planted), metrics, code_version,
                        case when '{state}' <> 'candidate' then trained_at end
                 from ml.model_versions
                 cross join (select convert_to('{artifact}', 'UTF8') as planted) artifacts
                 where version = 1 and model_name = 'demand'"
            ))
            .await;
    }

    /// Returns version, state and algorithm of the models of demand.
    async fn versions(&self) -> Vec<String> {
        let versions = "select format('%s %s', version, state) from ml.model_versions where model_name = 'demand' order by version";
        self.database.texts(versions).await
    }

    /// Returns who made which version champion in place of which.
    async fn events(&self) -> Vec<String> {
        self.database
            .texts(
                "select format('%s %s %s: %s to %s', actor, action, subject, coalesce(detail ->> 'version_before', 'none'), detail ->> 'version_after')
                 from ops.audit_events where action like '%model' order by audit_event_id",
            )
            .await
    }

    /// Runs the binary and returns its exit code, its data and its talk.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = command(arguments).env("DATABASE_URL", self.database.url.expose()).output().unwrap();
        (output.status.code(), stdout(&output), stderr(&output))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (_, data, talk) = self.run(&[&["--json"], arguments].concat());
        serde_json::from_str(&data).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {talk}"))
    }

    async fn number(&self, sql: &str) -> f64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&self.database.db).await.expect(sql)
    }
}

/// A world whose model of demand was trained after 40 weeks and predicted, and of which 5 further weeks are known, but for
/// one of one keyword.
async fn five_weeks_later() -> World {
    let world = World::new(rising, 40).await;
    world.train(39).await;
    world.score(39).await;
    assert_eq!(world.database.count("select count(*) from ml.prediction_outcomes").await, 0);
    for week in 40..=44 {
        world.observe(week, if week == 41 { &[3] } else { &[] }).await;
    }
    world.score(44).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn every_prediction_is_held_against_what_came_as_one_computes_it_by_hand() {
    let world = five_weeks_later().await;
    // Four weeks are over, one keyword has no value in one of them, and a missing value is no zero.
    let all = KEYWORDS * 4 - 1;
    let accuracy = "analytics.prediction_accuracy_v1";
    assert_eq!(world.database.count(&format!("select count(*) from {accuracy}")).await, all);
    let missing = format!("select count(*) from {accuracy} where keyword_id = 3 and target_date = '2025-10-19'");
    assert_eq!(world.database.count(&missing).await, 0);

    // The scale is the mean change of ln(1 + bids) from week to week, of what was known when the prediction was made.
    let by_hand = format!(
        "with changes as (
             select keyword_id, abs(ln(1 + value) - lag(ln(1 + value)) over (partition by keyword_id order by observed_at)) as change
             from core.keyword_observations where ingested_at <= '{}'
         ), scales as (
             select keyword_id, avg(change) as scale from changes group by keyword_id
         )
         select count(*)
         from {accuracy} accuracy
         join ml.predictions predictions using (prediction_id)
         join core.keyword_observations actuals
             on actuals.keyword_id = accuracy.keyword_id and actuals.period_start_date = accuracy.target_date
         join scales on scales.keyword_id = accuracy.keyword_id
         where accuracy.actual_value = actuals.value
           and accuracy.error = actuals.value - predictions.predicted_value
           and accuracy.absolute_error = abs(accuracy.error)
           and accuracy.naive_error = actuals.value - predictions.baseline_value
           and abs(accuracy.scaled_error - abs(ln((1 + actuals.value) / (1 + predictions.predicted_value))) / scale) < 1e-6
           and abs(accuracy.naive_scaled_error - abs(ln((1 + actuals.value) / (1 + predictions.baseline_value))) / scale) < 1e-6
           and accuracy.is_inside_80 = (actuals.value >= predictions.lo_80 and actuals.value <= predictions.hi_80)
           and accuracy.is_inside_95 = (actuals.value >= predictions.lo_95 and actuals.value <= predictions.hi_95)
           and accuracy.source_payload_ids = array[actuals.raw_payload_id]
           and accuracy.history_class = '8_to_51_weeks'
           and (accuracy.horizon_days, accuracy.marketplace, accuracy.target_kind) = (
               accuracy.target_date - date '2025-10-05', 'ebay', 'demand')",
        noon(39)
    );
    assert_eq!(world.database.count(&by_hand).await, all);

    let summary = "select count(*) from analytics.prediction_accuracy_summary_v1 where marketplace = 'ebay' and target_kind = 'demand'";
    assert_eq!(world.database.count(summary).await, 4, "one row per horizon");
    let two_weeks = format!("from {accuracy} where horizon_days = 14");
    let expected = world.number(&format!("select sum(scaled_error) / 7 {two_weeks}")).await;
    let ratio = world.number(&format!("select sum(scaled_error) / sum(naive_scaled_error) {two_weeks}")).await;
    let covered =
        world.number(&format!("select count(*) filter (where is_inside_80) / 7.0::double precision {two_weeks}")).await;
    let listed = world.json(&["predictions", "list", "--horizon-weeks", "2", "--keyword", "keyword 1"]);
    let row = &listed["predictions"][0];
    assert_eq!((&row["outcome_count"], &row["history_class"]), (&7.into(), &"8_to_51_weeks".into()), "{row}");
    for (name, expected) in [("mean_scaled_error", expected), ("error_ratio", ratio), ("coverage_80", covered)] {
        assert!((row[name].as_f64().unwrap() - expected).abs() < 1e-9, "{name}: {row}");
    }
    let accuracies = world.json(&["predictions", "accuracy", "--marketplace", "ebay"]);
    assert_eq!(
        (&accuracies["meta"]["count"], &accuracies["accuracies"][1]["prediction_count"]),
        (&4.into(), &7.into())
    );
    let (code, table, _) = world.run(&["predictions", "list", "--horizon-weeks", "2"]);
    assert!(code == Some(0) && table.contains("OF NAIVE"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_is_written_once_and_again_when_its_actual_value_is_corrected() {
    let world = five_weeks_later().await;
    let before = world.database.count("select count(*) from ml.prediction_outcomes").await;
    let later = |hours| noon(44) + TimeDelta::hours(hours);
    let look = |hours| Job::ScorePredictions(ScorePredictions { as_of: later(hours) });
    world.work(later(1), look(1)).await;
    assert_eq!(world.database.count("select count(*) from ml.prediction_outcomes").await, before);

    let (keyword, week) = (2, 41);
    let corrected = 2.0 * rising(keyword, week);
    world
        .database
        .execute(&format!(
            "update core.keyword_observations set superseded_at = '{}' where keyword_id = {keyword} and period_start_date = '2025-10-19'",
            later(2)
        ))
        .await;
    world.say(keyword, week, corrected, later(2)).await;
    world.work(later(3), look(3)).await;
    assert_eq!(world.database.count("select count(*) from ml.prediction_outcomes").await, before + 1);
    let actual = "select actual_value from analytics.prediction_accuracy_v1 where keyword_id = 2 and target_date = '2025-10-19' and horizon_days = 14";
    assert!((world.number(actual).await - corrected).abs() < 1e-6);
    let as_known = |moment: DateTime<Utc>| {
        let db = world.database.db.clone();
        async move {
            let mut tx = db.begin().await.unwrap();
            let set = format!("set local digitallz.as_of = '{moment}'");
            sqlx::query(AssertSqlSafe(set)).execute(&mut *tx).await.unwrap();
            sqlx::query_scalar::<_, f64>(actual).fetch_one(&mut *tx).await.unwrap()
        }
    };
    assert!((as_known(later(2)).await - rising(keyword, week)).abs() < 1e-6, "what was known then");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_term_that_falls_off_the_list_is_held_against_its_end() {
    let world = World::on(Marketplace::Amazon, wandering, 40).await;
    world.train(39).await;
    world.score(39).await;
    for week in 40..=46 {
        world.observe(week, &[3, 4]).await;
        // The list is long at first, and then ends before what was predicted.
        world.drop_out(3, week, if week < 42 { 90_000.0 } else { 1.0 }).await;
    }
    world.score(47).await;

    let outcomes = |condition: &str| format!("select count(*) from analytics.prediction_accuracy_v1 where {condition}");
    assert_eq!(world.database.count(&outcomes("keyword_id = 4")).await, 0, "nothing is known of it");
    assert_eq!(world.database.count(&outcomes("is_beyond")).await, 7);
    assert_eq!(world.database.count(&outcomes("is_beyond and keyword_id <> 3")).await, 0);
    let off = "is_beyond and actual_value = 90000 and error = 90000 - predicted_value and scaled_error > 1
        and abs(naive_error - (90000 - baseline_value)) < 1e-6 and not is_inside_80 and not is_inside_95
        and cardinality(source_payload_ids) = 1";
    assert_eq!(world.database.count(&outcomes(off)).await, 2);
    let beyond_too =
        "is_beyond and actual_value = 1 and error = 0 and scaled_error = 0 and is_inside_80 and is_inside_95";
    assert_eq!(world.database.count(&outcomes(beyond_too)).await, 5);

    // Nothing more is predicted of it, and the reason is not that nobody looked.
    let reasons = "select distinct keyword_id || ': ' || abstain_reason from analytics.keyword_predictions_v1
        where is_latest and target_kind = 'demand' and keyword_id in (3, 4) order by 1";
    let old = "the last observed week is older than 4 weeks";
    let since = FIRST_WEEK + Days::new(7 * 40);
    let expected =
        [format!("3: {old}: beyond the end of the marketplace's list since the week of {since}"), format!("4: {old}")];
    assert_eq!(world.database.texts(reasons).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_predicted_of_a_merged_keyword_is_held_against_what_came_of_the_survivor() {
    let world = World::new(rising, 40).await;
    world.train(39).await;
    world.score(39).await;
    let merge = "update core.keywords set is_active = false, merged_into_keyword_id = 7 where keyword_id = 8";
    world.database.execute(merge).await;
    for week in 40..=42 {
        world.observe(week, &[8]).await;
    }
    world.score(42).await;
    let actuals = "select actual_value from analytics.prediction_accuracy_v1 where keyword_id = 8 order by target_date";
    let actuals: Vec<f64> = sqlx::query_scalar(actuals).fetch_all(&world.database.db).await.unwrap();
    assert_eq!(actuals.len(), 2);
    for (actual, week) in actuals.into_iter().zip(40..) {
        assert!((actual - rising(7, week)).abs() < 1e-9, "week {week}: {actual}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_prediction_nor_its_outcome_can_be_changed() {
    let world = five_weeks_later().await;
    for (statement, table) in [
        ("update ml.predictions set predicted_value = 1", "predictions"),
        ("update ml.predictions set target_date = target_date where false", "predictions"),
        ("delete from ml.predictions", "predictions"),
        ("truncate ml.predictions cascade", "predictions"),
        ("update ml.prediction_outcomes set error = 0, scaled_error = 0", "prediction_outcomes"),
        ("delete from ml.prediction_outcomes", "prediction_outcomes"),
        ("truncate ml.prediction_outcomes", "prediction_outcomes"),
    ] {
        let refused = sqlx::query(statement).execute(&world.database.db).await.expect_err(statement);
        assert!(refused.to_string().contains(&format!("{table} is only ever added to")), "{statement}: {refused}");
    }
    // What was predicted is predicted again without a change.
    let predictions = "select count(*) from ml.predictions";
    let before = world.database.count(predictions).await;
    world.database.execute("delete from ops.job_attempts").await;
    world.database.execute("delete from ops.jobs").await;
    world.score(44).await;
    assert_eq!(world.database.count(predictions).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_predicts_only_when_it_beats_naive_and_the_champion_by_more_than_noise() {
    let world = World::new(rising, 40).await;
    world.train(39).await;
    assert_eq!(world.versions().await, ["1 champion"]);
    let decision = "select decision ->> 'reason' from ml.model_versions";
    let reason = &world.database.texts(decision).await[0];
    assert!(reason.starts_with("better than seasonal naive"), "{reason}");

    // The registry tells how well it did with histories of each class, and the decision that no class suffers.
    let shown = world.json(&["models", "show", "ebay", "demand"]);
    let classes = |path: &str| -> Vec<&str> {
        let classes = shown.pointer(path).and_then(Value::as_array).unwrap_or_else(|| panic!("{shown}"));
        classes.iter().filter_map(|class| class["history_class"].as_str()).collect()
    };
    assert_eq!(classes("/model/metrics/classes"), ["8_to_51_weeks"]);
    assert_eq!(classes("/model/decision/classes"), ["8_to_51_weeks"]);
    for weeks in [0, 7, 8, 51, 52, 103, 104, 500] {
        let name = world.database.texts(&format!("select ml.history_class({weeks})")).await;
        assert_eq!(name, [HistoryClass::of(weeks).name()]);
        assert_eq!(json!(HistoryClass::of(weeks)), json!(name[0]));
    }

    // The same training again is not better than itself.
    world.train(40).await;
    assert_eq!(world.versions().await, ["1 champion", "2 candidate"]);

    // A bad champion is replaced by one that beats it.
    world.database.execute("update ml.model_versions set state = 'retired' where version = 1").await;
    world.plant(3, "champion").await;
    let only = ["--marketplace", "ebay", "--model", "demand"];
    let dry = world.json(&[&["models", "train", "--dry-run"], &only[..]].concat());
    assert_eq!(
        (&dry["trainings"][0]["is_promoted"], &dry["trainings"][0]["version"]),
        (&true.into(), &Value::Null),
        "{dry}"
    );
    assert_eq!(world.versions().await, ["1 retired", "2 candidate", "3 champion"]);
    let trained = world.json(&[&["models", "train"], &only[..]].concat());
    assert_eq!(trained["trainings"][0]["version"], 4, "{trained}");
    assert_eq!(world.versions().await, ["1 retired", "2 candidate", "3 retired", "4 champion"]);

    // A bad candidate is not let in, whoever asks.
    world.plant(5, "candidate").await;
    let (code, data, _) = world.run(&["models", "promote", "ebay", "demand", "5", "--dry-run"]);
    assert!(code == Some(0) && data.contains("would not be promoted: it is not better than seasonal naive"), "{data}");
    let (code, _, talk) = world.run(&["models", "promote", "ebay", "demand", "5", "--by", "ada"]);
    assert!(code == Some(1) && talk.contains("was not promoted") && talk.contains("next: "), "{talk}");
    let (code, _, talk) = world.run(&["models", "promote", "ebay", "demand", "99"]);
    assert!(code == Some(1) && talk.contains("there is no version 99 of ebay demand"), "{talk}");

    // A person takes the champion back, and the gate lets it in again.
    let rollback = ["models", "rollback", "ebay", "demand", "--reason", "to see", "--by", "ada"];
    let (code, _, talk) = world.run(&[&rollback[..], &["--to", "5"]].concat());
    assert!(code == Some(1) && talk.contains("version 5 of ebay demand is no former champion but candidate"), "{talk}");
    let dry = world.json(&[&rollback[..], &["--dry-run"]].concat());
    assert_eq!((&dry["rollback"]["version_before"], &dry["rollback"]["version_after"]), (&4.into(), &3.into()));
    assert_eq!(world.versions().await[3], "4 champion");
    assert_eq!(world.run(&rollback).0, Some(0));
    assert_eq!(world.versions().await, ["1 retired", "2 candidate", "3 champion", "4 demoted", "5 candidate"]);
    let (code, data, talk) = world.run(&["models", "promote", "ebay", "demand", "4", "--by", "ada"]);
    assert!(code == Some(0) && data.contains("version 4 of ebay demand predicts from now on"), "{data}{talk}");
    assert_eq!(
        world.events().await,
        [
            "digitallz promote_model ebay demand: none to 1",
            "digitallz promote_model ebay demand: 3 to 4",
            "ada roll_back_model ebay demand: 4 to 3",
            "ada promote_model ebay demand: 3 to 4",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_learnt_seasonal_naive_predicts_under_its_own_name() {
    // In less than a year seasonal naive is the last value, of which nothing better can be known here.
    let world = World::new(wandering, 40).await;
    world.train(39).await;
    let version = "select format('%s %s %s', state, algorithm, decision ->> 'reason') from ml.model_versions";
    let version = &world.database.texts(version).await[0];
    assert!(version.starts_with("champion seasonal_naive seasonal naive predicts until a model beats it"), "{version}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_champion_that_falls_behind_or_is_damaged_is_demoted_by_itself() {
    let world = World::new(seasonal, 71).await;
    world.train(70).await;
    world.database.execute("update ml.model_versions set state = 'retired'").await;
    world.plant(2, "champion").await;
    world.score(70).await;

    // Three weeks are not enough to judge it, four are.
    for week in 71..=74 {
        world.observe(week, &[]).await;
    }
    world.score(74).await;
    assert_eq!(world.versions().await, ["1 retired", "2 champion"]);
    world.observe(75, &[]).await;
    world.score(75).await;
    assert_eq!(world.versions().await, ["1 champion", "2 demoted"]);
    let shown = world.json(&["models", "show", "ebay", "demand", "2"]);
    let reason = shown["model"]["events"][0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("over the last 4 weeks with outcomes seasonal naive was better by more than noise"),
        "{reason}"
    );

    // A changed artifact is never used: what was promised by another model is not asked of this one.
    world.observe(76, &[]).await;
    world.database.execute("update ml.model_versions set artifact = artifact || ' ' where version = 1").await;
    world.score(76).await;
    assert_eq!(world.versions().await, ["1 demoted", "2 demoted", "3 champion"]);
    let by = format!(
        "select distinct format('%s %s', version, algorithm) from ml.predictions join ml.model_versions using (model_version_id)
         where predicted_at = '{}'",
        noon(76)
    );
    assert_eq!(world.database.texts(&by).await, ["3 seasonal_naive"]);
    assert_eq!(
        world.events().await,
        [
            "digitallz promote_model ebay demand: none to 1",
            "digitallz demote_model ebay demand: 2 to 1",
            "digitallz demote_model ebay demand: 1 to 3",
        ]
    );
    // Naive is never behind itself.
    for week in 77..=81 {
        world.observe(week, &[]).await;
    }
    world.score(81).await;
    assert_eq!(world.versions().await[2], "3 champion");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_champion_that_this_program_cannot_read_is_replaced_before_it_predicts() {
    let world = World::new(wandering, 40).await;
    world.train(40).await;
    let artifact = r#"convert_to('{"algorithm":"of_long_ago","state":{},"intervals":[]}', 'UTF8')"#;
    world
        .database
        .execute(&format!(
            "update ml.model_versions set algorithm = 'of_long_ago', artifact = {artifact}, artifact_sha256 = sha256({artifact})
             where model_name = 'demand'"
        ))
        .await;
    world.score(40).await;
    assert_eq!(world.versions().await, ["1 demoted", "2 champion"]);
    let reasons = "select detail ->> 'reason' from ops.audit_events where action = 'demote_model'";
    let reasons = world.database.texts(reasons).await;
    assert!(reasons[0].contains("cannot be read") && reasons[0].contains("of_long_ago"), "{reasons:?}");
    let by = "select distinct algorithm from ml.predictions join ml.model_versions using (model_version_id)";
    assert_eq!(world.database.texts(by).await, ["seasonal_naive"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prediction_of_demand_says_how_probable_its_direction_is_and_when_the_season_peaks() {
    let world = World::new(seasonal, 112).await;
    world.train(112).await;
    world.score(112).await;
    let with = "select count(*)::float8 from analytics.keyword_predictions_v1
        where abs(probability_falling + probability_stable + probability_rising - 1) < 1e-9";
    assert_eq!(world.number(with).await, 8.0 * KEYWORDS as f64);
    // The last week is the 112th, and the peak of a keyword comes with every 52 weeks after its own.
    let wrong = "select format('%s %s %s %s', keyword_id, demand_pattern, season_strength, weeks_until_peak)
        from analytics.keyword_predictions_v1
        where horizon_days = 7 and (demand_pattern <> 'seasonal' or season_strength < 0.9
            or abs(26 - (weeks_until_peak - (5 * keyword_id - 111 + 208) % 52 + 26 + 52) % 52) > 2)";
    assert_eq!(world.database.texts(wrong).await, Vec::<String>::new());
    assert_eq!(
        world
            .number("select count(*)::float8 from analytics.keyword_predictions_v1 where demand_pattern = 'seasonal'")
            .await,
        8.0 * KEYWORDS as f64
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keywords_that_are_shared_out_get_the_predictions_that_all_of_them_get_together() {
    let world = World::new(seasonal, 112).await;
    world.train(112).await;
    world.score(112).await;
    let as_of = noon(112) + TimeDelta::days(1);
    for (first_keyword_id, last_keyword_id) in [(1, 3), (4, KEYWORDS)] {
        let marketplace = Marketplace::Ebay;
        let range = ScoreKeywordRange { as_of, marketplace, first_keyword_id, last_keyword_id };
        world.work(as_of, Job::ScoreKeywordRange(range)).await;
    }
    let of_day = |day: DateTime<Utc>| {
        format!(
            "select (to_jsonb(predictions) - array['prediction_id', 'as_of_date', 'run_id', 'predicted_at'])::text
             from ml.predictions where as_of_date = '{}' order by target_metric, keyword_id, horizon_days",
            day.date_naive()
        )
    };
    let together = world.database.texts(&of_day(noon(112))).await;
    let shared_out = world.database.texts(&of_day(as_of)).await;
    assert_eq!(together.len(), 8 * KEYWORDS as usize);
    assert_eq!(together, shared_out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_sees_what_another_marketplace_knew_of_the_same_text_by_then() {
    let world = World::new(rising, 12).await;
    // Etsy knows the second keyword, one of its weeks only since later.
    world
        .database
        .execute(
            "insert into core.keywords (keyword_id, marketplace, market, keyword_text, original_text, normalization_version, created_at)
             overriding system value select 100, 'etsy', market, keyword_text, original_text, 1, created_at
             from core.keywords where keyword_id = 2",
        )
        .await;
    world
        .database
        .execute(
            "insert into core.keyword_observations (keyword_id, metric, value, unit, value_status, resource, observed_at,
                 period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id, crawl_run_id)
             select 100, 'listing_views_per_week', 10, 'views', 'observed', 'active_listings', fetched_at, fetched_at::date,
                    fetched_at::date, 'instant', fetched_at,
                    case request_key when 'week 5' then fetched_at + interval '200 days' else fetched_at end,
                    raw_payload_id, crawl_run_id
             from raw.payloads where request_key in ('week 3', 'week 5')",
        )
        .await;
    let seen = || async {
        let (db, demand, ebay, keyword_ids) = (&world.database.db, ModelName::Demand, Marketplace::Ebay, [1, 2]);
        let mut histories = series::load(db, demand, ebay, &keyword_ids, noon(11)).await.unwrap();
        series::add_beside(db, demand, ebay, &keyword_ids, noon(11), &mut histories).await.unwrap();
        let weeks = |history: &History| -> Vec<(usize, f64)> {
            // Amazon comes before Etsy.
            let of_etsy = history.weeks.iter().map(|week| week.beside[1]).enumerate();
            assert!(history.weeks.iter().all(|week| week.beside[0].is_nan()));
            of_etsy.filter(|(_, value)| !value.is_nan()).collect()
        };
        histories.iter().map(weeks).collect::<Vec<_>>()
    };
    assert_eq!(seen().await, [vec![], vec![(3, 11.0_f64.ln())]]);
    world.database.execute("update ops.source_policies set may_train = false where marketplace = 'etsy'").await;
    assert_eq!(seen().await, [vec![], vec![]], "what may not teach Etsy's models teaches no other");
}

/// As `rising`, until everything is suddenly five times as much.
fn leaping(keyword: i64, week: u64) -> f64 {
    rising(keyword, week) * if week < 40 { 1.0 } else { 5.0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_champion_that_breaks_its_promises_is_told_of() {
    let world = World::new(leaping, 40).await;
    world.train(39).await;
    world.score(39).await;
    // Before anything came, the present is held against the training; eight keywords alone never look like another population.
    let measures = "select concat_ws(' ', measure, keyword_count, is_drifted) from analytics.model_drift_v1
                    where model_name = 'demand' and is_latest order by measure";
    let inputs = ["bridged_share", "last_move", "level", "move_8_weeks", "weekly_change"];
    let inputs: Vec<String> = inputs.iter().map(|name| format!("psi_{name} {KEYWORDS} f")).collect();
    assert_eq!(world.database.texts(measures).await, inputs);

    for week in 40..=44 {
        world.observe(week, &[]).await;
    }
    world.score(44).await;
    let told = world.database.texts(measures).await;
    for promise in ["coverage_80", "coverage_95"] {
        assert!(told.contains(&format!("{promise} {KEYWORDS} t")), "{told:?}");
    }
    let shown = world.json(&["models", "show", "ebay", "demand"]);
    let row = shown["model"]["drift"].as_array().unwrap().iter().find(|row| row["measure"] == "coverage_80").unwrap();
    let by_hand = "select avg(is_inside_80::integer)::double precision from analytics.prediction_accuracy_v1
                   where target_kind = 'demand'";
    assert!((row["value"].as_f64().unwrap() - world.number(by_hand).await).abs() < 1e-9, "{row}");
    assert_eq!((row["expected_value"].as_f64(), &row["is_drifted"]), (Some(0.8), &true.into()));
    let (_, table, _) = world.run(&["models", "show", "ebay", "demand"]);
    assert!(table.contains("Drift, as of") && table.contains("coverage 80"), "{table}");
    let (_, findings, _) = world.run(&["doctor", "--offline"]);
    assert!(findings.contains("of ebay demand has drifted: coverage_80 is 0."), "{findings}");
    let changed = sqlx::query("update ml.model_drift set is_drifted = false").execute(&world.database.db).await;
    assert!(changed.unwrap_err().to_string().contains("model_drift is only ever added to"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tells_of_a_demotion_for_a_week() {
    let database = TestDatabase::new().await;
    let mut connection = database.db.acquire().await.unwrap();
    for (days_ago, version) in [(2, 5), (8, 4)] {
        let detail = json!({ "version_before": version, "version_after": 1, "reason": "it fell behind" });
        let at = Clock::System.now() - TimeDelta::days(days_ago);
        audit::record(&mut connection, at, "digitallz", "demote_model", "ebay demand", detail).await.unwrap();
    }
    let detail = json!({ "version_before": 2, "version_after": null, "reason": "so did it" });
    audit::record(&mut connection, Clock::System.now(), "digitallz", "demote_entry_model", "etsy entry", detail)
        .await
        .unwrap();
    let output = command(&["doctor", "--offline"]).env("DATABASE_URL", database.url.expose()).output().unwrap();
    let findings = stdout(&output);
    assert!(findings.contains("version 2 of etsy entry was demoted: so did it"), "{findings}");
    assert!(findings.contains("version 5 of ebay demand was demoted: it fell behind"), "{findings}");
    assert!(
        findings.contains("see `digitallz models show ebay demand 5`") && !findings.contains("version 4"),
        "{findings}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_done_again_gives_the_same_bytes_and_a_row_that_explains_itself() {
    let world = World::new(rising, 40).await;
    world.train(39).await;
    world.observe(40, &[]).await;
    let replay = ["models", "train", "--replay", "1", "--marketplace", "ebay", "--model", "demand"];
    let answer = &world.json(&replay)["replay"];
    assert_eq!((&answer["is_same"], &answer["differences"]), (&true.into(), &json!([])), "{answer}");
    assert_eq!(answer["artifact_sha256"], answer["replayed_sha256"]);
    let stored = world.database.texts("select encode(sha256(artifact), 'hex') from ml.model_versions").await;
    assert_eq!(answer["replayed_sha256"], stored[0].as_str());
    assert_eq!(world.database.count("select count(*) from ml.model_versions").await, 1, "nothing is stored");
    assert_eq!(world.run(&["models", "train", "--replay", "1"]).0, Some(2), "versions count by model");

    let shown = world.json(&["models", "show", "ebay", "demand"]);
    let model = &shown["model"];
    assert_eq!(
        (&model["training_first_date"], &model["training_last_date"]),
        (&"2025-01-05".into(), &"2025-10-05".into())
    );
    assert_eq!((&model["parent_version"], &model["is_intact"]), (&Value::Null, &true.into()));
    let licence = &model["training_licence"];
    assert_eq!((&licence["may_train"], &licence["acknowledged_by"]), (&true.into(), &"test".into()), "{licence}");
    assert_eq!(licence["resources"], json!(["item_search"]));
    assert_eq!(model["metrics"]["horizons"].as_array().unwrap().len(), 8);
    assert_eq!(model["decision"]["against_naive"]["keyword_count"], KEYWORDS);
    let (code, text, _) = world.run(&["models", "show", "ebay", "demand"]);
    assert!(
        code == Some(0) && text.contains("weeks of 2025-01-05 to 2025-10-05") && text.contains("promote model"),
        "{text}"
    );
    let (_, _, talk) = world.run(&["models", "show", "etsy", "demand"]);
    assert!(talk.contains("no version of etsy demand predicts"), "{talk}");
    let listed = world.json(&["models", "list", "--champions"]);
    assert_eq!((&listed["meta"]["count"], &listed["models"][0]["state"]), (&1.into(), &"champion".into()));
    let backtest = world.json(&["models", "backtest", "--marketplace", "ebay", "--model", "demand"]);
    assert_eq!(backtest["backtests"][0]["algorithm"], "seasonal_naive");

    // Other data give other bytes, and the answer says so.
    world.database.execute("update core.keywords set is_active = false where keyword_id = 8").await;
    let (code, data, _) = world.run(&[&["--json"], &replay[..]].concat());
    let answer: Value = serde_json::from_str(&data).unwrap();
    assert!(
        code == Some(1) && answer["replay"]["differences"][0].as_str().unwrap().starts_with("the series"),
        "{answer}"
    );
}
