//! Offers whose way into the live store is traced.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nemeses_protocol::TraceContext;
use nemeses_runtime::traces::{Span, SpanKind, Tracer};

/// Offers that may wait to be told of: a store that is down must not gather more.
/// 1000 of some 500 bytes: half a megabyte. Of those beyond, no write is told.
const MOST_WAITING: usize = 1000;

/// Followed offers, nearly in the order of their positions in the queue: of two tasks
/// that offer at once, one may note its own later.
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
            let span = self.tracer.below(context, "live write", SpanKind::Client, since_ns);
            waiting.extend(span.map(|span| (position, span)));
        }
    }

    /// Everything up to this position has been written.
    pub(super) fn written(&self, written_to: u64) {
        if !self.tracer.is_on() {
            return;
        }
        let mut waiting = self.lock();
        while waiting.front().is_some_and(|(position, _)| *position <= written_to)
            && let Some((_, span)) = waiting.pop_front()
        {
            span.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, Span)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use nemeses_runtime::Registry;
    use nemeses_runtime::metrics::encoding::text::encode;
    use nemeses_runtime::traces::{Collector, Ratio};

    use super::*;

    #[test]
    fn a_write_is_told_when_all_before_it_are_written_and_so_many_wait_at_most() {
        let mut registry = Registry::default();
        let collector = Collector::at("http://127.0.0.1:1").unwrap();
        let ratio = Ratio::new(0.0).unwrap();
        let (tracer, _delivery) = Tracer::new(ratio, collector, Vec::new(), &mut registry);
        let follow = Follow::by(tracer);
        let context = TraceContext { trace_id: [1; 16], span_id: [2; 8], sampled: true };
        let told = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("nemeses_traces_waiting "));
            line.and_then(|count| count.parse::<usize>().ok()).unwrap()
        };
        follow.offered(&context, 3, 0);
        follow.offered(&context, 5, 0);
        follow.written(2);
        assert_eq!(told(), 0);
        follow.written(4);
        assert_eq!(told(), 1);
        follow.written(5);
        assert_eq!(told(), 2);
        for _ in 0..MOST_WAITING + 10 {
            follow.offered(&context, 6, 0);
        }
        follow.written(6);
        assert_eq!(told(), 2 + MOST_WAITING);
    }
}
