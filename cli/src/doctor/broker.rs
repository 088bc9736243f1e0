//! The MQTT broker of a station: is it there, does it take the login, which one is
//! it, and has it dropped anything? It takes no part in the station's own session
//! and shared subscription: a look must not take frames away from those who work.

use std::collections::BTreeMap;
use std::time::Duration;

use nemeses_mqtt::{
    Broker, BrokerUrl, Client, ClientEvent, ConnectError, Endpoint, Offer, Subscription,
};
use tokio::time::timeout;

use super::finding::Finding;

const ABOUT: &str = "broker";
const VERSION: &str = "$SYS/broker/version";
const DROPPED: &str = "$SYS/broker/publish/messages/dropped";
/// For the connection, and then for the figures: Mosquitto keeps them as retained
/// messages, so they come at once or not at all.
const WITHIN: Duration = Duration::from_secs(3);

/// A full batch with its topic.
const FULL_BATCH_BYTES: u32 = 256 * 1024 + 1024;

/// The session that is asked for, as workers do; the broker's limit may be lower. It is
/// ended at once, and by itself after 30 days if this process is killed in between.
const SESSION_S: u32 = 30 * 24 * 3600;

/// Connects, and asks for what Mosquitto says of itself.
pub(super) async fn look(broker: &Broker) -> Vec<Finding> {
    let url = broker.url();
    let (offer, mut client) = match in_time(broker, connected(broker)).await {
        Ok(connected) => connected,
        Err(says) => return vec![Finding::wrong(ABOUT, says)],
    };
    let mut found = offered(url, &offer);
    let mut heard = BTreeMap::new();
    let listening = async {
        // Whoever may not read $SYS hears nothing.
        let topics = [VERSION, DROPPED].map(str::to_owned);
        client.subscribe(&topics, Subscription::Figures).await?;
        while heard.len() < topics.len() {
            if let ClientEvent::Message { topic, payload } = client.next().await? {
                heard.insert(topic, String::from_utf8_lossy(&payload).into_owned());
            }
        }
        Ok::<_, ConnectError>(())
    };
    let _ = timeout(WITHIN, listening).await;
    client.close().await;
    let told = [VERSION, DROPPED].map(|topic| heard.get(topic).map(String::as_str));
    found.extend(judge(url, told[0], told[1]));
    found
}

/// The broker to which an API publishes commands: is it there, and does it accept the login?
pub(super) async fn commands(broker: &Broker) -> Finding {
    const ABOUT: &str = "commands";
    let client = Client::connect(Endpoint::new(broker.clone(), ""));
    match in_time(broker, client).await {
        Ok(client) => {
            client.close().await;
            Finding::good(ABOUT, format!("{} accepts this login", broker.url()))
        }
        Err(says) => Finding::wrong(ABOUT, says),
    }
}

/// What the broker offers to a client with a session, and a connection without one, which
/// makes the broker forget that session.
async fn connected(broker: &Broker) -> Result<(Offer, Client), ConnectError> {
    let name = format!("nemeses-doctor-{:016x}", rand::random::<u64>());
    let endpoint = Endpoint::new(broker.clone(), name);
    let client = Client::resume(endpoint.clone(), SESSION_S, u16::MAX).await?;
    let offer = client.offer().clone();
    client.close().await;
    Ok((offer, Client::connect(endpoint).await?))
}

