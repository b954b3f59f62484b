//! Competition: the components of the score, and how they changed.

use polars::prelude::{Expr, PolarsResult, col};

use super::panel::{SERIES, before, component};

/// Writes a component.
pub(super) fn level(of: usize) -> PolarsResult<Expr> {
    Ok(col(component(of)))
}

/// Writes the change of a component over some weeks.
pub(super) fn change(weeks: u32, of: usize) -> PolarsResult<Expr> {
    (col(component(of)) - before(col(component(of)), weeks)).over([col(SERIES)])
}
