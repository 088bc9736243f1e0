//! Sums of days over many devices: the database adds them up, so that a row a day is read and
//! not one a device and day.

use std::collections::BTreeMap;

use nemeses_protocol::DeviceId;

use super::Engine;
use super::fault::Fault;
use super::ladder::{WIDE, rungs};
use super::seam::{Product, sql};
use super::sql::placeholders;
use super::value::{Fields, Value};
use crate::history::daily::{DayTotal, FleetTotals};

/// MySQL's sums are decimals; SQLite leaves what is cast as it is.
fn totals_sql(devices: usize) -> String {
    let sums = ["row_count", "odometer_sum_m + gps_sum_m", "moving_s", "idle_s", "engine_s"];
    let sums = [&sums[..], &["silent_s", "rules <> ?"]].concat();
    let sums: Vec<String> =
        sums.iter().map(|sum| format!("CAST(SUM({sum}) AS UNSIGNED)")).collect();
    format!(
        "SELECT day, COUNT(*), {}, MAX(max_speed_kmh) FROM daily \
         WHERE day BETWEEN ? AND ? AND device IN ({}) GROUP BY day",
        sums.join(", "),
        placeholders(devices)
    )
}

fn devices_sql(devices: usize) -> String {
    format!(
        "SELECT COUNT(*) FROM (SELECT device FROM daily \
         WHERE day BETWEEN ? AND ? AND device IN ({}) GROUP BY device) d",
        placeholders(devices)
    )
}

fn total_of(row: &impl Fields) -> Result<DayTotal, Fault> {
    Ok(DayTotal {
        day: row.need(0)?,
        devices: row.need(1)?,
        row_count: row.need(2)?,
        distance_m: row.need(3)?,
        moving_s: row.need(4)?,
        idle_s: row.need(5)?,
        engine_s: row.need(6)?,
        silent_s: row.need(7)?,
        outdated: row.need(8)?,
        max_speed_kmh: row.maybe(9)?,
    })
}

impl<P: Product> Engine<P> {
    pub(super) async fn totals_of(
        &self,
        devices: &[DeviceId],
        (from_day, to_day): (u32, u32),
        rules: u32,
    ) -> Result<FleetTotals, Fault> {
        let (mut with_sums, mut days) = (0, BTreeMap::<u32, DayTotal>::new());
        for devices in rungs(devices, WIDE) {
            let named = devices.iter().map(|device| Value::from(*device));
            let values: Vec<Value<'_>> =
                [rules.into(), from_day.into(), to_day.into()].into_iter().chain(named).collect();
            let rows = self.product.rows(sql(totals_sql(devices.len())), &values).await?;
            for row in &rows {
                let total = total_of(row)?;
                days.entry(total.day).and_modify(|sum| sum.add(&total)).or_insert(total);
            }
            let counted = self.product.rows(sql(devices_sql(devices.len())), &values[1..]).await?;
            with_sums += counted.first().map_or(Ok(0), |row| row.need::<u64>(0))?;
        }
        Ok(FleetTotals { devices: with_sums, days: days.into_values().collect() })
    }
}
