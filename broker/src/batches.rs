//! Batches of a connection that wait for their commit: a state machine without IO.

use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
struct Batch {
    messages: usize,
    bytes: usize,
    resolved: bool,
}

/// Numbered batches, of which some are durable.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    queue: VecDeque<Batch>,
    /// Number of the batch at the front.
    first: u64,
    waiting_messages: usize,
    waiting_bytes: usize,
}

impl Batches {
    /// The number that the next batch will have.
    pub(crate) fn next(&self) -> u64 {
        self.first + u64::try_from(self.queue.len()).unwrap_or(u64::MAX)
    }

    /// Opens the next batch.
    pub(crate) fn open(&mut self, messages: usize, bytes: usize) -> u64 {
        let number = self.next();
        self.queue.push_back(Batch { messages, bytes, resolved: false });
        self.waiting_messages += messages;
        self.waiting_bytes += bytes;
        number
    }

    /// A batch was committed, or will not be: it waits no longer.
    pub(crate) fn committed(&mut self, batch: u64) {
        let place = batch.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let Some(committed) = place.and_then(|at| self.queue.get_mut(at)) else {
            return;
        };
        if !committed.resolved {
            committed.resolved = true;
            self.waiting_messages -= committed.messages;
            self.waiting_bytes -= committed.bytes;
        }
        while self.queue.front().is_some_and(|batch| batch.resolved) {
            self.queue.pop_front();
            self.first += 1;
        }
        if self.queue.is_empty() {
            self.queue.shrink_to(8);
        }
    }

    /// Whether a batch was committed.
    pub(crate) fn is_kept(&self, batch: u64) -> bool {
        match batch.checked_sub(self.first).and_then(|at| usize::try_from(at).ok()) {
            None => true,
            Some(at) => self.queue.get(at).is_some_and(|batch| batch.resolved),
        }
    }

    /// Messages that wait for their commit.
    pub(crate) const fn waiting_messages(&self) -> usize {
        self.waiting_messages
    }

    /// Their bytes.
    pub(crate) const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }
}
