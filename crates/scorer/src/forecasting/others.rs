//! What the others do, which a young series can borrow: how much they change, and the move that is usual at a time of the
//! year.
//!
//! Of two points nobody can say how much a series changes. The mean absolute change of a young series is taken together with
//! that of the others, in relation to their levels. And for every moment there are the moves that all series made from the
//! same moment of the seasons before, in what was their own mean absolute change until then, squeezed, averaged and stretched
//! again: nothing after the moment is looked at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::statistics::{mean, mean_absolute_change, median};
use super::windows::{change_sums, usable_scale};

/// Seasons that are looked back.
const SEASONS_BACK: i64 = 3;

/// Fewer moves than this are not usual.
const MOVES_MIN: usize = 8;

/// A series with fewer changes before a move does not tell what is large for it.
const CHANGES_MIN: usize = 12;

/// A series with fewer points is young.
const YOUNG: usize = 26;

/// What the others change counts as much as so many changes of a young series.
const BORROWED_CHANGES: f64 = 6.0;

/// What all series do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Others {
    plain: Usual,
    logarithmic: Usual,
}

/// What is usual on a scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Usual {
    /// The mean absolute change, in relation to the level; of logarithms as it is. Nothing where none is old enough.
    change: Option<f64>,
    /// The moves; nothing where nobody knows when they were.
    moves: Option<Moves>,
}

/// Moves from moment to moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Moves {
    /// By moment, one a horizon; nothing where too few moved. Only moments that have one: files may tell of distant times.
    by_moment: BTreeMap<i64, Vec<Option<f64>>>,
}

/// The values that are known of a series, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known<'a> {
    /// The values.
    pub values: &'a [f64],
    others: Option<&'a Others>,
    /// The moment of the last one, counted in steps.
    end: Option<i64>,
    is_logarithmic: bool,
}

impl Others {
    /// Learns from series, which end at these moments, counted in steps, where these are known; `season` is how many of them
    /// a season has.
    pub fn learn(all: &[&[f64]], ends: Option<&[i64]>, season: usize, horizons: usize) -> Others {
        let logs: Vec<Vec<f64>> = all
            .iter()
            .map(|values| {
                let is_positive = values.iter().all(|value| *value > 0.0);
                if is_positive { values.iter().map(|value| value.ln()).collect() } else { Vec::new() }
            })
            .collect();
        let logs: Vec<&[f64]> = logs.iter().map(Vec::as_slice).collect();
        let usual = |all: &[&[f64]], level: fn(&[f64]) -> f64| Usual {
            change: usual_change(all, level),
            moves: ends.map(|ends| Moves::learn(all, ends, season as i64, horizons)),
        };
        Others { plain: usual(all, level), logarithmic: usual(&logs, |_| 1.0) }
    }
}

/// Returns the mean of the sizes of values.
fn level(values: &[f64]) -> f64 {
    values.iter().map(|value| value.abs()).sum::<f64>() / values.len().max(1) as f64
}

fn usual_change(all: &[&[f64]], level: fn(&[f64]) -> f64) -> Option<f64> {
    let old = all.iter().filter(|values| values.len() >= YOUNG);
    let changes: Vec<f64> = old.map(|values| mean_absolute_change(values, 1) / level(values)).collect();
    let changes: Vec<f64> = changes.into_iter().filter(|change| change.is_finite() && *change > 0.0).collect();
    (!changes.is_empty()).then(|| median(&changes))
}

