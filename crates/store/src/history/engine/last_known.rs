//! Where devices were last: what `last.rs` noted of them, joined to the rows, by a few
//! statements for any number; the long way where it is not noted what came since.

use std::collections::HashMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nemeses_protocol::{Composition, DeviceId, PositionRecord};

use super::Engine;
use super::fault::Fault;
use super::ladder::{WIDE, rungs};
use super::reads::{HAS_FIX, last_row, positions};
use super::rows::position_of;
use super::seam::{Dialect, Product, sql};
use super::sql::{POSITION_COLUMNS, placeholders};
use super::value::{Fields as _, Value};
use crate::StoreError;
use crate::history::devices::LastKnown;
use crate::history::{BUCKET_SECONDS, RangeQuery};
use crate::live::Version;

/// Devices looked up the long way at the same time.
const AT_ONCE: usize = 8;

/// The rows that `device_last` names for so many devices, by a column's first word; then
/// whether there are rows that it does not know of, and whether the newest with a fix is
/// another one.
fn noted_sql(which: &str, devices: usize, dialect: Dialect) -> String {
    let columns: Vec<String> =
        POSITION_COLUMNS.iter().map(|column| format!("p.{column}")).collect();
    let columns = columns.join(", ");
    let divided = divided(dialect);
    format!(
        "SELECT {columns}, EXISTS (SELECT 1 FROM daily_marks m WHERE m.device = l.device \
         AND m.day >= l.day AND m.slot > l.noted_slot), \
         CASE WHEN l.fix_at = l.newest_at AND l.fix_hash = l.newest_hash THEN 0 \
         WHEN l.fix_at IS NULL THEN 0 ELSE 1 END \
         FROM device_last l JOIN positions p \
         ON p.bucket = l.{which}_at {divided} {BUCKET_SECONDS} AND p.device = l.device \
         AND p.recorded_at = l.{which}_at AND p.frame_hash = l.{which}_hash \
         WHERE l.device IN ({})",
        placeholders(devices)
    )
}

/// In the devices' order.
pub(in crate::history) async fn last_known<P: Product>(
    engine: &Engine<P>,
    devices: &[DeviceId],
    not_after: u32,
) -> Result<Vec<LastKnown>, StoreError> {
    let noted = noted(engine, devices, not_after).await;
    let mut found = noted.map_err(|fault| fault.into_error(P::STORE))?;
    let missing: Vec<DeviceId> =
        devices.iter().copied().filter(|device| !found.contains_key(device)).collect();
    let looked_up: Vec<(DeviceId, LastKnown)> = stream::iter(missing)
        .map(|device| async move { Ok((device, look_up(engine, device, not_after).await?)) })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    found.extend(looked_up);
    Ok(devices.iter().map(|device| found.get(device).cloned().unwrap_or_default()).collect())
}

/// Of the devices for which what is noted is all there is.
async fn noted<P: Product>(
    engine: &Engine<P>,
    devices: &[DeviceId],
    not_after: u32,
) -> Result<HashMap<DeviceId, LastKnown>, Fault> {
    let mut found: HashMap<DeviceId, LastKnown> = HashMap::with_capacity(devices.len());
    let mut elsewhere = Vec::new();
    for devices in rungs(devices, WIDE) {
        let values: Vec<Value<'_>> = devices.iter().map(|device| (*device).into()).collect();
        let text = noted_sql("newest", values.len(), P::DIALECT);
        for row in engine.product.rows(sql(text), &values).await? {
            let (stale, fix_elsewhere) = (row.need::<u64>(14)? != 0, row.need::<u64>(15)? != 0);
            let record = position_of(&row)?;
            let device = record.position.device;
            if stale || record.position.recorded_at > not_after {
                continue;
            }
            if fix_elsewhere {
                elsewhere.push(device);
            }
            let fix = record.position.composition.gps_fix().then(|| record.clone());
            found.insert(device, LastKnown { newest: Some(record), fix });
        }
    }
    for devices in rungs(&elsewhere, WIDE) {
        let values: Vec<Value<'_>> = devices.iter().map(|device| (*device).into()).collect();
        let text = noted_sql("fix", values.len(), P::DIALECT);
        for row in engine.product.rows(sql(text), &values).await? {
            let record = position_of(&row)?;
            let device = record.position.device;
            if let Some(known) = found.get_mut(&device) {
                known.fix = Some(record);
            }
        }
    }
    Ok(found)
}

/// The long way: the device's days backwards.
async fn look_up<P: Product>(
    engine: &Engine<P>,
    device: DeviceId,
    not_after: u32,
) -> Result<LastKnown, StoreError> {
    let Some(newest) = newest(engine, device, not_after, false).await? else {
        return Ok(LastKnown::default());
    };
    let fix = if newest.position.composition.gps_fix() {
        Some(newest.clone())
    } else {
        self::newest(engine, device, not_after, true).await?
    };
    Ok(LastKnown { newest: Some(newest), fix })
}

/// The newest row. That is the one recorded last, unless its time is ahead of its arrival:
/// then one that was recorded later than that arrival may be newer.
async fn newest<P: Product>(
    engine: &Engine<P>,
    device: DeviceId,
    not_after: u32,
    with_fix: bool,
) -> Result<Option<PositionRecord>, StoreError> {
    let counts = |row: &PositionRecord| {
        Version::may_be_newest(row) && (!with_fix || row.position.composition.gps_fix())
    };
    let last = last_row(engine, device, not_after, &may_be_newest_sql(P::DIALECT, with_fix)).await;
    let Some(mut newest) = last.map_err(|fault| fault.into_error(P::STORE))? else {
        return Ok(None);
    };
    let from = Version::of(&newest).effective_at;
    if from == newest.position.recorded_at {
        return Ok(Some(newest));
    }
    let query =
        RangeQuery { device, from, to: not_after, descending: false, after: None, limit: None };
    let mut rows = positions(engine, query);
    while let Some(row) = rows.try_next().await? {
        if counts(&row) && Version::of(&row) > Version::of(&newest) {
            newest = row;
        }
    }
    Ok(Some(newest))
}

/// [`Version::may_be_newest`], and a GPS fix if wanted.
fn may_be_newest_sql(dialect: Dialect, with_fix: bool) -> String {
    let divided = divided(dialect);
    let historical = Composition::HISTORICAL;
    let fix = if with_fix { HAS_FIX } else { "" };
    format!(
        " AND (composition & {historical} = 0 OR recorded_at <= received_at_ms {divided} 1000){fix}"
    )
}

/// Divides whole numbers.
const fn divided(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::MySql => "DIV",
        Dialect::Sqlite => "/",
    }
}
