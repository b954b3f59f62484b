//! The search terms report: gigabytes of rows, read as a stream in constant memory.
//!
//! A row is one of the up to three most clicked listings of a search term in a department and week. Ranks compare
//! within a department only, so of several departments the one named after the whole site (`Amazon.com`) counts; where
//! the report has no such department at all, the one in which the search term ranks best. The order of the rows does
//! not matter.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io::Read;

use digitallz_common::observation::{Metric, Observed, Period};
use serde_json::value::RawValue;

use super::payload::{SearchTermOnly, SearchTermRow};
use super::report_head::{self, Contents};
use super::report_stream::stream;
use super::set_aside::SetAside;
use crate::guard::Guard;
use crate::reading::{KeywordObservation, Problem, ReadError, Reading, TrackedKeywords};
use crate::rows;
use crate::words;

const REPORT_TYPE: &str = "GET_BRAND_ANALYTICS_SEARCH_TERMS_REPORT";
const ROWS: &str = "/dataByDepartmentAndSearchTerm";
const RANK: Metric = Metric::SearchFrequencyRank;
/// Largest rank that is believed; reports hold some million search terms.
const MAX_RANK: u64 = 1_000_000_000;
/// Sums of shares may exceed the whole by this much, because each share is rounded.
const ROUNDING: f64 = 0.001;

/// Reads a report document, packed or not, or the answer that says that a report was cancelled.
pub(super) fn search_terms_report(
    body: impl Read,
    tracked: &TrackedKeywords,
    guard: &mut Guard<'_>,
) -> Result<Reading, ReadError> {
    let mut rows = Rows::new(tracked);
    let head = stream(body, |raw_row| rows.take_up(guard, raw_row))?;
    guard.look_at_frame(&head.frame);

    match report_head::contents(head, REPORT_TYPE, ROWS)? {
        Contents::Rows(period) if rows.row_count > 0 => {
            rows.set_aside.check(ROWS, rows.row_count)?;
            Ok(rows.into_reading(period))
        }
        Contents::Rows(period) => Ok(report_head::no_data(tracked, RANK, period, "the report has no rows")),
        Contents::NoData(period, reason) => Ok(report_head::no_data(tracked, RANK, period, reason)),
    }
}

/// What is kept of the rows: of tracked keywords everything, of the rest their number.
struct Rows<'keywords> {
    tracked: &'keywords TrackedKeywords,
    standings: HashMap<i64, (Standing, TopThree)>,
    broken_keywords: HashSet<i64>,
    set_aside: SetAside,
    row_count: u64,
    untracked_row_count: u64,
    /// The last rank of the whole site; nothing where the report is of departments only.
    last_rank_of_site: Option<u64>,
    /// The search term before this one: the rows of one stand together as a rule, and most are looked up thrice.
    last_search_term: String,
    last_keyword_id: Option<i64>,
}

/// Where a search term stands in a department; the first in order is the one that counts.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    is_part_of_site: bool,
    search_frequency_rank: u64,
    department_name: String,
}

/// Click share and conversion share of the three most clicked listings.
type TopThree = [Option<(f64, f64)>; 3];