async fn in_time<T>(
    broker: &Broker,
    connecting: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, String> {
    match timeout(WITHIN, connecting).await {
        Ok(connected) => connected.map_err(|error| refused(&error)),
        Err(_) => Err(format!(
            "{} accepts connections but does not answer; is it an MQTT broker, and is it overloaded?",
            broker.url()
        )),
    }
}

/// What its CONNACK says that it cannot do, as far as workers would suffer. Shared
/// subscriptions are left to the look at the delivery.
fn offered(url: &BrokerUrl, offer: &Offer) -> Vec<Finding> {
    let mut found = Vec::new();
    if offer.max_qos == 0 {
        found.push(Finding::wrong(
            ABOUT,
            format!("{url} takes QoS 0 alone: nothing would be acknowledged"),
        ));
    }
    if !offer.wildcards {
        found.push(Finding::wrong(
            ABOUT,
            format!("{url} has no wildcard subscriptions (property 0x28), which parsers need"),
        ));
    }
    if let Some(kept_s) = offer.shortened_session_s(SESSION_S) {
        found.push(Finding::weak(
            ABOUT,
            format!("{url} stores a worker's session for {kept_s} s at most after the worker is gone, and then loses what waits there; raise its session expiry limit"),
        ));
    }
    if let Some(bytes) = offer.max_packet_bytes.filter(|bytes| *bytes < FULL_BATCH_BYTES) {
        found.push(Finding::weak(
            ABOUT,
            format!("{url} takes packets of {bytes} bytes at most, so that batches on /DB are smaller than they could be; {FULL_BATCH_BYTES} are enough"),
        ));
    }
    found
}

fn refused(error: &ConnectError) -> String {
    let advice = match error {
        ConnectError::Refused { .. } => {
            "it refuses this login: check user and password in its URL, and make logins with nemeses device add and nemeses mosquitto-roles (docs/mosquitto.md)"
        }
        ConnectError::Unfit { .. } => "",
        _ => "is it running, and is its address right? (its URL, a firewall, its listener)",
    };
    format!("{error}\n{advice}").trim_end().to_owned()
}

/// Mosquitto before 2.0.11 lacks what `mosquitto.conf` relies on.
const LEAST: [u32; 3] = [2, 0, 11];

fn judge(url: &BrokerUrl, version: Option<&str>, dropped: Option<&str>) -> Vec<Finding> {
    let Some(version) = version else {
        return vec![
            Finding::good(ABOUT, format!("{url} takes this login")),
            Finding::weak(
                ABOUT,
                "it does not tell its version or what it dropped: this login may not read $SYS/#, or it is not Mosquitto; nemeses mosquitto-metrics needs a login that may",
            ),
        ];
    };
    let mut findings =
        vec![Finding::good(ABOUT, format!("{url} takes this login and is {version}"))];
    if numbers(version).is_some_and(|numbers| numbers < LEAST) {
        findings.push(Finding::weak(
            ABOUT,
            format!("{version} is older than 2.0.11, with which this was tried; upgrade it"),
        ));
    }
    if let Some(dropped) = dropped.filter(|dropped| dropped.trim() != "0") {
        findings.push(Finding::weak(ABOUT, format!("it dropped {dropped} messages since its start, which it may have acknowledged: frames may be lost; see MosquittoDrops in docs/operations.md")));
    }
    findings
}

/// `mosquitto version 2.0.11`.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut numbers = version.split_whitespace().last()?.split('.').map(|word| word.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::doctor::finding::Verdict;

    #[test]
    fn what_a_broker_says_of_itself_is_judged() {
        let url: BrokerUrl = "mqtt://u:p@h:1".parse().unwrap();
        let verdicts = |version, dropped| -> Vec<_> {
            judge(&url, version, dropped).into_iter().map(|finding| finding.verdict).collect()
        };
        assert_eq!(verdicts(Some("mosquitto version 2.0.11"), Some("0")), [Verdict::Good]);
        assert_eq!(verdicts(Some("mosquitto version 2.1.0"), None), [Verdict::Good]);
        assert_eq!(verdicts(Some("something else"), Some("0")), [Verdict::Good]);
        assert_eq!(verdicts(None, None), [Verdict::Good, Verdict::Weak]);
        assert_eq!(
            verdicts(Some("mosquitto version 1.6.9"), Some("0")),
            [Verdict::Good, Verdict::Weak]
        );
        assert_eq!(
            verdicts(Some("mosquitto version 2.0.18"), Some("7")),
            [Verdict::Good, Verdict::Weak]
        );
    }

    #[tokio::test]
    async fn nobody_there_is_wrong() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let broker = format!("mqtt://{address}").parse().unwrap();
        for found in [look(&broker).await.remove(0), commands(&broker).await] {
            assert_eq!(found.verdict, Verdict::Wrong);
            assert!(found.says.contains("is it running"), "{found:?}");
        }
    }

    /// Answers every CONNECT by this CONNACK.
    async fn broker_that_answers(connack: &[u8]) -> Broker {
        let connack = connack.to_vec();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("mqtt://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut connect = [0; 256];
                if socket.read(&mut connect).await.is_ok() {
                    let _ = socket.write_all(&connack).await;
                    let _ = socket.read(&mut connect).await;
                }
            }
        });
        url.parse().unwrap()
    }

    #[tokio::test]
    async fn a_broker_that_workers_would_refuse_is_wrong() {
        for (connack, says) in [
            (&[0x20, 8, 0, 0, 5, 0x11, 0, 0, 0, 0][..], "session expiry 0"),
            (&[0x20, 5, 0, 0, 2, 0x28, 0], "no wildcard subscriptions"),
            (&[0x20, 3, 0, 0x87, 0], "refuses this login"),
        ] {
            let found = look(&broker_that_answers(connack).await).await.remove(0);
            assert_eq!(found.verdict, Verdict::Wrong, "{found:?}");
            assert!(found.says.contains(says), "{found:?}");
        }
        let limit = broker_that_answers(&[0x20, 8, 0, 0, 5, 0x11, 0, 0, 0x0E, 0x10]).await;
        let found = look(&limit).await.remove(0);
        assert!(found.verdict == Verdict::Weak && found.says.contains("3600 s"), "{found:?}");
        assert_eq!(commands(&limit).await.verdict, Verdict::Good);
        let login = broker_that_answers(&[0x20, 3, 0, 0x87, 0]).await;
        assert_eq!(commands(&login).await.verdict, Verdict::Wrong);
    }
}
