//! `digitallz keywords reread`: brings keywords that an older reading made to the current one, and tells what becomes of them.

mod apply;
mod decide;

use digitallz_common::keyword::NORMALIZATION_VERSION;
use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use self::apply::Act;
use self::decide::{Fate, Group, Member, Stored};
use crate::cli::Cli;
use crate::exit::Ending;
use crate::output;
use crate::session::Session;

/// What becomes of the keywords of older readings.
#[derive(Serialize)]
struct Report<'a> {
    normalization_version: i16,
    is_dry_run: bool,
    unchanged_count: usize,
    changed_count: usize,
    merged_count: usize,
    unreadable_count: usize,
    /// Keywords that changed while this ran, and wait for the next time.
    postponed_count: usize,
    /// All but the unchanged.
    keywords: Vec<Line<'a>>,
}

/// A keyword with its site.
#[derive(Serialize)]
struct Line<'a> {
    marketplace: &'a str,
    market: &'a str,
    #[serde(flatten)]
    member: &'a Member,
}

/// Rereads what is older than the current reading; a dry run only tells.
pub(super) async fn run(cli: &Cli, is_dry_run: bool, by: &str) -> anyhow::Result<Ending> {
    let session = Session::open(cli).await?;
    let reread = reread(&session, is_dry_run, by).await;
    session.close().await?;
    let (groups, postponed_count) = reread?;
    let report = report(&groups, is_dry_run, postponed_count);
    if cli.json {
        output::print_json(&json!({ "reread": report }))?;
    } else {
        print(&report)?;
    }
    Ok(if postponed_count > 0 { Ending::PartlyDone } else { Ending::Done })
}

async fn reread(session: &Session, is_dry_run: bool, by: &str) -> anyhow::Result<(Vec<Group>, usize)> {
    let groups = decide::decide(&keywords_concerned(&session.db).await?);
    let act = Act { by, now: session.clock.now() };
    let postponed_count = if is_dry_run { 0 } else { apply::apply(&session.db, &groups, act).await? };
    Ok((groups, postponed_count))
}

fn report(groups: &[Group], is_dry_run: bool, postponed_count: usize) -> Report<'_> {
    let mut report = Report {
        normalization_version: NORMALIZATION_VERSION,
        is_dry_run,
        unchanged_count: 0,
        changed_count: 0,
        merged_count: 0,
        unreadable_count: 0,
        postponed_count,
        keywords: Vec::new(),
    };
    for group in groups {
        for member in &group.members {
            match member.fate {
                Fate::Unchanged => report.unchanged_count += 1,
                Fate::Changed { .. } => report.changed_count += 1,
                Fate::Merged { .. } => report.merged_count += 1,
                Fate::Unreadable { .. } => report.unreadable_count += 1,
            }
            if member.fate != Fate::Unchanged {
                let Group { marketplace, market, .. } = group;
                report.keywords.push(Line { marketplace, market, member });
            }
        }
    }
    report
}

fn print(report: &Report<'_>) -> anyhow::Result<()> {
    if !report.keywords.is_empty() {
        let columns = [
            output::number("ID", |line: &Line<'_>| line.member.keyword_id.to_string()),
            output::text("MARKETPLACE", |line: &Line<'_>| line.marketplace.to_owned()),
            output::text("MARKET", |line: &Line<'_>| line.market.to_owned()),
            output::text("KEYWORD", |line: &Line<'_>| line.member.keyword_text.clone()),
            output::text("BECOMES", |line: &Line<'_>| in_words(&line.member.fate)),
        ];
        output::print(&output::table(&report.keywords, &columns))?;
    }
    let Report { unchanged_count, changed_count, merged_count, unreadable_count, postponed_count, .. } = report;
    let tense = if report.is_dry_run { "would " } else { "" };
    output::print(&format!(
        "version {}: {unchanged_count} {tense}stay, {changed_count} {tense}change, {merged_count} {tense}merge into others, \
         {unreadable_count} {tense}be no keyword",
        report.normalization_version,
    ))?;
    if *postponed_count > 0 {
        eprintln!("{} changed meanwhile; run it again", output::counted(*postponed_count, "keyword"));
    }
    Ok(())
}

fn in_words(fate: &Fate) -> String {
    match fate {
        Fate::Unchanged => "the same".to_owned(),
        Fate::Changed { new_text } => new_text.clone(),
        Fate::Merged { new_text, merged_into_keyword_id } => {
            format!("{new_text} (merged into {merged_into_keyword_id})")
        }
        Fate::Unreadable { reason } => format!("no keyword: {reason}"),
    }
}

/// Loads the keywords of older readings, and those that hold a text which one of these gets.
async fn keywords_concerned(db: &PgPool) -> Result<Vec<Stored>, sqlx::Error> {
    let mut connection = db.acquire().await?;
    let older = sqlx::query_as!(
        Stored,
        "select keyword_id, marketplace, market, keyword_text, original_text, normalization_version, unreadable_reason
         from core.keywords
         where normalization_version < $1 and merged_into_keyword_id is null
         order by keyword_id",
        NORMALIZATION_VERSION,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut concerned = older;
    let mut marketplaces = Vec::new();
    let mut markets = Vec::new();
    let mut texts = Vec::new();
    for keyword in &concerned {
        if let Ok(text) = keyword.new_text() {
            marketplaces.push(keyword.marketplace.clone());
            markets.push(keyword.market.clone());
            texts.push(text);
        }
    }
    let holders = sqlx::query_as!(
        Stored,
        "select keyword_id, marketplace, market, keyword_text, original_text, normalization_version, unreadable_reason
         from core.keywords
         where (marketplace, market, keyword_text) in (select * from unnest($2::text[], $3::text[], $4::text[]))
           and normalization_version >= $1 and merged_into_keyword_id is null
         order by keyword_id",
        NORMALIZATION_VERSION,
        &marketplaces,
        &markets,
        &texts,
    )
    .fetch_all(&mut *connection)
    .await?;
    concerned.extend(holders);
    Ok(concerned)
}

/// Loads the members of a group again, and whoever holds a text that one of them gets.
async fn keywords_around(connection: &mut PgConnection, group: &Group) -> Result<Vec<Stored>, sqlx::Error> {
    let new_text = |member: &Member| match &member.fate {
        Fate::Changed { new_text } | Fate::Merged { new_text, .. } => Some(new_text.clone()),
        Fate::Unchanged | Fate::Unreadable { .. } => None,
    };
    sqlx::query_as!(
        Stored,
        "select keyword_id, marketplace, market, keyword_text, original_text, normalization_version, unreadable_reason
         from core.keywords
         where merged_into_keyword_id is null
           and (keyword_id = any($1) or (marketplace = $2 and market = $3 and keyword_text = any($4)))
         order by keyword_id",
        &group.members.iter().map(|member| member.keyword_id).collect::<Vec<_>>(),
        group.marketplace,
        group.market,
        &group.members.iter().filter_map(new_text).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await
}
