//! TLS and WebSocket, and handshakes that never end.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nemeses_broker::{DoorConfig, TlsListen};
use rustls::{ClientConfig, RootCertStore};
use support::{Client, Options, TestDoor, config, connect_packet, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

const FREE_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Writes a certificate with its key into a folder; how to connect to who has it.
fn make_certificate(folder: &Path) -> (TlsListen, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert_pem, key_pem) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert_pem, made.cert.pem()).unwrap();
    std::fs::write(&key_pem, made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A resumed session shows no certificate.
    client.resumption = rustls::client::Resumption::disabled();
    (TlsListen { listen: FREE_PORT, cert_pem, key_pem }, Arc::new(client))
}

async fn with_tls_and(config: DoorConfig) -> (TestDoor, Arc<ClientConfig>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (tls, client) = make_certificate(folder.path());
    let door = TestDoor::with(DoorConfig { tls: Some(tls), ..config }).await;
    (door, client, folder)
}

async fn with_tls() -> (TestDoor, Arc<ClientConfig>, tempfile::TempDir) {
    let handshake_deadline = Duration::from_millis(500);
    with_tls_and(DoorConfig { handshake_deadline, ..config() }).await
}

async fn over_tls(door: &TestDoor, config: &Arc<ClientConfig>) -> Client {
    try_tls(door, config, b"").await.unwrap()
}

/// TLS behind some plain bytes.
async fn try_tls(
    door: &TestDoor,
    config: &Arc<ClientConfig>,
    before: &[u8],
) -> std::io::Result<Client> {
    let mut tcp = TcpStream::connect(door.tls.unwrap()).await?;
    tcp.write_all(before).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
    let name = "localhost".try_into().unwrap();
    connector.connect(name, tcp).await.map(Client::over)
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
async fn a_new_certificate_is_used_and_open_connections_stay() {
    let reload = nemeses_runtime::Reload::default();
    let with_reload = DoorConfig { reload: reload.clone(), ..config() };
    let (door, old, folder) = with_tls_and(with_reload).await;
    let mut client = over_tls(&door, &old).await;
    client.greet(&Client::options(4, "stays")).await;
    let (_, new) = make_certificate(folder.path());
    assert!(try_tls(&door, &new, b"").await.is_err(), "it is not looked at yet");
    reload.ask();
    let until = tokio::time::Instant::now() + support::DEADLINE;
    let mut newcomer = loop {
        match try_tls(&door, &new, b"").await {
            Ok(client) => break client,
            Err(error) => assert!(tokio::time::Instant::now() < until, "{error}"),
        }
    };
    newcomer.greet(&Client::options(4, "newcomer")).await;
    assert!(try_tls(&door, &old, b"").await.is_err());
    client.ping().await;
    newcomer.ping().await;
}

/// A ClientHello of TLS 1.2 or before, with these suites and nothing else.
fn client_hello(version: [u8; 2], suites: &[u16]) -> Vec<u8> {
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let mut body = version.to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(u16::try_from(suites.len()).unwrap().to_be_bytes());
    body.extend(suites);
    body.extend([1, 0]);
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1], &length[1..], &body].concat();
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    [&[22, 3, 1], &length[..], &message].concat()
}

#[tokio::test]
async fn what_tls_fails_with_is_counted_by_what_the_device_would_need() {
    const RSA_WITH_AES_128_CBC: u16 = 0x002F;
    const ECDHE_RSA_WITH_AES_128_CBC: u16 = 0xC013;
    let (door, config, _folder) = with_tls().await;
    let mut good = over_tls(&door, &config).await;
    good.greet(&Client::options(4, "modern")).await;
    let agreed = "nemeses_door_tls_total{version=\"TLSv1_3\",suite=\"TLS13_AES_256_GCM_SHA384\"}";
    assert_eq!(door.metric(agreed), 1);
    for (hello, reason) in [
        (client_hello([3, 2], &[RSA_WITH_AES_128_CBC]), "tls_version"),
        (client_hello([3, 3], &[RSA_WITH_AES_128_CBC]), "tls_key_exchange"),
        (client_hello([3, 3], &[RSA_WITH_AES_128_CBC, ECDHE_RSA_WITH_AES_128_CBC]), "tls_cipher"),
        (connect_packet(&Client::options(4, "plain")), "tls_no_handshake"),
    ] {
        let mut modem = TcpStream::connect(door.tls.unwrap()).await.unwrap();
        modem.write_all(&hello).await.unwrap();
        // An alert says why before the end.
        let mut alert = Vec::new();
        let _ = modem.read_to_end(&mut alert).await;
        let counted = format!("nemeses_door_refused_total{{reason=\"{reason}\"}}");
        eventually(reason, || door.metric(&counted) == 1).await;
    }
    good.ping().await;
}

