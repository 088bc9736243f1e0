//! The worker against a real Mosquitto: what reaches `/DB`, the live store and
//! the device, and what is acknowledged when.

#![allow(clippy::disallowed_methods, reason = "tests await what they spawn")]

#[path = "../../crates/mqtt/tests/support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nemeses_mqtt::{
    Delivered, Message, PublishError, Publisher, PublisherConfig, Subscriber, SubscriberConfig,
};
use nemeses_parser::{Worker, WorkerConfig};
use nemeses_protocol::{
    BatchKey, BatchMessage, Composition, DeviceId, Position, Record, encode_location,
};
use nemeses_runtime::{Clock, Registry, Stop};
use nemeses_store::StoreError;
use nemeses_store::live::{LiveEntry, LiveStore, LiveWriter, MemoryLive};
use support::mosquitto::Mosquitto;
use support::proxy::Proxy;
use support::within;
use tokio::task::JoinHandle;

const FOUNDING: &str = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";
const PING: &str = "50F70A3F730150494E4773C4";
const RECORDED_AT: u32 = 0x5EFC_F950;

/// A worker with the live store it writes to.
struct Running {
    live: Arc<dyn LiveStore>,
    stop: Stop,
    worker: JoinHandle<anyhow::Result<()>>,
}

fn config(url: &str, number: u32) -> WorkerConfig {
    let mut config = WorkerConfig::new(url.parse().expect("a URL"), number);
    config.retry = (Duration::from_millis(5), Duration::from_millis(50));
    config
}

impl Running {
    async fn start(config: WorkerConfig) -> Self {
        let live = Arc::new(MemoryLive::new(300_000, Clock::system()));
        Self::start_with(config, live).await
    }

    async fn start_with(config: WorkerConfig, live: Arc<dyn LiveStore>) -> Self {
        let stop = Stop::default();
        let writer = writer(&live, &stop);
        let mut registry = Registry::default();
        let connecting = Worker::connect(config, writer, Clock::system(), &mut registry);
        let worker = within("connected", connecting).await.expect("welcome");
        let worker = tokio::spawn(worker.run(stop.clone()));
        Self { live, stop, worker }
    }

    /// Ends in good order.
    async fn stop(self) {
        self.stop.intake.cancel();
        within("drained", self.worker).await.expect("no panic").expect("no error");
        self.stop.all.cancel();
    }

    /// Ends as a killed process does.
    async fn kill(self) {
        self.worker.abort();
        self.worker.await.expect_err("it was running");
        self.stop.all.cancel();
    }
}

fn writer(live: &Arc<dyn LiveStore>, stop: &Stop) -> LiveWriter {
    let writer = LiveWriter::new(Arc::clone(live), Clock::system());
    tokio::spawn(writer.clone().run(stop.all.clone()));
    writer
}

/// A location frame that can be told from others.
fn frame(number: u32) -> Vec<u8> {
    let position = Position {
        device: DeviceId::new(number % 100),
        recorded_at: RECORDED_AT + number,
        direction_cdeg: 0,
        odometer_m: number,
        hour_meter_min: 0,
        composition: Composition(Composition::GPS_FIX),
        extension: None,
        speed_kmh: 1,
        latitude_udeg: 1,
        longitude_udeg: 1,
    };
    let mut bytes = Vec::new();
    encode_location(&position, &mut bytes);
    bytes
}

async fn device(url: &str) -> Publisher {
    let config = PublisherConfig::new(url.parse().expect("a URL"), "device");
    within("connected", Publisher::connect(config)).await.expect("welcome")
}

async fn subscribe(url: &str, client_id: &str, filters: &[&str]) -> Subscriber {
    let filters = filters.iter().copied();
    let config = SubscriberConfig::new(url.parse().expect("a URL"), client_id, filters);
    within("subscribed", Subscriber::connect(config)).await.expect("welcome")
}

/// Publishes the frames of these numbers, each acknowledged by the broker.
async fn send(device: &Publisher, numbers: std::ops::Range<u32>) {
    let mut sending = tokio::task::JoinSet::new();
    for number in numbers {
        let device = device.clone();
        sending.spawn(async move { device.publish("/messenger", frame(number)).await });
    }
    within("acknowledged", async {
        while let Some(answer) = sending.join_next().await {
            assert_eq!(answer.expect("no panic"), Ok(Delivered));
        }
    })
    .await;
}

