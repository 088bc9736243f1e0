//! Random bytes at a running node: as payloads on the intake topic and as bytes at
//! the door. The node stays up and small, serves everyone else, and its books
//! hold every stretch of every message.
//!
//! `HOSTILE_MESSAGES` says how many messages (100 000); `make chaos` sets it to ten
//! million. What the payloads are is decided by a seed; only their order differs.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test fails where it stands")]
#![expect(clippy::print_stdout, reason = "the long run reports what it measured")]

mod books;
mod door;
mod honest;
mod payload;
mod sender;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use books::Books;
use nemeses_e2e::{Line, Shape, expect_log, wait_for};
use sender::Sender;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections that send random payloads.
const SENDERS: u64 = 4;
/// One connection of random bytes at the door for so many messages.
const MESSAGES_A_CONNECTION: u64 = 200;
/// The node uses no more, KiB: as in the chaos suite.
const MEMORY_BOUND_KIB: u64 = 512 * 1024;
/// Once warm it grows by no more, whatever the number of messages, KiB.
const GROWTH_BOUND_KIB: u64 = 128 * 1024;
/// The log tells of random bytes in lines, not in thousands of them.
const LOG_LINES: usize = 200;
/// The audit reads every table from end to end: more for more rows.
const AUDIT: Duration = Duration::from_mins(2);

fn messages() -> u64 {
    std::env::var("HOSTILE_MESSAGES").map_or(100_000, |value| value.parse().unwrap())
}

#[tokio::test]
async fn random_bytes_at_an_embedded_node() {
    random_bytes_at(Line::start(Shape::Embedded, &[]).await.unwrap()).await;
}

#[tokio::test]
async fn random_bytes_at_a_node_on_servers() {
    random_bytes_at(Line::start(Shape::NodeOnServers, &[]).await.unwrap()).await;
}

#[tokio::test]
async fn random_bytes_at_a_node_on_mysql() {
    if Shape::NodeOnMySql.is_here() {
        random_bytes_at(Line::start(Shape::NodeOnMySql, &[]).await.unwrap()).await;
    }
}

async fn random_bytes_at(line: Line) {
    expect_log(&["clients were not let in", "bytes became dead letters"]);
    let mut sent = wave(&line, 0, messages() / 10).await;
    let warm_kib = memory_kib(&line);
    let began = Instant::now();
    let rest = wave(&line, 1, messages() - messages() / 10).await;
    let seconds = began.elapsed().as_secs_f64();
    let in_seconds = rest.messages;
    sent.add(rest);
    let memory_kib = memory_kib(&line);

    wait_for(AUDIT, "the books balance", async || line.audit().await).await.unwrap();
    let books = Books::read(&line).await.unwrap();
    println!(
        "{} messages, {} items, {} honest frames, {} dead letters ({:.3} a message, {} bytes of database); \
         {in_seconds} messages in {seconds:.1} s; RSS {warm_kib} KiB after a tenth, {memory_kib} KiB at the end",
        sent.messages,
        sent.items,
        sent.honest_frames,
        books.dead_letters,
        ratio(books.dead_letters, sent.messages),
        books.database_bytes,
    );
    assert_eq!(books.received, sent.items + sent.honest_frames, "every stretch is in the books");
    assert!(memory_kib < MEMORY_BOUND_KIB, "{memory_kib} KiB");
    assert!(memory_kib < warm_kib + GROWTH_BOUND_KIB, "grew from {warm_kib} to {memory_kib} KiB");
    let log = line.node.as_ref().unwrap().log().unwrap();
    assert!(log.lines().count() < LOG_LINES, "{} lines", log.lines().count());
    assert!(!log.contains("panicked"), "{log}");
}

/// What was sent and acknowledged.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    messages: u64,
    /// Frames and skipped stretches in them.
    items: u64,
    /// Of the client that means well.
    honest_frames: u64,
}

impl Sent {
    fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.items += other.items;
        self.honest_frames += other.honest_frames;
    }
}

/// Sends so many messages over several connections, with random bytes at the
/// door and a client that means well beside them.
async fn wave(line: &Line, number: u32, messages: u64) -> Sent {
    let done = CancellationToken::new();
    let hostile = async {
        let _served_until = done.drop_guard_ref();
        hostile(line.mqtt_address(), number.into(), messages).await
    };
    let (mut sent, honest_frames) = tokio::join!(hostile, honest::serve_me(line, number, &done));
    sent.honest_frames = honest_frames.unwrap();
    sent
}

async fn hostile(address: SocketAddr, number: u64, messages: u64) -> Sent {
    let noise = tokio::spawn(door::noise(address, number, messages / MESSAGES_A_CONNECTION));
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let seed = number * SENDERS + sender;
        senders.spawn(Sender::run(address, seed, messages / SENDERS));
    }
    let mut sent = Sent::default();
    while let Some(one) = senders.join_next().await {
        sent.add(one.unwrap().unwrap());
    }
    noise.await.unwrap();
    sent
}

fn memory_kib(line: &Line) -> u64 {
    line.node.as_ref().unwrap().memory_kib().unwrap()
}

#[expect(clippy::cast_precision_loss, reason = "for a report")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
