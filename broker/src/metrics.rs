//! What the door counts. Labels are bounded: reasons are words of this file's
//! callers, never of clients.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nemeses_runtime::metrics::encoding::EncodeLabelSet;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::family::Family;
use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_runtime::{Counts, Registry, Summary};
use tokio_util::sync::CancellationToken;

use crate::pool::Shown;

/// Whoever opens a connection and says nothing was not refused: load balancers look
/// whether we are there.
pub(crate) const GONE: &str = "gone";
/// A bridge of Mosquitto that asks for its own version first, and falls back.
pub(crate) const BRIDGE: &str = "bridge";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Why {
    reason: &'static str,
}

/// What a TLS handshake agreed on, in rustls' words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Agreed {
    pub(crate) version: &'static str,
    pub(crate) suite: &'static str,
}

/// A protocol of devices; there are as many as the program knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Via {
    protocol: &'static str,
}

/// What is counted of devices that speak a protocol of their own.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeviceMetrics {
    frames: Family<Via, Counter>,
    acknowledged: Family<Via, Counter>,
    dropped: Family<Via, Counter>,
}

impl DeviceMetrics {
    fn register(self, door: &mut Registry) {
        let Self { frames, acknowledged, dropped } = self;
        door.register("device_frames", "Frames of devices' own protocols, by protocol", frames);
        door.register(
            "device_acknowledged",
            "Answers after the commit to devices of their own protocols, by protocol",
            acknowledged,
        );
        door.register(
            "device_dropped",
            "Datagrams that were not read while too much waited for its commit, by protocol",
            dropped,
        );
    }

    pub(crate) fn frames(&self, protocol: &'static str, frames: u32) {
        self.frames.get_or_create(&Via { protocol }).inc_by(frames.into());
    }

    pub(crate) fn acknowledged(&self, protocol: &'static str) {
        self.acknowledged.get_or_create(&Via { protocol }).inc();
    }

    pub(crate) fn dropped(&self, protocol: &'static str) {
        self.dropped.get_or_create(&Via { protocol }).inc();
    }
}

/// The door's counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) connections: Gauge,
    pub(crate) handshakes: Gauge,
    pub(crate) tls: Family<Agreed, Counter>,
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
    pub(crate) devices: DeviceMetrics,
    told: Arc<Told>,
}

/// What the log tells in a line a minute.
#[derive(Debug, Default)]
struct Told {
    refused: Summary,
    /// What the last client offered that TLS failed with.
    offered: Mutex<Option<String>>,
    publish_refused: Summary,
}

impl Told {
    fn offered(&self) -> MutexGuard<'_, Option<String>> {
        // Nothing panics while it is held.
        self.offered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let door = registry.sub_registry_with_prefix("nemeses_door");
        let Self {
            connections,
            handshakes,
            tls,
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
            devices,
            told: _,
        } = metrics.clone();
        door.register("connections", "Connected clients", connections);
        door.register("handshakes", "Connections that have not logged in yet", handshakes);
        door.register("tls", "TLS handshakes, by version and cipher suite", tls);
        door.register("accepted", "Clients accepted", accepted);
        door.register("refused", "Connections refused, by reason", refused);
        door.register("ended", "Connections ended, by reason", ended);
        door.register("frame_messages", "PUBLISH packets handed to the intake", frames_in);
        door.register("routed", "PUBLISH packets handed to the router", routed);
        door.register("acknowledged", "PUBACK and PUBREC packets sent", acknowledged);
        door.register("not_kept", "Batches that could not be committed", not_kept);
        door.register("publish_refused", "PUBLISH packets without permission", publish_refused);
        door.register("taken_over", "Connections taken over by their client id", taken_over);
        door.register("replies", "Ping replies delivered", replies);
        door.register("undelivered", "Replies and commands without a subscriber here", undelivered);
        door.register("missed", "Routed messages dropped because a subscriber was slow", missed);
        door.register("held_bytes", "Bytes of frames that wait for their commit", held_bytes);
        devices.register(door);
        metrics
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Why { reason }).inc();
        if ![GONE, BRIDGE].contains(&reason) {
            self.told.refused.note(reason, 1);
        }
    }

    /// The same of a TLS handshake, with what the client offered.
    pub(crate) fn refused_offer(&self, reason: &'static str, offered: Option<String>) {
        if offered.is_some() {
            *self.told.offered() = offered;
        }
        self.refused(reason);
    }

    /// A PUBLISH without the right, by a client of this role.
    pub(crate) fn publish_refused(&self, role: &'static str) {
        self.publish_refused.inc();
        self.told.publish_refused.note(role, 1);
    }

    /// Tells the log who was refused what, in a line a minute at most.
    pub(crate) async fn tell_until(&self, stop: &CancellationToken) {
        let clients = |counts: &Counts| {
            let tls_offered = self.told.offered().take();
            tracing::warn!(%counts, tls_offered, "clients were not let in (by reason; at most a line a minute)");
        };
        let publishes = |counts: &Counts| {
            tracing::warn!(%counts, "messages were refused on topics without the right (by role; at most a line a minute)");
        };
        tokio::join!(
            self.told.refused.tell_until(stop, clients),
            self.told.publish_refused.tell_until(stop, publishes),
        );
    }

    pub(crate) fn ended(&self, reason: &'static str) {
        self.ended.get_or_create(&Why { reason }).inc();
    }
}
