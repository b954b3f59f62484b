//! Lengths of time as they are written on the command line: `30m`, `6h`, `7d`, `forever`.

use chrono::TimeDelta;

use crate::exit::UserError;

/// The word for no end.
const FOREVER: &str = "forever";

/// Reads how long something is kept; none is for ever.
pub fn parse_retention(text: &str) -> Result<Option<TimeDelta>, UserError> {
    if text.trim() == FOREVER {
        return Ok(None);
    }
    parse(text).map(Some)
}

/// Reads a length of time: a whole number of minutes, hours or days, at least one and at most a hundred years.
pub fn parse(text: &str) -> Result<TimeDelta, UserError> {
    const LONGEST: TimeDelta = TimeDelta::days(36_525);
    let read = || {
        let text = text.trim();
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let number: i64 = number.parse().ok().filter(|number| *number > 0)?;
        let time = match unit {
            "m" => TimeDelta::try_minutes(number),
            "h" => TimeDelta::try_hours(number),
            "d" => TimeDelta::try_days(number),
            _ => None,
        };
        time.filter(|time| *time <= LONGEST)
    };
    read().ok_or_else(|| {
        UserError::new(
            format!("'{text}' is no length of time"),
            format!("write a number of m, h or d, for example 6h; to keep without end, {FOREVER}"),
        )
    })
}

/// Writes how long something is kept.
pub fn retention(time: Option<TimeDelta>) -> String {
    let Some(time) = time else { return FOREVER.to_owned() };
    let minutes = time.num_minutes();
    match minutes {
        // A day is written in hours, as the terms do.
        _ if minutes % (24 * 60) == 0 && minutes > 24 * 60 => format!("{}d", minutes / (24 * 60)),
        _ if minutes % 60 == 0 => format!("{}h", minutes / 60),
        _ => format!("{minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["30m", "6h", "24h", "36h", "7d", "forever"] {
            assert_eq!(retention(parse_retention(text).unwrap()), text);
        }
        for text in ["", "h", "0h", "-1h", "6", "6w", "1.5h", "h6", "99999999999999d", "ü"] {
            assert!(parse_retention(text).is_err(), "{text}");
        }
    }
}
