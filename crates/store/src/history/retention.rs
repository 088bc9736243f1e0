//! What is kept for how long, and what was let go.
//!
//! A device belongs to a class, by its profile; a class has a period.
//! Rows leave by whole partitions on MySQL, where they are few and on SQLite in small
//! transactions;
//! what leaves is booked by the minute of its arrival, so that the books go on
//! balancing. All methods may be called by several processes at once.

use async_trait::async_trait;

use super::BUCKET_SECONDS;
use crate::StoreError;

/// What one step took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Rows that are gone from their table.
    pub removed: u64,
    /// Records of readings that are gone with positions.
    pub readings: u64,
    /// Whether more may be left to take.
    pub more: bool,
    /// Another process is at it: nothing was done.
    pub busy: bool,
    /// Weeks that were rewritten without some devices (MySQL).
    pub weeks: u32,
    /// Days of devices are gone that commits may take to be noted.
    pub days_forgotten: bool,
    /// Partitions that are over and still there (MySQL).
    pub partitions_left: u32,
}

/// Until when the positions and readings of a class go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassLimit {
    /// Its name; [`super::DEFAULT_RETENTION`] are the devices that name none.
    pub class: String,
    /// What was recorded before this goes (Unix seconds).
    pub before: u32,
}

/// The same by buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BucketLimit {
    pub(super) class: String,
    /// The first bucket that stays.
    pub(super) before: u32,
}

/// A class that devices name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassCount {
    /// Its name.
    pub class: String,
    /// Devices that name it; of the default class only those that have a profile.
    pub devices: u64,
}

/// A class that has a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedClass {
    /// Its name.
    pub class: String,
    /// How long its positions are kept, in seconds; `None` is for ever.
    pub keep_s: Option<u64>,
}

/// Rows of a class that are over, recorded in one week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassWeek {
    /// The class.
    pub class: String,
    /// The Monday on which the week begins (Unix seconds).
    pub week: u32,
    /// Rows that go.
    pub rows: u64,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Recorded second of the oldest bucket with a row; `None` in an empty table.
    pub oldest: Option<u32>,
    /// Rows recorded before the moment asked for, whole buckets only.
    pub expired: u64,
    /// Rows of positions by the server's estimate; `None` on SQLite, which would
    /// have to count.
    pub rows: Option<u64>,
    /// Bytes that the positions take on disk, their keys included; on SQLite
    /// those of the whole file.
    pub bytes: u64,
    /// Whether a week is being rewritten without some devices: what left is not all booked.
    pub rewriting: bool,
    /// Bytes that all tables take on disk.
    pub total_bytes: u64,
    /// Partitions of the table; `None` on SQLite, which has none.
    pub partitions: Option<u32>,
}

/// How things leave.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Looks at the positions, and counts those recorded before `before` (Unix
    /// seconds). Reads all of these.
    async fn survey(&self, before: u32) -> Result<Survey, StoreError>;

    /// Makes room for rows recorded up to `until` (Unix seconds): partitions on
    /// MySQL, nothing on SQLite. `now` tells where to begin on a table that has
    /// none. Says how many were made.
    async fn prepare(&self, now: u32, until: u32) -> Result<u32, StoreError>;

    /// Takes some of the positions recorded before `before` (Unix seconds) away:
    /// a partition when all of it is older on MySQL, a few thousand rows on SQLite. Readings
    /// go first, a few thousand at a time.
    async fn expire_positions(&self, before: u32) -> Result<Step, StoreError>;

    /// The classes that devices name, in order of name.
    async fn classes(&self) -> Result<Vec<ClassCount>, StoreError>;

    /// Notes the classes that have a period, in the place of those noted before.
    async fn note_classes(&self, classes: &[NotedClass]) -> Result<(), StoreError>;

    /// The classes that have a period, in order of name.
    async fn noted_classes(&self) -> Result<Vec<NotedClass>, StoreError>;

    /// Counts the rows that these classes have beyond their limits. Reads all of these.
    async fn survey_classes(&self, over: &[ClassLimit]) -> Result<Vec<ClassWeek>, StoreError>;

    /// Takes some of the positions and readings of these classes away: on MySQL a step of
    /// rewriting a week without them when all of it is older, on SQLite some device's days.
    /// Classes that are not named keep all.
    async fn expire_classes(&self, over: &[ClassLimit]) -> Result<Step, StoreError>;

    /// Moves the rewriting of a week that is under way on (MySQL), if one is: until it is
    /// done, some of what came late is not seen. Before anything has left, only when its
    /// classes are over by these limits, so that nothing goes that is to stay by now.
    async fn finish_rewriting(&self, over: &[ClassLimit]) -> Result<Step, StoreError>;

    /// Takes some of the dead letters that arrived before this (Unix milliseconds) away.
    async fn expire_letters(&self, before_ms: u64) -> Result<Step, StoreError>;

    /// Joins the oldest minute of the books before this one (Unix seconds / 60)
    /// into one line a worker and day. No figure is lost; the keys of the batches
    /// are, so choose a time after which no batch is delivered again.
    async fn fold_books(&self, before_minute: u32) -> Result<Step, StoreError>;
}

impl ClassLimit {
    pub(super) fn in_buckets(&self) -> BucketLimit {
        BucketLimit { class: self.class.clone(), before: bucket_at(self.before) }
    }
}

/// The first bucket that is not wholly before this recorded second.
pub(super) fn bucket_at(second: u32) -> u32 {
    second / BUCKET_SECONDS
}
