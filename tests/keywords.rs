//! Keywords are read anew by a newer reading: what changes is told first, done a group at a time, and loses no history.

use std::process::Output;

use digitallz_common::keyword::{self, NORMALIZATION_VERSION};
use digitallz_common::marketplace::{Marketplace, Site};
use serde_json::Value;

use crate::harness::{TestApp, TestDatabase, command, entry, scratch, stderr, stdout};

/// Stores keywords as the first version of the reading left them.
async fn store_old(database: &TestDatabase, rows: &[(&str, &str)]) {
    for (keyword_text, original_text) in rows {
        database
            .execute(&format!(
                "insert into core.keywords (marketplace, market, keyword_text, original_text, normalization_version, created_at, tags, weight)
                 values ('ebay', 'US', '{}', '{}', 1, now(), array['old'], 2)",
                keyword_text.replace('\'', "''"),
                original_text.replace('\'', "''"),
            ))
            .await;
    }
}

/// Five keywords: one stays, one changes, two become one with another order of age, one becomes none.
const OLD: [(&str, &str); 5] = [
    ("lamp", "Lamp"),
    ("11⁄2 inch pipe", "1½ inch pipe"),
    ("women \u{301}s hat", "Women´s hat"),
    ("women's hat", "Women’s hat"),
    ("\u{2060}", "\u{2060}"),
];

fn run(database: &TestDatabase, arguments: &[&str]) -> Output {
    command(arguments).env("DATABASE_URL", database.url.expose()).output().unwrap()
}

