use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::Step;

fn windows(to_ms: i64, step_ms: u32) -> Windows {
    Windows::new(0..to_ms, Step::Fixed { ms: step_ms }, &TimeZone::UTC, 1_000).unwrap()
}

fn numbers(kind: Kind, aggregate: Aggregate, points: &[(i64, f64)]) -> Vec<Option<f64>> {
    let windows = windows(40_000, 10_000);
    let aggregates = [aggregate];
    let mut resampler = Resampler::new(&windows, &aggregates, kind, None);
    for (at_ms, number) in points {
        resampler.push(*at_ms, &Value::Number(*number)).unwrap();
    }
    resampler.finish().numbers(0)
}

#[test]
fn an_empty_window_is_a_gap_and_counts_0() {
    let points = [(0, 1.0), (9_999, 3.0), (30_000, 5.0)];
    assert_eq!(numbers(Kind::Gauge, Aggregate::Mean, &points), [Some(2.0), None, None, Some(5.0)]);
    let counts = numbers(Kind::Gauge, Aggregate::Count, &points);
    assert_eq!(counts, [Some(2.0), Some(0.0), Some(0.0), Some(1.0)]);
    assert_eq!(numbers(Kind::Gauge, Aggregate::Stddev, &points)[3], None);
}

#[test]
fn a_difference_counts_from_the_last_value_before_the_window() {
    let points = [(-5_000, 10.0), (1_000, 12.0), (9_000, 15.0), (25_000, 31.0), (40_000, 99.0)];
    let deltas = numbers(Kind::Total, Aggregate::Delta, &points);
    assert_eq!(deltas, [Some(5.0), None, Some(16.0), None]);
    // 5 in 14 s, 16 in 16 s.
    let rates = numbers(Kind::Total, Aggregate::Rate, &points);
    assert_eq!(rates, [Some(5.0 / 14.0), None, Some(1.0), None]);
}

#[test]
fn without_a_value_before_it_a_difference_needs_two() {
    let deltas = numbers(Kind::Gauge, Aggregate::Delta, &[(0, 5.0), (10_000, 4.0), (11_000, 7.0)]);
    assert_eq!(deltas, [None, Some(2.0), None, None]);
}

#[test]
fn a_counter_resets_and_a_total_is_corrected() {
    let points = [(0, 90.0), (5_000, 100.0), (10_000, 4.0), (12_000, 6.0), (20_000, 2.0)];
    let counter = numbers(Kind::Counter, Aggregate::Delta, &points);
    assert_eq!(counter, [Some(10.0), Some(6.0), Some(2.0), None]);
    let total = numbers(Kind::Total, Aggregate::Delta, &points);
    assert_eq!(total, [Some(10.0), Some(-94.0), Some(-4.0), None]);
}

#[test]
fn equal_times_have_no_rate() {
    assert_eq!(numbers(Kind::Gauge, Aggregate::Rate, &[(7, 5.0), (7, 6.0)])[0], None);
}

#[test]
fn medians_and_percentiles_are_exact() {
    let points: Vec<(i64, f64)> =
        [9.0, 1.0, 4.0, 2.0].into_iter().zip(0..).map(|(v, t)| (t, v)).collect();
    assert_eq!(numbers(Kind::Gauge, Aggregate::Median, &points)[0], Some(3.0));
    let hundred: Vec<(i64, f64)> =
        (0..=100).map(|at| (at, crate::number::float(100 - at))).collect();
    assert_eq!(numbers(Kind::Gauge, Aggregate::P95, &hundred)[0], Some(95.0));
    assert_eq!(numbers(Kind::Gauge, Aggregate::P95, &points[..1])[0], Some(9.0));
}

#[test]
fn text_has_a_first_a_last_and_a_count() {
    let windows = windows(10, 10);
    let aggregates = Aggregate::ALL;
    let mut resampler = Resampler::new(&windows, &aggregates, Kind::State, None);
    for (at_ms, text) in [(1, "open"), (2, "closed"), (3, "open")] {
        resampler.push(at_ms, &text.into()).unwrap();
    }
    for (aggregate, column) in aggregates.iter().zip(resampler.finish().columns) {
        let expected = match aggregate {
            Aggregate::First | Aggregate::Last => Some("open".into()),
            Aggregate::Count => Some(Value::Number(3.0)),
            _ => None,
        };
        assert_eq!(column, [expected], "{aggregate}");
    }
}

#[test]
fn sums_that_overflow_are_no_number() {
    let points = [(0, f64::MAX), (1, f64::MAX), (2, f64::MAX)];
    for aggregate in [Aggregate::Sum, Aggregate::Mean, Aggregate::Stddev] {
        assert_eq!(numbers(Kind::Gauge, aggregate, &points)[0], None, "{aggregate}");
    }
    assert_eq!(numbers(Kind::Gauge, Aggregate::Max, &points)[0], Some(f64::MAX));
}

#[test]
fn disorder_is_refused_even_after_an_empty_window() {
    let windows = windows(40, 10);
    let mut resampler = Resampler::new(&windows, &[], Kind::Gauge, None);
    resampler.push(25, &1.0.into()).unwrap();
    let refused = resampler.push(15, &1.0.into());
    assert_eq!(refused, Err(SeriesError::OutOfOrder { at_ms: 15, last_ms: 25 }));
}

