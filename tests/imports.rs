//! Files of a user's own, brought in by the real binary, and what is learnt from them.

use std::path::Path;
use std::process::{Child, Output, Stdio};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use digitallz_common::marketplace::Marketplace;
use digitallz_common::source_policy::{self, Rules};
use digitallz_processor::purge;
use flate2::{Compress, Compression, FlushCompress};
use serde_json::Value;

use crate::harness::{TestDatabase, command, entry, scratch, stderr, stdout};

const WEEK: &str = "Reporting Range=[\"Weekly\"],Select week=[\"Week 6 | 2026-02-01 - 2026-02-07 2026\"]\n";

const SERIES: &str = "keyword,date,metric,value,period\n\
    desk lamp,2026-02-01,search_query_volume,1200,week\n\
    reading lamp,2026-02-01,search_query_volume,300,week\n\
    =cmd|' /C calc'!A0,2026-02-01,search_query_volume,1,week\n";

/// Makes a database that follows `desk lamp` and `table lamp` on Amazon and eBay.
async fn database() -> TestDatabase {
    let database = TestDatabase::new().await;
    let entries: Vec<_> = [Marketplace::Amazon, Marketplace::Ebay]
        .into_iter()
        .flat_map(|marketplace| ["desk lamp", "table lamp"].map(|text| entry(marketplace, text)))
        .collect();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    digitallz::commands::keywords::import(&database.db, &entries, false, now).await.unwrap();
    database
}

fn run(database: &TestDatabase, arguments: &[&str]) -> Output {
    command(arguments).env("DATABASE_URL", database.url.expose()).output().unwrap()
}

fn import(database: &TestDatabase, file: &Path, more: &[&str]) -> Output {
    let arguments = ["--json", "import", file.to_str().unwrap(), "--marketplace", "amazon"];
    run(database, &[&arguments, more].concat())
}

fn report(output: &Output) -> Value {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(output)));
    report["import"].clone()
}

