//! Growth: how much higher a series stands than before.

use polars::prelude::{Expr, PolarsResult, col};

use super::panel::{SERIES, before, window};
use super::season::YEAR_WEEKS;

/// Writes the mean of the last weeks less that of as many weeks before them.
pub(super) fn growth(weeks: u32) -> PolarsResult<Expr> {
    let mean = || col("y").rolling_mean(window(weeks, weeks as usize));
    (mean() - before(mean(), weeks)).over([col(SERIES)])
}

/// Writes the mean, over the last weeks, of the change from the same week a year before.
pub(super) fn year_change(weeks: u32) -> PolarsResult<Expr> {
    let change = col("y") - before(col("y"), YEAR_WEEKS);
    change.rolling_mean(window(weeks, weeks as usize)).over([col(SERIES)])
}
