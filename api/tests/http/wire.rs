//! Slow, greedy and hostile clients, and the end of the server.

use std::num::NonZeroUsize;
use std::time::Duration;

use nemeses_api::ApiConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Api, RECORDED, record};

/// Nothing here takes this long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(30);

async fn send(api: &Api, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(api.served.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// All that comes until the server closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    // A reset is an end as well.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut read)).await.expect("the server hangs");
    String::from_utf8_lossy(&read).into_owned()
}

fn short() -> ApiConfig {
    ApiConfig {
        head_timeout: Duration::from_secs(1),
        body_timeout: Duration::from_millis(300),
        write_stall: Duration::from_millis(500),
        drain: Duration::from_millis(200),
        ..ApiConfig::default()
    }
}

#[tokio::test]
async fn slow_heads_slow_bodies_and_idle_connections_are_ended() {
    let api = Api::start_with(short()).await;
    let mut head = send(&api, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
    let ended = rest(&mut head).await;
    assert!(ended.is_empty() || ended.starts_with("HTTP/1.1 408"), "{ended}");

    let post = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let mut body = send(&api, post).await;
    let answer = rest(&mut body).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body-too-slow"), "{answer}");

    let mut idle = send(&api, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(rest(&mut idle).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn rubbish_and_huge_heads_harm_nobody() {
    let api = Api::start().await;
    let mut rubbish = send(&api, &[0xFF; 100]).await;
    assert!(rest(&mut rubbish).await.starts_with("HTTP/1.1 400"));
    let huge = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(100_000));
    let mut stream = TcpStream::connect(api.served.address).await.unwrap();
    // The server may close before all is written.
    let _ = stream.write_all(huge.as_bytes()).await;
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    api.get("/healthz").await.ok();
}

#[tokio::test]
async fn a_reader_that_stops_is_cut_off() {
    let one = ApiConfig { max_connections: NonZeroUsize::MIN, ..short() };
    let api = Api::start_with(one).await;
    api.history.put((0..100_000).map(|n| record(RECORDED + n, 1)));
    let request = format!(
        "GET /api/v1/report/?device_id=0A3F73&limit=100000 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        api.served.token
    );
    // 30 MB do not fit into the sockets' buffers, so the server has to wait.
    let mut stream = send(&api, request.as_bytes()).await;
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    // There is one place: this is answered when the stalled one has lost it.
    timeout(DEADLINE, api.get("/healthz")).await.unwrap().ok();
    let got = rest(&mut stream).await;
    assert!(!got.ends_with("0\r\n\r\n") && got.len() < 25_000_000, "{} bytes", got.len());
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_a_place() {
    let two = ApiConfig { max_connections: NonZeroUsize::new(2).unwrap(), ..short() };
    let api = Api::start_with(two).await;
    let _first = send(&api, b"GET").await;
    let _second = send(&api, b"GET").await;
    // Served when the deadline has ended one of the two.
    timeout(DEADLINE, api.get("/healthz")).await.unwrap().ok();
}

#[tokio::test]
async fn asked_to_stop_it_finishes_what_it_began() {
    let api = Api::start_with(ApiConfig { drain: DEADLINE, ..ApiConfig::default() }).await;
    api.history.put((0..50_000).map(|n| record(RECORDED + n, 1)));
    let path = "/api/v1/report/?device_id=0A3F73&limit=100000";
    let mut response = api.served.signed(path).send().await.unwrap();
    let mut body = response.chunk().await.unwrap().unwrap().to_vec();
    api.served.stop.cancel();
    while let Some(chunk) = response.chunk().await.unwrap() {
        body.extend(chunk);
    }
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["count"], 50_000);
    timeout(DEADLINE, api.served.task).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(api.served.address).await.is_err());
}

#[tokio::test]
async fn asked_to_stop_it_cuts_what_does_not_end() {
    let api = Api::start_with(ApiConfig { head_timeout: DEADLINE, ..short() }).await;
    api.live.switch.silence();
    let request = format!(
        "GET /api/v1/location/?device_id=0A3F73 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        api.served.token
    );
    let mut hanging = send(&api, request.as_bytes()).await;
    let mut idle = send(&api, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    api.served.stop.cancel();
    timeout(DEADLINE, api.served.task).await.unwrap().unwrap().unwrap();
    assert_eq!(rest(&mut hanging).await, "");
}
