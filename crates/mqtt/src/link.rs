//! Why a connection does not come about or ends, in words, and the wait before the
//! next.

use std::time::{Duration, Instant};

use nemeses_runtime::{Backoff, Outage};
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode, SubscribeReasonCode};

use crate::config::Endpoint;
use crate::stats::LinkStats;
use crate::tls::Failure;

/// A connection that lasted this long was a good one: the next wait is short again.
const STABLE: Duration = Duration::from_secs(2);

/// For what was requested before a goodbye.
pub(crate) const GOODBYE_WITHIN: Duration = Duration::from_secs(2);

/// The broker does not want us, or cannot be used. Repeating does not help until
/// someone changes something.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// CONNACK with a code that says so (login, rights, client id, version).
    #[error("the broker at {broker} refuses client '{client_id}': {reason}")]
    Refused {
        /// Which broker.
        broker: String,
        /// Who asked.
        client_id: String,
        /// The reason in words.
        reason: String,
    },
    /// SUBACK with a failure code.
    #[error("the broker at {broker} refuses the subscription to '{filter}': {reason}")]
    Subscription {
        /// Which broker.
        broker: String,
        /// Which filter.
        filter: String,
        /// The reason in words.
        reason: String,
    },
    /// It lacks what we need, or TLS cannot be agreed on.
    #[error("the broker at {broker} cannot be used: {reason}")]
    Unfit {
        /// Which broker.
        broker: String,
        /// The reason in words.
        reason: String,
    },
    /// It does not answer, or the connection is lost. Only a [`crate::Client`], which
    /// tries once, reports this.
    #[error("no connection to the broker at {broker}: {reason}")]
    Unreachable {
        /// Which broker.
        broker: String,
        /// The reason in words.
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
    /// We are not wanted, or it is of no use to us.
    Refused(ConnectError),
}

impl End {
    /// While the connection is being made, some failures are for good.
    pub(crate) fn of(endpoint: &Endpoint, failure: Failure) -> Self {
        if failure.for_good { Self::unfit(endpoint, failure.why) } else { Self::Lost(failure.why) }
    }

    pub(crate) fn unfit(endpoint: &Endpoint, reason: String) -> Self {
        Self::Refused(ConnectError::Unfit { broker: endpoint.broker.url().to_string(), reason })
    }

    /// For who tries once.
    pub(crate) fn into_error(self, endpoint: &Endpoint) -> ConnectError {
        match self {
            Self::Closed => ConnectError::Closed,
            Self::Lost(reason) => {
                ConnectError::Unreachable { broker: endpoint.broker.url().to_string(), reason }
            }
            Self::Refused(error) => error,
        }
    }
}

/// An established connection that breaks is always tried again.
impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Lost(failure.why)
    }
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

/// What a CONNACK that is none of success means. For some codes waiting is no remedy.
pub(crate) fn refusal(endpoint: &Endpoint, code: ConnectReturnCode, said: Option<&str>) -> End {
    use ConnectReturnCode as Code;
    let words = match code {
        Code::RefusedProtocolVersion | Code::UnsupportedProtocolVersion => {
            return End::unfit(endpoint, "it does not take MQTT 5 (0x84)".to_owned());
        }
        Code::BadUserNamePassword => "wrong user name or password (0x86)".to_owned(),
        Code::NotAuthorized => "this login may not connect (0x87)".to_owned(),
        Code::BadClientId | Code::ClientIdentifierNotValid => {
            "it does not take this client id (0x85)".to_owned()
        }
        other => format!("{other:?}"),
    };
    let reason = match said {
        Some(said) => format!("{words}; it says: {said}"),
        None => words,
    };
    let for_good = matches!(
        code,
        Code::BadClientId
            | Code::ClientIdentifierNotValid
            | Code::BadUserNamePassword
            | Code::NotAuthorized
            | Code::Banned
            | Code::BadAuthenticationMethod
    );
    if !for_good {
        return End::Lost(format!("not now: {reason}"));
    }
    End::Refused(ConnectError::Refused {
        broker: endpoint.broker.url().to_string(),
        client_id: endpoint.client_id.clone(),
        reason,
    })
}

/// What a SUBACK's code for one filter means, unless it is QoS 1 granted or better.
pub(crate) fn subscription_refusal(
    endpoint: &Endpoint,
    filter: &str,
    code: SubscribeReasonCode,
) -> Option<ConnectError> {
    use SubscribeReasonCode as Code;
    let reason = match code {
        Code::Success(rumqttc::v5::mqttbytes::QoS::AtMostOnce) => {
            "it grants QoS 0 alone, and would lose what it cannot deliver at once"
        }
        Code::Success(_) => return None,
        Code::NotAuthorized => {
            "this login may not subscribe it (0x87); nemeses mosquitto-roles gives Mosquitto the \
             rights of a worker"
        }
        Code::SharedSubscriptionsNotSupported => "it has no shared subscriptions (0x9E)",
        Code::WildcardSubscriptionsNotSupported => "it has no wildcard subscriptions (0xA2)",
        other => {
            return Some(ConnectError::Subscription {
                broker: endpoint.broker.url().to_string(),
                filter: filter.to_owned(),
                reason: format!("{other:?}"),
            });
        }
    };
    Some(ConnectError::Subscription {
        broker: endpoint.broker.url().to_string(),
        filter: filter.to_owned(),
        reason: reason.to_owned(),
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
            who: format!("{} as '{}'", endpoint.broker.url(), endpoint.client_id),
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

    /// The connection is over; returns how long to wait before the next. One that we
    /// closed ourselves is no outage.
    pub(crate) fn over(&mut self, end: &End) -> Duration {
        self.stats.connected.set(0);
        if self.since.take().is_some_and(|since| since.elapsed() >= STABLE) {
            self.backoff.reset();
        }
        let why = match end {
            End::Closed => {
                tracing::info!(broker = %self.who, "disconnected, as asked");
                return Duration::ZERO;
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
