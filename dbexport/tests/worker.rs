//! The worker against a real Mosquitto and a history in memory: what is
//! committed, and what is acknowledged when.

#![allow(clippy::disallowed_methods, reason = "tests await what they spawn")]

#[path = "../../crates/mqtt/tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nemeses_dbexport::{BatchAck, Config, Exporter, Worker, WorkerConfig};
use nemeses_mqtt::{Delivered, PublishError, Publisher, PublisherConfig};
use nemeses_protocol::{
    BatchKey, BatchMessage, Composition, DB_MESSAGE_VERSION, DeadLetter, DeviceId, Position,
    PositionRecord, Record, Tally,
};
use nemeses_runtime::metrics::encoding::text::encode;
use nemeses_runtime::{Clock, Registry, Stop};
use nemeses_store::history::Commits;
use nemeses_store::history::testing::FakeHistory;
use support::mosquitto::Mosquitto;
use support::proxy::Proxy;
use support::{until, within};
use tokio::task::JoinHandle;

fn rows(history: &FakeHistory) -> usize {
    history.records().len()
}

fn batches(history: &FakeHistory) -> usize {
    history.parts().len()
}

fn dead_letters(history: &FakeHistory) -> Vec<DeadLetter> {
    let letter = |record| match record {
        Record::DeadLetter(letter) => Some(*letter),
        Record::Position(_) | Record::Readings(_) => None,
    };
    history.records().into_iter().filter_map(letter).collect()
}

fn pings(history: &FakeHistory) -> u32 {
    let parts = history.parts();
    parts.iter().flat_map(|part| &part.tallies).map(|tally| tally.pings).sum()
}

/// A worker, its exporter and lanes.
struct Running {
    stop: Stop,
    exporter: Exporter<BatchAck>,
    registry: Registry,
    worker: JoinHandle<anyhow::Result<()>>,
    lanes: Vec<JoinHandle<anyhow::Result<()>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Taking,
    Leaving,
}

impl Running {
    async fn start(url: &str, number: u32, history: &Arc<FakeHistory>) -> Self {
        Self::start_as(url, number, history, Kind::Taking).await
    }

    async fn start_as(url: &str, number: u32, history: &Arc<FakeHistory>, kind: Kind) -> Self {
        let mut registry = Registry::default();
        let config = Config {
            retry_first: Duration::from_millis(1),
            retry_longest: Duration::from_millis(10),
            ..Config::named(format!("dbexport-{number}"))
        };
        let exporter: Exporter<BatchAck> = Exporter::new(config, &mut registry);
        let stop = Stop::default();
        let lanes = (0..2)
            .map(|_| {
                let history: Arc<dyn Commits> = Arc::<FakeHistory>::clone(history);
                tokio::spawn(exporter.clone().run_lane(history, stop.clone()))
            })
            .collect();
        let mut config = WorkerConfig::new(url.parse().expect("a URL"), number, "/DB");
        config.retry = (Duration::from_millis(5), Duration::from_millis(50));
        let (clock, taking) = (Clock::system(), exporter.clone());
        let worker = match kind {
            Kind::Taking => {
                let connecting = Worker::connect(&config, taking, clock, &mut registry);
                within("connected", connecting).await
            }
            Kind::Leaving => {
                let connecting = Worker::leave(&config, taking, clock, &mut registry);
                within("connected", connecting).await
            }
        };
        let worker = tokio::spawn(worker.expect("welcome").run(stop.clone()));
        Self { stop, exporter, registry, worker, lanes }
    }

    /// Messages that came from the broker, again and again as they may.
    fn received(&self) -> u64 {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("text");
        let value =
            text.lines().find_map(|line| line.strip_prefix("nemeses_mqtt_in_messages_total "));
        value.expect("a counter").parse().expect("a number")
    }

    /// Ends in good order.
    async fn stop(self) {
        self.stop.intake.cancel();
        within("drained", self.worker).await.expect("no panic").expect("no error");
        self.stop.all.cancel();
        for lane in self.lanes {
            within("ended", lane).await.expect("no panic").expect("no error");
        }
    }

    /// The worker ends by itself; why.
    async fn failed(self) -> String {
        let worked = within("ended", self.worker).await.expect("no panic");
        self.stop.all.cancel();
        for lane in self.lanes {
            within("ended", lane).await.expect("no panic").expect("no error");
        }
        format!("{:#}", worked.expect_err("it failed"))
    }

