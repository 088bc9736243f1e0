//! The MQTT broker of a station: is it there, does it take the login, which one is
//! it, and has it dropped anything? It takes no part in the station's own session
//! and shared subscription: a look must not take frames away from those who work.

use std::collections::BTreeMap;
use std::time::Duration;

use rumqttc::{AsyncClient, ConnectionError, Event, Incoming, MqttOptions, QoS};
use tokio::time::timeout;

use super::finding::Finding;
use crate::config::MqttUrl;

const ABOUT: &str = "broker";
const VERSION: &str = "$SYS/broker/version";
const DROPPED: &str = "$SYS/broker/publish/messages/dropped";
/// For the connection, and then for the figures: Mosquitto keeps them as retained
/// messages, so they come at once or not at all.
const WITHIN: Duration = Duration::from_secs(3);

/// Connects, and asks for what Mosquitto says of itself.
pub(super) async fn look(url: &MqttUrl) -> Vec<Finding> {
    let mut options = MqttOptions::new("", &url.host, url.port);
    if let Some((user, password)) = &url.login {
        options.set_credentials(user, password.expose());
    }
    let (client, mut events) = AsyncClient::new(options, 4);
    match timeout(WITHIN, events.poll()).await {
        Ok(Ok(Event::Incoming(Incoming::ConnAck(_)))) => {}
        Ok(Ok(other)) => {
            return vec![Finding::wrong(
                ABOUT,
                format!("{url} answers {other:?} to CONNECT; is it an MQTT broker?"),
            )];
        }
        Ok(Err(error)) => return vec![refused(url, &error)],
        Err(_) => {
            let says = format!(
                "{url} takes connections but does not answer; is it an MQTT broker, and is it overloaded?"
            );
            return vec![Finding::wrong(ABOUT, says)];
        }
    }
    for topic in [VERSION, DROPPED] {
        // The channel has room for both.
        let _ = client.try_subscribe(topic, QoS::AtMostOnce);
    }
    let mut heard = BTreeMap::new();
    let listening = async {
        while heard.len() < 2 {
            match events.poll().await {
                Ok(Event::Incoming(Incoming::Publish(message))) => {
                    let text = String::from_utf8_lossy(&message.payload).into_owned();
                    heard.insert(message.topic, text);
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
    };
    // Whoever may not read $SYS hears nothing.
    let _ = timeout(WITHIN, listening).await;
    judge(url, heard.get(VERSION).map(String::as_str), heard.get(DROPPED).map(String::as_str))
}

fn refused(url: &MqttUrl, error: &ConnectionError) -> Finding {
    let advice = match error {
        ConnectionError::ConnectionRefused(_) => {
            "it refuses this login: check user and password in --mqtt-url, and make logins with nemeses device add and nemeses mosquitto-roles (docs/mosquitto.md)"
        }
        _ => "is it running, and does its address fit? (--mqtt-url, a firewall, its listener)",
    };
    Finding::wrong(ABOUT, format!("{url} cannot be used: {error}\n{advice}"))
}

/// Mosquitto before 2.0.11 lacks what `mosquitto.conf` relies on.
const LEAST: [u32; 3] = [2, 0, 11];

fn judge(url: &MqttUrl, version: Option<&str>, dropped: Option<&str>) -> Vec<Finding> {
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
        let url = MqttUrl::parse("mqtt://u:p@h:1").unwrap();
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
        let found = look(&MqttUrl::parse(&format!("mqtt://{address}")).unwrap()).await;
        assert_eq!(found[0].verdict, Verdict::Wrong);
        assert!(found[0].says.contains("is it running"), "{found:?}");
    }
}
