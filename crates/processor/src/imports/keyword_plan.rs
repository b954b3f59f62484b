//! Historical metrics as Google Ads' keyword planner exports them: a keyword a row, a month a column.
//!
//! Accounts that spend little see ranges instead of numbers, written as such (`1K – 10K`), or, in files, as the number that
//! stands for each (50 for 10 to 100, and so on), with the months empty. Both are kept as ranges: the ends, and between
//! them the middle on a logarithmic scale, all estimated.

use chrono::{Days, Months, NaiveDate};
use digitallz_common::observation::{Metric, Observed, Period};

use super::cells::Searches;
use super::gathering::Gathering;
use super::headers::{Column, Header};
use super::request::ImportRequest;
use super::table::Row;
use super::{Rows, cells, names};
use crate::reading::{KeywordObservation, Problem};
use crate::tables::numbers::DecimalMark;

/// What stands for a range where a file has numbers only, and the ends of that range.
const STAND_INS: [(f64, f64, f64); 7] = [
    (0.0, 0.0, 10.0),
    (50.0, 10.0, 100.0),
    (500.0, 100.0, 1e3),
    (5e3, 1e3, 1e4),
    (5e4, 1e4, 1e5),
    (5e5, 1e5, 1e6),
    (5e6, 1e6, 1e7),
];

/// How the estimates come about.
const END_OF_RANGE: &str = "an end of the range that the planner gives";
const MIDDLE_OF_RANGE: &str = "the middle, on a logarithmic scale, of the range that the planner gives";

/// The rows of a keyword plan.
pub(super) struct KeywordPlan {
    keyword: Option<usize>,
    average: Option<usize>,
    ends: [Option<usize>; 2],
    months: Vec<(usize, NaiveDate)>,
    competition: Option<usize>,
    bids: [(Option<usize>, Metric); 2],
    currency: Option<usize>,
    stretch: Period,
    mark: DecimalMark,
    planned: Vec<(Planned, Row)>,
    has_months: bool,
    has_others: bool,
}

/// What a row says of a tracked keyword.
struct Planned {
    keyword_id: i64,
    average: Option<Searches>,
    said: Vec<KeywordObservation>,
}

impl KeywordPlan {
    pub(super) fn new(
        header: &Header,
        preamble: &[Vec<String>],
        request: &ImportRequest,
    ) -> Result<KeywordPlan, Problem> {
        let months: Vec<(usize, NaiveDate)> = header
            .columns()
            .filter_map(|(place, column)| match column {
                Column::SearchesIn(month) => Some((place, *month)),
                _ => None,
            })
            .collect();
        Ok(KeywordPlan {
            keyword: header.place(&Column::Keyword),
            average: header.place(&Column::Average),
            ends: [header.place(&Column::Minimum), header.place(&Column::Maximum)],
            stretch: stretch(preamble, &months, request)?,
            months,
            competition: header.place(&Column::CompetitionIndex),
            bids: [
                (header.place(&Column::BidLow), Metric::TopOfPageBidLow),
                (header.place(&Column::BidHigh), Metric::TopOfPageBidHigh),
            ],
            currency: header.place(&Column::Currency),
            mark: request.decimal_mark,
            planned: Vec::new(),
            has_months: false,
            has_others: false,
        })
    }

    /// Reads what does not depend on other rows: months, competition, bids.
    fn fixed(&mut self, row: &Row, keyword_id: i64) -> Result<Vec<KeywordObservation>, Problem> {
        let mut said = Vec::new();
        for (place, month) in &self.months {
            let observed = match cells::searches(row.cell(Some(*place)), "searches of a month", self.mark)? {
                None => Observed::Unavailable("the cell is empty"),
                Some(Searches::Exact(value)) => Observed::Value(value),
                Some(_) => Observed::Unavailable("the file gives a range for the month"),
            };
            self.has_months |= observed.value().is_some();
            said.push(KeywordObservation::new(keyword_id, Metric::MonthlySearches, observed, Period::Month(*month)));
        }
        if self.competition.is_some() {
            let index = cells::number(row.cell(self.competition), "competition", self.mark)?;
            let observed = match index {
                Some(index) if index > 100.0 => {
                    return Err(Problem::at("", format!("competition: {index} is more than 100")));
                }
                Some(index) => Observed::Value(index),
                None => Observed::Unavailable("the cell is empty"),
            };
            said.push(KeywordObservation::new(keyword_id, Metric::AdCompetitionIndex, observed, self.stretch));
        }
        for (place, metric) in self.bids {
            let currency = row.cell(self.currency);
            let Some(bid) = cells::money(row.cell(place), metric.name(), currency, self.mark)? else { continue };
            let unit = crate::rows::currency(currency, "")
                .map_err(|_| Problem::at("", format!("{}: '{currency}' is not a currency code", metric.name())))?;
            let one = KeywordObservation::new(keyword_id, metric, Observed::Value(bid), self.stretch);
            said.push(KeywordObservation { unit, ..one });
        }
        Ok(said)
    }

