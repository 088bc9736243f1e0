//! Carries replies and commands between nodes, over Redis' publish and
//! subscribe: a device's next node hears of them without either knowing the
//! other, and that commands wait for it in the database. Nothing is kept here on purpose:
//! what gets lost is found by the nodes' regular look, and telemetry never travels this way.

use std::time::Duration;

use futures_util::StreamExt as _;
use nemeses_protocol::DeviceId;
use nemeses_runtime::{Backoff, Outage};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::StoreError;
use crate::live::Source;

/// Where nodes meet.
const CHANNEL: &str = "nemeses:relay:1";
/// Messages that wait for Redis: 1024 of at most 64 KiB, in practice of some 50
/// bytes. Beyond it they are dropped: late commands help nobody.
const WAITING: usize = 1024;
/// The largest payload carried.
const MAX_PAYLOAD_BYTES: usize = 64 * 1024;
/// Connecting or answering that takes longer counts as down.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// The same where somebody waits to hear of his message.
const CALL_WITHIN: Duration = Duration::from_secs(2);
/// How often the server is asked whether it is there.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After errors.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Something for a device that may be connected to another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relayed {
    /// A ping's answer.
    Reply(DeviceId, Vec<u8>),
    /// A command.
    Command(DeviceId, Vec<u8>),
    /// Commands for this device wait in the database.
    Waiting(DeviceId),
}

impl Relayed {
    /// Kind, device (4 bytes, big endian), payload.
    fn encode(&self) -> Vec<u8> {
        let (kind, device, payload) = match self {
            Self::Reply(device, payload) => (b'r', device, &payload[..]),
            Self::Command(device, payload) => (b'c', device, &payload[..]),
            Self::Waiting(device) => (b'w', device, &[][..]),
        };
        let mut bytes = Vec::with_capacity(5 + payload.len());
        bytes.push(kind);
        bytes.extend(device.number().to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let (device, payload) = rest.split_first_chunk::<4>()?;
        let device = DeviceId::new(u32::from_be_bytes(*device));
        match kind {
            b'r' => Some(Self::Reply(device, payload.to_vec())),
            b'c' => Some(Self::Command(device, payload.to_vec())),
            b'w' if payload.is_empty() => Some(Self::Waiting(device)),
            _ => None,
        }
    }

    fn payload_len(&self) -> usize {
        match self {
            Self::Reply(_, payload) | Self::Command(_, payload) => payload.len(),
            Self::Waiting(_) => 0,
        }
    }
}

/// Hands messages over to be sent. Clones share.
#[derive(Clone, Debug)]
pub struct RelaySender(mpsc::Sender<Relayed>);

impl RelaySender {
    /// Sends to all nodes, this one included. Never waits; whether there was room.
    pub fn send(&self, message: Relayed) -> bool {
        message.payload_len() <= MAX_PAYLOAD_BYTES && self.0.try_send(message).is_ok()
    }
}

/// The other half: run it as a tracked task.
#[derive(Debug)]
pub struct Relay {
    source: Source,
    waiting: mpsc::Receiver<Relayed>,
}

/// A relay over this Redis; `root_certificates` (PEM) are trusted for `rediss://` instead
/// of the system's. Connects when it runs.
///
/// # Errors
/// `Configuration` for a URL that cannot be used.
pub fn open_relay(
    url: &str,
    root_certificates: Option<Vec<u8>>,
) -> Result<(RelaySender, Relay), StoreError> {
    let source = source(url, root_certificates)?;
    let (sender, waiting) = mpsc::channel(WAITING);
    Ok((RelaySender(sender), Relay { source, waiting }))
}

fn source(url: &str, root_certificates: Option<Vec<u8>>) -> Result<Source, StoreError> {
    Source::new(url, root_certificates).map_err(|error| {
        StoreError::Configuration(format!("the Redis URL cannot be used: {error}"))
    })
}

impl Relay {
    /// Sends what waits and delivers what comes until `stop`, over as many
    /// connections in turn as it takes.
    pub async fn run(mut self, deliver: impl Fn(Relayed) + Send, stop: CancellationToken) {
        let (outage, mut backoff) = (Outage::new(), Backoff::new(RETRY.0, RETRY.1));
        while !stop.is_cancelled() {
            let connected = || {
                if let Some(down) = outage.ends() {
                    tracing::info!(
                        down_s = down.as_secs(),
                        "replies and commands travel between nodes again"
                    );
                }
            };
            let carried = self.carry(&deliver, connected);
            let Some(Err(error)) = stop.run_until_cancelled(carried).await else { return };
            if outage.begins() {
                tracing::warn!(%error, "replies and commands do not travel between nodes until Redis is back");
                backoff.reset();
            }
            stop.run_until_cancelled(tokio::time::sleep(backoff.wait())).await;
        }
    }

