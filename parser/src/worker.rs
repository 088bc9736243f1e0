//! The station's worker: from its share of the subscription to `/DB`.
//!
//! Frames are acknowledged to the broker when every batch that holds a part of
//! their message was acknowledged on `/DB`, and the live store was written or is
//! known to be down. Until then the broker keeps them, and gives them to this
//! worker again after a crash. The decision what goes into which batch is the
//! pure `batcher`; `line` moves
//! messages through it.

use std::time::Duration;

use anyhow::Context as _;
use nemeses_mqtt::{
    Broker, ConnectError, Publisher, PublisherConfig, Subscriber, SubscriberConfig,
};
use nemeses_protocol::{MAX_BATCH_BYTES, MAX_BATCH_ROWS, WorkerName};
use nemeses_runtime::traces::Tracer;
use nemeses_runtime::{Clock, Registry, Stop};
use nemeses_store::live::LiveWriter;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::step::Policy;
pub use given::{Given, Giver};
use line::Line;
pub use shadow::Shadow;
use shadow::{HANDED_ON, Holder};

mod batcher;
mod given;
mod handover;
mod line;
mod message_span;
mod replies;
mod shadow;
mod share;
mod stats;

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Where the broker is.
    pub mqtt: Broker,
    /// The worker's name, its client id and its name in the books: stable over
    /// restarts, and no two alike.
    pub name: WorkerName,
    /// Workers of one group share the frames.
    pub group: String,
    /// What is accepted, and the topic names.
    pub policy: Policy,
    /// Messages that may be unacknowledged at once: the bound of this worker's
    /// memory, at the worst 1000 payloads of 256 KiB.
    pub receive_maximum: u16,
    /// Records in one batch, at most [`MAX_BATCH_ROWS`].
    pub max_rows: usize,
    /// Bytes of one batch, at most [`MAX_BATCH_BYTES`].
    pub max_bytes: usize,
    /// How long a batch that is not full waits for company when `/DB` is idle.
    pub flush_after: Duration,
    /// Batches on their way at once.
    pub lanes: usize,
    /// First and longest wait before connecting again, and before a batch that
    /// was not taken is offered again.
    pub retry: (Duration, Duration),
    /// Follows some of the messages.
    pub tracer: Tracer,
    /// When this worker holds a shadow subscription; one worker of a group does.
    pub shadow: Option<Shadow>,
}

impl WorkerConfig {
    /// The defaults for worker `number`: `parser-{number}` in group `parsers`.
    pub fn new(mqtt: Broker, number: u32) -> Self {
        Self {
            mqtt,
            name: format!("parser-{number}"),
            group: "parsers".to_owned(),
            policy: Policy::default(),
            receive_maximum: 1000,
            max_rows: MAX_BATCH_ROWS,
            max_bytes: MAX_BATCH_BYTES,
            flush_after: Duration::from_millis(5),
            lanes: 4,
            retry: (Duration::from_millis(50), Duration::from_secs(1)),
            tracer: Tracer::off(),
            shadow: None,
        }
    }

    fn subscription(&self) -> SubscriberConfig {
        let shared = |filter: &str| format!("$share/{}/{filter}", self.group);
        let filters = self.policy.topics.device_filters();
        let filters: Vec<String> = filters.iter().map(|filter| shared(filter)).collect();
        let mut config = SubscriberConfig::new(self.mqtt.clone(), self.name.clone(), filters);
        config.receive_maximum = self.receive_maximum;
        config.endpoint.retry = self.retry;
        config
    }
}

/// A connected worker.
pub struct Worker {
    subscriber: Subscriber,
    publisher: Publisher,
    line: Line,
    shadow: Option<Holder>,
    leaves: bool,
    giver: Giver,
}

/// A batch holds at least one record, and the largest is a dead letter of 32 KiB
/// with the batch's own fields around it.
const LEAST_PACKET_BYTES: u32 = 64 * 1024;

