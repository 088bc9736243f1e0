//! The queue of work to commit, and how much of it makes one transaction.
//!
//! The queue itself refuses nothing. Each submitter holds a bounded number of
//! receipts (the listener by its pool of bytes, a subscriber by its receive window), so the queue
//! is bounded where back-pressure still reaches the device.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use nemeses_protocol::{Record, Tally};
use nemeses_store::history::Part;
use tokio::sync::Notify;

/// What to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Records that have no batch key yet; the exporter gives them one.
    Records {
        /// The records.
        records: Vec<Record>,
        /// Pings by minute of arrival.
        tallies: Vec<Tally>,
    },
    /// A batch that a parser named.
    Part(Part),
}

impl Work {
    fn rows(&self) -> usize {
        match self {
            Self::Records { records, .. } => records.len(),
            Self::Part(part) => part.records.len(),
        }
    }
}

/// Work, and the receipt that is resolved when it is durable.
#[derive(Debug)]
pub struct Submission<R> {
    /// What to commit.
    pub work: Work,
    /// Resolved after the commit.
    pub receipt: R,
}

#[derive(Debug)]
struct Waiting<R> {
    submissions: VecDeque<Submission<R>>,
    /// When each of them was submitted.
    since: VecDeque<Instant>,
    rows: usize,
}

/// The queue between submitters and the committing lanes.
#[derive(Debug)]
pub(crate) struct Queue<R> {
    waiting: Mutex<Waiting<R>>,
    filled: Notify,
    large: Mark,
    full: Mark,
}

/// A number of rows, and a notification when it is reached.
#[derive(Debug)]
struct Mark {
    rows: usize,
    reached: Notify,
}

impl Mark {
    fn at(rows: usize) -> Self {
        Self { rows, reached: Notify::new() }
    }

    fn look(&self, before: usize, now: usize) {
        if before < self.rows && now >= self.rows {
            self.reached.notify_one();
        }
    }
}

impl<R> Queue<R> {
    /// A full batch has `full` rows; `large` are worth a commit.
    pub(crate) fn new(large: usize, full: usize) -> Self {
        let waiting =
            Mutex::new(Waiting { submissions: VecDeque::new(), since: VecDeque::new(), rows: 0 });
        Self { waiting, filled: Notify::new(), large: Mark::at(large), full: Mark::at(full) }
    }

    pub(crate) fn push(&self, submission: Submission<R>) {
        let mut waiting = self.lock();
        let before = waiting.rows;
        waiting.rows += submission.work.rows();
        waiting.submissions.push_back(submission);
        waiting.since.push_back(Instant::now());
        let rows = waiting.rows;
        drop(waiting);
        self.filled.notify_one();
        self.large.look(before, rows);
        self.full.look(before, rows);
    }

    /// Rows that wait.
    pub(crate) fn rows(&self) -> usize {
        self.lock().rows
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().submissions.is_empty()
    }

    /// Since when the oldest waits.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.lock().since.front().copied()
    }

    /// Whether there is a full batch.
    pub(crate) fn is_full(&self) -> bool {
        self.rows() >= self.full.rows
    }

    /// Whether the queue is large enough for a commit at once.
    pub(crate) fn is_large(&self) -> bool {
        self.rows() >= self.large.rows
    }

    /// Resolves when [`Queue::is_full`] became true since the last call.
    pub(crate) async fn full(&self) {
        self.full.reached.notified().await;
    }

    /// Resolves when [`Queue::is_large`] became true since the last call.
    pub(crate) async fn large(&self) {
        self.large.reached.notified().await;
    }

    /// Resolves when something was pushed since the last call.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Removes submissions from the front until they make a full batch or none is
    /// left; the first whatever its size. Wakes another lane when
    /// some are left.
    pub(crate) fn take(&self) -> Vec<Submission<R>> {
        let mut waiting = self.lock();
        let mut taken = Vec::new();
        let mut rows = 0;
        while let Some(next) = waiting.submissions.front() {
            let more = next.work.rows();
            if !taken.is_empty() && rows + more > self.full.rows {
                break;
            }
            rows += more;
            taken.extend(waiting.submissions.pop_front());
            waiting.since.pop_front();
        }
        waiting.rows -= rows;
        if !waiting.submissions.is_empty() {
            self.filled.notify_one();
        }
        self.full.look(0, waiting.rows);
        taken
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting<R>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{DeadLetter, Reason};
    use proptest::prelude::*;

    use super::*;

    fn records(count: usize) -> Work {
        let letter = DeadLetter {
            topic: String::new(),
            offset: 0,
            reason: Reason::Future,
            device: None,
            received_at_ms: 0,
            bytes: Vec::new(),
        };
        Work::Records {
            records: vec![Record::DeadLetter(Box::new(letter)); count],
            tallies: Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn batches_neither_lose_nor_reorder_and_keep_the_bound(
            sizes in proptest::collection::vec(0_usize..50, 0..60),
            max_rows in 1_usize..100,
        ) {
            let queue = Queue::new(1, max_rows);
            for (receipt, rows) in sizes.iter().enumerate() {
                queue.push(Submission { work: records(*rows), receipt });
            }
            let first = queue.oldest();
            prop_assert_eq!(first.is_none(), sizes.is_empty());
            let mut seen = Vec::new();
            while !queue.is_empty() {
                let batch = queue.take();
                let rows: usize = batch.iter().map(|submission| submission.work.rows()).sum();
                prop_assert!(batch.len() == 1 || rows <= max_rows);
                prop_assert!(!batch.is_empty());
                seen.extend(batch.into_iter().map(|submission| submission.receipt));
            }
            prop_assert_eq!(seen, (0..sizes.len()).collect::<Vec<_>>());
            prop_assert_eq!(queue.rows(), 0);
            prop_assert!(queue.oldest().is_none());
        }
    }
}
