//! What the command line answers, above all to bad input: one clear error, the next step, the documented exit code.

use std::io::BufRead;

use crate::harness::{TestDatabase, command, digitallz, scratch, stderr, stdout};

/// Checks an answer to bad input.
fn assert_clear(output: &std::process::Output, code: i32, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "'{part}' is missing:\n{text}");
    }
    assert_eq!(text.matches("error:").count(), 1, "one error:\n{text}");
    assert!(!text.contains("panicked") && !text.contains("RUST_BACKTRACE") && !text.contains(".rs:"), "{text}");
}

#[test]
fn an_unknown_option_is_wrong_usage() {
    assert_clear(&digitallz(&["jobs", "list", "--colour"]), 2, &["unexpected argument '--colour'", "Usage:"]);
    assert_clear(
        &digitallz(&["crawl", "now", "--marketplace", "alibaba"]),
        2,
        &["unknown marketplace 'alibaba'", "amazon, etsy, ebay"],
    );
}

#[test]
fn an_unreachable_database_says_try_later() {
    let output =
        command(&["runs", "list"]).env("DATABASE_URL", "postgres://someone:hunter2@127.0.0.1:9/none").output().unwrap();
    assert_clear(
        &output,
        75,
        &["failed to connect to the database at 127.0.0.1:9/none", "next: check that the server runs"],
    );
    assert!(!stderr(&output).contains("hunter2"), "the password is shown");
}

#[test]
fn a_malformed_database_url_says_how_to_write_it() {
    let output = command(&["runs", "list"]).env("DATABASE_URL", "hunter2").output().unwrap();
    assert_clear(&output, 1, &["the database URL is malformed", "next: write DATABASE_URL as postgres://"]);
    assert!(!stderr(&output).contains("hunter2"), "the secret is shown");
}

#[test]
fn a_malformed_keyword_file_names_its_lines_and_adds_nothing() {
    let file = scratch("keywords").join("keywords.csv");
    std::fs::write(&file, "keyword,marketplace\nlamp,amazon\nlamp,alibaba\n,etsy\n").unwrap();
    let output = digitallz(&["keywords", "import", file.to_str().unwrap()]);
    assert_clear(
        &output,
        1,
        &[
            "keywords.csv: line 3: unknown marketplace 'alibaba'",
            "line 4: the search term is empty",
            "next: correct the lines",
        ],
    );
    let output = digitallz(&["keywords", "import", "no-such-file.csv"]);
    assert_clear(&output, 1, &["failed to read no-such-file.csv", "next: check the path"]);
}

