//! The readers of the files that users bring: their own data, exported elsewhere.
//!
//! | kind | file | read by |
//! | --- | --- | --- |
//! | `search-terms` | Brand Analytics search terms, CSV of Seller Central | `search_terms.rs` |
//! | `search-query` | search query performance, CSV of Seller Central | `search_query.rs` |
//! | `interest` | Google Trends, interest over time | `interest.rs` |
//! | `keyword-plan` | Google Ads keyword planner, historical metrics | `keyword_plan.rs` |
//! | `series` | one value a row: keyword, date, metric, value; CSV or Parquet | `series.rs` |
//!
//! A file is a raw payload like any answer, and reading it is as pure: bytes, what the user said of them, and the tracked
//! keywords give a reading and a report. On the way lie [`crate::tables`] (packing, encodings, cells, numbers, dates), `table` (where
//! the table begins) and `headers` (what the columns are called); `gathering` collects the values of the rows.

use std::io::Read;

use chrono::{DateTime, Utc};
use digitallz_common::marketplace::{Marketplace, Resource, Site};
use digitallz_common::raw_payload::RawPayload;
use serde::{Deserialize, Serialize};

use crate::reading::{Problem, ReadError, Reading, TrackedKeywords};
use crate::tables::packing::{self, Content, Part};

mod cells;
mod gathering;
mod headers;
mod interest;
mod keep;
mod keyword_plan;
mod names;
mod period;
mod request;
mod search_query;
mod search_terms;
mod series;
mod table;

pub use gathering::FoundKeywords;
pub use headers::{ColumnReport, HeaderReport};
pub use keep::{ExamineError, KeepError, Kept, Wishes, examine, keep};
pub use request::{ImportRequest, RequestError};

use gathering::Gathering;
use headers::Header;
use table::{Row, Table};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Amazon's Brand Analytics search terms.
    SearchTerms,
    /// Amazon's search query performance.
    SearchQuery,
    /// Google Trends' interest over time.
    Interest,
    /// Google Ads' keyword planner.
    KeywordPlan,
    /// Values in long form.
    Series,
}

impl Kind {
    /// All kinds, in the order in which they are shown.
    pub const ALL: [Kind; 5] = [Kind::SearchTerms, Kind::SearchQuery, Kind::Interest, Kind::KeywordPlan, Kind::Series];

    /// Returns the name used on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::SearchTerms => "search-terms",
            Kind::SearchQuery => "search-query",
            Kind::Interest => "interest",
            Kind::KeywordPlan => "keyword-plan",
            Kind::Series => "series",
        }
    }

    /// Returns the resource under which such files are stored.
    pub fn resource(self) -> Resource {
        match self {
            Kind::SearchTerms => Resource::SearchTermsFile,
            Kind::SearchQuery => Resource::SearchQueryFile,
            Kind::Interest => Resource::InterestFile,
            Kind::KeywordPlan => Resource::KeywordPlanFile,
            Kind::Series => Resource::SeriesFile,
        }
    }

    /// Returns the kind of the files that are stored under a resource.
    pub fn of(resource: Resource) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.resource() == resource)
    }

    /// Tells whether such a file can be about the keywords of a marketplace; Amazon's reports are about Amazon alone.
    pub fn suits(self, marketplace: Marketplace) -> bool {
        marketplace == Marketplace::Amazon || !matches!(self, Kind::SearchTerms | Kind::SearchQuery)
    }
}

/// What a file is read with, besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The site whose keywords it is about.
    pub site: &'a Site,
    /// The keywords of the site.
    pub tracked: &'a TrackedKeywords,
    /// When the file was brought: what lies later it cannot know.
    pub imported_at: DateTime<Utc>,
}

/// What a file says, and how it was understood.
#[derive(Clone, Debug)]
pub struct Imported {
    /// What it holds.
    pub kind: Kind,
    /// What it says of tracked keywords.
    pub reading: Reading,
    /// How its headers were understood, one report for each table in it.
    pub headers: Vec<HeaderReport>,
    /// The keywords in it.
    pub keywords: FoundKeywords,
}

