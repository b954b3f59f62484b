//! How the shape of a day differs from that of the days before.

use std::collections::BTreeSet;

use digitallz_common::source_contract::JsonType;

use super::shape::{Profile, Shape, TypeCounts};

/// Parts that must have been looked at before a field is missed, or is new to them. Of a field that half of the parts have,
/// twice as many must have been looked at: so many are expected to have it.
pub const MIN_EXPECTED: u64 = 10;

/// Parts that must have been looked at, on the day and before, for a share of nulls to be told.
pub const MIN_ROWS_FOR_NULLS: u64 = 50;

/// How far the share of parts that lack a field, or have null in it, must move.
pub const NULL_SHARE_MOVE: f64 = 0.2;

/// How a field differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It was never there before.
    Appeared,
    /// It is in no row any more.
    Vanished,
    /// It has a type that it did not have.
    TypeChanged,
    /// Notably more or fewer rows lack it or have null in it.
    NullsMoved,
}

impl ChangeKind {
    /// Returns the name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Appeared => "appeared",
            ChangeKind::Vanished => "vanished",
            ChangeKind::TypeChanged => "type_changed",
            ChangeKind::NullsMoved => "nulls_moved",
        }
    }
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// The field.
    pub path: String,
    /// How it was.
    pub before: String,
    /// How it is.
    pub after: String,
}

/// Compares a day with what came before. What lies within a field that differs is not told again.
pub fn compare(before: &Shape, day: &Shape) -> Vec<Change> {
    let mut changes = compare_profiles(&before.frames, &day.frames);
    changes.extend(compare_profiles(&before.rows, &day.rows));
    changes
}

fn compare_profiles(before: &Profile, day: &Profile) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let paths: BTreeSet<&String> = before.fields.keys().chain(day.fields.keys()).collect();
    // A field comes before what lies within it.
    for path in paths {
        let is_within = |change: &Change| path.strip_prefix(&change.path).is_some_and(|rest| rest.starts_with('/'));
        if changes.iter().any(is_within) {
            continue;
        }
        changes.extend(difference(path, before, day));
    }
    changes
}

fn difference(path: &str, before: &Profile, day: &Profile) -> Option<Change> {
    let change = |kind, before: String, after: String| Some(Change { kind, path: path.to_owned(), before, after });
    let (was, is) = (before.fields.get(path), day.fields.get(path));
    match (was, is) {
        // Of very many fields only the first are known, so one that is not known need not be new.
        (None, Some(is)) if before.count >= MIN_EXPECTED && !before.is_cut => {
            change(ChangeKind::Appeared, "absent".to_owned(), in_words(is, day.count))
        }
        (Some(was), None) if expected(most(was), before.count, day.count) >= MIN_EXPECTED && !day.is_cut => {
            change(ChangeKind::Vanished, in_words(was, before.count), "absent".to_owned())
        }
        (Some(was), Some(is)) => {
            let known: Vec<JsonType> = values(was).collect();
            if !known.is_empty() && values(is).any(|json_type| !known.contains(&json_type)) {
                return change(ChangeKind::TypeChanged, in_words(was, before.count), in_words(is, day.count));
            }
            let null_share = |profile: &Profile| 1.0 - share(profile.present_count(path), profile.count);
            let is_enough = before.count.min(day.count) >= MIN_ROWS_FOR_NULLS;
            let (was, is) = (null_share(before), null_share(day));
            let text = |share: f64| format!("null or absent in {:.1} %", 100.0 * share);
            match is_enough && (is - was).abs() >= NULL_SHARE_MOVE {
                true => change(ChangeKind::NullsMoved, text(was), text(is)),
                false => None,
            }
        }
        _ => None,
    }
}

/// Returns how many of the day's parts would have a field if nothing had changed.
fn expected(had: u64, before_count: u64, day_count: u64) -> u64 {
    let product = u128::from(had) * u128::from(day_count);
    product.checked_div(u128::from(before_count)).map_or(0, |expected| u64::try_from(expected).unwrap_or(u64::MAX))
}

