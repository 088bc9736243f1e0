//! The journal as this process holds it, and how it is read from its table.

use std::sync::Arc;

use tokio::time::Instant;

use super::super::super::engine::{
    Fault, Fields as _, Journaled, Kind, Session as _, Value, fixed,
};
use super::super::File;
use super::group::{Group, Row};
use super::{LONGEST, QUIET, Sizes, blob};

const BEGUN: &str = "INSERT INTO pending_group (id, up_to, done) VALUES (1, 0, 0) \
    ON CONFLICT (id) DO NOTHING";
const MARK: &str = "SELECT up_to, done FROM pending_group WHERE id = 1";
const BATCHES: &str = "SELECT id, records FROM pending ORDER BY id";
const STATE: &str = "SELECT up_to, done, (SELECT MAX(id) FROM pending) FROM pending_group \
    WHERE id = 1";

/// What `pending_group` says: the last batch of the group that moves or moved last,
/// and how many of its rows have moved; 0 when all have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) up_to: i64,
    pub(super) done: usize,
}

/// The journal.
#[derive(Debug)]
pub(super) struct Held {
    sizes: Sizes,
    mark: Mark,
    /// The sealed group that moves, if one does.
    moving: Option<Group>,
    gathered: Group,
    /// Rows that came since a slice moved last along with a batch.
    owed: usize,
    /// When the oldest of the gathered rows came, and the youngest.
    since: Option<(Instant, Instant)>,
}

/// Reads it, in a transaction, since two tables have to fit.
pub(super) async fn read(file: &Arc<File>) -> Result<Held, Fault> {
    let mut session = file.begin_on(&file.writer, "BEGIN IMMEDIATE").await?;
    session.execute(fixed(BEGUN), &[]).await?;
    let rows = session.rows(fixed(MARK), &[]).await?;
    let row = rows.first().ok_or_else(|| Fault::column(0, "is missing"))?;
    let mark = Mark { up_to: row.signed(0)?, done: row.need(1)? };
    let (mut moving, mut gathered) = (Group::default(), Group::default());
    gathered.last_id = mark.up_to;
    for row in session.rows(fixed(BATCHES), &[]).await? {
        let id = row.signed(0)?;
        let group = if id <= mark.up_to { &mut moving } else { &mut gathered };
        let bytes = row.bytes(1)?.unwrap_or_default();
        let (parts, rows) = blob::decode(&bytes, group.next_part())?;
        group.add(id, parts, rows);
    }
    session.commit().await?;
    let moving = (!moving.rows.is_empty()).then(|| Group { last_id: mark.up_to, ..moving }.seal());
    if moving.is_none() && mark.done > 0 {
        return Err(Fault::new(Kind::Schema, "the journal and its group do not fit"));
    }
    let now = Instant::now();
    Ok(Held { sizes: file.journal.sizes, mark, moving, gathered, owed: 0, since: Some((now, now)) })
}

impl Held {
    /// Rows that have not moved.
    pub(super) fn rows(&self) -> usize {
        let moving = self.moving.as_ref().map_or(0, |group| group.rows.len());
        moving.saturating_sub(self.mark.done) + self.gathered.rows.len()
    }

    pub(super) fn next_id(&self) -> i64 {
        self.last_id() + 1
    }

    /// The last batch.
    pub(super) fn last_id(&self) -> i64 {
        self.gathered.last_id
    }

    /// Whether all batches up to this one have moved.
    pub(super) fn has_moved(&self, goal: i64) -> bool {
        self.moving.is_none() && (self.gathered.rows.is_empty() || goal <= self.mark.up_to)
    }

    /// Whether a slice is due along with the next batch: a little more rows move than
    /// come, so that a group has moved before the next one is there.
    pub(super) fn owes_slice(&self) -> bool {
        self.moving.is_some() && self.owed + self.owed / 4 >= self.sizes.slice
    }

    /// Whether the next slice is the group's last.
    pub(super) fn ends_with_slice(&self) -> bool {
        self.next().is_some_and(|step| step.is_last)
    }

    /// Whether the journal is to move by itself.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.since.is_none_or(|(oldest, youngest)| {
            now.duration_since(youngest) >= QUIET || now.duration_since(oldest) >= LONGEST
        })
    }

    /// Whether the table says so, too.
    pub(super) async fn is_current(&self, file: &Arc<File>) -> Result<bool, Fault> {
        let rows = file.rows_from(&file.readers, fixed(STATE), &[]).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        let mark = Mark { up_to: row.signed(0)?, done: row.need(1)? };
        let last: Option<u64> = row.maybe(2)?;
        let last = last.map_or(mark.up_to, u64::cast_signed);
        Ok(mark == self.mark && last == self.last_id())
    }

    /// Notes a batch that is in the table.
    pub(super) fn keep(&mut self, id: i64, batch: &Journaled<'_>) {
        let now = Instant::now();
        let first = self.gathered.next_part();
        let parts = batch.parts.iter().map(|key| (*key).clone()).collect();
        let rows = batch
            .rows
            .iter()
            .map(|(part, record)| Row { part: first + part, record: (*record).clone() });
        let count = batch.rows.len();
        let oldest = match self.since {
            Some((oldest, _)) if !self.gathered.rows.is_empty() => oldest,
            _ => now,
        };
        self.since = Some((oldest, now));
        self.gathered.add(id, parts, rows.collect());
        self.owed += count;
        if self.moving.is_none() && self.gathered.rows.len() >= self.sizes.group {
            self.seal();
        }
    }

    /// Makes a group of what has gathered, unless one moves.
    pub(super) fn seal(&mut self) {
        if self.moving.is_none() {
            let last_id = self.gathered.last_id;
            let rest = Group { last_id, ..Group::default() };
            self.moving = Some(std::mem::replace(&mut self.gathered, rest).seal());
            self.owed = 0;
        }
    }

    /// The next rows of the group that moves, with the keys of their parts, what the
    /// table says now, and what it says when they have moved.
    pub(super) fn next(&self) -> Option<Step<'_>> {
        let group = self.moving.as_ref()?;
        let is_begun = self.mark.up_to == group.last_id;
        let done = if is_begun { self.mark.done } else { 0 };
        let (rows, is_last) = group.slice(done, self.sizes.slice);
        let done = if is_last { 0 } else { done + rows.len() };
        let after = Mark { up_to: group.last_id, done };
        Some(Step { group, rows, is_last, before: self.mark, after })
    }

    /// Notes a slice that has moved.
    pub(super) fn moved(&mut self, after: Mark) {
        self.mark = after;
        self.owed = 0;
        if after.done == 0 {
            self.moving = None;
        }
    }
}

/// A slice that is to move.
pub(super) struct Step<'a> {
    pub(super) group: &'a Group,
    pub(super) rows: &'a [Row],
    pub(super) is_last: bool,
    pub(super) before: Mark,
    pub(super) after: Mark,
}

impl Mark {
    /// What `pending_group` is told: from what to what.
    pub(super) fn change(before: Self, after: Self) -> [Value<'static>; 4] {
        let count = |count: usize| Value::Number(u64::try_from(count).unwrap_or(u64::MAX));
        [
            Value::Signed(before.up_to),
            count(before.done),
            count(after.done),
            Value::Signed(after.up_to),
        ]
    }
}
