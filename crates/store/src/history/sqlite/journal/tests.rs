//! Any course of batches, repeats, reads and crashes ends as if all rows had gone
//! where they belong at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use nemeses_protocol::{
    BatchKey, Composition, DeviceId, OptionalField, OptionalFields, PackedFields, Position,
    PositionRecord, Record,
};
use proptest::prelude::*;
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::super::super::engine::Kind;
use super::super::open_with;
use super::{Sizes, in_task};
use crate::StoreError;
use crate::history::{Database, Options, Part, RangeQuery};

/// Enough for a batch of one frame each to go to the journal.
const DEVICES: u32 = 70;
/// Groups and slices that end within a few batches.
const SMALL: Sizes = Sizes {
    group: 300,
    slice: 60,
    statement: 20,
    quiet: Duration::from_millis(50),
    longest: Duration::from_secs(1),
};
/// The same, and nothing moves by itself.
const STILL: Sizes =
    Sizes { quiet: Duration::from_hours(1), longest: Duration::from_hours(1), ..SMALL };
const BEGIN: u32 = 1_700_000_000;
/// The bit of the composition.
const HISTORICAL: u16 = 1 << 14;

#[derive(Clone, Debug)]
enum Act {
    /// A frame of each device, so many seconds later.
    Batch {
        later: u32,
    },
    /// The frames of some batches ago, now marked as historical, under a key of their own.
    Again {
        ago: usize,
        by_another: bool,
    },
    /// The last key once more, as after an answer that was lost.
    Repeat,
    /// A frame of each device that another process commits, too, before or after; the
    /// later one is marked as historical.
    Both {
        another_first: bool,
    },
    Read,
    Settle,
    /// A transaction that wants nothing pending.
    Beside,
    Crash,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        12 => (1_u32..400).prop_map(|later| Act::Batch { later }),
        2 => (0_usize..6, any::<bool>()).prop_map(|(ago, by_another)| Act::Again { ago, by_another }),
        1 => Just(Act::Repeat),
        2 => any::<bool>().prop_map(|another_first| Act::Both { another_first }),
        1 => Just(Act::Read),
        1 => Just(Act::Settle),
        1 => Just(Act::Beside),
        2 => Just(Act::Crash),
    ]
}

/// Every seventh device sends optional fields.
fn frame(device: u32, recorded_at: u32) -> PositionRecord {
    let position = Position {
        device: DeviceId::new(device),
        recorded_at,
        direction_cdeg: 5487,
        odometer_m: recorded_at,
        hour_meter_min: device,
        composition: Composition(7),
        extension: None,
        speed_kmh: 60,
        latitude_udeg: -19_932_833,
        longitude_udeg: -43_938_493,
    };
    let received_at_ms = u64::from(recorded_at) * 1000 + u64::from(device);
    let mut optional = OptionalFields::NONE;
    if device % 7 == 3 {
        let altitude_dm = i32::try_from(device + recorded_at % 1000).unwrap();
        optional.set(OptionalField::Altitude, altitude_dm).unwrap();
    }
    let packed = PackedFields::new(&optional, None);
    PositionRecord { position, frame_hash: u64::from(device) << 40, received_at_ms, packed }
}

fn frames(recorded_at: u32) -> Vec<PositionRecord> {
    (0..DEVICES).map(|device| frame(device, recorded_at)).collect()
}

/// The frame as a device sends it whose acknowledgement was lost.
fn again(mut frame: PositionRecord) -> PositionRecord {
    frame.position.composition.0 |= HISTORICAL;
    frame.received_at_ms += 90_000;
    frame
}

fn part_of(worker: &str, sequence: u64, frames: Vec<PositionRecord>) -> Part {
    let key = BatchKey { worker: worker.to_owned(), run: 1, sequence };
    Part { key, tallies: Vec::new(), records: frames.into_iter().map(Record::Position).collect() }
}

/// What is expected, and the process that is to meet it.
struct Course {
    folder: TempDir,
    sizes: Sizes,
    process: Option<(Runtime, Database)>,
    other: Option<(Runtime, Database)>,
    sequence: u64,
    now: u32,
    seconds: Vec<u32>,
    last: Option<Part>,
    rows: BTreeMap<(u32, u32), PositionRecord>,
    received: u64,
}

