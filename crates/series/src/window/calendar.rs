//! The edges of days, weeks, months and years in a time zone.
//!
//! Periods are numbered along the calendar, so that the edges do not depend on the range asked
//! for: every third month is a quarter.

use std::ops::Range;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Unit};

use super::CalendarUnit;
use crate::SeriesError;

/// 1 January 1970, a Thursday.
const FIRST_DAY: Date = date(1970, 1, 1);

/// 5 January 1970, a Monday.
const FIRST_MONDAY: Date = date(1970, 1, 5);

/// The beginnings of the periods around a range and the end of the last one; none if there
/// would be more than `limit` periods.
pub(super) fn edges(
    range: &Range<i64>,
    count: u32,
    unit: CalendarUnit,
    zone: &TimeZone,
    limit: usize,
) -> Result<Option<Vec<i64>>, SeriesError> {
    let step = i64::from(count);
    let mut period = period_of(local_date(range.start, zone)?, unit).div_euclid(step);
    let mut edges: Vec<i64> = Vec::new();
    loop {
        let edge = start_ms(period, step, unit, zone)?;
        match edges.last() {
            // Local midnight can come twice, or not at all: a zone once left out a whole day.
            Some(last) if *last >= edge => {}
            Some(_) if edge <= range.start => edges[0] = edge,
            _ => edges.push(edge),
        }
        if edge >= range.end {
            return Ok(Some(edges));
        }
        if edges.len() > limit {
            return Ok(None);
        }
        period += 1;
    }
}

fn local_date(at_ms: i64, zone: &TimeZone) -> Result<Date, SeriesError> {
    let time = Timestamp::from_millisecond(at_ms).map_err(|_| SeriesError::OutOfRange)?;
    Ok(zone.to_datetime(time).date())
}

/// The number of the unit in which a date lies.
fn period_of(date: Date, unit: CalendarUnit) -> i64 {
    let year = i64::from(date.year());
    match unit {
        CalendarUnit::Day => days_since(FIRST_DAY, date),
        CalendarUnit::Week => days_since(FIRST_MONDAY, date).div_euclid(7),
        CalendarUnit::Month => year * 12 + i64::from(date.month()) - 1,
        CalendarUnit::Year => year,
    }
}

fn days_since(first: Date, date: Date) -> i64 {
    let span = first.until((Unit::Day, date)).expect("dates are at most 20 000 years apart");
    i64::from(span.get_days())
}

/// When a period of `step` units begins. A midnight that clocks leave out is the time after it.
fn start_ms(
    period: i64,
    step: i64,
    unit: CalendarUnit,
    zone: &TimeZone,
) -> Result<i64, SeriesError> {
    let first = period.checked_mul(step).and_then(|number| first_date(number, unit));
    let midnight = first.and_then(|date| date.to_zoned(zone.clone()).ok());
    midnight.map(|midnight| midnight.timestamp().as_millisecond()).ok_or(SeriesError::OutOfRange)
}

/// The first date of a unit by its number; none beyond the calendar.
fn first_date(number: i64, unit: CalendarUnit) -> Option<Date> {
    let year = |year: i64, month: i64| {
        Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, 1).ok()
    };
    let days = |first: Date, days: i64| first.checked_add(days_span(days)?).ok();
    match unit {
        CalendarUnit::Day => days(FIRST_DAY, number),
        CalendarUnit::Week => days(FIRST_MONDAY, number.checked_mul(7)?),
        CalendarUnit::Month => year(number.div_euclid(12), number.rem_euclid(12) + 1),
        CalendarUnit::Year => year(number, 1),
    }
}

fn days_span(days: i64) -> Option<jiff::Span> {
    0.days().try_days(days).ok()
}
