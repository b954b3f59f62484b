//! `schedules.toml`: schedules as a file, checked to the last key before anything is done with it.

use std::collections::BTreeSet;

use chrono::Duration;
use chrono_tz::Tz;
use digitallz_common::marketplace::{Marketplace, Resource, Site};
use serde::Deserialize;
use toml::Spanned;

use super::definition::{Action, Definition};
use super::policy::{MissedRunPolicy, OverlapPolicy};
use super::rhythm::{self, Rhythm};

/// A schedule of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What it is.
    pub definition: Definition,
    /// Whether it is paused; nothing when the file leaves that to the operator.
    pub is_paused: Option<bool>,
    /// Why it is paused.
    pub pause_reason: Option<String>,
}

/// What is wrong with a file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct FileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, with the key it is about.
    pub problem: String,
}

/// Reads a file.
pub fn parse(text: &str) -> Result<Vec<Entry>, FileError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let key = key_at(text, start).map(|key| format!("{key}: ")).unwrap_or_default();
        FileError { line: line_at(text, start), problem: format!("{key}{}", error.message().trim()) }
    })?;
    let mut names = BTreeSet::new();
    let mut entries = Vec::with_capacity(file.schedule.len());
    for table in file.schedule {
        let line = line_at(text, table.span().start);
        let entry = table.into_inner().entry().map_err(|problem| FileError { line, problem })?;
        if !names.insert(entry.definition.name.clone()) {
            return Err(FileError { line, problem: format!("name: there are two of '{}'", entry.definition.name) });
        }
        entries.push(entry);
    }
    Ok(entries)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    schedule: Vec<Spanned<Table>>,
}

/// One `[[schedule]]`, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: Name,
    action: ActionName,
    marketplace: Option<Marketplace>,
    market: Option<String>,
    cron: CronText,
    #[serde(default)]
    time_zone: ZoneText,
    jitter: Option<DurationText>,
    keyword_tags: Option<Vec<String>>,
    resources: Option<Vec<Resource>>,
    request_budget: Option<i32>,
    #[serde(default)]
    priority: i32,
    overlap: Option<OverlapPolicy>,
    missed_runs: Option<MissedRunPolicy>,
    catch_up: Option<DurationText>,
    paused: Option<bool>,
    pause_reason: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ActionName {
    Crawl,
    Train,
    Score,
    Purge,
}

impl Table {
    /// Checks what several keys say together.
    fn entry(self) -> Result<Entry, String> {
        let action = self.action()?;
        let usual = Definition::new(&self.name.0, action, Rhythm::new(self.cron.0, self.time_zone.0));
        if self.request_budget.is_some_and(|budget| budget <= 0) {
            return Err("request_budget: must be 1 or more".to_owned());
        }
        if self.keyword_tags.as_ref().is_some_and(Vec::is_empty) {
            return Err("keyword_tags: name a tag, or leave the key out to crawl all active keywords".to_owned());
        }
        if self.resources.as_ref().is_some_and(Vec::is_empty) {
            return Err("resources: name one, or leave the key out to ask for those of the settings".to_owned());
        }
        if usual.rhythm.next_after(chrono::DateTime::UNIX_EPOCH).is_none() {
            return Err("cron: it never falls due".to_owned());
        }
        if self.pause_reason.is_some() && self.paused != Some(true) {
            return Err("pause_reason: is only for a schedule with paused = true".to_owned());
        }
        let definition = Definition {
            jitter: self.jitter.map_or(usual.jitter, |text| text.0),
            keyword_tags: self.keyword_tags,
            resources: self.resources,
            request_budget: self.request_budget,
            priority: self.priority,
            overlap: self.overlap.unwrap_or(usual.overlap),
            missed_runs: self.missed_runs.unwrap_or(usual.missed_runs),
            catch_up: self.catch_up.map_or(usual.catch_up, |text| text.0),
            ..usual
        };
        Ok(Entry { definition, is_paused: self.paused, pause_reason: self.pause_reason })
    }

