//! The journal as this process holds it, and how it is read from its table.

use std::sync::Arc;

use nemeses_protocol::BatchKey;
use tokio::time::Instant;

use super::super::super::engine::{Fault, Fields as _, Kind, Session as _, Value, fixed};
use super::super::{File, FileSession};
use super::group::{Group, Row};
use super::newest::Journaled;
use super::{Sizes, blob};

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
    /// The last batch up to which all have moved.
    completed: i64,
    /// Rows that came since the group was sealed, less 4/5 of those that moved.
    owed: usize,
    /// Whether rows may be there that were read rather than kept here.
    foreign: bool,
    /// When the oldest of the gathered rows came, and the youngest.
    since: Option<(Instant, Instant)>,
}

/// Reads it, in a transaction, since two tables have to fit.
pub(super) async fn read(file: &Arc<File>) -> Result<Held, Fault> {
    let mut session = file.begin_on(&file.writer, "BEGIN IMMEDIATE").await?;
    let held = read_in(&mut session, file.journal.sizes).await?;
    session.commit().await?;
    Ok(held)
}

/// The same in a transaction that is under way.
pub(super) async fn read_in(session: &mut FileSession, sizes: Sizes) -> Result<Held, Fault> {
    session.execute(fixed(BEGUN), &[]).await?;
    let rows = session.rows(fixed(MARK), &[]).await?;
    let row = rows.first().ok_or_else(|| Fault::column(0, "is missing"))?;
    let mark = Mark { up_to: row.signed(0)?, done: row.need(1)? };
    let (mut moving, mut gathered) = (Group::default(), Group::default());
    gathered.last_id = mark.up_to;
    let mut completed = None;
    for row in session.rows(fixed(BATCHES), &[]).await? {
        let id = row.signed(0)?;
        completed.get_or_insert(id - 1);
        let group = if id <= mark.up_to { &mut moving } else { &mut gathered };
        let bytes = row.bytes(1)?.unwrap_or_default();
        let (parts, rows) = blob::decode(&bytes, group.next_part())?;
        group.add(id, parts, rows);
    }
    let moving = (!moving.rows.is_empty()).then(|| Group { last_id: mark.up_to, ..moving }.seal());
    if moving.is_none() && mark.done > 0 {
        return Err(Fault::new(Kind::Schema, "the journal and its group do not fit"));
    }
    let now = Instant::now();
    Ok(Held {
        sizes,
        mark,
        moving,
        gathered,
        foreign: completed.is_some(),
        completed: completed.unwrap_or(mark.up_to),
        owed: 0,
        since: Some((now, now)),
    })
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
        goal <= self.completed
    }

    /// Whether a row of this second at the newest can be none of those that wait.
    pub(super) fn is_before(&self, second: u32) -> bool {
        let moving = self.moving.iter().map(|group| group.oldest);
        moving.chain([self.gathered.oldest]).all(|oldest| second < oldest)
    }

    /// Whether rows may be there that were read rather than kept here.
    pub(super) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Slices that are due along with the next batch: of five rows that move four come,
    /// so that a group has moved before the next one is there.
    fn due_slices(&self) -> usize {
        if self.moving.is_none() { 0 } else { self.owed / share(self.sizes.slice).max(1) }
    }

    /// Whether a slice is due that is the group's last.
    pub(super) fn owes_last(&self) -> bool {
        self.due_slices() > 0 && self.next().is_some_and(|step| step.is_last)
    }

    /// The slices that move along with the next batch, all that are due but the group's
    /// last.
    pub(super) fn next_along(&self) -> Option<Step<'_>> {
        let group = self.moving.as_ref()?;
        let before_last = group.rows.len().saturating_sub(self.done() + 1) / self.sizes.slice;
        let slices = self.due_slices().min(before_last);
        if slices == 0 { None } else { self.step(slices * self.sizes.slice) }
    }

    /// Whether the journal is to move by itself.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.since.is_none_or(|(oldest, youngest)| {
            now.duration_since(youngest) >= self.sizes.quiet
                || now.duration_since(oldest) >= self.sizes.longest
        })
    }

    /// Whether the table says so, too. On the connection that writes: who waits for a
    /// reader's would keep commits waiting.
    pub(super) async fn is_current(&self, file: &Arc<File>) -> Result<bool, Fault> {
        let rows = file.rows_from(&file.writer, fixed(STATE), &[]).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        let mark = Mark { up_to: row.signed(0)?, done: row.need(1)? };
        let last: Option<u64> = row.maybe(2)?;
        let last = last.map_or(mark.up_to, u64::cast_signed);
        Ok(mark == self.mark && last == self.last_id())
    }

    /// Notes a batch that is in the table.
    pub(super) fn keep(&mut self, id: i64, batch: &Journaled<'_>) {
        let first = self.gathered.next_part();
        let parts = batch.parts.iter().map(|key| (*key).clone()).collect();
        let rows = batch
            .rows
            .iter()
            .map(|(part, record)| Row { part: first + part, record: (*record).clone() });
        self.gather(id, parts, rows.collect());
    }

    fn gather(&mut self, id: i64, parts: Vec<BatchKey>, rows: Vec<Row>) {
        let now = Instant::now();
        let count = rows.len();
        let oldest = match self.since {
            Some((oldest, _)) if !self.gathered.rows.is_empty() => oldest,
            _ => now,
        };
        self.since = Some((oldest, now));
        self.gathered.add(id, parts, rows);
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
        self.step(self.sizes.slice)
    }

    /// Rows of the group that moves which have moved.
    fn done(&self) -> usize {
        let is_begun = self.moving.as_ref().is_some_and(|group| self.mark.up_to == group.last_id);
        if is_begun { self.mark.done } else { 0 }
    }

    fn step(&self, at_most: usize) -> Option<Step<'_>> {
        let group = self.moving.as_ref()?;
        let done = self.done();
        let (rows, is_last) = group.slice(done, at_most);
        let done = if is_last { 0 } else { done + rows.len() };
        let after = Mark { up_to: group.last_id, done };
        Some(Step { group, rows, is_last, before: self.mark, after })
    }

    /// Notes that so many rows have moved.
    pub(super) fn moved(&mut self, after: Mark, rows: usize) {
        self.mark = after;
        self.owed = self.owed.saturating_sub(share(rows));
        if after.done == 0 {
            self.moving = None;
            self.completed = after.up_to;
            self.foreign &= !self.gathered.rows.is_empty();
        }
    }
}

