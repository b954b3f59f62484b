//! The few statistics a page is summed up in.

use std::collections::HashMap;
use std::hash::Hash;

use rust_decimal::Decimal;

/// Returns the median; of an even number of values, the mean of the two in the middle.
pub(crate) fn median(values: Vec<Decimal>) -> Option<Decimal> {
    quartiles(values).map(|[_, median, _]| median)
}

/// Returns the three quartiles; where one lies between two values, the point that divides the way between them.
pub(crate) fn quartiles(mut values: Vec<Decimal>) -> Option<[Decimal; 3]> {
    values.sort_unstable();
    let last = values.len().checked_sub(1)?;
    Some([1, 2, 3].map(|quarters| {
        let (place, rest) = (last * quarters / 4, last * quarters % 4);
        let lower = values[place];
        match rest {
            0 => lower,
            // The sum of two values may be more than a decimal holds; a point between them is not.
            _ => (lower + (values[place + 1] - lower) / Decimal::from(4) * Decimal::from(rest)).normalize(),
        }
    }))
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
    let (mut total, mut squares) = (0_u128, 0_u128);
    for count in counts.into_iter().map(u128::from) {
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

    #[test]
    fn quartiles_divide_the_way_between_two_values() {
        let quartiles_of = |values: &[i64]| {
            let of = quartiles(values.iter().copied().map(Decimal::from).collect());
            of.map(|quartiles| quartiles.map(|quartile| quartile.to_string()).join(" "))
        };
        assert_eq!(quartiles_of(&[]), None);
        assert_eq!(quartiles_of(&[7]).as_deref(), Some("7 7 7"));
        assert_eq!(quartiles_of(&[5, 1, 3, 2, 4]).as_deref(), Some("2 3 4"));
        assert_eq!(quartiles_of(&[1, 2, 3, 5]).as_deref(), Some("1.75 2.5 3.5"));
    }

    proptest! {
        #[test]
        fn quartiles_lie_between_the_ends_in_order(values in prop::collection::vec(0i64..1000, 1..50)) {
            let [lower, middle, upper] = quartiles(values.iter().copied().map(Decimal::from).collect()).expect("not empty");
            let (least, greatest) = (values.iter().min().copied(), values.iter().max().copied());
            prop_assert!(least.map(Decimal::from) <= Some(lower) && lower <= middle);
            prop_assert!(middle <= upper && Some(upper) <= greatest.map(Decimal::from));
        }

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