/// Reads a file of a kind, or of the one that its header tells.
pub fn read(
    body: impl Read,
    kind: Option<Kind>,
    request: &ImportRequest,
    surroundings: Surroundings<'_>,
) -> Result<Imported, Problem> {
    let mut gathering = Gathering::new(surroundings);
    let mut headers: Vec<HeaderReport> = Vec::new();
    let mut known_kind = kind;
    packing::for_each_part(body, |part| {
        let (name, is_alone) = (part.name.clone(), part.is_alone);
        gathering.begin_part(&name);
        match read_part(part, known_kind, request, &mut gathering) {
            Ok(report) => {
                known_kind = Some(report.kind);
                headers.push(report);
                Ok(())
            }
            // Of several files in a package, those that are something else are set aside, and named.
            Err(PartError::NotRecognised(problem)) if !is_alone => {
                gathering.set_part_aside(&name, &problem);
                Ok(())
            }
            Err(PartError::NotRecognised(problem) | PartError::Broken(problem)) => Err(problem),
        }
    })?;
    let (Some(kind), false) = (known_kind, headers.is_empty()) else {
        return Err(gathering.first_problem().unwrap_or_else(|| Problem::at("", "it holds no table")));
    };
    let (reading, keywords) = gathering.into_reading()?;
    Ok(Imported { kind, reading, headers, keywords })
}

/// Reads a stored file as it passes by; none when the payload is no file of a user's.
pub(crate) fn read_payload(
    payload: &RawPayload,
    body: impl Read,
    tracked: &TrackedKeywords,
) -> Option<Result<Reading, ReadError>> {
    let kind = Kind::of(payload.resource)?;
    let surroundings = Surroundings { site: &payload.site, tracked, imported_at: payload.fetched_at };
    let imported = ImportRequest::parse(&payload.request_url)
        .map_err(|error| Problem::at("", error.to_string()))
        .and_then(|request| read(body, Some(kind), &request, surroundings));
    Some(imported.map(|imported| imported.reading).map_err(ReadError::from))
}

/// Why a part of a file was not read.
enum PartError {
    /// It is none of the tables that are known.
    NotRecognised(Problem),
    /// It is one, and cannot be trusted.
    Broken(Problem),
}

/// What reads the rows of one kind. A row is read as a whole or set aside as a whole.
trait Rows {
    /// Takes up a row.
    fn take_up(&mut self, row: &Row, gathering: &mut Gathering<'_>) -> Result<(), Problem>;

    /// Says what can be said only when all rows are known.
    fn end(self: Box<Self>, gathering: &mut Gathering<'_>) -> Result<(), Problem>;
}

fn read_part(
    part: Part<'_>,
    kind: Option<Kind>,
    request: &ImportRequest,
    gathering: &mut Gathering<'_>,
) -> Result<HeaderReport, PartError> {
    let mut table = match part.content {
        Content::Text(text) => Table::open(text, request, kind)?,
        Content::Parquet(file) => Table::open_parquet(file, kind)?,
    };
    let request = &ImportRequest { decimal_mark: table.decimal_mark, date_order: table.date_order, ..request.clone() };
    let site = gathering.site();
    if !table.header.kind.suits(site.marketplace) {
        let kind = table.header.kind.name();
        return Err(PartError::Broken(Problem::at("", format!("{kind} is about amazon, not {}", site.marketplace))));
    }
    let header = table.header.clone();
    let mut rows = rows_of(&header, &table.preamble, request, gathering).map_err(PartError::Broken)?;
    while let Some(row) = table.next_row().map_err(PartError::Broken)? {
        gathering.count_row();
        let read = header.check(&row).and_then(|()| rows.take_up(&row, gathering));
        if let Err(problem) = read {
            gathering.set_aside(&row, &problem);
        }
    }
    rows.end(gathering).map_err(PartError::Broken)?;
    let name = gathering.part_name();
    Ok(HeaderReport { sample: table.sample, ..header.report(name) })
}

fn rows_of(
    header: &Header,
    preamble: &[Vec<String>],
    request: &ImportRequest,
    gathering: &Gathering<'_>,
) -> Result<Box<dyn Rows>, Problem> {
    Ok(match header.kind {
        Kind::SearchTerms => Box::new(search_terms::SearchTerms::new(header, preamble, request)?),
        Kind::SearchQuery => Box::new(search_query::SearchQuery::new(header, preamble, request, gathering.site())?),
        Kind::Interest => Box::new(interest::Interest::new(header, request, gathering.site())?),
        Kind::KeywordPlan => Box::new(keyword_plan::KeywordPlan::new(header, preamble, request)?),
        Kind::Series => Box::new(series::Series::new(header, request)),
    })
}

impl From<table::OpenError> for PartError {
    fn from(error: table::OpenError) -> PartError {
        match error {
            table::OpenError::NotRecognised(problem) => PartError::NotRecognised(problem),
            table::OpenError::Broken(problem) => PartError::Broken(problem),
        }
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod matrix_tests;
#[cfg(test)]
mod spelling_tests;
#[cfg(test)]
mod tests;
