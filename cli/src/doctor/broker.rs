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

/// Connects, and asks for what Mosquitto says of itself.
pub(super) async fn look(broker: &Broker) -> Vec<Finding> {
    let url = broker.url();
    let endpoint = Endpoint::new(broker.clone(), "");
    let mut client = match timeout(WITHIN, Client::connect(endpoint)).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return vec![refused(&error)],
        Err(_) => {
            let says = format!(
                "{url} takes connections but does not answer; is it an MQTT broker, and is it overloaded?"
            );
            return vec![Finding::wrong(ABOUT, says)];
        }
    };
    let mut found = offered(url, client.offer());
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

/// What its CONNACK says that it cannot do, as far as workers would suffer. What they
/// refuse it for is found by the look at the delivery.
fn offered(url: &BrokerUrl, offer: &Offer) -> Vec<Finding> {
    let mut found = Vec::new();
    if offer.max_qos == 0 {
        found.push(Finding::wrong(
            ABOUT,
            format!("{url} takes QoS 0 alone: nothing would be acknowledged"),
        ));
    }
    if let Some(kept_s) = offer.shortened_session_s(u32::MAX) {
        found.push(Finding::weak(
            ABOUT,
            format!("{url} keeps a worker's session for {kept_s} s at most after the worker is gone, and then loses what waits there; raise its session expiry limit"),
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

fn refused(error: &ConnectError) -> Finding {
    let advice = match error {
        ConnectError::Refused { .. } => {
            "it refuses this login: check user and password in --mqtt-url, and make logins with nemeses device add and nemeses mosquitto-roles (docs/mosquitto.md)"
        }
        ConnectError::Unfit { .. } => "",
        _ => "is it running, and does its address fit? (--mqtt-url, a firewall, its listener)",
    };
    Finding::wrong(ABOUT, format!("{error}\n{advice}").trim_end().to_owned())
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
        let found = look(&format!("mqtt://{address}").parse().unwrap()).await;
        assert_eq!(found[0].verdict, Verdict::Wrong);
        assert!(found[0].says.contains("is it running"), "{found:?}");
    }
}
