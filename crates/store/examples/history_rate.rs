//! Measures commits and reads of a history:
//!
//!     cargo run --release -p nemeses-store --example history_rate -- URL [ROWS] [COMMITTERS]
//!
//! 10 000 devices send a frame every 10 s in turn; a commit holds 1000 rows. The
//! database should be empty: its tables are made, and nothing is deleted.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool for a person at a terminal"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use futures_util::StreamExt as _;
use nemeses_protocol::{BatchKey, Composition, DeviceId, Position, PositionRecord, Record};
use nemeses_store::history::{History, Options, Part, RangeQuery, open};

const DEVICES: u32 = 10_000;
const EVERY_S: u32 = 10;
const BATCH: u32 = 1_000;
const BASE: u32 = 1_593_637_200;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let url = arguments.first().expect("URL of an empty database");
    let rows: u32 = arguments.get(1).map_or(300_000, |text| text.parse().unwrap());
    let committers: u32 = arguments.get(2).map_or(1, |text| text.parse().unwrap());
    let history = open(url, Options::default()).await.unwrap().history();
    history.migrate().await.unwrap();

    let run = u64::from(std::process::id());
    let next = Arc::new(AtomicU32::new(0));
    let started = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..committers {
        let (history, next) = (Arc::clone(&history), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            loop {
                let batch = next.fetch_add(1, Ordering::Relaxed);
                if batch >= rows / BATCH {
                    return;
                }
                history.commit(&[part(run, batch)], "rate").await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{:.0} rows/s, {rows} rows, {committers} committers", f64::from(rows) / seconds);

    repeat(&*history, run).await;
    read(&*history).await;
}

/// The same frames under a new key: what a storm of repeats costs.
async fn repeat(history: &dyn History, run: u64) {
    let started = Instant::now();
    for batch in 0..20 {
        history.commit(&[part(run + 1_000_000, batch)], "rate").await.unwrap();
    }
    let rate = f64::from(20 * BATCH) / started.elapsed().as_secs_f64();
    println!("{rate:.0} rows/s when every row is there already");
}

async fn read(history: &dyn History) {
    let query = RangeQuery {
        device: DeviceId::new(DEVICES / 2),
        from: 0,
        to: u32::MAX,
        descending: false,
        after: None,
        limit: None,
    };
    let started = Instant::now();
    let rows = history.positions(query).count().await;
    println!("{rows} rows of one device in {:?}", started.elapsed());
    let started = Instant::now();
    history.last_position(DeviceId::new(DEVICES / 2), u32::MAX, true).await.unwrap().unwrap();
    println!("last position in {:?}", started.elapsed());
    let started = Instant::now();
    let mut entries = 0;
    let mut chunks = history.recent_entries(0, BASE);
    while let Some(chunk) = chunks.next().await {
        entries += chunk.unwrap().len();
    }
    println!("{entries} live entries rebuilt from all rows in {:?}", started.elapsed());
}

fn part(run: u64, batch: u32) -> Part {
    let records = (batch * BATCH..(batch + 1) * BATCH).map(record).collect();
    let key = BatchKey { worker: "rate".to_owned(), run, sequence: u64::from(batch) + 1 };
    Part { key, tallies: Vec::new(), records }
}

fn record(number: u32) -> Record {
    let recorded_at = BASE + number / DEVICES * EVERY_S;
    Record::Position(PositionRecord {
        position: Position {
            device: DeviceId::new(number % DEVICES),
            recorded_at,
            direction_cdeg: 9_000,
            odometer_m: number,
            hour_meter_min: 60,
            composition: Composition(Composition::GPS_FIX),
            extension: None,
            speed_kmh: 60,
            latitude_udeg: -19_932_833,
            longitude_udeg: -43_938_493,
        },
        frame_hash: u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        received_at_ms: u64::from(recorded_at) * 1000,
        packed: None,
    })
}
