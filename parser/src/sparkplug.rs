//! The state of Sparkplug's edges, shared by all connections of the process, since an edge's
//! messages may arrive over a bridge.

use std::sync::{Arc, Mutex, PoisonError};

use nemeses_telemetry::{SparkplugHost, SparkplugTaken};

/// The prefix of its topics.
pub(crate) const SPARKPLUG: &str = "spBv1.0/";

/// The edges that publish to this process.
#[derive(Clone, Debug, Default)]
pub struct Edges(Arc<Mutex<SparkplugHost>>);

impl Edges {
    pub(crate) fn take(&self, topic: &str, payload: &[u8], received_at_ms: u64) -> SparkplugTaken {
        // Nothing panics while it is held.
        let mut host = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        host.take(topic, payload, received_at_ms)
    }
}