#[test]
fn a_summary_that_cannot_stand_for_its_values_is_refused() {
    let windows = windows(40, 10);
    let summary = |from: i64, to: i64| {
        let mut summary = Summary::default();
        summary.push(from, &1.0.into());
        summary.push(to, &2.0.into());
        summary
    };
    let join = |aggregate: Aggregate, summary: &Summary| {
        Resampler::new(&windows, &[aggregate], Kind::Gauge, None).join(summary)
    };
    assert_eq!(join(Aggregate::Mean, &summary(10, 19)), Ok(()));
    assert_eq!(join(Aggregate::Mean, &summary(10, 20)), Err(SeriesError::NeedsValues));
    assert_eq!(join(Aggregate::Mean, &summary(-5, -1)), Err(SeriesError::NeedsValues));
    assert_eq!(join(Aggregate::P95, &summary(10, 19)), Err(SeriesError::NeedsValues));
    let mut resampler = Resampler::new(&windows, &[Aggregate::Mean], Kind::Gauge, None);
    resampler.push(12, &1.0.into()).unwrap();
    let refused = resampler.join(&summary(11, 19));
    assert_eq!(refused, Err(SeriesError::OutOfOrder { at_ms: 11, last_ms: 12 }));
}

/// Values at growing times, some of them equal.
fn points() -> impl Strategy<Value = Vec<(i64, f64)>> {
    prop::collection::vec((0_i64..40, -1_000_i32..1_000), 1..200).prop_map(|steps| {
        let mut now = -50;
        let point = |(step, value): (i64, i32)| {
            now += step;
            (now, f64::from(value) / 4.0)
        };
        steps.into_iter().map(point).collect()
    })
}

/// All aggregates of a window the plain way.
fn plain(kind: Kind, before: Option<(i64, f64)>, points: &[(i64, f64)]) -> Vec<Option<f64>> {
    let count = crate::number::length(points.len());
    let mut sorted: Vec<f64> = points.iter().map(|point| point.1).collect();
    sorted.sort_by(f64::total_cmp);
    let some = |value: f64| (!points.is_empty()).then_some(value);
    let sum: f64 = sorted.iter().sum();
    let squares: f64 = sorted.iter().map(|value| (value - sum / count).powi(2)).sum();
    let chain: Vec<(i64, f64)> = before.into_iter().chain(points.iter().copied()).collect();
    let delta: f64 = chain.windows(2).map(|pair| kind.change(pair[0].1, pair[1].1)).sum();
    let known = !points.is_empty() && chain.len() > 1;
    let seconds = chain
        .last()
        .zip(chain.first())
        .map_or(0.0, |(b, a)| crate::number::seconds_between(a.0, b.0));
    let at = |share: f64| {
        let place = share * (count - 1.0);
        let value = |place: f64| {
            sorted.iter().zip(0..).find(|(_, at)| f64::from(*at) >= place).map(|(v, _)| *v)
        };
        let (low, high) = (value(place.floor())?, value(place.ceil())?);
        Some(low + (high - low) * place.fract())
    };
    vec![
        some(sum / count),
        sorted.first().copied(),
        sorted.last().copied(),
        some(sum),
        Some(count),
        points.first().map(|point| point.1),
        points.last().map(|point| point.1),
        at(0.5),
        at(0.95),
        (known && seconds > 0.0).then(|| delta / seconds),
        known.then_some(delta),
        (points.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
    ]
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * (1.0 + a.abs()),
        (a, b) => a == b,
    }
}

proptest! {
    #[test]
    fn aggregates_are_what_the_plain_computation_gives(
        points in points(),
        kind in prop::sample::select(vec![Kind::Gauge, Kind::Counter, Kind::Total]),
        step in 1_u32..500,
    ) {
        let windows = windows(1_000, step);
        let mut resampler = Resampler::new(&windows, &Aggregate::ALL, kind, Some((-99, 7.0)));
        for (at_ms, number) in &points {
            resampler.push(*at_ms, &Value::Number(*number)).unwrap();
        }
        let resampled = resampler.finish();
        for window in 0..windows.len() {
            let range = windows.window_ms(window);
            let before = points.iter().rfind(|point| point.0 < range.start).copied();
            let inside: Vec<_> = points.iter().filter(|point| range.contains(&point.0)).copied().collect();
            let expected = plain(kind, before.or(Some((-99, 7.0))), &inside);
            for (column, expected) in expected.into_iter().enumerate() {
                let found = resampled.columns[column][window].as_ref().and_then(Value::as_number);
                prop_assert!(near(found, expected), "{}: {found:?} {expected:?}", Aggregate::ALL[column]);
            }
        }
    }

    #[test]
    fn summaries_stand_for_their_values(points in points(), size in 1_usize..20, step in 1_u32..500) {
        let windows = windows(1_000, step);
        let aggregates: Vec<_> = Aggregate::ALL.into_iter().filter(|a| !a.needs_values()).collect();
        let mut plain = Resampler::new(&windows, &aggregates, Kind::Counter, None);
        let mut joined = Resampler::new(&windows, &aggregates, Kind::Counter, None);
        for chunk in points.chunks(size) {
            let mut summary = Summary::default();
            for (at_ms, number) in chunk {
                summary.push(*at_ms, &Value::Number(*number));
                plain.push(*at_ms, &Value::Number(*number)).unwrap();
            }
            if joined.can_join(&summary) {
                joined.join(&summary).unwrap();
            } else {
                for (at_ms, number) in chunk { joined.push(*at_ms, &Value::Number(*number)).unwrap(); }
            }
        }
        let (plain, joined) = (plain.finish(), joined.finish());
        for (column, aggregate) in aggregates.iter().enumerate() {
            for (a, b) in plain.numbers(column).into_iter().zip(joined.numbers(column)) {
                prop_assert!(near(a, b), "{aggregate}: {a:?} {b:?}");
            }
        }
    }
}
