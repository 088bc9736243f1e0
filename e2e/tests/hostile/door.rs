//! Random bytes at the door: not MQTT, damaged MQTT, and what comes after a
//! CONNECT that was right.

use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Connections open at a time.
const AT_A_TIME: u64 = 8;
/// The door has ended a connection whose other end is closed.
const ENDED: Duration = Duration::from_mins(1);

/// CONNECT at level 4 and 5, clean, keep-alive 60 s, client id "noise".
const CONNECT: [&[u8]; 2] = [
    b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3C\x00\x05noise",
    b"\x10\x12\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x05noise",
];
/// Whole packets of 3.1.1 to be damaged. None publishes on an intake topic, so
/// that the books count what the senders know of.
const PACKETS: [&[u8]; 7] = [
    b"\x32\x0A\x00\x03a/b\x00\x01abc",
    b"\x35\x09\x00\x03a/b\x00\x02ab",
    b"\x31\x06\x00\x03a/bx",
    b"\x82\x08\x00\x01\x00\x03a/#\x01",
    b"\xA2\x07\x00\x02\x00\x03a/#",
    b"\x62\x02\x00\x02",
    b"\xC0\x00",
];

/// Opens so many connections, a few at a time, and sends random bytes on each.
pub(crate) async fn noise(address: SocketAddr, seed: u64, connections: u64) {
    let workers = (0..AT_A_TIME).map(|worker| {
        let mut random = SmallRng::seed_from_u64(seed * AT_A_TIME + worker);
        tokio::spawn(async move {
            for _ in 0..connections / AT_A_TIME {
                visit(address, &bytes(&mut random)).await;
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

/// Says all, and waits until the door has nothing more to say.
async fn visit(address: SocketAddr, bytes: &[u8]) {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    // The door may close before it has all.
    let _ = tcp.write_all(bytes).await;
    let _ = tcp.shutdown().await;
    let mut answer = Vec::new();
    let end = tokio::time::timeout(ENDED, tcp.read_to_end(&mut answer)).await;
    // A reset is an end too.
    assert!(end.is_ok(), "the door keeps a connection of noise open");
}

fn bytes(random: &mut SmallRng) -> Vec<u8> {
    let mut bytes = Vec::new();
    let kind = random.random_range(0..4);
    if kind > 0 {
        bytes.extend_from_slice(CONNECT[random.random_range(0..CONNECT.len())]);
    }
    let begin = if kind == 3 { 0 } else { bytes.len() };
    if kind > 1 {
        for _ in 0..random.random_range(1..20) {
            bytes.extend_from_slice(PACKETS[random.random_range(0..PACKETS.len())]);
        }
        for _ in 0..random.random_range(1..5) {
            let at = random.random_range(begin..bytes.len());
            bytes[at] = random.random();
        }
    } else {
        let mut tail = vec![0; random.random_range(0..300)];
        random.fill_bytes(&mut tail);
        bytes.extend(tail);
    }
    bytes
}
