//! What the columns of files are called, in one table, and the recognition of a header by it.
//!
//! Names are compared without case, punctuation and superfluous space. A column that is not in the table is named in the
//! report; a header that lacks what a kind needs is an error that says what was found and what is expected.

use std::fmt;

use chrono::{Datelike, NaiveDate};
use serde::Serialize;

use super::names::{self, HEADERS};
use super::table::{Row, line_pointer};
use super::{Kind, cells};
use crate::reading::Problem;
use crate::rows::cut;
use crate::tables::dates::DateOrder;

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// The search term.
    Keyword,
    /// Its position among all.
    Rank,
    /// The department within which it ranks.
    Department,
    /// The last day of what the row is about.
    LastDay,
    /// Share of the clicks of one of the three most clicked listings, from 1.
    ClickShare(u8),
    /// Share of the conversions of the same.
    ConversionShare(u8),
    /// Searches.
    Volume,
    /// Listings shown.
    Impressions,
    /// Clicks.
    Clicks,
    /// Additions to a cart.
    CartAdds,
    /// Purchases.
    Purchases,
    /// Median price of what was clicked.
    ClickPrice,
    /// First day of a week.
    Week,
    /// A day.
    Day,
    /// A month.
    Month,
    /// A time whose spacing the rows show.
    Time,
    /// An hour.
    Hour,
    /// Interest in a keyword, with the region that the header names.
    Interest { keyword: String, region: Option<String> },
    /// Mean of the monthly searches.
    Average,
    /// Lower end of the range in which the mean lies.
    Minimum,
    /// Upper end of the same.
    Maximum,
    /// Searches in the month that begins with this day.
    SearchesIn(NaiveDate),
    /// Competition among advertisers.
    CompetitionIndex,
    /// Bids for the top of the page, lower end.
    BidLow,
    /// The same, upper end.
    BidHigh,
    /// Currency of the bids.
    Currency,
    /// First day of what a value is about, or its month.
    Date,
    /// Name of a metric.
    Metric,
    /// A value.
    Value,
    /// Its unit.
    Unit,
    /// Kind of its period.
    Period,
    /// Known, and not kept.
    NotKept,
    /// Not known.
    Unknown,
}

/// Columns of a kind, with the name that `names/headers.csv` gives them there, and whether the kind needs them.
const KNOWN: &[(Kind, Column, &str, bool)] = &[
    (Kind::SearchTerms, Column::Keyword, "keyword", true),
    (Kind::SearchTerms, Column::Rank, "rank", true),
    (Kind::SearchTerms, Column::Department, "department", false),
    (Kind::SearchTerms, Column::LastDay, "last_day", false),
    (Kind::SearchQuery, Column::Keyword, "keyword", true),
    (Kind::SearchQuery, Column::Volume, "volume", true),
    (Kind::SearchQuery, Column::LastDay, "last_day", false),
    (Kind::SearchQuery, Column::Impressions, "impressions", false),
    (Kind::SearchQuery, Column::Clicks, "clicks", false),
    (Kind::SearchQuery, Column::CartAdds, "cart_adds", false),
    (Kind::SearchQuery, Column::Purchases, "purchases", false),
    (Kind::SearchQuery, Column::ClickPrice, "click_price", false),
    (Kind::Interest, Column::Time, "time", false),
    (Kind::Interest, Column::Week, "week", false),
    (Kind::Interest, Column::Day, "day", false),
    (Kind::Interest, Column::Month, "month", false),
    (Kind::Interest, Column::Hour, "hour", false),
    (Kind::KeywordPlan, Column::Keyword, "keyword", true),
    (Kind::KeywordPlan, Column::Average, "average", true),
    (Kind::KeywordPlan, Column::Minimum, "minimum", false),
    (Kind::KeywordPlan, Column::Maximum, "maximum", false),
    (Kind::KeywordPlan, Column::Currency, "currency", false),
    (Kind::KeywordPlan, Column::CompetitionIndex, "competition_index", false),
    (Kind::KeywordPlan, Column::BidLow, "bid_low", false),
    (Kind::KeywordPlan, Column::BidHigh, "bid_high", false),
    (Kind::Series, Column::Keyword, "keyword", true),
    (Kind::Series, Column::Date, "date", true),
    (Kind::Series, Column::Metric, "metric", true),
    (Kind::Series, Column::Value, "value", true),
    (Kind::Series, Column::Unit, "unit", false),
    (Kind::Series, Column::Period, "period", false),
];

