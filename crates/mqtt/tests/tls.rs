//! All ends by TLS, against a real Mosquitto.

#[path = "support/certificates.rs"]
mod certificates;
mod support;

use std::path::PathBuf;

use bytes::Bytes;
use certificates::Authority;
use nemeses_mqtt::v311::{Connection, Heard, Qos};
use nemeses_mqtt::{
    Broker, Client, ClientEvent, ConnectError, Delivered, Endpoint, Publisher, PublisherConfig,
    Subscriber, SubscriberConfig, Subscription, TlsFiles,
};
use support::mosquitto::{Mosquitto, free_port};
use support::proxy::Proxy;
use support::{until, within};

/// A Mosquitto with a plain listener and one for TLS, whose certificate is for
/// `broker.test`.
struct Site {
    mosquitto: Mosquitto,
    port: u16,
    authority: Authority,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn start(further: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new(folder.path());
        let (cert, key) = authority.issue("broker.test");
        let port = free_port();
        let listener = format!(
            "listener {port} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\n{further}",
            authority.ca.display(),
            cert.display(),
            key.display(),
        );
        let mosquitto = Mosquitto::start_with(&listener).await;
        Self { mosquitto, port, authority, _folder: folder }
    }

    fn files(&self) -> TlsFiles {
        TlsFiles {
            ca: Some(self.authority.ca.clone()),
            server_name: Some("broker.test".to_owned()),
            ..TlsFiles::default()
        }
    }

    fn broker(&self, files: TlsFiles) -> Broker {
        at(self.port, files)
    }
}

fn at(port: u16, files: TlsFiles) -> Broker {
    Broker::new(format!("mqtts://127.0.0.1:{port}").parse().expect("a URL"), files)
}

