//! Gathers what the rows of a file say: values of tracked keywords, the names of the others, and rows that were set aside.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use digitallz_common::marketplace::Site;
use digitallz_common::observation::{Metric, Observed};

use super::table::{Row, line_pointer};
use super::{Surroundings, cells};
use crate::reading::{Extent, KeywordObservation, Problem, QuarantinedRow, Reading};
use crate::tables::packing::pointer;

/// Rows set aside that are kept; of more, only the number.
const KEPT_MAX: usize = 1_000;

/// Most values that are taken from one file.
const OBSERVATIONS_MAX: usize = 2_000_000;

/// Keywords that are remembered; a file may hold millions of search terms.
const NAMES_MAX: usize = 50_000;

/// The keywords of a file.
#[derive(Clone, Debug, Default)]
pub struct FoundKeywords {
    /// Those that nobody tracks, by normal form, as they stand in the file first; at most 50,000.
    pub untracked: BTreeMap<String, String>,
    /// True when there were more than are remembered.
    pub is_cut: bool,
    /// Tracked keywords of which it says something.
    pub tracked_count: usize,
}

/// What was gathered so far.
pub(super) struct Gathering<'a> {
    surroundings: Surroundings<'a>,
    part: String,
    observations: Vec<KeywordObservation>,
    places: HashMap<(i64, Metric, NaiveDate), usize>,
    tracked: HashSet<i64>,
    untracked: BTreeMap<String, String>,
    is_cut: bool,
    quarantined: Vec<QuarantinedRow>,
    quarantined_count: u64,
    row_count: u64,
    untracked_row_count: u64,
    is_too_large: bool,
}

impl<'a> Gathering<'a> {
    /// Begins with nothing.
    pub(super) fn new(surroundings: Surroundings<'a>) -> Gathering<'a> {
        Gathering {
            surroundings,
            part: String::new(),
            observations: Vec::new(),
            places: HashMap::new(),
            tracked: HashSet::new(),
            untracked: BTreeMap::new(),
            is_cut: false,
            quarantined: Vec::new(),
            quarantined_count: 0,
            row_count: 0,
            untracked_row_count: 0,
            is_too_large: false,
        }
    }

    /// Returns the site that the file is about.
    pub(super) fn site(&self) -> &'a Site {
        self.surroundings.site
    }

    /// Begins a table.
    pub(super) fn begin_part(&mut self, name: &str) {
        self.part = name.to_owned();
    }

    /// Returns the name of the table that is being read.
    pub(super) fn part_name(&self) -> String {
        self.part.clone()
    }

    /// Counts a row, whatever becomes of it.
    pub(super) fn count_row(&mut self) {
        self.row_count += 1;
    }

    /// Returns the tracked keyword of a cell; others are remembered by name.
    pub(super) fn keyword(&mut self, cell: &str) -> Result<Option<i64>, Problem> {
        let keyword = cells::keyword(cell)?;
        if let Some(known) = self.surroundings.tracked.get(keyword.as_str()) {
            self.tracked.insert(known.keyword_id);
            return Ok(Some(known.keyword_id));
        }
        let is_full = self.untracked.len() >= NAMES_MAX;
        match self.untracked.entry(keyword.as_str().to_owned()) {
            Entry::Occupied(_) => {}
            Entry::Vacant(_) if is_full => self.is_cut = true,
            Entry::Vacant(vacant) => {
                vacant.insert(cell.to_owned());
            }
        }
        Ok(None)
    }

    /// Counts a row about a keyword that nobody tracks.
    pub(super) fn count_untracked(&mut self) {
        self.untracked_row_count += 1;
    }

