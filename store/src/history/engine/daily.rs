//! The sums of days, in SQL.

use std::collections::BTreeMap;

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::Engine;
use super::fault::{Fault, Kind};
use super::ladder::{NARROW, WIDE, rungs};
use super::last::{Last, join_into_table};
use super::marks::join_marks;
use super::seam::{Product, Session, fixed, sql};
use super::sql::{Join, insert, or_join, placeholders};
use super::value::{Fields, Value};
use super::window::{padded, seconds_of};
use super::work::Work;
use crate::StoreError;
use crate::history::daily::{Backlog, COUNTED_MARKS, Daily, DayMark, DaySums, DoneDay};

const COLUMNS: &[&str] = &[
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
const ADD_LEASE: &str = "INSERT INTO leases (name, holder, until_ms) VALUES (?, ?, ?)";
const RENEW_LEASE: &str =
    "UPDATE leases SET holder = ?, until_ms = ? WHERE name = ? AND (holder = ? OR until_ms < ?)";
const RELEASE_LEASE: &str = "DELETE FROM leases WHERE name = ? AND holder = ?";
const MARKS: &str = "SELECT device, day, slot FROM daily_marks WHERE slot > 0 AND slot < ? \
    ORDER BY slot DESC, device DESC, day DESC LIMIT ?";
/// A day goes on where the one before ended, so they are added up in order.
const WHOLE_DAYS: &str = "SELECT device, day, slot FROM daily_marks WHERE slot = 0 \
    ORDER BY device, day LIMIT ?";
const MARK_WHOLE: &str = "INSERT INTO daily_marks (slot, device, day) VALUES (0, ?, ?)";
const FIRST_MARKED: &str = "SELECT MIN(day) FROM daily_marks WHERE device = ?";
const DELETE_MARK: &str = "DELETE FROM daily_marks WHERE slot = ? AND device = ? AND day = ?";
const DELETE_DAY: &str = "DELETE FROM daily WHERE device = ? AND day = ?";
const BACKLOG: &str = "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM daily_marks LIMIT ?) counted), \
    (SELECT MIN(slot) FROM daily_marks WHERE slot > 0)";
/// A rhythm is told by at least so many intervals.
const ENOUGH_LEGS: u64 = 5;

fn pending_sql(condition: &str) -> String {
    format!(
        "SELECT COUNT(*) FROM (SELECT DISTINCT device, day FROM daily_marks \
         WHERE day BETWEEN ? AND ? AND {condition}) days"
    )
}

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
        let mut marks = self.marks_by(MARKS, &[slot.into(), limit.into()]).await?;
        let left = limit.saturating_sub(u32::try_from(marks.len()).unwrap_or(limit));
        if left > 0 && slot > 0 {
            marks.extend(self.marks_by(WHOLE_DAYS, &[left.into()]).await?);
        }
        Ok(marks)
    }

    async fn day(&self, device: DeviceId, day: u32) -> Result<Option<DaySums>, StoreError> {
        let text = select("device = ? AND day = ?");
        Ok(self.day_sums(text, &[device.into(), day.into()]).await?.pop())
    }

    async fn day_before(&self, device: DeviceId, day: u32) -> Result<Option<DaySums>, StoreError> {
        let text = select("device = ? AND day < ? ORDER BY day DESC LIMIT 1");
        Ok(self.day_sums(text, &[device.into(), day.into()]).await?.pop())
    }

    async fn first_marked(&self, device: DeviceId) -> Result<Option<u32>, StoreError> {
        let rows = self.product.rows(fixed(FIRST_MARKED), &[device.into()]).await;
        rows.and_then(|rows| rows.first().map_or(Ok(None), |row| row.maybe(0)))
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn outdated(
        &self,
        rules: u32,
        (device, day): (DeviceId, u32),
        limit: u32,
    ) -> Result<Vec<(DaySums, bool)>, StoreError> {
        let has_rows = "EXISTS (SELECT 1 FROM device_days x \
            WHERE x.device = daily.device AND x.day = daily.day)";
        let text = format!(
            "SELECT {}, {has_rows} FROM daily WHERE rules <> ? \
             AND device >= ? AND (device > ? OR day > ?) ORDER BY device, day LIMIT ?",
            COLUMNS.join(", ")
        );
        let values: [Value<'_>; 5] =
            [rules.into(), device.into(), device.into(), day.into(), limit.into()];
        let rows = self.product.rows(sql(text), &values).await;
        let one = |row: &P::Row| Ok((sums_of(row)?, row.need::<u64>(COLUMNS.len())? != 0));
        rows.and_then(|rows| rows.iter().map(one).collect())
            .map_err(|fault| fault.into_error(P::STORE))
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
        self.number(text, &values).await
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
        among: Option<&[DeviceId]>,
        from_day: u32,
        to_day: u32,
    ) -> Result<u64, StoreError> {
        let Some(devices) = among else {
            let text = pending_sql("1 = 1");
            return self.number(text, &[from_day.into(), to_day.into()]).await;
        };
        let mut days = 0;
        for devices in rungs(devices, WIDE) {
            let text = pending_sql(&format!("device IN ({})", placeholders(devices.len())));
            let mut values: Vec<Value<'_>> = vec![from_day.into(), to_day.into()];
            values.extend(devices.iter().map(|device| Value::from(*device)));
            days += self.number(text, &values).await?;
        }
        Ok(days)
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let rows = self.product.rows(fixed(BACKLOG), &[COUNTED_MARKS.into()]).await;
        let backlog =
            |row: &P::Row| Ok(Backlog { marks: row.need(0)?, oldest_slot: row.maybe(1)? });
        rows.and_then(|rows| rows.first().map_or(Ok(Backlog::default()), backlog))
            .map_err(|fault| fault.into_error(P::STORE))
    }
}

impl<P: Product> Engine<P> {
    /// The one number that a statement tells.
    async fn number(&self, text: String, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let rows = self.product.rows(sql(text), values).await;
        rows.and_then(|rows| rows.first().map_or(Ok(0), |row| row.need(0)))
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn marks_by(
        &self,
        text: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<DayMark>, StoreError> {
        let rows = self.product.rows(fixed(text), values).await;
        let mark = |row: &P::Row| {
            let device = DeviceId::new(row.need(0)?);
            Ok(DayMark { device, day: row.need(1)?, slot: row.need(2)? })
        };
        rows.and_then(|rows| rows.iter().map(mark).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

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

fn sums_values(sums: &DaySums) -> [Value<'_>; 26] {
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

/// What a day says of its device's newest rows; the rhythm where it has enough of them.
fn last_of(done: &DoneDay, sums: &DaySums) -> Last {
    let interval = |seconds: u64, legs: u64| {
        let enough = legs >= ENOUGH_LEGS;
        enough.then(|| u32::try_from(seconds.div_ceil(legs.max(1))).unwrap_or(u32::MAX))
    };
    let span = u64::from(sums.last_at.saturating_sub(sums.first_at));
    let off_s = span.saturating_sub(sums.engine_s).saturating_sub(sums.silent_s);
    let off_legs = sums.row_count.saturating_sub(1).saturating_sub(sums.engine_legs);
    Last {
        newest: done.newest.unwrap_or_default(),
        fix: done.fix,
        rhythm_day: done.day,
        on_s: interval(sums.engine_s, sums.engine_legs),
        off_s: interval(off_s, off_legs),
        noted_slot: 0,
    }
}

/// Writes a lease, whoever has it.
pub(super) struct Lease<'a> {
    pub(super) values: &'a [Value<'a>; 3],
}

#[async_trait]
impl<P: Product> Work<P> for Lease<'_> {
    type Output = ();

    async fn run(&self, session: &mut P::Session) -> Result<(), Fault> {
        let columns = &["name", "holder", "until_ms"];
        let text = insert("leases", columns, 1);
        let text = or_join(&text, P::DIALECT, &columns[..1], &[("until_ms", Join::New)]);
        session.execute(sql(text), self.values).await.map(drop)
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
            if let Some(next) = done.next {
                let values = [done.device.into(), next.into()];
                let mark = format!("{MARK_WHOLE}{}", join_marks(P::DIALECT));
                session.execute(sql(mark), &values).await?;
            }
            let Some(day) = &done.sums else {
                session.execute(fixed(DELETE_DAY), &[done.device.into(), done.day.into()]).await?;
                continue;
            };
            let last = last_of(done, day);
            lasts.entry(day.device).and_modify(|held| *held = held.join(last)).or_insert(last);
            sums.push(day);
        }
        put::<P, _>(session, "daily", COLUMNS, 2, &sums, |day| sums_values(day).to_vec()).await?;
        join_into_table::<P>(session, lasts).await
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

/// Writes rows in the place of those with the same key: the first columns.
async fn put<'a, P: Product, T: Sync>(
    session: &mut P::Session,
    table: &str,
    columns: &[&str],
    key: usize,
    rows: &'a [T],
    values: impl Fn(&'a T) -> Vec<Value<'a>> + Send + Sync,
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
        let done = DoneDay {
            marks: Vec::new(),
            device: DeviceId::new(1),
            day: 0,
            sums: None,
            newest: None,
            fix: None,
            next: None,
        };
        let last = last_of(&done, &day);
        assert_eq!((last.on_s, last.off_s), (Some(10), None));
        let parked = DaySums { row_count: 111, ..day };
        assert_eq!(last_of(&done, &parked).off_s, Some(3900));
    }
}
