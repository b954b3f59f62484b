//! Cleaning: gaps are filled, isolated spikes are cut, and nothing else is touched.
//!
//! A spike is one point far above everything near it that comes back at once, and that did not come at the same time of
//! another season either: whatever lasts two steps or returns is taken to be true.

use serde::{Deserialize, Serialize};

use super::statistics::median_of;

/// A series without gaps and isolated spikes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cleaned {
    /// The values, from the first that was observed, or from the end of the last long gap.
    pub values: Vec<f64>,
    /// Points that were missing and are interpolated.
    pub filled_count: usize,
    /// Points that were cut.
    pub spike_count: usize,
    /// Points before a long gap, which are left out.
    pub left_out_count: usize,
}

/// A spike is so many times as high as the highest of its neighbours.
const SPIKE_FACTOR: f64 = 3.0;

/// Neighbours on each side.
const NEIGHBOURS: usize = 4;

/// The last point has no neighbour to come back to; it must be so many times as high as all of the last season.
const LAST_FACTOR: f64 = 4.0;

/// After a long gap so many seasons-quarters must remain for the time before it to be left out.
const REMAINS_MIN: usize = 8;

/// Cleans a series; it begins with its first observation and ends with its last.
pub fn clean(values: &[Option<f64>], season: usize) -> Cleaned {
    let known = |value: &Option<f64>| value.is_some();
    let (Some(first), Some(last)) = (values.iter().position(known), values.iter().rposition(known)) else {
        return Cleaned::default();
    };
    let values = &values[first..=last];
    let start = after_long_gap(values, season);
    let mut cleaned = Cleaned { left_out_count: start, ..fill(&values[start..]) };
    cleaned.spike_count = cut_spikes(&mut cleaned.values, season);
    cleaned
}

/// Returns where the time after the last long gap begins; the start where too little would remain.
fn after_long_gap(values: &[Option<f64>], season: usize) -> usize {
    let gap_max = (season / 4).max(3);
    let (mut missing, mut start) = (0, 0);
    for (place, value) in values.iter().enumerate() {
        if value.is_none() {
            missing += 1;
            continue;
        }
        if missing > gap_max {
            start = place;
        }
        missing = 0;
    }
    if values.len() - start < REMAINS_MIN.max(season / 2) { 0 } else { start }
}

/// Joins the observed points by straight lines.
fn fill(values: &[Option<f64>]) -> Cleaned {
    let mut cleaned = Cleaned::default();
    let mut before = None;
    for (place, value) in values.iter().enumerate() {
        let Some(value) = *value else { continue };
        if let Some((from, start)) = before {
            for missing in from + 1..place {
                let way = (missing - from) as f64 / (place - from) as f64;
                cleaned.values.push(start + (value - start) * way);
                cleaned.filled_count += 1;
            }
        }
        cleaned.values.push(value);
        before = Some((place, value));
    }
    cleaned
}

/// Puts the median of the neighbours in the place of isolated spikes; returns how many there were.
fn cut_spikes(values: &mut [f64], season: usize) -> usize {
    // Of few points nobody can say what is usual, and the test is one of multiples.
    if values.len() < 2 * NEIGHBOURS || values.iter().any(|value| *value < 0.0) {
        return 0;
    }
    let spikes: Vec<(usize, f64)> =
        (0..values.len()).filter_map(|place| Some((place, instead(values, place, season)?))).collect();
    for (place, value) in &spikes {
        values[*place] = *value;
    }
    spikes.len()
}

