//! Laws of shapes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Rows of many forms, with names that collide, lists, nulls and names that are data.
fn row() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1,2}|[0-9]{5}", inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn shape_of(rows: &[Value]) -> Shape {
    let mut shape = Shape::default();
    for row in rows {
        shape.rows.add("/rows/*", row);
    }
    shape
}

/// Makes a shape of more fields than are held.
fn wide(numbers: std::ops::Range<usize>) -> Shape {
    let names = numbers.map(|number| {
        let letters: String = number.to_string().bytes().map(|digit| char::from(b'a' + (digit - b'0'))).collect();
        json!({ letters: 1 })
    });
    shape_of(&names.collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn a_sum_of_shapes_does_not_depend_on_order_or_grouping(
        parts in prop::collection::vec(prop::collection::vec(row(), 0..4), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        seed in any::<u64>(),
    ) {
        let shapes: Vec<Shape> = parts.iter().map(|rows| shape_of(rows)).collect();
        let mut in_order = Shape::default();
        shapes.iter().for_each(|shape| in_order.merge(shape));
        prop_assert_eq!(&in_order, &shape_of(&parts.concat()), "adding rows one by one is the same");

        // Workers each take some payloads, in any order, and their sums are added.
        let mut shuffled: Vec<&Shape> = shapes.iter().collect();
        let length = shuffled.len();
        for place in 0..length {
            shuffled.swap(place, (seed as usize).wrapping_mul(31).wrapping_add(place * 7) % length);
        }
        let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut.index(length)).chain([0, length]).collect();
        bounds.sort_unstable();
        let mut sum = Shape::default();
        for pair in bounds.windows(2).rev() {
            let mut group = Shape::default();
            shuffled[pair[0]..pair[1]].iter().for_each(|shape| group.merge(shape));
            sum.merge(&group);
        }
        prop_assert_eq!(sum, in_order);
    }

    #[test]
    fn a_shape_is_stored_and_loaded_as_it_was(rows in prop::collection::vec(row(), 0..6)) {
        let shape = shape_of(&rows);
        let stored = serde_json::to_value(&shape).expect("JSON");
        prop_assert_eq!(serde_json::from_value::<Shape>(stored).expect("a shape"), shape);
    }

    #[test]
    fn no_field_is_in_more_rows_than_there_are(rows in prop::collection::vec(row(), 0..8)) {
        let shape = shape_of(&rows);
        for (path, counts) in &shape.rows.fields {
            prop_assert!(counts.values().all(|count| *count <= shape.rows.count), "{path}");
            prop_assert!(shape.rows.present_count(path) <= shape.rows.count);
        }
    }
}

#[test]
fn of_too_many_fields_the_same_ones_are_held_in_whatever_order() {
    let parts = [wide(0..900), wide(500..1_500), wide(1_400..2_300)];
    let sum = |order: [usize; 3]| {
        let mut sum = Shape::default();
        order.iter().for_each(|index| sum.merge(&parts[*index]));
        sum
    };
    let one = sum([0, 1, 2]);
    assert_eq!(one.rows.fields.len(), MAX_FIELDS);
    assert!(one.rows.is_cut);
    for order in [[2, 1, 0], [1, 0, 2], [2, 0, 1]] {
        assert_eq!(sum(order), one);
    }
    assert_eq!(one, wide(0..900).merged(&wide(500..1_500)).merged(&wide(1_400..2_300)));
}

impl Shape {
    fn merged(mut self, other: &Shape) -> Shape {
        self.merge(other);
        self
    }
}

#[test]
fn lists_and_names_that_are_data_are_folded() {
    let mut shape = Shape::default();
    let many: serde_json::Map<String, Value> =
        (0..70).map(|number| (format!("x{}", "y".repeat(number)), json!(1))).collect();
    shape.rows.add(
        "/items/*",
        &json!({"ranks": [{"rank": 1}, {"rank": null}], "byId": {"B0123456": {"n": 1}}, "many": many, "a/b": 1}),
    );
    let paths: Vec<&str> = shape.rows.fields.keys().map(String::as_str).collect();
    let expected = [
        "/items/*",
        "/items/*/*",
        "/items/*/byId",
        "/items/*/byId/*",
        "/items/*/byId/*/n",
        "/items/*/many",
        "/items/*/many/*",
        "/items/*/ranks",
        "/items/*/ranks/*",
        "/items/*/ranks/*/rank",
    ];
    assert_eq!(paths, expected);
    assert_eq!(shape.rows.fields["/items/*/ranks/*/rank"].len(), 2, "null and number");
}

#[test]
fn the_rows_that_are_looked_at_grow_rarer() {
    let looked_at: Vec<u64> = (0..1_000).filter(|index| is_sampled(*index)).collect();
    assert_eq!(looked_at, [0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 128, 256, 512]);
}
