use proptest::prelude::*;

use super::*;

fn draw(
    values: &[(i64, Option<f64>)],
    points: usize,
    gap_ms: Option<i64>,
) -> Vec<(i64, Option<f64>)> {
    let end = values.last().map_or(1, |last| last.0 + 1);
    let mut drawing = Drawing::new(0..end, points, gap_ms);
    for (at_ms, value) in values {
        drawing.push(*at_ms, *value).unwrap();
    }
    drawing.finish()
}

#[test]
fn few_points_are_drawn_as_they_are() {
    let values = [(0, Some(1.0)), (0, Some(2.0)), (1, Some(1.5)), (900, Some(1.5))];
    assert_eq!(draw(&values, 4, None), values);
}

#[test]
fn a_spike_is_drawn_and_a_flat_line_is_cheap() {
    let mut values: Vec<_> = (0..100_000).map(|at| (at, Some(20.0))).collect();
    values[54_321].1 = Some(21.0);
    values[54_322].1 = Some(-3.0);
    let drawn = draw(&values, 100, None);
    assert!(drawn.len() <= 100);
    assert!(drawn.contains(&(54_321, Some(21.0))) && drawn.contains(&(54_322, Some(-3.0))));
}

#[test]
fn gaps_stay_gaps_however_they_come() {
    let silent = [(0, Some(1.0)), (10, Some(2.0)), (100, Some(3.0))];
    let expected = [(0, Some(1.0)), (10, Some(2.0)), (55, None), (100, Some(3.0))];
    assert_eq!(draw(&silent, 10, Some(89)), expected);
    assert_eq!(draw(&silent, 10, Some(90)), silent);
    let empty =
        [(0, Some(1.0)), (10, Some(2.0)), (50, None), (60, Some(f64::NAN)), (100, Some(3.0))];
    assert_eq!(draw(&empty, 10, None), expected);
    assert_eq!(draw(&[(5, None), (6, Some(1.0)), (7, None)], 10, None), [(6, Some(1.0))]);
    assert_eq!(draw(&[(5, None)], 10, None), []);
}

#[test]
fn a_gap_is_seen_among_many_points() {
    let half = |from: i64| (from..from + 5_000).map(|at| (at, Some(1.0)));
    let values: Vec<_> = half(0).chain(half(6_000)).collect();
    let drawn = draw(&values, 50, Some(500));
    assert_eq!(drawn.iter().filter(|(_, value)| value.is_none()).count(), 1);
}

#[test]
fn disorder_is_refused() {
    let mut drawing = Drawing::new(0..10, 10, None);
    drawing.push(5, Some(1.0)).unwrap();
    assert_eq!(drawing.push(4, Some(1.0)), Err(SeriesError::OutOfOrder { at_ms: 4, last_ms: 5 }));
}

fn series() -> impl Strategy<Value = Vec<(i64, Option<f64>)>> {
    let value = prop_oneof![
        20 => (-1e3..1e3_f64).prop_map(Some),
        1 => Just(None),
        1 => any::<f64>().prop_map(Some),
    ];
    prop::collection::vec((0_i64..50, value), 0..400).prop_map(|steps| {
        let mut now = 0;
        steps
            .into_iter()
            .map(|(step, value)| {
                now += step;
                (now, value)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn ends_extremes_and_bounds_hold(values in series(), points in 4_usize..80, range in 1_i64..20_000) {
        let mut drawing = Drawing::new(0..range, points, Some(40));
        for (at_ms, value) in &values {
            drawing.push(*at_ms, *value).unwrap();
        }
        let drawn = drawing.finish();
        let finite = |points: &[(i64, Option<f64>)]| -> Vec<(i64, f64)> {
            points.iter().filter_map(|(at, value)| Some((*at, value.filter(|v| v.is_finite())?))).collect()
        };
        let (given, dots) = (finite(&values), finite(&drawn));
        prop_assert!(dots.len() <= points && drawn.len() <= 2 * points);
        prop_assert_eq!((dots.first(), dots.last()), (given.first(), given.last()));
        let extremes = |points: &[(i64, f64)]| {
            let values = points.iter().map(|point| point.1);
            (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max))
        };
        prop_assert_eq!(extremes(&dots), extremes(&given));
        prop_assert!(drawn.is_sorted_by_key(|point| point.0));
        prop_assert!(dots.iter().all(|dot| given.contains(dot)));
        if given.len() <= points {
            prop_assert_eq!(dots, given);
        }
    }

    #[test]
    fn a_gap_between_two_points_is_between_the_drawn_ones(values in series(), points in 4_usize..40) {
        let drawn = draw(&values, points, None);
        // Times are ambiguous where they are equal, so only gaps with room on both sides are looked at.
        for gap in values.iter().filter(|(_, value)| value.is_none_or(|value| !value.is_finite())) {
            let before = drawn.iter().rposition(|(at, value)| value.is_some() && *at < gap.0);
            let after = drawn.iter().position(|(at, value)| value.is_some() && *at > gap.0);
            if let (Some(before), Some(after)) = (before, after) {
                prop_assert!(drawn[before..after].iter().any(|(_, value)| value.is_none()));
            }
        }
    }
}
