use super::*;

#[test]
fn too_many_values_for_a_median_are_refused() {
    let mut accumulator = Accumulator::new(Kind::Gauge, &[Aggregate::Median], None);
    let value = Value::Number(1.0);
    for _ in 0..MAX_QUANTILE_VALUES {
        accumulator.push(0, &value).unwrap();
    }
    assert_eq!(accumulator.push(0, &value), Err(SeriesError::TooManyValues));
    assert_eq!(accumulator.push(0, &Value::Number(f64::NAN)), Ok(()));
    assert_eq!(accumulator.finish(&[Aggregate::Median]), [Some(value)]);
}

#[test]
fn numbers_that_are_none_are_seen_by_count_first_and_last_only() {
    let mut accumulator = Accumulator::new(Kind::Gauge, &Aggregate::ALL, None);
    let nan = Value::Number(f64::NAN);
    accumulator.push(0, &nan).unwrap();
    for aggregate in Aggregate::ALL {
        let expected = match aggregate {
            Aggregate::Count => Some(Value::Number(1.0)),
            Aggregate::First | Aggregate::Last => Some(nan.clone()),
            _ => None,
        };
        assert_eq!(accumulator.clone().finish(&[aggregate]), [expected], "{aggregate}");
    }
    assert_eq!(accumulator.last_number(), None);
}

#[test]
fn a_boolean_is_0_or_1() {
    let mut accumulator = Accumulator::new(Kind::State, &[Aggregate::Mean], None);
    for (at_ms, value) in [(0, true), (1, false), (2, true), (3, true)] {
        accumulator.push(at_ms, &value.into()).unwrap();
    }
    let results = accumulator.finish(&[Aggregate::Mean, Aggregate::First]);
    assert_eq!(results, [Some(Value::Number(0.75)), Some(Value::Bool(true))]);
}