/// Rows that come while so many move.
const fn share(rows: usize) -> usize {
    rows / 5 * 4
}

/// Rows that are to move.
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

#[cfg(test)]
mod tests {
    use nemeses_protocol::{Composition, DeviceId, Position, PositionRecord};

    use super::*;

    fn empty(sizes: Sizes) -> Held {
        Held {
            sizes,
            mark: Mark::default(),
            moving: None,
            gathered: Group::default(),
            completed: 0,
            owed: 0,
            foreign: false,
            since: None,
        }
    }

    fn row(number: usize) -> Row {
        let number = u32::try_from(number).unwrap();
        let position = Position {
            device: DeviceId::new(number % 997),
            recorded_at: 1000 + number / 997,
            direction_cdeg: 0,
            odometer_m: 0,
            hour_meter_min: 0,
            composition: Composition(0),
            extension: None,
            speed_kmh: 0,
            latitude_udeg: 0,
            longitude_udeg: 0,
        };
        let record = PositionRecord { position, frame_hash: 0, received_at_ms: 0, packed: None };
        Row { part: 0, record }
    }

    /// What `move_and_keep` does; the rows that moved along.
    fn keep(held: &mut Held, rows: Vec<Row>) -> usize {
        let mut moved = 0;
        if held.owes_last() {
            let (after, rows) = held.next().map(|step| (step.after, step.rows.len())).unwrap();
            held.moved(after, rows);
            moved += rows;
        }
        if let Some(step) = held.next_along() {
            let (after, rows, slice) = (step.after, step.rows.len(), held.sizes.slice);
            assert!(!step.is_last && rows.is_multiple_of(slice));
            held.moved(after, rows);
            moved += rows;
        }
        held.gather(held.next_id(), Vec::new(), rows);
        moved
    }

    #[test]
    fn what_waits_is_little_more_than_a_group_whatever_the_batches() {
        let sizes = Sizes { group: 20_000, ..Sizes::default() };
        for batch in [64, 200, 400, 799, 800, 1000, 1600, 2000] {
            let mut held = empty(sizes);
            let (mut came, mut moved) = (0, 0);
            while came < 8 * sizes.group {
                moved += keep(&mut held, (came..came + batch).map(row).collect());
                came += batch;
                assert_eq!(held.rows(), came - moved, "{batch}");
                assert!(held.rows() < sizes.group + 2 * batch + 2 * sizes.slice, "{batch}");
                let kept = held.moving.as_ref().map_or(0, |group| group.rows.len())
                    + held.gathered.rows.len();
                assert!(kept <= 2 * sizes.group, "{batch}: {kept} rows in memory");
            }
            assert!(moved > 6 * sizes.group, "{batch}");
        }
    }

    #[test]
    fn what_moved_has_moved_though_the_next_group_is_there() {
        let mut held = empty(Sizes { group: 100, slice: 40, ..Sizes::default() });
        let batch = |held: &mut Held| {
            held.gather(held.next_id(), Vec::new(), (0..100).map(row).collect());
        };
        batch(&mut held);
        let goal = held.last_id();
        batch(&mut held);
        while !held.has_moved(goal) {
            let (after, rows) = held.next().map(|step| (step.after, step.rows.len())).unwrap();
            held.moved(after, rows);
            batch(&mut held);
        }
        assert!(held.moving.is_some() && held.rows() > 0);
        assert!(!held.has_moved(held.last_id()));
        assert!(held.is_before(999) && !held.is_before(1000));
    }
}