    /// Ends as a killed process does.
    async fn kill(self) {
        self.worker.abort();
        self.worker.await.expect_err("it was running");
        for lane in self.lanes {
            lane.abort();
            lane.await.expect_err("it was running");
        }
    }
}

fn batch(sequence: u64) -> BatchMessage {
    let number = u32::try_from(sequence).expect("few");
    let record = |second| {
        Record::Position(PositionRecord {
            position: Position {
                device: DeviceId::new(number),
                recorded_at: second,
                direction_cdeg: 0,
                odometer_m: 0,
                hour_meter_min: 0,
                composition: Composition(0),
                extension: None,
                speed_kmh: 0,
                latitude_udeg: 0,
                longitude_udeg: 0,
            },
            frame_hash: u64::from(second),
            received_at_ms: 0,
            packed: None,
        })
    };
    BatchMessage {
        key: BatchKey { worker: "parser-0".to_owned(), run: 1, sequence },
        tallies: vec![Tally { minute: 1, pings: 1 }],
        records: (0..10).map(record).collect(),
        traces: Vec::new(),
        canaries: Vec::new(),
    }
}

async fn parser(url: &str) -> Publisher {
    let config = PublisherConfig::new(url.parse().expect("a URL"), "parser-0-out");
    within("connected", Publisher::connect(config)).await.expect("welcome")
}

async fn send(parser: &Publisher, sequences: std::ops::RangeInclusive<u64>) {
    let mut sending = tokio::task::JoinSet::new();
    for sequence in sequences {
        let parser = parser.clone();
        sending.spawn(async move { parser.publish("/DB", batch(sequence).encode()).await });
    }
    within("acknowledged", async {
        while let Some(answer) = sending.join_next().await {
            assert_eq!(answer.expect("no panic"), Ok(Delivered));
        }
    })
    .await;
}

#[tokio::test]
async fn batches_are_committed_under_their_keys_and_acknowledged() {
    let broker = Mosquitto::start().await;
    let history = Arc::new(FakeHistory::default());
    let running = Running::start(&broker.url(), 0, &history).await;
    let parser = parser(&broker.url()).await;
    // More than a window, and a third of it twice.
    send(&parser, 1..=300).await;
    send(&parser, 1..=100).await;
    until("committed", || history.repeated() == 100).await;
    running.stop().await;
    assert_eq!((rows(&history), pings(&history)), (3000, 300));
    let back = Running::start(&broker.url(), 0, &history).await;
    send(&parser, 301..=301).await;
    until("committed", || batches(&history) == 301).await;
    back.stop().await;
    assert_eq!(history.repeated(), 100, "nothing came again");
}

#[tokio::test]
async fn with_the_history_down_nothing_is_acknowledged_and_nothing_lost() {
    let broker = Mosquitto::start().await;
    let history = Arc::new(FakeHistory::default());
    history.switch.off();
    let running = Running::start(&broker.url(), 0, &history).await;
    let parser = parser(&broker.url()).await;
    send(&parser, 1..=300).await;
    running.kill().await;
    assert_eq!(batches(&history), 0);
    let running = Running::start(&broker.url(), 0, &history).await;
    send(&parser, 301..=310).await;
    history.doubtful.store(true, Ordering::SeqCst);
    history.failures_left.store(1, Ordering::SeqCst);
    history.switch.on();
    until("committed", || batches(&history) == 310).await;
    running.stop().await;
    assert_eq!(rows(&history), 3100);
}

#[tokio::test]
async fn a_message_that_is_no_batch_becomes_dead_letters_and_the_rest_goes_on() {
    let broker = Mosquitto::start().await;
    let history = Arc::new(FakeHistory::default());
    let running = Running::start(&broker.url(), 0, &history).await;
    let parser = parser(&broker.url()).await;
    send(&parser, 1..=10).await;
    let rubbish: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    assert_eq!(parser.publish("/DB", rubbish.clone()).await, Ok(Delivered));
    assert_eq!(parser.publish("/DB", Vec::new()).await, Ok(Delivered));
    send(&parser, 11..=200).await;
    until("committed", || rows(&history) >= 2005).await;
    running.stop().await;
    let mut letters = dead_letters(&history);
    letters.sort_by_key(|letter| (letter.bytes.is_empty(), letter.offset));
    assert!(letters.iter().all(|letter| letter.reason.code() == "bad_batch"));
    assert!(letters.iter().all(|letter| letter.topic == "/DB"));
    let kept: Vec<u8> = letters.iter().flat_map(|letter| letter.bytes.clone()).collect();
    assert_eq!((letters.len(), kept == rubbish), (5, true), "100 000 bytes in four, and nothing");
    // They were acknowledged: nothing comes again.
    let back = Running::start(&broker.url(), 0, &history).await;
    send(&parser, 201..=201).await;
    until("committed", || rows(&history) >= 2015).await;
    back.stop().await;
    assert_eq!(rows(&history), 2015);
}

