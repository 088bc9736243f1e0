//! A row of the sums of days.

use super::fault::Fault;
use super::value::{Fields, Value};
use crate::history::daily::DaySums;

/// Columns of `daily`, its key first, in the order in which rows are bound and read.
pub(super) const COLUMNS: &[&str] = &[
    "device",
    "day",
    "row_count",
    "rules",
    "began",
    "state",
    "first_at",
    "first_odometer_m",
    "first_hour_min",
    "last_at",
    "last_hash",
    "last_odometer_m",
    "last_hour_min",
    "last_speed_kmh",
    "last_ignition",
    "place_at",
    "place_latitude_udeg",
    "place_longitude_udeg",
    "odometer_sum_m",
    "gps_sum_m",
    "moving_s",
    "idle_s",
    "engine_s",
    "silent_s",
    "engine_legs",
    "max_speed_kmh",
];

pub(super) fn sums_of(row: &impl Fields) -> Result<DaySums, Fault> {
    Ok(DaySums {
        device: row.need(0)?,
        day: row.need(1)?,
        row_count: row.need(2)?,
        rules: row.need(3)?,
        began: row.hash(4)?,
        state: row.bytes(5)?.unwrap_or_default(),
        first_at: row.need(6)?,
        first_odometer_m: row.need(7)?,
        first_hour_min: row.need(8)?,
        last_at: row.need(9)?,
        last_hash: row.hash(10)?,
        last_odometer_m: row.need(11)?,
        last_hour_min: row.need(12)?,
        last_speed_kmh: row.maybe(13)?,
        last_ignition: row.need::<u64>(14)? != 0,
        place_at: row.maybe(15)?,
        place_latitude_udeg: row.need_signed(16)?,
        place_longitude_udeg: row.need_signed(17)?,
        odometer_sum_m: row.need(18)?,
        gps_sum_m: row.need(19)?,
        moving_s: row.need(20)?,
        idle_s: row.need(21)?,
        engine_s: row.need(22)?,
        silent_s: row.need(23)?,
        engine_legs: row.need(24)?,
        max_speed_kmh: row.maybe(25)?,
    })
}

pub(super) fn sums_values(sums: &DaySums) -> [Value<'_>; 26] {
    [
        sums.device.into(),
        sums.day.into(),
        sums.row_count.into(),
        sums.rules.into(),
        Value::Hash(sums.began),
        sums.state.as_slice().into(),
        sums.first_at.into(),
        sums.first_odometer_m.into(),
        sums.first_hour_min.into(),
        sums.last_at.into(),
        Value::Hash(sums.last_hash),
        sums.last_odometer_m.into(),
        sums.last_hour_min.into(),
        sums.last_speed_kmh.into(),
        sums.last_ignition.into(),
        sums.place_at.into(),
        sums.place_latitude_udeg.into(),
        sums.place_longitude_udeg.into(),
        sums.odometer_sum_m.into(),
        sums.gps_sum_m.into(),
        sums.moving_s.into(),
        sums.idle_s.into(),
        sums.engine_s.into(),
        sums.silent_s.into(),
        sums.engine_legs.into(),
        sums.max_speed_kmh.into(),
    ]
}