    /// Carries until the connection fails.
    async fn carry(
        &mut self,
        deliver: &(impl Fn(Relayed) + Send),
        connected: impl Fn() + Send,
    ) -> Result<(), redis::RedisError> {
        let client = self.source.client(ANSWER_WITHIN).await?;
        let Ok(listening) = timeout(ANSWER_WITHIN, client.get_async_pubsub()).await else {
            return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
        };
        let mut listening = listening?;
        listening.subscribe(CHANNEL).await?;
        let config = waiting(ANSWER_WITHIN);
        let mut speaking = client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut heard = listening.into_on_message();
        while self.waiting.try_recv().is_ok() {
            // Came while nobody could be reached: too late now.
        }
        connected();
        loop {
            tokio::select! {
                message = heard.next() => match message {
                    Some(message) => {
                        if let Some(relayed) = Relayed::decode(message.get_payload_bytes()) {
                            deliver(relayed);
                        }
                    }
                    None => return Err(closed()),
                },
                Some(message) = self.waiting.recv() => {
                    publish(&mut speaking, &message).await?;
                }
                // Whoever only listens would not notice a server that is gone in silence.
                _ = look.tick() => redis::cmd("PING").query_async(&mut speaking).await?,
            }
        }
    }
}

/// Sends single messages and hears whether anybody listened. Each goes over a connection
/// of its own, which some commands a minute do not feel. Clones share nothing.
#[derive(Clone, Debug)]
pub struct RelayCaller(Source);

/// A caller over this Redis; certificates as for [`open_relay`]. Connects when it sends.
///
/// # Errors
/// `Configuration` for a URL that cannot be used.
pub fn relay_caller(
    url: &str,
    root_certificates: Option<Vec<u8>>,
) -> Result<RelayCaller, StoreError> {
    source(url, root_certificates).map(RelayCaller)
}

impl RelayCaller {
    /// Sends to all nodes; whether one may have heard. In a cluster that is always so:
    /// its servers count their own listeners only.
    ///
    /// # Errors
    /// Redis does not answer or refuses; the message may have been sent nevertheless.
    pub async fn send(&self, message: &Relayed) -> Result<bool, StoreError> {
        let sending = async {
            let client = self.0.client(CALL_WITHIN).await?;
            let config = waiting(CALL_WITHIN);
            let mut speaking = client.get_multiplexed_async_connection_with_config(&config).await?;
            publish(&mut speaking, message).await
        };
        let heard = sending.await.map_err(|error| self.0.store_error(&error, CALL_WITHIN))?;
        Ok(heard > 0 || self.0.is_cluster())
    }
}

fn waiting(within: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(within))
        .set_response_timeout(Some(within))
}

/// Publishes, and says how many connections of that server listen.
async fn publish(
    connection: &mut MultiplexedConnection,
    message: &Relayed,
) -> Result<u64, redis::RedisError> {
    redis::cmd("PUBLISH").arg(CHANNEL).arg(message.encode()).query_async(connection).await
}

fn closed() -> redis::RedisError {
    std::io::Error::new(std::io::ErrorKind::ConnectionReset, "Redis closed the connection").into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(device: u32, payload: Vec<u8>, kind in 0_u8..3) {
            let device = DeviceId::new(device);
            let message = match kind {
                0 => Relayed::Reply(device, payload),
                1 => Relayed::Command(device, payload),
                _ => Relayed::Waiting(device),
            };
            prop_assert_eq!(Relayed::decode(&message.encode()), Some(message));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            if let Some(message) = Relayed::decode(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }
    }

    #[test]
    fn beyond_the_bounds_nothing_is_taken() {
        let (sender, _relay) = open_relay("redis://127.0.0.1:1", None).unwrap();
        let message = |bytes| Relayed::Command(DeviceId::new(1), vec![0; bytes]);
        assert!(!sender.send(message(MAX_PAYLOAD_BYTES + 1)));
        let taken = (0..WAITING + 5).filter(|_| sender.send(message(1))).count();
        assert_eq!(taken, WAITING);
    }
}
