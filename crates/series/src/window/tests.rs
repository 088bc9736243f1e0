use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use proptest::prelude::*;

use super::*;

const HOUR_MS: i64 = 3_600_000;

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

fn ms(time: &str) -> i64 {
    time.parse::<Timestamp>().unwrap().as_millisecond()
}

fn windows(from: &str, to: &str, step: &str, zone_name: &str) -> Windows {
    Windows::new(ms(from)..ms(to), step.parse().unwrap(), &zone(zone_name), 1_000).unwrap()
}

fn hours(windows: &Windows) -> Vec<i64> {
    windows.edges.windows(2).map(|edges| (edges[1] - edges[0]) / HOUR_MS).collect()
}

#[test]
fn fixed_windows_are_aligned_to_1970() {
    let windows =
        Windows::new(-1..601_000, Step::Fixed { ms: 300_000 }, &TimeZone::UTC, 9).unwrap();
    assert_eq!(windows.starts_ms(), [-300_000, 0, 300_000, 600_000]);
    assert_eq!(windows.range_ms(), -300_000..900_000);
    assert_eq!(windows.window_at(299_999), Some(1));
    assert_eq!(windows.window_at(300_000), Some(2));
    assert_eq!((windows.window_at(-300_001), windows.window_at(900_000)), (None, None));
}

#[test]
fn a_range_that_ends_at_an_edge_has_no_further_window() {
    let windows = Windows::new(0..600_000, Step::Fixed { ms: 300_000 }, &TimeZone::UTC, 2).unwrap();
    assert_eq!(windows.starts_ms(), [0, 300_000]);
}

#[test]
fn days_have_23_and_25_hours_where_clocks_change() {
    let spring = windows("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", "1d", "Europe/Berlin");
    assert_eq!(hours(&spring), [24, 23, 24]);
    let autumn = windows("2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z", "1d", "Europe/Berlin");
    assert_eq!(hours(&autumn), [24, 25, 24]);
    assert_eq!(autumn.starts_ms()[0], ms("2026-10-24T00:00:00+02:00"));
}

#[test]
fn a_day_begins_at_one_where_midnight_is_left_out() {
    let days = windows("2018-11-03T12:00:00Z", "2018-11-05T12:00:00Z", "1d", "America/Sao_Paulo");
    assert_eq!(days.starts_ms()[1], ms("2018-11-04T01:00:00-02:00"));
    assert_eq!(hours(&days), [24, 23, 24]);
}

#[test]
fn a_day_that_a_zone_left_out_is_no_window() {
    let days =
        windows("2011-12-29T12:00:00-10:00", "2011-12-31T12:00:00+14:00", "1d", "Pacific/Apia");
    assert_eq!(hours(&days), [24, 24]);
}

#[test]
fn weeks_begin_on_monday_and_quarters_in_january() {
    let weeks = windows("2026-11-30T00:00:00Z", "2026-12-08T00:00:00Z", "1w", "UTC");
    assert_eq!(weeks.starts_ms(), [ms("2026-11-30T00:00:00Z"), ms("2026-12-07T00:00:00Z")]);
    let quarters = windows("2026-05-05T00:00:00Z", "2026-07-01T00:00:01Z", "3mo", "UTC");
    assert_eq!(quarters.starts_ms(), [ms("2026-04-01T00:00:00Z"), ms("2026-07-01T00:00:00Z")]);
    let years = windows("2024-05-05T00:00:00Z", "2024-06-01T00:00:00Z", "1y", "America/Sao_Paulo");
    assert_eq!(years.starts_ms(), [ms("2024-01-01T00:00:00-03:00")]);
    assert_eq!(hours(&years), [366 * 24]);
}

#[test]
fn auto_takes_the_smallest_round_step() {
    let auto = |to: i64, limit| Windows::new(0..to, Step::Auto, &TimeZone::UTC, limit).unwrap();
    assert_eq!(auto(HOUR_MS, 360).step().to_string(), "10s");
    assert_eq!(auto(HOUR_MS, 359).step().to_string(), "15s");
    assert_eq!(auto(24 * 365 * HOUR_MS, 366).step().to_string(), "1d");
    assert_eq!(auto(24 * 365 * HOUR_MS, 2).step().to_string(), "1y");
    assert_eq!(auto(5, 100).step().to_string(), "1ms");
}

