//! Volatility: how restless a series is.

use polars::prelude::{Expr, PolarsResult, col};

use super::panel::{SERIES, window};

/// Writes the standard deviation of the last weeks.
pub(super) fn deviation(weeks: u32) -> PolarsResult<Expr> {
    col("y").rolling_std(window(weeks, 2)).over([col(SERIES)])
}

/// Writes the mean absolute change from week to week, over at most two years: the measure of all moves.
pub(super) fn scale() -> PolarsResult<Expr> {
    col("absolute_change").rolling_mean(window(104, 3)).over([col(SERIES)])
}
