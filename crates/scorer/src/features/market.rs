//! Market: how prices, their spread, the share of new listings, and supply in relation to demand changed.

use polars::prelude::{Expr, PolarsResult, col};

use super::panel::{SERIES, before, beside};

/// Writes the change of what is known of the market over some weeks; absent where it is not known at either end.
pub(super) fn change(weeks: u32, of: usize) -> PolarsResult<Expr> {
    (col(beside(of)) - before(col(beside(of)), weeks)).over([col(SERIES)])
}
