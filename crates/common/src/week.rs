//! Weeks as the marketplaces count them: Sunday to Saturday, in UTC.

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};

/// Returns the Sunday on which the week of `date` begins.
pub fn week_start(date: NaiveDate) -> NaiveDate {
    date - Days::new(u64::from(date.weekday().num_days_from_sunday()))
}

/// Returns the Sunday on which the last week that was over at `now` begins.
pub fn last_full_week_start(now: DateTime<Utc>) -> NaiveDate {
    week_start(now.date_naive()) - Days::new(7)
}

/// Returns the Saturday on which a week ends.
pub fn week_end(week_start: NaiveDate) -> NaiveDate {
    week_start + Days::new(6)
}
