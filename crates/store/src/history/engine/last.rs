//! The newest rows of each device, noted beside the rows, so that where devices were
//! last is answered by a few statements, whatever the state of the sums of days.
//!
//! A commit only remembers here what it brought. As long as a device goes on sending,
//! its live entry answers for it and nothing is written; once it has been quiet for a
//! while its row of `device_last` is, in a transaction of its own, off the commit's path.
//! The row bears the slot of the device's last commit. Commits mark their days in their own
//! transaction, so a device with a mark of a later slot has rows that its row does not know
//! of, as after a crash: it is looked up the long way (`reads.rs`) until the sums of days,
//! which note the newest rows too, have taken the mark.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use nemeses_protocol::{PositionRecord, Record};

use super::Engine;
use super::fault::Fault;
use super::ladder::{NARROW, WIDE, rungs};
use super::next_row::{ROW_WITHIN, next_row};
use super::plan::DAY_SECONDS;
use super::rows::{bucket_of, position_of};
use super::seam::{Product, Session, fixed, sql};
use super::sql::{Join, SELECT_POSITIONS, insert, or_join, placeholders};
use super::value::{Fields, Value};
use super::work::Work;
use crate::hash::NumberHash;
use crate::history::Part;
use crate::history::daily::{LastRow, SLOT_SECONDS};
use crate::live::Version;

/// Devices that are remembered between two looks: 250 000 of some 100 bytes are 25 MB.
/// Beyond it they are looked up the long way until the sums of days have taken their marks.
const MAX_DEVICES: usize = 250_000;
/// Devices noted in one transaction.
const CHUNK: usize = 1000;
/// Recalled at a start: more than a device is quiet before it is noted, and the minute in
/// which the process ended.
const RECALLED_MINUTES: u32 = 3;
/// How much before its arrival a row that is recalled was recorded, at most.
const RECORDED_BEFORE_S: u32 = 900;
const LAST_MINUTE: &str = "SELECT MAX(minute) FROM books";

const COLUMNS: &[&str] = &[
    "device",
    "day",
    "newest_at",
    "newest_hash",
    "newest_received_ms",
    "fix_at",
    "fix_hash",
    "fix_received_ms",
    "interval_on_s",
    "interval_off_s",
    "noted_slot",
];

/// What is known of the newest rows of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) newest: LastRow,
    pub(super) fix: Option<LastRow>,
    /// Seconds between frames on the last day that was added up, and which that was.
    pub(super) rhythm_day: u32,
    pub(super) on_s: Option<u32>,
    pub(super) off_s: Option<u32>,
    /// The device's marks up to this slot are of rows that are known here.
    pub(super) noted_slot: u32,
}

impl Last {
    /// Joins what else is known.
    pub(super) fn join(self, other: Self) -> Self {
        let (old, new) =
            if self.rhythm_day <= other.rhythm_day { (self, other) } else { (other, self) };
        Self {
            newest: self.newest.max(other.newest),
            fix: self.fix.max(other.fix),
            rhythm_day: new.rhythm_day,
            on_s: new.on_s.or(old.on_s),
            off_s: new.off_s.or(old.off_s),
            noted_slot: self.noted_slot.max(other.noted_slot),
        }
    }
}

impl Last {
    fn read(row: &impl Fields) -> Result<Self, Fault> {
        let key = |at: usize| -> Result<Option<LastRow>, Fault> {
            let Some(recorded_at) = row.maybe(at)? else { return Ok(None) };
            let usual_ms = u64::from(recorded_at) * 1000;
            // A program of the version before does not write it.
            let received_at_ms = row.maybe(at + 2)?.filter(|ms| *ms > 0).unwrap_or(usual_ms);
            Ok(Some(LastRow { recorded_at, frame_hash: row.hash(at + 1)?, received_at_ms }))
        };
        Ok(Self {
            newest: key(2)?.unwrap_or_default(),
            fix: key(5)?,
            rhythm_day: row.need(1)?,
            on_s: row.maybe(8)?,
            off_s: row.maybe(9)?,
            noted_slot: row.need(10)?,
        })
    }

    fn values(&self, device: u32) -> [Value<'static>; 11] {
        let key = |row: LastRow| {
            [row.recorded_at.into(), Value::Hash(row.frame_hash), row.received_at_ms.into()]
        };
        let [newest_at, newest_hash, newest_ms] = key(self.newest);
        let [fix_at, fix_hash, fix_ms] = self.fix.map_or([Value::NoNumber; 3], key);
        let day = self.newest.version().effective_at / DAY_SECONDS;
        [
            device.into(),
            day.into(),
            newest_at,
            newest_hash,
            newest_ms,
            fix_at,
            fix_hash,
            fix_ms,
            self.on_s.into(),
            self.off_s.into(),
            self.noted_slot.into(),
        ]
    }
}