/// What `/DB` brought, judged as the exporter does: a key counts once.
#[derive(Default)]
struct Database {
    batches: BTreeMap<(String, u64, u64), BatchMessage>,
    deliveries: u64,
}

impl Database {
    fn take(&mut self, message: Message) {
        let batch = BatchMessage::decode(&message.payload).expect("a batch");
        let BatchKey { worker, run, sequence } = batch.key.clone();
        self.deliveries += 1;
        if let Some(known) = self.batches.insert((worker, run, sequence), batch.clone()) {
            assert_eq!(known, batch, "a key names one batch for ever");
        }
        message.ack.done();
    }

    /// The numbers of the frames, with their repetitions.
    fn numbers(&self) -> Vec<u32> {
        let records = self.batches.values().flat_map(|batch| &batch.records);
        records
            .map(|record| match record {
                Record::Position(record) => record.position.odometer_m,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn distinct(&self) -> usize {
        self.numbers().into_iter().collect::<BTreeSet<_>>().len()
    }

    fn pings(&self) -> u32 {
        let tallies = self.batches.values().flat_map(|batch| &batch.tallies);
        tallies.map(|tally| tally.pings).sum()
    }

    async fn until_distinct(&mut self, source: &mut Subscriber, count: usize) {
        while self.distinct() < count {
            let message = within("a batch", source.receive()).await.expect("not ended");
            self.take(message);
            while let Some(message) = source.try_receive() {
                self.take(message);
            }
        }
    }
}

#[tokio::test]
async fn the_founding_frame_reaches_db_and_the_live_store() {
    let broker = Mosquitto::start().await;
    let mut exporter = subscribe(&broker.url(), "exporter", &["$share/exporters//DB"]).await;
    let running = Running::start(config(&broker.url(), 0)).await;
    let device = device(&broker.url()).await;
    assert_eq!(device.publish("/messenger", FOUNDING).await, Ok(Delivered));
    let message = within("a batch", exporter.receive()).await.expect("not ended");
    let batch = BatchMessage::decode(&message.payload).expect("a batch");
    assert_eq!((batch.key.worker.as_str(), batch.key.sequence), ("parser-0", 1));
    let [Record::Position(record)] = batch.records.as_slice() else { panic!("{batch:?}") };
    assert_eq!(record.position.latitude_udeg, -19_932_833);
    let id = record.position.device;
    let live = Arc::clone(&running.live);
    running.stop().await;
    let entry = live.get(&[id]).await.expect("it answers").remove(0).expect("an entry");
    assert_eq!(entry.newest.expect("a live frame").position, record.position);
    // A device's own topic speaks for that device alone.
    let running = Running::start(config(&broker.url(), 0)).await;
    assert_eq!(device.publish("/messenger/000001", FOUNDING).await, Ok(Delivered));
    let message = within("a batch", exporter.receive()).await.expect("not ended");
    let batch = BatchMessage::decode(&message.payload).expect("a batch");
    let [Record::DeadLetter(letter)] = batch.records.as_slice() else { panic!("{batch:?}") };
    assert_eq!(letter.reason.code(), "topic_mismatch");
    running.stop().await;
}

#[tokio::test]
async fn a_ping_is_answered_on_both_topics_and_counted_even_while_db_is_away() {
    let broker = Mosquitto::start().await;
    let running = Running::start(config(&broker.url(), 0)).await;
    let mut ears = subscribe(&broker.url(), "ears", &["/ping", "/ping/+"]).await;
    let device = device(&broker.url()).await;
    assert_eq!(device.publish("/messenger", PING).await, Ok(Delivered));
    let mut topics = BTreeSet::new();
    for _ in 0..2 {
        let message = within("an answer", ears.receive()).await.expect("not ended");
        assert_eq!(message.payload.as_ref(), b"50F70150494E4773C4");
        topics.insert(message.topic.clone());
        message.ack.done();
    }
    assert_eq!(topics, BTreeSet::from(["/ping".to_owned(), "/ping/0A3F73".to_owned()]));
    let mut exporter = subscribe(&broker.url(), "exporter", &["$share/exporters//DB"]).await;
    let mut database = Database::default();
    database.take(within("a batch", exporter.receive()).await.expect("not ended"));
    assert_eq!((database.pings(), database.numbers().len()), (1, 0));
    running.stop().await;
}

#[tokio::test]
async fn without_an_exporter_nothing_is_acknowledged() {
    let broker = Mosquitto::start().await;
    let running = Running::start(config(&broker.url(), 0)).await;
    let device = device(&broker.url()).await;
    send(&device, 0..3000).await;
    let nobody = device.publish("/DB", "").await;
    assert_eq!(nobody, Err(PublishError::NoSubscriber));
    running.kill().await;
    // All of it is still the broker's to give.
    let mut exporter = subscribe(&broker.url(), "exporter", &["$share/exporters//DB"]).await;
    let running = Running::start(config(&broker.url(), 0)).await;
    let mut database = Database::default();
    database.until_distinct(&mut exporter, 3000).await;
    running.stop().await;
    assert_eq!(database.numbers().len(), 3000);
}

#[tokio::test]
async fn a_stop_in_full_flight_hands_over_what_it_acknowledges_and_nothing_twice() {
    let broker = Mosquitto::start().await;
    let mut exporter = subscribe(&broker.url(), "exporter", &["$share/exporters//DB"]).await;
    let device = device(&broker.url()).await;
    let mut database = Database::default();
    Running::start(config(&broker.url(), 0)).await.stop().await;
    send(&device, 0..10_000).await;
    for round in 1..=5 {
        let running = Running::start(config(&broker.url(), 0)).await;
        database.until_distinct(&mut exporter, round * 1500).await;
        running.stop().await;
    }
    let running = Running::start(config(&broker.url(), 0)).await;
    database.until_distinct(&mut exporter, 10_000).await;
    running.stop().await;
    while let Some(message) = exporter.try_receive() {
        database.take(message);
    }
    assert_eq!(database.numbers().len(), 10_000, "none was decoded twice");
    let runs: BTreeSet<_> = database.batches.keys().map(|(_, run, _)| run).collect();
    assert!(runs.len() > 1, "{} runs", runs.len());
}

#[tokio::test]
async fn two_workers_share_and_killed_in_turn_lose_nothing() {
    let broker = Mosquitto::start().await;
    let mut exporter = subscribe(&broker.url(), "exporter", &["$share/exporters//DB"]).await;
    let device = device(&broker.url()).await;
    let mut workers = Vec::new();
    for number in 0..2 {
        workers.push(Running::start(config(&broker.url(), number)).await);
    }
    let mut database = Database::default();
    for round in 0..6_u32 {
        send(&device, round * 1000..(round + 1) * 1000).await;
        let number = round % 2;
        let killed = workers.remove(0);
        killed.kill().await;
        workers.push(Running::start(config(&broker.url(), number)).await);
    }
    database.until_distinct(&mut exporter, 6000).await;
    let names: BTreeSet<_> = database.batches.keys().map(|(worker, ..)| worker.clone()).collect();
    assert_eq!(names, BTreeSet::from(["parser-0".to_owned(), "parser-1".to_owned()]));
    for running in workers {
        running.stop().await;
    }
}

#[tokio::test]
async fn cut_links_lose_nothing_and_repeat_batches_under_their_keys() {
    let broker = Mosquitto::start().await;
    let proxy = Proxy::to(broker.port()).await;
    let mut exporter = subscribe(&broker.url(), "exporter", &["$share/exporters//DB"]).await;
    let device = device(&broker.url()).await;
    let mut config = config(&proxy.url(), 0);
    config.max_rows = 20;
    let running = Running::start(config).await;
    let mut database = Database::default();
    for cut in 1..=20_u32 {
        send(&device, (cut - 1) * 500..cut * 500).await;
        // Somewhere in the middle of these.
        database.until_distinct(&mut exporter, (cut * 500 - 400) as usize).await;
        proxy.cut();
    }
    database.until_distinct(&mut exporter, 10_000).await;
    running.stop().await;
    assert!(proxy.connections() > 20, "{}", proxy.connections());
    println!(
        "{} batches in {} deliveries, {} rows",
        database.batches.len(),
        database.deliveries,
        database.numbers().len()
    );
}

/// A live store that is never there.
struct Down;

#[async_trait::async_trait]
impl LiveStore for Down {
    async fn merge(&self, _: &[LiveEntry], _: u64) -> Result<(), StoreError> {
        Err(StoreError::Unavailable { store: "fake", detail: "down".into() })
    }
    async fn get(&self, _: &[DeviceId]) -> Result<Vec<Option<LiveEntry>>, StoreError> {
        Err(StoreError::Unavailable { store: "fake", detail: "down".into() })
    }
    fn ttl_ms(&self) -> u64 {
        60_000
    }
    async fn ping(&self) -> Result<(), StoreError> {
        Err(StoreError::Unavailable { store: "fake", detail: "down".into() })
    }
    async fn needs_rebuild(&self) -> Result<bool, StoreError> {
        Err(StoreError::Unavailable { store: "fake", detail: "down".into() })
    }
    async fn mark_rebuilt(&self) -> Result<(), StoreError> {
        Err(StoreError::Unavailable { store: "fake", detail: "down".into() })
    }
}

#[tokio::test]
async fn a_live_store_that_is_down_holds_nothing_back() {
    let broker = Mosquitto::start().await;
    let mut exporter = subscribe(&broker.url(), "exporter", &["$share/exporters//DB"]).await;
    let running = Running::start_with(config(&broker.url(), 0), Arc::new(Down)).await;
    let device = device(&broker.url()).await;
    // More than a window: acknowledged, or it would stop half-way.
    send(&device, 0..3000).await;
    let mut database = Database::default();
    database.until_distinct(&mut exporter, 3000).await;
    running.stop().await;
    assert_eq!(database.numbers().len(), 3000);
}

#[tokio::test]
async fn a_worker_that_leaves_works_off_its_share_and_is_gone() {
    let broker = Mosquitto::start().await;
    let mut exporter = subscribe(&broker.url(), "exporter", &["$share/exporters//DB"]).await;
    let device = device(&broker.url()).await;
    for number in 0..2 {
        Running::start(config(&broker.url(), number)).await.stop().await;
    }
    send(&device, 0..5000).await;
    let mut database = Database::default();
    for number in 0..2 {
        let stop = Stop::default();
        let live: Arc<dyn LiveStore> = Arc::new(MemoryLive::new(300_000, Clock::system()));
        let writer = writer(&live, &stop);
        let mut registry = Registry::default();
        let config = config(&broker.url(), number);
        let leaving = Worker::leave(config, writer, Clock::system(), &mut registry);
        let worker = within("connected", leaving).await.expect("welcome");
        within("left", worker.run(stop.clone())).await.expect("no error");
        stop.all.cancel();
    }
    database.until_distinct(&mut exporter, 5000).await;
    assert_eq!(database.numbers().len(), 5000);
    let nobody = device.publish("/messenger", FOUNDING).await;
    assert_eq!(nobody, Err(PublishError::NoSubscriber));
}

#[tokio::test]
async fn a_large_message_is_split_and_acknowledged_as_a_whole() {
    let broker = Mosquitto::start().await;
    let mut exporter = subscribe(&broker.url(), "exporter", &["$share/exporters//DB"]).await;
    let running = Running::start(config(&broker.url(), 0)).await;
    let device = device(&broker.url()).await;
    let payload: Vec<u8> = (0..7500).flat_map(frame).collect();
    assert!(payload.len() > 240 * 1024);
    assert_eq!(device.publish("/messenger", payload).await, Ok(Delivered));
    let mut database = Database::default();
    database.until_distinct(&mut exporter, 7500).await;
    assert!(database.batches.len() >= 8);
    assert!(database.numbers().into_iter().eq(0..7500), "in order");
    running.stop().await;
    let back = Running::start(config(&broker.url(), 0)).await;
    send(&device, 9000..9001).await;
    database.until_distinct(&mut exporter, 7501).await;
    assert_eq!(database.numbers().len(), 7501, "it was acknowledged");
    back.stop().await;
}
