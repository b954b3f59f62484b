//! When a schedule falls due: a cron expression in a time zone, and what becomes of it when the clocks change.
//!
//! A schedule of chosen hours ("at 02:30", "at 1 and 13") is about the day: each of its wall times fires once.
//! - A wall time that the clocks jump over fires at the first moment after the gap. Several of them make one moment.
//! - A wall time that comes twice fires the first time.
//!
//! A schedule of every hour ("each full hour", "every ten minutes") is about time itself: it fires at each moment whose wall
//! time matches, so it goes on through an hour that comes twice and makes up for none that is jumped over.
//!
//! The `cron` crate alone would drop the wall times of a gap and fire those that come twice twice. So it is asked about wall
//! times only, and the way from wall times to moments is ours.

use std::str::FromStr;

use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use cron::TimeUnitSpec;

/// A cron expression in a time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Rhythm {
    cron: cron::Schedule,
    time_zone: Tz,
}

/// A cron expression or a time zone that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RhythmError {
    /// The expression is none.
    #[error("'{expression}' is no cron expression")]
    Cron {
        /// The text.
        expression: String,
        /// The cause.
        #[source]
        source: cron::error::Error,
    },
    /// Days of the week as numbers begin with Sunday as 0 in some programs and as 1 in others.
    #[error(
        "'{0}' names days of the week by numbers, which mean different days in different programs; write SUN to SAT"
    )]
    NumberedWeekday(String),
    /// The time zone is none.
    #[error("'{0}' is no IANA time zone, such as Europe/Berlin")]
    TimeZone(String),
}

impl Rhythm {
    /// Joins an expression and a time zone.
    pub fn new(cron: cron::Schedule, time_zone: Tz) -> Rhythm {
        Rhythm { cron, time_zone }
    }

    /// Reads both from text.
    pub fn parse(expression: &str, time_zone: &str) -> Result<Rhythm, RhythmError> {
        Ok(Rhythm { cron: parse_cron(expression)?, time_zone: parse_time_zone(time_zone)? })
    }

    /// Returns the cron expression: seconds, minutes, hours, day of month, month, day of week.
    pub fn expression(&self) -> &str {
        self.cron.source()
    }

    /// Returns the time zone.
    pub fn time_zone(&self) -> Tz {
        self.time_zone
    }

    /// Returns the first due moment after a moment; none when there is none any more.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        const HOURS_OF_A_DAY: u32 = 24;
        if self.cron.hours().count() == HOURS_OF_A_DAY { self.next_of_every_hour(after) } else { self.next_once(after) }
    }

    /// Wall times and the moments of their first coming rise together, so the first that lies after is the next.
    fn next_once(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut wall = self.wall_time(after);
        loop {
            wall = self.next_wall_time(wall)?;
            let moment = match self.time_zone.from_local_datetime(&wall) {
                LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => Some(moment),
                LocalResult::None => GapInfo::new(&wall, &self.time_zone).and_then(|gap| gap.end),
            };
            if let Some(moment) = moment.map(|moment| moment.with_timezone(&Utc)).filter(|moment| *moment > after) {
                return Some(moment);
            }
        }
    }

    /// Where the clocks change within a day, looks before the change first, then from the change on.
    fn next_of_every_hour(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut wall = self.wall_time(after);
        if let Some(change) = self.change_within_a_day(after) {
            let moment = self.next_wall_time(wall)?.and_utc() - self.offset(after);
            if moment < change {
                return Some(moment);
            }
            wall = self.next_wall_time(self.wall_time(change) - Duration::seconds(1))?;
            let moment = wall.and_utc() - self.offset(change);
            if self.offset(moment) == self.offset(change) {
                return Some(moment);
            }
        } else {
            wall = self.next_wall_time(wall)?;
        }
        loop {
            let comings = self.time_zone.from_local_datetime(&wall);
            let moments = [comings.earliest(), comings.latest()].into_iter().flatten();
            if let Some(moment) = moments.map(|moment| moment.with_timezone(&Utc)).find(|moment| *moment > after) {
                return Some(moment);
            }
            wall = self.next_wall_time(wall)?;
        }
    }

    /// Returns the first moment with another offset, to the second, if there is one within a day.
    fn change_within_a_day(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let offset = self.offset(after);
        let mut same = after.timestamp();
        let mut other = (after + Duration::days(1)).timestamp();
        if self.offset(at(other)?) == offset {
            return None;
        }
        while other - same > 1 {
            let middle = same + (other - same) / 2;
            if self.offset(at(middle)?) == offset {
                same = middle;
            } else {
                other = middle;
            }
        }
        at(other)
    }

    /// The expression is read as if there were no time zones.
    fn next_wall_time(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        self.cron.after(&wall.and_utc()).next().map(|next| next.naive_utc())
    }

    fn wall_time(&self, moment: DateTime<Utc>) -> NaiveDateTime {
        moment.with_timezone(&self.time_zone).naive_local()
    }

    fn offset(&self, moment: DateTime<Utc>) -> Duration {
        let offset = self.time_zone.offset_from_utc_datetime(&moment.naive_utc()).fix();
        Duration::seconds(i64::from(offset.local_minus_utc()))
    }
}

