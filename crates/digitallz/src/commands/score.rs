//! `digitallz score`: the published definitions of the competition score, and what a switch between them would move.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use chrono::NaiveDate;
use digitallz_common::marketplace::Marketplace;
use digitallz_scorer::competition::{self, Definition};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::types::Json;

use crate::cli::{Cli, ScoreCommand};
use crate::exit::{Ending, UserError};
use crate::output::{self, number, text};
use crate::session::Session;

/// A contribution that differs by less than this is no reason.
const REASON_MIN: f64 = 0.005;

/// A keyword whose score differs by at least this has moved.
const MOVE_MIN: f64 = 0.05;

/// Does what the command says.
pub async fn run(cli: &Cli, command: &ScoreCommand) -> anyhow::Result<Ending> {
    let session = Session::open(cli).await?;
    let result = match command {
        ScoreCommand::List => list(cli, &session.db).await,
        ScoreCommand::Show { version } => show(&session.db, &full_name(version)).await,
        ScoreCommand::Add { version, file, description } => {
            add(&session.db, &full_name(version), file, description).await
        }
        ScoreCommand::Diff { from, to, marketplace, limit } => {
            diff(cli, &session.db, &full_name(from), &full_name(to), *marketplace, *limit).await
        }
        ScoreCommand::Use { version } => make_current(&session.db, &full_name(version)).await,
    };
    session.close().await?;
    result.map(|()| Ending::Done)
}

/// Lets `v2` stand for `competition_v2`.
fn full_name(version: &str) -> String {
    let is_short = version.strip_prefix('v').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    if is_short { format!("competition_{version}") } else { version.to_owned() }
}

/// A definition as it is listed.
#[derive(Debug, Serialize)]
struct DefinitionRow {
    score_version: String,
    is_current: bool,
    description: String,
    keyword_count: i64,
    last_week_start_date: Option<NaiveDate>,
}

async fn list(cli: &Cli, db: &PgPool) -> anyhow::Result<()> {
    publish(db).await?;
    let rows = sqlx::query_as!(
        DefinitionRow,
        r#"select definitions.score_version, is_current, description,
                  count(distinct keyword_id) as "keyword_count!", max(week_start_date) as last_week_start_date
           from ml.score_definitions definitions
           left join ml.competition_scores using (score_version)
           group by definitions.score_version
           order by definitions.score_version"#
    )
    .fetch_all(db)
    .await?;
    output::list(
        cli.json,
        "score_definitions",
        &rows,
        &[
            text("VERSION", |row: &DefinitionRow| row.score_version.clone()),
            text("", |row: &DefinitionRow| if row.is_current { "current" } else { "" }.to_owned()),
            number("KEYWORDS", |row: &DefinitionRow| output::thousands(row.keyword_count)),
            text("LAST WEEK", |row: &DefinitionRow| {
                row.last_week_start_date.map_or("-".to_owned(), |date| date.to_string())
            }),
            text("MEANING", |row: &DefinitionRow| row.description.clone()),
        ],
    )
}

async fn show(db: &PgPool, version: &str) -> anyhow::Result<()> {
    publish(db).await?;
    let definition =
        sqlx::query_scalar!("select definition from ml.score_definitions where score_version = $1", version)
            .fetch_optional(db)
            .await?
            .ok_or_else(|| unknown(version))?;
    output::print_json(&definition)
}

async fn add(db: &PgPool, version: &str, file: &Path, description: &str) -> anyhow::Result<()> {
    let written = std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    let definition: Definition =
        serde_json::from_str(&written).with_context(|| format!("{} is not a definition", file.display()))?;
    definition.check(version)?;
    publish(db).await?;
    let mut connection = db.acquire().await?;
    if !competition::add_definition(&mut connection, version, &definition, description).await? {
        return Err(UserError::new(
            format!("{version} is published already, and a published definition never changes"),
            "choose a name that is free; see `digitallz score list`",
        )
        .into());
    }
    eprintln!("published {version}; it is computed with the next scoring, beside the current one");
    Ok(())
}

async fn make_current(db: &PgPool, version: &str) -> anyhow::Result<()> {
    publish(db).await?;
    let mut tx = db.begin().await?;
    sqlx::query!("update ml.score_definitions set is_current = false where is_current").execute(&mut *tx).await?;
    let chosen = sqlx::query!("update ml.score_definitions set is_current = true where score_version = $1", version)
        .execute(&mut *tx)
        .await?;
    if chosen.rows_affected() == 0 {
        return Err(unknown(version).into());
    }
    tx.commit().await?;
    eprintln!("{version} is the current definition of the competition score");
    Ok(())
}

/// What a keyword gets by two definitions in the latest week that both have scored.
#[derive(Debug, Serialize)]
struct Move {
    keyword: String,
    marketplace: String,
    market: String,
    week_start_date: NaiveDate,
    from_score: f64,
    to_score: f64,
    change: f64,
    from_level: String,
    to_level: String,
    /// What each component adds more or less, the largest first; together they are the change.
    reasons: Vec<Reason>,
}

/// What one component adds by two definitions.
#[derive(Debug, Serialize)]
struct Reason {
    component: String,
    from_contribution: f64,
    to_contribution: f64,
    change: f64,
}