impl Worker {
    /// Connects, trying until the broker is there. When this returns, the
    /// worker's session exists and collects frames.
    ///
    /// # Errors
    /// The broker refuses the worker or its subscription.
    pub async fn connect(
        config: WorkerConfig,
        live: LiveWriter,
        clock: Clock,
        registry: &mut Registry,
    ) -> Result<Self, ConnectError> {
        let publisher = Self::publisher(&config).await?;
        let subscriber = Subscriber::connect(config.subscription()).await?;
        Ok(Self::new(config, subscriber, publisher, live, clock, registry, false))
    }

    /// Like [`Worker::connect`], to leave the group for good: takes no share of
    /// new frames, works off those that wait for it, and clears its session.
    /// [`Worker::run`] ends when that is done.
    ///
    /// # Errors
    /// The broker refuses the worker.
    pub async fn leave(
        config: WorkerConfig,
        live: LiveWriter,
        clock: Clock,
        registry: &mut Registry,
    ) -> Result<Self, ConnectError> {
        let publisher = Self::publisher(&config).await?;
        let subscriber = Subscriber::leave(config.subscription()).await?;
        Ok(Self::new(config, subscriber, publisher, live, clock, registry, true))
    }

    async fn publisher(config: &WorkerConfig) -> Result<Publisher, ConnectError> {
        let client_id = format!("{}-out", config.name);
        let mut publisher = PublisherConfig::new(config.mqtt.clone(), client_id);
        publisher.endpoint.retry = config.retry;
        publisher.needs_packet_bytes = LEAST_PACKET_BYTES;
        Publisher::connect(publisher).await
    }

    fn new(
        config: WorkerConfig,
        subscriber: Subscriber,
        publisher: Publisher,
        live: LiveWriter,
        clock: Clock,
        registry: &mut Registry,
        leaves: bool,
    ) -> Self {
        subscriber.stats().register("in", registry);
        publisher.stats().register("out", registry);
        let (handed_on, once_more) = mpsc::channel(HANDED_ON);
        let shadow = config.shadow.map(|when| Holder {
            broker: config.mqtt.clone(),
            worker: config.name.clone(),
            topics: config.policy.topics.clone(),
            when,
            retry: config.retry,
            renewal: subscriber.renewal(),
            handed_on,
            stats: shadow::Stats::default(),
        });
        if let Some(shadow) = &shadow {
            shadow.stats.register(registry);
        }
        let (giver, by_listeners) = Giver::new();
        let sources = (once_more, by_listeners);
        Self {
            subscriber,
            publisher: publisher.clone(),
            line: Line::new(config, publisher, sources, live, clock, registry),
            shadow,
            leaves,
            giver,
        }
    }

    /// By what a listener in this process gives what it decoded.
    pub fn giver(&self) -> Giver {
        self.giver.clone()
    }

    /// Whether both connections to the broker stand.
    pub fn is_connected(&self) -> bool {
        self.subscriber.is_connected() && self.publisher.is_connected()
    }

    /// Works until `stop.intake`, then hands over what it holds, until
    /// `stop.all` at the latest. A worker that leaves ends when it has left.
    ///
    /// # Errors
    /// The connection's task has died, or a task of ours.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let Self { mut subscriber, publisher, mut line, shadow, leaves, giver: _giver } = self;
        let mut holding = JoinSet::new();
        if let Some(shadow) = shadow {
            holding.spawn(
                async move { if leaves { shadow.leave().await } else { shadow.run().await } },
            );
        }
        let working = async {
            line.work(&mut subscriber, &stop).await?;
            line.drain().await
        };
        let worked = tokio::select! {
            worked = working => worked,
            Some(Err(died)) = holding.join_next() => Err(died).context("the shadow subscription"),
            () = stop.all.cancelled() => Ok(()),
        };
        // What is still under way is given up unacknowledged.
        drop(line);
        subscriber.close_unless(&stop.all).await;
        publisher.close().await;
        worked
    }
}