fn values(counts: &TypeCounts) -> impl Iterator<Item = JsonType> {
    counts.keys().copied().filter(|json_type| *json_type != JsonType::Null)
}

/// Returns in how many parts a field is at the least.
fn most(counts: &TypeCounts) -> u64 {
    counts.values().copied().max().unwrap_or(0)
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Writes types and how often each occurs, such as `number in 98.0 %, string in 2.0 %`.
fn in_words(counts: &TypeCounts, whole: u64) -> String {
    let each = counts
        .iter()
        .map(|(json_type, count)| format!("{} in {:.1} %", json_type.name(), 100.0 * share(*count, whole)));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shape(rows: impl IntoIterator<Item = Value>) -> Shape {
        let mut shape = Shape::default();
        for row in rows {
            shape.rows.add("/items/*", &row);
        }
        shape
    }

    fn told(before: &Shape, day: &Shape) -> Vec<(ChangeKind, String)> {
        compare(before, day).into_iter().map(|change| (change.kind, change.path)).collect()
    }

    #[test]
    fn what_stays_the_same_is_no_change() {
        let row = |number: i32| json!({"id": number, "title": "a", "note": null, "price": {"value": 1.5}});
        let (before, day) = (shape((0..100).map(row)), shape((0..100).map(row)));
        assert_eq!(compare(&before, &day), []);
        assert_eq!(compare(&Shape::default(), &day), [], "nothing is known of the days before");
        assert_eq!(compare(&before, &Shape::default()), [], "nothing was looked at");
    }

    #[test]
    fn each_kind_of_change_is_told_once_and_where_it_begins() {
        let before =
            shape((0..60).map(|_| json!({"id": 1, "price": {"value": "1", "currency": "USD"}, "sold": 4, "bids": 2})));
        let day = shape((0..60).map(|number| {
            let sold = if number < 30 { json!(4) } else { Value::Null };
            json!({"id": "1", "sold": sold, "bids": 2, "badge": {"kind": "new"}})
        }));
        let expected = [
            (ChangeKind::Appeared, "/items/*/badge".to_owned()),
            (ChangeKind::TypeChanged, "/items/*/id".to_owned()),
            (ChangeKind::Vanished, "/items/*/price".to_owned()),
            (ChangeKind::NullsMoved, "/items/*/sold".to_owned()),
        ];
        assert_eq!(told(&before, &day), expected);
        let texts = compare(&before, &day);
        assert_eq!((texts[1].before.as_str(), texts[1].after.as_str()), ("number in 100.0 %", "string in 100.0 %"));
        assert_eq!(texts[3].after, "null or absent in 50.0 %");
    }

    #[test]
    fn a_rare_field_is_not_missed_after_a_few_rows() {
        let rare = |number: i32| if number == 0 { json!({"id": 1, "rare": 1}) } else { json!({"id": 1}) };
        let before = shape((0..100).map(rare));
        assert_eq!(told(&before, &shape((0..900).map(|_| json!({"id": 1})))), []);
        let day = shape((0..1_000).map(|_| json!({"id": 1})));
        assert_eq!(told(&before, &day), [(ChangeKind::Vanished, "/items/*/rare".to_owned())]);
    }

    #[test]
    fn a_small_move_of_nulls_and_one_of_few_rows_are_not_told() {
        let rows = |count: i32, nulls: i32| {
            shape((0..count).map(|number| if number < nulls { json!({"a": null}) } else { json!({"a": 1}) }))
        };
        assert_eq!(told(&rows(100, 10), &rows(100, 29)), []);
        assert_eq!(told(&rows(100, 10), &rows(100, 30)), [(ChangeKind::NullsMoved, "/items/*/a".to_owned())]);
        assert_eq!(told(&rows(49, 0), &rows(49, 49)), []);
    }
}
