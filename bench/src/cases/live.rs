//! What newest-wins costs: the same entries joined by the live store and written
//! blindly as a pipeline of SET with expiry, in turns.

use std::time::{Duration, Instant};

use nemeses_e2e::{Redis, RedisMemory};
use nemeses_protocol::Record;
use nemeses_runtime::Clock;
use nemeses_store::live::{LiveEntry, LiveStore as _, RedisLive, RedisOptions};
use redis::aio::MultiplexedConnection;

use crate::cases::Effort;
use crate::load::{DEVICES, as_f64};
use crate::machine::processor_seconds;
use crate::report::{Measure, Report, Target};
use crate::site::{part, recorded_from};

const KIND: Measure = Measure {
    id: "live_merge",
    unit: "entries/s",
    against: "blind pipelined SET with expiry of the same values",
    target: Target::Ratio(0.5),
};
const TTL_MS: u64 = 300_000;
const BATCH: u32 = 1000;
/// Keys in one pipeline of blind writes.
const PIPELINE: usize = 500;
/// Times the whole fleet is written, for each second of effort.
const ROUNDS_A_SECOND: u32 = 5;

/// A chunk of the live writer is 1000 entries; so is a batch here.
pub(crate) async fn merge(effort: Effort, report: &mut Report) -> anyhow::Result<()> {
    let redis = Redis::start(RedisMemory::Lost).await?;
    let clock = Clock::system();
    let options =
        RedisOptions { answer_within: Duration::from_secs(10), ..RedisOptions::default() };
    let live = RedisLive::new(&redis.url(), TTL_MS, clock.clone(), options)?;
    let client = redis::Client::open(redis.url())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let rounds = ROUNDS_A_SECOND * u32::try_from(effort.seconds)?;
    let batches = DEVICES / BATCH;
    for run in 0..effort.runs {
        let (mut joining, mut blind) = (Spent::default(), Spent::default());
        for number in run * rounds * batches..(run + 1) * rounds * batches {
            let entries = entries(number, clock.now_ms());
            blind.begin(&redis);
            write_blindly(&mut connection, &entries).await?;
            blind.end(&redis);
            joining.begin(&redis);
            live.merge(&entries, clock.now_ms()).await?;
            joining.end(&redis);
        }
        let written = as_f64(u64::from(rounds * DEVICES));
        let rate = |spent: &Spent| written / spent.wall.as_secs_f64();
        report.add(KIND, rate(&joining), Some(rate(&blind)));
        let us = |spent: &Spent| spent.server_s * 1e6 / written;
        report.note(KIND.id, format!(
            "processor time of redis-server an entry: {:.2} us joined, {:.2} us written blindly",
            us(&joining), us(&blind)
        ));
    }
    Ok(())
}

/// A thousand devices' next frames.
fn entries(number: u32, now_ms: u64) -> Vec<LiveEntry> {
    let records = part("live", number, recorded_from()).records;
    let entry = |record: Record| match record {
        Record::Position(mut record) => {
            record.received_at_ms = now_ms;
            Some(LiveEntry::from_record(&record))
        }
        Record::DeadLetter(_) | Record::Readings(_) => None,
    };
    records.into_iter().filter_map(entry).collect()
}

async fn write_blindly(
    connection: &mut MultiplexedConnection,
    entries: &[LiveEntry],
) -> anyhow::Result<()> {
    for part in entries.chunks(PIPELINE) {
        let mut commands = redis::Pipeline::new();
        for entry in part {
            let key = format!("blind:{{{}}}:{}", entry.device.number() % 64, entry.device);
            commands.cmd("SET").arg(key).arg([7_u8; 50].as_slice()).arg("PX").arg(TTL_MS).ignore();
        }
        let () = commands.query_async(connection).await?;
    }
    Ok(())
}

/// Time of all, and of the server's processor.
#[derive(Default)]
struct Spent {
    wall: Duration,
    server_s: f64,
    begun: Option<(Instant, f64)>,
}

impl Spent {
    fn begin(&mut self, redis: &Redis) {
        self.begun = Some((Instant::now(), processor_seconds(redis.pid())));
    }

    fn end(&mut self, redis: &Redis) {
        if let Some((instant, server_s)) = self.begun.take() {
            self.wall += instant.elapsed();
            self.server_s += processor_seconds(redis.pid()) - server_s;
        }
    }
}