#[tokio::test]
async fn behind_a_proxy_the_device_is_who_the_proxy_says() {
    let proxies = vec!["127.0.0.1".parse().unwrap()];
    let behind = DoorConfig { proxies, anonymous: false, ..config() };
    let (door, tls, _folder) = with_tls_and(behind).await;
    let version_1 = b"PROXY TCP4 198.51.100.7 203.0.113.1 40001 1883\r\n";
    let version_2 =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xC6\x33\x64\x07\xCB\0\x71\x01\x9C\x41\x07\x5B";
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    let login = Some(("0A3F73", "secret"));
    let options = Options { login, ..Client::options(4, "device") };
    for header in [&version_1[..], version_2] {
        let mut plain = Client::open(door.address).await;
        plain.send(&[header, &connect_packet(&options)].concat()).await;
        assert_eq!(plain.next().await.body, [0, 0]);
        plain.ping().await;
        let mut secure = try_tls(&door, &tls, header).await.unwrap();
        assert_eq!(secure.greet(&options).await.body, [0, 0]);
        let peers = std::mem::take(&mut *door.logins.peers.lock().unwrap());
        assert_eq!(peers, vec!["198.51.100.7:40001".parse().unwrap(); 2]);
    }
    // A health check speaks for the proxy itself.
    let mut check = Client::open(door.address).await;
    check.send(&[&local[..], &connect_packet(&options)].concat()).await;
    assert_eq!(check.next().await.body, [0, 0]);
    assert!(door.logins.peers.lock().unwrap()[0].ip().is_loopback());
    // A proxy that was named must send its header.
    let mut bare = Client::open(door.address).await;
    bare.send(&connect_packet(&options)).await;
    assert_eq!(bare.next_or_end().await, None);
    assert_eq!(door.metric("nemeses_door_refused_total{reason=\"proxy_protocol\"}"), 1);
}

#[tokio::test]
async fn nobody_elses_word_is_taken_for_where_a_client_is() {
    let proxies = vec!["192.0.2.0/24".parse().unwrap()];
    let door = TestDoor::with(DoorConfig { proxies, ..config() }).await;
    let mut stranger = Client::open(door.address).await;
    stranger.send(b"PROXY TCP4 198.51.100.7 203.0.113.1 40001 1883\r\n").await;
    assert_eq!(stranger.next_or_end().await, None);
    assert_eq!(door.metric("nemeses_door_refused_total{reason=\"not_connect\"}"), 1);
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

type WebSocket = tokio_tungstenite::WebSocketStream<TcpStream>;

/// Opens a WebSocket as a page of this origin does, or as no page; the status that refused
/// it.
async fn web_socket(door: &TestDoor, origin: Option<&str>) -> Result<WebSocket, u16> {
    let address = door.websocket.unwrap();
    let mut request = format!("ws://{address}/mqtt").into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("mqtt"));
    if let Some(origin) = origin {
        request.headers_mut().insert("Origin", origin.parse().unwrap());
    }
    let tcp = TcpStream::connect(address).await.unwrap();
    match tokio_tungstenite::client_async(request, tcp).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// The code that answers a CONNECT without a login.
async fn connect_code(mut socket: WebSocket) -> u8 {
    let connect = connect_packet(&Client::options(4, "web"));
    socket.send(Message::Binary(connect.into())).await.unwrap();
    match socket.next().await.unwrap().unwrap() {
        Message::Binary(answer) => answer[3],
        other => panic!("{other:?}"),
    }
}

/// A page could speak MQTT from inside the network of whoever looks at it. Paho's client
/// sends the address that it connects to.
#[tokio::test]
async fn pages_of_foreign_origins_are_refused() {
    let ours = "https://map.example.org";
    let websocket_origins = vec![ours.to_owned()];
    let websocket = Some(FREE_PORT);
    let door = TestDoor::with(DoorConfig { websocket, websocket_origins, ..config() }).await;
    let paho = format!("http://{}", door.websocket.unwrap());
    for foreign in ["https://evil.example", "null", "https://map.example.org.evil.example"] {
        assert_eq!(web_socket(&door, Some(foreign)).await.err(), Some(403), "{foreign}");
    }
    assert_eq!(door.metric("nemeses_door_refused_total{reason=\"origin\"}"), 3);
    for allowed in [Some(ours), Some(&paho), None] {
        assert!(web_socket(&door, allowed).await.is_ok());
    }
}

#[tokio::test]
async fn nobody_comes_in_by_websocket_without_a_login_unless_asked_for() {
    for (websocket_anonymous, code) in [(false, 5), (true, 0)] {
        let websocket = Some(FREE_PORT);
        let door = TestDoor::with(DoorConfig { websocket, websocket_anonymous, ..config() }).await;
        assert_eq!(connect_code(web_socket(&door, None).await.unwrap()).await, code);
        door.serves().await;
    }
}

#[tokio::test]
async fn mqtt_comes_in_by_websocket_however_it_is_cut() {
    let anonymous = DoorConfig { websocket_anonymous: true, ..config() };
    let door = TestDoor::with(DoorConfig { websocket: Some(FREE_PORT), ..anonymous }).await;
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
