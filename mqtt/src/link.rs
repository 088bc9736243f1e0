//! One connection of rumqttc's event loop, from CONNECT to its end, and the wait
//! before the next. A fresh event loop each time: what rumqttc would carry over
//! (pending list, collision slot, buffered events) belongs to the dead one.

use std::time::{Duration, Instant};

use nemeses_runtime::{Backoff, Outage};
use rumqttc::v5::mqttbytes::v5::{ConnAck, ConnectReturnCode, DisconnectReasonCode, Packet};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::Endpoint;
use crate::stats::LinkStats;

/// A connection that lasted this long was a good one: the next wait is short again.
const STABLE: Duration = Duration::from_secs(2);
/// For TCP and CONNACK.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// For what was requested before a goodbye.
pub(crate) const GOODBYE_WITHIN: Duration = Duration::from_secs(2);

/// The broker does not want us. Repeating does not help until someone changes something.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// CONNACK with a code that says so (login, rights, client id, version).
    #[error("the broker at {broker} refuses client '{client_id}': {reason}")]
    Refused {
        /// Which broker.
        broker: String,
        /// Who asked.
        client_id: String,
        /// The reason in MQTT's words.
        reason: String,
    },
    /// SUBACK with a failure code.
    #[error("the broker at {broker} refuses the subscription to '{filter}': {reason}")]
    Subscription {
        /// Which broker.
        broker: String,
        /// Which filter.
        filter: String,
        /// The reason in MQTT's words.
        reason: String,
    },
    /// A filter that is none by MQTT's rules.
    #[error("'{0}' is not a topic filter")]
    BadFilter(String),
    /// The task that connects is gone.
    #[error("the connection was closed")]
    Closed,
}

/// Why a connection is over.
#[derive(Debug)]
pub(crate) enum End {
    /// We said goodbye.
    Closed,
    /// It broke, in words for the log.
    Lost(String),
    /// We are not wanted.
    Refused(ConnectError),
}

/// A connection under way.
pub(crate) struct Link {
    event_loop: EventLoop,
    silence: Duration,
}

impl Link {
    /// Opens a connection. `requests` is the room for requests that rumqttc has
    /// not taken yet.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        options: MqttOptions,
        requests: usize,
    ) -> Result<(Self, AsyncClient, ConnAck), End> {
        let (client, event_loop) = AsyncClient::new(options, requests);
        // rumqttc sends a ping every keep-alive and gives up at the second
        // without an answer, unless it hangs in a write to a peer that does not
        // read. This is for the latter.
        let silence = endpoint.keep_alive.max(Duration::from_secs(5)) * 3;
        let mut link = Self { event_loop, silence };
        loop {
            match link.handshake_event().await {
                Ok(Event::Incoming(Packet::ConnAck(connack))) => {
                    return Ok((link, client, connack));
                }
                Ok(_) => {}
                Err(ConnectionError::ConnectionRefused(code)) => {
                    let later = || End::Lost(format!("not now: {code:?}"));
                    return Err(refusal(endpoint, code).unwrap_or_else(later));
                }
                Err(error) => return Err(lost(&error)),
            }
        }
    }

    /// The next event of an established connection.
    pub(crate) async fn event(&mut self) -> Result<Event, End> {
        match timeout(self.silence, self.event_loop.poll()).await {
            Ok(result) => result.map_err(|error| lost(&error)),
            Err(_) => Err(End::Lost("no sign of life".to_owned())),
        }
    }

    /// The next event while the connection is being established.
    async fn handshake_event(&mut self) -> Result<Event, ConnectionError> {
        timeout(HANDSHAKE_WITHIN, self.event_loop.poll()).await?
    }
}

/// Runs a connection until it ends, or until `closing`: then says goodbye, behind
/// all requests that were made before, and waits for the broker to close. Closing
/// first could reset the connection, or let the next CONNECT overtake, and the
/// last acknowledgements would be lost unread. rumqttc's `poll` is not
/// cancel-safe, so the goodbye is a request too.
pub(crate) async fn until_closed(
    client: &AsyncClient,
    closing: &CancellationToken,
    pump: impl Future<Output = End>,
) -> End {
    let mut pump = std::pin::pin!(pump);
    tokio::select! {
        biased;
        end = &mut pump => return end,
        () = closing.cancelled() => {}
    }
    if client.try_disconnect().is_ok() && timeout(GOODBYE_WITHIN, pump).await.is_err() {
        tracing::warn!("the broker did not take our goodbye in time");
    }
    End::Closed
}

fn lost(error: &ConnectionError) -> End {
    End::Lost(match error {
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            goodbye_in_words(*reason_code)
        }
        other => other.to_string(),
    })
}

/// A broker's DISCONNECT.
pub(crate) fn goodbye_in_words(reason: DisconnectReasonCode) -> String {
    match reason {
        DisconnectReasonCode::SessionTakenOver => {
            "another client connected under this id; each worker needs its own".to_owned()
        }
        other => format!("the broker closed it: {other:?}"),
    }
}

/// The codes for which waiting is no remedy.
pub(crate) fn refusal(endpoint: &Endpoint, code: ConnectReturnCode) -> Option<End> {
    use ConnectReturnCode as Code;
    let for_good = matches!(
        code,
        Code::RefusedProtocolVersion
            | Code::UnsupportedProtocolVersion
            | Code::BadClientId
            | Code::ClientIdentifierNotValid
            | Code::BadUserNamePassword
            | Code::NotAuthorized
            | Code::Banned
            | Code::BadAuthenticationMethod
    );
    for_good.then(|| {
        End::Refused(ConnectError::Refused {
            broker: endpoint.url.to_string(),
            client_id: endpoint.client_id.clone(),
            reason: format!("{code:?}"),
        })
    })
}

/// Counts, logs and waits between connections.
pub(crate) struct Reconnect {
    who: String,
    backoff: Backoff,
    outage: Outage,
    stats: LinkStats,
    since: Option<Instant>,
}

impl Reconnect {
    pub(crate) fn new(endpoint: &Endpoint, stats: LinkStats) -> Self {
        Self {
            who: format!("{} as '{}'", endpoint.url, endpoint.client_id),
            backoff: Backoff::new(endpoint.retry.0, endpoint.retry.1),
            outage: Outage::new(),
            stats,
            since: None,
        }
    }

    /// The connection stands.
    pub(crate) fn established(&mut self) {
        self.since = Some(Instant::now());
        self.stats.connected.set(1);
        self.stats.connects.inc();
        if let Some(outage) = self.outage.ends() {
            tracing::info!(broker = %self.who, ?outage, "connected again");
        } else {
            tracing::info!(broker = %self.who, "connected");
        }
    }

    /// The connection is over; returns how long to wait before the next.
    pub(crate) fn over(&mut self, end: &End) -> Duration {
        self.stats.connected.set(0);
        if self.since.take().is_some_and(|since| since.elapsed() >= STABLE) {
            self.backoff.reset();
        }
        let why = match end {
            End::Closed => {
                tracing::info!(broker = %self.who, "disconnected, as asked");
                return self.backoff.wait();
            }
            End::Lost(why) => why.clone(),
            End::Refused(error) => error.to_string(),
        };
        if self.outage.begins() {
            tracing::warn!(broker = %self.who, why, "no connection to the broker; trying again");
        }
        self.backoff.wait()
    }
}
