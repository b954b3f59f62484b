//! Brand Analytics search terms as Seller Central exports them: a search term a row, with its rank and the three most
//! clicked listings beside it.
//!
//! Ranks compare within a department only, so of several departments the whole site counts, else the best rank, as in the
//! report of the API. A file may be a selection, so that a keyword is not in it says nothing. Shares are percent or parts
//! of one, and the file seldom says which: a percent sign or any share above one does, and so do a hundred rows without.

use std::cmp::Ordering;
use std::collections::HashMap;

use digitallz_common::observation::{Metric, Observed, Period};

use super::gathering::Gathering;
use super::headers::{Column, Header};
use super::period::ToldPeriod;
use super::request::ImportRequest;
use super::table::Row;
use super::{Rows, cells};
use crate::reading::{KeywordObservation, Problem};
use crate::tables::dates::DateOrder;
use crate::tables::numbers::DecimalMark;

/// Largest rank that is believed.
const MAX_RANK: f64 = 1e9;

/// Rows with shares after which a file without a share above one is sure to hold parts of one.
const SURE_ROWS: u64 = 100;

/// Sums of shares may exceed the whole by this much, because each share is rounded.
const ROUNDING: f64 = 0.001;

/// The rows of a file of search terms.
pub(super) struct SearchTerms {
    keyword: Option<usize>,
    rank: Option<usize>,
    department: Option<usize>,
    last_day: Option<usize>,
    clicks: [Option<usize>; 3],
    conversions: [Option<usize>; 3],
    told_period: ToldPeriod,
    mark: DecimalMark,
    date_order: DateOrder,
    standings: HashMap<(i64, Period), (Standing, Row)>,
    rows_with_shares: u64,
    is_percent: bool,
}

/// Where a search term stands; the first in order is the one that counts.
#[derive(Clone, Debug, PartialEq)]
struct Standing {
    is_part_of_site: bool,
    rank: f64,
    clicks: [Option<f64>; 3],
    conversions: [Option<f64>; 3],
}

impl SearchTerms {
    pub(super) fn new(
        header: &Header,
        preamble: &[Vec<String>],
        request: &ImportRequest,
    ) -> Result<SearchTerms, Problem> {
        Ok(SearchTerms {
            keyword: header.place(&Column::Keyword),
            rank: header.place(&Column::Rank),
            department: header.place(&Column::Department),
            last_day: header.place(&Column::LastDay),
            clicks: [1, 2, 3].map(|place| header.place(&Column::ClickShare(place))),
            conversions: [1, 2, 3].map(|place| header.place(&Column::ConversionShare(place))),
            told_period: ToldPeriod::read(preamble, request)?,
            mark: request.decimal_mark,
            date_order: request.date_order,
            standings: HashMap::new(),
            rows_with_shares: 0,
            is_percent: false,
        })
    }

    /// Reads the shares of the three listings, as the file writes them.
    fn shares(&mut self, row: &Row, columns: [Option<usize>; 3], name: &str) -> Result<[Option<f64>; 3], Problem> {
        let mut shares = [None; 3];
        for (share, column) in shares.iter_mut().zip(columns) {
            let Some((value, has_sign)) = cells::percentage(row.cell(column), name, self.mark)? else { continue };
            if value > 100.0 {
                return Err(Problem::at("", format!("{name}: {value} is not a share")));
            }
            self.is_percent |= has_sign || value > 1.0;
            *share = Some(value);
        }
        Ok(shares)
    }

    /// Returns the sum of the shares of one whole.
    fn sum(&self, shares: [Option<f64>; 3]) -> Observed {
        let sum: f64 = shares.into_iter().flatten().sum();
        let sum = if self.is_percent { sum / 100.0 } else { sum };
        match sum {
            _ if shares == [None; 3] => Observed::Unavailable("the row has no shares"),
            _ if !self.is_percent && self.rows_with_shares < SURE_ROWS => {
                Observed::Unavailable("the shares of the file may be percent or parts of one")
            }
            sum if sum > 1.0 + ROUNDING => Observed::Unavailable("the shares of the top three exceed the whole"),
            sum => Observed::Value(sum.min(1.0)),
        }
    }
}

impl Rows for SearchTerms {
    fn take_up(&mut self, row: &Row, gathering: &mut Gathering<'_>) -> Result<(), Problem> {
        let rank = cells::count(row.cell(self.rank), "rank", self.mark)?;
        let rank = rank.filter(|rank| (1.0..=MAX_RANK).contains(rank));
        let rank = rank.ok_or_else(|| Problem::at("", format!("'{}' is not a rank", row.cell(self.rank))))?;
        let last_days = cells::days(row.cell(self.last_day), "reporting date", self.date_order)?;
        let period = self.told_period.of_row(&last_days)?;
        let clicks = self.shares(row, self.clicks, "click share")?;
        let conversions = self.shares(row, self.conversions, "conversion share")?;
        self.rows_with_shares += u64::from(clicks != [None; 3]);
        let Some(keyword_id) = gathering.keyword(row.cell(self.keyword))? else {
            gathering.count_untracked();
            return Ok(());
        };
        let is_part_of_site = !is_whole_site(row.cell(self.department));
        let standing = Standing { is_part_of_site, rank, clicks, conversions };
        match self.standings.get(&(keyword_id, period)) {
            Some((known, _)) if order(known, &standing) == Ordering::Less => {}
            Some((known, _)) if order(known, &standing) == Ordering::Equal && *known != standing => {
                return Err(Problem::at("", "another row says something else of the same search term"));
            }
            _ => {
                self.standings.insert((keyword_id, period), (standing, row.clone()));
            }
        }
        Ok(())
    }

    fn end(mut self: Box<Self>, gathering: &mut Gathering<'_>) -> Result<(), Problem> {
        let mut standings: Vec<_> = std::mem::take(&mut self.standings).into_iter().collect();
        standings.sort_by_key(|((keyword_id, period), _)| (*keyword_id, period.start_date()));
        for ((keyword_id, period), (standing, row)) in standings {
            let one = |metric, observed| KeywordObservation::new(keyword_id, metric, observed, period);
            let said = vec![
                one(Metric::SearchFrequencyRank, Observed::Value(standing.rank)),
                one(Metric::TopClickShare, self.sum(standing.clicks)),
                one(Metric::TopConversionShare, self.sum(standing.conversions)),
            ];
            gathering.add_or_set_aside(&row, said);
        }
        Ok(())
    }
}

fn order(one: &Standing, other: &Standing) -> Ordering {
    one.is_part_of_site.cmp(&other.is_part_of_site).then(one.rank.total_cmp(&other.rank))
}

/// Tells whether a department is the whole site, for example `Amazon.com`; a file without departments is about that.
fn is_whole_site(department: &str) -> bool {
    department.is_empty() || department.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("amazon."))
}