#[test]
fn a_malformed_setting_is_named() {
    let output = command(&["config", "check"]).env("DIGITALLZ_TIME_ZONE", "Mars").output().unwrap();
    assert_clear(
        &output,
        1,
        &["DIGITALLZ_TIME_ZONE is malformed", "'Mars' is no IANA time zone", "next: correct the setting"],
    );
    let output = command(&["config", "check"]).env("DIGITALLZ_EBAY_LIMITS", "browse=fast").output().unwrap();
    assert_clear(&output, 1, &["DIGITALLZ_EBAY_LIMITS is malformed"]);
    let file = scratch("settings").join("bad.env");
    std::fs::write(&file, "# mine\nDIGITALLZ_TIME_ZONE=UTC\nDIGITALLZ_TYPO=1\n").unwrap();
    let output = digitallz(&["--env-file", file.to_str().unwrap(), "config", "check"]);
    assert_clear(&output, 1, &["bad.env, line 3: unknown setting 'DIGITALLZ_TYPO'"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_credential_is_one_clear_error_with_the_next_step() {
    let database = TestDatabase::new().await;
    database.acknowledge_terms().await;
    let output = command(&["crawl", "now", "--marketplace", "etsy", "--keyword", "lamp", "--wait"])
        .env("DATABASE_URL", database.url.expose())
        .output()
        .unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("DIGITALLZ_ETSY_KEYSTRING") && text.contains("next: "), "{text}");
}

#[test]
fn secrets_are_read_from_files_and_never_shown() {
    let file = scratch("secret").join("secret");
    std::fs::write(&file, "hunter2\n").unwrap();
    let output =
        command(&["config", "check", "--json"]).env("DIGITALLZ_EBAY_CLIENT_SECRET_FILE", &file).output().unwrap();
    let text = stdout(&output);
    assert!(output.status.success() && !text.contains("hunter2"), "{text}");
    let settings: serde_json::Value = serde_json::from_str(&text).unwrap();
    let row = settings["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "DIGITALLZ_EBAY_CLIENT_SECRET")
        .unwrap();
    assert_eq!((row["value"].as_str(), row["origin"].as_str()), (Some("[secret]"), Some("secret file")));
}

#[tokio::test(flavor = "multi_thread")]
async fn data_commands_print_json_on_request() {
    let database = TestDatabase::new().await;
    database.acknowledge_terms().await;
    let url = database.url.expose().to_owned();
    let run = |arguments: &[&str]| {
        let output = command(arguments).env("DATABASE_URL", &url).output().unwrap();
        (
            output.status.code(),
            serde_json::from_slice::<serde_json::Value>(&output.stdout)
                .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", stderr(&output))),
        )
    };
    let file = scratch("json").join("keywords.txt");
    std::fs::write(&file, "Lamp\nBeach Towel\n").unwrap();
    let import = run(&["--json", "keywords", "import", file.to_str().unwrap(), "--marketplace", "ebay", "--dry-run"]);
    assert_eq!(import.1["import"]["added_count"], 2);
    let import = run(&["--json", "keywords", "import", file.to_str().unwrap(), "--marketplace", "ebay"]);
    assert_eq!((import.0, &import.1["import"]["added_count"]), (Some(0), &serde_json::json!(2)));
    assert_eq!(run(&["--json", "keywords", "list"]).1["keywords"][0]["keyword_text"], "beach towel");
    let crawl = run(&["--json", "crawl", "now", "--marketplace", "ebay"]);
    let crawl_run_id = crawl.1["crawl"]["crawl_run_id"].as_str().unwrap().to_owned();
    assert_eq!(run(&["--json", "runs", "list"]).1["runs"][0]["crawl_run_id"], crawl_run_id.as_str());
    assert_eq!(run(&["--json", "runs", "show", &crawl_run_id]).1["run"]["open_job_count"], 1);
    let jobs = run(&["--json", "jobs", "list"]);
    let job_id = jobs.1["jobs"][0]["job_id"].as_str().unwrap().to_owned();
    assert_eq!(run(&["--json", "jobs", "show", &job_id]).1["job"]["job_name"], "plan_crawl");
    assert_eq!(run(&["--json", "jobs", "discard", &job_id]).1["jobs"][0]["outcome"], "discarded");
    assert_eq!(run(&["--json", "jobs", "retry", &job_id]).1["jobs"][0]["outcome"], "enqueued");
    assert_eq!(run(&["--json", "predictions", "list"]).1["meta"]["count"], 0);
    assert!(run(&["--json", "doctor"]).1["findings"].as_array().unwrap().len() > 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_alone_prints_the_settings_that_lead_to_it() {
    let mut sandbox =
        command(&["sandbox", "--limit-factor", "1000"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufReader::new(sandbox.stdout.take().unwrap()).lines();
    let settings: Vec<String> = (0..18).map(|_| lines.next().unwrap().unwrap()).collect();
    let file = scratch("sandbox").join("sandbox.env");
    std::fs::write(&file, settings.join("\n")).unwrap();
    let database = TestDatabase::new().await;
    database.acknowledge_terms().await;
    let output = command(&[
        "--json",
        "--env-file",
        file.to_str().unwrap(),
        "crawl",
        "now",
        "--marketplace",
        "ebay",
        "--keyword",
        "desk lamp",
        "--wait",
    ])
    .env("DATABASE_URL", database.url.expose())
    .env("DIGITALLZ_EBAY_RESOURCES", "item_search")
    .output()
    .unwrap();
    sandbox.kill().unwrap();
    sandbox.wait().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&run["run"]["is_closed"], &run["run"]["payload_count"]),
        (&serde_json::json!(true), &serde_json::json!(1)),
        "{run}"
    );
}

#[test]
fn the_help_is_as_documented() {
    for arguments in [
        vec!["--help"],
        vec!["crawl", "now", "--help"],
        vec!["jobs", "--help"],
        vec!["schedules", "--help"],
        vec!["models", "--help"],
    ] {
        let output = digitallz(&arguments);
        assert!(output.status.success());
        insta::assert_snapshot!(arguments.join("_").replace("--", ""), stdout(&output));
    }
}
