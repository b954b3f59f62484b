//! What the results of a keyword showed, week by week.

use std::collections::{BTreeMap, BTreeSet};

use super::{COHORT_WEEKS, HORIZON_WEEKS, LOOKS_MIN, Outcome};
use crate::series::WeekValue;

/// A listing that was listed longer ago than so many weeks when it was first seen is no newcomer.
const LISTED_WEEKS_MAX: i32 = 8;

/// Listings first seen in a week are new only when the weeks before were looked at: so many of four.
const LOOKS_BEFORE_MIN: usize = 3;

/// Where a listing stood among the results of a keyword.
#[derive(Clone, Debug, PartialEq)]
pub struct Appearance {
    /// The listing.
    pub listing_id: i64,
    /// The week in which it was listed, counted; where the marketplace tells it.
    pub listed_week: Option<i32>,
    /// The weeks in which it was seen, counted and ascending, each with its best position.
    pub weeks: Vec<(i32, i32)>,
}

/// The results of a keyword as far as they were looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// The keyword.
    pub keyword_id: i64,
    /// The weeks that were looked at, ascending.
    pub looks: Vec<Look>,
    /// The listings that were new, by the week in which they were first seen.
    pub newcomers: Vec<Newcomer>,
    /// The weeks that have a published score, ascending, with its components and the market.
    pub scores: Vec<WeekValue>,
}

/// A week in which the results were looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// The week, counted.
    pub week: i32,
    /// Share of the listings that were first seen within the last eight weeks, once there are so many.
    pub fresh_share: Option<f64>,
    /// Share of the listings that were not there four weeks before, where that week was looked at.
    pub turnover: Option<f64>,
    /// Mean of the logarithm of 1 + the weeks since each listing was first seen.
    pub tenure: f64,
}

/// A listing that was new among the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// The week in which it was first seen, counted.
    pub first_week: i32,
    /// The first week in which it stood at the top; none while it never did.
    pub top_week: Option<i32>,
}

impl Results {
    /// Gathers what the listings of a keyword say of its weeks. What it says of a week follows from no later week.
    pub fn gather(keyword_id: i64, top_positions: i32, appearances: &[Appearance]) -> Results {
        let mut pages: BTreeMap<i32, BTreeMap<i64, i32>> = BTreeMap::new();
        for appearance in appearances {
            for &(week, _) in &appearance.weeks {
                pages.entry(week).or_default().insert(appearance.listing_id, appearance.weeks[0].0);
            }
        }
        let looked: BTreeSet<i32> = pages.keys().copied().collect();
        let first_look = looked.first().copied().unwrap_or(0);
        let looks = pages
            .iter()
            .map(|(&week, page)| {
                let count = page.len() as f64;
                let share = |is_counted: &dyn Fn(i64, i32) -> bool| {
                    page.iter().filter(|&(&listing, &first)| is_counted(listing, first)).count() as f64 / count
                };
                let before = pages.get(&(week - COHORT_WEEKS));
                Look {
                    week,
                    fresh_share: (first_look <= week - HORIZON_WEEKS)
                        .then(|| share(&|_, first| first > week - HORIZON_WEEKS)),
                    turnover: before.map(|before| share(&|listing, _| !before.contains_key(&listing))),
                    tenure: page.values().map(|first| f64::from(week - first).ln_1p()).sum::<f64>() / count,
                }
            })
            .collect();
        let mut newcomers: Vec<Newcomer> = appearances
            .iter()
            .filter(|appearance| is_new(appearance, &looked))
            .map(|appearance| Newcomer {
                first_week: appearance.weeks[0].0,
                top_week: appearance.weeks.iter().find(|(_, position)| *position <= top_positions).map(|at| at.0),
            })
            .collect();
        newcomers.sort_by_key(|newcomer| (newcomer.first_week, newcomer.top_week));
        Results { keyword_id, looks, newcomers, scores: Vec::new() }
    }

    /// Counts the newcomers of the four weeks after a week, and who of them came up within eight; none where the
    /// results were not looked at often enough.
    pub fn outcome(&self, after: i32) -> Option<Outcome> {
        let looks = self.looks_within(after, after + HORIZON_WEEKS);
        (looks.len() >= LOOKS_MIN).then(|| self.count(after, after + COHORT_WEEKS, after + HORIZON_WEEKS))
    }

    /// Counts the newcomers first seen after a week and until another, and who of them came up until a third.
    pub fn count(&self, after: i32, until: i32, came_up_until: i32) -> Outcome {
        let begin = self.newcomers.partition_point(|newcomer| newcomer.first_week <= after);
        let end = self.newcomers.partition_point(|newcomer| newcomer.first_week <= until);
        let cohort = &self.newcomers[begin..end];
        let came_up = |newcomer: &&Newcomer| newcomer.top_week.is_some_and(|week| week <= came_up_until);
        Outcome { newcomers: cohort.len() as u32, successes: cohort.iter().filter(came_up).count() as u32 }
    }

    /// Returns the looks after a week and until another.
    pub fn looks_within(&self, after: i32, until: i32) -> &[Look] {
        let begin = self.looks.partition_point(|look| look.week <= after);
        let end = self.looks.partition_point(|look| look.week <= until);
        &self.looks[begin..end]
    }
}

fn is_new(appearance: &Appearance, looked: &BTreeSet<i32>) -> bool {
    let first = appearance.weeks[0].0;
    let looks_before = looked.range(first - COHORT_WEEKS..first).count();
    let is_young = appearance.listed_week.is_none_or(|listed| first - listed <= LISTED_WEEKS_MAX);
    looks_before >= LOOKS_BEFORE_MIN && is_young
}
