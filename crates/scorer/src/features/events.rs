//! Events: the largest jumps of late, after which series seldom stay where they went.

use polars::prelude::{Expr, PolarsResult, col};

use super::panel::{SERIES, before, window};

/// Writes the largest rise from one week to the next within the last weeks.
pub(super) fn largest_rise(weeks: u32) -> PolarsResult<Expr> {
    change().rolling_max(window(weeks, 2)).over([col(SERIES)])
}

/// Writes the largest fall, as a number below zero.
pub(super) fn largest_fall(weeks: u32) -> PolarsResult<Expr> {
    change().rolling_min(window(weeks, 2)).over([col(SERIES)])
}

fn change() -> Expr {
    col("y") - before(col("y"), 1)
}
