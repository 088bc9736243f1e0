//! Offers whose way into the live store is traced.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nemeses_protocol::TraceContext;
use nemeses_runtime::traces::{Kind, Span, Tracer};

/// Offers that may wait to be told of: a store that is down must not gather more.
/// 1000 of some 500 bytes: half a megabyte. Of those beyond, no write is told.
const MOST_WAITING: usize = 1000;

/// Followed offers, in the order of their positions in the queue.
#[derive(Debug, Default)]
pub(super) struct Follow {
    tracer: Tracer,
    waiting: Mutex<VecDeque<(u64, Span)>>,
}

impl Follow {
    pub(super) fn by(tracer: Tracer) -> Self {
        Self { tracer, waiting: Mutex::default() }
    }

    /// An offer was made at `since_ns`, and is written when all up to this position is.
    pub(super) fn offered(&self, context: &TraceContext, position: u64, since_ns: u64) {
        let mut waiting = self.lock();
        if waiting.len() < MOST_WAITING {
            let span = self.tracer.below(context, "live write", Kind::Client, since_ns);
            waiting.extend(span.map(|span| (position, span)));
        }
    }

    /// Everything up to this position has been written, in a call of so many entries.
    pub(super) fn written(&self, written_to: u64, entries: usize) {
        if !self.tracer.is_on() {
            return;
        }
        let mut waiting = self.lock();
        while waiting.front().is_some_and(|(position, _)| *position <= written_to)
            && let Some((_, span)) = waiting.pop_front()
        {
            span.with("nemeses.live.entries", entries).end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, Span)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
