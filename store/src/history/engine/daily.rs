//! The sums of days, in SQL.

use std::collections::BTreeMap;

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::Engine;
use super::fault::{Fault, Kind};
use super::ladder::{NARROW, WIDE, rungs};
use super::plan::DAY_SECONDS;
use super::seam::{Product, Session, fixed, sql};
use super::sql::{Join, insert, or_join, placeholders};
use super::value::{Fields, Value};
use super::window::{padded, seconds_of};
use super::work::Work;
use crate::StoreError;
use crate::history::daily::{Daily, DayMark, DaySums, DoneDay, LastFix};

const COLUMNS: &[&str] = &[
    "device",
    "day",
    "row_count",
    "before_at",
    "before_hash",
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
    "gps_sum_mm",
    "unmetered_sum_mm",
    "moving_s",
    "idle_s",
    "engine_s",
    "silent_s",
    "engine_legs",
    "max_speed_kmh",
];
const LAST_COLUMNS: &[&str] = &[
    "device",
    "day",
    "newest_at",
    "newest_hash",
    "fix_at",
    "fix_hash",
    "interval_on_s",
    "interval_off_s",
];
const ADD_LEASE: &str = "INSERT INTO leases (name, holder, until_ms) VALUES (?, ?, ?)";
const RENEW_LEASE: &str =
    "UPDATE leases SET holder = ?, until_ms = ? WHERE name = ? AND (holder = ? OR until_ms < ?)";
const RELEASE_LEASE: &str = "DELETE FROM leases WHERE name = ? AND holder = ?";
const MARKS: &str = "SELECT device, day, slot FROM daily_marks WHERE slot < ? \
    ORDER BY slot DESC, device DESC, day DESC LIMIT ?";
const DELETE_MARK: &str = "DELETE FROM daily_marks WHERE slot = ? AND device = ? AND day = ?";
const DELETE_DAY: &str = "DELETE FROM daily WHERE device = ? AND day = ?";
const PENDING: &str = "SELECT DISTINCT device, day FROM daily_marks WHERE day BETWEEN ? AND ? \
    ORDER BY device, day";
const OLDEST_SLOT: &str = "SELECT MIN(slot) FROM daily_marks WHERE slot > 0";
/// A rhythm is told by at least so many intervals.
const ENOUGH_LEGS: u64 = 5;

fn select(condition: &str) -> String {
    format!("SELECT {} FROM daily WHERE {condition}", COLUMNS.join(", "))
}

