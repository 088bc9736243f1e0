//! Kills of a node under a load of Teltonika trackers: what was acknowledged is there, once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use nemeses_e2e::{Line, Port, SOON, Shape, wait_for};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// 2026-06-01T00:00:00Z.
const START_MS: u64 = 1_780_272_000_000;
const TRACKERS: u32 = 20;
const RECORDS: u32 = 3;

fn imei(tracker: u32) -> String {
    format!("35{tracker:013}")
}

/// A packet of codec 8 with some records, each of a second and a number of its own (element 16).
fn packet(first: u32) -> Vec<u8> {
    let mut body = vec![0x08, u8::try_from(RECORDS).unwrap()];
    // The newest first, as some devices send them.
    for number in (first..first + RECORDS).rev() {
        body.extend((START_MS + u64::from(number) * 1000).to_be_bytes());
        body.push(0);
        body.extend((-439_384_930_i32).to_be_bytes());
        body.extend((-199_328_330_i32).to_be_bytes());
        body.extend([0, 100, 0, 90, 9, 0, 60, 0, 1, 0, 0, 1, 16]);
        body.extend(number.to_be_bytes());
        body.push(0);
    }
    body.push(u8::try_from(RECORDS).unwrap());
    let sum =
        body.iter().fold(0_u16, |sum, byte| {
            (0..8).fold(sum ^ u16::from(*byte), |sum, _| {
                if sum & 1 == 1 { sum >> 1 ^ 0xA001 } else { sum >> 1 }
            })
        });
    let mut packet = vec![0; 4];
    packet.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    packet.extend(body);
    packet.extend(u32::from(sum).to_be_bytes());
    packet
}

/// A tracker that deletes what was acknowledged and sends the rest again, until it is stopped
/// and has nothing left.
async fn track(at: SocketAddr, tracker: u32, acknowledged: Arc<AtomicU32>, stop: Arc<AtomicBool>) {
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) || next != acknowledged.load(Ordering::Relaxed) {
        let exchange = async {
            let mut stream = TcpStream::connect(at).await?;
            stream.set_nodelay(true)?;
            stream.write_u16(15).await?;
            stream.write_all(imei(tracker).as_bytes()).await?;
            assert_eq!(stream.read_u8().await?, 1);
            loop {
                next = acknowledged.load(Ordering::Relaxed) + RECORDS;
                stream.write_all(&packet(next - RECORDS)).await?;
                assert_eq!(stream.read_u32().await?, RECORDS);
                acknowledged.store(next, Ordering::Relaxed);
                if stop.load(Ordering::Relaxed) {
                    return std::io::Result::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = exchange.await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_once() {
    let port = Port::free().unwrap();
    let tcp = format!("teltonika={}", port.address());
    let mut line = Line::start(Shape::Embedded, &["--tcp-listen", &tcp]).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged: Vec<Arc<AtomicU32>> = (0..TRACKERS).map(|_| Arc::default()).collect();
    let mut trackers = tokio::task::JoinSet::new();
    for (tracker, acknowledged) in (0..).zip(&acknowledged) {
        let (acknowledged, stop) = (Arc::clone(acknowledged), Arc::clone(&stop));
        trackers.spawn(track(port.address(), tracker, acknowledged, stop));
    }
    let sum = || acknowledged.iter().map(|it| it.load(Ordering::Relaxed)).sum::<u32>();
    for _ in 0..4 {
        let before = sum();
        wait_for(SOON, "the load goes on", async || {
            anyhow::ensure!(sum() > before + 50 * TRACKERS, "{} records", sum());
            Ok(())
        })
        .await
        .unwrap();
        let node = line.node.as_deref_mut().unwrap();
        node.kill().unwrap();
        node.start_again().await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = trackers.join_next().await {
        ended.unwrap();
    }
    let user = line.user().await.unwrap();
    for (tracker, acknowledged) in (0..).zip(&acknowledged) {
        let expected: Vec<u64> = (0..acknowledged.load(Ordering::Relaxed)).map(u64::from).collect();
        let path = format!(
            "/api/v1/series?device_id=imei:{}&channel=io.16&from=2026-06-01T00:00:00Z&to=2026-06-02T00:00:00Z&step=raw",
            imei(tracker)
        );
        let (status, answer) = user.get(&path).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        let values = answer["values"]["value"].as_array().unwrap();
        let values: Vec<u64> = values.iter().map(|value| value.as_u64().unwrap()).collect();
        assert_eq!(values, expected, "tracker {tracker}");
    }
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}