    fn action(&self) -> Result<Action, String> {
        let action = match self.action {
            ActionName::Crawl => {
                let marketplace = self.marketplace.ok_or("marketplace: is missing; a crawl needs one")?;
                let market = self.market.as_deref().ok_or("market: is missing; a crawl needs one")?;
                for resource in self.resources.iter().flatten() {
                    if resource.marketplace() != Some(marketplace) {
                        return Err(format!("resources: {resource} is not offered by {marketplace}"));
                    }
                }
                return Ok(Action::Crawl(Site::new(marketplace, market).map_err(|error| format!("market: {error}"))?));
            }
            ActionName::Train => Action::Train,
            ActionName::Score => Action::Score,
            ActionName::Purge => Action::Purge,
        };
        let of_crawls = [
            ("marketplace", self.marketplace.is_some()),
            ("market", self.market.is_some()),
            ("keyword_tags", self.keyword_tags.is_some()),
            ("resources", self.resources.is_some()),
            ("request_budget", self.request_budget.is_some()),
        ];
        match of_crawls.into_iter().find(|(_, is_given)| *is_given) {
            Some((key, _)) => Err(format!("{key}: is only for the action crawl")),
            None => Ok(action),
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Name(String);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Name, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > 100 || !text.chars().all(is_plain) {
            return Err(format!("'{text}' is no name: use up to 100 letters, digits, '-', '_' and '.'"));
        }
        Ok(Name(text))
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct CronText(cron::Schedule);

impl TryFrom<String> for CronText {
    type Error = String;

    fn try_from(text: String) -> Result<CronText, String> {
        rhythm::parse_cron(&text).map(CronText).map_err(|error| digitallz_common::failure::chain(&error))
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct ZoneText(Tz);

impl Default for ZoneText {
    fn default() -> ZoneText {
        ZoneText(Tz::UTC)
    }
}

impl TryFrom<String> for ZoneText {
    type Error = String;

    fn try_from(text: String) -> Result<ZoneText, String> {
        rhythm::parse_time_zone(&text).map(ZoneText).map_err(|error| error.to_string())
    }
}

/// A time such as `90s`, `10m` or `1d 12h`, at most a year.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct DurationText(Duration);

impl TryFrom<String> for DurationText {
    type Error = String;

    fn try_from(text: String) -> Result<DurationText, String> {
        let parsed = humantime::parse_duration(&text).ok().and_then(|duration| Duration::from_std(duration).ok());
        match parsed {
            Some(duration) if duration <= Duration::days(366) => Ok(DurationText(duration)),
            Some(_) => Err(format!("'{text}' is longer than a year")),
            None => Err(format!("'{text}' is no time such as 90s, 10m, 2h or 1d")),
        }
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Returns the key of the line that holds an offset, where the offset lies in its value.
fn key_at(text: &str, offset: usize) -> Option<&str> {
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let (key, _) = text[start..offset].split_once('=')?;
    Some(key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a file of one crawl with further lines, of which the first is line 7.
    fn crawl(lines: &str) -> Result<Entry, FileError> {
        let text = format!(
            "[[schedule]]\nname = \"nightly\"\naction = \"crawl\"\nmarketplace = \"ebay\"\nmarket = \"DE\"\ncron = \"30 2 * * *\"\n{lines}"
        );
        parse(&text).map(|mut entries| entries.remove(0))
    }

    #[test]
    fn every_key_is_read() {
        let entry = crawl(
            "time_zone = \"Europe/Berlin\"\njitter = \"10m\"\nkeyword_tags = [\"top\"]\nresources = [\"item_search\"]\n\
             request_budget = 500\npriority = 3\noverlap = \"skip\"\nmissed_runs = \"all\"\ncatch_up = \"1d 12h\"\n\
             paused = true\npause_reason = \"holidays\"\n",
        )
        .expect("a schedule");
        let definition = entry.definition;
        assert_eq!(definition.action, Action::Crawl(Site::new(Marketplace::Ebay, "DE").expect("a site")));
        assert_eq!(definition.rhythm, Rhythm::parse("0 30 2 * * *", "Europe/Berlin").expect("a rhythm"));
        assert_eq!((definition.jitter, definition.catch_up), (Duration::minutes(10), Duration::hours(36)));
        assert_eq!(definition.keyword_tags, Some(vec!["top".to_owned()]));
        assert_eq!(definition.resources, Some(vec![Resource::ItemSearch]));
        assert_eq!((definition.request_budget, definition.priority), (Some(500), 3));
        assert_eq!((definition.overlap, definition.missed_runs), (OverlapPolicy::Skip, MissedRunPolicy::All));
        assert_eq!((entry.is_paused, entry.pause_reason.as_deref()), (Some(true), Some("holidays")));
    }

    #[test]
    fn what_is_wrong_is_told_with_line_and_key() {
        for (lines, expected) in [
            ("\ncolour = \"red\"", "line 8: unknown field `colour`, expected one of `name`, `action`"),
            ("time_zone = \"Mars\"", "line 7: time_zone: 'Mars' is no IANA time zone"),
            ("jitter = \"soon\"", "line 7: jitter: 'soon' is no time such as 90s"),
            ("catch_up = \"2 years\"", "line 7: catch_up: '2 years' is longer than a year"),
            ("overlap = \"maybe\"", "line 7: overlap: unknown variant `maybe`, expected one of `skip`, `buffer_one`"),
            ("priority = \"high\"", "line 7: priority: invalid type: string \"high\", expected i32"),
            ("resources = [\n  \"item_search\",\n  \"shop\",\n]", "line 1: resources: shop is not offered by ebay"),
            ("request_budget = 0", "line 1: request_budget: must be 1 or more"),
            ("keyword_tags = []", "line 1: keyword_tags: name a tag"),
            ("pause_reason = \"why\"", "line 1: pause_reason: is only for a schedule with paused = true"),
            (
                "[[schedule]]\nname = \"x\"\naction = \"train\"\ncron = \"0 5 * * 1\"",
                "line 10: cron: '0 5 * * 1' names days",
            ),
            ("[[schedule]]\nname = \"x\"\naction = \"train\"\n", "line 7: missing field `cron`"),
            ("[[schedule]]\nname = \"a b\"\n", "line 8: name: 'a b' is no name"),
            (
                "[[schedule]]\nname = \"x\"\naction = \"train\"\ncron = \"0 5 * * *\"\nmarket = \"US\"",
                "line 7: market: is only for the action crawl",
            ),
            (
                "[[schedule]]\nname = \"nightly\"\naction = \"score\"\ncron = \"0 5 * * *\"",
                "line 7: name: there are two of 'nightly'",
            ),
            ("[[schedules]]\n", "line 7: unknown field `schedules`, expected `schedule`"),
            ("name = \"again\"", "line 7: duplicate key `name`"),
        ] {
            let error = crawl(lines).expect_err(lines).to_string();
            assert!(error.starts_with(expected), "{lines}\n  {error}\n  {expected}");
        }
    }
}
