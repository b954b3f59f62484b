//! Interest over time as Google Trends exports it: a week, day or month a row, a keyword a column.
//!
//! 100 is the peak of all keywords of the file, so values of different files do not compare. `<1` and 0 both mean that too
//! few people searched to be told, and not that nobody did. Weeks begin on a Sunday.

use digitallz_common::marketplace::Site;
use digitallz_common::observation::{Metric, Observed, Period};

use super::cells::Searches;
use super::gathering::Gathering;
use super::headers::{Column, Header};
use super::request::ImportRequest;
use super::table::Row;
use super::{Rows, cells, names};
use crate::reading::{KeywordObservation, Problem};
use crate::tables::dates::DateOrder;
use crate::tables::numbers::DecimalMark;

/// The rows of a file of interest over time.
pub(super) struct Interest {
    date: Column,
    keywords: Vec<(usize, String)>,
    mark: DecimalMark,
    date_order: DateOrder,
}

impl Interest {
    pub(super) fn new(header: &Header, request: &ImportRequest, site: &Site) -> Result<Interest, Problem> {
        let mut keywords = Vec::new();
        let mut date = Column::Unknown;
        for (place, column) in header.columns() {
            match column {
                Column::Interest { keyword, region } => {
                    check_region(region.as_deref(), request.region.as_deref(), site)?;
                    // A keyword that cannot be one spoils the whole column, and a table without it would be another.
                    cells::keyword(keyword)?;
                    keywords.push((place, keyword.clone()));
                }
                other if place == 0 => date = other.clone(),
                _ => {}
            }
        }
        if matches!(date, Column::Time | Column::Hour) {
            let text = "it does not name whether its rows are days, weeks or months";
            return Err(Problem::at("", text));
        }
        Ok(Interest { date, keywords, mark: request.decimal_mark, date_order: request.date_order })
    }

    fn period(&self, row: &Row) -> Result<Period, Problem> {
        let cell = row.cell(Some(0));
        let period = match self.date {
            Column::Week => Period::Week(cells::date(cell, "week", self.date_order)?),
            Column::Month => Period::Month(cells::month(cell, "month", self.date_order)?),
            _ => Period::Day(cells::date(cell, "day", self.date_order)?),
        };
        if !period.begins_rightly() {
            return Err(Problem::at("", format!("no {} begins on {cell}", period.kind())));
        }
        Ok(period)
    }

    fn observed(&self, cell: &str) -> Result<Observed, Problem> {
        const TOO_FEW: &str = "too few people searched to be told";
        let searched = match cells::searches(cell, "interest", self.mark)? {
            Some(Searches::Below(limit)) if limit <= 1.0 => return Ok(Observed::BelowThreshold(TOO_FEW)),
            Some(Searches::Exact(value)) => Some(value),
            Some(_) => return Err(Problem::at("", format!("interest: '{cell}' is not a number from 0 to 100"))),
            None => None,
        };
        match searched {
            None => Ok(Observed::Unavailable("the cell is empty")),
            Some(0.0) => Ok(Observed::BelowThreshold(TOO_FEW)),
            Some(value) if value <= 100.0 => Ok(Observed::Value(value)),
            Some(value) => Err(Problem::at("", format!("interest: {value} is more than 100"))),
        }
    }
}

impl Rows for Interest {
    fn take_up(&mut self, row: &Row, gathering: &mut Gathering<'_>) -> Result<(), Problem> {
        let period = self.period(row)?;
        let mut values = Vec::with_capacity(self.keywords.len());
        for (place, _) in &self.keywords {
            values.push(self.observed(row.cell(Some(*place)))?);
        }
        let mut said = Vec::with_capacity(values.len());
        for ((_, keyword), observed) in self.keywords.iter().zip(values) {
            if let Some(keyword_id) = gathering.keyword(keyword)? {
                said.push(KeywordObservation::new(keyword_id, Metric::SearchInterest, observed, period));
            }
        }
        if said.is_empty() {
            gathering.count_untracked();
        }
        gathering.add(said)
    }

    fn end(self: Box<Self>, _: &mut Gathering<'_>) -> Result<(), Problem> {
        Ok(())
    }
}

/// Checks that a column is about the market, or about the region that the user wants to be taken for it.
fn check_region(region: Option<&str>, wanted: Option<&str>, site: &Site) -> Result<(), Problem> {
    let Some(region) = region else { return Ok(()) };
    let is_same = match wanted {
        Some(wanted) => region.trim().to_lowercase() == wanted.trim().to_lowercase(),
        None => names::is_region(region, &site.market),
    };
    if is_same {
        return Ok(());
    }
    let name = wanted.or(name_of(&site.market)).unwrap_or(&site.market);
    let text = format!(
        "it is about '{region}', and '{name}' was expected for {}; if it is to be taken for that, say --region '{region}'",
        site.market
    );
    Err(Problem::at("", text))
}

/// Returns the name that Google gives a market in English.
fn name_of(market: &str) -> Option<&'static str> {
    Some(match market {
        "US" => "United States",
        "CA" => "Canada",
        "MX" => "Mexico",
        "BR" => "Brazil",
        "DE" => "Germany",
        "AT" => "Austria",
        "CH" => "Switzerland",
        "ES" => "Spain",
        "FR" => "France",
        "IT" => "Italy",
        "GB" => "United Kingdom",
        "IE" => "Ireland",
        "NL" => "Netherlands",
        "BE" => "Belgium",
        "SE" => "Sweden",
        "PL" => "Poland",
        "JP" => "Japan",
        "AU" => "Australia",
        _ => return None,
    })
}
