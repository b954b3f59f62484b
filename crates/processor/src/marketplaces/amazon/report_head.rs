//! What a Brand Analytics document says of itself: which week it covers, or why it has no rows.

use digitallz_common::observation::{Metric, Observed, Period};
use digitallz_common::week;

use super::report_stream::Head;
use crate::reading::{KeywordObservation, Problem, Reading, TrackedKeywords};
use crate::rows::{self, Named};

/// What a document holds.
pub(super) enum Contents {
    /// Rows about this week.
    Rows(Period),
    /// Nothing about this week, and why.
    NoData(Period, &'static str),
}

/// Reads the head of a report document, or of the `getReport` answer of a cancelled report.
pub(super) fn contents(head: Head, report_type: &str, rows_pointer: &str) -> Result<Contents, Problem> {
    if head.processing_status.as_deref() == Some("CANCELLED") {
        let period = week_of(head.data_start_time.as_deref(), head.data_end_time.as_deref(), "")?;
        return Ok(Contents::NoData(period, "the report was cancelled: no data for the period"));
    }
    if let Some(details) = head.error_details {
        let text = format!("the report failed: {}", rows::cut(details.get(), 500));
        return Err(Problem::at("/errorDetails", text));
    }
    if let Some(status) = head.processing_status {
        return Err(Problem::at("/processingStatus", format!("{status:?} is not the end of a report")));
    }
    let Named(specification) = head.specification.ok_or_else(|| Problem::at("/reportSpecification", "absent"))?;
    if let Some(other) = specification.report_type.filter(|stated| stated != report_type) {
        return Err(Problem::at("/reportSpecification/reportType", format!("{other:?} is not {report_type}")));
    }
    if !head.has_rows {
        return Err(Problem::at(rows_pointer, "absent"));
    }
    if specification.report_options.report_period != "WEEK" {
        let text = format!("{:?} is not WEEK", specification.report_options.report_period);
        return Err(Problem::at("/reportSpecification/reportOptions/reportPeriod", text));
    }
    let (start, end) = (&specification.data_start_time, &specification.data_end_time);
    week_of(Some(start), Some(end), "/reportSpecification").map(Contents::Rows)
}

/// An empty period says nothing of any keyword: that is not the same as being beyond the end of a list.
pub(super) fn no_data(tracked: &TrackedKeywords, metric: Metric, period: Period, reason: &'static str) -> Reading {
    let active = tracked.sorted().into_iter().filter(|keyword| keyword.is_active);
    let observations = active
        .map(|keyword| KeywordObservation::new(keyword.keyword_id, metric, Observed::Unavailable(reason), period));
    Reading { observations: observations.collect(), ..Reading::default() }
}

/// Reads a span of dates that must be a week from Sunday to Saturday; what time follows the dates does not matter.
fn week_of(start: Option<&str>, end: Option<&str>, json_pointer: &str) -> Result<Period, Problem> {
    let start_date = rows::date(start.unwrap_or_default(), &format!("{json_pointer}/dataStartTime"))?;
    let end_date = rows::date(end.unwrap_or_default(), &format!("{json_pointer}/dataEndTime"))?;
    if week::week_start(start_date) != start_date || week::week_end(start_date) != end_date {
        let text = format!("{start_date} to {end_date} is not a week from Sunday to Saturday");
        return Err(Problem::at(format!("{json_pointer}/dataStartTime"), text));
    }
    Ok(Period::Week(start_date))
}
