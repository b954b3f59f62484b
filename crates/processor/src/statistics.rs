//! The few statistics a page is summed up in.

use std::collections::HashMap;
use std::hash::Hash;

use rust_decimal::Decimal;

/// Returns the median; of an even number of values, the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<Decimal>) -> Option<Decimal> {
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = values[values.len() / 2 - 1];
    // Their sum may be more than a decimal holds; their mean is not.
    Some((lower + (upper - lower) / Decimal::TWO).normalize())
}

/// Counts how often each value occurs.
pub(crate) fn occurrences<Value: Eq + Hash>(values: impl IntoIterator<Item = Value>) -> HashMap<Value, u64> {
    let mut counts = HashMap::new();
    for value in values {
        *counts.entry(value).or_insert(0) += 1;
    }
    counts
}

/// Returns the Herfindahl-Hirschman index of the shares that these counts make up: 1 when one has all.
pub(crate) fn concentration(counts: impl IntoIterator<Item = u64>) -> Option<f64> {
    let (mut total, mut squares) = (0, 0);
    for count in counts {
        total += count;
        squares += count * count;
    }
    (total > 0).then(|| squares as f64 / (total * total) as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_median_lies_in_the_middle() {
        let median_of = |values: &[i64]| median(values.iter().copied().map(Decimal::from).collect());
        assert_eq!(median_of(&[]), None);
        assert_eq!(median_of(&[7]), Some(Decimal::from(7)));
        assert_eq!(median_of(&[9, 1, 5]), Some(Decimal::from(5)));
        assert_eq!(median_of(&[4, 1]), Some(Decimal::new(25, 1)));
        assert_eq!(median(vec![Decimal::MAX, Decimal::MAX]), Some(Decimal::MAX));
    }

    proptest! {
        #[test]
        fn concentration_lies_between_an_equal_split_and_one(counts in prop::collection::vec(1u64..500, 1..60)) {
            let index = concentration(counts.clone()).expect("not empty");
            prop_assert!(index <= 1.0);
            prop_assert!(index >= 1.0 / counts.len() as f64 - 1e-12);
        }

        #[test]
        fn equal_sellers_share_equally(sellers in 1u64..60, each in 1u64..60) {
            let index = concentration(std::iter::repeat_n(each, sellers as usize)).expect("not empty");
            prop_assert!((index - 1.0 / sellers as f64).abs() < 1e-12);
        }

        #[test]
        fn a_median_has_as_many_above_as_below(values in prop::collection::vec(-1000i64..1000, 1..50)) {
            let middle = median(values.iter().copied().map(Decimal::from).collect()).expect("not empty");
            let above = values.iter().filter(|value| Decimal::from(**value) > middle).count();
            let below = values.iter().filter(|value| Decimal::from(**value) < middle).count();
            prop_assert!(above * 2 <= values.len() && below * 2 <= values.len());
        }
    }
}
