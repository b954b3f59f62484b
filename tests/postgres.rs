//! The private Postgres.

use digitallz::postgres::{self, DATABASE_NAME};
use digitallz_common::database;

use crate::harness::{digitallz, scratch, stderr, stdout};

#[tokio::test]
async fn it_starts_is_shared_keeps_its_data_and_stops_with_its_last_user() {
    let directory = scratch("postgres");
    let first = postgres::start(&directory, &[]).await.unwrap();
    let url = first.url(DATABASE_NAME);
    let db = database::connect(&url, 1).await.unwrap();
    sqlx::query("create table kept (x integer)").execute(&db).await.unwrap();
    db.close().await;

    let second = postgres::start(&directory, &[]).await.unwrap();
    first.leave().unwrap();
    let db = database::connect(&url, 1).await.expect("the second user keeps it up");
    db.close().await;
    second.leave().unwrap();
    assert!(database::connect(&url, 1).await.is_err(), "nobody uses it, so it is down");

    let third = postgres::start(&directory, &[]).await.unwrap();
    let db = database::connect(&url, 1).await.unwrap();
    sqlx::query("select x from kept").execute(&db).await.expect("what was written is there");
    db.close().await;
    third.leave().unwrap();
}

#[test]
fn db_url_prints_the_string_of_the_running_one_and_db_stop_stops_it() {
    let directory = scratch("db-url");
    let directory = directory.to_str().unwrap();
    let printed = digitallz(&["--data-dir", directory, "db", "url"]);
    assert!(printed.status.success(), "{}", stderr(&printed));
    let url = stdout(&printed);
    assert!(url.starts_with("postgresql:///digitallz?host=") && url.trim_end().lines().count() == 1, "{url}");
    let answer = std::process::Command::new("psql").args([url.trim(), "-Atc", "select 40 + 2"]).output().unwrap();
    assert_eq!(stdout(&answer).trim(), "42", "{}", stderr(&answer));
    // Other commands come and go; what `db url` promised holds.
    assert!(digitallz(&["--data-dir", directory, "migrate"]).status.success());
    let answer = std::process::Command::new("psql").args([url.trim(), "-Atc", "select 40 + 2"]).output().unwrap();
    assert_eq!(stdout(&answer).trim(), "42", "{}", stderr(&answer));
    let stopped = digitallz(&["--data-dir", directory, "db", "stop"]);
    assert!(stderr(&stopped).contains("was stopped"), "{}", stderr(&stopped));
    let stopped = digitallz(&["--data-dir", directory, "db", "stop"]);
    assert!(stderr(&stopped).contains("was not running"), "{}", stderr(&stopped));
}
