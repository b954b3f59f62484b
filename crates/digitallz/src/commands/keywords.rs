//! `digitallz keywords`: which keywords are followed, and the reading of keyword files.

use std::io::Read;
use std::path::Path;

use chrono::{DateTime, Utc};
use digitallz_common::keyword::{self, Keyword};
use digitallz_common::marketplace::{Marketplace, Site};
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;

use crate::cli::{Cli, KeywordsCommand};
use crate::demo_mark;
use crate::exit::{Ending, UserError};
use crate::output;
use crate::session::Session;

/// A line of a keyword file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the keyword is followed.
    pub site: Site,
    /// The keyword.
    pub keyword: Keyword,
    /// The text as it stands in the file.
    pub original_text: String,
}

/// What an import did.
#[derive(Debug, Serialize)]
pub struct ImportReport {
    /// Keywords in the file, after normalisation.
    pub read_count: usize,
    /// Keywords that were new.
    pub added_count: usize,
    /// True when nothing was written.
    pub is_dry_run: bool,
}

/// Adds or lists keywords.
pub async fn run(cli: &Cli, command: &KeywordsCommand) -> anyhow::Result<Ending> {
    match command {
        KeywordsCommand::Import { file, marketplace, market, dry_run } => {
            let entries = read_file(file, *marketplace, market)?;
            let session = Session::open(cli).await?;
            if !*dry_run {
                demo_mark::note_users_data(&session.db).await?;
            }
            let report = import(&session.db, &entries, *dry_run, session.clock.now()).await?;
            session.close().await?;
            if cli.json {
                output::print_json(&json!({ "import": report }))?;
            } else {
                let verb = if *dry_run { "would be added" } else { "added" };
                output::print(&format!("{} keywords read, {} {verb}", report.read_count, report.added_count))?;
            }
        }
        KeywordsCommand::List { marketplace, market, limit } => {
            let session = Session::open(cli).await?;
            let rows = list(&session.db, *marketplace, market.as_deref(), *limit).await?;
            session.close().await?;
            output::list(
                cli.json,
                "keywords",
                &rows,
                &[
                    output::number("ID", |row: &KeywordRow| row.keyword_id.to_string()),
                    output::text("MARKETPLACE", |row: &KeywordRow| row.marketplace.clone()),
                    output::text("MARKET", |row: &KeywordRow| row.market.clone()),
                    output::text("KEYWORD", |row: &KeywordRow| row.keyword_text.clone()),
                    output::text("ACTIVE", |row: &KeywordRow| row.is_active.to_string()),
                ],
            )?;
        }
    }
    Ok(Ending::Done)
}

/// Reads a file of keywords; every malformed line is named.
pub fn read_file(file: &Path, marketplace: Option<Marketplace>, market: &str) -> anyhow::Result<Vec<Entry>> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|mut opened| opened.read_to_end(&mut bytes))
    };
    read.map_err(|error| UserError::new(format!("failed to read {}: {error}", file.display()), "check the path"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        UserError::new(
            format!("{} is not UTF-8 at byte {}", file.display(), error.utf8_error().valid_up_to()),
            "save it as UTF-8",
        )
    })?;
    parse(&text, marketplace, market).map_err(|problems| {
        const SHOWN: usize = 10;
        let more =
            if problems.len() > SHOWN { format!("; and {} more", problems.len() - SHOWN) } else { String::new() };
        let shown: Vec<&str> = problems.iter().take(SHOWN).map(String::as_str).collect();
        UserError::new(
            format!("{}: {}{more}", file.display(), shown.join("; ")),
            "correct the lines named and import again; nothing was added",
        )
        .into()
    })
}

