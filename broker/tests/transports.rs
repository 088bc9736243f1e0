//! TLS and WebSocket, and handshakes that never end.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nemeses_broker::{DoorConfig, TlsListen};
use rustls::{ClientConfig, RootCertStore};
use support::{Client, TestDoor, config, connect_packet};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

const FREE_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn with_tls() -> (TestDoor, Arc<ClientConfig>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert_pem, key_pem) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert_pem, made.cert.pem()).unwrap();
    std::fs::write(&key_pem, made.signing_key.serialize_pem()).unwrap();
    let tls = Some(TlsListen { listen: FREE_PORT, cert_pem, key_pem });
    let handshake_deadline = Duration::from_millis(500);
    let door = TestDoor::with(DoorConfig { tls, handshake_deadline, ..config() }).await;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (door, Arc::new(client), folder)
}

async fn over_tls(door: &TestDoor, config: &Arc<ClientConfig>) -> Client {
    let tcp = TcpStream::connect(door.tls.unwrap()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
    let name = "localhost".try_into().unwrap();
    Client::over(connector.connect(name, tcp).await.unwrap())
}

#[tokio::test]
async fn frames_come_in_by_tls() {
    let (door, config, _folder) = with_tls().await;
    let mut client = over_tls(&door, &config).await;
    client.greet(&Client::options(5, "tls")).await;
    door.intake.commit_at_once(true);
    // More than a read and more than a TLS record.
    for id in 1..=5 {
        client.publish("/messenger", 1, id, &vec![7; 100_000]).await;
        assert_eq!(client.next().await.puback(), id);
    }
    client.ping().await;
    drop(client);
    door.stopped().await.unwrap();
}

#[tokio::test]
async fn half_open_handshakes_hold_nobody_up() {
    let (door, config, _folder) = with_tls().await;
    let mut half_open = Vec::new();
    for _ in 0..50 {
        half_open.push(TcpStream::connect(door.tls.unwrap()).await.unwrap());
    }
    let mut client = over_tls(&door, &config).await;
    client.greet(&Client::options(4, "tls")).await;
    client.ping().await;
    for mut socket in half_open {
        assert_eq!(socket.read(&mut [0; 1]).await.unwrap_or(0), 0, "closed at the deadline");
    }
    // Plain MQTT on the TLS port is no handshake either.
    let mut plain = Client::open(door.tls.unwrap()).await;
    plain.send(&connect_packet(&Client::options(4, "plain"))).await;
    while let Some(alert) = plain.next_or_end().await {
        assert_ne!(alert.first, 0x20, "no CONNACK");
    }
    door.serves().await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let tls = TlsListen { listen: FREE_PORT, cert_pem: empty.clone(), key_pem: empty.clone() };
    let mut registry = nemeses_runtime::Registry::default();
    let door = nemeses_broker::Door::bind(
        DoorConfig { tls: Some(tls), ..config() },
        None,
        Arc::new(nemeses_broker::NoLogins),
        &mut registry,
    );
    let error = door.await.err().expect("no certificate").to_string();
    assert!(error.contains("empty.pem"), "{error}");
}

#[tokio::test]
async fn mqtt_comes_in_by_websocket_however_it_is_cut() {
    let door = TestDoor::with(DoorConfig { websocket: Some(FREE_PORT), ..config() }).await;
    door.intake.commit_at_once(true);
    let address = door.websocket.unwrap();
    let mut request = format!("ws://{address}/mqtt").into_client_request().unwrap();
    let subprotocol = HeaderValue::from_static("mqttv3.1, mqtt");
    request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol);
    let tcp = TcpStream::connect(address).await.unwrap();
    let (mut socket, response) = tokio_tungstenite::client_async(request, tcp).await.unwrap();
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "mqtt");
    let mut bytes = connect_packet(&Client::options(4, "web"));
    let maker = Client::open(door.address).await;
    bytes.extend(maker.publish_packet("/messenger", 1, 9, b"frame"));
    for piece in bytes.chunks(3) {
        socket.send(Message::Binary(piece.to_vec().into())).await.unwrap();
    }
    let mut answer = Vec::new();
    while answer.len() < 8 {
        match socket.next().await.unwrap().unwrap() {
            Message::Binary(piece) => answer.extend_from_slice(&piece),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(answer, [0x20, 2, 0, 0, 0x40, 2, 0, 9]);
    socket.send(Message::Text("MQTT is binary".into())).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        assert!(message.is_close() || message.is_binary(), "{message:?}");
    }
    door.serves().await;
}

#[tokio::test]
async fn a_websocket_without_the_subprotocol_is_refused() {
    let door = TestDoor::with(DoorConfig { websocket: Some(FREE_PORT), ..config() }).await;
    let address = door.websocket.unwrap();
    let tcp = TcpStream::connect(address).await.unwrap();
    let refused = tokio_tungstenite::client_async(format!("ws://{address}/mqtt"), tcp).await;
    assert!(refused.is_err());
    door.serves().await;
}
