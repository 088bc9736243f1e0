//! What the door counts. Labels are bounded: reasons are words of this file's
//! callers, never of clients.

use nemeses_runtime::Registry;
use nemeses_runtime::metrics::encoding::EncodeLabelSet;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::family::Family;
use nemeses_runtime::metrics::metrics::gauge::Gauge;

use crate::pool::Shown;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Why {
    reason: &'static str,
}

/// The door's counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) connections: Gauge,
    pub(crate) accepted: Counter,
    pub(crate) refused: Family<Why, Counter>,
    pub(crate) ended: Family<Why, Counter>,
    pub(crate) frames_in: Counter,
    pub(crate) routed: Counter,
    pub(crate) acknowledged: Counter,
    pub(crate) not_kept: Counter,
    pub(crate) publish_refused: Counter,
    pub(crate) taken_over: Counter,
    pub(crate) replies: Counter,
    pub(crate) undelivered: Counter,
    pub(crate) missed: Counter,
    pub(crate) held_bytes: Shown,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let door = registry.sub_registry_with_prefix("nemeses_door");
        let Self {
            connections,
            accepted,
            refused,
            ended,
            frames_in,
            routed,
            acknowledged,
            not_kept,
            publish_refused,
            taken_over,
            replies,
            undelivered,
            missed,
            held_bytes,
        } = metrics.clone();
        door.register("connections", "Clients that are let in", connections);
        door.register("accepted", "Clients that were let in", accepted);
        door.register("refused", "Connections that were not let in", refused);
        door.register("ended", "Ends of connections, by cause", ended);
        door.register("frame_messages", "PUBLISH packets handed to the intake", frames_in);
        door.register("routed", "PUBLISH packets handed to the router", routed);
        door.register("acknowledged", "PUBACK and PUBREC packets sent", acknowledged);
        door.register("not_kept", "Batches that the intake could not keep", not_kept);
        door.register("publish_refused", "PUBLISH packets without the right", publish_refused);
        door.register("taken_over", "Connections taken over by their client id", taken_over);
        door.register("replies", "Ping replies delivered", replies);
        door.register("undelivered", "Replies and commands nobody here took", undelivered);
        door.register("missed", "Routed messages dropped before a slow listener", missed);
        door.register("held_bytes", "Bytes of frames that wait for their commit", held_bytes);
        metrics
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Why { reason }).inc();
    }

    pub(crate) fn ended(&self, reason: &'static str) {
        self.ended.get_or_create(&Why { reason }).inc();
    }
}