impl<'keywords> Rows<'keywords> {
    fn new(tracked: &'keywords TrackedKeywords) -> Rows<'keywords> {
        Rows {
            tracked,
            standings: HashMap::new(),
            broken_keywords: HashSet::new(),
            set_aside: SetAside::default(),
            row_count: 0,
            untracked_row_count: 0,
            last_rank_of_site: None,
            last_search_term: String::new(),
            last_keyword_id: None,
        }
    }

    /// Takes up one row, or sets it aside.
    fn take_up(&mut self, guard: &mut Guard<'_>, raw_row: &RawValue) {
        let index = self.row_count;
        self.row_count += 1;
        let row = match guard.row::<SearchTermRow>(raw_row, ROWS, index).and_then(|row| check(&row).map(|()| row)) {
            Ok(row) => row,
            Err(problem) => return self.set_aside(index, &problem, raw_row),
        };
        let is_part_of_site = !is_whole_site(&row.department_name);
        if !is_part_of_site {
            self.last_rank_of_site = self.last_rank_of_site.max(Some(row.search_frequency_rank));
        }
        match self.keyword_id(&row.search_term) {
            None => self.untracked_row_count += 1,
            Some(keyword_id) => {
                let standing = Standing {
                    is_part_of_site,
                    search_frequency_rank: row.search_frequency_rank,
                    department_name: row.department_name.into_owned(),
                };
                if let Some(top_three) = self.top_three(keyword_id, standing) {
                    let place = &mut top_three[row.click_share_rank as usize - 1];
                    *place = Some(larger(*place, (row.click_share, row.conversion_share)));
                }
            }
        }
    }

    /// Returns the entries of a standing, unless a standing that comes before it is known; later ones are forgotten.
    fn top_three(&mut self, keyword_id: i64, standing: Standing) -> Option<&mut TopThree> {
        match self.standings.entry(keyword_id) {
            Entry::Vacant(vacant) => Some(&mut vacant.insert((standing, TopThree::default())).1),
            Entry::Occupied(occupied) => {
                let known = occupied.into_mut();
                match standing.cmp(&known.0) {
                    Ordering::Greater => return None,
                    Ordering::Equal => {}
                    Ordering::Less => *known = (standing, TopThree::default()),
                }
                Some(&mut known.1)
            }
        }
    }

    /// Returns the tracked keyword of a search term.
    fn keyword_id(&mut self, search_term: &str) -> Option<i64> {
        if self.last_search_term != search_term {
            let keyword_text = words::keyword_text(search_term);
            self.last_keyword_id = keyword_text.and_then(|text| self.tracked.get(&text)).map(|known| known.keyword_id);
            self.last_search_term.clear();
            self.last_search_term.push_str(search_term);
        }
        self.last_keyword_id
    }

    fn set_aside(&mut self, index: u64, problem: &Problem, raw_row: &RawValue) {
        self.set_aside.push(ROWS, index, problem, raw_row);
        if let Ok(row) = rows::row::<SearchTermOnly>(raw_row) {
            let keyword_id = self.keyword_id(&row.search_term);
            self.broken_keywords.extend(keyword_id);
        }
    }

    /// Says of every tracked keyword where it stands, or that it does not.
    fn into_reading(mut self, period: Period) -> Reading {
        let mut observations = Vec::new();
        for keyword in self.tracked.sorted() {
            let standing = self.standings.remove(&keyword.keyword_id);
            // A rank within a department does not compare with a rank within the whole site.
            let standing =
                standing.filter(|(standing, _)| !(self.last_rank_of_site.is_some() && standing.is_part_of_site));
            let mut add = |metric, observed| {
                observations.push(KeywordObservation::new(keyword.keyword_id, metric, observed, period));
            };
            match standing {
                Some((standing, top_three)) => {
                    let rank = Observed::Value(standing.search_frequency_rank as f64);
                    add(Metric::SearchFrequencyRank, rank);
                    add(Metric::TopClickShare, share(top_three.iter().flatten().map(|(clicks, _)| *clicks)));
                    add(Metric::TopConversionShare, share(top_three.iter().flatten().map(|(_, buys)| *buys)));
                }
                None if self.broken_keywords.contains(&keyword.keyword_id) => {
                    let reason = "the rows of the search term could not be read";
                    add(Metric::SearchFrequencyRank, Observed::Unavailable(reason));
                }
                None if keyword.is_active => {
                    let reason = "not in the week's list of search terms";
                    add(Metric::SearchFrequencyRank, Observed::BelowThreshold(reason));
                    if let Some(last_rank) = self.last_rank_of_site {
                        add(Metric::SearchTermListEnd, Observed::Value(last_rank as f64));
                    }
                }
                None => {}
            }
        }
        let (quarantined, further_quarantined_row_count) = self.set_aside.into_parts();
        Reading {
            observations,
            quarantined,
            further_quarantined_row_count,
            row_count: i32::try_from(self.row_count).unwrap_or(i32::MAX),
            untracked_row_count: i32::try_from(self.untracked_row_count).unwrap_or(i32::MAX),
            ..Reading::default()
        }
    }
}

/// Checks what the types cannot say.
fn check(row: &SearchTermRow<'_>) -> Result<(), Problem> {
    if !(1..=MAX_RANK).contains(&row.search_frequency_rank) {
        return Err(Problem::at("/searchFrequencyRank", format!("{} is not a rank", row.search_frequency_rank)));
    }
    if !(1..=3).contains(&row.click_share_rank) {
        return Err(Problem::at("/clickShareRank", format!("{} is not 1, 2 or 3", row.click_share_rank)));
    }
    for (share, json_pointer) in [(row.click_share, "/clickShare"), (row.conversion_share, "/conversionShare")] {
        if !(0.0..=1.0).contains(&share) {
            return Err(Problem::at(json_pointer, format!("{share} is not a share")));
        }
    }
    Ok(())
}

/// Tells whether a department is the whole site, for example `Amazon.com` or `Amazon.de`.
fn is_whole_site(department_name: &str) -> bool {
    department_name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("amazon."))
}

/// Returns the larger of two entries for the same place, so that their order does not matter.
fn larger(place: Option<(f64, f64)>, entry: (f64, f64)) -> (f64, f64) {
    let Some(place) = place else { return entry };
    match place.0.total_cmp(&entry.0).then(place.1.total_cmp(&entry.1)) {
        Ordering::Less => entry,
        _ => place,
    }
}

/// Returns the sum of shares of one whole.
fn share(shares: impl Iterator<Item = f64>) -> Observed {
    let sum = shares.fold(0.0, |sum, share| sum + share);
    match sum <= 1.0 + ROUNDING {
        true => Observed::Value(sum.min(1.0)),
        false => Observed::Unavailable("the shares of the top three exceed the whole"),
    }
}
