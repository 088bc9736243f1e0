use proptest::prelude::*;

use super::*;

const DAY_MS: i64 = 86_400_000;

fn days(count: usize) -> Vec<i64> {
    (0..).map(|day| day * DAY_MS).take(count).collect()
}

fn of(values: &[Option<f64>]) -> Statistics {
    Statistics::of(&days(values.len()), values, Kind::Gauge, Returns::Log)
}

fn near(a: Option<f64>, b: f64) -> bool {
    a.is_some_and(|a| (a - b).abs() <= 1e-9 * (1.0 + b.abs()))
}

#[test]
fn a_series_that_doubles_in_a_year() {
    // 1461 days are four years; a constant return each day.
    let values: Vec<_> = (0..=1461).map(|day| Some(2_f64.powf(f64::from(day) / 365.25))).collect();
    let statistics = of(&values);
    assert!(near(statistics.change, 15.0) && near(statistics.change_share, 15.0));
    assert!(near(statistics.annualised_change, 1.0));
    assert!(statistics.volatility.is_some_and(|volatility| volatility < 1e-9));
    assert_eq!((statistics.greatest_fall, statistics.greatest_drawdown), (None, None));
}

#[test]
fn volatility_is_the_deviation_of_returns_in_a_year() {
    // Returns of ln 2 and -ln 2 in turn, one a day.
    let values = [1.0, 2.0, 1.0, 2.0, 1.0].map(Some);
    let deviation = 2_f64.ln() * (4.0_f64 / 3.0).sqrt();
    assert!(near(of(&values).volatility, deviation * 365.25_f64.sqrt()));
    let simple = Statistics::of(&days(3), &[1.0, 2.0, 1.0].map(Some), Kind::Gauge, Returns::Simple);
    // Returns of 1 and -0.5: their deviation is 1.5 / sqrt 2.
    assert!(near(simple.volatility, 1.5 / 2_f64.sqrt() * 365.25_f64.sqrt()));
}

#[test]
fn a_gap_is_bridged_and_lowers_the_returns_a_year() {
    let values = [Some(1.0), None, Some(2.0), None, Some(1.0), None, Some(2.0), None, Some(1.0)];
    let deviation = 2_f64.ln() * (4.0_f64 / 3.0).sqrt();
    assert!(near(of(&values).volatility, deviation * (365.25_f64 / 2.0).sqrt()));
    let returns = returns(&values, Returns::Simple);
    assert_eq!(returns[..5], [None, None, Some(1.0), None, Some(-0.5)]);
}

#[test]
fn falls_are_from_a_peak_to_the_lowest_point_after_it() {
    let values = [10.0, 4.0, 100.0, 60.0, 90.0, 50.0, 100.0].map(Some);
    let statistics = of(&values);
    let drawdown = Fall { peak_ms: 0, peak: 10.0, low_ms: DAY_MS, low: 4.0 };
    assert_eq!(statistics.greatest_drawdown, Some(drawdown));
    let fall = Fall { peak_ms: 2 * DAY_MS, peak: 100.0, low_ms: 5 * DAY_MS, low: 50.0 };
    assert_eq!(statistics.greatest_fall, Some(fall));
    assert_eq!(of(&[1.0, -1.0].map(Some)).greatest_drawdown, None);
}

#[test]
fn what_has_no_answer_is_none() {
    assert_eq!(of(&[None, None]), Statistics::default());
    assert_eq!(of(&[]), Statistics::default());
    let one = of(&[None, Some(5.0)]);
    assert_eq!((one.count, one.mean, one.stddev, one.change), (1, Some(5.0), None, None));
    assert_eq!((one.annualised_change, one.volatility), (None, None));
    let negative = of(&[Some(-5.0), Some(5.0), Some(6.0)]);
    assert_eq!((negative.change, negative.change_share), (Some(11.0), None));
    assert_eq!((negative.annualised_change, negative.volatility), (None, None));
    assert_eq!(of(&[Some(5.0), Some(0.0)]).annualised_change, None);
}