/// Reads a cron expression of six fields, or of five, whose seconds are 0.
pub fn parse_cron(expression: &str) -> Result<cron::Schedule, RhythmError> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let full = match fields.len() {
        5 => format!("0 {}", fields.join(" ")),
        _ => fields.join(" "),
    };
    if fields.len() == 5 && fields[4].split('/').next().is_some_and(|days| days.contains(|c: char| c.is_ascii_digit()))
    {
        return Err(RhythmError::NumberedWeekday(expression.to_owned()));
    }
    cron::Schedule::from_str(&full).map_err(|source| RhythmError::Cron { expression: expression.to_owned(), source })
}

/// Reads an IANA time zone.
pub fn parse_time_zone(name: &str) -> Result<Tz, RhythmError> {
    name.parse().map_err(|_| RhythmError::TimeZone(name.to_owned()))
}

fn at(timestamp: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(timestamp, 0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::{Datelike, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    /// Lists the due moments of a rhythm after a moment, as UTC without seconds.
    fn due(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let rhythm = Rhythm::parse(expression, zone).expect("a rhythm");
        let first: DateTime<Utc> = after.parse().expect("a time");
        std::iter::successors(rhythm.next_after(first), |moment| rhythm.next_after(*moment))
            .take(count)
            .map(|moment| moment.format("%m-%d %H:%M").to_string())
            .collect()
    }

    #[test]
    fn a_wall_time_that_does_not_exist_fires_after_the_gap() {
        // At 02:00 the clocks of Los Angeles (2026-03-08) and Berlin (2026-03-29) go to 03:00, those of Lord Howe
        // (2026-10-04) to 02:30.
        assert_eq!(
            due("30 2 * * *", "America/Los_Angeles", "2026-03-07T00:00:00Z", 4),
            ["03-07 10:30", "03-08 10:00", "03-09 09:30", "03-10 09:30"]
        );
        assert_eq!(
            due("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3),
            ["03-28 01:30", "03-29 01:00", "03-30 00:30"]
        );
        assert_eq!(
            due("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T12:00:00Z", 3),
            ["10-02 15:45", "10-03 15:30", "10-04 15:15"]
        );
    }

    #[test]
    fn a_wall_time_that_comes_twice_fires_once() {
        // At 02:00 the clocks of Los Angeles (2026-11-01) go back to 01:00, those of Lord Howe (2026-04-05) to 01:30; at
        // 03:00 those of Berlin (2026-10-25) to 02:00.
        assert_eq!(
            due("30 1 * * *", "America/Los_Angeles", "2026-10-31T00:00:00Z", 3),
            ["10-31 08:30", "11-01 08:30", "11-02 09:30"]
        );
        assert_eq!(
            due("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", 3),
            ["10-24 00:30", "10-25 00:30", "10-26 01:30"]
        );
        assert_eq!(
            due("45 1 * * *", "Australia/Lord_Howe", "2026-04-03T12:00:00Z", 3),
            ["04-03 14:45", "04-04 14:45", "04-05 15:15"]
        );
        // Looked at between the two comings of 02:30, the day's moment is past.
        assert_eq!(due("30 2 * * *", "Europe/Berlin", "2026-10-25T01:00:00Z", 1), ["10-26 01:30"]);
    }

    #[test]
    fn several_wall_times_of_a_gap_make_one_moment() {
        assert_eq!(
            due("0,20,40 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 4),
            ["03-29 01:00", "03-29 01:20", "03-29 01:40", "03-30 00:00"]
        );
    }

    #[test]
    fn every_hour_and_every_few_minutes_go_on_in_real_time() {
        assert_eq!(
            due("0 * * * *", "Europe/Berlin", "2026-10-24T22:30:00Z", 5),
            ["10-24 23:00", "10-25 00:00", "10-25 01:00", "10-25 02:00", "10-25 03:00"]
        );
        assert_eq!(
            due("0 * * * *", "America/Los_Angeles", "2026-03-08T08:30:00Z", 3),
            ["03-08 09:00", "03-08 10:00", "03-08 11:00"]
        );
        assert_eq!(
            due("*/30 * * * *", "Australia/Lord_Howe", "2026-04-04T13:40:00Z", 6),
            ["04-04 14:00", "04-04 14:30", "04-04 15:00", "04-04 15:30", "04-04 16:00", "04-04 16:30"]
        );
        assert_eq!(
            due("*/30 * * * *", "Australia/Lord_Howe", "2026-10-03T14:40:00Z", 4),
            ["10-03 15:00", "10-03 15:30", "10-03 16:00", "10-03 16:30"]
        );
    }

    #[test]
    fn five_fields_are_read_and_numbered_weekdays_refused() {
        let rhythm = Rhythm::parse(" 15  3 * *  MON-FRI ", "UTC").expect("five fields");
        assert_eq!(rhythm.expression(), "0 15 3 * * MON-FRI");
        for (expression, zone, message) in [
            ("0 3 * * 1", "UTC", "write SUN to SAT"),
            ("every full moon", "UTC", "'every full moon' is no cron expression"),
            ("0 3 * * *", "Mars/Olympus", "'Mars/Olympus' is no IANA time zone"),
        ] {
            let error = Rhythm::parse(expression, zone).expect_err("refused").to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn a_daily_schedule_fires_once_on_each_day_of_a_year(
            zone in 0..chrono_tz::TZ_VARIANTS.len(), year in 2019..2036i32, hour in 0..24u32, minute in 0..60u32,
        ) {
            let zone = chrono_tz::TZ_VARIANTS[zone];
            let rhythm = Rhythm::parse(&format!("{minute} {hour} * * *"), zone.name()).expect("a rhythm");
            let noon = NaiveDate::from_ymd_opt(year - 1, 12, 30).and_then(|day| day.and_hms_opt(12, 0, 0)).expect("a day");
            let mut per_day = BTreeMap::new();
            let mut moment = noon.and_utc();
            loop {
                let next = rhythm.next_after(moment).expect("another day");
                prop_assert!(next > moment);
                moment = next;
                let day = moment.with_timezone(&zone).date_naive();
                if day.year() > year {
                    break;
                }
                *per_day.entry(day).or_insert(0) += 1;
            }
            let days: Vec<NaiveDate> = per_day.keys().copied().filter(|day| day.year() == year).collect();
            prop_assert_eq!(days.len(), if NaiveDate::from_ymd_opt(year, 2, 29).is_some() { 366 } else { 365 });
            prop_assert!(per_day.values().all(|count| *count == 1), "{} {:?}", zone, per_day);
        }

        #[test]
        fn an_hourly_schedule_fires_at_every_moment_that_matches(zone in 0..chrono_tz::TZ_VARIANTS.len(), day in 0..6000i64) {
            let zone = chrono_tz::TZ_VARIANTS[zone];
            let rhythm = Rhythm::parse("*/15 * * * *", zone.name()).expect("a rhythm");
            let start = DateTime::from_timestamp(1_546_300_800 + day * 86_400, 0).expect("a time");
            let expected: Vec<DateTime<Utc>> = (1..=2 * 24 * 60)
                .map(|minute| start + Duration::minutes(minute))
                .filter(|moment| chrono::Timelike::minute(&moment.with_timezone(&zone)) % 15 == 0)
                .collect();
            let found: Vec<DateTime<Utc>> = std::iter::successors(rhythm.next_after(start), |moment| rhythm.next_after(*moment))
                .take(expected.len())
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