impl Moves {
    fn learn(all: &[&[f64]], ends: &[i64], season: i64, horizons: usize) -> Moves {
        // One series alone says nothing of others.
        let is_enough = all.len() * SEASONS_BACK as usize >= MOVES_MIN;
        let last = ends.iter().copied().max().unwrap_or(0);
        let mut sums: BTreeMap<i64, Vec<(f64, usize)>> = BTreeMap::new();
        for (values, &end) in all.iter().zip(ends).filter(|_| is_enough) {
            let start = end + 1 - values.len() as i64;
            let sums_of_changes = change_sums(values);
            // The mean of three values, less the season's noise.
            let around = |moment: i64| {
                let place = usize::try_from(moment - start).ok().filter(|place| *place + 1 < values.len())?;
                place.checked_sub(1).map(|before| mean(&values[before..place + 2]))
            };
            let scale_at = |moment: i64| {
                let place = usize::try_from(moment - start).ok().filter(|place| *place >= CHANGES_MIN)?;
                let scale = usable_scale(sums_of_changes[place] / place as f64, &values[..=place]);
                (scale > 0.0).then_some(scale)
            };
            // A series that is asked about later than all that was learnt still has most of a season before it.
            for moment in start + season..(end + SEASONS_BACK * season).min(last + season) {
                let of_moment = sums.entry(moment).or_insert_with(|| vec![(0.0, 0); horizons]);
                for (horizon, (sum, count)) in (1..).zip(of_moment) {
                    // As many seasons before as it takes for the move to be over.
                    let over = (horizon + 2 + season - 1) / season;
                    for back in over..over + SEASONS_BACK {
                        let from = moment - back * season;
                        let Some((before, after)) = around(from).zip(around(from + horizon)) else { continue };
                        let Some(scale) = scale_at(from + horizon) else { continue };
                        *sum += ((after - before) / scale).asinh();
                        *count += 1;
                    }
                }
            }
        }
        let usual = |(sum, count): (f64, usize)| (count >= MOVES_MIN).then(|| (sum / count as f64).sinh());
        let of_moment = |(moment, sums): (i64, Vec<(f64, usize)>)| (moment, sums.into_iter().map(usual).collect());
        let is_known = |(_, usual): &(i64, Vec<Option<f64>>)| usual.iter().any(Option::is_some);
        Moves { by_moment: sums.into_iter().map(of_moment).filter(is_known).collect() }
    }

    fn after(&self, moment: i64, horizon: usize) -> f64 {
        self.by_moment.get(&moment).and_then(|usual| usual[horizon - 1]).unwrap_or(f64::NAN)
    }
}

impl<'a> Known<'a> {
    /// Values of which nothing else is known.
    pub fn alone(values: &'a [f64]) -> Known<'a> {
        Known { values, others: None, end: None, is_logarithmic: false }
    }

    /// Values among others; `end` is the moment of the last one, where that is known.
    pub fn among(others: &'a Others, values: &'a [f64], end: Option<i64>) -> Known<'a> {
        Known { values, others: Some(others), end, is_logarithmic: false }
    }

    /// Returns some of the values.
    pub fn part(&self, from: usize, until: usize) -> Known<'a> {
        let later = (self.values.len() - until) as i64;
        Known { values: &self.values[from..until], end: self.end.map(|end| end - later), ..*self }
    }

    /// Returns the same moments with the logarithms of the values.
    pub fn with_logarithms<'b>(&self, logarithms: &'b [f64]) -> Known<'b>
    where
        'a: 'b,
    {
        Known { values: logarithms, others: self.others, end: self.end, is_logarithmic: true }
    }

    /// Returns the mean absolute change, of a young series together with that of the others; zero where only rounding is
    /// left of it.
    pub fn scale(&self) -> f64 {
        let change_count = self.values.len().saturating_sub(1);
        self.scale_of(mean_absolute_change(self.values, 1) * change_count as f64)
    }

    /// Returns the same, where the sum of the absolute changes is known.
    pub fn scale_of(&self, sum: f64) -> f64 {
        let change_count = self.values.len().saturating_sub(1) as f64;
        let borrowed = self.usual().and_then(|usual| usual.change).filter(|_| self.values.len() < YOUNG);
        let scale = match borrowed {
            Some(change) => {
                let change = if self.is_logarithmic { change } else { change * level(self.values) };
                (sum + BORROWED_CHANGES * change) / (change_count + BORROWED_CHANGES)
            }
            None => sum / change_count.max(1.0),
        };
        usable_scale(scale, self.values)
    }

    /// Returns the move that is usual after the last value, in mean absolute changes; no number where that is not known.
    pub fn usual_move(&self, horizon: usize) -> f64 {
        let moves = self.usual().and_then(|usual| usual.moves.as_ref());
        moves.zip(self.end).map_or(f64::NAN, |(moves, end)| moves.after(end, horizon))
    }

    fn usual(&self) -> Option<&'a Usual> {
        self.others.map(|others| if self.is_logarithmic { &others.logarithmic } else { &others.plain })
    }
}

