//! The demo, made small.

use crate::harness::{command, digitallz, scratch, stderr, stdout};

#[test]
fn it_runs_twice_and_leaves_predictions_for_every_marketplace() {
    let directory = scratch("demo");
    let data_dir = directory.to_str().unwrap();
    for _ in 0..2 {
        let output = digitallz(&["--data-dir", data_dir, "demo", "--keywords", "3", "--weeks", "30"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let text = stdout(&output);
        for part in [
            "Summary",
            "accounts close    yes",
            "Predictions, amazon",
            "Predictions, etsy",
            "Predictions, ebay",
            "Backtest",
            "analytics.keyword_predictions_v1",
        ] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
    }
    let url = stdout(&digitallz(&["--data-dir", data_dir, "db", "url"]));
    let query = "select marketplace, target_kind, count(distinct keyword_id), min(horizon_days), max(horizon_days), count(distinct horizon_days)
                 from analytics.keyword_predictions_v1 where not is_abstained group by 1, 2 order by 1, 2";
    let answer = std::process::Command::new("psql").args([url.trim(), "-Atc", query]).output().unwrap();
    let expected: String = ["amazon", "ebay", "etsy"]
        .iter()
        .flat_map(|marketplace| ["competition", "demand"].map(|kind| format!("{marketplace}|{kind}|3|7|56|8\n")))
        .collect();
    assert_eq!(stdout(&answer), expected, "{}", stderr(&answer));
    let weeks = "select distinct count(distinct period_start_date) from core.keyword_observations where metric in ('search_frequency_rank', 'result_count') group by keyword_id, metric";
    let answer = std::process::Command::new("psql").args([url.trim(), "-Atc", weeks]).output().unwrap();
    assert_eq!(stdout(&answer), "30\n");

    // Read again, every answer says the same; and it is all that the tables need.
    let hashes = || stdout(&digitallz(&["--data-dir", data_dir, "db", "hash"]));
    let reprocess = || {
        let output = digitallz(&["--json", "--data-dir", data_dir, "reprocess", "--all"]);
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["changes"]["changed_payload_count"].clone()
    };
    let before = hashes();
    assert!(before.lines().count() >= 6 && before.contains("core.keyword_observations"), "{before}");
    assert_eq!((reprocess(), hashes()), (0.into(), before.clone()));
    let emptied =
        "truncate core.keyword_observations, core.listing_observations, core.serp_entries, core.seller_observations,
                   core.keyword_categories, core.listings";
    let answer = std::process::Command::new("psql").args([url.trim(), "-Atc", emptied]).output().unwrap();
    assert!(answer.status.success(), "{}", stderr(&answer));
    assert_ne!(hashes(), before);
    assert_ne!(reprocess(), 0);
    assert_eq!(hashes(), before);
    command(&["--data-dir", data_dir, "db", "stop"]).output().unwrap();
}

#[test]
fn it_never_drops_what_a_user_made() {
    let directory = scratch("demo-refuses");
    let data_dir = directory.to_str().unwrap();
    let keywords = directory.join("keywords.txt");
    std::fs::write(&keywords, "desk lamp\n").unwrap();
    let import = ["--data-dir", data_dir, "keywords", "import", keywords.to_str().unwrap(), "--marketplace", "ebay"];
    let demo = ["--data-dir", data_dir, "demo", "--keywords", "1", "--weeks", "1"];

    // An empty database is free, and what a user adds to a demo is kept aside.
    assert!(digitallz(&["--data-dir", data_dir, "migrate"]).status.success());
    let first = digitallz(&demo);
    assert!(first.status.success(), "{}", stderr(&first));
    // The demo acknowledged the terms of its own pretend marketplaces; that ends where a user's work begins.
    assert!(stderr(&first).contains("acknowledges the terms of its own pretend marketplaces"), "{}", stderr(&first));
    let acknowledged = || stdout(&digitallz(&["--data-dir", data_dir, "sources", "list"])).matches("by demo").count();
    assert_eq!(acknowledged(), 3);
    let imported = digitallz(&import);
    assert!(stderr(&imported).contains("note: this database holds demo data"), "{}", stderr(&imported));
    assert_eq!(acknowledged(), 0);
    let second = digitallz(&demo);
    assert!(
        second.status.success() && stderr(&second).contains("it is kept as digitallz_kept_"),
        "{}",
        stderr(&second)
    );
    let url = stdout(&digitallz(&["--data-dir", data_dir, "db", "url"]));
    let names = "select count(*) from pg_database where datname like 'digitallz\\_kept\\_%'";
    let answer = std::process::Command::new("psql").args([url.trim(), "-Atc", names]).output().unwrap();
    assert_eq!(stdout(&answer), "1\n", "{}", stderr(&answer));
    command(&["--data-dir", data_dir, "db", "stop"]).output().unwrap();

    // A database that never was a demo is refused.
    let own = scratch("demo-own");
    let data_dir = own.to_str().unwrap();
    let import = ["--data-dir", data_dir, "keywords", "import", keywords.to_str().unwrap(), "--marketplace", "ebay"];
    assert!(digitallz(&import).status.success());
    let output = digitallz(&["--data-dir", data_dir, "demo"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("holds data that is not the demo's"), "{}", stderr(&output));
    assert!(stderr(&output).contains("next: give the demo a directory of its own with --data-dir"));
}
