//! Intermittency: how often nothing happens, or nothing is known.

use polars::prelude::{DataType, Expr, PolarsResult, col, lit};

use super::panel::{SERIES, window};

/// Writes the share of the last weeks in which the value was that of the week before: nobody bids, nobody looks.
pub(super) fn still_share(weeks: u32) -> PolarsResult<Expr> {
    let is_still = col("absolute_change").eq(lit(0.0)).cast(DataType::Float64);
    is_still.rolling_mean(window(weeks, 2)).over([col(SERIES)])
}

/// Writes the share of the last weeks that were bridged.
pub(super) fn filled_share(weeks: u32) -> PolarsResult<Expr> {
    col("is_filled").rolling_mean(window(weeks, 1)).over([col(SERIES)])
}
