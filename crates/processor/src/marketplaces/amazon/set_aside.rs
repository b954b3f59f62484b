//! Rows of a report that broke the contract: the first are kept, the rest counted, so that no document fills the memory.

use serde_json::value::RawValue;

use crate::reading::{Problem, QuarantinedRow};
use crate::rows;

/// Rows that are kept; of more, only the number. If they are also more than half of all, the report has another shape than
/// the contract says.
const KEPT_MAX: usize = 1_000;

/// The rows set aside so far.
#[derive(Default)]
pub(super) struct SetAside {
    kept: Vec<QuarantinedRow>,
    count: u64,
}

impl SetAside {
    /// Sets a row aside. `rows_pointer` is where the rows stand, `index` the row's place among them.
    pub(super) fn push(&mut self, rows_pointer: &str, index: u64, problem: &Problem, raw_row: &RawValue) {
        self.count += 1;
        if self.kept.len() < KEPT_MAX {
            self.kept.push(rows::quarantined(format!("{rows_pointer}/{index}"), problem, raw_row));
        }
    }

    /// Checks that the rows are, on the whole, those of the contract.
    pub(super) fn check(&self, rows_pointer: &str, row_count: u64) -> Result<(), Problem> {
        match self.kept.first() {
            Some(first) if self.count > KEPT_MAX as u64 && self.count > row_count / 2 => {
                let (count, json_pointer, reason) = (self.count, &first.json_pointer, &first.reason);
                let text = format!("{count} rows break the contract, the first at {json_pointer}: {reason}");
                Err(Problem::at(rows_pointer, text))
            }
            _ => Ok(()),
        }
    }

    /// Returns the rows that are kept, and how many more there are.
    pub(super) fn into_parts(self) -> (Vec<QuarantinedRow>, i32) {
        let further = self.count - self.kept.len() as u64;
        (self.kept, i32::try_from(further).unwrap_or(i32::MAX))
    }
}