async fn diff(
    cli: &Cli,
    db: &PgPool,
    from: &str,
    to: &str,
    marketplace: Option<Marketplace>,
    limit: usize,
) -> anyhow::Result<()> {
    publish(db).await?;
    for version in [from, to] {
        let is_known =
            sqlx::query_scalar!("select score_version from ml.score_definitions where score_version = $1", version)
                .fetch_optional(db)
                .await?;
        is_known.ok_or_else(|| unknown(version))?;
    }
    let rows = sqlx::query!(
        r#"select distinct on (keywords.keyword_id)
                  keywords.keyword_text, keywords.marketplace, keywords.market, week_start_date,
                  before.score as from_score, after.score as to_score, before.level as from_level,
                  after.level as to_level,
                  before.contributions as "from_contributions: Json<BTreeMap<String, f64>>",
                  after.contributions as "to_contributions: Json<BTreeMap<String, f64>>"
           from ml.competition_scores before
           join ml.competition_scores after using (keyword_id, week_start_date)
           join core.keywords using (keyword_id)
           where before.score_version = $1 and after.score_version = $2
             and ($3::text is null or keywords.marketplace = $3)
           order by keywords.keyword_id, week_start_date desc"#,
        from,
        to,
        marketplace.map(Marketplace::name),
    )
    .fetch_all(db)
    .await?;
    let mut moves: Vec<Move> = rows
        .into_iter()
        .map(|row| Move {
            keyword: row.keyword_text,
            marketplace: row.marketplace,
            market: row.market,
            week_start_date: row.week_start_date,
            from_score: row.from_score,
            to_score: row.to_score,
            change: row.to_score - row.from_score,
            from_level: row.from_level,
            to_level: row.to_level,
            reasons: reasons(&row.from_contributions, &row.to_contributions),
        })
        .collect();
    moves.sort_by(|a, b| b.change.abs().total_cmp(&a.change.abs()).then_with(|| a.keyword.cmp(&b.keyword)));
    let meta = json!({
        "from": from,
        "to": to,
        "keyword_count": moves.len(),
        "moved_count": moves.iter().filter(|row| row.change.abs() >= MOVE_MIN).count(),
        "other_level_count": moves.iter().filter(|row| row.from_level != row.to_level).count(),
        "mean_change": mean(moves.iter().map(|row| row.change)),
    });
    moves.truncate(limit);
    if cli.json {
        return output::print_json(&json!({ "moves": moves, "meta": meta }));
    }
    print_moves(from, to, &moves, &meta)
}

/// Returns what each component adds more or less by the second definition, the largest difference first.
fn reasons(from: &BTreeMap<String, f64>, to: &BTreeMap<String, f64>) -> Vec<Reason> {
    let mut names: Vec<&String> = from.keys().chain(to.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let mut reasons: Vec<Reason> = names
        .into_iter()
        .map(|name| {
            let at = |contributions: &BTreeMap<String, f64>| contributions.get(name).copied().unwrap_or(0.0);
            let (from_contribution, to_contribution) = (at(from), at(to));
            let change = to_contribution - from_contribution;
            Reason { component: name.clone(), from_contribution, to_contribution, change }
        })
        .collect();
    reasons.sort_by_key(|reason| Reverse((reason.change.abs() * 1e9) as i64));
    reasons
}

fn print_moves(from: &str, to: &str, moves: &[Move], meta: &Value) -> anyhow::Result<()> {
    if moves.is_empty() {
        eprintln!("no keyword has a week that both {from} and {to} have scored");
        return Ok(());
    }
    output::list(
        false,
        "moves",
        moves,
        &[
            text("KEYWORD", |row: &Move| row.keyword.clone()),
            text("SITE", |row: &Move| format!("{} {}", row.marketplace, row.market)),
            text("WEEK", |row: &Move| row.week_start_date.to_string()),
            number("FROM", |row: &Move| format!("{:.2}", row.from_score)),
            number("TO", |row: &Move| format!("{:.2}", row.to_score)),
            number("CHANGE", |row: &Move| format!("{:+.2}", row.change)),
            text("LEVEL", |row: &Move| {
                if row.from_level == row.to_level {
                    row.to_level.clone()
                } else {
                    format!("{} to {}", row.from_level, row.to_level)
                }
            }),
            text("BECAUSE OF", |row: &Move| {
                let told = row.reasons.iter().filter(|reason| reason.change.abs() >= REASON_MIN);
                let told = told.map(|reason| format!("{} {:+.2}", reason.component, reason.change));
                told.collect::<Vec<_>>().join(", ")
            }),
        ],
    )?;
    eprintln!(
        "{} keywords have both scores: {} move by {MOVE_MIN} or more, {} change their level",
        meta["keyword_count"], meta["moved_count"], meta["other_level_count"]
    );
    Ok(())
}

/// Makes sure that what this program defines is published, so that a database that never scored can show it.
async fn publish(db: &PgPool) -> Result<(), sqlx::Error> {
    let mut connection = db.acquire().await?;
    competition::publish_definitions(&mut connection).await
}

fn unknown(version: &str) -> UserError {
    UserError::new(
        format!("no definition of the competition score is named {version}"),
        "see `digitallz score list` for those there are",
    )
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.sum::<f64>() / count as f64)
}
