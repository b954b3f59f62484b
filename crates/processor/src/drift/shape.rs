//! The shape of answers: which fields they have, of which types, in how many rows.
//!
//! A shape is a sum over what was looked at, so it is the same whatever the order in which answers are added. Of a payload
//! a few rows are looked at: the first eight, and then ever rarer ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use digitallz_common::source_contract::{JsonType, KnownFields};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Fields that a shape holds; of more, the first in the order of the alphabet.
pub const MAX_FIELDS: usize = 1_000;

/// Rows that are looked at from the start.
const FIRST_ROWS: u64 = 8;

/// Names in one object; where it has more, they are taken for data.
const MAX_NAMES: usize = 64;

/// Longest name that is not taken for data.
const MAX_NAME_LENGTH: usize = 64;

/// Digits in a name; with more it is taken for an identifier.
const MAX_NAME_DIGITS: usize = 3;

/// Elements of one list whose fields are looked at.
const MAX_ELEMENTS: usize = 32;

/// How deep fields are told apart.
const MAX_DEPTH: usize = 12;

/// In how many of the parts that were looked at a field has each type.
pub type TypeCounts = BTreeMap<JsonType, u64>;

/// The fields of many parts of the same kind: of rows, or of what is around the rows of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Parts that were looked at.
    pub count: u64,
    /// Their fields, by path.
    pub fields: BTreeMap<String, TypeCounts>,
    /// Whether there were more fields than are held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
}

/// The shape of one answer, or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// What is around the rows.
    pub frames: Profile,
    /// The rows.
    pub rows: Profile,
}

/// A place in a document: where it is, and the same with the elements of lists and names that are data folded.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// RFC 6901.
    pub(crate) json_pointer: String,
    /// The same with `*` for what is folded.
    pub(crate) path: String,
}

/// Tells whether a row of a payload is one that is looked at.
pub(crate) fn is_sampled(index: u64) -> bool {
    index < FIRST_ROWS || index.is_power_of_two()
}

impl Shape {
    /// Adds another.
    pub fn merge(&mut self, other: &Shape) {
        self.frames.merge(&other.frames);
        self.rows.merge(&other.rows);
    }

    /// Tells whether nothing was looked at, because nothing could be read.
    pub fn is_empty(&self) -> bool {
        self.frames.count == 0 && self.rows.count == 0
    }

    /// Returns every field with its types.
    pub fn known_fields(&self) -> KnownFields {
        let all = self.frames.fields.iter().chain(&self.rows.fields);
        all.map(|(path, counts)| (path.clone(), counts.keys().copied().collect())).collect()
    }
}

impl Profile {
    /// Looks at one part, which stands at a path.
    pub(crate) fn add(&mut self, path: &str, value: &Value) {
        let mut seen: BTreeSet<(String, JsonType)> = BTreeSet::new();
        let mut place = Place { json_pointer: String::new(), path: path.to_owned() };
        walk(value, &mut place, MAX_ELEMENTS, 0, &mut |place, json_type| {
            // A whole document is no field of anything.
            if !place.path.is_empty() {
                seen.insert((place.path.clone(), json_type));
            }
            true
        });
        self.count += 1;
        for (path, json_type) in seen {
            *self.fields.entry(path).or_default().entry(json_type).or_default() += 1;
        }
        self.cut();
    }

    /// Adds another.
    pub fn merge(&mut self, other: &Profile) {
        self.count += other.count;
        self.is_cut |= other.is_cut;
        for (path, counts) in &other.fields {
            let known = self.fields.entry(path.clone()).or_default();
            for (json_type, count) in counts {
                *known.entry(*json_type).or_default() += count;
            }
        }
        self.cut();
    }

    /// Returns the parts that have a field, with a value that is not null.
    pub fn present_count(&self, path: &str) -> u64 {
        let counts = self.fields.get(path).into_iter().flatten();
        let of_values = counts.filter(|(json_type, _)| **json_type != JsonType::Null).map(|(_, count)| *count);
        // Elements of one list may differ in their types.
        of_values.sum::<u64>().min(self.count)
    }

    /// Keeps the first fields. Those that stay were never cut before, so their counts are whole in whatever order.
    fn cut(&mut self) {
        while self.fields.len() > MAX_FIELDS {
            self.fields.pop_last();
            self.is_cut = true;
        }
    }
}

/// Steps through a value, and into what `visit` says.
pub(crate) fn walk(
    value: &Value,
    place: &mut Place,
    elements_max: usize,
    depth: usize,
    visit: &mut impl FnMut(&Place, JsonType) -> bool,
) {
    if !visit(place, JsonType::of(value)) || depth == MAX_DEPTH {
        return;
    }
    let (pointer_length, path_length) = (place.json_pointer.len(), place.path.len());
    let mut step = |name: &str, folded: &str, part: &Value| {
        place.json_pointer.push('/');
        place.json_pointer.push_str(name);
        place.path.push('/');
        place.path.push_str(folded);
        walk(part, place, elements_max, depth + 1, visit);
        place.json_pointer.truncate(pointer_length);
        place.path.truncate(path_length);
    };
    match value {
        Value::Object(fields) => {
            let is_map = fields.len() > MAX_NAMES;
            for (name, part) in fields {
                if !is_map && is_name(name) {
                    step(name, name, part);
                } else {
                    step(&name.replace('~', "~0").replace('/', "~1"), "*", part);
                }
            }
        }
        Value::Array(elements) => {
            let mut number = String::new();
            for (index, element) in elements.iter().take(elements_max).enumerate() {
                number.clear();
                // Writing to a text does not fail.
                let _ = write!(number, "{index}");
                step(&number, "*", element);
            }
        }
        _ => {}
    }
}

/// Tells whether a name is one that a programmer gave, and not an identifier or a text that is data.
fn is_name(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$' | b'@');
    (1..=MAX_NAME_LENGTH).contains(&name.len())
        && name.bytes().all(is_word)
        && name.bytes().filter(u8::is_ascii_digit).count() <= MAX_NAME_DIGITS
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