/// Joins into `device_last` what is known of devices. Their rows are locked first, so that
/// whoever does the same meanwhile waits.
pub(super) async fn join_into_table<P: Product>(
    session: &mut P::Session,
    mut lasts: BTreeMap<u32, Last>,
) -> Result<(), Fault> {
    let devices: Vec<u32> = lasts.keys().copied().collect();
    for devices in rungs(&devices, WIDE) {
        let none = |device: &u32| Last::default().values(*device);
        let values: Vec<Value<'_>> = devices.iter().flat_map(none).collect();
        let text = insert("device_last", COLUMNS, devices.len());
        let text = or_join(&text, P::DIALECT, &COLUMNS[..1], &[("day", Join::Keep)]);
        session.execute(sql(text), &values).await?;
    }
    for devices in rungs(&devices, WIDE) {
        let values: Vec<Value<'_>> = devices.iter().map(|device| (*device).into()).collect();
        let text = format!(
            "SELECT {} FROM device_last WHERE device IN ({})",
            COLUMNS.join(", "),
            placeholders(devices.len())
        );
        for row in session.rows(sql(text), &values).await? {
            let held = Last::read(&row)?;
            lasts.entry(row.need(0)?).and_modify(|last| *last = held.join(*last));
        }
    }
    let lasts: Vec<(u32, Last)> = lasts.into_iter().collect();
    let set: Vec<(&str, Join)> = COLUMNS[1..].iter().map(|column| (*column, Join::New)).collect();
    for lasts in rungs(&lasts, NARROW) {
        let values: Vec<Value<'_>> =
            lasts.iter().flat_map(|(device, last)| last.values(*device)).collect();
        let text = insert("device_last", COLUMNS, lasts.len());
        let text = or_join(&text, P::DIALECT, &COLUMNS[..1], &set);
        session.execute(sql(text), &values).await?;
    }
    Ok(())
}

/// Of one device, since it was noted last.
#[derive(Clone, Copy, Debug)]
struct Unnoted {
    last: Last,
    /// When it was committed last, Unix milliseconds.
    committed_at_ms: u64,
}

/// What commits of this process brought and is not noted yet.
#[derive(Default)]
pub(in crate::history) struct Lasts(Mutex<HashMap<u32, Unnoted, NumberHash>>);

impl Lasts {
    /// Remembers rows that are committed now.
    pub(in crate::history) fn learn(&self, parts: &[Part], now_ms: u64) {
        let mut held = self.held();
        for record in parts.iter().flat_map(|part| &part.records) {
            let Record::Position(record) = record else { continue };
            if !Version::may_be_newest(record) {
                continue;
            }
            let row = LastRow::of(record);
            let fix = record.position.composition.gps_fix().then_some(row);
            learn(&mut held, record.position.device.number(), (row, fix), now_ms);
        }
    }

    /// Remembers a row that was committed when it arrived, or soon after.
    fn recall(&self, record: &PositionRecord) {
        if !Version::may_be_newest(record) {
            return;
        }
        let row = LastRow::of(record);
        let fix = record.position.composition.gps_fix().then_some(row);
        let device = record.position.device.number();
        learn(&mut self.held(), device, (row, fix), row.received_at_ms);
    }

    /// Takes devices out that were not committed since.
    fn take(&self, before_ms: u64) -> BTreeMap<u32, Unnoted> {
        let mut held = self.held();
        let quiet = held.iter().filter(|(_, one)| one.committed_at_ms < before_ms);
        let devices: Vec<u32> = quiet.map(|(device, _)| *device).take(CHUNK).collect();
        devices.into_iter().filter_map(|device| Some((device, held.remove(&device)?))).collect()
    }

