//! The examples of a global model: every series cut off at many past points, with what came after.

use rayon::prelude::*;

use super::features::{self, COMMON_COUNT, HORIZON_COUNT, Shape};
use super::others::Known;
use super::random::Random;

/// Which examples are taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Take {
    /// Steps ahead.
    pub horizons: usize,
    /// Steps between two cuts of a series.
    pub stride: usize,
    /// Cuts of a series, the latest ones.
    pub cuts_max: usize,
    /// Points that a history needs.
    pub history_min: usize,
    /// Points that a history shows at least, where it has them.
    pub shown_min: usize,
    /// Points that a history shows at most; older ones are held back, as if the series were that young.
    pub history_max: usize,
    /// Points at the end of every series that are not there.
    pub end_gap: usize,
    /// Examples in all; of more, the cuts lie further apart.
    pub examples_max: usize,
}

/// Examples, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows {
    /// Steps ahead.
    pub horizons: usize,
    /// [`COMMON_COUNT`] features a row.
    pub common: Vec<f64>,
    /// [`HORIZON_COUNT`] features a horizon, and horizons a row.
    pub seasonal: Vec<f64>,
    /// The moves that are usual at each row's time of the year, one a horizon; no number where that is not known.
    pub usual: Vec<f64>,
    /// The moves that followed, in mean absolute changes, one a horizon; empty where they are asked for.
    pub moves: Vec<f64>,
    /// The mean absolute change of each row's history.
    pub scales: Vec<f64>,
}

impl Take {
    /// The examples of one series from which it pulls the global line: the last years, no further.
    pub fn own(horizons: usize) -> Take {
        Take {
            horizons,
            stride: 3,
            cuts_max: 200,
            history_min: 30,
            shown_min: usize::MAX,
            history_max: usize::MAX,
            end_gap: 0,
            examples_max: 200,
        }
    }
}

impl Windows {
    /// Gathers the examples of many series, in the order of these.
    pub fn gather(all: &[Known<'_>], shape: &Shape, take: &Take) -> Windows {
        let stride = stride_for(all, take);
        let parts: Vec<Windows> =
            all.par_iter().map(|values| of_series(values, shape, &Take { stride, ..take.clone() })).collect();
        let mut windows = Windows { horizons: take.horizons, ..Windows::default() };
        for part in &parts {
            windows.append(part);
        }
        windows
    }

    /// Describes a history of which the future is not known, as the one row.
    pub fn at_end(history: Known<'_>, shape: &Shape, horizons: usize) -> Windows {
        let mut windows = Windows { horizons, ..Windows::default() };
        let scale = history.scale();
        windows.push(history, if scale > 0.0 { scale } else { 1.0 }, shape);
        windows
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Tells whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.scales.is_empty()
    }

    /// Returns the features of a row that do not depend on the horizon.
    pub fn common_of(&self, row: usize) -> &[f64] {
        &self.common[row * COMMON_COUNT..(row + 1) * COMMON_COUNT]
    }

    /// Returns the features of a row for a horizon, counted from 1.
    pub fn seasonal_of(&self, row: usize, horizon: usize) -> &[f64] {
        let start = (row * self.horizons + horizon - 1) * HORIZON_COUNT;
        &self.seasonal[start..start + HORIZON_COUNT]
    }

    /// Returns the move that is usual at a row's time of the year, so many steps ahead; no number where that is not known.
    pub fn usual_of(&self, row: usize, horizon: usize) -> f64 {
        self.usual[row * self.horizons + horizon - 1]
    }

    /// Returns the move that followed a row, so many steps ahead, counted from 1.
    pub fn move_of(&self, row: usize, horizon: usize) -> f64 {
        self.moves[row * self.horizons + horizon - 1]
    }

    /// Returns the values that moves lead to from the last value of the history at the end.
    pub fn values_after(&self, last: f64, moves: Vec<f64>) -> Vec<f64> {
        moves.into_iter().map(|moved| last + moved * self.scales[0]).collect()
    }

    fn push(&mut self, history: Known<'_>, scale: f64, shape: &Shape) {
        features::common(&history, scale, shape, &mut self.common);
        for horizon in 1..=self.horizons {
            features::of_horizon(&history, scale, shape, horizon, &mut self.seasonal);
            self.usual.push(history.usual_move(horizon));
        }
        self.scales.push(scale);
    }

    fn append(&mut self, part: &Windows) {
        self.common.extend_from_slice(&part.common);
        self.seasonal.extend_from_slice(&part.seasonal);
        self.usual.extend_from_slice(&part.usual);
        self.moves.extend_from_slice(&part.moves);
        self.scales.extend_from_slice(&part.scales);
    }
}

/// Returns the series that examples are taken of: all that have one, or of too many evenly spread ones.
pub fn taken<'a>(all: &[Known<'a>], take: &Take) -> Vec<Known<'a>> {
    let some: Vec<Known<'a>> = all.iter().copied().filter(|values| ends(values.len(), take).next().is_some()).collect();
    let step = some.len().div_ceil(take.examples_max.max(1)).max(1);
    some.into_iter().step_by(step).collect()
}

