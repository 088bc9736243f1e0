//! How many frames a second pass through a parser worker, with a Mosquitto that
//! runs already (use a fresh one: sessions of the names used here are cleared):
//!
//!     cargo run --release -p nemeses-parser --example rate -- mqtt://127.0.0.1:1883 [frames]
//!
//! Publishers, worker and reader of `/DB` share this process, Mosquitto the machine.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a tool for the terminal")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nemeses_mqtt::{Broker, Publisher, PublisherConfig, Subscriber, SubscriberConfig};
use nemeses_parser::{Worker, WorkerConfig};
use nemeses_protocol::BatchMessage;
use nemeses_runtime::{Clock, Registry, Stop};
use nemeses_store::live::{LiveStore, LiveWriter, MemoryLive};
use tokio::task::JoinSet;

/// The founding document's frame.
const FRAME: &str = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";
const PUBLISHERS: u64 = 4;
/// Publishes under way at once, each connection.
const WINDOW: u64 = 200;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url: Broker = arguments.next().context("which broker? mqtt://host:port")?.parse()?;
    let frames = arguments.next().map_or(Ok(200_000), |text| text.parse::<u64>())?;

    let config = SubscriberConfig::new(url.clone(), "rate-db", ["$share/exporters//DB"]);
    let mut db = Subscriber::connect(config.clone()).await?;
    let (stop, worker) = parser(&url).await?;
    let started = Instant::now();
    let publishing = tokio::spawn(publish(url.clone(), frames));
    let batches = read(&mut db, frames).await?;
    report("publish, parse and read together", frames, batches, started.elapsed());
    publishing.await??;
    stop.intake.cancel();
    worker.await??;

    let started = Instant::now();
    publish(url.clone(), frames).await?;
    report("publish while the worker is away", frames, 0, started.elapsed());
    let started = Instant::now();
    let (stop, worker) = parser(&url).await?;
    let batches = read(&mut db, frames).await?;
    report("parse and read what had waited", frames, batches, started.elapsed());
    stop.intake.cancel();
    worker.await??;
    stop.all.cancel();

    db.close().await;
    let mut leaving = Subscriber::leave(config).await?;
    ensure!(leaving.receive().await.is_none(), "more batches than frames");
    leaving.close().await;
    Ok(())
}

type Running = tokio::task::JoinHandle<anyhow::Result<()>>;

async fn parser(url: &Broker) -> anyhow::Result<(Stop, Running)> {
    let live: Arc<dyn LiveStore> = Arc::new(MemoryLive::new(300_000, Clock::system()));
    let writer = LiveWriter::new(live, Clock::system());
    let stop = Stop::default();
    tokio::spawn(writer.clone().run(stop.all.clone()));
    let mut registry = Registry::default();
    let config = WorkerConfig::new(url.clone(), 0);
    let worker = Worker::connect(config, writer, Clock::system(), &mut registry).await?;
    Ok((stop.clone(), tokio::spawn(worker.run(stop))))
}

async fn publish(url: Broker, frames: u64) -> anyhow::Result<()> {
    let frame = hex::decode(FRAME).expect("hex digits");
    let mut publishing = JoinSet::new();
    for number in 0..PUBLISHERS {
        let publisher =
            Publisher::connect(PublisherConfig::new(url.clone(), format!("rate-{number}"))).await?;
        for lane in 0..WINDOW {
            let (publisher, frame) = (publisher.clone(), frame.clone());
            let lanes = PUBLISHERS * WINDOW;
            let first = number * WINDOW + lane;
            let share = (frames + lanes - 1 - first) / lanes;
            publishing.spawn(async move {
                for _ in 0..share {
                    publisher.publish("/messenger", frame.clone()).await?;
                }
                anyhow::Ok(())
            });
        }
    }
    while let Some(ended) = publishing.join_next().await {
        ended??;
    }
    Ok(())
}

/// Reads until all frames have come; how many batches they took.
async fn read(db: &mut Subscriber, frames: u64) -> anyhow::Result<u64> {
    let (mut rows, mut batches) = (0, 0);
    while rows < frames {
        let message = db.receive().await.context("the connection ended")?;
        rows += BatchMessage::decode(&message.payload)?.records.len() as u64;
        batches += 1;
        message.ack.done();
    }
    Ok(batches)
}

fn report(what: &str, frames: u64, batches: u64, took: Duration) {
    let rate = u128::from(frames) * 1000 / took.as_millis().max(1);
    println!("{what}: {rate} frames/s ({} rows a batch)", frames.checked_div(batches).unwrap_or(0));
}
