//! Holds the rows of a payload against the contract of their source, and learns the payload's shape as they pass by.
//!
//! | mode | a field that is not known | a field whose type changed |
//! | --- | --- | --- |
//! | evolve | is not looked at | costs its row where it is read |
//! | freeze | costs the payload | costs the payload |
//! | discard row | costs its row | costs its row |
//! | discard value | is not looked at | counts as absent, and is set aside by itself |
//!
//! What is around the rows belongs to no row, so there only freeze refuses anything.

mod discard;

use digitallz_common::source_contract::{JsonType, KnownFields, Mode, SourceContract};
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::drift::shape::{self, Place, Shape};
use crate::reading::{Extent, Problem, QuarantinedRow, ReadError, Reading};
use crate::rows;

/// Values of one payload that are kept; of more, only the number.
const MAX_DISCARDED: usize = 1_000;

/// A row of a marketplace as its reader takes it.
pub(crate) trait Row<'a>: Deserialize<'a> {
    /// Fields whose absence says something, such as that there are no bids: without them the row says what it does not
    /// mean, so it is set aside when one of them cannot be read.
    const TELLING: &'static [&'static str] = &[];

    /// Whether it holds what people wrote, which is in the raw payload and nowhere else.
    const IS_PERSONAL: bool = false;
}

/// What looks at the rows of one payload.
pub(crate) struct Guard<'contract> {
    contract: &'contract SourceContract,
    looks_at_every_row: bool,
    shape: Shape,
    refusal: Option<Problem>,
    discarded: Vec<QuarantinedRow>,
    discarded_count: usize,
}

impl<'contract> Guard<'contract> {
    /// Starts with a payload of which nothing was looked at.
    pub(crate) fn new(contract: &'contract SourceContract) -> Guard<'contract> {
        Guard {
            contract,
            looks_at_every_row: false,
            shape: Shape::default(),
            refusal: None,
            discarded: Vec::new(),
            discarded_count: 0,
        }
    }

    /// Lets the shape be that of every row, not of a few.
    pub(crate) fn of_every_row(self) -> Guard<'contract> {
        Guard { looks_at_every_row: true, ..self }
    }

    /// Reads what is around the rows, which are left as they stand in the field `rows_name`.
    pub(crate) fn frame<'a, Frame: Deserialize<'a>>(
        &mut self,
        body: &'a [u8],
        rows_name: &'static str,
    ) -> Result<Frame, Problem> {
        let mut json = serde_json::Deserializer::from_slice(rows::without_byte_order_mark(body));
        let around = serde::Deserializer::deserialize_map(&mut json, Around { rows_name });
        if let Ok(around) = &around {
            self.look_at_frame(around);
        }
        let frame = rows::frame(body)?;
        if let Err(error) = around {
            self.cannot_look_at("", &error)?;
        }
        Ok(frame)
    }

    /// Looks at what is around the rows.
    pub(crate) fn look_at_frame(&mut self, around: &Value) {
        self.shape.frames.add("", around);
        if let Some(found) = self.violations(around, "").into_iter().find(|found| found.mode == Mode::Freeze) {
            self.refuse(found.problem, "");
        }
    }

    /// Reads a row of the list at `rows_pointer`, or says where it breaks the contract.
    pub(crate) fn row<'a, R: Row<'a>>(
        &mut self,
        raw_row: &'a RawValue,
        rows_pointer: &str,
        index: u64,
    ) -> Result<R, Problem> {
        self.read_row(raw_row, Standing::In { rows_pointer, index })
    }

    /// Reads a payload that is one row.
    pub(crate) fn document<'a, R: Row<'a>>(&mut self, body: &'a [u8]) -> Result<R, Problem> {
        let raw_row: &RawValue = rows::document(rows::without_byte_order_mark(body))?;
        self.read_row(raw_row, Standing::Alone)
    }

    /// Returns how many values were set aside so far.
    pub(crate) fn discarded_count(&self) -> usize {
        self.discarded_count
    }

    /// Adds what was set aside to a reading, or refuses it; the shape is that of what was looked at, either way.
    pub(crate) fn close(mut self, outcome: Result<Reading, ReadError>) -> (Result<Reading, ReadError>, Shape) {
        if let Some(problem) = self.refusal {
            return (Err(problem.into()), self.shape);
        }
        let further = self.discarded_count - self.discarded.len();
        if further > 0 {
            self.discarded.push(QuarantinedRow {
                json_pointer: "/-".to_owned(),
                reason: format!("{further} further values were set aside"),
                row_text: String::new(),
                extent: Extent::Value,
            });
        }
        let reading = outcome.map(|mut reading| {
            reading.quarantined.append(&mut self.discarded);
            reading
        });
        (reading, self.shape)
    }

    fn read_row<'a, R: Row<'a>>(&mut self, raw_row: &'a RawValue, standing: Standing<'_>) -> Result<R, Problem> {
        let is_looked_at = self.looks_at_every_row || standing.is_sampled();
        if is_looked_at || self.is_held() {
            match serde_json::from_str::<Value>(raw_row.get()) {
                Ok(value) => {
                    let path = standing.path();
                    if is_looked_at {
                        self.shape.rows.add(&path, &value);
                    }
                    self.hold(&value, &standing, &path)?;
                }
                Err(error) => self.cannot_look_at(&standing.pointer(), &error)?,
            }
        }
        // The quick way does not know where it fails, so a row that fails is read once more.
        if let Ok(rows::Named(row)) = serde_json::from_str(raw_row.get()) {
            return Ok(row);
        }
        let problem = match rows::row(raw_row) {
            Ok(row) => return Ok(row),
            Err(problem) => problem,
        };
        match self.contract.types {
            Mode::Evolve | Mode::DiscardRow => Err(problem),
            Mode::Freeze => {
                let text = if R::IS_PERSONAL { rows::untold(problem.clone()) } else { problem.clone() };
                self.refuse(text, &standing.pointer());
                Err(problem)
            }
            Mode::DiscardValue => {
                let (row, discarded) = discard::without_values(raw_row, &standing.pointer(), problem)?;
                self.discarded_count += discarded.len();
                let room = MAX_DISCARDED.saturating_sub(self.discarded.len());
                self.discarded.extend(discarded.into_iter().take(room));
                Ok(row)
            }
        }
    }