async fn refusal(broker: Broker) -> String {
    let config = SubscriberConfig::new(broker, "worker-0", ["t/#"]);
    let answer = within("an answer", Subscriber::connect(config)).await;
    let error = answer.expect_err("it is of no use");
    assert!(matches!(error, ConnectError::Unfit { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn both_ends_pass_small_and_large_messages_both_ways() {
    let site = Site::start("require_certificate false").await;
    let config =
        SubscriberConfig::new(site.broker(site.files()), "worker-0", ["$share/workers/t/#"]);
    let mut subscriber = within("subscribed", Subscriber::connect(config)).await.expect("welcome");
    let config = PublisherConfig::new(site.broker(site.files()), "out");
    let publisher = within("connected", Publisher::connect(config)).await.expect("welcome");
    for size in [0, 1, 16 * 1024, 256 * 1024] {
        let payload = vec![7_u8; size];
        let sent = within("acknowledged", publisher.publish("t/x", payload.clone())).await;
        assert_eq!(sent, Ok(Delivered), "{size}");
        let message = within("a message", subscriber.receive()).await.expect("not ended");
        assert_eq!(message.payload, payload, "{size}");
        message.ack.done();
    }
    within("written", publisher.publish_qos0("t/x", "last")).await.expect("written");
    let last = within("a message", subscriber.receive()).await.expect("not ended");
    assert_eq!(last.payload.as_ref(), b"last");
    within("closed", publisher.close()).await;
    within("closed", subscriber.close()).await;
}

#[tokio::test]
async fn a_tracker_and_a_tool_pass_too() {
    let site = Site::start("require_certificate false").await;
    let endpoint = Endpoint::new(site.broker(site.files()), "tool");
    let mut tool = within("connected", Client::connect(endpoint)).await.expect("welcome");
    let filters = ["t/#".to_owned()];
    let subscribed = tool.subscribe(&filters, Subscription::Acknowledged);
    within("subscribed", subscribed).await.expect("granted");
    let endpoint = Endpoint::new(site.broker(site.files()), "tracker");
    let mut tracker = within("connected", Connection::open(endpoint)).await.expect("welcome");
    for (packet_id, qos) in [(1, Qos::AtLeastOnce), (2, Qos::ExactlyOnce)] {
        tracker.publish(packet_id, "t/x", qos, Bytes::from_static(b"frame"));
        let done =
            async { while tracker.next().await.expect("connected") != Heard::Done(packet_id) {} };
        within("acknowledged", done).await;
        let heard = within("a message", tool.next()).await.expect("connected");
        let expected =
            ClientEvent::Message { topic: "t/x".into(), payload: Bytes::from_static(b"frame") };
        assert_eq!(heard, expected);
    }
    within("closed", tracker.close()).await;
    within("closed", tool.close()).await;
}

#[tokio::test]
async fn a_broker_that_cannot_prove_itself_is_refused_in_words() {
    let site = Site::start("require_certificate false").await;
    let elsewhere = tempfile::tempdir().expect("a folder");
    let stranger = Authority::new(elsewhere.path());
    let with_ca = |ca: &PathBuf| TlsFiles { ca: Some(ca.clone()), ..site.files() };
    let says = refusal(site.broker(with_ca(&stranger.ca))).await;
    assert!(says.contains("authority that is not trusted here"), "{says}");
    let says = refusal(site.broker(TlsFiles { server_name: None, ..site.files() })).await;
    assert!(says.contains("for another name"), "{says}");
    let says = refusal(site.broker(with_ca(&elsewhere.path().join("absent.pem")))).await;
    assert!(says.contains("absent.pem cannot be read"), "{says}");
    // TLS on the port without it, and the other way round: Mosquitto closes, which may
    // pass, and one attempt says so.
    let plain = format!("mqtt://127.0.0.1:{}", site.port).parse().expect("a URL");
    for (broker, expected) in [
        (at(site.mosquitto.port(), site.files()), "does this port speak TLS?"),
        (plain, "want TLS on this port"),
    ] {
        let answer = within("an answer", Client::connect(Endpoint::new(broker, "tool"))).await;
        let says = answer.expect_err("no TLS").to_string();
        assert!(says.contains(expected), "{says}");
    }
}

#[tokio::test]
async fn a_broker_that_demands_a_certificate_gets_it() {
    let site = Site::start("require_certificate true\nuse_identity_as_username true").await;
    let says = refusal(site.broker(site.files())).await;
    assert!(says.contains("--mqtt-client-cert"), "{says}");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let stranger = Authority::new(elsewhere.path()).issue("worker");
    let with = |identity| TlsFiles { identity: Some(identity), ..site.files() };
    let says = refusal(site.broker(with(stranger))).await;
    assert!(says.contains("certificate"), "{says}");
    let config = SubscriberConfig::new(
        site.broker(with(site.authority.issue("worker"))),
        "worker-0",
        ["t/#"],
    );
    within("subscribed", Subscriber::connect(config)).await.expect("welcome").close().await;
}

#[tokio::test]
async fn a_cut_connection_comes_back_and_loses_nothing() {
    let site = Site::start("require_certificate false").await;
    let proxy = Proxy::to(site.port).await;
    let config =
        SubscriberConfig::new(at(proxy.port(), site.files()), "worker-0", ["$share/workers/t/#"]);
    let mut subscriber = within("subscribed", Subscriber::connect(config)).await.expect("welcome");
    let config = PublisherConfig::new(site.broker(site.files()), "out");
    let publisher = within("connected", Publisher::connect(config)).await.expect("welcome");
    for round in 0..5_u32 {
        for number in 0..100_u32 {
            let number = round * 100 + number;
            let sent = within("sent", publisher.publish("t/x", number.to_string())).await;
            assert_eq!(sent, Ok(Delivered));
        }
        proxy.cut();
        let mut expected = round * 100;
        while expected < round * 100 + 100 {
            let message = within("a message", subscriber.receive()).await.expect("not ended");
            let number: u32 = std::str::from_utf8(&message.payload).unwrap().parse().unwrap();
            // What a cut left unacknowledged comes again.
            expected = expected.max(number + 1);
            message.ack.done();
        }
        until("connected again", || subscriber.is_connected()).await;
    }
}
