//! Season: what the target's week and those around it were in earlier years.

use polars::prelude::{DataType, Expr, PolarsResult, col};

use super::Kind;
use super::panel::{SERIES, before};

/// Weeks after which a season comes round.
pub(super) const YEAR_WEEKS: u32 = 52;

/// Writes 1 where the history does not reach back so many weeks.
pub(super) fn too_young(weeks: u32) -> PolarsResult<Expr> {
    Ok(before(col("y"), weeks).over([col(SERIES)])?.is_null().cast(DataType::Float64))
}

/// Writes what the target's week was so many weeks before, or how the series moved there.
pub(super) fn of_target_week(kind: Kind, weeks: u32, horizon: u32) -> PolarsResult<Expr> {
    debug_assert!(horizon + 1 < weeks, "the week after the target's week lies in the past of {weeks} weeks ago");
    let y = |weeks_ago| before(col("y"), weeks_ago);
    let then = y(weeks - horizon);
    match kind {
        Kind::SameWeek => then.over([col(SERIES)]),
        Kind::SameMove => (then - y(weeks)).over([col(SERIES)]),
        Kind::MoveInto => (then - y(weeks - horizon + 1)).over([col(SERIES)]),
        Kind::MoveOutOf => (y(weeks - horizon - 1) - then).over([col(SERIES)]),
        _ => unreachable!("the same for all horizons"),
    }
}