    /// Reads the range from the columns of its ends, which stand for the mean where its cell has none.
    fn range(&self, row: &Row) -> Result<Option<Searches>, Problem> {
        let [low, high] = self.ends;
        let low = cells::count(row.cell(low), "min search volume", self.mark)?;
        let high = cells::count(row.cell(high), "max search volume", self.mark)?;
        match (low, high) {
            (Some(low), Some(high)) if low > high => {
                Err(Problem::at("", format!("min search volume {low} is more than max search volume {high}")))
            }
            (Some(low), Some(high)) => Ok(Some(Searches::Between(low, high))),
            (Some(low), None) => Ok(Some(Searches::Above(low))),
            (None, Some(high)) => Ok(Some(Searches::Below(high))),
            (None, None) => Ok(None),
        }
    }

    /// Says what the mean of a keyword is: a number, or a range with its ends.
    fn average(&self, keyword_id: i64, average: Option<Searches>, has_stand_ins: bool) -> Vec<KeywordObservation> {
        let one = |metric, observed| KeywordObservation::new(keyword_id, metric, observed, self.stretch);
        let stand_in = |value: f64| STAND_INS.iter().find(|(number, _, _)| *number == value);
        let (middle, low, high) = match average {
            None => {
                return vec![one(Metric::MonthlySearchesAverage, Observed::Unavailable("the file gives no number"))];
            }
            Some(Searches::Exact(value)) => match stand_in(value).filter(|_| has_stand_ins) {
                Some((_, low, high)) => (middle_of(*low, *high), Some(*low), Some(*high)),
                None => return vec![one(Metric::MonthlySearchesAverage, Observed::Value(value))],
            },
            Some(Searches::Between(low, high)) => (middle_of(low, high), Some(low), Some(high)),
            Some(Searches::Below(high)) => (middle_of(0.0, high), Some(0.0), Some(high)),
            Some(Searches::Above(low)) => (Observed::Unavailable("the file gives only a lower end"), Some(low), None),
        };
        let mut said = vec![one(Metric::MonthlySearchesAverage, middle)];
        said.extend(low.map(|low| one(Metric::MonthlySearchesLow, Observed::Estimated(low, END_OF_RANGE))));
        said.extend(high.map(|high| one(Metric::MonthlySearchesHigh, Observed::Estimated(high, END_OF_RANGE))));
        said
    }
}

impl Rows for KeywordPlan {
    fn take_up(&mut self, row: &Row, gathering: &mut Gathering<'_>) -> Result<(), Problem> {
        let average = cells::searches(row.cell(self.average), "average of the monthly searches", self.mark)?;
        let average = match average {
            None => self.range(row)?,
            some => some,
        };
        let is_stand_in = |value: f64| STAND_INS.iter().any(|(number, _, _)| *number == value);
        self.has_others |= matches!(average, Some(Searches::Exact(value)) if !is_stand_in(value));
        // The cells of keywords that nobody tracks are read too, for what they tell of the file.
        let mut said = self.fixed(row, 0)?;
        let Some(keyword_id) = gathering.keyword(row.cell(self.keyword))? else {
            gathering.count_untracked();
            return Ok(());
        };
        said.iter_mut().for_each(|one| one.keyword_id = keyword_id);
        self.planned.push((Planned { keyword_id, average, said }, row.clone()));
        Ok(())
    }

    fn end(mut self: Box<Self>, gathering: &mut Gathering<'_>) -> Result<(), Problem> {
        let has_stand_ins = !self.has_months && !self.has_others;
        for (planned, row) in std::mem::take(&mut self.planned) {
            let mut said = self.average(planned.keyword_id, planned.average, has_stand_ins);
            said.extend(planned.said);
            gathering.add_or_set_aside(&row, said);
        }
        Ok(())
    }
}

/// Returns the middle of a range on a logarithmic scale that has a zero.
fn middle_of(low: f64, high: f64) -> Observed {
    Observed::Estimated((((low + 1.0) * (high + 1.0)).sqrt() - 1.0).round(), MIDDLE_OF_RANGE)
}

/// Finds the stretch that the means are about: as the user said, above the header, or by the months.
fn stretch(
    preamble: &[Vec<String>],
    months: &[(usize, NaiveDate)],
    request: &ImportRequest,
) -> Result<Period, Problem> {
    let written = preamble.iter().find_map(|cells| {
        // Dates hold commas, which cut them where nobody quoted them.
        let line = cells.iter().map(|cell| cell.trim()).collect::<Vec<_>>().join(", ");
        let (first, last) = [" - ", " – ", " — ", "~", "～"].into_iter().find_map(|dash| line.split_once(dash))?;
        Some((names::day_in_words(first)?, names::day_in_words(last)?))
    });
    let first_month = months.iter().map(|(_, month)| *month).min();
    let last_month = months.iter().map(|(_, month)| *month + Months::new(1) - Days::new(1)).max();
    let days = request.days.or(written).or(first_month.zip(last_month));
    let period = days.and_then(|(first, last)| Period::of_days(first, last));
    period.ok_or_else(|| Problem::at("", "the file does not say what time it is about; say it with --from and --to"))
}
