//! Limits as they are configured: which windows each scope of a marketplace must keep.
//!
//! A scope is what a marketplace counts together: an operation, an API, or all requests of a credential. It has one or
//! several windows, written `scope=window+window`, scopes separated by commas:
//!
//! | written | meaning |
//! | --- | --- |
//! | `2:10` | token bucket: 2 requests per second in the long run, 10 at once after a rest |
//! | `10/1s` | sliding: at most 10 within any second |
//! | `5000/24h` | sliding: at most 5,000 within any 24 hours |
//! | `5000/day@America/Los_Angeles` | fixed: 5,000 a day, renewed at midnight there |
//! | `100/every60s` | fixed: 100 in each minute of the clock |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// One window within which requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Window {
    /// A token bucket.
    Bucket {
        /// Requests per second in the long run.
        per_second: f64,
        /// Requests that may be sent at once after a rest.
        burst: u32,
    },
    /// So many requests within any stretch of time of this length.
    Sliding {
        /// Requests.
        requests: u32,
        /// Length of the window.
        period: Duration,
    },
    /// So many requests until the next renewal, at which all are granted anew.
    Fixed {
        /// Requests.
        requests: u32,
        /// When the count begins anew.
        renewal: Renewal,
    },
}

/// When the count of a fixed window begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Renewal {
    /// At midnight of a time zone, so that a day has 23 or 25 hours twice a year.
    Midnight(Tz),
    /// At every multiple of this time since 1970.
    Every(Duration),
}

/// The limits of a marketplace by scope. A scope without one is not limited.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    windows: BTreeMap<String, Vec<Window>>,
    /// Scopes that an operator set, beyond which no answer of the marketplace raises them.
    set_by_operator: BTreeSet<String>,
    /// The scopes that the marketplace has; empty when they are not known.
    scopes: &'static [&'static str],
}

/// Why a text is no list of limits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "'{part}' is no limit: {problem}; expected scope=window, such as search=2:10, any=10/1s+5000/24h or \
     browse=5000/day@America/Los_Angeles"
)]
pub struct LimitsError {
    part: String,
    problem: String,
}

impl Limits {
    /// Stands for all operations of a credential together.
    pub const ANY: &'static str = "any";

    /// Slowest and fastest rate that can be configured, in requests per second.
    const RATES: (f64, f64) = (1e-6, 1e4);

    /// Reads limits that replace some of these; a scope that the marketplace does not have is refused.
    pub fn overridden_by(mut self, text: &str) -> Result<Limits, LimitsError> {
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let error = |problem: String| LimitsError { part: part.to_owned(), problem };
            let (scope, windows) = parse_part(part).map_err(error)?;
            if !self.scopes.is_empty() && !self.scopes.contains(&scope.as_str()) {
                return Err(error(format!("unknown scope, known are {}", self.scopes.join(", "))));
            }
            if !self.set_by_operator.insert(scope.clone()) {
                return Err(error("the scope is named twice".to_owned()));
            }
            self.windows.insert(scope, windows);
        }
        Ok(self)
    }

    /// Goes through scopes and their windows.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Window])> {
        self.windows.iter().map(|(scope, windows)| (scope.as_str(), windows.as_slice()))
    }

    /// Returns the windows of a scope; none when it is not limited.
    pub fn windows(&self, scope: &str) -> &[Window] {
        self.windows.get(scope).map_or(&[], Vec::as_slice)
    }

    /// Tells whether an operator set the limit of a scope.
    pub fn is_set_by_operator(&self, scope: &str) -> bool {
        self.set_by_operator.contains(scope)
    }

    /// Begins the limits of a marketplace with these scopes.
    pub(crate) fn of(scopes: &'static [&'static str]) -> Limits {
        Limits { scopes, ..Limits::default() }
    }

    /// Adds a window to a scope; used for the tables in the marketplaces' folders.
    pub(crate) fn with(mut self, scope: &str, window: Window) -> Limits {
        self.windows.entry(scope.to_owned()).or_default().push(window);
        self
    }
}

impl Window {
    /// A token bucket.
    pub const fn bucket(per_second: f64, burst: u32) -> Window {
        Window::Bucket { per_second, burst }
    }

    /// A sliding window.
    pub const fn sliding(requests: u32, period: Duration) -> Window {
        Window::Sliding { requests, period }
    }

    /// A day that begins at midnight of a time zone.
    pub const fn day(requests: u32, time_zone: Tz) -> Window {
        Window::Fixed { requests, renewal: Renewal::Midnight(time_zone) }
    }

    /// Returns how many requests per second it allows in the long run.
    pub fn per_second(&self) -> f64 {
        const DAY_S: f64 = 86_400.0;
        match *self {
            Window::Bucket { per_second, .. } => per_second,
            Window::Sliding { requests, period } => f64::from(requests) / period.as_secs_f64(),
            Window::Fixed { requests, renewal: Renewal::Midnight(_) } => f64::from(requests) / DAY_S,
            Window::Fixed { requests, renewal: Renewal::Every(period) } => f64::from(requests) / period.as_secs_f64(),
        }
    }
}