#[test]
fn the_change_of_a_counter_is_the_sum_of_its_increases() {
    let values = [90.0, 100.0, 4.0, 6.0].map(Some);
    let counter = Statistics::of(&days(4), &values, Kind::Counter, Returns::Log);
    assert_eq!(counter.change, Some(16.0));
    assert_eq!(of(&values).change, Some(-84.0));
}

#[test]
fn correlation_is_over_common_windows() {
    let up = vec![Some(1.0), Some(2.0), Some(3.0), None, Some(9.0)];
    let down = vec![Some(-1.0), Some(-2.0), Some(-3.0), Some(7.0), None];
    let flat = vec![Some(1.0); 5];
    let short = vec![None, None, None, Some(1.0), Some(2.0)];
    let matrix = correlations(&[up, down, flat, short]).unwrap();
    assert!(near(matrix[0][1], -1.0) && near(matrix[1][0], -1.0) && near(matrix[0][0], 1.0));
    assert_eq!((matrix[0][2], matrix[2][2], matrix[0][3]), (None, None, None));
    let too_many = vec![Vec::new(); MAX_CORRELATED + 1];
    assert!(correlations(&too_many).is_err());
}

#[test]
fn the_greatest_come_first_and_equal_ones_in_order() {
    let measures = [Some(1.0), None, Some(7.0), Some(-2.0), Some(7.0)];
    assert_eq!(top(&measures, 3), [2, 4, 0]);
    assert_eq!(top(&measures, 9), [2, 4, 0, 3]);
    for measure in Measure::ALL {
        assert_eq!(measure.to_string().parse(), Ok(measure));
        assert_eq!(measure.of(&Statistics::default()), None);
    }
}

proptest! {
    #[test]
    fn no_series_panics_and_results_are_finite(
        values in prop::collection::vec(prop::option::of(any::<f64>()), 0..30),
        kind in prop::sample::select(Kind::ALL.to_vec()),
        by in prop::sample::select(vec![Returns::Log, Returns::Simple]),
    ) {
        let statistics = Statistics::of(&days(values.len()), &values, kind, by);
        let numbers = [statistics.mean, statistics.stddev, statistics.change, statistics.change_share,
            statistics.annualised_change, statistics.volatility];
        prop_assert!(numbers.iter().flatten().all(|number| number.is_finite()));
        if let Some(fall) = statistics.greatest_drawdown {
            prop_assert!(fall.peak_ms < fall.low_ms && (0.0..=1.0).contains(&fall.share()));
        }
    }

    #[test]
    fn drawdown_is_the_greatest_of_all_pairs(values in prop::collection::vec(0.0..100_f64, 1..25)) {
        let pairs = values.iter().enumerate().flat_map(|(at, peak)| {
            values[at..].iter().map(move |low| if *peak > 0.0 { (peak - low) / peak } else { 0.0 })
        });
        let greatest = pairs.fold(0.0, f64::max);
        let values: Vec<_> = values.iter().copied().map(Some).collect();
        let found = of(&values).greatest_drawdown.map_or(0.0, |fall| fall.share());
        prop_assert!((found - greatest).abs() < 1e-12);
    }

    #[test]
    fn correlation_ignores_scale_and_offset(
        pairs in prop::collection::vec((-100.0..100_f64, -100.0..100_f64), 4..20),
    ) {
        let a: Vec<_> = pairs.iter().map(|pair| Some(pair.0)).collect();
        let b: Vec<_> = pairs.iter().map(|pair| Some(pair.1)).collect();
        let scaled = b.iter().map(|value| value.map(|value| value * -3.0 + 50.0)).collect();
        let matrix = correlations(&[a, b, scaled]).unwrap();
        if let (Some(plain), Some(scaled)) = (matrix[0][1], matrix[0][2]) {
            prop_assert!((plain + scaled).abs() < 1e-6);
        }
    }
}
