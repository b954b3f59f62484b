//! Limits as they are configured: how often each operation of a marketplace may be asked.

use std::collections::BTreeMap;
use std::fmt;

/// How often one operation may be asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Requests per second in the long run.
    pub per_second: f64,
    /// Requests that may be sent at once after a rest.
    pub burst: u32,
    /// Requests within any 24 hours, where the marketplace counts them.
    pub per_day: Option<u32>,
}

/// The limits of a marketplace by operation. An operation without one is not limited.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    limits: BTreeMap<String, Limit>,
    /// The operations that the marketplace has; empty when they are not known.
    operations: &'static [&'static str],
}

/// Why a text is no list of limits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{part}' is no limit: {problem}; expected operation=rate:burst or operation=rate:burst:per_day")]
pub struct LimitsError {
    part: String,
    problem: String,
}

impl Limits {
    /// Stands for all operations of a marketplace together.
    pub const ANY: &'static str = "any";

    /// Slowest and fastest rate that can be configured, in requests per second.
    const RATES: (f64, f64) = (1e-6, 1e4);

    /// Reads `operation=rate:burst[:per_day]`, separated by commas.
    pub fn parse(text: &str) -> Result<Limits, LimitsError> {
        let mut limits = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (operation, limit) = parse_part(part)
                .map_err(|problem| LimitsError { part: part.to_owned(), problem: problem.to_owned() })?;
            if limits.insert(operation.to_owned(), limit).is_some() {
                return Err(LimitsError { part: part.to_owned(), problem: "the operation is named twice".to_owned() });
            }
        }
        Ok(Limits { limits, operations: &[] })
    }

    /// Reads limits that replace some of these; an operation that the marketplace does not have is refused.
    pub fn overridden_by(mut self, text: &str) -> Result<Limits, LimitsError> {
        for (operation, limit) in Limits::parse(text)?.limits {
            if !self.operations.is_empty() && !self.operations.contains(&operation.as_str()) {
                let problem = format!("unknown operation, known are {}", self.operations.join(", "));
                return Err(LimitsError { part: operation, problem });
            }
            self.limits.insert(operation, limit);
        }
        Ok(self)
    }

    /// Goes through operations and their limits.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Limit)> {
        self.limits.iter().map(|(operation, limit)| (operation.as_str(), limit))
    }

    /// Begins the limits of a marketplace with these operations.
    pub(crate) fn of(operations: &'static [&'static str]) -> Limits {
        Limits { limits: BTreeMap::new(), operations }
    }

    /// Adds an operation; used for the tables in the marketplaces' folders.
    pub(crate) fn with(mut self, operation: &str, per_second: f64, burst: u32, per_day: Option<u32>) -> Limits {
        self.limits.insert(operation.to_owned(), Limit { per_second, burst, per_day });
        self
    }
}

/// Writes the limits as [`Limits::parse`] reads them.
impl fmt::Display for Limits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (operation, limit)) in self.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(formatter, "{comma}{operation}={}:{}", limit.per_second, limit.burst)?;
            if let Some(per_day) = limit.per_day {
                write!(formatter, ":{per_day}")?;
            }
        }
        Ok(())
    }
}

fn parse_part(part: &str) -> Result<(&str, Limit), &'static str> {
    let (operation, numbers) = part.split_once('=').ok_or("there is no '='")?;
    let operation = operation.trim();
    if operation.is_empty() {
        return Err("the operation has no name");
    }
    let mut numbers = numbers.split(':').map(str::trim);
    let per_second: f64 = numbers.next().and_then(|rate| rate.parse().ok()).ok_or("the rate is no number")?;
    if !(Limits::RATES.0..=Limits::RATES.1).contains(&per_second) {
        return Err("the rate is not between 0.000001 and 10000 requests per second");
    }
    let burst = numbers.next().ok_or("the burst is missing")?;
    let burst: u32 = burst.parse().ok().filter(|burst| *burst > 0).ok_or("the burst is no whole number above zero")?;
    let per_day = match numbers.next() {
        None => None,
        Some(per_day) => {
            let per_day: Option<u32> = per_day.parse().ok().filter(|per_day| *per_day > 0);
            Some(per_day.ok_or("the number per day is no whole number above zero")?)
        }
    };
    if numbers.next().is_some() {
        return Err("there are more than three numbers");
    }
    Ok((operation, Limit { per_second, burst, per_day }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_are_written() {
        let text = "createReport=0.0167:15,search=2:2:5000";
        let limits = Limits::parse(text).unwrap();
        assert_eq!(limits.to_string(), text);
        let search = limits.iter().find(|(operation, _)| *operation == "search").unwrap().1;
        assert_eq!(*search, Limit { per_second: 2.0, burst: 2, per_day: Some(5_000) });
        assert_eq!(Limits::parse(" ").unwrap(), Limits::default());
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
            ("a=1:1:-5", "the number per day"),
            ("a=1:1:1:1", "more than three numbers"),
            ("=1:1", "no name"),
            ("a=1:1,a=2:2", "named twice"),
        ] {
            let error = Limits::parse(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn an_unknown_operation_is_refused() {
        let limits = Limits::of(&["search"]).with("search", 2.0, 2, Some(5_000));
        let error = limits.clone().overridden_by("serach=1:1").unwrap_err().to_string();
        assert!(error.contains("'serach'") && error.contains("known are search"), "{error}");
        assert_eq!(limits.overridden_by("search=1:1").unwrap().to_string(), "search=1:1");
    }
}