/// Reads the text of a keyword file: one keyword a line, or CSV with a header that names the columns.
///
/// Empty lines and lines that begin with `#` are passed over. Returns one sentence per malformed line, with its number.
pub fn parse(text: &str, marketplace: Option<Marketplace>, market: &str) -> Result<Vec<Entry>, Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let mut columns: Option<Columns> = None;
    let mut entries = Vec::new();
    let mut problems = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                problems.push(error.to_string());
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        if columns.is_none() {
            let header = Columns::read(&record);
            let is_header = header.is_some();
            columns = Some(header.unwrap_or(Columns { keyword: 0, marketplace: None, market: None, width: 1 }));
            if is_header {
                continue;
            }
        }
        if let Some(columns) = &columns {
            match columns.entry(&record, marketplace, market) {
                Ok(entry) => entries.push(entry),
                Err(problem) => problems.push(format!("line {line}: {problem}")),
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if entries.is_empty() {
        return Err(vec!["it holds no keyword".to_owned()]);
    }
    Ok(entries)
}

/// Adds keywords and returns what was new; nothing is written in a dry run.
pub async fn import(
    db: &PgPool,
    entries: &[Entry],
    is_dry_run: bool,
    now: DateTime<Utc>,
) -> anyhow::Result<ImportReport> {
    let mut tx = db.begin().await?;
    let before = sqlx::query_scalar!(r#"select count(*) as "count!" from core.keywords"#).fetch_one(&mut *tx).await?;
    for entry in entries {
        keyword::ensure(&mut tx, &entry.site, &entry.keyword, &entry.original_text, now).await?;
    }
    let after = sqlx::query_scalar!(r#"select count(*) as "count!" from core.keywords"#).fetch_one(&mut *tx).await?;
    if is_dry_run {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
    }
    Ok(ImportReport { read_count: entries.len(), added_count: usize::try_from(after - before)?, is_dry_run })
}

/// Which column of a keyword file holds what.
#[derive(Debug)]
struct Columns {
    keyword: usize,
    marketplace: Option<usize>,
    market: Option<usize>,
    width: usize,
}

impl Columns {
    /// Reads a header; nothing when the record names no keyword column.
    fn read(record: &csv::StringRecord) -> Option<Columns> {
        let find =
            |names: &[&str]| record.iter().position(|field| names.contains(&field.to_ascii_lowercase().as_str()));
        Some(Columns {
            keyword: find(&["keyword", "search term", "search_term"])?,
            marketplace: find(&["marketplace", "platform"]),
            market: find(&["market", "country"]),
            width: record.len(),
        })
    }

    fn entry(
        &self,
        record: &csv::StringRecord,
        marketplace: Option<Marketplace>,
        market: &str,
    ) -> Result<Entry, String> {
        if record.len() > self.width {
            return Err(format!(
                "{} fields where {} are expected; put a keyword that holds a comma in double quotes",
                record.len(),
                self.width
            ));
        }
        let field = |index: Option<usize>| index.and_then(|index| record.get(index)).filter(|text| !text.is_empty());
        let marketplace = match field(self.marketplace) {
            Some(name) => name.parse().map_err(|error| format!("{error}"))?,
            None => marketplace.ok_or("it names no marketplace; add a column `marketplace` or use --marketplace")?,
        };
        let site = Site::new(marketplace, field(self.market).unwrap_or(market)).map_err(|error| error.to_string())?;
        let original_text = record.get(self.keyword).unwrap_or_default().to_owned();
        let keyword = Keyword::parse(&original_text).map_err(|error| error.to_string())?;
        Ok(Entry { site, keyword, original_text })
    }
}

#[derive(Serialize)]
struct KeywordRow {
    keyword_id: i64,
    marketplace: String,
    market: String,
    keyword_text: String,
    original_text: String,
    is_active: bool,
}

async fn list(
    db: &PgPool,
    marketplace: Option<Marketplace>,
    market: Option<&str>,
    limit: u32,
) -> Result<Vec<KeywordRow>, sqlx::Error> {
    sqlx::query_as!(
        KeywordRow,
        "select keyword_id, marketplace, market, keyword_text, original_text, is_active
         from core.keywords
         where ($1::text is null or marketplace = $1) and ($2::text is null or market = upper($2))
         order by marketplace, market, keyword_text
         limit $3",
        marketplace.map(Marketplace::name),
        market,
        i64::from(limit),
    )
    .fetch_all(db)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keywords(text: &str) -> Result<Vec<String>, Vec<String>> {
        let entries = parse(text, Some(Marketplace::Etsy), "US")?;
        Ok(entries.iter().map(|entry| format!("{} {}", entry.site, entry.keyword)).collect())
    }

    #[test]
    fn a_plain_list_and_a_csv_are_both_read() {
        assert_eq!(
            keywords("Beach Towel\n\n# note\n\"red, white\"\n").unwrap(),
            ["etsy US beach towel", "etsy US red, white"]
        );
        let csv = "market,keyword,marketplace\nde,Strandtuch,ebay\n,lamp,\n";
        assert_eq!(keywords(csv).unwrap(), ["ebay DE strandtuch", "etsy US lamp"]);
    }

    #[test]
    fn malformed_lines_are_named_by_number() {
        let problems = keywords("keyword,marketplace\nlamp,amazon\nlamp,alibaba\n,etsy\n").unwrap_err();
        assert_eq!(
            problems,
            [
                "line 3: unknown marketplace 'alibaba', expected one of: amazon, etsy, ebay",
                "line 4: the search term is empty"
            ]
        );
        assert_eq!(
            keywords("lamp\na, b\n").unwrap_err(),
            ["line 2: 2 fields where 1 are expected; put a keyword that holds a comma in double quotes"]
        );
    }
}
