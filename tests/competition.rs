//! Definitions of the competition score, side by side, and the entry of newcomers, on the whole system.

use chrono::{DateTime, TimeDelta, Utc};
use digitallz::cli::Role;
use digitallz_common::jobs::{Job, ScoreKeywords, ScorePredictions, TrainModels};
use digitallz_common::marketplace::Marketplace;
use digitallz_common::queue;
use sqlx::AssertSqlSafe;

use crate::harness::{NOW, TestApp, command, scratch, stderr, stdout};

fn json(app: &TestApp, arguments: &[&str]) -> serde_json::Value {
    let arguments = [&["--json"], arguments].concat();
    let output = command(&arguments).env("DATABASE_URL", app.database.url.expose()).output().unwrap();
    serde_json::from_str(&stdout(&output)).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", stderr(&output)))
}

fn say(app: &TestApp, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(arguments).env("DATABASE_URL", app.database.url.expose()).output().unwrap();
    (output.status.code(), stderr(&output))
}

/// Writes 80 weeks of search results: ten listings that stay, and five newcomers a week, of which some come up.
async fn write_results(app: &TestApp) {
    app.database.make_partitions("'2024-08-01'", &format!("'{NOW}'")).await;
    sqlx::raw_sql(AssertSqlSafe(format!(
            "create temporary table pages as
             with weeks as (
                 select week, date_trunc('week', '{NOW}'::timestamptz) - make_interval(days => 1 + 7 * (80 - week)) + interval '6 hours' as at
                 from generate_series(1, 80) week
             ), newcomers as (
                 select keyword_id, number, week as born, (hashtext(format('%s %s %s', keyword_id, number, week)) & 1023) / 1024.0
                        < 0.05 + 0.7 * (keyword_id % 10) / 10.0 as comes_up
                 from core.keywords cross join generate_series(1, 5) number cross join generate_series(1, 80) week
             )
             select keyword_id, format('stays %s %s', keyword_id, number) as name, number as position, at, null::timestamptz as listed_at
             from core.keywords cross join generate_series(1, 10) number cross join weeks
             union all
             select keyword_id, format('new %s %s %s', keyword_id, born, number), 30 + 5 * (week - born) + number, weeks.at, first.at
             from newcomers join weeks on week between born and born + 1
             join lateral (select at from weeks where week = born) first on true
             union all
             select keyword_id, format('new %s %s %s', keyword_id, born, number), 10 + 5 * (week - born - 2) + number, at, null
             from newcomers join weeks on week between born + 2 and born + 3
             where comes_up;

             insert into core.listings (marketplace, market, marketplace_listing_id, listed_at, first_seen_at, last_seen_at)
             select 'ebay', 'us', name, min(listed_at), min(at), max(at) from pages group by name;

             insert into core.serp_entries (raw_payload_id, position, keyword_id, listing_id, entry_kind, observed_at, ingested_at)
             select payload.raw_payload_id, position, keyword_id, listing_id, 'organic', at, at
             from pages
             join core.listings on marketplace_listing_id = name
             join (select keyword_id, min(raw_payload_id) as raw_payload_id from raw.payloads group by keyword_id) payload using (keyword_id);

             insert into core.keyword_observations (keyword_id, metric, value, unit, value_status, resource, observed_at,
                 period_start_date, period_end_date, period_kind, fetched_at, ingested_at, raw_payload_id, crawl_run_id)
             select keyword_id, metric, value * (1 + 0.1 * sin(keyword_id + extract(epoch from at) / 1e6)), 'unit', 'observed',
                    'item_search', at, at::date, at::date, 'instant', at, at, raw_payload_id, crawl_run_id
             from (select distinct keyword_id, at from pages) weeks
             cross join (values ('result_count', 9000), ('seller_feedback_median', 2000), ('seller_concentration', 0.1),
                                ('title_match_share', 0.5), ('promoted_share', 0.2)) metrics (metric, value)
             cross join lateral (select raw_payload_id, crawl_run_id from raw.payloads order by raw_payload_id limit 1) payload"
        )))
        .execute(app.db())
        .await
        .unwrap();
}

