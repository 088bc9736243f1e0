//! A history in memory for tests: what is committed can be read, and it fails as it is told.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::{Stream, TryStreamExt as _, stream};
use nemeses_protocol::{DeviceId, PositionRecord, Record};

use super::{
    Administration, Commits, Committed, Health, Inspection, LastKnown, Part, PositionStream,
    Positions, RangeQuery,
};
use crate::StoreError;
use crate::live::{LiveEntry, Version};

/// What the stores of tests say of their inside, which no client may see.
pub const INNER_TEXT: &str = "ERROR 1146 table `nemeses`.`positions`";

/// Dead letters of this topic are refused.
pub const REFUSED_TOPIC: &str = "/refused";

/// Rows that are read at once.
const PAGE_ROWS: usize = 1000;

/// The error of a store that is down.
pub fn unavailable() -> StoreError {
    StoreError::Unavailable { store: "fake", detail: INNER_TEXT.to_owned() }
}

/// Whether a store of a test answers: it does, it fails, or it is silent.
#[derive(Debug, Default)]
pub struct Switch {
    down: AtomicBool,
    silent: AtomicBool,
    /// Calls that still succeed before the store goes down, and one; 0 is no limit.
    left: AtomicU64,
}

impl Switch {
    /// All calls fail from now on.
    pub fn off(&self) {
        self.down.store(true, Ordering::SeqCst);
    }

    /// All calls succeed from now on.
    pub fn on(&self) {
        self.down.store(false, Ordering::SeqCst);
        self.silent.store(false, Ordering::SeqCst);
    }

