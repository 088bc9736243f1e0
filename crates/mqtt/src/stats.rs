//! What one end counts for its operators.

use nemeses_runtime::Registry;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::gauge::Gauge;

/// Counters of one connection to the broker. Clones share.
#[derive(Clone, Debug, Default)]
pub struct LinkStats {
    /// 1 while connected.
    pub connected: Gauge,
    /// Connections made.
    pub connects: Counter,
    /// Messages received (subscriber) or acknowledged by the broker (publisher).
    pub messages: Counter,
    /// QoS 0 messages dropped because too many waited already.
    pub dropped: Counter,
}

impl LinkStats {
    /// Adds the counters under `nemeses_mqtt_{end}_…`; `end` is for example `in` or `out`.
    pub fn register(&self, end: &'static str, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix(format!("nemeses_mqtt_{end}"));
        registry.register("connected", "1 while connected to the broker", self.connected.clone());
        registry.register("connects", "Connections made to the broker", self.connects.clone());
        registry.register("messages", "Messages received, or acknowledged", self.messages.clone());
        registry.register("dropped", "QoS 0 messages dropped unprocessed", self.dropped.clone());
    }
}
