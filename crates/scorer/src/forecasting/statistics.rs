//! Small statistics of slices, the same everywhere in forecasting.

/// Returns the mean; zero of nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Returns the standard deviation around the mean, divided by the count.
pub fn deviation(values: &[f64]) -> f64 {
    let middle = mean(values);
    (values.iter().map(|value| (value - middle) * (value - middle)).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// Returns the median, the mean of the two in the middle of an even count; zero of nothing. Changes the order.
pub fn median_of(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    let is_even = values.len().is_multiple_of(2);
    let (below, at, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let at = *at;
    if is_even { (below.iter().copied().fold(f64::NEG_INFINITY, f64::max) + at) / 2.0 } else { at }
}

/// Returns the median and leaves the values as they are.
pub fn median(values: &[f64]) -> f64 {
    median_of(&mut values.to_vec())
}

/// Returns the mean absolute change over so many steps: the scale in which errors and moves are told.
pub fn mean_absolute_change(values: &[f64], steps: usize) -> f64 {
    if values.len() <= steps {
        return 0.0;
    }
    let sum: f64 = values.iter().zip(&values[steps..]).map(|(before, after)| (after - before).abs()).sum();
    sum / (values.len() - steps) as f64
}

/// Returns the value at a share of sorted values, between two of them on the line that joins them.
pub fn at_share(sorted: &[f64], position: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let position = position.clamp(0.0, last as f64);
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 2.0, 3.0]), median(&[])), (2.0, 2.5, 0.0));
    }

    #[test]
    fn a_change_over_two_steps_skips_one() {
        assert_eq!(mean_absolute_change(&[1.0, 5.0, 3.0, 5.0], 2), 1.0);
        assert_eq!(mean_absolute_change(&[1.0], 1), 0.0);
    }
}
