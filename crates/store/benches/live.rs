//! How much the join costs against a blind write: the same entries go to a
//! redis-server of this program's own, once through `RedisLive::merge` and once
//! as a pipeline of SET with expiry, in turns. Figures are ratios; the server's
//! own processor time tells its share apart from this program's.
//!
//! `cargo bench -p nemeses-store --bench live`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for people")]

#[expect(dead_code, reason = "shared with the tests, which also break the server")]
#[path = "../tests/live/server.rs"]
mod server;

use std::time::{Duration, Instant};

use nemeses_protocol::{Composition, DeviceId, Position, PositionRecord};
use nemeses_runtime::Clock;
use nemeses_store::live::{LiveEntry, LiveStore, RedisLive, RedisOptions};
use server::Redis;

const TTL_MS: u64 = 300_000;
const DEVICES: u32 = 10_000;
const BATCH: usize = 1_000;
/// Rounds over the whole fleet, for each kind.
const ROUNDS: u32 = 40;
/// Keys in one pipeline of blind writes.
const PIPELINE: usize = 500;

/// Each round every device sends a frame with a fix, ten seconds on.
fn fleet(round: u32, now_ms: u64) -> Vec<LiveEntry> {
    let entry = |number: u32| {
        let position = Position {
            device: DeviceId::new(number),
            recorded_at: 1_600_000_000 + round * 10,
            direction_cdeg: 5_487,
            odometer_m: 25_000_000 + round,
            hour_meter_min: 36_000,
            composition: Composition(Composition::GPS_FIX | Composition::IGNITION),
            extension: None,
            speed_kmh: 60,
            latitude_udeg: -19_932_833,
            longitude_udeg: -43_938_493,
        };
        let frame_hash = u64::from(number) << 32 | u64::from(round);
        let received_at_ms = now_ms;
        LiveEntry::from_record(&PositionRecord {
            position,
            frame_hash,
            received_at_ms,
            packed: None,
        })
    };
    (0..DEVICES).map(entry).collect()
}

async fn blind(connection: &mut redis::aio::MultiplexedConnection, batch: &[LiveEntry]) {
    for part in batch.chunks(PIPELINE) {
        let mut commands = redis::Pipeline::new();
        for entry in part {
            let key = format!("blind:{{{}}}:{}", entry.device.number() % 64, entry.device);
            commands.cmd("SET").arg(key).arg([7_u8; 50].as_slice()).arg("PX").arg(TTL_MS);
        }
        let () = commands.query_async(connection).await.unwrap();
    }
}

/// The server's own processor time.
fn server_time(redis: &Redis) -> Duration {
    let info: String = redis::from_redis_value(redis.command(&["INFO", "cpu"])).unwrap();
    let seconds = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse::<f64>().ok()).unwrap()
    };
    Duration::from_secs_f64(seconds("used_cpu_user:") + seconds("used_cpu_sys:"))
}

#[derive(Default)]
struct Spent {
    wall: Duration,
    server: Duration,
}

impl Spent {
    fn report(&self, what: &str) -> f64 {
        let entries = f64::from(ROUNDS * DEVICES);
        let rate = entries / self.wall.as_secs_f64();
        let server_us = self.server.as_secs_f64() * 1e6 / entries;
        println!("{what}: {rate:.0} entries/s, {server_us:.2} us of the server an entry");
        server_us
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let redis = Redis::start();
    let clock = Clock::system();
    let options =
        RedisOptions { answer_within: Duration::from_secs(10), ..RedisOptions::default() };
    let live = RedisLive::new(&redis.url(), TTL_MS, clock.clone(), options).unwrap();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let (mut merging, mut writing) = (Spent::default(), Spent::default());
    for round in 0..ROUNDS {
        let entries = fleet(round, clock.now_ms());
        let (started, before) = (Instant::now(), server_time(&redis));
        for batch in entries.chunks(BATCH) {
            live.merge(batch, clock.now_ms()).await.unwrap();
        }
        merging.wall += started.elapsed();
        merging.server += server_time(&redis).saturating_sub(before);
        let (started, before) = (Instant::now(), server_time(&redis));
        for batch in entries.chunks(BATCH) {
            blind(&mut connection, batch).await;
        }
        writing.wall += started.elapsed();
        writing.server += server_time(&redis).saturating_sub(before);
    }
    let (joined, blind) = (merging.report("join "), writing.report("blind"));
    let walls = writing.wall.as_secs_f64() / merging.wall.as_secs_f64();
    println!("join / blind: {walls:.2} of the rate, {:.2} times the server's time", joined / blind);
}