/// Does one job of the scorer.
async fn work(app: &TestApp, job: &Job) {
    queue::enqueue(&mut app.db().acquire().await.unwrap(), job, 0).await.unwrap();
    let roles = app.play(&[Role::Scorer]);
    app.database.wait_until_idle().await;
    roles.stop().await;
}

async fn train_and_score(app: &TestApp, as_of: DateTime<Utc>) {
    app.clock.set(as_of);
    for job in [Job::TrainModels(TrainModels { as_of }), Job::ScoreKeywords(ScoreKeywords { as_of })] {
        work(app, &job).await;
    }
    assert_eq!(app.dead_letters().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_are_compared_before_one_is_switched_to_and_entry_is_foretold() {
    let app = TestApp::start().await;
    let keywords = app.keywords(Marketplace::Ebay, 30);
    app.crawl(Marketplace::Ebay, &keywords).await;
    app.work_until_idle().await;
    write_results(&app).await;
    let now: DateTime<Utc> = NOW.parse().unwrap();
    train_and_score(&app, now + TimeDelta::hours(1)).await;

    // Every stored score is the sum of its contributions, which are columns; the second version needs sixteen weeks.
    let versions = "select concat_ws(' ', score_version, is_current, count(distinct keyword_id), count(*) > 1500, count(entry_contribution) > 0,
                           max(abs(coalesce(entry_contribution, 0) + supply_contribution + incumbents_contribution + concentration_contribution
                               + coalesce(stability_contribution, 0) + coalesce(relevance_contribution, 0)
                               + coalesce(promoted_contribution, 0) - score)) <= 1e-9,
                           bool_and(supply between 0 and 1))
                    from analytics.competition_components_v1 group by score_version, is_current order by 1";
    assert_eq!(app.database.texts(versions).await, ["competition_v1 t 30 t f t t", "competition_v2 f 30 t t t t"]);
    let broken = sqlx::query("update ml.competition_scores set score = score / 2 + 0.001").execute(app.db()).await;
    assert!(broken.unwrap_err().to_string().contains("contributions_add_up_to_the_score"));

    // The model foretells; where newcomers come up it expects less difficulty.
    let models = "select concat_ws(' ', marketplace, version, is_serving) from ml.entry_models";
    assert_eq!(app.database.texts(models).await, ["ebay 1 t"]);
    let foretold = "select count(*) from analytics.entry_predictions_v1
                    where is_latest and abstain_reason is null and outcome_date = cohort_start_date + 55
                      and cohort_start_date > as_of_date - 7 and predicted_value between lo_80 and hi_80
                      and abs(low_probability + medium_probability + high_probability - 1) < 1e-9";
    assert_eq!(app.database.count(foretold).await, 30);
    let order = "select corr(predicted_value, -(keyword_id % 10)) > 0.9 from analytics.entry_predictions_v1";
    assert_eq!(app.database.texts(&format!("select ({order})::text")).await, ["true"]);

    // Scoring again adds nothing.
    let rows = "select (select count(*) from ml.competition_scores) + (select count(*) from ml.entry_predictions)";
    let before = app.database.count(rows).await;
    work(&app, &Job::ScoreKeywords(ScoreKeywords { as_of: now + TimeDelta::hours(2) })).await;
    assert_eq!(app.database.count(rows).await, before);

    // Who would move, and why: what the components add more or less is the change.
    let diff = json(&app, &["score", "diff", "v1", "v2", "--limit", "5"]);
    assert_eq!((&diff["meta"]["keyword_count"], diff["moves"].as_array().unwrap().len()), (&30.into(), 5));
    for row in diff["moves"].as_array().unwrap() {
        let reasons = row["reasons"].as_array().unwrap();
        let sum: f64 = reasons.iter().map(|reason| reason["change"].as_f64().unwrap()).sum();
        assert!((sum - row["change"].as_f64().unwrap()).abs() < 1e-9, "{row}");
        assert!(reasons.iter().any(|reason| reason["component"] == "entry"), "{row}");
    }
    let source = "select distinct competition_source from analytics.keyword_data_v1";
    assert_eq!(app.database.texts(source).await, ["competition_v1"]);
    assert_eq!(say(&app, &["score", "use", "v2"]).0, Some(0));
    assert_eq!(app.database.texts(source).await, ["competition_v2"]);

    // A definition of one's own is published once, and refused where it does not add up.
    let directory = scratch("score-definitions");
    let mut definition = json(&app, &["score", "show", "v2"]);
    let file = directory.join("v3.json");
    definition["components"]["ebay"][0]["weight"] = 0.25.into();
    std::fs::write(&file, definition.to_string()).unwrap();
    let add = ["score", "add", "v3", file.to_str().unwrap(), "--description", "less of entry"];
    let (code, talk) = say(&app, &add);
    assert!(code == Some(1) && talk.contains("fractions of 16 that add up to 1"), "{talk}");
    definition["components"]["ebay"][1]["weight"] = 0.3125.into();
    std::fs::write(&file, definition.to_string()).unwrap();
    assert_eq!(say(&app, &add).0, Some(0));
    assert!(say(&app, &add).1.contains("a published definition never changes"));
    let listed = json(&app, &["score", "list"]);
    let names: Vec<_> =
        listed["score_definitions"].as_array().unwrap().iter().map(|row| &row["score_version"]).collect();
    assert_eq!(names, ["competition_v1", "competition_v2", "competition_v3"]);
    assert!(
        say(&app, &["score", "use", "v9"]).1.contains("no definition of the competition score is named competition_v9")
    );
}

/// A marketplace that was looked at for 80 weeks, as it was foretold ten weeks before their end.
async fn foretold_ten_weeks_ago() -> (TestApp, DateTime<Utc>) {
    let app = TestApp::start().await;
    let keywords = app.keywords(Marketplace::Ebay, 30);
    app.crawl(Marketplace::Ebay, &keywords).await;
    app.work_until_idle().await;
    write_results(&app).await;
    app.database.execute("update core.keywords set created_at = '2024-08-01'").await;
    let now: DateTime<Utc> = NOW.parse().unwrap();
    train_and_score(&app, now - TimeDelta::weeks(10)).await;
    app.clock.set(now);
    (app, now)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_foretold_of_newcomers_is_held_against_their_count() {
    let (app, now) = foretold_ten_weeks_ago().await;
    assert_eq!(app.database.count("select count(*) from ml.entry_outcomes").await, 0);
    let look = Job::ScorePredictions(ScorePredictions { as_of: now });
    work(&app, &look).await;

    // Five listings a week are new; who of them stood among the first 24 by the last day is counted here from the pages.
    let by_hand = "with newcomers as (
                       select predictions.entry_prediction_id, listing_id, min(position) as best
                       from ml.entry_predictions predictions
                       join core.serp_entries entries on entries.keyword_id = predictions.keyword_id
                           and entries.observed_at::date <= predictions.outcome_date
                       where entries.listing_id in (select listing_id from core.listings where marketplace_listing_id like 'new %')
                       group by predictions.entry_prediction_id, cohort_start_date, listing_id
                       having min(entries.observed_at)::date between cohort_start_date and cohort_start_date + 27
                   ), counts as (
                       select entry_prediction_id, count(*) as newcomers, count(*) filter (where best <= 24) as successes
                       from newcomers group by entry_prediction_id
                   )
                   select count(*)
                   from analytics.entry_accuracy_v1 accuracy
                   join counts using (entry_prediction_id)
                   join ml.entry_predictions predictions using (entry_prediction_id)
                   join ml.entry_models models using (entry_model_id)
                   cross join lateral (select convert_from(models.artifact, 'UTF8')::jsonb -> 'prior' as prior) artifacts
                   where (accuracy.newcomer_count, success_count) = (newcomers, successes) and newcomers = 20
                     and abs(1 - (successes + (prior ->> 'successes')::double precision)
                                 / (newcomers + (prior ->> 'successes')::double precision
                                    + (prior ->> 'failures')::double precision) - actual_value) < 1e-9
                     and abs(actual_value - predictions.predicted_value - accuracy.error) < 1e-9
                     and abs(actual_value - predictions.persistence_value - accuracy.persistence_error) < 1e-9
                     and accuracy.is_inside_80 = (actual_value between predictions.lo_80 and predictions.hi_80)
                     and cardinality(accuracy.source_payload_ids) = 1";
    assert_eq!(app.database.count(by_hand).await, 30);

    let accuracies = json(&app, &["predictions", "accuracy", "--marketplace", "ebay"]);
    let rows = accuracies["accuracies"].as_array().unwrap();
    let of_entry = rows.iter().find(|row| row["target_kind"] == "entry").unwrap();
    assert_eq!((&of_entry["prediction_count"], &of_entry["horizon_weeks"]), (&30.into(), &8.into()), "{of_entry}");
    let listed = json(&app, &["predictions", "entry", "--keyword", "a", "--limit", "3"]);
    let entries = listed["entries"].as_array().unwrap();
    assert!(entries.len() == 3 && entries.iter().all(|row| row["outcome_count"] == 30 && row["level"].is_string()));
    assert_eq!(entries[0]["error_ratio"], of_entry["error_ratio"]);

    // A count is written once, and stays.
    let outcomes = "select count(*) from ml.entry_outcomes";
    work(&app, &Job::ScorePredictions(ScorePredictions { as_of: now + TimeDelta::hours(1) })).await;
    assert_eq!(app.database.count(outcomes).await, 30);
    let refused = sqlx::query("delete from ml.entry_outcomes").execute(app.db()).await.unwrap_err();
    assert!(refused.to_string().contains("entry_outcomes is only ever added to"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_model_that_falls_behind_persistence_or_is_damaged_is_demoted_by_itself() {
    let (app, now) = foretold_ten_weeks_ago().await;
    // Another version says for four cohorts that everybody will come up.
    app.database
        .execute(
            "insert into ml.entry_models (marketplace, version, is_serving, feature_set_version, as_of, trained_at, example_count,
                 data_fingerprint, artifact, artifact_sha256, metrics, code_version)
             select marketplace, 2, true, feature_set_version, as_of, trained_at, example_count, data_fingerprint, artifact,
                    artifact_sha256, metrics, code_version from ml.entry_models",
        )
        .await;
    app.database
        .execute(
            "insert into ml.entry_predictions (keyword_id, entry_model_id, as_of_date, cohort_start_date, outcome_date,
                 predicted_value, lo_80, hi_80, lo_95, hi_95, low_probability, medium_probability, high_probability, level,
                 persistence_value, newcomer_count, run_id, predicted_at)
             select keyword_id, (select max(entry_model_id) from ml.entry_models), as_of_date - 7 * back, cohort_start_date - 7 * back,
                    outcome_date - 7 * back, 0.01, 0, 0.02, 0, 0.03, 1, 0, 0, 'low', persistence_value, newcomer_count, run_id,
                    predicted_at
             from ml.entry_predictions cross join generate_series(0, 3) back",
        )
        .await;
    let serving = "select version::text from ml.entry_models where is_serving order by version";
    assert_eq!(app.database.texts(serving).await, ["1", "2"]);
    work(&app, &Job::ScorePredictions(ScorePredictions { as_of: now })).await;
    assert_eq!(app.database.texts(serving).await, ["1"]);

    app.database.execute("update ml.entry_models set artifact = artifact || ' ' where version = 1").await;
    work(&app, &Job::ScoreKeywords(ScoreKeywords { as_of: now + TimeDelta::hours(1) })).await;
    assert_eq!(app.dead_letters().await, Vec::<String>::new());
    assert_eq!(app.database.texts(serving).await, Vec::<String>::new());
    let events = "select format('%s %s: %s to %s, %s', actor, subject, detail ->> 'version_before',
                         coalesce(detail ->> 'version_after', 'none'), detail ->> 'reason')
                  from ops.audit_events where action = 'demote_entry_model' order by audit_event_id";
    let told = app.database.texts(events).await;
    assert!(
        told.len() == 2 && told[0].starts_with("digitallz ebay entry: 2 to 1, over the last 4 cohorts"),
        "{told:?}"
    );
    assert!(told[1].starts_with("digitallz ebay entry: 1 to none") && told[1].contains("hash"), "{told:?}");
}
