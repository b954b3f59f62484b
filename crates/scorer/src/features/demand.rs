//! Features of the series itself, written as polars expressions over the long frame.

use polars::prelude::{DataType, Expr, PolarsResult, RollingOptionsFixedWindow, col, lit};

use super::Kind;

/// The group of a week: its series.
const SERIES: &str = "series";

/// Weeks after which a season comes round.
pub(super) const YEAR_WEEKS: u32 = 52;

/// Writes a feature that is the same for all horizons.
pub(super) fn shared(kind: Kind, size: u32) -> PolarsResult<Expr> {
    let y = || col("y");
    match kind {
        Kind::Lag => lag(y(), size).over([col(SERIES)]),
        Kind::Mean => y().rolling_mean(window(size, 2)).over([col(SERIES)]),
        Kind::Deviation => y().rolling_std(window(size, 2)).over([col(SERIES)]),
        Kind::Minimum => y().rolling_min(window(size, 2)).over([col(SERIES)]),
        Kind::Maximum => y().rolling_max(window(size, 2)).over([col(SERIES)]),
        Kind::Growth => {
            let mean = || y().rolling_mean(window(size, size as usize));
            (mean() - lag(mean(), size)).over([col(SERIES)])
        }
        Kind::FilledShare => col("is_filled").rolling_mean(window(size, 1)).over([col(SERIES)]),
        Kind::TooYoung => Ok(lag(y(), size).over([col(SERIES)])?.is_null().cast(DataType::Float64)),
        Kind::Level => Ok(y()),
        Kind::Age => Ok(col("age")),
        Kind::YearSine => Ok(col("year_sine")),
        Kind::YearCosine => Ok(col("year_cosine")),
        Kind::YearChange => {
            let change = y() - lag(y(), YEAR_WEEKS);
            change.rolling_mean(window(size, size as usize)).over([col(SERIES)])
        }
        Kind::SameWeek
        | Kind::SameMove
        | Kind::MoveInto
        | Kind::MoveOutOf
        | Kind::Component
        | Kind::ComponentChange => unreachable!("written per horizon or per component"),
    }
}

/// Writes a feature that looks at the target's week in an earlier year.
pub(super) fn by_horizon(kind: Kind, size: u32, horizon: u32) -> PolarsResult<Expr> {
    debug_assert!(horizon + 1 < size, "the week after the target's week lies in the past of {size} weeks ago");
    let then = lag(col("y"), size - horizon);
    match kind {
        Kind::SameWeek => then.over([col(SERIES)]),
        Kind::SameMove => (then - lag(col("y"), size)).over([col(SERIES)]),
        Kind::MoveInto => (then - lag(col("y"), size - horizon + 1)).over([col(SERIES)]),
        Kind::MoveOutOf => (lag(col("y"), size - horizon - 1) - then).over([col(SERIES)]),
        _ => unreachable!("the same for all horizons"),
    }
}

/// Writes the mean absolute change from week to week, over at most two years.
pub(super) fn scale() -> PolarsResult<Expr> {
    col("absolute_change").rolling_mean(window(104, 3)).over([col(SERIES)])
}

/// Shifts a column by some weeks into the past of its series.
pub(super) fn lag(of: Expr, weeks: u32) -> Expr {
    of.shift(lit(i64::from(weeks)))
}

fn window(size: u32, min_periods: usize) -> RollingOptionsFixedWindow {
    RollingOptionsFixedWindow { window_size: size as usize, min_periods, ..Default::default() }
}
