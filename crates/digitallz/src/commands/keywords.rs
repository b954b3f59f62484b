//! `digitallz keywords`: which keywords are followed, and the reading of keyword files.

mod repeated;
mod reread;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use chrono::{DateTime, Utc};
use digitallz_common::keyword::{self, Keyword};
use digitallz_common::marketplace::{Marketplace, Site};
use digitallz_processor::tables::decoding::{self, Encoding};
use digitallz_processor::tables::text::TextRows;
use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, PgPool};

pub use self::repeated::RepeatedLine;
use crate::cli::{Cli, KeywordsCommand, TagArgs};
use crate::demo_mark;
use crate::exit::{Ending, UserError};
use crate::output;
use crate::progress::Progress;
use crate::session::Session;

/// Keywords from which on an import shows its progress.
const PROGRESS_FROM: u64 = 5_000;

/// A line of a keyword file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where the keyword is followed.
    pub site: Site,
    /// The keyword.
    pub keyword: Keyword,
    /// The text as it stands in the file.
    pub original_text: String,
    /// Names of the sets it belongs to.
    pub tags: Vec<String>,
    /// How much it matters beside others; nothing leaves it as it is, 1 for a new one.
    pub weight: Option<f64>,
    /// The line of the file; nothing where there is no file.
    pub line: Option<u64>,
}

impl Entry {
    /// Makes an entry without tags and weight.
    pub fn new(site: Site, keyword: Keyword, original_text: impl Into<String>) -> Entry {
        Entry { site, keyword, original_text: original_text.into(), tags: Vec::new(), weight: None, line: None }
    }
}

/// What an import did.
#[derive(Debug, Serialize)]
pub struct ImportReport {
    /// Keywords in the file, after normalisation.
    pub read_count: usize,
    /// Keywords that were new.
    pub added_count: usize,
    /// Lines whose keyword an earlier line has already; its original text is the one that is kept.
    pub repeated_lines: Vec<RepeatedLine>,
    /// True when nothing was written.
    pub is_dry_run: bool,
}