    /// What could not be noted waits again.
    fn put_back(&self, taken: BTreeMap<u32, Unnoted>) {
        let mut held = self.held();
        for (device, one) in taken {
            if let Some(newer) = held.get_mut(&device) {
                newer.last = newer.last.join(one.last);
            } else if held.len() < MAX_DEVICES {
                held.insert(device, one);
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<u32, Unnoted, NumberHash>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn learn(
    held: &mut HashMap<u32, Unnoted, NumberHash>,
    device: u32,
    (row, fix): (LastRow, Option<LastRow>),
    committed_at_ms: u64,
) {
    let slot = u32::try_from(committed_at_ms / 1000).unwrap_or(u32::MAX) / SLOT_SECONDS;
    if let Some(one) = held.get_mut(&device) {
        one.last.newest = one.last.newest.max(row);
        one.last.fix = one.last.fix.max(fix);
        one.last.noted_slot = one.last.noted_slot.max(slot);
        one.committed_at_ms = one.committed_at_ms.max(committed_at_ms);
    } else if held.len() < MAX_DEVICES {
        let last = Last { newest: row, fix, noted_slot: slot, ..Last::default() };
        held.insert(device, Unnoted { last, committed_at_ms });
    }
}

struct Note<'a> {
    lasts: &'a BTreeMap<u32, Unnoted>,
}

#[async_trait]
impl<P: Product> Work<P> for Note<'_> {
    type Output = ();

    async fn run(&self, session: &mut P::Session) -> Result<(), Fault> {
        let lasts = self.lasts.iter().map(|(device, one)| (*device, one.last)).collect();
        join_into_table::<P>(session, lasts).await
    }
}

impl<P: Product> Engine<P> {
    /// Notes the newest rows of devices that were not committed since; how many.
    pub(in crate::history) async fn note_last(&self, before_ms: u64) -> Result<usize, Fault> {
        let mut noted = 0;
        loop {
            let taken = self.lasts.take(before_ms);
            if taken.is_empty() {
                return Ok(noted);
            }
            if let Err(fault) = self.transact(Note { lasts: &taken }).await {
                self.lasts.put_back(taken);
                return Err(fault);
            }
            noted += taken.len();
        }
    }

    /// Remembers what was committed in the last minutes of the books; how many rows.
    pub(in crate::history) async fn recall_last(&self) -> Result<usize, Fault> {
        let rows = self.product.rows(fixed(LAST_MINUTE), &[]).await?;
        let minute: Option<u32> = rows.first().map_or(Ok(None), |row| row.maybe(0))?;
        let since_s =
            minute.unwrap_or_default().saturating_sub(RECALLED_MINUTES).saturating_mul(60);
        let recorded_from = since_s.saturating_sub(RECORDED_BEFORE_S);
        let arrived_from = u64::from(since_s) * 1000;
        let values = [bucket_of(recorded_from).into(), recorded_from.into(), arrived_from.into()];
        let text = format!(
            "{SELECT_POSITIONS} WHERE bucket >= ? AND recorded_at >= ? AND received_at_ms >= ?"
        );
        let mut rows = self.product.stream(sql(text), &values);
        let mut recalled = 0;
        while let Some(row) = next_row(&mut rows, ROW_WITHIN).await? {
            self.lasts.recall(&position_of(&row)?);
            recalled += 1;
        }
        Ok(recalled)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::record;
    use super::*;
    use nemeses_protocol::BatchKey;

    const SLOT_MS: u64 = SLOT_SECONDS as u64 * 1000;

    fn part(records: Vec<nemeses_protocol::PositionRecord>) -> [Part; 1] {
        let key = BatchKey { worker: "w".to_owned(), run: 1, sequence: 1 };
        let records = records.into_iter().map(Record::Position).collect();
        [Part { key, tallies: Vec::new(), records }]
    }

    #[test]
    fn a_device_is_noted_once_it_is_quiet() {
        let lasts = Lasts::default();
        lasts.learn(&part(vec![record(1, 20, 1), record(1, 10, 1), record(2, 5, 1)]), 3 * SLOT_MS);
        lasts.learn(&part(vec![record(2, 6, 1)]), 4 * SLOT_MS);
        assert!(lasts.take(3 * SLOT_MS).is_empty());
        let taken = lasts.take(3 * SLOT_MS + 1);
        assert_eq!(taken.keys().copied().collect::<Vec<_>>(), [1]);
        let last = taken[&1].last;
        assert_eq!((last.newest, last.noted_slot), (LastRow::of(&record(1, 20, 1)), 3));
        // What could not be noted joins what came since.
        lasts.learn(&part(vec![record(1, 15, 1)]), 5 * SLOT_MS);
        lasts.put_back(taken);
        let taken = lasts.take(u64::MAX);
        assert_eq!(taken[&1].last, Last { noted_slot: 5, ..last });
        assert_eq!(taken[&2].last.newest, LastRow::of(&record(2, 6, 1)));
        assert!(lasts.take(u64::MAX).is_empty());
    }

    #[test]
    fn it_stays_bounded() {
        let lasts = Lasts::default();
        let devices = u32::try_from(MAX_DEVICES).unwrap() + 1;
        lasts.learn(&part((0..devices).map(|device| record(device, 1, 1)).collect()), 0);
        assert_eq!(lasts.held().len(), MAX_DEVICES);
        assert_eq!(lasts.take(u64::MAX).len(), CHUNK);
    }

    fn rows() -> impl Strategy<Value = LastRow> {
        (0..3_u32, 0..3_u64, 0..3_u64).prop_map(|(recorded_at, frame_hash, arrival)| LastRow {
            recorded_at,
            frame_hash,
            received_at_ms: arrival * 1000,
        })
    }

    fn lasts() -> impl Strategy<Value = Last> {
        let seconds = || prop::option::of(0..3_u32);
        (rows(), prop::option::of(rows()), 0..3_u32, seconds(), seconds(), 0..3_u32).prop_map(
            |(newest, fix, rhythm_day, on_s, off_s, noted_slot)| Last {
                newest,
                fix,
                rhythm_day,
                on_s,
                off_s,
                noted_slot,
            },
        )
    }

    proptest! {
        #[test]
        fn the_newest_row_wins_whatever_the_order(a in lasts(), b in lasts(), c in lasts()) {
            let rows = |last: Last| (last.newest, last.fix, last.noted_slot);
            prop_assert_eq!(rows(a.join(b)), rows(b.join(a)));
            prop_assert_eq!(rows(a.join(b).join(c)), rows(a.join(b.join(c))));
            prop_assert_eq!(rows(a.join(a)), rows(a));
        }
    }
}
