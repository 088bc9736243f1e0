//! The station's worker: from its share of `/DB` to the exporter.
//!
//! A batch is acknowledged to the broker after its commit; until then the
//! broker keeps it, and gives it to this worker again after a crash. What cannot
//! be read becomes dead letters (reason `bad_batch`) and is acknowledged after
//! their commit, or it would stand in the way for ever. A batch of a later version
//! is no rubbish but good frames: the worker ends with an error, having committed
//! what came before, and the broker keeps the batch for an exporter that reads it
//! (docs/decisions/0007-batches-of-a-later-version.md). The committing lanes are the
//! exporter's and run apart from this.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nemeses_mqtt::{
    Ack, Broker, ConnectError, Message, Publisher, PublisherConfig, Subscriber, SubscriberConfig,
};
use nemeses_protocol::{
    BatchMessage, BatchMessageError, BatchTrace, Canary, DeadLetter, Reason, Record, WorkerName,
};
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::traces::{Span, SpanKind, Waiting, now_ns};
use nemeses_runtime::{Clock, Registry, Stop};
use nemeses_store::history::{Committed as Outcome, Part};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{Acknowledge, Exporter, Submission, Work};
use canaries::{Committed, Replies};

mod canaries;

/// What to do about a batch that a later parser wrote.
const LATER_VERSION: &str = "a parser is newer than this exporter; the broker keeps its batches: \
    run the newer version of the exporter under the same --worker number, and next time upgrade \
    exporters before parsers";

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Where the broker is.
    pub mqtt: Broker,
    /// The worker's name and its client id: stable over restarts, and no two alike.
    pub name: WorkerName,
    /// Workers of one group share the batches.
    pub group: String,
    /// Where the batches come.
    pub topic: String,
    /// Batches that may be unacknowledged at once: the bound of the exporter's
    /// queue. 64 of at most 1000 rows and 256 KiB: 64 000 rows, 16 MiB on the
    /// wire, a few times that decoded.
    pub receive_maximum: u16,
    /// First and longest wait before connecting again.
    pub retry: (Duration, Duration),
}

impl WorkerConfig {
    /// The defaults for worker `number` on this topic: `dbexport-{number}` in
    /// group `exporters`.
    pub fn new(mqtt: Broker, number: u32, topic: impl Into<String>) -> Self {
        Self {
            mqtt,
            name: format!("dbexport-{number}"),
            group: "exporters".to_owned(),
            topic: topic.into(),
            receive_maximum: 64,
            retry: (Duration::from_millis(50), Duration::from_secs(1)),
        }
    }

    fn subscription(&self) -> SubscriberConfig {
        let filter = format!("$share/{}/{}", self.group, self.topic);
        let mut config = SubscriberConfig::new(self.mqtt.clone(), self.name.clone(), [filter]);
        config.receive_maximum = self.receive_maximum;
        config.endpoint.retry = self.retry;
        config
    }

    fn publisher(&self) -> PublisherConfig {
        let client_id = format!("{}-out", self.name);
        let mut config = PublisherConfig::new(self.mqtt.clone(), client_id);
        config.endpoint.retry = self.retry;
        config
    }
}

/// What a batch from `/DB` is acknowledged by.
#[derive(Debug)]
pub struct BatchAck {
    ack: Ack,
    canaries: Vec<Canary>,
    committed: Committed,
    followed: Vec<Waiting>,
    /// Of the followed records, from the batch's arrival to its acknowledgement.
    spans: Vec<Span>,
    _under_way: TaskTrackerToken,
    _room: OwnedSemaphorePermit,
}

impl Acknowledge for BatchAck {
    fn committed(self, _: &Outcome) {
        self.ack.done();
        self.spans.into_iter().for_each(Span::end);
        for canary in self.canaries {
            self.committed.reply_to(canary);
        }
    }

    fn followed(&self) -> &[Waiting] {
        &self.followed
    }
}

/// A connected worker.
pub struct Worker {
    subscriber: Subscriber,
    intake: Intake,
    replies: Replies,
}

/// What batches are handed over with.
struct Intake {
    exporter: Exporter<BatchAck>,
    clock: Clock,
    unreadable: Counter,
    under_way: TaskTracker,
    /// Batches that the exporter may hold. The broker's window is not enough: it
    /// begins anew with each connection, while what an earlier connection brought
    /// still waits for its commit.
    room: Arc<Semaphore>,
    committed: Committed,
}

impl Worker {
    /// Connects, trying until the broker is there. When this returns, the
    /// worker's session exists and collects batches: do it before parsers and
    /// devices connect, since a batch without a session to take it is refused.
    ///
    /// # Errors
    /// The broker refuses the worker or its subscription.
    pub async fn connect(
        config: &WorkerConfig,
        exporter: Exporter<BatchAck>,
        clock: Clock,
        registry: &mut Registry,
    ) -> Result<Self, ConnectError> {
        let publisher = Publisher::connect(config.publisher()).await?;
        let subscriber = Subscriber::connect(config.subscription()).await?;
        Ok(Self::new(config, subscriber, publisher, exporter, clock, registry))
    }

    /// Like [`Worker::connect`], to leave the group for good: takes no share of
    /// new batches, works off those that wait for it, and clears its session.
    /// [`Worker::run`] ends when that is done.
    ///
    /// # Errors
    /// The broker refuses the worker.
    pub async fn leave(
        config: &WorkerConfig,
        exporter: Exporter<BatchAck>,
        clock: Clock,
        registry: &mut Registry,
    ) -> Result<Self, ConnectError> {
        let publisher = Publisher::connect(config.publisher()).await?;
        let subscriber = Subscriber::leave(config.subscription()).await?;
        Ok(Self::new(config, subscriber, publisher, exporter, clock, registry))
    }