fn reread(database: &TestDatabase, more: &[&str]) -> Value {
    let output = run(database, &[&["--json", "keywords", "reread"], more].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["reread"].take()
}

fn counts(reread: &Value) -> [u64; 5] {
    ["unchanged_count", "changed_count", "merged_count", "unreadable_count", "postponed_count"]
        .map(|name| reread[name].as_u64().unwrap())
}

async fn keyword_rows(database: &TestDatabase) -> Vec<String> {
    database
        .texts(
            "select format('%s|%s|%s|%s|%s|%s|%s', keyword_id, keyword_text, match_text, normalization_version, is_active,
                           merged_into_keyword_id, unreadable_reason)
             from core.keywords order by keyword_id",
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_would_become_of_keywords_and_changes_nothing() {
    let database = TestDatabase::new().await;
    store_old(&database, &OLD).await;
    let before = keyword_rows(&database).await;
    let told = reread(&database, &["--dry-run"]);
    assert_eq!(counts(&told), [1, 2, 1, 1, 0]);
    assert_eq!((&told["is_dry_run"], &told["normalization_version"]), (&true.into(), &NORMALIZATION_VERSION.into()));
    let merged = told["keywords"].as_array().unwrap().iter().find(|line| line["outcome"] == "merged").unwrap();
    assert_eq!(
        (&merged["keyword_id"], &merged["merged_into_keyword_id"], &merged["new_text"], &merged["marketplace"]),
        (&4.into(), &3.into(), &"women's hat".into(), &"ebay".into())
    );
    assert_eq!(keyword_rows(&database).await, before);
    assert_eq!(database.count("select count(*) from ops.audit_events").await, 0);

    let text = stdout(&run(&database, &["keywords", "reread", "--dry-run"]));
    assert!(text.contains("11⁄2 inch pipe") && text.contains("1 1/2 inch pipe"), "{text}");
    assert!(
        text.contains("women's hat (merged into 3)") && text.contains("no keyword: the search term is empty"),
        "{text}"
    );
    assert!(text.contains("1 would stay, 2 would change, 1 would merge into others, 1 would be no keyword"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keywords_are_reread_once_with_what_became_of_each_on_record() {
    let database = TestDatabase::new().await;
    store_old(&database, &OLD).await;
    database
        .execute("update core.keywords set is_active = false, tags = '{new}', weight = 5 where keyword_id = 3")
        .await;
    let doctor = stdout(&run(&database, &["doctor", "--offline"]));
    assert!(doctor.contains("5 are of an older reading") && doctor.contains("digitallz keywords reread"), "{doctor}");

    assert_eq!(counts(&reread(&database, &["--by", "ada"])), [1, 2, 1, 1, 0]);
    let expected = [
        "1|lamp|lamp|2|t||",
        "2|1 1/2 inch pipe|1 1 2 inch pipe|2|t||",
        "3|women's hat|woman hat|2|t||",
        "4|women's hat [4 MERGED INTO 3]|woman hat|2|f|3|",
        "5|\u{2060} [5 UNREADABLE]||2|f||the search term is empty",
    ];
    assert_eq!(keyword_rows(&database).await, expected);
    let survivor = "select format('%s %s %s', original_text, array_to_string(tags, ','), weight) from core.keywords where keyword_id = 3";
    assert_eq!(database.texts(survivor).await, ["Women´s hat new,old 5"], "it takes over what the other one had");
    let history = "select format('%s %s', keyword_id, keyword_text) from analytics.merged_keywords_v1";
    assert_eq!(database.texts(history).await, ["4 women's hat"]);
    let recorded = "select count(*) from ops.audit_events where actor = 'ada' and action = 'reread keywords'";
    assert_eq!(database.count(recorded).await, 4, "three groups, and those that stay");

    assert_eq!(counts(&reread(&database, &[])), [0; 5], "nothing is left to do");
    assert_eq!(keyword_rows(&database).await, expected);
    assert_eq!(database.count("select count(*) from ops.audit_events").await, 4);
    assert!(!stdout(&run(&database, &["doctor", "--offline"])).contains("older reading"));
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_may_pass_from_keyword_to_keyword() {
    let database = TestDatabase::new().await;
    store_old(&database, &[("a", "b"), ("b", "c"), ("c", "a")]).await;
    assert_eq!(counts(&reread(&database, &[])), [0, 3, 0, 0, 0]);
    let texts = "select format('%s %s', keyword_id, keyword_text) from core.keywords order by 1";
    assert_eq!(database.texts(texts).await, ["1 b", "2 c", "3 a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_merged_follows_when_its_survivor_is_merged() {
    let database = TestDatabase::new().await;
    store_old(&database, &[("hat-x", "hat 'x"), ("hat ´x", "hat ´x"), ("hat x", "hat x")]).await;
    database
        .execute("update core.keywords set is_active = false, merged_into_keyword_id = 2 where keyword_id = 3")
        .await;
    assert_eq!(counts(&reread(&database, &[])), [0, 1, 1, 0, 0]);
    let merged = "select format('%s %s', keyword_text, merged_into_keyword_id) from core.keywords where keyword_id > 1 order by keyword_id";
    assert_eq!(database.texts(merged).await, ["hat 'x [2 MERGED INTO 1] 1", "hat 'x [3 MERGED INTO 1] 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_keyword_keeps_its_history_and_is_asked_for_as_what_it_is() {
    let app = TestApp::start().await;
    let text = app.keywords(Marketplace::Ebay, 1)[0].original_text.clone();
    app.crawl(Marketplace::Ebay, &[entry(Marketplace::Ebay, &text)]).await;
    app.work_until_idle().await;
    let observed = "select count(*) from core.keyword_observations where keyword_id = 1";
    let observation_count = app.database.count(observed).await;
    assert!(observation_count > 0);

    // The same search term as an older reading left it, longer known; a run for the other one is about to begin.
    app.database.execute("update core.keywords set normalization_version = 1, match_text = null").await;
    app.database
        .execute(&format!(
            "insert into core.keywords (keyword_id, marketplace, market, keyword_text, original_text, normalization_version, created_at)
             overriding system value values (0, 'ebay', 'US', '{text} \u{301}', '{text}', 1, now())"
        ))
        .await;
    let crawl_run_id = app.crawl(Marketplace::Ebay, &[entry(Marketplace::Ebay, &text)]).await;
    assert_eq!(counts(&reread(&app.database, &[])), [0, 1, 1, 0, 0]);
    assert_eq!(app.database.count(observed).await, observation_count, "what was observed stays where it was");
    let mut connection = app.db().acquire().await.unwrap();
    assert_eq!(keyword::text(&mut connection, 1).await.unwrap(), text);
    assert_eq!(keyword::texts(&mut connection, &[1, 0]).await.unwrap(), [text.clone(), text.clone()]);

    app.work_until_idle().await;
    let sums = app.sums(crawl_run_id).await;
    assert!(sums.is_closed && sums.dead_job_count == 0, "{sums:?}");
    let of_survivor = "select count(*) from core.keyword_observations where keyword_id = 0 and value is not null";
    assert!(app.database.count(of_survivor).await > 0, "the run goes on with the keyword that it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rereading_that_was_killed_leaves_whole_groups_and_is_taken_up_again() {
    let database = TestDatabase::new().await;
    let pairs: Vec<(String, String)> = (0..20)
        .flat_map(|number| {
            [
                (format!("hat {number} \u{301}s"), format!("hat {number}´s")),
                (format!("hat {number}'s"), format!("hat {number}'s")),
            ]
        })
        .collect();
    let rows: Vec<(&str, &str)> = pairs.iter().map(|(text, original)| (text.as_str(), original.as_str())).collect();
    store_old(&database, &rows).await;

    // Somebody looks at the second keyword of the eleventh pair, so the program comes to a halt there.
    let mut blocking = database.db.begin().await.unwrap();
    sqlx::query("select from core.keywords where keyword_id = 22 for update").execute(&mut *blocking).await.unwrap();
    let mut child = command(&["keywords", "reread"])
        .env("DATABASE_URL", database.url.expose())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let reread_count =
        format!("select count(*) from core.keywords where normalization_version = {NORMALIZATION_VERSION}");
    database.wait_for_count(&reread_count, 20).await;
    database
        .wait_for_at_least(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
            1,
        )
        .await;
    child.kill().unwrap();
    child.wait().unwrap();
    blocking.rollback().await.unwrap();

    let half_done =
        "select count(*) from core.keywords one join core.keywords other on other.keyword_id = one.keyword_id + 1
                     where one.keyword_id % 2 = 1 and one.normalization_version <> other.normalization_version";
    assert_eq!(database.count(half_done).await, 0);
    assert_eq!(database.count(&reread_count).await, 20);

    assert_eq!(counts(&reread(&database, &[])), [0, 10, 10, 0, 0]);
    assert_eq!(
        database.count("select count(*) from core.keywords where merged_into_keyword_id = keyword_id - 1").await,
        20
    );
    assert_eq!(database.count("select count(*) from ops.audit_events").await, 20, "one for each pair");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_names_lines_that_are_one_keyword_and_near_duplicates_are_found() {
    let database = TestDatabase::new().await;
    let file = scratch("same").join("keywords.txt");
    std::fs::write(&file, "Women’s Hat\nlamp\nwomen&#39;s hat\nwomens hats\npate\npaté\n").unwrap();
    let output = run(&database, &["keywords", "import", file.to_str().unwrap(), "--marketplace", "ebay"]);
    let note = "note: line 3, 'women&#39;s hat', is the keyword of line 1, 'Women’s Hat': women's hat";
    assert!(stderr(&output).contains(note), "{}", stderr(&output));
    assert!(stdout(&output).contains("5 keywords read, 5 added"), "{}", stdout(&output));
    let site = Site::new(Marketplace::Ebay, "US").unwrap();
    let original = format!(
        "select original_text from core.keywords where keyword_text = 'women''s hat' and market = '{}'",
        site.market
    );
    assert_eq!(database.texts(&original).await, ["Women’s Hat"], "the first is kept");

    let output = run(&database, &["--json", "keywords", "list", "--like", "WOMEN´S HATS"]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let texts: Vec<&str> =
        listed["keywords"].as_array().unwrap().iter().map(|row| row["keyword_text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["women's hat", "womens hats"]);
}