/// Returns what the values of a column of `headers.csv` are read as, for the document about imports.
#[cfg(test)]
pub(super) fn kept_as(kind: Kind, column: &str) -> String {
    let known = KNOWN.iter().find(|(of, _, name, _)| *of == kind && *name == column);
    match (column, known) {
        ("click_share", _) => "top_click_share, the sum of the three listings".to_owned(),
        ("conversion_share", _) => "top_conversion_share, the sum of the three listings".to_owned(),
        ("minimum" | "maximum", _) => format!("monthly_searches_{}", if column == "minimum" { "low" } else { "high" }),
        ("time", _) => "day, first day of a week, or month, by the spacing of the rows".to_owned(),
        ("hour", _) => "refused: hours are not kept".to_owned(),
        (_, Some((_, known, _, _))) => known.to_string(),
        (_, None) => column.to_owned(),
    }
}

/// Returns the first name of a column, which is the English one.
fn first_name(kind: Kind, column: &str) -> String {
    let mut names = HEADERS.iter().filter(|name| name.kind == kind.name() && name.column == column);
    names.next().map_or_else(|| column.to_owned(), |name| name.name.clone())
}

/// Beginnings of the names of columns that are known and not kept.
const NOT_KEPT: &[(Kind, &[&str])] = &[
    (
        Kind::SearchTerms,
        &[
            "top clicked",
            "top brand",
            "top category",
            "1 clicked",
            "2 clicked",
            "3 clicked",
            "1 product",
            "2 product",
            "3 product",
        ],
    ),
    (
        Kind::SearchQuery,
        &[
            "search query score",
            "impressions",
            "clicks",
            "click rate",
            "cart adds",
            "basket adds",
            "purchases",
            "purchase rate",
            "asin",
        ],
    ),
    (
        Kind::KeywordPlan,
        &[
            "segmentation",
            "three month change",
            "yoy change",
            "competition",
            "ad impression share",
            "organic",
            "in account",
            "in plan",
            "concept",
        ],
    ),
];

/// How a text may be cut into cells.
pub(super) struct Candidate {
    /// What stands between two cells.
    pub(super) delimiter: u8,
    /// Encoding and delimiter, for the report.
    pub(super) form: String,
    /// The first rows.
    pub(super) rows: Vec<Row>,
}

/// A header that was found.
pub(super) struct Found {
    pub(super) delimiter: u8,
    pub(super) preamble: Vec<Vec<String>>,
    pub(super) header: Header,
}

/// A header and what its columns hold.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Its line, from 1; 0 where the table has none of its own.
    pub(super) line: u64,
    form: String,
    names: Vec<String>,
    columns: Vec<Column>,
}

/// How the header of one table was understood.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeaderReport {
    /// Name of the table within a zip; empty where the file is the table.
    pub part: String,
    /// What it holds.
    pub kind: Kind,
    /// Encoding and delimiter, or Parquet.
    pub form: String,
    /// The first words that are not ASCII, where the encoding was detected or named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// Line of the header, from 1.
    pub header_line: u64,
    /// Columns that are read.
    pub recognised: Vec<ColumnReport>,
    /// Columns that are known and not kept.
    pub not_kept: Vec<String>,
    /// Columns that nobody knows.
    pub unknown: Vec<String>,
    /// Columns that such files usually have.
    pub missing: Vec<String>,
}

/// A column that is read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnReport {
    /// Its name in the file.
    pub column: String,
    /// What it is read as.
    pub read_as: String,
}

/// Finds the one header of a known kind among the first rows, whatever stands between the cells.
pub(super) fn recognise(candidates: Vec<Candidate>, kind: Option<Kind>) -> Result<Found, Problem> {
    let kinds: Vec<Kind> = kind.map_or_else(|| Kind::ALL.to_vec(), |kind| vec![kind]);
    let mut found: Vec<(usize, usize, Header)> = Vec::new();
    for (candidate_index, candidate) in candidates.iter().enumerate() {
        for kind in &kinds {
            let headers = candidate.rows.iter().enumerate().filter_map(|(row_index, row)| {
                let header = Header::read(*kind, row.line, &row.cells, &candidate.form)?;
                Some((candidate_index, row_index, header))
            });
            found.extend(headers.take(1));
        }
    }
    if found.len() > 1 {
        let kinds: Vec<&str> = found.iter().map(|(_, _, header)| header.kind.name()).collect();
        let text = format!("its header may be that of {}; say which with --kind", kinds.join(" or of "));
        return Err(Problem::at("", text));
    }
    let Some((candidate_index, row_index, mut header)) = found.pop() else {
        return Err(Problem::at("", not_recognised(&candidates, &kinds)));
    };
    header.check_twice()?;
    let Some(candidate) = candidates.into_iter().nth(candidate_index) else {
        return Err(Problem::at("", "it holds no table"));
    };
    header.resolve_time(candidate.rows.get(row_index + 1..).unwrap_or_default())?;
    let preamble = candidate.rows.into_iter().take(row_index).map(|row| row.cells).collect();
    Ok(Found { delimiter: candidate.delimiter, preamble, header })
}