    fn new(
        config: &WorkerConfig,
        subscriber: Subscriber,
        publisher: Publisher,
        exporter: Exporter<BatchAck>,
        clock: Clock,
        registry: &mut Registry,
    ) -> Self {
        let unreadable = Counter::default();
        registry.register(
            "nemeses_export_unreadable_batches",
            "Messages on /DB that are not batches",
            unreadable.clone(),
        );
        subscriber.stats().register("in", registry);
        publisher.stats().register("out", registry);
        let (committed, replies) =
            Replies::new(publisher, config.name.clone(), config.topic.clone());
        let room = Arc::new(Semaphore::new(usize::from(config.receive_maximum.max(1))));
        let under_way = TaskTracker::new();
        let intake = Intake { exporter, clock, unreadable, under_way, room, committed };
        Self { subscriber, intake, replies }
    }

    /// Whether the connection to the broker stands.
    pub fn is_connected(&self) -> bool {
        self.subscriber.is_connected()
    }

    /// Takes batches until `stop.intake`, then waits for the commit of those it
    /// has, until `stop.all` at the latest. A worker that leaves ends when it has left.
    ///
    /// # Errors
    /// The connection's task has died, or a batch is of a later version.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let Self { mut subscriber, intake, replies } = self;
        let working = async {
            let worked = intake.work(&mut subscriber, &stop).await;
            intake.under_way.close();
            intake.under_way.wait().await;
            // What was committed is replied to, and then there is nothing more.
            drop(intake);
            worked
        };
        let worked = tokio::select! {
            (worked, ()) = async { tokio::join!(working, replies.run()) } => worked,
            () = stop.all.cancelled() => Ok(()),
        };
        subscriber.close_unless(&stop.all).await;
        worked
    }
}

impl Intake {
    async fn work(&self, subscriber: &mut Subscriber, stop: &Stop) -> anyhow::Result<()> {
        loop {
            let room = Arc::clone(&self.room);
            let next = async {
                let room = room.acquire_owned().await.context("the room for batches")?;
                anyhow::Ok((subscriber.receive().await, room))
            };
            let (message, room) = tokio::select! {
                () = stop.intake.cancelled() => return Ok(()),
                next = next => next?,
            };
            match message {
                Some(message) => self.submit(message, room)?,
                None if subscriber.has_left() => return Ok(()),
                None => anyhow::bail!("the connection to the broker ended for good"),
            }
        }
    }

    fn submit(&self, message: Message, room: OwnedSemaphorePermit) -> anyhow::Result<()> {
        let received_ns = now_ns();
        let (mut traces, mut canaries) = (Vec::new(), Vec::new());
        let work = match BatchMessage::decode(&message.payload) {
            Ok(mut batch) => {
                traces = std::mem::take(&mut batch.traces);
                canaries = std::mem::take(&mut batch.canaries);
                as_part(batch)
            }
            Err(error @ BatchMessageError::Version(_)) => {
                return Err(error).context(LATER_VERSION);
            }
            Err(error) => self.bury(&message, &error),
        };
        let (spans, followed) = self.follow(&traces, received_ns);
        let receipt = BatchAck {
            ack: message.ack,
            canaries,
            committed: self.committed.clone(),
            followed,
            spans,
            _under_way: self.under_way.token(),
            _room: room,
        };
        self.exporter.submit(Submission { work, receipt });
        Ok(())
    }

    /// Goes on with what the parser followed.
    fn follow(&self, traces: &[BatchTrace], received_ns: u64) -> (Vec<Span>, Vec<Waiting>) {
        let below = |trace: &BatchTrace| {
            self.exporter.tracer().below(&trace.context, "export", SpanKind::Consumer, received_ns)
        };
        let spans: Vec<_> = traces.iter().filter_map(below).collect();
        let since_ns = if spans.is_empty() { 0 } else { now_ns() };
        let waiting = |span: &Span| Waiting { context: span.context(), since_ns };
        let followed = spans.iter().map(waiting).collect();
        (spans, followed)
    }

    fn bury(&self, message: &Message, error: &BatchMessageError) -> Work {
        // The first is told, all are counted and kept: a flood is not logged.
        if self.unreadable.inc() == 0 {
            tracing::error!(
                topic = message.topic,
                bytes = message.payload.len(),
                %error,
                "a message is no batch; it becomes dead letters (reason bad_batch), and so will others, unlogged"
            );
        }
        unreadable(&message.topic, &message.payload, self.clock.now_ms())
    }
}

fn as_part(batch: BatchMessage) -> Work {
    let BatchMessage { key, tallies, records, traces: _, canaries: _ } = batch;
    Work::Part(Part { key, tallies, records })
}

/// The message's bytes as dead letters.
fn unreadable(topic: &str, payload: &[u8], received_at_ms: u64) -> Work {
    let letter = DeadLetter {
        topic: topic.to_owned(),
        offset: 0,
        reason: Reason::BadBatch,
        device: None,
        received_at_ms,
        bytes: payload.to_vec(),
    };
    let records = letter.split().into_iter().map(Box::new).map(Record::DeadLetter).collect();
    Work::Records { records, tallies: Vec::new() }
}