/// Adds, lists or rereads keywords.
pub async fn run(cli: &Cli, command: &KeywordsCommand) -> anyhow::Result<Ending> {
    match command {
        KeywordsCommand::Import { file, marketplace, market, tag, dry_run } => {
            let mut entries = read_file(file, *marketplace, market)?;
            for text in tag {
                let tag = parse_tag(text).map_err(|problem| UserError::new(problem, "choose another tag"))?;
                entries.iter_mut().for_each(|entry| entry.tags.push(tag.clone()));
            }
            let session = Session::open(cli).await?;
            if !*dry_run {
                demo_mark::note_users_data(&session.db).await?;
            }
            let report = import(&session.db, &entries, *dry_run, session.clock.now()).await?;
            session.close().await?;
            repeated::warn(&report.repeated_lines);
            if cli.json {
                output::print_json(&json!({ "import": report }))?;
            } else {
                let verb = if *dry_run { "would be added" } else { "added" };
                output::print(&format!("{} keywords read, {} {verb}", report.read_count, report.added_count))?;
            }
        }
        KeywordsCommand::List { marketplace, market, tag, like, limit } => {
            let like = like.as_deref().map(named_keyword).transpose()?;
            let session = Session::open(cli).await?;
            let rows = list(&session.db, *marketplace, market.as_deref(), tag.as_deref(), like.as_ref(), *limit).await;
            session.close().await?;
            let rows = rows?;
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
                    output::number("WEIGHT", |row: &KeywordRow| row.weight.to_string()),
                    output::text("TAGS", |row: &KeywordRow| row.tags.join(";")),
                ],
            )?;
        }
        KeywordsCommand::Reread { dry_run, by } => return reread::run(cli, *dry_run, by).await,
        KeywordsCommand::Tag(args) => change_tag(cli, args, true).await?,
        KeywordsCommand::Untag(args) => change_tag(cli, args, false).await?,
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
    let mut text = String::new();
    decoding::decode(bytes.as_slice(), Encoding::Auto)
        .and_then(|mut decoded| decoded.text.read_to_string(&mut text))
        .map_err(|error| UserError::new(format!("{}: {error}", file.display()), "save it as UTF-8"))?;
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
    let mut columns: Option<Columns> = None;
    let mut entries = Vec::new();
    let mut problems = Vec::new();
    for row in TextRows::new(text.trim_start_matches('\u{feff}').as_bytes(), b',') {
        let row = match row {
            Ok(row) => row,
            Err(problem) => {
                problems.push(problem.to_string());
                break;
            }
        };
        let line = row.line;
        let record: csv::StringRecord = row.cells.iter().map(|cell| cell.trim()).collect();
        if record.iter().all(str::is_empty) || record.get(0).is_some_and(|first| first.starts_with('#')) {
            continue;
        }
        if columns.is_none() {
            let header = Columns::read(&record);
            let is_header = header.is_some();
            columns = Some(header.unwrap_or(Columns::JUST_KEYWORDS));
            if is_header {
                continue;
            }
        }
        if let Some(columns) = &columns {
            match columns.entry(&record, marketplace, market) {
                Ok(entry) => entries.push(Entry { line: Some(line), ..entry }),
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
    let total = entries.len() as u64;
    let mut progress = (total >= PROGRESS_FROM).then(|| Progress::start("keywords", total));
    for (index, entry) in entries.iter().enumerate() {
        ensure(&mut tx, entry, now).await?;
        if let Some(progress) = &mut progress {
            progress.set(index as u64 + 1, total, "");
        }
    }
    if let Some(progress) = progress {
        progress.finish();
    }
    let after = sqlx::query_scalar!(r#"select count(*) as "count!" from core.keywords"#).fetch_one(&mut *tx).await?;
    if is_dry_run {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
    }
    let repeated_lines = repeated::find(entries);
    let read_count = entries.len() - repeated_lines.len();
    Ok(ImportReport { read_count, added_count: usize::try_from(after - before)?, repeated_lines, is_dry_run })
}

/// Makes sure that a keyword is known, with the tags and the weight its entry names, and returns its identifier.
pub async fn ensure(connection: &mut PgConnection, entry: &Entry, now: DateTime<Utc>) -> Result<i64, sqlx::Error> {
    let keyword_id = keyword::ensure(&mut *connection, &entry.site, &entry.keyword, &entry.original_text, now).await?;
    if !entry.tags.is_empty() || entry.weight.is_some() {
        sqlx::query!(
            "update core.keywords
             set tags = (select coalesce(array_agg(distinct tag order by tag), '{}') from unnest(tags || $2) as tag),
                 weight = coalesce($3, weight)
             where keyword_id = $1",
            keyword_id,
            &entry.tags,
            entry.weight,
        )
        .execute(connection)
        .await?;
    }
    Ok(keyword_id)
}

/// Reads a tag: letters, digits, `-`, `_` and `.`, in small letters.
fn parse_tag(text: &str) -> Result<String, String> {
    const LENGTH_MAX: usize = 60;
    let tag = text.trim().to_lowercase();
    let is_allowed = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_' | '.');
    if tag.is_empty() || tag.chars().count() > LENGTH_MAX || !tag.chars().all(is_allowed) {
        return Err(format!("'{text}' is no tag: up to {LENGTH_MAX} letters, digits, '-', '_' or '.'"));
    }
    Ok(tag)
}

/// Reads a keyword of the command line.
fn named_keyword(text: &str) -> Result<Keyword, UserError> {
    Keyword::parse(text).map_err(|error| UserError::usage(format!("keyword '{text}': {error}"), "give another keyword"))
}

/// Gives a tag to keywords, or takes it from them.
async fn change_tag(cli: &Cli, args: &TagArgs, is_given: bool) -> anyhow::Result<()> {
    let tag = parse_tag(&args.tag).map_err(|problem| UserError::usage(problem, "choose another tag"))?;
    let mut texts = Vec::with_capacity(args.keyword.len());
    for text in &args.keyword {
        texts.push(named_keyword(text)?.to_string());
    }
    let session = Session::open(cli).await?;
    let changed = sqlx::query!(
        "update core.keywords
         set tags = case when $5 then (select array_agg(distinct tag order by tag) from unnest(tags || $1::text) as tag)
                         else array_remove(tags, $1) end
         where ($2::text is null or marketplace = $2) and ($3::text is null or market = upper($3))
           and (cardinality($4::text[]) = 0 or keyword_text = any($4)) and ($1 = any(tags)) <> $5",
        tag,
        args.marketplace.map(Marketplace::name),
        args.market,
        &texts,
        is_given,
    )
    .execute(&session.db)
    .await;
    session.close().await?;
    let changed_count = changed?.rows_affected();
    if cli.json {
        return output::print_json(&json!({ "tag": { "tag": tag, "changed_count": changed_count } }));
    }
    output::print(&format!("{changed_count} keywords changed"))
}

/// Which column of a keyword file holds what.
#[derive(Debug)]
struct Columns {
    keyword: usize,
    marketplace: Option<usize>,
    market: Option<usize>,
    tags: Option<usize>,
    weight: Option<usize>,
    width: usize,
}

impl Columns {
    /// The columns of a file without a header.
    const JUST_KEYWORDS: Columns =
        Columns { keyword: 0, marketplace: None, market: None, tags: None, weight: None, width: 1 };

    /// Reads a header; nothing when the record names no keyword column.
    fn read(record: &csv::StringRecord) -> Option<Columns> {
        let find =
            |names: &[&str]| record.iter().position(|field| names.contains(&field.to_ascii_lowercase().as_str()));
        Some(Columns {
            keyword: find(&["keyword", "search term", "search_term"])?,
            marketplace: find(&["marketplace", "platform"]),
            market: find(&["market", "country"]),
            tags: find(&["tags", "tag"]),
            weight: find(&["weight"]),
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
        let tags = field(self.tags).unwrap_or_default().split(';').filter(|tag| !tag.trim().is_empty());
        let tags = tags.map(parse_tag).collect::<Result<Vec<_>, _>>()?;
        let weight = field(self.weight).map(parse_weight).transpose()?;
        Ok(Entry { tags, weight, ..Entry::new(site, keyword, original_text) })
    }
}

fn parse_weight(text: &str) -> Result<f64, String> {
    const MOST: f64 = 1e6;
    let weight = text.parse().ok().filter(|weight: &f64| *weight > 0.0 && *weight < MOST);
    weight.ok_or_else(|| format!("'{text}' is no weight: a number above 0 and below {MOST}; 1 is usual"))
}

#[derive(Serialize)]
struct KeywordRow {
    keyword_id: i64,
    marketplace: String,
    market: String,
    keyword_text: String,
    match_text: Option<String>,
    original_text: String,
    is_active: bool,
    weight: f64,
    tags: Vec<String>,
    merged_into_keyword_id: Option<i64>,
}

async fn list(
    db: &PgPool,
    marketplace: Option<Marketplace>,
    market: Option<&str>,
    tag: Option<&str>,
    like: Option<&Keyword>,
    limit: u32,
) -> Result<Vec<KeywordRow>, sqlx::Error> {
    // What counts as a near-duplicate depends on the language of the market.
    let markets = Marketplace::ALL.iter().flat_map(|marketplace| marketplace.markets()).collect::<BTreeSet<_>>();
    let of_markets = like.map(|like| markets.into_iter().map(|market| ((*market).to_owned(), like.match_text(market))));
    let (like_markets, like_texts): (Vec<String>, Vec<String>) = of_markets.into_iter().flatten().unzip();
    sqlx::query_as!(
        KeywordRow,
        "select keyword_id, marketplace, market, keyword_text, match_text, original_text, is_active, weight, tags,
                merged_into_keyword_id
         from core.keywords
         where ($1::text is null or marketplace = $1) and ($2::text is null or market = upper($2))
           and ($4::text is null or tags @> array[$4])
           and (cardinality($5::text[]) = 0 or (market, match_text) in (select * from unnest($5::text[], $6::text[])))
         order by marketplace, market, keyword_text
         limit $3",
        marketplace.map(Marketplace::name),
        market,
        i64::from(limit),
        tag,
        &like_markets,
        &like_texts,
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
    fn tags_and_weights_are_read_with_their_keyword() {
        let csv = "keyword,tags,weight\nlamp,Home;summer-2026,2.5\ntowel,,\n";
        let entries = parse(csv, Some(Marketplace::Ebay), "US").unwrap();
        assert_eq!(
            (&entries[0].tags[..], entries[0].weight),
            (&["home", "summer-2026"].map(str::to_owned)[..], Some(2.5))
        );
        assert_eq!((&entries[1].tags[..], entries[1].weight), (&[][..], None));
        let problems = parse("keyword,tags,weight\nlamp,a b,1\nhat,,0\n", Some(Marketplace::Ebay), "US").unwrap_err();
        assert!(
            problems[0].starts_with("line 2: 'a b' is no tag") && problems[1].starts_with("line 3: '0' is no weight")
        );
    }

    #[test]
    fn every_line_end_and_encoding_of_a_keyword_file_is_read() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["# note", "keyword,marketplace", "", "lampe à poser,etsy", "lamp,ebay"].join(end);
            assert_eq!(keywords(&text).unwrap(), ["etsy US lampe à poser", "ebay US lamp"], "{end:?}");
            let broken = ["keyword,marketplace", "", "lamp,alibaba"].join(end);
            assert!(keywords(&broken).unwrap_err()[0].starts_with("line 3: "), "{end:?}");
        }
        let file = std::env::temp_dir().join(format!("digitallz-keywords-{}.txt", std::process::id()));
        let utf_16: Vec<u8> = "\u{feff}lampe à poser\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        std::fs::write(&file, utf_16).unwrap();
        let entries = read_file(&file, Some(Marketplace::Etsy), "US").unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(entries[0].original_text, "lampe à poser");
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
