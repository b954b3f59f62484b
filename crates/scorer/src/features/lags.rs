//! Lags: what was some weeks before.

use polars::prelude::{Expr, PolarsResult, col};

use super::panel::{SERIES, before};

/// Writes the value some weeks ago.
pub(super) fn lag(weeks: u32) -> PolarsResult<Expr> {
    before(col("y"), weeks).over([col(SERIES)])
}
