//! The sums of days, in SQL.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::Engine;
use super::commit::join_marks;
use super::day_sums::{COLUMNS, sums_of, sums_values};
use super::fault::{Fault, Kind};
use super::ladder::{NARROW, WIDE, rungs};
use super::last::{Last, join_into_table};
use super::seam::{Product, Session, fixed, sql};
use super::sql::{Join, any_of, insert, or_join, placeholders};
use super::value::{Fields, Value};
use super::window::{padded, seconds_of};
use super::work::Work;
use crate::StoreError;
use crate::history::daily::{
    Backlog, COUNTED_MARKS, Daily, DayMark, DaySums, DoneDay, FleetTotals,
};

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
const MARK: &str = "(slot = ? AND device = ? AND day = ?)";
const DELETE_DAY: &str = "DELETE FROM daily WHERE device = ? AND day = ?";
const BACKLOG: &str = "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM daily_marks LIMIT ?) counted), \
    (SELECT MIN(slot) FROM daily_marks WHERE slot > 0)";
/// A rhythm is told by at least so many intervals.
const ENOUGH_LEGS: u64 = 5;

fn pending_sql(condition: &str, of_other_rules: bool) -> String {
    let outdated = " WHERE EXISTS (SELECT 1 FROM daily d \
        WHERE d.device = m.device AND d.day = m.day AND d.rules <> ?)";
    format!(
        "SELECT COUNT(*) FROM (SELECT DISTINCT device, day FROM daily_marks \
         WHERE day BETWEEN ? AND ? AND {condition}) m{}",
        if of_other_rules { outdated } else { "" }
    )
}

/// The days next to stretches of days that have sums: of each, one before and one behind.
fn neighbours_sql(stretches: usize) -> String {
    let one = |name: &str, side: &str, order: &str| {
        format!(
            "SELECT device, day FROM (SELECT device, day FROM daily \
             WHERE device = ? AND day {side} ? ORDER BY day {order} LIMIT 1) {name}"
        )
    };
    let both = format!("{} UNION ALL {}", one("x", "<", "DESC"), one("y", ">", "ASC"));
    vec![both; stretches].join(" UNION ALL ")
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

    async fn around(&self, days: &[(DeviceId, u32, u32)]) -> Result<Vec<DaySums>, StoreError> {
        let mut sums = Vec::new();
        for days in rungs(days, NARROW) {
            let days = self.with_neighbours(days).await?;
            let text = select(&any_of("(device = ? AND day BETWEEN ? AND ?)", days.len()));
            let values: Vec<Value<'_>> = days
                .into_iter()
                .flat_map(|(device, first, last)| [device.into(), first.into(), last.into()])
                .collect();
            sums.extend(self.day_sums(text, &values).await?);
        }
        Ok(sums)
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

    async fn totals(
        &self,
        devices: &[DeviceId],
        from_day: u32,
        to_day: u32,
        rules: u32,
    ) -> Result<FleetTotals, StoreError> {
        self.totals_of(devices, (from_day, to_day), rules)
            .await
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn pending(
        &self,
        among: Option<&[DeviceId]>,
        from_day: u32,
        to_day: u32,
        rules: Option<u32>,
    ) -> Result<u64, StoreError> {
        let values = |devices: &[DeviceId]| -> Vec<Value<'static>> {
            let devices = devices.iter().map(|device| Value::from(*device));
            let days = [Value::from(from_day), to_day.into()];
            days.into_iter().chain(devices).chain(rules.map(Value::from)).collect()
        };
        let Some(devices) = among else {
            return self.number(pending_sql("1 = 1", rules.is_some()), &values(&[])).await;
        };
        let mut days = 0;
        for devices in rungs(devices, WIDE) {
            let condition = format!("device IN ({})", placeholders(devices.len()));
            days += self.number(pending_sql(&condition, rules.is_some()), &values(devices)).await?;
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

    /// Stretches of days, made longer by the days next to them that have sums.
    async fn with_neighbours(
        &self,
        days: &[(DeviceId, u32, u32)],
    ) -> Result<Vec<(DeviceId, u32, u32)>, StoreError> {
        let values: Vec<Value<'_>> = days
            .iter()
            .flat_map(|&(device, first, last)| {
                [device.into(), first.into(), device.into(), last.into()]
            })
            .collect();
        let rows = self.product.rows(sql(neighbours_sql(days.len())), &values).await;
        let day = |row: &P::Row| Ok((row.need(0)?, row.need(1)?));
        let neighbours: Vec<(u32, u32)> = rows
            .and_then(|rows| rows.iter().map(day).collect())
            .map_err(|fault| fault.into_error(P::STORE))?;
        let mut longer: BTreeMap<u32, (u32, u32)> =
            days.iter().map(|&(device, first, last)| (device.number(), (first, last))).collect();
        for (device, day) in neighbours {
            longer.entry(device).and_modify(|(first, last)| {
                (*first, *last) = (day.min(*first), day.max(*last));
            });
        }
        let stretch = |(device, (first, last))| (DeviceId::new(device), first, last);
        Ok(longer.into_iter().map(stretch).collect())
    }

    async fn marks_by(
        &self,
        text: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<DayMark>, StoreError> {
        let rows = self.product.rows(fixed(text), values).await;
        rows.and_then(|rows| rows.iter().map(mark_of).collect())
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
        let held = held_marks(session, self.done).await?;
        let is_held = |done: &&DoneDay| done.marks.iter().all(|mark| held.contains(mark));
        let done: Vec<&DoneDay> = self.done.iter().filter(is_held).collect();
        delete_marks(session, &done).await?;
        for done in done {
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

/// Those of the marks that are there.
async fn held_marks<S: Session>(
    session: &mut S,
    done: &[DoneDay],
) -> Result<BTreeSet<DayMark>, Fault> {
    let marks: Vec<DayMark> = done.iter().flat_map(|done| &done.marks).copied().collect();
    let mut held = BTreeSet::new();
    for marks in rungs(&marks, NARROW) {
        let condition = any_of(MARK, marks.len());
        let text = format!("SELECT device, day, slot FROM daily_marks WHERE {condition}");
        for row in session.rows(sql(text), &mark_values(marks)).await? {
            held.insert(mark_of(&row)?);
        }
    }
    Ok(held)
}

async fn delete_marks<S: Session>(session: &mut S, done: &[&DoneDay]) -> Result<(), Fault> {
    let marks: Vec<DayMark> = done.iter().flat_map(|done| &done.marks).copied().collect();
    for marks in rungs(&marks, NARROW) {
        let text = format!("DELETE FROM daily_marks WHERE {}", any_of(MARK, marks.len()));
        let deleted = session.execute(sql(text), &mark_values(marks)).await?;
        if usize::try_from(deleted) != Ok(marks.len()) {
            return Err(Fault::new(Kind::Conflict, "another process adds these days up"));
        }
    }
    Ok(())
}

fn mark_values(marks: &[DayMark]) -> Vec<Value<'static>> {
    let values = |mark: &DayMark| [mark.slot.into(), mark.device.into(), mark.day.into()];
    marks.iter().flat_map(values).collect()
}

fn mark_of(row: &impl Fields) -> Result<DayMark, Fault> {
    Ok(DayMark { device: DeviceId::new(row.need(0)?), day: row.need(1)?, slot: row.need(2)? })
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