    /// No call returns from now on.
    pub fn silence(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// All calls fail after so many more.
    pub fn off_after(&self, calls: u64) {
        self.left.store(calls + 1, Ordering::SeqCst);
    }

    /// One call.
    ///
    /// # Errors
    /// When the store is off.
    pub async fn check(&self) -> Result<(), StoreError> {
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let left = self.left.load(Ordering::SeqCst);
        if left == 1 {
            self.off();
        } else if left > 1 {
            self.left.store(left - 1, Ordering::SeqCst);
        }
        if self.down.load(Ordering::SeqCst) { Err(unavailable()) } else { Ok(()) }
    }
}

/// A row's place in the table.
type Key = (DeviceId, u32, u64);

/// A history in memory.
#[derive(Debug, Default)]
pub struct FakeHistory {
    /// Whether it answers.
    pub switch: Switch,
    /// So many commits fail, and so many streams of live entries after their first chunk.
    pub failures_left: AtomicU64,
    /// Commits that fail have written, as when the connection is cut during COMMIT.
    pub doubtful: AtomicBool,
    refused: Option<DeviceId>,
    refuses_bytes: bool,
    recent: Vec<Vec<LiveEntry>>,
    /// What was asked for of these.
    asked: Mutex<Vec<(u64, u32)>>,
    parts: Mutex<Vec<Part>>,
    repeated: AtomicU64,
    rows: Mutex<BTreeMap<Key, PositionRecord>>,
    known: Mutex<Vec<DeviceId>>,
}

fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeHistory {
    /// The same, of which so many commits fail.
    #[must_use]
    pub fn failing(self, times: u64) -> Self {
        Self { failures_left: times.into(), ..self }
    }

    /// The same, whose failing commits have written.
    #[must_use]
    pub fn in_doubt(self) -> Self {
        Self { doubtful: true.into(), ..self }
    }

    /// The same, which refuses positions of a device.
    #[must_use]
    pub fn refusing(self, device: DeviceId) -> Self {
        Self { refused: Some(device), ..self }
    }

    /// The same, which refuses dead letters that hold anything.
    #[must_use]
    pub fn refusing_bytes(self) -> Self {
        Self { refuses_bytes: true, ..self }
    }

    /// The same with live entries of devices heard lately, in the chunks in which they are read.
    #[must_use]
    pub fn with_recent(self, recent: Vec<Vec<LiveEntry>>) -> Self {
        Self { recent, ..self }
    }

    /// Stores rows as if they had been committed.
    pub fn put(&self, rows: impl IntoIterator<Item = PositionRecord>) {
        let mut stored = held(&self.rows);
        for row in rows {
            let key = (row.position.device, row.position.recorded_at, row.frame_hash);
            stored.entry(key).or_insert(row);
        }
    }

    /// Knows a device without rows.
    pub fn know(&self, device: DeviceId) {
        held(&self.known).push(device);
    }

    /// What was committed, each key once, in the order in which they came first.
    pub fn parts(&self) -> Vec<Part> {
        held(&self.parts).clone()
    }

    /// The records of [`Self::parts`].
    pub fn records(&self) -> Vec<Record> {
        held(&self.parts).iter().flat_map(|part| part.records.clone()).collect()
    }

    /// How often a key came again.
    pub fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::SeqCst)
    }

    /// The arguments with which recent entries were asked for.
    pub fn asked(&self) -> Vec<(u64, u32)> {
        held(&self.asked).clone()
    }

    fn fails(&self) -> bool {
        let one_less = |left: u64| left.checked_sub(1);
        self.failures_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
    }

    fn check(&self, records: &[Record]) -> Result<(), StoreError> {
        let refused = records.iter().any(|record| match record {
            Record::Position(record) => Some(record.position.device) == self.refused,
            Record::Readings(record) => record.identity.number() == self.refused,
            Record::DeadLetter(letter) => {
                letter.topic == REFUSED_TOPIC || (self.refuses_bytes && !letter.bytes.is_empty())
            }
        });
        if refused {
            return Err(StoreError::Refused { store: "fake", detail: "device".to_owned() });
        }
        Ok(())
    }

    fn write(&self, part: &Part) {
        let mut parts = held(&self.parts);
        if let Some(known) = parts.iter().find(|known| known.key == part.key) {
            assert_eq!(known, part, "a key names one batch for ever");
            self.repeated.fetch_add(1, Ordering::SeqCst);
            return;
        }
        parts.push(part.clone());
        self.put(part.records.iter().filter_map(|record| match record {
            Record::Position(record) => Some(record.clone()),
            Record::DeadLetter(_) | Record::Readings(_) => None,
        }));
    }

    fn select(&self, query: &RangeQuery) -> Vec<PositionRecord> {
        let RangeQuery { device, from, to, descending, after, limit } = *query;
        if from > to {
            return Vec::new();
        }
        let rows = held(&self.rows);
        let range = rows.range((device, from, 0)..=(device, to, u64::MAX));
        let wanted = |entry: &(&Key, &PositionRecord)| {
            let (_, at, hash) = *entry.0;
            after.is_none_or(
                |after| {
                    if descending { (at, hash) < after } else { (at, hash) > after }
                },
            )
        };
        let most = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        if descending {
            range.rev().filter(wanted).take(most).map(|(_, row)| row.clone()).collect()
        } else {
            range.filter(wanted).take(most).map(|(_, row)| row.clone()).collect()
        }
    }

    fn newest(&self, device: DeviceId, not_after: u32) -> LastKnown {
        let (descending, after, limit) = (false, None, None);
        let query = RangeQuery { device, from: 0, to: not_after, descending, after, limit };
        let mut rows = self.select(&query);
        rows.retain(Version::may_be_newest);
        rows.sort_by_key(Version::of);
        let newest = rows.last().cloned();
        rows.retain(|row| row.position.composition.gps_fix());
        LastKnown { newest, fix: rows.pop() }
    }
}

#[async_trait]
impl Administration for FakeHistory {
    async fn migrate(&self) -> Result<(), StoreError> {
        self.switch.check().await
    }

    async fn check_schema(&self) -> Result<(), StoreError> {
        self.switch.check().await
    }

    async fn schema_version(&self) -> Result<u32, StoreError> {
        self.switch.check().await.map(|()| 1)
    }

    async fn weaknesses(&self) -> Result<Vec<String>, StoreError> {
        self.switch.check().await.map(|()| Vec::new())
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        self.switch.check().await?;
        Ok(Inspection {
            product: "fake".to_owned(),
            now_ms: None,
            frames_refused: None,
            people_refused: None,
            may_migrate: true,
        })
    }
}