/// Returns what to put in the place of a point if it is an isolated spike.
fn instead(values: &[f64], place: usize, season: usize) -> Option<f64> {
    let value = values[place];
    let from = place.saturating_sub(NEIGHBOURS);
    let until = (place + NEIGHBOURS + 1).min(values.len());
    let mut near: Vec<f64> = (from..until).filter(|&other| other != place).map(|other| values[other]).collect();
    near.sort_by(f64::total_cmp);
    // A second spike near by must not hide the first.
    let high = near[near.len() - 1 - usize::from(near.len() > NEIGHBOURS)];
    let beside = [place.checked_sub(1), Some(place + 1)].into_iter().flatten().filter_map(|other| values.get(other));
    let beside = beside.copied().fold(0.0, f64::max);
    if value <= SPIKE_FACTOR * high || value <= SPIKE_FACTOR * beside {
        return None;
    }
    if place + 1 == values.len() {
        let year = &values[values.len().saturating_sub(season.max(2 * NEIGHBOURS) + 1)..place];
        let highest = year.iter().copied().fold(0.0, f64::max);
        if value <= LAST_FACTOR * highest {
            return None;
        }
    }
    if returns(values, place, season) {
        return None;
    }
    let usual = median_of(&mut near);
    (usual > 0.0).then_some(usual)
}

/// Tells whether it was about as high at the same time of another season.
fn returns(values: &[f64], place: usize, season: usize) -> bool {
    let level = values[place] / 2.0;
    let times = [place.checked_sub(season), Some(place + season)];
    times.into_iter().flatten().any(|time| {
        let around = time.saturating_sub(1)..(time + 2).min(values.len());
        time < values.len() && values[around].iter().any(|value| *value > level)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    fn wave(count: usize) -> Vec<f64> {
        (0..count).map(|week| 20.0 + 5.0 * (week as f64 / 8.0).sin()).collect()
    }

    #[test]
    fn gaps_are_joined_and_births_begin_with_the_first_value() {
        let cleaned = clean(&[None, Some(1.0), None, None, Some(4.0), Some(5.0), None], 52);
        assert_eq!((cleaned.values, cleaned.filled_count), (vec![1.0, 2.0, 3.0, 4.0, 5.0], 2));
    }

    #[test]
    fn what_lies_before_a_long_gap_is_left_out_if_enough_remains() {
        let mut values = some(&wave(100));
        values[20..45].fill(None);
        assert_eq!(clean(&values, 52).left_out_count, 45);
        values[45..90].fill(None);
        assert_eq!(clean(&values, 52).left_out_count, 0);
    }

    #[test]
    fn an_isolated_spike_is_cut_inside_and_at_the_end() {
        for place in [0, 30, 59] {
            let mut values = wave(60);
            values[place] *= 10.0;
            let cleaned = clean(&some(&values), 52);
            assert_eq!(cleaned.spike_count, 1, "at {place}");
            assert!((cleaned.values[place] - wave(60)[place]).abs() < 5.0);
        }
    }

    #[test]
    fn a_burst_of_two_weeks_and_one_that_returns_every_year_are_true() {
        let mut burst = wave(60);
        burst[30] = 200.0;
        burst[31] = 150.0;
        assert_eq!(clean(&some(&burst), 52).spike_count, 0);
        let mut yearly = wave(160);
        for year in 0..3 {
            yearly[20 + 52 * year] = 200.0;
        }
        assert_eq!(clean(&some(&yearly), 52).spike_count, 0);
    }

    #[test]
    fn a_level_that_breaks_and_stays_is_true() {
        for factor in [8.0, 0.05] {
            let broken: Vec<f64> = wave(60)
                .iter()
                .enumerate()
                .map(|(week, value)| if week < 40 { *value } else { factor * value })
                .collect();
            let cleaned = clean(&some(&broken), 52);
            assert_eq!((cleaned.spike_count, cleaned.values), (0, broken), "by {factor}");
        }
    }

    #[test]
    fn nothing_and_zeros_stay_what_they_are() {
        assert_eq!(clean(&[None, None], 52), Cleaned::default());
        assert_eq!(clean(&some(&[0.0; 30]), 52).values, [0.0; 30]);
        let mut once = [0.0; 30];
        once[12] = 1.0;
        assert_eq!(clean(&some(&once), 52).values, once);
    }
}