/// Says what was found where a header was expected, and what is expected.
fn not_recognised(candidates: &[Candidate], kinds: &[Kind]) -> String {
    // The cut into the most cells is the most likely one.
    let rows = candidates.iter().flat_map(|candidate| &candidate.rows);
    let widest = rows.min_by_key(|row| std::cmp::Reverse(row.cells.len()));
    let found = match widest {
        Some(row) => cut(&row.cells.join(", "), 300).to_owned(),
        None => "nothing".to_owned(),
    };
    let expected: Vec<String> = kinds.iter().map(|kind| format!("{}: {}", kind.name(), expected(*kind))).collect();
    format!("no known header in its first rows; found: {found}; expected: {}", expected.join("; "))
}

/// Names the columns that a kind cannot do without.
fn expected(kind: Kind) -> String {
    match kind {
        Kind::Interest => "'week', 'day' or 'month' before the keywords".to_owned(),
        _ => {
            let needed = KNOWN.iter().filter(|(of, _, _, is_required)| *of == kind && *is_required);
            let names = needed.map(|(_, _, column, _)| format!("'{}'", first_name(kind, column)));
            names.collect::<Vec<_>>().join(", ")
        }
    }
}

impl Header {
    /// Reads a row as the header of a kind; none when it lacks a column that the kind needs.
    pub(super) fn read(kind: Kind, line: u64, cells: &[String], form: &str) -> Option<Header> {
        let names: Vec<String> = cells.iter().map(|cell| cell.trim().to_owned()).collect();
        let columns: Vec<Column> = match kind {
            Kind::Interest => interest_columns(&names)?,
            _ => names.iter().map(|name| column_of(kind, name)).collect(),
        };
        let mut needed = KNOWN.iter().filter(|(of, _, _, is_required)| *of == kind && *is_required);
        needed.all(|(_, column, _, _)| columns.contains(column)).then(|| Header {
            kind,
            line,
            form: form.to_owned(),
            names,
            columns,
        })
    }

    /// Returns the place of a column.
    pub(super) fn place(&self, column: &Column) -> Option<usize> {
        self.columns.iter().position(|known| known == column)
    }

    /// Returns all columns with their places.
    pub(super) fn columns(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate()
    }

    /// Checks that a row has a cell for each column and no other, and no character that could not be decoded.
    pub(super) fn check(&self, row: &Row) -> Result<(), Problem> {
        let width = self.columns.len();
        let has_more = row.cells.iter().skip(width).any(|cell| !cell.trim().is_empty());
        if row.cells.len() < width || has_more {
            let text = format!("{} cells where the header has {width}", row.cells.len());
            return Err(Problem::at("", text));
        }
        match row.cells.iter().position(|cell| cell.contains(['\0', char::REPLACEMENT_CHARACTER])) {
            Some(place) => {
                let name = self.names.get(place).map_or("", String::as_str);
                Err(Problem::at("", format!("'{name}' holds a NUL or a character that cannot be decoded")))
            }
            None => Ok(()),
        }
    }

    /// Says how the header was understood.
    pub(super) fn report(&self, part: String) -> HeaderReport {
        let named = |wanted: &Column| {
            let all = self.names.iter().zip(&self.columns).filter(|(_, column)| *column == wanted);
            all.map(|(name, _)| name.clone()).collect()
        };
        let read = self.names.iter().zip(&self.columns);
        let read = read.filter(|(_, column)| !matches!(column, Column::NotKept | Column::Unknown));
        let missing = KNOWN.iter().filter(|(kind, column, _, _)| {
            *kind == self.kind && !matches!(column, Column::Minimum | Column::Maximum) && !self.columns.contains(column)
        });
        HeaderReport {
            part,
            kind: self.kind,
            form: self.form.clone(),
            sample: None,
            header_line: self.line,
            recognised: read
                .map(|(name, column)| ColumnReport { column: name.clone(), read_as: column.to_string() })
                .collect(),
            not_kept: named(&Column::NotKept),
            unknown: named(&Column::Unknown),
            missing: match self.kind {
                Kind::Interest => Vec::new(),
                _ => {
                    missing.map(|(kind, _, column, _)| first_name(*kind, column)).chain(self.missing_shares()).collect()
                }
            },
        }
    }