    /// Takes up what a row says of a tracked keyword, all of it or nothing.
    ///
    /// The same value twice is one value; two different ones for the same keyword, metric and time contradict each other.
    pub(super) fn add(&mut self, said: Vec<KeywordObservation>) -> Result<(), Problem> {
        let mut new = Vec::with_capacity(said.len());
        for mut one in said {
            if one.period.start_date() > self.surroundings.imported_at.date_naive() {
                return Err(Problem::at("", format!("{} lies after the import", one.period.start_date())));
            }
            if one.period.observed_at() > self.surroundings.imported_at {
                one.observed = Observed::Unavailable("the period was not over when the file was imported");
            }
            match self.places.get(&key(&one)).map(|place| &self.observations[*place]) {
                None => new.push(one),
                Some(known) if *known == one => {}
                Some(_) => {
                    let (metric, date) = (one.metric.name(), one.period.start_date());
                    let text = format!("another row gives the keyword another {metric} for {date}");
                    return Err(Problem::at("", text));
                }
            }
        }
        self.is_too_large |= self.observations.len() + new.len() > OBSERVATIONS_MAX;
        if self.is_too_large {
            return Ok(());
        }
        for one in new {
            self.places.insert(key(&one), self.observations.len());
            self.observations.push(one);
        }
        Ok(())
    }

    /// Takes up what a row says, or sets it aside.
    pub(super) fn add_or_set_aside(&mut self, row: &Row, said: Vec<KeywordObservation>) {
        if let Err(problem) = self.add(said) {
            self.set_aside(row, &problem);
        }
    }

    /// Sets a row aside.
    pub(super) fn set_aside(&mut self, row: &Row, problem: &Problem) {
        let json_pointer = format!("{}{}", pointer(&self.part), line_pointer(row.line));
        self.push_aside(json_pointer, problem, row.text());
    }

    /// Sets a whole table aside, and counts it as a row.
    pub(super) fn set_part_aside(&mut self, name: &str, problem: &Problem) {
        self.count_row();
        self.push_aside(pointer(name), problem, String::new());
    }

    fn push_aside(&mut self, json_pointer: String, problem: &Problem, row_text: String) {
        self.quarantined_count += 1;
        if self.quarantined.len() < KEPT_MAX {
            self.quarantined.push(QuarantinedRow {
                json_pointer,
                reason: problem.to_string(),
                row_text,
                extent: Extent::Row,
            });
        }
    }

    /// Returns what was wrong first.
    pub(super) fn first_problem(&self) -> Option<Problem> {
        self.quarantined.first().map(|row| Problem::at(row.json_pointer.clone(), row.reason.clone()))
    }

    /// Ends the gathering. A file of which most is broken is not what it was taken for.
    pub(super) fn into_reading(self) -> Result<(Reading, FoundKeywords), Problem> {
        let is_all = self.quarantined_count == self.row_count;
        let is_most = self.quarantined_count > KEPT_MAX as u64 && self.quarantined_count > self.row_count / 2;
        if let (true, Some(first)) = (is_all || is_most, self.first_problem()) {
            let text =
                format!("{} of {} rows cannot be read, the first: {first}", self.quarantined_count, self.row_count);
            return Err(Problem::at("", text));
        }
        if self.row_count == 0 {
            return Err(Problem::at("", "it has a header and no rows"));
        }
        if self.is_too_large {
            let text = format!("it holds more than {OBSERVATIONS_MAX} values of tracked keywords; split it");
            return Err(Problem::at("", text));
        }
        let further = self.quarantined_count - self.quarantined.len() as u64;
        let reading = Reading {
            observations: self.observations,
            quarantined: self.quarantined,
            further_quarantined_row_count: i32::try_from(further).unwrap_or(i32::MAX),
            row_count: i32::try_from(self.row_count).unwrap_or(i32::MAX),
            untracked_row_count: i32::try_from(self.untracked_row_count).unwrap_or(i32::MAX),
            ..Reading::default()
        };
        let keywords =
            FoundKeywords { untracked: self.untracked, is_cut: self.is_cut, tracked_count: self.tracked.len() };
        Ok((reading, keywords))
    }
}

/// What there can be one value of in a payload.
fn key(one: &KeywordObservation) -> (i64, Metric, NaiveDate) {
    (one.keyword_id, one.metric, one.period.start_date())
}
