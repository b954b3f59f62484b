//! Values in long form, one a row: keyword, date, metric, value, and unit and period where they are needed.
//!
//! A date of a month (2026-08) is that month, a date of a day (2026-08-16) that day, unless the column of the period says
//! that a week, month or quarter begins with it. Only metrics that are known here are taken.

use digitallz_common::observation::{Metric, Observed, Period};

use super::gathering::Gathering;
use super::headers::{Column, Header};
use super::request::ImportRequest;
use super::table::Row;
use super::{Rows, cells};
use crate::reading::{KeywordObservation, Problem};
use crate::rows::cut;
use crate::tables::dates::DateOrder;
use crate::tables::numbers::DecimalMark;

/// The rows of a series.
pub(super) struct Series {
    keyword: Option<usize>,
    date: Option<usize>,
    metric: Option<usize>,
    value: Option<usize>,
    unit: Option<usize>,
    period: Option<usize>,
    mark: DecimalMark,
    date_order: DateOrder,
}

impl Series {
    pub(super) fn new(header: &Header, request: &ImportRequest) -> Series {
        Series {
            keyword: header.place(&Column::Keyword),
            date: header.place(&Column::Date),
            metric: header.place(&Column::Metric),
            value: header.place(&Column::Value),
            unit: header.place(&Column::Unit),
            period: header.place(&Column::Period),
            mark: request.decimal_mark,
            date_order: request.date_order,
        }
    }

    fn period(&self, row: &Row) -> Result<Period, Problem> {
        let (date, order) = (row.cell(self.date), self.date_order);
        let period = match row.cell(self.period).to_lowercase().as_str() {
            "" if cells::is_month(date) => Period::Month(cells::month(date, "date", order)?),
            "" if cells::is_iso_week(date) => Period::Week(cells::week(date, "date", order)?),
            "" | "day" => Period::Day(cells::date(date, "date", order)?),
            "week" => Period::Week(cells::week(date, "date", order)?),
            "month" => Period::Month(cells::month(date, "date", order)?),
            "quarter" => Period::Quarter(cells::month(date, "date", order)?),
            other => {
                let text = format!("period: '{}' is not day, week, month or quarter", cut(other, 40));
                return Err(Problem::at("", text));
            }
        };
        if !period.begins_rightly() {
            let text = format!("no {} begins on {date}; weeks begin on a Sunday", period.kind());
            return Err(Problem::at("", text));
        }
        Ok(period)
    }

    /// Reads the unit, which must be that of the metric; of money it must be said.
    fn unit(&self, row: &Row, metric: Metric) -> Result<String, Problem> {
        let unit = row.cell(self.unit);
        match metric.unit() {
            "currency" => crate::rows::currency(unit, "").map_err(|_| {
                Problem::at("", format!("{} is money; the column unit must hold its currency code", metric.name()))
            }),
            own if unit.is_empty() || unit == own => Ok(own.to_owned()),
            own => {
                let text = format!("{} is measured in {own}, not in '{}'", metric.name(), cut(unit, 40));
                Err(Problem::at("", text))
            }
        }
    }
}

impl Rows for Series {
    fn take_up(&mut self, row: &Row, gathering: &mut Gathering<'_>) -> Result<(), Problem> {
        let metric = row.cell(self.metric);
        let metric = Metric::named(metric).ok_or_else(|| {
            let known = Metric::ALL.map(Metric::name).join(", ");
            Problem::at("", format!("metric: '{}' is not one of: {known}", cut(metric, 40)))
        })?;
        let period = self.period(row)?;
        let unit = self.unit(row, metric)?;
        let observed = match cells::percentage(row.cell(self.value), metric.name(), self.mark)? {
            None => Observed::Unavailable("the cell is empty"),
            Some((value, is_percent)) => Observed::Value(checked(metric, value, is_percent)?),
        };
        let Some(keyword_id) = gathering.keyword(row.cell(self.keyword))? else {
            gathering.count_untracked();
            return Ok(());
        };
        let one = KeywordObservation::new(keyword_id, metric, observed, period);
        gathering.add(vec![KeywordObservation { unit, ..one }])
    }

    fn end(self: Box<Self>, _: &mut Gathering<'_>) -> Result<(), Problem> {
        Ok(())
    }
}

/// Checks that a value can be one of its metric.
fn checked(metric: Metric, value: f64, is_percent: bool) -> Result<f64, Problem> {
    let value = if is_percent { value / 100.0 } else { value };
    let (is_possible, expected) = match metric.unit() {
        "share" => (value <= 1.0, "a share from 0 to 1, or percent"),
        _ if is_percent => (false, "written without a percent sign"),
        "rank" => (value >= 1.0, "a rank from 1"),
        "index" => (value <= 100.0, "an index from 0 to 100"),
        _ => (true, ""),
    };
    match is_possible {
        true => Ok(value),
        false => Err(Problem::at("", format!("{}: {value} is not {expected}", metric.name()))),
    }
}