impl std::ops::Deref for Known<'_> {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waves of one season, each with a size and a start of its own.
    fn waves(count: usize) -> (Vec<Vec<f64>>, Vec<i64>) {
        let of = |number: usize| -> Vec<f64> {
            (10 * number..160)
                .map(|week| (2.0 + number as f64) * (3.0 + (std::f64::consts::TAU * week as f64 / 52.0).sin()))
                .collect()
        };
        ((0..count).map(of).collect(), vec![159; count])
    }

    #[test]
    fn what_is_usual_is_the_move_of_the_season_before() {
        let (all, ends) = waves(9);
        let all: Vec<&[f64]> = all.iter().map(Vec::as_slice).collect();
        let others = Others::learn(&all, Some(&ends), 52, 8);
        let young = Known::among(&others, &all[3][120..], Some(159));
        // From week 159 to 167 the wave rises as it did from 107 to 115.
        let scale = mean_absolute_change(all[3], 1);
        let wave = |week: f64| 5.0 * (std::f64::consts::TAU * week / 52.0).sin();
        let expected = (wave(167.0) - wave(159.0)) / scale;
        assert!((young.usual_move(8) / expected - 1.0).abs() < 0.1);
        assert!(Known::alone(all[3]).usual_move(1).is_nan());
        assert!(Known::among(&others, all[3], None).usual_move(1).is_nan());
        assert!(Known::among(&others, all[3], Some(40)).usual_move(1).is_nan());
    }

    #[test]
    fn no_later_value_changes_what_is_usual_at_a_moment() {
        let (all, ends) = waves(9);
        let mut changed = all.clone();
        changed.iter_mut().for_each(|values| values.iter_mut().rev().take(20).for_each(|value| *value = 77.0));
        let usual = |all: &[Vec<f64>]| {
            let all: Vec<&[f64]> = all.iter().map(Vec::as_slice).collect();
            Known::among(&Others::learn(&all, Some(&ends), 52, 8), all[0], Some(139)).usual_move(8)
        };
        assert!(usual(&all).is_finite());
        assert_eq!(usual(&all), usual(&changed));
    }

    #[test]
    fn a_series_of_a_distant_time_takes_no_room() {
        let (mut all, mut ends) = waves(9);
        all.push(all[0].clone());
        ends.push(999_999_999);
        let all: Vec<&[f64]> = all.iter().map(Vec::as_slice).collect();
        let others = Others::learn(&all, Some(&ends), 52, 8);
        assert!(others.plain.moves.unwrap().by_moment.len() < 400);
    }

    #[test]
    fn two_points_change_as_much_as_the_others_do() {
        let all: Vec<Vec<f64>> =
            (1..9).map(|size| (0..40).map(|week| f64::from(size * (100 + 10 * (week % 2)))).collect()).collect();
        let all: Vec<&[f64]> = all.iter().map(Vec::as_slice).collect();
        let others = Others::learn(&all, None, 52, 8);
        let scale = |values: &[f64]| Known::among(&others, values, None).scale() / level(values);
        assert!((scale(&[1_000.0, 1_000.0]) - 6.0 / 7.0 * 10.0 / 105.0).abs() < 1e-9);
        assert!((scale(&[1_000.0, 1_100.0]) - scale(&[10.0, 11.0])).abs() < 1e-12);
        assert!((scale(all[4]) - 10.0 / 105.0).abs() < 1e-12);
        assert_eq!(Known::alone(&[3.0, 5.0]).scale(), 2.0);
    }
}