#[async_trait]
impl<P: Product> Daily for Engine<P> {
    async fn lease(
        &self,
        name: &str,
        holder: &str,
        now_ms: u64,
        until_ms: u64,
    ) -> Result<bool, StoreError> {
        let renew: [Value<'_>; 5] =
            [holder.into(), until_ms.into(), name.into(), holder.into(), now_ms.into()];
        if self.update(RENEW_LEASE, &renew).await? {
            return Ok(true);
        }
        let add = [name.into(), holder.into(), until_ms.into()];
        let added = self.transact(super::work::Execute { text: ADD_LEASE, values: &add }).await;
        match added {
            Ok(_) => Ok(true),
            Err(fault) if fault.kind == Kind::Taken => Ok(false),
            Err(fault) => Err(fault.into_error(P::STORE)),
        }
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        self.update(RELEASE_LEASE, &[name.into(), holder.into()]).await.map(drop)
    }

    async fn marks(&self, slot: u32, limit: u32) -> Result<Vec<DayMark>, StoreError> {
        let rows = self.product.rows(fixed(MARKS), &[slot.into(), limit.into()]).await;
        let mark = |row: &P::Row| {
            let device = DeviceId::new(row.need(0)?);
            Ok(DayMark { device, day: row.need(1)?, slot: row.need(2)? })
        };
        rows.and_then(|rows| rows.iter().map(mark).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn day(&self, device: DeviceId, day: u32) -> Result<Option<DaySums>, StoreError> {
        let text = select("device = ? AND day = ?");
        Ok(self.day_sums(text, &[device.into(), day.into()]).await?.pop())
    }

    async fn next_day(&self, device: DeviceId, day: u32) -> Result<Option<DaySums>, StoreError> {
        let text = select("device = ? AND day > ? ORDER BY day LIMIT 1");
        Ok(self.day_sums(text, &[device.into(), day.into()]).await?.pop())
    }

    async fn rows_up_to(
        &self,
        device: DeviceId,
        day: u32,
        (last_at, last_hash): (u32, u64),
    ) -> Result<u64, StoreError> {
        let (first, last) = seconds_of(day);
        let buckets = padded(first, last.min(last_at.max(first)));
        let mut values: Vec<Value<'_>> = buckets.iter().map(|bucket| (*bucket).into()).collect();
        values.extend([Value::from(device), first.into(), last_at.into()]);
        values.extend([last_at.into(), Value::Hash(last_hash)]);
        let text = format!(
            "SELECT COUNT(*) FROM positions WHERE bucket IN ({}) AND device = ? \
             AND recorded_at >= ? AND recorded_at <= ? \
             AND (recorded_at < ? OR frame_hash <= ?)",
            placeholders(buckets.len())
        );
        let rows = self.product.rows(sql(text), &values).await;
        rows.and_then(|rows| rows.first().map_or(Ok(0), |row| row.need(0)))
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn keep(&self, done: &[DoneDay]) -> Result<(), StoreError> {
        self.transact(Keep { done }).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn sums(
        &self,
        devices: &[DeviceId],
        from_day: u32,
        to_day: u32,
    ) -> Result<Vec<DaySums>, StoreError> {
        let mut sums = Vec::new();
        for devices in rungs(devices, WIDE) {
            let mut values: Vec<Value<'_>> =
                devices.iter().map(|device| (*device).into()).collect();
            values.extend([Value::from(from_day), to_day.into()]);
            let condition = format!(
                "device IN ({}) AND day BETWEEN ? AND ? ORDER BY device, day",
                placeholders(devices.len())
            );
            sums.extend(self.day_sums(select(&condition), &values).await?);
        }
        Ok(sums)
    }

    async fn pending(
        &self,
        from_day: u32,
        to_day: u32,
    ) -> Result<Vec<(DeviceId, u32)>, StoreError> {
        let rows = self.product.rows(fixed(PENDING), &[from_day.into(), to_day.into()]).await;
        let pair = |row: &P::Row| Ok((DeviceId::new(row.need(0)?), row.need(1)?));
        rows.and_then(|rows| rows.iter().map(pair).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn oldest_slot(&self) -> Result<Option<u32>, StoreError> {
        let rows = self.product.rows(fixed(OLDEST_SLOT), &[]).await;
        rows.and_then(|rows| rows.first().map_or(Ok(None), |row| row.maybe(0)))
            .map_err(|fault| fault.into_error(P::STORE))
    }
}

impl<P: Product> Engine<P> {
    async fn day_sums(
        &self,
        text: String,
        values: &[Value<'_>],
    ) -> Result<Vec<DaySums>, StoreError> {
        let rows = self.product.rows(sql(text), values).await;
        rows.and_then(|rows| rows.iter().map(sums_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }
}

fn sums_of(row: &impl Fields) -> Result<DaySums, Fault> {
    let before = match row.maybe(3)? {
        Some(at) => Some((at, row.hash(4)?)),
        None => None,
    };
    Ok(DaySums {
        device: row.need(0)?,
        day: row.need(1)?,
        row_count: row.need(2)?,
        before,
        first_at: row.need(5)?,
        first_odometer_m: row.need(6)?,
        first_hour_min: row.need(7)?,
        last_at: row.need(8)?,
        last_hash: row.hash(9)?,
        last_odometer_m: row.need(10)?,
        last_hour_min: row.need(11)?,
        last_speed_kmh: row.maybe(12)?,
        last_ignition: row.need::<u64>(13)? != 0,
        place_at: row.maybe(14)?,
        place_latitude_udeg: row.need_signed(15)?,
        place_longitude_udeg: row.need_signed(16)?,
        odometer_sum_m: row.need(17)?,
        gps_sum_mm: row.need(18)?,
        unmetered_sum_mm: row.need(19)?,
        moving_s: row.need(20)?,
        idle_s: row.need(21)?,
        engine_s: row.need(22)?,
        silent_s: row.need(23)?,
        engine_legs: row.need(24)?,
        max_speed_kmh: row.maybe(25)?,
    })
}

fn sums_values(sums: &DaySums) -> [Value<'static>; 26] {
    let (before_at, before_hash) = key_values(sums.before);
    [
        sums.device.into(),
        sums.day.into(),
        sums.row_count.into(),
        before_at,
        before_hash,
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
        sums.gps_sum_mm.into(),
        sums.unmetered_sum_mm.into(),
        sums.moving_s.into(),
        sums.idle_s.into(),
        sums.engine_s.into(),
        sums.silent_s.into(),
        sums.engine_legs.into(),
        sums.max_speed_kmh.into(),
    ]
}

fn key_values(key: LastFix) -> (Value<'static>, Value<'static>) {
    key.map_or((Value::NoNumber, Value::NoNumber), |(at, hash)| (at.into(), Value::Hash(hash)))
}

/// The newest rows of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Last {
    newest: (u32, u64),
    fix: LastFix,
    on_s: Option<u32>,
    off_s: Option<u32>,
}

impl Last {
    /// Of one day; the rhythm where it has enough rows.
    fn of(sums: &DaySums, fix: LastFix) -> Self {
        let interval = |seconds: u64, legs: u64| {
            let enough = legs >= ENOUGH_LEGS;
            enough.then(|| u32::try_from(seconds.div_ceil(legs.max(1))).unwrap_or(u32::MAX))
        };
        let span = u64::from(sums.last_at.saturating_sub(sums.first_at));
        let off_s = span.saturating_sub(sums.engine_s).saturating_sub(sums.silent_s);
        let off_legs = sums.row_count.saturating_sub(1).saturating_sub(sums.engine_legs);
        Self {
            newest: (sums.last_at, sums.last_hash),
            fix,
            on_s: interval(sums.engine_s, sums.engine_legs),
            off_s: interval(off_s, off_legs),
        }
    }

    /// Joins what another day says.
    fn join(self, other: Self) -> Self {
        let (old, new) = if self.newest <= other.newest { (self, other) } else { (other, self) };
        Self {
            newest: new.newest,
            fix: old.fix.max(new.fix),
            on_s: new.on_s.or(old.on_s),
            off_s: new.off_s.or(old.off_s),
        }
    }

    fn read(row: &impl Fields) -> Result<Self, Fault> {
        let fix = match row.maybe(4)? {
            Some(at) => Some((at, row.hash(5)?)),
            None => None,
        };
        let newest = (row.need(2)?, row.hash(3)?);
        Ok(Self { newest, fix, on_s: row.maybe(6)?, off_s: row.maybe(7)? })
    }

    fn values(&self, device: u32) -> [Value<'static>; 8] {
        let (fix_at, fix_hash) = key_values(self.fix);
        [
            device.into(),
            (self.newest.0 / DAY_SECONDS).into(),
            self.newest.0.into(),
            Value::Hash(self.newest.1),
            fix_at,
            fix_hash,
            self.on_s.into(),
            self.off_s.into(),
        ]
    }
}

struct Keep<'a> {
    done: &'a [DoneDay],
}

#[async_trait]
impl<P: Product> Work<P> for Keep<'_> {
    type Output = ();

    async fn run(&self, session: &mut P::Session) -> Result<(), Fault> {
        let mut sums = Vec::with_capacity(self.done.len());
        let mut lasts: BTreeMap<u32, Last> = BTreeMap::new();
        for done in self.done {
            if !take_marks(session, &done.marks).await? {
                continue;
            }
            let Some(day) = &done.sums else {
                session.execute(fixed(DELETE_DAY), &[done.device.into(), done.day.into()]).await?;
                continue;
            };
            let last = Last::of(day, done.fix);
            lasts.entry(day.device).and_modify(|held| *held = held.join(last)).or_insert(last);
            sums.push(day);
        }
        put::<P, _>(session, "daily", COLUMNS, 2, &sums, |day| sums_values(day).to_vec()).await?;
        join_held(session, &mut lasts).await?;
        let lasts: Vec<(u32, Last)> = lasts.into_iter().collect();
        let values = |(device, last): &(u32, Last)| last.values(*device).to_vec();
        put::<P, _>(session, "device_last", LAST_COLUMNS, 1, &lasts, values).await
    }
}

/// Deletes the marks; `false` when one of them was gone.
async fn take_marks<S: Session>(session: &mut S, marks: &[DayMark]) -> Result<bool, Fault> {
    let mut taken = true;
    for mark in marks {
        let values = [mark.slot.into(), mark.device.into(), mark.day.into()];
        taken &= session.execute(fixed(DELETE_MARK), &values).await? > 0;
    }
    Ok(taken)
}

async fn join_held<S: Session>(
    session: &mut S,
    lasts: &mut BTreeMap<u32, Last>,
) -> Result<(), Fault> {
    let devices: Vec<u32> = lasts.keys().copied().collect();
    for devices in rungs(&devices, WIDE) {
        let values: Vec<Value<'_>> = devices.iter().map(|device| (*device).into()).collect();
        let text = format!(
            "SELECT {} FROM device_last WHERE device IN ({})",
            LAST_COLUMNS.join(", "),
            placeholders(devices.len())
        );
        for row in session.rows(sql(text), &values).await? {
            let held = Last::read(&row)?;
            lasts.entry(row.need(0)?).and_modify(|last| *last = held.join(*last));
        }
    }
    Ok(())
}

/// Writes rows in the place of those with the same key: the first columns.
async fn put<P: Product, T: Sync>(
    session: &mut P::Session,
    table: &str,
    columns: &[&str],
    key: usize,
    rows: &[T],
    values: impl Fn(&T) -> Vec<Value<'static>> + Send + Sync,
) -> Result<(), Fault> {
    let set: Vec<(&str, Join)> = columns[key..].iter().map(|column| (*column, Join::New)).collect();
    for rows in rungs(rows, NARROW) {
        let values: Vec<Value<'_>> = rows.iter().flat_map(&values).collect();
        let text = insert(table, columns, rows.len());
        let text = or_join(&text, P::DIALECT, &columns[..key], &set);
        session.execute(sql(text), &values).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_rhythm_of_a_day() {
        let day = DaySums {
            row_count: 101,
            first_at: 0,
            last_at: 40_000,
            engine_s: 1_000,
            engine_legs: 100,
            ..DaySums::default()
        };
        assert_eq!((Last::of(&day, None).on_s, Last::of(&day, None).off_s), (Some(10), None));
        let parked = DaySums { row_count: 111, ..day };
        assert_eq!(Last::of(&parked, None).off_s, Some(3900));
    }

    fn lasts() -> impl Strategy<Value = Last> {
        let key = || (0..3_u32, 0..3_u64);
        let seconds = || prop::option::of(0..3_u32);
        (key(), prop::option::of(key()), seconds(), seconds())
            .prop_map(|(newest, fix, on_s, off_s)| Last { newest, fix, on_s, off_s })
    }

    proptest! {
        #[test]
        fn the_newest_row_wins_whatever_the_order(a in lasts(), b in lasts(), c in lasts()) {
            let rows = |last: Last| (last.newest, last.fix);
            prop_assert_eq!(rows(a.join(b)), rows(b.join(a)));
            prop_assert_eq!(rows(a.join(b).join(c)), rows(a.join(b.join(c))));
            prop_assert_eq!(rows(a.join(a)), rows(a));
        }
    }
}
