//! What a worker counts for its operators. The books in the database are the
//! proof; these are the view.

use nemeses_protocol::Record;
use nemeses_runtime::Registry;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::family::Family;

use crate::step::Output;

/// One label: `position`, `ping`, or the reason of a dead letter; a handful.
type Kind = [(&'static str, &'static str); 1];

/// Clones share.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    taken: Family<Kind, Counter>,
    pub(super) batches: Counter,
    pub(super) canaries: Counter,
    pub(super) retries: Counter,
    pub(super) replies: Counter,
    pub(super) replies_dropped: Counter,
}

impl Stats {
    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("nemeses_parser");
        registry.register("taken", "Frames and skipped stretches, by kind", self.taken.clone());
        registry.register("batches", "Batches handed over", self.batches.clone());
        registry.register("canaries", "Canaries received and forwarded", self.canaries.clone());
        registry.register("batch_retries", "Failed hand-overs of a batch", self.retries.clone());
        registry.register("replies", "Pings answered", self.replies.clone());
        registry.register(
            "replies_dropped",
            "Pings not answered in time",
            self.replies_dropped.clone(),
        );
    }

    /// Counts what one message brought.
    pub(super) fn took(&self, out: &Output) {
        let add = |kind: &'static str, count: u64| {
            if count > 0 {
                self.taken.get_or_create(&[("kind", kind)]).inc_by(count);
            }
        };
        add("ping", u64::from(out.pings));
        let (mut positions, mut readings) = (0, 0);
        for record in &out.records {
            match record {
                Record::Position(_) => positions += 1,
                Record::DeadLetter(letter) => add(letter.reason.code(), 1),
                Record::Readings(_) => readings += 1,
            }
        }
        add("position", positions);
        add("readings", readings);
    }
}
