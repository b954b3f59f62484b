//! What the columns of files are called, in one table, and the recognition of a header by it.
//!
//! Names are compared without case, punctuation and superfluous space. A column that is not in the table is named in the
//! report; a header that lacks what a kind needs is an error that says what was found and what is expected.

use std::fmt;

use chrono::NaiveDate;
use serde::Serialize;

use super::Kind;
use super::table::{Row, line_pointer};
use crate::reading::Problem;
use crate::rows::cut;

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
    /// Interest in a keyword, with the region that the header names.
    Interest { keyword: String, region: Option<String> },
    /// Mean of the monthly searches.
    Average,
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

/// A column of a kind, with all the names it goes by.
struct Known {
    kind: Kind,
    column: Column,
    is_required: bool,
    names: &'static [&'static str],
}

const fn needed(kind: Kind, column: Column, names: &'static [&'static str]) -> Known {
    Known { kind, column, is_required: true, names }
}

const fn wanted(kind: Kind, column: Column, names: &'static [&'static str]) -> Known {
    Known { kind, column, is_required: false, names }
}

/// Every column that is read, in the form in which names are compared.
const KNOWN: &[Known] = &[
    needed(Kind::SearchTerms, Column::Keyword, &["search term", "search query"]),
    needed(Kind::SearchTerms, Column::Rank, &["search frequency rank"]),
    wanted(Kind::SearchTerms, Column::Department, &["department", "department name", "amazon department"]),
    wanted(Kind::SearchTerms, Column::LastDay, &["reporting date", "report date"]),
    wanted(Kind::SearchTerms, Column::ClickShare(1), &["top clicked product 1 click share", "1 click share"]),
    wanted(Kind::SearchTerms, Column::ClickShare(2), &["top clicked product 2 click share", "2 click share"]),
    wanted(Kind::SearchTerms, Column::ClickShare(3), &["top clicked product 3 click share", "3 click share"]),
    wanted(
        Kind::SearchTerms,
        Column::ConversionShare(1),
        &["top clicked product 1 conversion share", "1 conversion share"],
    ),
    wanted(
        Kind::SearchTerms,
        Column::ConversionShare(2),
        &["top clicked product 2 conversion share", "2 conversion share"],
    ),
    wanted(
        Kind::SearchTerms,
        Column::ConversionShare(3),
        &["top clicked product 3 conversion share", "3 conversion share"],
    ),
    needed(Kind::SearchQuery, Column::Keyword, &["search query", "search term"]),
    needed(Kind::SearchQuery, Column::Volume, &["search query volume", "search volume"]),
    wanted(Kind::SearchQuery, Column::LastDay, &["reporting date", "report date"]),
    wanted(Kind::SearchQuery, Column::Impressions, &["impressions total count", "impressions total"]),
    wanted(Kind::SearchQuery, Column::Clicks, &["clicks total count", "clicks total"]),
    wanted(
        Kind::SearchQuery,
        Column::CartAdds,
        &["cart adds total count", "cart adds total", "basket adds total count"],
    ),
    wanted(Kind::SearchQuery, Column::Purchases, &["purchases total count", "purchases total"]),
    wanted(Kind::SearchQuery, Column::ClickPrice, &["clicks price median", "clicks median price"]),
    wanted(Kind::Interest, Column::Week, &["week", "woche", "semaine", "semana", "settimana", "週"]),
    wanted(Kind::Interest, Column::Day, &["day", "tag", "jour", "día", "giorno", "日"]),
    wanted(Kind::Interest, Column::Month, &["month", "monat", "mois", "mes", "mese", "月"]),
    needed(Kind::KeywordPlan, Column::Keyword, &["keyword", "keywords"]),
    needed(Kind::KeywordPlan, Column::Average, &["avg monthly searches", "average monthly searches"]),
    wanted(Kind::KeywordPlan, Column::Currency, &["currency"]),
    wanted(Kind::KeywordPlan, Column::CompetitionIndex, &["competition indexed value"]),
    wanted(Kind::KeywordPlan, Column::BidLow, &["top of page bid low range"]),
    wanted(Kind::KeywordPlan, Column::BidHigh, &["top of page bid high range"]),
    needed(Kind::Series, Column::Keyword, &["keyword", "search term", "search query"]),
    needed(Kind::Series, Column::Date, &["date", "period start", "period start date"]),
    needed(Kind::Series, Column::Metric, &["metric"]),
    needed(Kind::Series, Column::Value, &["value"]),
    wanted(Kind::Series, Column::Unit, &["unit", "currency"]),
    wanted(Kind::Series, Column::Period, &["period", "period kind"]),
];

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

/// Beginning of the name of a column of one month's searches.
const SEARCHES_IN: &str = "searches ";

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
    let Some((candidate_index, row_index, header)) = found.pop() else {
        return Err(Problem::at("", not_recognised(&candidates, &kinds)));
    };
    header.check_twice()?;
    let Some(candidate) = candidates.into_iter().nth(candidate_index) else {
        return Err(Problem::at("", "it holds no table"));
    };
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
            let needed = KNOWN.iter().filter(|known| known.kind == kind && known.is_required);
            needed.map(|known| format!("'{}'", known.names[0])).collect::<Vec<_>>().join(", ")
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
        let mut needed = KNOWN.iter().filter(|known| known.kind == kind && known.is_required);
        needed.all(|known| columns.contains(&known.column)).then(|| Header {
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
        let missing = KNOWN.iter().filter(|known| known.kind == self.kind && !self.columns.contains(&known.column));
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
                _ => missing.map(|known| known.names[0].to_owned()).collect(),
            },
        }
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
    let name = compared(name);
    if let Some(known) = KNOWN.iter().find(|known| known.kind == kind && known.names.contains(&name.as_str())) {
        return known.column.clone();
    }
    if let (Kind::KeywordPlan, Some(month)) = (kind, name.strip_prefix(SEARCHES_IN)) {
        return NaiveDate::parse_from_str(&format!("1 {month}"), "%d %b %Y")
            .map_or(Column::Unknown, Column::SearchesIn);
    }
    let not_kept = NOT_KEPT.iter().filter(|(of, _)| *of == kind).flat_map(|(_, beginnings)| *beginnings);
    match not_kept.into_iter().any(|beginning| name.starts_with(beginning)) {
        true => Column::NotKept,
        false => Column::Unknown,
    }
}

/// Reads the columns of interest over time: a date, then a keyword each, with its region behind it.
fn interest_columns(names: &[String]) -> Option<Vec<Column>> {
    let (date, keywords) = names.split_first()?;
    let date = column_of(Kind::Interest, date);
    if !matches!(date, Column::Week | Column::Day | Column::Month) || keywords.iter().all(|name| name.is_empty()) {
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
fn compared(name: &str) -> String {
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
        for known in KNOWN {
            for name in known.names {
                assert_eq!(compared(name), *name);
                assert_eq!(column_of(known.kind, name), known.column, "{name}");
            }
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
