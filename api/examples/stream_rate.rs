//! How soon the clients of the live stream hear of a position: so many WebSocket
//! clients that see everything, so many positions a second, server and clients in
//! this process. Latency runs from the merge into the live store to the client
//! that has read the message.
//!
//! `cargo run --release -p nemeses-api --example stream_rate -- [CLIENTS [POSITIONS [SECONDS]]]`
//! Over Redis with `REDIS_URL=redis://...`.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement for people"
)]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use nemeses_api::{ApiConfig, ApiState, NewAccount, Stores, TokenSecret, serve};
use nemeses_protocol::{Composition, DeviceId, Position, PositionRecord};
use nemeses_runtime::Clock;
use nemeses_store::history::{Options, Role};
use nemeses_store::live::LiveEntry;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_util::sync::CancellationToken;

const TTL_MS: u64 = 300_000;
const DEVICES: u64 = 10_000;
/// Merges a second.
const MERGES: u64 = 100;
/// The last bucket holds all that took longer.
const LONGEST_MS: usize = 5_000;

/// Latencies by the millisecond, and when each position was merged.
struct Measured {
    begun: Instant,
    merged_us: Vec<AtomicU64>,
    took_ms: Vec<AtomicU64>,
}

impl Measured {
    fn now_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap()
    }

    /// Every position of a message bears its number as the odometer.
    fn read(&self, text: &str) {
        let now_us = self.now_us();
        for (at, name) in text.match_indices("\"odometer_m\":") {
            let digits = text[at + name.len()..].split(',').next().unwrap();
            let number: usize = digits.parse().unwrap();
            let took_us = now_us.saturating_sub(self.merged_us[number].load(Ordering::Relaxed));
            let bucket = usize::try_from(took_us / 1000).unwrap().min(LONGEST_MS);
            self.took_ms[bucket].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn report(&self) -> (u64, [usize; 4]) {
        let counts: Vec<u64> =
            self.took_ms.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let quantile = |thousandths: u64| {
            let mut left = (all * thousandths).div_ceil(1000);
            counts.iter().position(|count| {
                left = left.saturating_sub(*count);
                left == 0
            })
        };
        (all, [500, 950, 990, 1000].map(|thousandths| quantile(thousandths).unwrap_or(0)))
    }
}

fn entry(number: u64, now_ms: u64) -> LiveEntry {
    let position = Position {
        device: DeviceId::new(u32::try_from(number % DEVICES).unwrap()),
        recorded_at: u32::try_from(now_ms / 1000 + number / DEVICES).unwrap(),
        direction_cdeg: 5_487,
        odometer_m: u32::try_from(number).unwrap(),
        hour_meter_min: 36_000,
        composition: Composition(Composition::GPS_FIX | Composition::IGNITION),
        extension: None,
        speed_kmh: 60,
        latitude_udeg: -19_932_833,
        longitude_udeg: -43_938_493,
    };
    let (frame_hash, received_at_ms) = (number, now_ms);
    LiveEntry::from_record(&PositionRecord { position, frame_hash, received_at_ms, packed: None })
}

async fn client(address: std::net::SocketAddr, token: String, measured: Arc<Measured>) {
    let tcp = TcpStream::connect(address).await.unwrap();
    let mut request = format!("ws://{address}/api/v1/stream/ws").into_client_request().unwrap();
    request.headers_mut().insert("Authorization", format!("Bearer {token}").parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::client_async(request, tcp).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Text(text) = message {
            assert!(!text.contains("\"thinned\"") && !text.contains("\"end\""), "{text:.200}");
            measured.read(&text);
        }
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap());
    let clients = arguments.next().unwrap_or(1_000);
    let rate = arguments.next().unwrap_or(1_000);
    let seconds = arguments.next().unwrap_or(10);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("history.db").display());
    let database = nemeses_store::history::open(&url, Options::default()).await.unwrap();
    database.history().migrate().await.unwrap();
    let clock = Clock::system();
    let redis = std::env::var("REDIS_URL").ok();
    let live = nemeses_store::live::open(redis.as_deref(), TTL_MS, clock.clone()).unwrap();
    let secret = TokenSecret::from_text("a secret of at least thirty-two bytes").unwrap();
    let stores = Stores::new(Arc::clone(&live), &database);
    // All of one session, which has an eighth of the places.
    let max_streams = NonZeroUsize::new(usize::try_from(8 * clients).unwrap()).unwrap();
    let config = ApiConfig { max_streams, ..ApiConfig::default() };
    let state = ApiState::new(stores, &secret.into(), clock.clone(), config).unwrap();
    let account = NewAccount::new("a@localhost", "a password of hers".into(), "A").unwrap();
    state.add_account(account, Role::Admin).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(listener, state, stop.clone()));
    let login = json!({"email": "a@localhost", "password": "a password of hers"});
    let login = reqwest::Client::new().post(format!("http://{address}/login")).json(&login);
    let signed_in: Value = login.send().await.unwrap().json().await.unwrap();
    let token = signed_in["token"].as_str().unwrap().to_owned();

    let positions = rate * seconds;
    let measured = Arc::new(Measured {
        begun: Instant::now(),
        merged_us: (0..positions).map(|_| AtomicU64::new(0)).collect(),
        took_ms: (0..=LONGEST_MS).map(|_| AtomicU64::new(0)).collect(),
    });
    let readers: Vec<_> = (0..clients)
        .map(|_| tokio::spawn(client(address, token.clone(), Arc::clone(&measured))))
        .collect();
    tokio::time::sleep(Duration::from_secs(3)).await;

    let each = (rate / MERGES).max(1);
    let mut ticks = tokio::time::interval(Duration::from_millis(1000 / MERGES));
    for first in (0..positions).step_by(usize::try_from(each).unwrap()) {
        ticks.tick().await;
        let numbers = first..(first + each).min(positions);
        let now_ms = clock.now_ms();
        let entries: Vec<LiveEntry> = numbers.clone().map(|number| entry(number, now_ms)).collect();
        for number in numbers {
            let at = &measured.merged_us[usize::try_from(number).unwrap()];
            at.store(measured.now_us(), Ordering::Relaxed);
        }
        live.merge(&entries, now_ms).await.unwrap();
    }
    let begun = Instant::now();
    while measured.report().0 < positions * clients && begun.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (came, [p50, p95, p99, most]) = measured.report();
    println!(
        "{clients} clients, {rate} positions/s for {seconds} s: {came} of {} delivered; \
         p50 {p50} ms, p95 {p95} ms, p99 {p99} ms, at most {most} ms",
        positions * clients
    );
    stop.cancel();
    for reader in readers {
        reader.abort();
    }
    server.await.unwrap().unwrap();
}