#[tokio::test]
async fn a_batch_of_a_later_version_is_left_to_an_exporter_that_reads_it() {
    let broker = Mosquitto::start().await;
    let history = Arc::new(FakeHistory::default());
    let running = Running::start(&broker.url(), 0, &history).await;
    let parser = parser(&broker.url()).await;
    send(&parser, 1..=10).await;
    let mut later = batch(11).encode();
    assert_eq!(later[..2], [8, 1], "the version comes first");
    let version = DB_MESSAGE_VERSION + 1;
    later[1] = u8::try_from(version).expect("a small number");
    assert_eq!(parser.publish("/DB", later).await, Ok(Delivered));
    let why = running.failed().await;
    assert!(why.contains("newer than this exporter"), "{why}");
    assert!(why.contains(&format!("version {version}")), "{why}");
    assert_eq!(batches(&history), 10, "what came before is kept");
    assert_eq!(dead_letters(&history), []);
    // The broker keeps it, over as many starts as it takes.
    let again = Running::start(&broker.url(), 0, &history).await;
    assert_eq!(again.failed().await, why);
    assert_eq!((batches(&history), rows(&history)), (10, 100));
}

#[tokio::test]
async fn cut_links_and_kills_lose_nothing() {
    let broker = Mosquitto::start().await;
    let proxy = Proxy::to(broker.port()).await;
    let history = Arc::new(FakeHistory::default());
    let parser = parser(&broker.url()).await;
    let mut workers = Vec::new();
    for number in 0..2 {
        workers.push(Running::start(&proxy.url(), number, &history).await);
    }
    for round in 0..20_u64 {
        send(&parser, round * 100 + 1..=(round + 1) * 100).await;
        until("progress", || batches(&history) as u64 > round * 100).await;
        if round % 2 == 0 {
            proxy.cut();
        } else {
            let number = u32::from(round % 4 == 3);
            workers.remove(0).kill().await;
            workers.push(Running::start(&proxy.url(), number, &history).await);
        }
    }
    until("committed", || batches(&history) == 2000).await;
    for running in workers {
        running.stop().await;
    }
    assert_eq!((rows(&history), pings(&history)), (20_000, 2000));
    println!("{} repetitions", history.repeated());
}

/// Each connection brings a window anew; what earlier ones brought still waits.
#[tokio::test]
async fn with_the_history_down_reconnecting_does_not_pile_batches_up() {
    const WINDOW: u64 = 64;
    let broker = Mosquitto::start().await;
    let proxy = Proxy::to(broker.port()).await;
    let history = Arc::new(FakeHistory::default());
    history.switch.off();
    let running = Running::start(&proxy.url(), 0, &history).await;
    send(&parser(&broker.url()).await, 1..=200).await;
    for connection in 1..=8 {
        until("a window again", || running.received() >= connection * WINDOW).await;
        let rows = running.exporter.queued_rows();
        assert!(rows <= 640, "{rows} rows wait after {connection} connections");
        proxy.cut();
    }
    history.switch.on();
    until("committed", || batches(&history) == 200).await;
    running.stop().await;
    assert_eq!(rows(&history), 2000);
}

#[tokio::test]
async fn a_worker_that_leaves_works_off_its_share_and_is_gone() {
    let broker = Mosquitto::start().await;
    let history = Arc::new(FakeHistory::default());
    let parser = parser(&broker.url()).await;
    for number in 0..2 {
        Running::start(&broker.url(), number, &history).await.stop().await;
    }
    send(&parser, 1..=1000).await;
    for number in 0..2 {
        let leaving = Running::start_as(&broker.url(), number, &history, Kind::Leaving).await;
        within("left", leaving.worker).await.expect("no panic").expect("no error");
        leaving.stop.all.cancel();
    }
    assert_eq!((batches(&history), history.repeated()), (1000, 0));
    let nobody = parser.publish("/DB", batch(1).encode()).await;
    assert_eq!(nobody, Err(PublishError::NoSubscriber));
}
