//! What Mosquitto says of itself (`$SYS`), as metrics. Above all the messages that it
//! dropped: it acknowledges those like all others, so nobody else knows.

use std::convert::Infallible;
use std::time::Duration;

use nemeses_mqtt::{Broker, Client, ClientEvent, ConnectError, Endpoint, Subscription};
use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_runtime::{Backoff, Registry};
use tokio_util::sync::CancellationToken;

const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Topic below `$SYS/broker/`, name of the metric, what it says. The counters
/// count since Mosquitto's start; it sends them every `sys_interval` seconds.
const FIGURES: [(&str, &str, &str); 12] = [
    ("publish/messages/dropped", "publish_messages_dropped", "Messages dropped for lack of memory"),
    ("publish/messages/received", "publish_messages_received", "PUBLISH packets received"),
    ("publish/messages/sent", "publish_messages_sent", "PUBLISH packets sent"),
    ("store/messages/count", "stored_messages", "Messages that wait or are retained"),
    ("store/messages/bytes", "stored_bytes", "Their bytes"),
    ("clients/connected", "clients_connected", "Clients connected"),
    ("clients/disconnected", "clients_disconnected", "Persistent sessions that are away"),
    ("clients/expired", "clients_expired", "Persistent sessions given up"),
    ("shared_subscriptions/count", "shared_subscriptions", "Shared subscriptions"),
    ("bytes/received", "bytes_received", "Bytes received"),
    ("bytes/sent", "bytes_sent", "Bytes sent"),
    ("uptime", "uptime_seconds", "Seconds since its start"),
];
const ABOVE: &str = "$SYS/broker/";

/// What Mosquitto said last.
#[derive(Debug)]
pub struct Figures {
    connected: Gauge,
    values: [Gauge; FIGURES.len()],
}

impl Figures {
    /// Adds them to a registry, all 0.
    pub fn register(registry: &mut Registry) -> Self {
        let mosquitto = registry.sub_registry_with_prefix("mosquitto");
        let connected = Gauge::default();
        mosquitto.register("connected", "1 while connected to Mosquitto", connected.clone());
        let values = FIGURES.map(|(_, name, help)| {
            let value: Gauge = Gauge::default();
            mosquitto.register(name, help, value.clone());
            value
        });
        Self { connected, values }
    }

    /// Keeps them current until `stop`; a connection that is lost is made again.
    pub async fn follow(&self, broker: &Broker, stop: CancellationToken) {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            let ended = stop.run_until_cancelled(listen(broker, self, &mut backoff)).await;
            let was_connected = self.connected.set(0) == 1;
            let Some(error) = ended else { return };
            if was_connected {
                tracing::warn!(%error, "the connection to Mosquitto is lost; trying again");
            } else {
                tracing::debug!(%error, "Mosquitto cannot be reached");
            }
            if stop.run_until_cancelled(tokio::time::sleep(backoff.wait())).await.is_none() {
                return;
            }
        }
    }

    fn take(&self, topic: &str, payload: &[u8]) {
        let place = topic
            .strip_prefix(ABOVE)
            .and_then(|name| FIGURES.iter().position(|(topic, ..)| *topic == name));
        if let (Some(place), Some(value)) = (place, number(payload)) {
            self.values[place].set(value);
        }
    }
}

/// `17` or, for the uptime, `17 seconds`.
fn number(payload: &[u8]) -> Option<i64> {
    std::str::from_utf8(payload).ok()?.split_whitespace().next()?.parse().ok()
}

/// Takes figures until the connection fails.
async fn listen(broker: &Broker, figures: &Figures, backoff: &mut Backoff) -> ConnectError {
    match try_listen(broker, figures, backoff).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn try_listen(
    broker: &Broker,
    figures: &Figures,
    backoff: &mut Backoff,
) -> Result<Infallible, ConnectError> {
    // An empty client id: Mosquitto gives one, so that several may run.
    let mut client = Client::connect(Endpoint::new(broker.clone(), "")).await?;
    let filters = FIGURES.map(|(topic, ..)| format!("{ABOVE}{topic}"));
    client.subscribe(&filters, Subscription::Figures).await?;
    *backoff = Backoff::new(RETRY.0, RETRY.1);
    figures.connected.set(1);
    loop {
        if let ClientEvent::Message { topic, payload } = client.next().await? {
            figures.take(&topic, &payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use nemeses_runtime::metrics::encoding::text::encode;

    use super::*;

    #[test]
    fn figures_are_taken_by_topic_and_nothing_else_is() {
        let mut registry = Registry::default();
        let figures = Figures::register(&mut registry);
        figures.take("$SYS/broker/publish/messages/dropped", b"17");
        figures.take("$SYS/broker/uptime", b"3 seconds");
        figures.take("$SYS/broker/clients/connected", b"many");
        figures.take("publish/messages/dropped", b"99");
        figures.take("$SYS/broker/other", b"99");
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "mosquitto_publish_messages_dropped 17\n",
            "mosquitto_uptime_seconds 3\n",
            "mosquitto_clients_connected 0\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("99"), "{text}");
    }
}