    /// Names the shares that a file of search terms lacks.
    fn missing_shares(&self) -> Vec<String> {
        let all = (1..=3).flat_map(|place| [Column::ClickShare(place), Column::ConversionShare(place)]);
        let missing = all.filter(|column| self.kind == Kind::SearchTerms && !self.columns.contains(column));
        missing.map(|column| column.to_string()).collect()
    }

    /// Reads from the rows which spacing the times of an export have that does not name it.
    fn resolve_time(&mut self, rows: &[Row]) -> Result<(), Problem> {
        if !self.columns.first().is_some_and(|column| matches!(column, Column::Time | Column::Hour)) {
            return Ok(());
        }
        let cells: Vec<&str> = rows.iter().map(|row| row.cell(Some(0))).filter(|cell| !cell.is_empty()).collect();
        let has_clock = |cell: &str| cell.contains(':') && !cell.ends_with("00:00:00");
        if self.columns[0] == Column::Hour || cells.iter().any(|cell| has_clock(cell)) {
            let text = "it holds hours or minutes; only days, weeks and months are kept: export a longer time range";
            return Err(Problem::at(line_pointer(self.line), text));
        }
        let is_month = cells.iter().all(|cell| cell.len() == 7) && !cells.is_empty();
        let days: Vec<NaiveDate> =
            cells.iter().filter_map(|cell| cells::month(cell, "time", DateOrder::Auto).ok()).collect();
        let gaps: Vec<i64> = days.windows(2).map(|pair| (pair[1] - pair[0]).num_days().abs()).collect();
        self.columns[0] = match gaps.first() {
            _ if is_month => Column::Month,
            Some(_) if gaps.iter().all(|gap| *gap == 1) => Column::Day,
            Some(_) if gaps.iter().all(|gap| *gap == 7) => Column::Week,
            Some(_) if gaps.iter().all(|gap| (28..=31).contains(gap)) && days.iter().all(|day| day.day() == 1) => {
                Column::Month
            }
            _ => {
                let text = format!(
                    "its rows do not show whether they are days, weeks or months; write Day, Week or Month instead of '{}'",
                    self.names[0]
                );
                return Err(Problem::at(line_pointer(self.line), text));
            }
        };
        Ok(())
    }

    /// Refuses two columns that would be read as the same.
    fn check_twice(&self) -> Result<(), Problem> {
        for (place, column) in self.columns() {
            let first = self.place(column).unwrap_or(place);
            if first != place && !matches!(column, Column::NotKept | Column::Unknown) {
                let text = format!("'{}' and '{}' are both read as {column}", self.names[first], self.names[place]);
                return Err(Problem::at(line_pointer(self.line), text));
            }
        }
        Ok(())
    }
}

/// Reads the name of a column.
fn column_of(kind: Kind, name: &str) -> Column {
    let written = name;
    let name = compared(name);
    if let Some(known) = HEADERS.iter().find(|known| {
        known.kind == kind.name() && known.name == name && !["click_share", "conversion_share"].contains(&known.column)
    }) {
        let found = KNOWN.iter().find(|(of, _, column, _)| *of == kind && *column == known.column);
        return found.map_or(Column::Unknown, |(_, column, _, _)| column.clone());
    }
    if kind == Kind::SearchTerms
        && let Some(share) = share_of(&name)
    {
        return share;
    }
    // `Searches: May 2025` in any language.
    if kind == Kind::KeywordPlan
        && let Some((_, month)) = written.rsplit_once([':', '：'])
        && let Some(month) = names::month_in_words(month)
    {
        return Column::SearchesIn(month);
    }
    let not_kept = NOT_KEPT.iter().filter(|(of, _)| *of == kind).flat_map(|(_, beginnings)| *beginnings);
    match not_kept.into_iter().any(|beginning| name.starts_with(beginning)) {
        true => Column::NotKept,
        false => Column::Unknown,
    }
}

