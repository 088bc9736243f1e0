//! Which records go into which batch. Pure: no clock, no IO.
//!
//! Records keep their order. A batch is bounded in rows and in bytes, estimated
//! from above; a message that does not fit goes over several batches, and its
//! receipt is due when all of them are kept.

use std::collections::VecDeque;
use std::time::Instant;

use nemeses_protocol::{
    BatchKey, BatchMessage, BatchTrace, Canary, MAX_BATCH_CANARIES, MAX_BATCH_ROWS, Record, Tally,
    TraceContext, WorkerName,
};

use super::share::Share;

/// The bounds of one batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Records, and messages that have a part in it.
    pub(super) rows: usize,
    /// Encoded bytes, the base included. A record that is larger alone goes alone.
    pub(super) bytes: usize,
}

/// A closed batch and what is owed for it.
#[derive(Debug)]
pub(super) struct Batch<R> {
    /// What to publish.
    pub(super) message: BatchMessage,
    /// A part of the receipt of every message in it.
    pub(super) shares: Vec<Share<R>>,
}

/// Fills batches.
#[derive(Debug)]
pub(super) struct Batcher<R> {
    worker: WorkerName,
    run: u64,
    next_sequence: u64,
    limits: Limits,
    open: Open<R>,
    full: VecDeque<Batch<R>>,
    /// The next message's, if it is followed.
    following: Option<TraceContext>,
}

#[derive(Debug)]
struct Open<R> {
    since: Option<Instant>,
    records: Vec<Record>,
    tallies: Vec<Tally>,
    bytes: usize,
    shares: Vec<Share<R>>,
    traces: Vec<BatchTrace>,
    canaries: Vec<Canary>,
}

impl<R> Default for Open<R> {
    fn default() -> Self {
        Self {
            since: None,
            records: Vec::new(),
            tallies: Vec::new(),
            bytes: BatchMessage::BASE_LEN_ESTIMATE,
            shares: Vec::new(),
            traces: Vec::new(),
            canaries: Vec::new(),
        }
    }
}

impl<R> Batcher<R> {
    /// Numbers batches from 1 under this worker and run.
    pub(super) fn new(worker: WorkerName, run: u64, limits: Limits) -> Self {
        let (open, full) = (Open::default(), VecDeque::new());
        Self { worker, run, next_sequence: 1, limits, open, full, following: None }
    }

    /// The message that is taken next is followed: every batch that holds records of
    /// it says so at the first of them.
    pub(super) const fn follow(&mut self, context: TraceContext) {
        self.following = Some(context);
    }

    /// Adds what one message brought. Returns the receipt at once when it
    /// brought nothing.
    pub(super) fn take(
        &mut self,
        records: Vec<Record>,
        pings: u32,
        received_at_ms: u64,
        now: Instant,
        receipt: R,
    ) -> Option<R> {
        let share = Share::of(receipt);
        let mut joined = false;
        let following = self.following.take();
        let of_trace = following.map_or(0, |_| BatchTrace::ENCODED_LEN_ESTIMATE);
        for record in records {
            let bytes = record.encoded_len_estimate();
            if !self.fits(bytes + of_trace) {
                self.close();
                joined = false;
            }
            if let Some(context) = following.filter(|_| !joined) {
                self.open.trace(context);
            }
            self.join(&mut joined, &share, now);
            self.open.bytes += bytes;
            self.open.records.push(record);
        }
        if pings > 0 {
            let minute = u32::try_from(received_at_ms / 60_000).unwrap_or(u32::MAX);
            if !self.open.count(minute, pings) {
                self.close();
                joined = false;
                self.open.tallies.push(Tally { minute, pings });
            }
            self.join(&mut joined, &share, now);
        }
        // Full: need not wait for the next record to find out. Messages count too,
        // or pings alone, which bring no rows, would gather without a bound.
        let (rows, messages) = (self.open.records.len(), self.open.shares.len());
        if rows >= self.limits.rows || messages >= self.limits.rows {
            self.close();
        }
        share.published()
    }

    /// Adds a canary, whose message has the receipt.
    pub(super) fn carry(&mut self, canary: Canary, now: Instant, receipt: R) {
        let share = Share::of(receipt);
        self.join(&mut false, &share, now);
        // The batch's part is open.
        share.published();
        self.open.canaries.push(canary);
        if self.open.canaries.len() >= MAX_BATCH_CANARIES {
            self.close();
        }
    }

    /// When the batch that is being filled was begun; `None` while it is empty.
    pub(super) const fn opened(&self) -> Option<Instant> {
        self.open.since
    }

    /// Whether a closed batch waits.
    pub(super) fn has_full(&self) -> bool {
        !self.full.is_empty()
    }

    /// The oldest closed batch.
    pub(super) fn next_full(&mut self) -> Option<Batch<R>> {
        self.full.pop_front()
    }

    /// Closes the batch that is being filled, unless it is empty.
    pub(super) fn close(&mut self) {
        if self.open.since.is_none() {
            return;
        }
        let Open { records, tallies, shares, traces, canaries, .. } =
            std::mem::take(&mut self.open);
        let key =
            BatchKey { worker: self.worker.clone(), run: self.run, sequence: self.next_sequence };
        self.next_sequence += 1;
        let message = BatchMessage { key, tallies, records, traces, canaries };
        self.full.push_back(Batch { message, shares });
    }

    fn fits(&self, bytes: usize) -> bool {
        self.open.records.is_empty()
            || self.open.records.len() < self.limits.rows
                && self.open.bytes + bytes <= self.limits.bytes
    }

    /// Notes that the message has a part in the open batch, once.
    fn join(&mut self, joined: &mut bool, share: &Share<R>, now: Instant) {
        self.open.since.get_or_insert(now);
        if !std::mem::replace(joined, true) {
            self.open.shares.push(share.another());
        }
    }
}

impl<R> Open<R> {
    /// The record that comes next is the first of a followed message.
    fn trace(&mut self, context: TraceContext) {
        let record = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        self.bytes += BatchTrace::ENCODED_LEN_ESTIMATE;
        self.traces.push(BatchTrace { record, context });
    }

    /// Counts pings; false when there is no room for another minute.
    fn count(&mut self, minute: u32, pings: u32) -> bool {
        let room = self.tallies.len() < MAX_BATCH_ROWS;
        match self.tallies.iter_mut().find(|tally| tally.minute == minute) {
            Some(tally) => match tally.pings.checked_add(pings) {
                Some(sum) => tally.pings = sum,
                None => return false,
            },
            None if room => self.tallies.push(Tally { minute, pings }),
            None => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests;