#[async_trait]
impl Health for FakeHistory {
    async fn ping(&self) -> Result<(), StoreError> {
        self.switch.check().await
    }

    async fn check_reads(&self) -> Result<(), StoreError> {
        self.switch.check().await
    }

    async fn check_writes(&self) -> Result<(), StoreError> {
        self.switch.check().await
    }
}

#[async_trait]
impl Commits for FakeHistory {
    async fn commit(&self, parts: &[Part], _exporter: &str) -> Result<Vec<Committed>, StoreError> {
        self.switch.check().await?;
        let fails = self.fails();
        if fails && !self.doubtful.load(Ordering::SeqCst) {
            return Err(unavailable());
        }
        for part in parts {
            self.check(&part.records)?;
        }
        for part in parts {
            self.write(part);
        }
        if fails { Err(unavailable()) } else { Ok(vec![Committed::default(); parts.len()]) }
    }

    async fn rehearse(&self) -> Result<(), StoreError> {
        self.switch.check().await
    }

    async fn probe(&self, records: &[Record]) -> Result<(), StoreError> {
        self.switch.check().await?;
        self.check(records)
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.switch.check().await
    }

    async fn note_last(&self, _before_ms: u64) -> Result<usize, StoreError> {
        self.switch.check().await.map(|()| 0)
    }

    async fn recall_last(&self) -> Result<usize, StoreError> {
        self.switch.check().await.map(|()| 0)
    }
}

#[async_trait]
impl Positions for FakeHistory {
    /// A page at a time, as the stores do.
    fn positions(&self, query: RangeQuery) -> PositionStream<'_> {
        let pages = stream::try_unfold(None, move |rows: Option<Vec<PositionRecord>>| {
            let query = query.clone();
            async move {
                if rows.as_ref().is_some_and(Vec::is_empty) {
                    return Ok(None);
                }
                self.switch.check().await?;
                let mut rows = rows.unwrap_or_else(|| self.select(&query));
                let rest = rows.split_off(rows.len().min(PAGE_ROWS));
                Ok(Some((stream::iter(rows.into_iter().map(Ok)), Some(rest))))
            }
        });
        Box::pin(pages.try_flatten())
    }

    async fn last_position(
        &self,
        device: DeviceId,
        not_after: u32,
        with_fix: bool,
    ) -> Result<Option<PositionRecord>, StoreError> {
        self.switch.check().await?;
        let (descending, after, limit) = (true, None, None);
        let query = RangeQuery { device, from: 0, to: not_after, descending, after, limit };
        let mut rows = self.select(&query).into_iter();
        Ok(rows.find(|row| !with_fix || row.position.composition.gps_fix()))
    }

    async fn last_known(
        &self,
        devices: &[DeviceId],
        not_after: u32,
    ) -> Result<Vec<LastKnown>, StoreError> {
        self.switch.check().await?;
        Ok(devices.iter().map(|device| self.newest(*device, not_after)).collect())
    }

    async fn knows_device(&self, device: DeviceId) -> Result<bool, StoreError> {
        self.switch.check().await?;
        let has_rows = held(&self.rows).keys().any(|(of, ..)| *of == device);
        Ok(has_rows || held(&self.known).contains(&device))
    }

    async fn devices_after(
        &self,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<DeviceId>, StoreError> {
        self.switch.check().await?;
        let from =
            after.map_or(Bound::Unbounded, |after| Bound::Excluded((after, u32::MAX, u64::MAX)));
        let rows = held(&self.rows);
        let mut devices: Vec<_> =
            rows.range((from, Bound::Unbounded)).map(|((device, ..), _)| *device).collect();
        devices.dedup();
        devices.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(devices)
    }

    fn recent_entries(
        &self,
        since_ms: u64,
        recorded_from: u32,
    ) -> Pin<Box<dyn Stream<Item = Result<Vec<LiveEntry>, StoreError>> + Send + '_>> {
        held(&self.asked).push((since_ms, recorded_from));
        let mut answers: Vec<_> = self.recent.iter().cloned().map(Ok).collect();
        if self.fails() {
            answers.truncate(1);
            answers.push(Err(unavailable()));
        }
        Box::pin(stream::iter(answers))
    }
}
