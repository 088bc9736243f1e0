//! What the sender counts.

use nemeses_runtime::Registry;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::family::Family;
use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_runtime::metrics::metrics::histogram::{Histogram, exponential_buckets};

use crate::schedule::Answer;
use crate::target::Kind;

type Labels = [(&'static str, &'static str); 2];

/// All atomic; clones share.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    messages: Family<Labels, Counter>,
    pub(crate) delay_seconds: Histogram,
    pub(crate) sending: Gauge,
    pub(crate) disabled: Counter,
    suppressed: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Stats {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let stats = Self {
            messages: Family::default(),
            // 1 ms to 1 h.
            delay_seconds: Histogram::new(exponential_buckets(0.001, 3.0, 15)),
            sending: Gauge::default(),
            disabled: Counter::default(),
            suppressed: Family::default(),
        };
        let notify = registry.sub_registry_with_prefix("nemeses_notify");
        let Self { messages, delay_seconds, sending, disabled, suppressed } = stats.clone();
        notify.register("messages", "Attempts to send a message, by kind and outcome", messages);
        notify.register(
            "delay_seconds",
            "From raising a notification to its receiver's accepting it",
            delay_seconds,
        );
        notify.register("sending", "Receivers to which messages are being sent", sending);
        notify.register(
            "receivers_disabled",
            "Receivers that were switched off because they are gone or never answered",
            disabled,
        );
        notify.register("suppressed", "Notifications that were not sent, by reason", suppressed);
        stats
    }

    pub(crate) fn attempt(&self, kind: Kind, answer: &Answer) {
        let outcome = match answer {
            Answer::Accepted => "accepted",
            Answer::Gone(_) => "gone",
            Answer::Refused(_) => "refused",
            Answer::Unwell(..) => "failed",
        };
        self.messages.get_or_create(&[("kind", kind.word()), ("outcome", outcome)]).inc();
    }

    pub(crate) fn suppressed(&self, reason: &'static str) {
        self.suppressed.get_or_create(&[("reason", reason)]).inc();
    }
}
