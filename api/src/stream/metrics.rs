//! What the stream counts.

use nemeses_runtime::Registry;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::family::Family;
use nemeses_runtime::metrics::metrics::gauge::Gauge;

/// All atomic; clones share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Clients now.
    pub(crate) clients: Gauge,
    /// Events published to them.
    pub(crate) events: Counter,
    /// Positions left out for clients that were too slow.
    pub(crate) thinned: Counter,
    /// Times that a part of the store's stream was missed.
    pub(crate) gaps: Counter,
    /// Streams that the server ended, by reason.
    pub(crate) ended: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Counts {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let stream = registry.sub_registry_with_prefix("nemeses_stream");
        stream.register("clients", "Clients of the live stream", self.clients.clone());
        stream.register("events", "Events published to the live stream", self.events.clone());
        stream.register(
            "positions_thinned",
            "Positions left out for clients of the live stream that were too slow",
            self.thinned.clone(),
        );
        stream.register(
            "gaps",
            "Times that part of the live store's stream was missed",
            self.gaps.clone(),
        );
        stream.register(
            "ended",
            "Live streams that the server ended, by reason",
            self.ended.clone(),
        );
    }
}
