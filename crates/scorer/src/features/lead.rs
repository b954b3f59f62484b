//! Lead: how the demand for the same text moved on another marketplace, which may have moved there first.

use polars::prelude::{Expr, PolarsResult, col};

use super::panel::{SERIES, before, beside, window};

/// The other marketplace's week is taken to be known a week later: reports come when they come.
const KNOWN_AFTER_WEEKS: u32 = 1;

/// Writes the move of another marketplace's demand over some weeks, in standard deviations of its weekly changes; absent
/// where it does not know the keyword, or may not teach.
pub(super) fn lead(weeks: u32, marketplace: usize) -> PolarsResult<Expr> {
    let known = || before(col(beside(marketplace)), KNOWN_AFTER_WEEKS);
    let change = known() - before(known(), 1);
    let moved = (known() - before(known(), weeks)) / change.rolling_std(window(104, 3));
    moved.over([col(SERIES)])
}
