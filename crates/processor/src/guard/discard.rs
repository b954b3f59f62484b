//! Reads a row without the values whose type changed.

use serde_json::Value;
use serde_json::value::RawValue;

use super::Row;
use crate::reading::{Extent, Problem, QuarantinedRow};
use crate::rows;

/// Values that are set aside in one row; a row with more is set aside itself.
const MAX_DISCARDED_OF_ROW: usize = 16;

/// Reads a row again without the values that cannot be read, one by one. Where the row says nothing without them, or
/// something else, it cannot be read because of the first problem.
pub(super) fn without_values<'a, R: Row<'a>>(
    raw_row: &RawValue,
    pointer: &str,
    first_problem: Problem,
) -> Result<(R, Vec<QuarantinedRow>), Problem> {
    let Ok(mut value) = serde_json::from_str::<Value>(raw_row.get()) else { return Err(first_problem) };
    let mut discarded = Vec::new();
    let mut problem = first_problem.clone();
    while discarded.len() < MAX_DISCARDED_OF_ROW {
        let place = outside_of_lists(&problem.json_pointer).to_owned();
        let is_telling = R::TELLING.iter().any(|telling| overlap(&place, telling));
        let Some(taken) = take(&mut value, &place).filter(|_| !is_telling) else { return Err(first_problem) };
        let (problem_told, row_text) = match R::IS_PERSONAL {
            true => (rows::untold(problem), rows::NOT_KEPT.to_owned()),
            false => (problem, rows::cut(&taken.to_string(), rows::MAX_ROW_TEXT).to_owned()),
        };
        discarded.push(QuarantinedRow {
            json_pointer: format!("{pointer}{place}"),
            reason: problem_told.to_string(),
            row_text,
            extent: Extent::Value,
        });
        match serde_path_to_error::deserialize(value.clone()) {
            Ok(row) => return Ok((row, discarded)),
            Err(error) => problem = rows::problem_of(error),
        }
    }
    Err(first_problem)
}

/// Cuts a pointer before the first element of a list: what follows from a list follows from all of it.
fn outside_of_lists(json_pointer: &str) -> &str {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut length = 0;
    for part in json_pointer.split('/').skip(1).take_while(|part| !is_number(part)) {
        length += 1 + part.len();
    }
    &json_pointer[..length]
}

/// Tells whether one place is the other or lies within it.
fn overlap(left: &str, right: &str) -> bool {
    let lies_within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    lies_within(left, right) || lies_within(right, left)
}

/// Takes a field out of an object.
fn take(value: &mut Value, json_pointer: &str) -> Option<Value> {
    let (parent, name) = json_pointer.rsplit_once('/')?;
    let fields = value.pointer_mut(parent)?.as_object_mut()?;
    fields.remove(&name.replace("~1", "/").replace("~0", "~"))
}
