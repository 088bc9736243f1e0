//! How the ends connect.

use std::time::Duration;

use crate::broker::Broker;
use crate::offer::Needs;

/// Largest packet either way. The largest payload the line uses is 256 KiB (a
/// `/DB` batch; `message_size_limit` of the broker says the same for frames), a
/// topic has up to 64 KiB, the rest is for headers and properties.
pub const DEFAULT_MAX_PACKET_BYTES: u32 = (256 + 64 + 4) * 1024;

/// Above this a subscriber's memory would be too large: see
/// [`SubscriberConfig::receive_maximum`].
pub const MAX_RECEIVE_MAXIMUM: u16 = 10_000;

/// What all ends need to know.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where the broker is, and as whom.
    pub broker: Broker,
    /// Stable over restarts for a subscriber: the broker keeps its session by this name.
    pub client_id: String,
    /// Largest packet, both ways. The broker does not deliver what is larger.
    pub max_packet_bytes: u32,
    /// How often to ask an idle connection for a sign of life; at least a second. A
    /// dead one is noticed within twice this time.
    pub keep_alive: Duration,
    /// First and longest wait before connecting again.
    pub retry: (Duration, Duration),
}

impl Endpoint {
    /// With the defaults for all but these.
    pub fn new(broker: Broker, client_id: impl Into<String>) -> Self {
        Self {
            broker,
            client_id: client_id.into(),
            max_packet_bytes: DEFAULT_MAX_PACKET_BYTES,
            keep_alive: Duration::from_secs(5),
            // Short: a broker that restarted drops what is published until its
            // subscribers are back (see the subscriber's driver).
            retry: (Duration::from_millis(50), Duration::from_secs(1)),
        }
    }
}

/// What CONNECT asks for beside the endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) clean_start: bool,
    pub(crate) session_expiry_s: u32,
    /// Messages that the broker may leave unacknowledged; `None` sets no limit.
    pub(crate) receive_maximum: Option<u16>,
    /// What the broker must be able to do.
    pub(crate) needs: Needs,
}

/// How a [`crate::Subscriber`] connects and what it asks for.
#[derive(Clone, Debug)]
pub struct SubscriberConfig {
    /// Where, and as whom.
    pub endpoint: Endpoint,
    /// Topic filters, `$share/{group}/{filter}` included; taken at QoS 1.
    pub filters: Vec<String>,
    /// Messages that the broker may leave unacknowledged at once, 1 to
    /// [`MAX_RECEIVE_MAXIMUM`]. A broker that sends more is not read from, so this
    /// is the bound of memory: as many messages, at the worst of
    /// [`Endpoint::max_packet_bytes`] each.
    pub receive_maximum: u16,
    /// How long the broker keeps the session of a worker that is away.
    pub session_expiry_s: u32,
}

impl SubscriberConfig {
    /// The defaults: 1000 unacknowledged messages and a session that is kept for ever.
    pub fn new(
        broker: Broker,
        client_id: impl Into<String>,
        filters: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            endpoint: Endpoint::new(broker, client_id),
            filters: filters.into_iter().map(Into::into).collect(),
            receive_maximum: 1000,
            session_expiry_s: u32::MAX,
        }
    }

    pub(crate) fn window(&self) -> usize {
        usize::from(self.receive_maximum())
    }

    fn receive_maximum(&self) -> u16 {
        self.receive_maximum.clamp(1, MAX_RECEIVE_MAXIMUM)
    }

    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            clean_start: false,
            session_expiry_s: self.session_expiry_s,
            receive_maximum: Some(self.receive_maximum()),
            needs: Needs { session: self.session_expiry_s > 0, ..Needs::of_filters(&self.filters) },
        }
    }
}

/// How a [`crate::Publisher`] connects.
#[derive(Clone, Debug)]
pub struct PublisherConfig {
    /// Where, and as whom. The id must differ from the subscriber's.
    pub endpoint: Endpoint,
    /// Publishes of QoS 1 that may be unacknowledged at once, and as many of
    /// QoS 0 unsent; the next wait. The broker may allow fewer.
    pub inflight: u16,
    /// A broker that takes no packets of this size is of no use.
    pub needs_packet_bytes: u32,
}

impl PublisherConfig {
    /// The defaults: 100 publishes in flight, of any size.
    pub fn new(broker: Broker, client_id: impl Into<String>) -> Self {
        Self { endpoint: Endpoint::new(broker, client_id), inflight: 100, needs_packet_bytes: 0 }
    }

    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            clean_start: true,
            session_expiry_s: 0,
            receive_maximum: None,
            needs: Needs { qos_1: true, packet_bytes: self.needs_packet_bytes, ..Needs::default() },
        }
    }
}