    /// Tells whether every row is held against what is known.
    fn is_held(&self) -> bool {
        self.contract.unknown_fields.refuses() || self.contract.types.refuses()
    }

    /// Holds a row against what is known.
    fn hold(&mut self, value: &Value, standing: &Standing<'_>, path: &str) -> Result<(), Problem> {
        let mut violations = self.violations(value, path);
        if violations.is_empty() {
            return Ok(());
        }
        let gravest = violations.iter().position(|found| found.mode == Mode::Freeze).unwrap_or(0);
        let found = violations.swap_remove(gravest);
        if found.mode == Mode::Freeze {
            self.refuse(found.problem.clone(), &standing.pointer());
        }
        Err(found.problem)
    }

    /// Returns the first field that is not known and the first whose type changed, as far as their modes refuse them.
    fn violations(&self, value: &Value, path: &str) -> Vec<Violation> {
        let Some(known) = self.contract.known_fields.as_ref().filter(|_| self.is_held()) else { return Vec::new() };
        let (mut unknown, mut changed) = (None, None);
        let mut place = Place { json_pointer: String::new(), path: path.to_owned() };
        shape::walk(value, &mut place, usize::MAX, 0, &mut |place, json_type| {
            if place.path.is_empty() {
                return true;
            }
            match problem_with(known, place, json_type) {
                None => return true,
                Some((true, problem)) => unknown.get_or_insert(problem),
                Some((false, problem)) => changed.get_or_insert(problem),
            };
            false
        });
        let with_modes = [(unknown, self.contract.unknown_fields), (changed, self.contract.types)];
        let refused = with_modes.into_iter().filter(|(_, mode)| mode.refuses());
        refused.filter_map(|(problem, mode)| Some(Violation { problem: problem?, mode })).collect()
    }

    /// Refuses the payload for the first problem that is found, whose place is within what stands at `pointer`.
    fn refuse(&mut self, problem: Problem, pointer: &str) {
        let problem = Problem { json_pointer: format!("{pointer}{}", problem.json_pointer), ..problem };
        self.refusal.get_or_insert(problem);
    }

    /// What cannot be looked at must not pass where everything is to be looked at.
    fn cannot_look_at(&mut self, pointer: &str, error: &serde_json::Error) -> Result<(), Problem> {
        if !self.is_held() {
            return Ok(());
        }
        let problem = Problem::at("", format!("it cannot be held against the contract: {error}"));
        if [self.contract.unknown_fields, self.contract.types].contains(&Mode::Freeze) {
            self.refuse(problem.clone(), pointer);
        }
        Err(problem)
    }
}

/// Where a row stands in its payload.
enum Standing<'a> {
    /// In a list.
    In { rows_pointer: &'a str, index: u64 },
    /// It is the payload.
    Alone,
}

impl Standing<'_> {
    fn is_sampled(&self) -> bool {
        match self {
            Standing::In { index, .. } => shape::is_sampled(*index),
            Standing::Alone => true,
        }
    }

    fn pointer(&self) -> String {
        match self {
            Standing::In { rows_pointer, index } => format!("{rows_pointer}/{index}"),
            Standing::Alone => String::new(),
        }
    }

    fn path(&self) -> String {
        match self {
            Standing::In { rows_pointer, .. } => format!("{rows_pointer}/*"),
            Standing::Alone => String::new(),
        }
    }
}

/// A field that is refused.
struct Violation {
    problem: Problem,
    mode: Mode,
}

/// Says what is wrong with a field, and whether that is that nobody knows it.
fn problem_with(known: &KnownFields, place: &Place, json_type: JsonType) -> Option<(bool, Problem)> {
    let Some(types) = known.get(&place.path) else {
        return Some((true, Problem::at(place.json_pointer.as_str(), "the contract knows no such field")));
    };
    // Of a field that was always null nothing is known.
    let is_known =
        json_type == JsonType::Null || types.contains(&json_type) || types.iter().all(|known| *known == JsonType::Null);
    if is_known {
        return None;
    }
    let expected: Vec<&str> = types.iter().map(|known| known.name()).collect();
    let text = format!("it is of type {}, the contract says {}", json_type.name(), expected.join(" or "));
    Some((false, Problem::at(place.json_pointer.as_str(), text)))
}

/// Reads the fields of an answer, but not its rows.
struct Around {
    rows_name: &'static str,
}

impl<'de> Visitor<'de> for Around {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<Fields: MapAccess<'de>>(self, mut fields: Fields) -> Result<Value, Fields::Error> {
        let mut around = serde_json::Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if name == self.rows_name {
                fields.next_value::<IgnoredAny>()?;
            } else {
                around.insert(name, fields.next_value()?);
            }
        }
        Ok(Value::Object(around))
    }
}