impl Course {
    fn begin(sizes: Sizes) -> Self {
        let folder = TempDir::new().unwrap();
        let mut course = Self {
            folder,
            sizes,
            process: None,
            other: None,
            sequence: 0,
            now: BEGIN,
            seconds: vec![],
            last: None,
            rows: BTreeMap::new(),
            received: 0,
        };
        course.process = Some(course.start());
        course.other = Some(course.start());
        course.later(1, false);
        course
    }

    fn start(&self) -> (Runtime, Database) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let path = self.folder.path().join("history.db");
        let database = runtime.block_on(async {
            let database =
                open_with(path.to_str().unwrap(), &Options::default(), self.sizes).unwrap();
            database.history().migrate().await.unwrap();
            database
        });
        (runtime, database)
    }

    fn commit(&self, part: &Part, by_another: bool) -> bool {
        let (runtime, database) =
            if by_another { self.other.as_ref() } else { self.process.as_ref() }.unwrap();
        let history = database.history();
        let done = runtime.block_on(history.commit(std::slice::from_ref(part), "x")).unwrap();
        done[0].repeated
    }

    /// The first of equal frames is the one that is kept.
    fn send(&mut self, frames: Vec<PositionRecord>, by_another: bool) {
        self.sequence += 1;
        let part = part_of("w", self.sequence, frames.clone());
        assert!(!self.commit(&part, by_another));
        self.received += u64::try_from(frames.len()).unwrap();
        for frame in frames {
            let key = (frame.position.device.number(), frame.position.recorded_at);
            self.rows.entry(key).or_insert(frame);
        }
        self.last = Some(part);
    }

    fn send_again(&mut self, recorded_at: u32, by_another: bool) {
        self.send(frames(recorded_at).into_iter().map(again).collect(), by_another);
    }

    fn later(&mut self, later: u32, by_another: bool) {
        self.now += later;
        self.seconds.push(self.now);
        self.send(frames(self.now), by_another);
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Batch { later } => self.later(*later, false),
            Act::Again { ago, by_another } => {
                let at = self.seconds.len().saturating_sub(1 + ago);
                self.send_again(self.seconds[at], *by_another);
            }
            Act::Repeat => assert!(self.commit(self.last.as_ref().unwrap(), false)),
            Act::Both { another_first } => {
                self.later(1, *another_first);
                self.send_again(self.now, !another_first);
            }
            Act::Read => self.look(),
            Act::Settle => {
                let (runtime, database) = self.process.as_ref().unwrap();
                runtime.block_on(database.history().settle()).unwrap();
            }
            Act::Beside => {
                let (runtime, database) = self.process.as_ref().unwrap();
                runtime.block_on(database.retention().fold_books(0)).unwrap();
                assert_eq!(self.number("SELECT COUNT(*) FROM pending"), 0);
            }
            Act::Crash => {
                let (runtime, database) = self.process.take().unwrap();
                runtime.shutdown_background();
                drop(database);
                self.process = Some(self.start());
            }
        }
    }

    fn run(&self, text: &'static str) {
        let url = format!("sqlite:{}", self.folder.path().join("history.db").display());
        let (runtime, _) = self.other.as_ref().unwrap();
        runtime.block_on(async {
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            sqlx::query(text).execute(&mut connection).await.unwrap();
        });
    }

    fn number(&self, text: &'static str) -> u64 {
        let url = format!("sqlite:{}", self.folder.path().join("history.db").display());
        let (runtime, _) = self.other.as_ref().unwrap();
        runtime.block_on(async {
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            let number: i64 = sqlx::query_scalar(text).fetch_one(&mut connection).await.unwrap();
            number.cast_unsigned()
        })
    }

    /// Reads all through the other process.
    fn look(&self) {
        let (runtime, database) = self.other.as_ref().unwrap();
        let history = database.history();
        let found = runtime.block_on(async {
            let mut found = BTreeMap::new();
            for device in 0..DEVICES {
                let query = RangeQuery {
                    device: DeviceId::new(device),
                    from: 0,
                    to: u32::MAX,
                    descending: false,
                    after: None,
                    limit: None,
                };
                let rows: Vec<_> = history.positions(query).try_collect().await.unwrap();
                for row in rows {
                    found.insert((device, row.position.recorded_at), row);
                }
            }
            found
        });
        assert_eq!(found, self.rows);
        let stored = u64::try_from(self.rows.len()).unwrap();
        assert_eq!(self.number("SELECT COUNT(*) FROM positions"), stored);
        assert_eq!(self.number("SELECT COUNT(*) FROM pending"), 0);
        assert_eq!(self.number("SELECT SUM(received) FROM books"), self.received);
        assert_eq!(self.number("SELECT SUM(stored) FROM books"), stored);
        let duplicates = self.received - stored;
        assert_eq!(self.number("SELECT SUM(duplicates) FROM books"), duplicates);
        assert_eq!(self.number("SELECT COALESCE(SUM(times), 0) FROM duplicates"), duplicates);
        let days: BTreeSet<_> =
            self.rows.keys().map(|(device, at)| (device, at / 86_400)).collect();
        let noted = self.number("SELECT COUNT(*) FROM device_days");
        assert_eq!(noted, u64::try_from(days.len()).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_course_ends_as_if_there_were_no_journal(acts in prop::collection::vec(any_act(), 1..40)) {
        let mut course = Course::begin(SMALL);
        for act in &acts {
            course.act(act);
        }
        course.look();
    }
}

#[test]
fn batches_in_numbers_wait_in_the_journal_and_move_in_slices() {
    let mut course = Course::begin(STILL);
    let mut most = 0;
    let mut before = course.number("SELECT COUNT(*) FROM positions");
    let mut moved_along = false;
    for _ in 0..40 {
        course.later(10, false);
        let moved = course.number("SELECT COUNT(*) FROM positions");
        moved_along |= moved > before && course.number("SELECT COUNT(*) FROM pending") > 0;
        before = moved;
        most = most.max(course.number("SELECT COUNT(*) FROM pending"));
    }
    assert!(most >= 5, "batches go to the journal: {most}");
    assert!(moved_along, "a group moves while batches come");
    course.look();
}

#[test]
fn a_journal_that_is_left_alone_empties_itself() {
    let mut course = Course::begin(SMALL);
    course.later(10, false);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while course.number("SELECT COUNT(*) FROM pending") > 0 {
        assert!(std::time::Instant::now() < deadline, "the journal is not empty");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    course.look();
}

/// A frame is in the journal, its acknowledgement is lost, the device sends it again.
#[test]
fn a_frame_that_comes_again_as_historical_does_not_take_the_place_of_the_first() {
    for (devices, by_another) in [(DEVICES, false), (DEVICES, true), (5, false), (5, true)] {
        let mut course = Course::begin(STILL);
        course.later(10, false);
        course.later(10, false);
        assert!(course.number("SELECT COUNT(*) FROM pending") > 0);
        let repeats = frames(course.now).into_iter().map(again);
        course.send(repeats.take(usize::try_from(devices).unwrap()).collect(), by_another);
        let (runtime, database) = course.process.as_ref().unwrap();
        let history = database.history();
        let entries: Vec<_> =
            runtime.block_on(history.recent_entries(0, BEGIN).try_concat()).unwrap();
        assert_eq!(entries.len(), usize::try_from(DEVICES).unwrap());
        for entry in entries {
            let newest = entry.newest.unwrap();
            assert_eq!(newest.position, frame(entry.device.number(), course.now).position);
        }
        course.look();
    }
}

#[test]
fn rows_that_can_be_none_of_those_that_wait_leave_them_alone() {
    let mut course = Course::begin(STILL);
    course.later(100, false);
    // A late upload, and a small batch of new frames.
    course.send(frames(BEGIN - 50), false);
    course.send(frames(course.now + 1).into_iter().take(3).collect(), false);
    assert_eq!(course.number("SELECT COUNT(*) FROM pending"), 1);
    course.look();
}

#[test]
fn a_file_of_version_3_is_upgraded_and_not_written_before() {
    let course = Course::begin(STILL);
    course.look();
    for text in [
        "DROP TABLE pending",
        "DROP TABLE pending_group",
        "ALTER TABLE books DROP COLUMN values_received",
        "ALTER TABLE books DROP COLUMN values_stored",
        "ALTER TABLE books DROP COLUMN values_duplicate",
        "ALTER TABLE books DROP COLUMN values_refused",
        "ALTER TABLE scoped_tokens DROP COLUMN history_from",
        "ALTER TABLE device_last DROP COLUMN newest_received_ms",
        "ALTER TABLE device_last DROP COLUMN fix_received_ms",
        "ALTER TABLE device_last DROP COLUMN noted_slot",
        "ALTER TABLE daily DROP COLUMN rules",
        "ALTER TABLE daily DROP COLUMN began",
        "ALTER TABLE daily DROP COLUMN state",
        "ALTER TABLE daily DROP COLUMN gps_sum_m",
        "ALTER TABLE daily ADD COLUMN before_at INTEGER",
        "ALTER TABLE daily ADD COLUMN before_hash INTEGER",
        "ALTER TABLE daily ADD COLUMN gps_sum_mm INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE daily ADD COLUMN unmetered_sum_mm INTEGER NOT NULL DEFAULT 0",
        "DELETE FROM schema_version",
        "INSERT INTO schema_version (version, applied_at_ms) VALUES (3, 0)",
    ] {
        course.run(text);
    }
    let (runtime, database) = course.process.as_ref().unwrap();
    let history = database.history();
    let refused = runtime.block_on(history.check_schema()).unwrap_err().to_string();
    assert!(refused.contains("version 3") && refused.contains("nemeses migrate"), "{refused}");
    let part = [part_of("w", 99, frames(BEGIN + 500))];
    let error = runtime.block_on(history.commit(&part, "x")).unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error}");
    assert_eq!(course.number("SELECT COUNT(*) FROM books WHERE sequence & 127 = 99"), 0);

    let fresh = course.start();
    fresh.0.block_on(fresh.1.history().check_schema()).unwrap();
    assert_eq!(course.number("SELECT MAX(version) FROM schema_version"), 9);
    let done = runtime.block_on(history.commit(&part, "x")).unwrap();
    assert_eq!(done[0].stored, u64::from(DEVICES));
    assert_eq!(course.number("SELECT COUNT(*) FROM pending"), 1, "the journal takes it");
}

/// Readers end while commits go on without end, and those who go away do no harm.
#[test]
fn settling_ends_while_commits_go_on() {
    const SETTLED: u32 = 30;
    let mut course = Course::begin(SMALL);
    let (runtime, database) = course.process.as_ref().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let (history, is_over) = (database.history(), Arc::clone(&over));
    let writer = runtime.spawn(async move {
        let mut second = BEGIN + 1000;
        while !is_over.load(Ordering::Relaxed) {
            second += 1;
            let part = [part_of("c", second.into(), frames(second))];
            history.commit(&part, "x").await.unwrap();
        }
        second
    });
    let history = database.history();
    runtime.block_on(async {
        for _ in 0..SETTLED {
            let leaves = tokio::time::timeout(Duration::from_millis(2), history.settle());
            let _ = leaves.await;
            history.settle().await.unwrap();
            database.retention().fold_books(0).await.unwrap();
        }
    });
    over.store(true, Ordering::Relaxed);
    let last = runtime.block_on(writer).unwrap();
    for second in BEGIN + 1001..=last {
        course.received += u64::from(DEVICES);
        for frame in frames(second) {
            course.rows.insert((frame.position.device.number(), second), frame);
        }
    }
    course.look();
}

#[tokio::test]
async fn what_settles_goes_on_when_its_caller_goes_away_and_a_panic_is_a_fault() {
    let (go, gone) = tokio::sync::oneshot::channel();
    let (done, was_done) = tokio::sync::oneshot::channel();
    let mut caller = Box::pin(in_task(async move {
        gone.await.unwrap();
        done.send(()).unwrap();
        Ok(())
    }));
    assert!(futures_util::poll!(&mut caller).is_pending());
    drop(caller);
    go.send(()).unwrap();
    was_done.await.unwrap();

    let fault = in_task::<()>(async { panic!("of the test") }).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Unavailable);
}

#[test]
fn two_processes_and_a_reader_at_once() {
    const BATCHES: u32 = 25;
    let mut course = Course::begin(SMALL);
    let (_, one) = course.process.as_ref().unwrap();
    let (runtime, two) = course.other.as_ref().unwrap();
    let writer = |name: &'static str, database: &Database| {
        let history = database.history();
        async move {
            for sequence in 1..=BATCHES {
                let part = part_of(name, sequence.into(), frames(BEGIN + 1000 + sequence));
                // As the line does: until it is kept.
                while history.commit(std::slice::from_ref(&part), "x").await.is_err() {}
            }
        }
    };
    let reader = two.history();
    runtime.block_on(async {
        let both = futures_util::future::join(writer("one", one), writer("two", two));
        let mut both = std::pin::pin!(both);
        loop {
            tokio::select! {
                _ = &mut both => break,
                settled = reader.settle() => settled.unwrap(),
            }
        }
    });
    for sequence in 1..=BATCHES {
        for frame in frames(BEGIN + 1000 + sequence) {
            course.rows.insert((frame.position.device.number(), BEGIN + 1000 + sequence), frame);
        }
    }
    course.received += u64::from(2 * BATCHES * DEVICES);
    course.look();
}
