//! Features of the components of the competition score, written as polars expressions over the long frame.

use polars::prelude::{Expr, PolarsResult, col};

use super::Kind;
use super::demand::lag;

/// Returns the column that holds a component.
pub(super) fn column(component: usize) -> String {
    format!("component_{component}")
}

/// Writes a feature of one component.
pub(super) fn of_component(kind: Kind, size: u32, component: usize) -> PolarsResult<Expr> {
    let level = || col(column(component));
    match kind {
        Kind::Component => Ok(level()),
        Kind::ComponentChange => (level() - lag(level(), size)).over([col("series")]),
        _ => unreachable!("not about a component"),
    }
}
