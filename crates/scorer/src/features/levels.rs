//! Levels: where a series stands, and between which values it went.

use polars::prelude::{Expr, PolarsResult, col};

use super::panel::{SERIES, window};

/// Writes the mean of the last weeks.
pub(super) fn mean(weeks: u32) -> PolarsResult<Expr> {
    col("y").rolling_mean(window(weeks, 2)).over([col(SERIES)])
}

/// Writes the lowest value of the last weeks.
pub(super) fn minimum(weeks: u32) -> PolarsResult<Expr> {
    col("y").rolling_min(window(weeks, 2)).over([col(SERIES)])
}

/// Writes the highest value of the last weeks.
pub(super) fn maximum(weeks: u32) -> PolarsResult<Expr> {
    col("y").rolling_max(window(weeks, 2)).over([col(SERIES)])
}