fn file(name: &str, bytes: impl AsRef<[u8]>) -> std::path::PathBuf {
    let path = scratch("import").join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

async fn observations(database: &TestDatabase) -> Vec<String> {
    let sql = "select concat_ws(' ', keyword_text, metric, value_status, coalesce(value::text, status_reason), unit, period_kind, period_start_date, period_end_date, resource)
               from core.keyword_observations join core.keywords using (keyword_id) order by keyword_observation_id";
    database.texts(sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_kept_verbatim_and_read_like_any_answer() {
    let database = database().await;
    let text = format!(
        "{WEEK}Search Frequency Rank,Search Term,Top Clicked Product #1: Click Share,Top Clicked Product #1: Conversion Share,Something New,Reporting Date\n\
         \"1,204\",Desk Lamp,10.5,4.25,x,2026-02-07\n88,air fryer,20.5,14.25,x,2026-02-07\n"
    );
    let path = file("US_Search_Terms.csv", &text);
    let output = import(&database, &path, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = report(&output);
    assert_eq!((&report["kind"], &report["is_new"]), (&"search-terms".into(), &true.into()));
    assert_eq!(report["headers"][0]["unknown"], serde_json::json!(["Something New"]));
    assert_eq!(report["untracked_keywords"], serde_json::json!(["air fryer"]));
    assert_eq!(
        observations(&database).await,
        [
            "desk lamp search_frequency_rank observed 1204 rank week 2026-02-01 2026-02-07 search_terms_file",
            "desk lamp top_click_share observed 0.105 share week 2026-02-01 2026-02-07 search_terms_file",
            "desk lamp top_conversion_share observed 0.0425 share week 2026-02-01 2026-02-07 search_terms_file",
        ]
    );
    // What the rank of a report would be, the rank of a file is too.
    let demand = "select concat_ws(' ', week_start_date, value) from core.weekly_demand";
    assert_eq!(database.texts(demand).await, ["2026-02-01 1204"]);

    let payload = "select concat_ws(' ', trigger, request_method, content_sha256 = sha256(convert_to($$TEXT$$, 'UTF8')), body_size_bytes, request_url like 'import:file?name=US_Search_Terms.csv&sha256=%')
                   from raw.payloads join ops.crawl_runs using (crawl_run_id)";
    assert_eq!(database.texts(&payload.replace("TEXT", &text)).await, [format!("import IMPORT t {} t", text.len())]);
    assert!(digitallz::commands::runs::sums(&database.db, None).await.unwrap().is_closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_held_back_reports_it_with_the_commands_that_follow() {
    let database = database().await;
    let row = |line: usize| match line {
        0..4 => format!("desk lamp,2026-02-0{},search_query_volume,many,week\n", line + 1),
        _ => format!("desk lamp,2025-{:02}-01,monthly_searches,900,month\n", line - 3),
    };
    let rows: String = (0..12).map(row).collect();
    let path = file("broken.csv", format!("keyword,date,metric,value,period\n{rows}"));
    let held = import(&database, &path, &[]);
    assert_eq!(held.status.code(), Some(3), "{}", stderr(&held));
    let run = database.texts("select crawl_run_id::text from core.publications where state = 'held'").await.remove(0);
    let publication = &report(&held)["publication"];
    assert_eq!((publication["state"].as_str(), publication["is_visible"].as_bool()), (Some("held"), Some(false)));
    assert!(publication["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{publication}");
    assert_eq!(publication["next"][0], format!("digitallz publications show {run}"));
    assert_eq!(publication["next"][1], format!("digitallz publications publish {run} --reason TEXT"));

    let good = file("good.csv", "keyword,date,metric,value,period\ndesk lamp,2025-10-01,monthly_searches,900,month\n");
    let visible = import(&database, &good, &[]);
    assert_eq!(visible.status.code(), Some(0), "{}", stderr(&visible));
    assert_eq!(report(&visible)["publication"]["is_visible"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_is_stored_once_and_says_so() {
    let database = database().await;
    let path = file("series.csv", SERIES);
    let first = import(&database, &path, &[]);
    assert_eq!(first.status.code(), Some(3), "a row was set aside: {}", stderr(&first));
    let before = observations(&database).await;
    let again = import(&database, &file("other-name.csv", SERIES), &[]);
    assert_eq!(report(&again)["is_new"], false);
    assert_eq!(report(&again)["raw_payload_id"], report(&first)["raw_payload_id"]);
    assert_eq!(observations(&database).await, before);
    assert_eq!(database.count("select count(*) from raw.payloads").await, 1);
    let said = stdout(&run(&database, &["import", path.to_str().unwrap(), "--marketplace", "amazon"]));
    assert!(said.contains("stored already"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_the_same_and_stores_nothing() {
    let database = database().await;
    let path = file("series.csv", SERIES);
    let dry = report(&import(&database, &path, &["--dry-run"]));
    assert_eq!(database.count("select count(*) from raw.payloads").await, 0);
    assert_eq!(database.count("select count(*) from ops.crawl_runs").await, 0);
    let wet = report(&import(&database, &path, &[]));
    for name in ["headers", "row_count", "observation_count", "quarantined_rows", "untracked_keywords"] {
        assert_eq!(dry[name], wet[name], "{name}");
    }
    assert_eq!((&dry["observation_count"], &dry["quarantined_rows"][0]["place"]), (&1.into(), &"/line/4".into()));
    let reasons = database.texts("select json_pointer || ': ' || reason from raw.quarantined_rows").await;
    assert!(reasons[0].starts_with("/line/4: ") && reasons[0].contains("formula"), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keywords_of_a_file_are_followed_only_on_request() {
    let database = database().await;
    let path = file("series.csv", SERIES);
    let output = run(&database, &["import", path.to_str().unwrap(), "--marketplace", "amazon", "--dry-run"]);
    assert!(stdout(&output).contains("1 keyword not followed: reading lamp; --add-keywords"), "{}", stdout(&output));
    let added = report(&import(&database, &path, &["--add-keywords"]));
    assert_eq!((&added["added_keyword_count"], &added["observation_count"]), (&1.into(), &2.into()));
    let texts = "select keyword_text from core.keywords where marketplace = 'amazon' order by keyword_text";
    assert_eq!(database.texts(texts).await, ["desk lamp", "reading lamp", "table lamp"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_lies_in_chunks_and_is_read_as_it_passes_by() {
    let database = database().await;
    let mut text = String::from("keyword,date,metric,value,period\n");
    // What cannot be compressed much, so that it stays large as it is stored.
    (0..200_000).for_each(|index: u64| {
        text.push_str(&format!("lamp {:x},2026-02-01,search_query_volume,7,week\n", index.wrapping_mul(0x9e37_79b9)));
    });
    text.push_str("table lamp,2026-02-01,search_query_volume,77,week\n");
    let output = import(&database, &file("large.csv", &text), &[]);
    let report = report(&output);
    assert_eq!((&report["row_count"], &report["observation_count"]), (&200_001.into(), &1.into()));
    assert_eq!(report["has_more_untracked_keywords"], true);
    assert!(database.count("select count(*) from raw.payload_chunks").await > 1);
    assert!(observations(&database).await[0].starts_with("table lamp search_query_volume observed 77"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_trusted_is_refused_with_the_next_step_and_stores_nothing() {
    let database = database().await;
    for (name, bytes, more, code, word) in [
        ("unknown.csv", b"Term,Searches\nlamp,5\n".to_vec(), &[][..], 1, "expected: search-terms"),
        (
            "turkish.csv",
            [SERIES.as_bytes(), b"i\xfekur,2026-02-01,search_query_volume,1,week\n"].concat(),
            &[],
            1,
            "windows-1254",
        ),
        ("series.csv", SERIES.as_bytes().to_vec(), &["--kind", "interest"], 1, "expected: interest"),
        ("series.csv", SERIES.as_bytes().to_vec(), &["--market", "ZZ"], 2, "unknown market"),
        ("series.csv", SERIES.as_bytes().to_vec(), &["--decimal", "dot"], 2, "point, comma"),
        ("cut.csv.gz", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1], &[], 1, "cannot be read"),
    ] {
        let output = import(&database, &file(name, bytes), more);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{name} {more:?}: {said}");
        assert!(said.contains(word), "{name}: {said}");
    }
    assert_eq!(database.count("select count(*) from raw.payloads").await, 0);
}

/// Packs a header and ten gigabytes of one row into a few megabytes, as the deflate format allows.
fn ten_gigabytes_deflated() -> Vec<u8> {
    let mut deflate = Compress::new(Compression::best(), false);
    let mut block = |text: &str| {
        let mut packed = Vec::with_capacity(64 * 1024);
        deflate.compress_vec(text.as_bytes(), &mut packed, FlushCompress::Full).unwrap();
        packed
    };
    let mut all = block("keyword,date,metric,value,period\n");
    // After a full flush a block means the same wherever it stands.
    let rows = block(&"desk lamp,2026-02-01,search_query_volume,1200,week\n".repeat(20_000));
    (0..10_000).for_each(|_| all.extend_from_slice(&rows));
    all.extend_from_slice(&[3, 0]);
    all
}

/// Puts deflated bytes into a zip that says they unpack to so many.
fn zip_of(deflated: &[u8], said_size: u32) -> Vec<u8> {
    let sizes = [0_u32.to_le_bytes(), (deflated.len() as u32).to_le_bytes(), said_size.to_le_bytes()].concat();
    let name = b"series.csv";
    let name_length = (name.len() as u16).to_le_bytes();
    let local = [b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0", &sizes[..], &name_length, &[0; 2], name].concat();
    let central = [b"PK\x01\x02\x14\0\x14\0\0\0\x08\0\0\0\0\0", &sizes[..], &name_length, &[0; 16], name].concat();
    let start = ((local.len() + deflated.len()) as u32).to_le_bytes();
    let length = (central.len() as u32).to_le_bytes();
    let end = [b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &length[..], &start, &[0; 2]].concat();
    [&local, deflated, &central, &end].concat()
}

/// The most memory that a process had resident until it ended, in bytes.
fn peak_of(child: &mut Child) -> u64 {
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        peak = peak.max(kibibytes.unwrap_or(0) * 1024);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    peak
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_of_ten_gigabytes_goes_off_nowhere() {
    let database = database().await;
    let deflated = ten_gigabytes_deflated();
    let gzip = [b"\x1f\x8b\x08\0\0\0\0\0\0\x03", &deflated[..], &[0; 8]].concat();
    for (name, bytes, word) in [
        ("says-ten-bytes.zip", zip_of(&deflated, 10), "larger than its declared uncompressed size"),
        ("says-all-that-fits.zip", zip_of(&deflated, u32::MAX - 1), "more than 100 times its size"),
        ("bomb.csv.gz", gzip, "more than 100 times its size"),
    ] {
        let path = file(name, bytes);
        let arguments = ["import", path.to_str().unwrap(), "--marketplace", "amazon"];
        let mut started = command(&arguments);
        started.env("DATABASE_URL", database.url.expose()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = started.spawn().unwrap();
        let peak = peak_of(&mut child);
        let output = child.wait_with_output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains(word), "{name}: {said}");
        assert!(peak < 200_000_000, "{name}: {peak} bytes");
    }
    assert_eq!(database.count("select count(*) from raw.payloads").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_users_outlive_every_retention() {
    let database = database().await;
    assert!(import(&database, &file("series.csv", SERIES), &[]).status.code() == Some(3));
    let hour = Some(TimeDelta::hours(1));
    let rules = Rules { listing_retention: hour, raw_retention: hour, aggregate_retention: hour, may_train: true };
    let now: DateTime<Utc> = digitallz_common::clock::Clock::System.now() + TimeDelta::days(4_000);
    let mut connection = database.db.acquire().await.unwrap();
    source_policy::set_rules(&mut connection, Marketplace::Amazon, rules, "test", now).await.unwrap();
    assert!(purge::due(&mut connection, now).await.unwrap().iter().all(|counts| counts.total() == 0));
    assert!(purge::purge(&database.db, now, now).await.unwrap().iter().all(|counts| counts.total() == 0));
    assert_eq!(database.count("select count(*) from raw.payloads where chunk_count is not null").await, 1);
    assert_eq!(observations(&database).await.len(), 1);
}

/// Writes ranks and volumes of some keywords over three weeks: volume is 4,000,000 / rank, and a little noise.
fn truth(keyword_count: u32) -> String {
    let mut text = String::from("keyword,date,metric,value,period\n");
    for keyword in 0..keyword_count {
        for week in 0..3_u64 {
            let rank = 50 * (keyword + 1) + 7 * week as u32;
            let noise = 1.0 + 0.1 * (f64::from((keyword * 3 + week as u32) % 5) - 2.0);
            let volume = (4e6 / f64::from(rank) * noise).round();
            let sunday = NaiveDate::from_ymd_opt(2026, 2, 1).unwrap() + chrono::Days::new(7 * week);
            text.push_str(&format!("lamp {keyword},{sunday},search_frequency_rank,{rank},week\n"));
            text.push_str(&format!("lamp {keyword},{sunday},search_query_volume,{volume},week\n"));
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_own_truth_calibrates_and_the_error_is_told() {
    let database = database().await;
    let none = run(&database, &["calibration", "show"]);
    assert!(stderr(&none).contains("no pairs"), "{}", stderr(&none));

    assert!(import(&database, &file("few.csv", truth(5)), &["--add-keywords"]).status.success());
    let few: Value = serde_json::from_slice(&run(&database, &["--json", "calibration", "show"]).stdout).unwrap();
    let refusal = few["calibrations"][0]["refusal"].as_str().unwrap();
    assert!(refusal.contains("too few pairs: 15 of 5 keywords"), "{refusal}");
    assert_eq!(database.count("select count(*) from ml.volume_calibrations").await, 0);

    assert!(import(&database, &file("many.csv", truth(40)), &["--add-keywords"]).status.success());
    let shown: Value = serde_json::from_slice(&run(&database, &["--json", "calibration", "show"]).stdout).unwrap();
    let calibration = &shown["calibrations"][0];
    let line = |name: &str| calibration["line"][name].as_f64().unwrap();
    assert_eq!((&calibration["pair_count"], &calibration["keyword_count"]), (&120.into(), &40.into()));
    assert!((line("slope") + 1.0).abs() < 0.05, "{calibration}");
    assert!(line("median_percentage_error") < 0.25 && line("coverage_80") > 0.6, "{calibration}");
    run(&database, &["calibration", "show"]);
    let versions = "select concat_ws(' ', version, truth_metric, proxy_metric, period_kind, pair_count) from ml.volume_calibrations";
    assert_eq!(database.texts(versions).await, ["1 search_query_volume search_frequency_rank week 120"]);

    // Who has a rank and no truth gets an estimate that says so, where the rank is one that the truth covers.
    let ranks = "keyword,date,metric,value,period\nshade,2026-02-15,search_frequency_rank,400,week\nlantern,2026-02-15,search_frequency_rank,90000,week\n";
    assert!(import(&database, &file("ranks.csv", ranks), &["--add-keywords"]).status.success());
    let told = "select concat_ws(' ', keyword, search_volume_status, search_volume between 7000 and 13000,
                    search_volume between search_volume_lo_80 and search_volume_hi_80, search_volume_error < 0.25,
                    search_volume_start_date, search_volume_source like 'search_frequency_rank by calibration 1: %')
                from analytics.keyword_data_v1 where keyword in ('shade', 'lantern', 'lamp 7') order by keyword";
    assert_eq!(
        database.texts(told).await,
        ["lamp 7 observed t 2026-02-15 f", "lantern unavailable f", "shade estimated t t t 2026-02-15 t"]
    );

    // Nothing is learnt of what a user keeps from models.
    let database = self::database().await;
    assert!(import(&database, &file("many.csv", truth(40)), &["--add-keywords", "--no-training"]).status.success());
    let none: Value = serde_json::from_slice(&run(&database, &["--json", "calibration", "show"]).stdout).unwrap();
    assert_eq!(none["meta"]["count"], 0);
}