/// Reads the name of a share of one of the three most clicked listings: it ends with the word and holds the place.
fn share_of(name: &str) -> Option<Column> {
    let known = HEADERS.iter().find(|known| {
        ["click_share", "conversion_share"].contains(&known.column) && name.ends_with(known.name.as_str())
    })?;
    let mut places = name.chars().filter_map(|character| character.to_digit(10));
    let place = u8::try_from(places.next()?).ok().filter(|place| (1..=3).contains(place))?;
    match (places.next(), known.column) {
        (Some(_), _) => None,
        (None, "click_share") => Some(Column::ClickShare(place)),
        (None, _) => Some(Column::ConversionShare(place)),
    }
}

/// Reads the columns of interest over time: a date, then a keyword each, with its region behind it.
fn interest_columns(names: &[String]) -> Option<Vec<Column>> {
    let (date, keywords) = names.split_first()?;
    let date = column_of(Kind::Interest, date);
    if !matches!(date, Column::Week | Column::Day | Column::Month | Column::Time | Column::Hour)
        || keywords.iter().all(|name| name.is_empty())
    {
        return None;
    }
    let keywords = keywords.iter().map(|name| match name.strip_suffix(')').and_then(|name| name.rsplit_once(": (")) {
        _ if name.is_empty() => Column::Unknown,
        Some((keyword, region)) => Column::Interest { keyword: keyword.to_owned(), region: Some(region.to_owned()) },
        None => Column::Interest { keyword: name.clone(), region: None },
    });
    Some(std::iter::once(date).chain(keywords).collect())
}

/// Brings a name to the form in which names are compared.
pub(super) fn compared(name: &str) -> String {
    let plain: String = name
        .chars()
        .filter_map(|character| match character {
            '_' | '-' | '/' => Some(' '),
            other if other.is_alphanumeric() || other.is_whitespace() => Some(other),
            _ => None,
        })
        .collect();
    plain.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Column::Keyword => "keyword",
            Column::Rank => "search_frequency_rank",
            Column::Department => "department",
            Column::LastDay => "last day",
            Column::ClickShare(place) => return write!(formatter, "click share of listing {place}"),
            Column::ConversionShare(place) => return write!(formatter, "conversion share of listing {place}"),
            Column::Volume => "search_query_volume",
            Column::Impressions => "search_query_impressions",
            Column::Clicks => "search_query_clicks",
            Column::CartAdds => "search_query_cart_adds",
            Column::Purchases => "search_query_purchases",
            Column::ClickPrice => "click_price_median",
            Column::Week => "first day of a week",
            Column::Day => "day",
            Column::Month => "month",
            Column::Time => "time",
            Column::Hour => "hour",
            Column::Minimum => "monthly_searches_low",
            Column::Maximum => "monthly_searches_high",
            Column::Interest { keyword, region: Some(region) } => {
                return write!(formatter, "search_interest of '{keyword}' in {region}");
            }
            Column::Interest { keyword, region: None } => return write!(formatter, "search_interest of '{keyword}'"),
            Column::Average => "monthly_searches_average",
            Column::SearchesIn(month) => return write!(formatter, "monthly_searches of {}", month.format("%Y-%m")),
            Column::CompetitionIndex => "ad_competition_index",
            Column::BidLow => "top_of_page_bid_low",
            Column::BidHigh => "top_of_page_bid_high",
            Column::Currency => "currency",
            Column::Date => "date",
            Column::Metric => "metric",
            Column::Value => "value",
            Column::Unit => "unit",
            Column::Period => "period",
            Column::NotKept => "not kept",
            Column::Unknown => "unknown",
        };
        formatter.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_table_is_written_as_names_are_compared() {
        for known in HEADERS.iter().filter(|known| !known.column.ends_with("_share")) {
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == known.kind).expect("a kind");
            assert_ne!(column_of(kind, &known.name), Column::Unknown, "{}", known.name);
        }
        for (_, beginnings) in NOT_KEPT {
            assert!(beginnings.iter().all(|beginning| compared(beginning) == *beginning));
        }
    }

    #[test]
    fn names_are_compared_without_case_punctuation_and_superfluous_space() {
        for name in ["Top Clicked Product #1: Click Share", "top_clicked_product_1  click-share", "#1 Click Share "] {
            assert_eq!(column_of(Kind::SearchTerms, name), Column::ClickShare(1), "{name}");
        }
        assert_eq!(column_of(Kind::SearchQuery, "Clicks: Brand Share %"), Column::NotKept);
        let may = NaiveDate::from_ymd_opt(2025, 5, 1).expect("a day");
        assert_eq!(column_of(Kind::KeywordPlan, "Searches: May 2025"), Column::SearchesIn(may));
    }
}
