use proptest::prelude::*;

use super::*;

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => (-1.0e6..1.0e6_f64).prop_map(Value::Number),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => Just(Value::Number(f64::NAN)),
        1 => Just(Value::Number(f64::INFINITY)),
        1 => Just(Value::from("closed")),
    ]
}

fn summary(values: &[Value], from_ms: i64) -> Summary {
    let mut summary = Summary::default();
    for (value, at_ms) in values.iter().zip(from_ms..) {
        summary.push(at_ms, value);
    }
    summary
}

fn near(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= 1e-9 * scale.max(1.0)
}

#[test]
fn numbers_that_are_none_count_and_change_nothing_else() {
    let values = [Value::Number(f64::NAN), Value::Number(3.0), Value::Number(f64::NEG_INFINITY)];
    let summary = summary(&values, 0);
    assert_eq!(summary.count, 3);
    assert_eq!(summary.first, Some(Sample { at_ms: 0, value: values[0].clone() }));
    assert_eq!(summary.numbers, Some(NumberSummary::of(1, 3.0)));
}

proptest! {
    #[test]
    fn joined_stretches_are_as_one(
        values in prop::collection::vec(value(), 0..40),
        cut in 0_usize..41,
    ) {
        let cut = cut.min(values.len());
        let whole = summary(&values, 0);
        let mut joined = summary(&values[..cut], 0);
        joined.join(&summary(&values[cut..], i64::try_from(cut).unwrap()));
        prop_assert_eq!((joined.count, &joined.first, &joined.last), (whole.count, &whole.first, &whole.last));
        prop_assert_eq!(joined.numbers.is_some(), whole.numbers.is_some());
        if let (Some(a), Some(b)) = (joined.numbers, whole.numbers) {
            prop_assert_eq!((a.count, a.first, a.last), (b.count, b.first, b.last));
            prop_assert_eq!((a.min, a.max), (b.min, b.max));
            prop_assert!(near(a.sum, b.sum, 1e8) && near(a.increase, b.increase, 1e8));
            prop_assert!(near(a.squares, b.squares, 1e14), "{} {}", a.squares, b.squares);
        }
    }
}