#[test]
fn too_many_windows_are_refused() {
    let of = |range, step: &str, limit| {
        Windows::new(range, step.parse().unwrap(), &TimeZone::UTC, limit)
            .map(|windows| windows.len())
    };
    let refused =
        |step: &str, limit| Err(SeriesError::TooManyWindows { step: step.parse().unwrap(), limit });
    assert_eq!(of(0..10_000, "1s", 10), Ok(10));
    assert_eq!(of(0..10_001, "1s", 10), refused("1s", 10));
    assert_eq!(of(0..11 * 24 * HOUR_MS, "1d", 10), refused("1d", 10));
    assert_eq!(of(0..10 * 24 * HOUR_MS, "1d", 10), Ok(10));
    assert_eq!(of(0..i64::MAX, "1ms", usize::MAX), refused("1ms", MAX_WINDOWS));
    assert_eq!(of(0..1, "1ms", 0), refused("1ms", 0));
    assert_eq!(
        of(ms("1899-12-15T00:00:00Z")..ms("1900-01-15T00:00:00Z"), "auto", 1),
        refused("100y", 1)
    );
}

#[test]
fn ranges_that_cannot_be_divided_are_refused() {
    let of = |range, step: &str| {
        Windows::new(range, step.parse().unwrap(), &TimeZone::UTC, 10).map(|windows| windows.len())
    };
    assert_eq!(of(5..5, "1s"), Err(SeriesError::EmptyRange));
    assert_eq!(of(i64::MIN..i64::MIN + 5, "1d"), Err(SeriesError::OutOfRange));
    assert_eq!(of(i64::MIN..i64::MIN + 5, "1h"), Err(SeriesError::OutOfRange));
    assert_eq!(of(i64::MAX - 5..i64::MAX, "1h"), Err(SeriesError::OutOfRange));
    assert_eq!(of(0..5, "4294967295y"), Err(SeriesError::OutOfRange));
    assert_eq!(of(0..5, "4294967295d"), Err(SeriesError::OutOfRange));
}

#[test]
fn texts_that_are_no_step_are_refused() {
    for text in
        ["", "5", "m", "0s", "-5m", "5M", "1.5h", "5 m", "50d1", "4294967296s", "1193h1", "2000h"]
    {
        assert_eq!(text.parse::<Step>(), Err(SeriesError::BadStep(text.to_owned())), "{text}");
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let unit = prop::sample::select(CalendarUnit::ALL.to_vec());
    prop_oneof![
        (1_u32..10_000_000).prop_map(|ms| Step::Fixed { ms }),
        (1_u32..5, unit).prop_map(|(count, unit)| Step::Calendar { count, unit }),
    ]
}

proptest! {
    #[test]
    fn steps_are_read_back(step in any_step()) {
        prop_assert_eq!(step.to_string().parse(), Ok(step));
    }

    #[test]
    fn windows_adjoin_and_cover_the_range(
        from in -2_000_000_000_000_i64..4_000_000_000_000,
        span in 1_i64..20_000_000_000,
        step in any_step(),
        name in prop::sample::select(vec![
            "UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "America/St_Johns",
            "Asia/Kathmandu", "Africa/Casablanca", "Antarctica/Troll",
        ]),
    ) {
        match Windows::new(from..from + span, step, &zone(name), 400) {
            Err(error) => prop_assert_eq!(error, SeriesError::TooManyWindows { step, limit: 400 }),
            Ok(windows) => {
                prop_assert!(windows.len() <= 400);
                prop_assert!(windows.edges.is_sorted_by(|a, b| a < b));
                prop_assert_eq!(windows.window_at(from), Some(0));
                prop_assert_eq!(windows.window_at(from + span - 1), Some(windows.len() - 1));
                // The same windows whatever part of the range is asked for.
                let part = Windows::new(from + span / 2..from + span, step, &zone(name), 400).unwrap();
                prop_assert!(windows.edges.ends_with(&part.edges));
            }
        }
    }
}
