//! Spans of time as people write them on the command line: `90s`, `10m`, `2h`, `90d`.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::exit::UserError;

/// Reads a span: a whole number and its unit, s, m, h, d or w.
pub fn parse(text: &str) -> Result<Duration, String> {
    let problem = || format!("'{text}' is no span of time such as 90s, 10m, 2h or 90d");
    let unit = text.chars().next_back().ok_or_else(problem)?;
    let seconds_each: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(problem()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| problem())?;
    Ok(Duration::from_secs(u64::from(number) * seconds_each))
}

/// Reads a moment: RFC 3339, a date, or a time ago.
pub fn moment(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, UserError> {
    if let Ok(moment) = text.parse::<DateTime<Utc>>() {
        return Ok(moment);
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(date.and_time(NaiveTime::MIN).and_utc());
    }
    let ago = parse(text).map_err(|_| {
        UserError::usage(
            format!("'{text}' is neither a date, nor a moment, nor a time ago"),
            "write for example 2026-03-01, 2026-03-01T06:00:00Z or 2d",
        )
    })?;
    Ok(now - TimeDelta::from_std(ago.min(Duration::from_secs(1 << 40))).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        assert_eq!(parse("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("90d"), Ok(Duration::from_secs(90 * 86_400)));
        for wrong in ["", "h", "-1h", "1.5h", "10", "10 m", "5ü"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
