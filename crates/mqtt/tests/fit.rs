//! Brokers that cannot do what workers need, played by a small one of ours: refused
//! in words, never trusted.

#![allow(clippy::disallowed_methods, reason = "tests await what they spawn")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nemeses_mqtt::{
    Broker, Client, ConnectError, Delivered, Endpoint, PublishError, Publisher, PublisherConfig,
    Subscriber, SubscriberConfig,
};
use support::within;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the broker does.
#[derive(Clone, Debug, Default)]
struct Script {
    /// Answers CONNECT with this instead of a CONNACK of success.
    connack: Option<Vec<u8>>,
    /// Properties of its CONNACK of success.
    properties: Vec<u8>,
    /// Its answer for each filter.
    granted: u8,
    /// Closes instead of answering CONNECT.
    closes: bool,
    /// Holds PUBACKs back until so many publishes are unacknowledged.
    acknowledges_after: usize,
}

/// Speaks as much MQTT 5 as the script needs.
struct Played {
    port: u16,
    most_unacknowledged: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Played {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let most_unacknowledged = Arc::new(AtomicUsize::new(0));
        let most = Arc::clone(&most_unacknowledged);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, script.clone(), Arc::clone(&most)));
            }
        });
        Self { port, most_unacknowledged, task }
    }

    fn broker(&self) -> Broker {
        format!("mqtt://127.0.0.1:{}", self.port).parse().expect("a URL")
    }

    async fn subscribe(&self) -> Result<Subscriber, ConnectError> {
        let filters = ["$share/parsers//messenger", "$share/parsers//messenger/+"];
        let config = SubscriberConfig::new(self.broker(), "parser-0", filters);
        within("an answer", Subscriber::connect(config)).await
    }

    async fn refuses(&self) -> String {
        self.subscribe().await.expect_err("it is of no use").to_string()
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut socket: TcpStream, script: Script, most: Arc<AtomicUsize>) {
    let mut unacknowledged = Vec::new();
    while let Some((kind, body)) = packet(&mut socket).await {
        let answer = match kind >> 4 {
            1 if script.closes => return,
            1 => script.connack.clone().unwrap_or_else(|| connack(&script.properties)),
            3 => {
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                unacknowledged.push([body[2 + topic], body[3 + topic]]);
                most.fetch_max(unacknowledged.len(), Ordering::Relaxed);
                if unacknowledged.len() < script.acknowledges_after {
                    continue;
                }
                unacknowledged.drain(..).flat_map(|id| [0x40, 2, id[0], id[1]]).collect()
            }
            8 => {
                // Packet id, no properties, and a code for each of the two filters.
                vec![0x90, 5, body[0], body[1], 0, script.granted, script.granted]
            }
            12 => vec![0xD0, 0],
            _ => continue,
        };
        if socket.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn connack(properties: &[u8]) -> Vec<u8> {
    let length = u8::try_from(properties.len()).expect("short");
    [&[0x20, length + 3, 0, 0, length], properties].concat()
}

async fn packet(socket: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let kind = socket.read_u8().await.ok()?;
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let byte = socket.read_u8().await.ok()?;
        length |= usize::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    Some((kind, body))
}

fn granting(code: u8) -> Script {
    Script { granted: code, ..Script::default() }
}

fn saying(properties: &[u8]) -> Script {
    Script { properties: properties.to_vec(), ..granting(1) }
}

#[tokio::test]
async fn what_connack_says_is_heeded() {
    for (properties, says) in [
        // RabbitMQ: and it grants the subscription all the same.
        (&[0x2A, 0][..], "no shared subscriptions"),
        (&[0x28, 0], "no wildcard subscriptions"),
        (&[0x24, 0], "QoS 0 alone"),
        (&[0x11, 0, 0, 0, 0], "keeps no sessions"),
    ] {
        let refusal = Played::start(saying(properties)).await.refuses().await;
        assert!(refusal.contains(says), "{says}: {refusal}");
    }
    let fit = Played::start(saying(&[0x2A, 1, 0x28, 1, 0x24, 1, 0x25, 0])).await;
    fit.subscribe().await.expect("it is fit");
}

#[tokio::test]
async fn what_suback_grants_is_heeded() {
    for (code, says) in [
        (0, "grants QoS 0 alone"),
        (0x87, "mosquitto-roles"),
        (0x9E, "no shared subscriptions"),
        (0xA2, "no wildcard subscriptions"),
        (0x97, "QuotaExceeded"),
    ] {
        let refusal = Played::start(granting(code)).await.refuses().await;
        assert!(refusal.contains(says) && refusal.contains("/messenger"), "{says}: {refusal}");
    }
    Played::start(granting(2)).await.subscribe().await.expect("better than asked");
}

#[tokio::test]
async fn a_broker_without_mqtt_5_is_named_as_such() {
    // NATS: return code 1 as 3.1.1 has it.
    let old = Script { connack: Some(vec![0x20, 2, 0, 1]), ..Script::default() };
    let refusal = Played::start(old).await.refuses().await;
    assert!(refusal.contains("speaks no MQTT 5"), "{refusal}");
    let refused = Script { connack: Some(vec![0x20, 3, 0, 0x84, 0]), ..Script::default() };
    let refusal = Played::start(refused).await.refuses().await;
    assert!(refusal.contains("does not take MQTT 5"), "{refusal}");
    let closing = Played::start(Script { closes: true, ..Script::default() }).await;
    let tried = Client::connect(Endpoint::new(closing.broker(), "doctor"));
    let says = within("an answer", tried).await.expect_err("closed").to_string();
    assert!(says.contains("may speak no MQTT 5"), "{says}");
}

#[tokio::test]
async fn a_reason_string_is_passed_on() {
    let reason = [&[0x1F, 0, 8][..], b"go away!"].concat();
    let connack = [&[0x20, 14, 0, 0x87, 11][..], &reason].concat();
    let script = Script { connack: Some(connack), ..Script::default() };
    let refusal = Played::start(script).await.refuses().await;
    assert!(refusal.contains("may not connect") && refusal.contains("go away!"), "{refusal}");
}

#[tokio::test]
async fn a_receive_maximum_is_kept_to() {
    let script = Script { acknowledges_after: 3, ..saying(&[0x21, 0, 3]) };
    let broker = Played::start(script).await;
    let config = PublisherConfig::new(broker.broker(), "out");
    let publisher = within("connected", Publisher::connect(config)).await.expect("welcome");
    let all = (0..30).map(|number| publisher.publish("t", vec![number]));
    let answers = within("acknowledged", futures_util::future::join_all(all)).await;
    assert!(answers.iter().all(|answer| *answer == Ok(Delivered)), "{answers:?}");
    assert_eq!(broker.most_unacknowledged.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_maximum_packet_size_is_kept_to_and_a_small_one_refused() {
    // 64 KiB.
    let broker = Played::start(saying(&[0x27, 0, 1, 0, 0])).await;
    let config = PublisherConfig::new(broker.broker(), "out");
    let publisher = within("connected", Publisher::connect(config.clone())).await.expect("welcome");
    let largest = publisher.max_payload_bytes("t").expect("connected");
    assert!(largest > 65_000 && largest < 65_536, "{largest}");
    let large = publisher.publish("t", vec![0; largest + 1]).await;
    assert!(matches!(large, Err(PublishError::TooLarge { max: 65_536, .. })), "{large:?}");
    let needy = PublisherConfig { needs_packet_bytes: 131_072, ..config };
    let refused = within("an answer", Publisher::connect(needy)).await;
    let says = refused.expect_err("too small").to_string();
    assert!(says.contains("65536 bytes at most, 131072 are needed"), "{says}");
}