fn of_series(values: &Known<'_>, shape: &Shape, take: &Take) -> Windows {
    let mut windows = Windows { horizons: take.horizons, ..Windows::default() };
    let sums = change_sums(values);
    for end in ends(values.len(), take) {
        let start = (end + 1).saturating_sub(shown(end, take));
        // A cut history has fewer changes, and its scale is theirs.
        let history = values.part(start, end + 1);
        let scale = history.scale_of(sums[end] - sums[start]);
        if scale <= 0.0 {
            continue;
        }
        windows.push(history, scale, shape);
        let after = &values[end + 1..=end + take.horizons];
        windows.moves.extend(after.iter().map(|value| (value - values[end]) / scale));
    }
    windows
}

/// Returns how many points the history that ends at a place shows: any number that is allowed, drawn by the place.
fn shown(end: usize, take: &Take) -> usize {
    match take.history_max - take.shown_min {
        0 => take.history_max,
        span => take.shown_min + Random::new(end as u64, 0).below(span + 1),
    }
}

/// Returns the last points of a series' histories, the latest first.
fn ends(count: usize, take: &Take) -> impl Iterator<Item = usize> + use<> {
    let latest = count.checked_sub(take.end_gap + 1 + take.horizons);
    let (stride, first) = (take.stride, take.history_min.max(1) - 1);
    let ends = latest.into_iter().flat_map(move |latest| (0..).map_while(move |cut| latest.checked_sub(cut * stride)));
    ends.take_while(move |&end| end >= first).take(take.cuts_max)
}

/// Returns the stride at which there are not more examples than wanted.
fn stride_for(all: &[Known<'_>], take: &Take) -> usize {
    let mut stride = take.stride.max(1);
    loop {
        let wider = Take { stride, ..take.clone() };
        let count: usize = all.iter().map(|values| ends(values.len(), &wider).count()).sum();
        let fewest = all.iter().filter(|values| ends(values.len(), &wider).next().is_some()).count();
        if count <= take.examples_max || count == fewest {
            return stride;
        }
        stride += stride.div_ceil(2);
    }
}

/// Returns the scale, or zero where a series moves so little that only rounding is left of its moves.
pub fn usable_scale(scale: f64, history: &[f64]) -> f64 {
    let last = history.last().copied().unwrap_or(0.0);
    if scale > 1e-9 * last.abs() { scale } else { 0.0 }
}

/// Returns for every point the sum of the absolute changes before it.
pub(super) fn change_sums(values: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let mut sums = Vec::with_capacity(values.len());
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            sum += (value - values[place - 1]).abs();
        }
        sums.push(sum);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take() -> Take {
        Take {
            horizons: 4,
            stride: 2,
            cuts_max: 10,
            history_min: 8,
            shown_min: usize::MAX,
            history_max: usize::MAX,
            end_gap: 0,
            examples_max: 1_000,
        }
    }

    #[test]
    fn no_example_reads_the_gap_at_the_end() {
        let values: Vec<f64> = (0..60).map(|place| f64::from(place * 7 % 13)).collect();
        let mut changed = values.clone();
        changed[50..].fill(1e9);
        let take = Take { end_gap: 10, ..take() };
        let shape = Shape::of_season(52);
        let before = Windows::gather(&[Known::alone(&values)], &shape, &take);
        let after = Windows::gather(&[Known::alone(&changed)], &shape, &take);
        assert_eq!(format!("{before:?}"), format!("{after:?}"));
        assert_eq!(before.len(), 10);
    }

    #[test]
    fn a_history_that_is_held_back_is_that_of_a_young_series() {
        let values: Vec<f64> = (0..60).map(|place| f64::from(place * 7 % 13)).collect();
        let shape = Shape::of_season(52);
        let young = Windows::gather(
            &[Known::alone(&values)],
            &shape,
            &Take { shown_min: 9, history_max: 9, cuts_max: 1, ..take() },
        );
        let cut = Windows::gather(&[Known::alone(&values[47..])], &shape, &Take { cuts_max: 1, ..take() });
        assert_eq!(format!("{:?}", young.common), format!("{:?}", cut.common));
        assert_eq!(young.moves, cut.moves);
    }

    #[test]
    fn of_too_many_series_some_are_taken() {
        let (long, short) = (vec![1.0; 30], vec![1.0; 5]);
        let of = |place: usize| Known::alone(if place.is_multiple_of(3) { &short } else { &long });
        let all: Vec<Known<'_>> = (0..90).map(of).collect();
        assert_eq!(taken(&all, &Take { examples_max: 60, ..take() }).len(), 60);
        let few = taken(&all, &Take { examples_max: 7, ..take() });
        assert!((5..=7).contains(&few.len()) && few.iter().all(|values| values.len() == 30));
    }

    #[test]
    fn of_too_many_examples_the_cuts_lie_further_apart() {
        let values: Vec<f64> = (0..400).map(|place| f64::from(place * 7 % 13)).collect();
        let take = Take { cuts_max: 1_000, examples_max: 50, ..take() };
        let windows = Windows::gather(&[Known::alone(&values); 2], &Shape::of_season(52), &take);
        assert!((20..=50).contains(&windows.len()), "{}", windows.len());
    }
}