/// Writes the limits as [`Limits::overridden_by`] reads them.
impl fmt::Display for Limits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (scope, windows)) in self.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            let windows: Vec<String> = windows.iter().map(Window::to_string).collect();
            write!(formatter, "{comma}{scope}={}", windows.join("+"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::Bucket { per_second, burst } => write!(formatter, "{per_second}:{burst}"),
            Window::Sliding { requests, period } => write!(formatter, "{requests}/{}", length(*period)),
            Window::Fixed { requests, renewal: Renewal::Midnight(zone) } => write!(formatter, "{requests}/day@{zone}"),
            Window::Fixed { requests, renewal: Renewal::Every(period) } => {
                write!(formatter, "{requests}/every{}", length(*period))
            }
        }
    }
}

fn length(period: Duration) -> String {
    match period.as_secs() {
        seconds if period.subsec_nanos() > 0 => format!("{}ms", seconds * 1_000 + u64::from(period.subsec_millis())),
        seconds if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        seconds => format!("{seconds}s"),
    }
}

fn parse_part(part: &str) -> Result<(String, Vec<Window>), String> {
    let (scope, windows) = part.split_once('=').ok_or("there is no '='")?;
    let scope = scope.trim();
    if scope.is_empty() {
        return Err("the scope has no name".to_owned());
    }
    let windows = windows.split('+').map(|window| parse_window(window.trim())).collect::<Result<Vec<_>, _>>()?;
    Ok((scope.to_owned(), windows))
}

fn parse_window(text: &str) -> Result<Window, String> {
    if let Some((requests, period)) = text.split_once('/') {
        let requests = whole(requests, "the number of requests")?;
        if let Some(zone) = period.strip_prefix("day@") {
            let zone = zone.parse().map_err(|_| format!("'{zone}' is no IANA time zone"))?;
            return Ok(Window::day(requests, zone));
        }
        if let Some(period) = period.strip_prefix("every") {
            return Ok(Window::Fixed { requests, renewal: Renewal::Every(parse_length(period)?) });
        }
        return Ok(Window::sliding(requests, parse_length(period)?));
    }
    let (rate, burst) = text.split_once(':').ok_or("the burst is missing")?;
    let per_second: f64 = rate.trim().parse().map_err(|_| "the rate is no number")?;
    if !(Limits::RATES.0..=Limits::RATES.1).contains(&per_second) {
        return Err("the rate is not between 0.000001 and 10000 requests per second".to_owned());
    }
    Ok(Window::bucket(per_second, whole(burst, "the burst")?))
}

fn whole(text: &str, name: &str) -> Result<u32, String> {
    let number = text.trim().parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("{name} is no whole number above zero"))
}

fn parse_length(text: &str) -> Result<Duration, String> {
    let unreadable = || format!("'{text}' is no length of time such as 1s, 500ms, 10m or 24h");
    let digits = text.find(|character: char| !character.is_ascii_digit()).ok_or_else(unreadable)?;
    let number: u64 = text[..digits].parse().map_err(|_| unreadable())?;
    let unit_ms: u64 = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(unreadable()),
    };
    let length_ms = number.saturating_mul(unit_ms);
    if !(10..=400 * 86_400_000).contains(&length_ms) {
        return Err("the window is not between 10ms and 400d".to_owned());
    }
    Ok(Duration::from_millis(length_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Limits, LimitsError> {
        Limits::default().overridden_by(text)
    }

    #[test]
    fn limits_are_read_as_they_are_written() {
        for text in [
            "any=10/1s+5000/24h",
            "browse=5000/day@America/Los_Angeles+2:2,oauthToken=1000/day@America/Los_Angeles",
            "createReport=0.0167:15,getReport=2:15",
            "search=100/every60s+3/500ms",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert_eq!(parse(" any = 2:3 , ").unwrap().windows("any"), [Window::bucket(2.0, 3)]);
        assert_eq!(parse("").unwrap(), Limits::default());
    }

    #[test]
    fn a_bad_part_is_named() {
        for (text, named) in [
            ("a=1:1,b", "'b'"),
            ("a=x:1", "the rate is no number"),
            ("a=NaN:1", "the rate is not between"),
            ("a=0:1", "the rate is not between"),
            ("a=1", "the burst is missing"),
            ("a=1:0", "the burst is no whole number"),
            ("a=0/1s", "the number of requests is no whole number"),
            ("a=5/1", "no length of time"),
            ("a=5/1y", "no length of time"),
            ("a=5/0s", "not between"),
            ("a=5/day@Mars", "'Mars' is no IANA time zone"),
            ("=1:1", "no name"),
            ("a=1:1,a=2:2", "named twice"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn an_unknown_scope_is_refused() {
        let limits = Limits::of(&["search"]).with("search", Window::bucket(2.0, 2));
        let error = limits.clone().overridden_by("serach=1:1").unwrap_err().to_string();
        assert!(error.contains("'serach=1:1'") && error.contains("known are search"), "{error}");
        let set = limits.overridden_by("search=1:1").unwrap();
        assert_eq!((set.to_string().as_str(), set.is_set_by_operator("search")), ("search=1:1", true));
    }
}
