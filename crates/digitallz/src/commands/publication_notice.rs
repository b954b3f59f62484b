//! Reports whether what a command brought in is visible: a crawl run that fails its checks is held back, and no view of
//! `analytics` shows its values.

use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

/// What became visible of a crawl run.
#[derive(Clone, Debug, Serialize)]
pub struct PublicationNotice {
    /// The crawl run.
    pub crawl_run_id: Uuid,
    /// True when the views of `analytics` show its values.
    pub is_visible: bool,
    /// `published`, `held`, or `undecided` while jobs are open or no process has checked it.
    pub state: String,
    /// The checks that it failed.
    pub reason: Option<String>,
    /// The commands that follow when it is not visible.
    pub next: Vec<String>,
}

/// Returns the notices of crawl runs.
pub async fn of_runs(db: &PgPool, crawl_run_ids: &[Uuid]) -> Result<Vec<PublicationNotice>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select runs.crawl_run_id as "crawl_run_id!", publications.state as "state?", publications.reason
           from unnest($1::uuid[]) with ordinality as runs (crawl_run_id, place)
           left join core.publications using (crawl_run_id)
           order by runs.place"#,
        crawl_run_ids,
    )
    .fetch_all(db)
    .await?;
    let notices = rows.into_iter().map(|row| {
        let state = row.state.unwrap_or_else(|| "undecided".to_owned());
        let run = row.crawl_run_id;
        let next = match state.as_str() {
            "published" => Vec::new(),
            "held" => vec![
                format!("digitallz publications show {run}"),
                format!("digitallz publications publish {run} --reason TEXT"),
            ],
            _ => vec![format!("digitallz runs show {run}"), format!("digitallz publications show {run}")],
        };
        PublicationNotice { crawl_run_id: run, is_visible: state == "published", state, reason: row.reason, next }
    });
    Ok(notices.collect())
}

/// Returns the notices of the crawl runs of payloads, without repetition.
pub async fn of_payloads(db: &PgPool, raw_payload_ids: &[i64]) -> Result<Vec<PublicationNotice>, sqlx::Error> {
    let crawl_run_ids = sqlx::query_scalar!(
        "select distinct crawl_run_id from raw.payloads where raw_payload_id = any($1) order by crawl_run_id",
        raw_payload_ids,
    )
    .fetch_all(db)
    .await?;
    of_runs(db, &crawl_run_ids).await
}

/// Returns the lines for people: none for runs that are visible.
pub fn lines(notices: &[PublicationNotice]) -> Vec<String> {
    let mut lines = Vec::new();
    for notice in notices.iter().filter(|notice| !notice.is_visible) {
        let run = notice.crawl_run_id;
        lines.push(match notice.state.as_str() {
            "held" => {
                let reason = notice.reason.as_deref().unwrap_or("held by an operator");
                format!("NOT VISIBLE: crawl run {run} is held back, and no view shows its values: {reason}")
            }
            _ => format!(
                "not visible yet: crawl run {run} is published once its jobs have finished and it passes its checks"
            ),
        });
        let what = ["to see its checks", "to show its values all the same"];
        for (command, what) in notice.next.iter().zip(what) {
            let what = if notice.state == "held" { format!("   # {what}") } else { String::new() };
            lines.push(format!("  next: {command}{what}"));
        }
    }
    lines
}
