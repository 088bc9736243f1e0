//! A second subscription to all frames, beside the shared one, for brokers that
//! forget shared subscriptions (docs/decisions/0039-shadow-subscription.md).
//!
//! Mosquitto with a persistence file restores sessions without their shared
//! subscriptions: from its start until the first worker has subscribed again it
//! acknowledges frames and drops them. Plain subscriptions it restores. So one worker
//! holds a plain one in a session of its own, the shadow:
//! - while all is well, its messages are acknowledged, kept for some seconds and
//!   forgotten, as the shared subscription delivers the same ones;
//! - when its connection is lost, those of the last seconds are handed on, since a
//!   broker that was killed has lost what it acknowledged since its last save;
//! - when it is back, and the shared subscription was confirmed, a new shadow takes
//!   over, and all that the old one's session holds is handed on.
//!
//! Frames that were handed on twice become one row and count as duplicates.

mod ring;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nemeses_mqtt::{
    Broker, Client, ClientEvent, ConnectError, Endpoint, Message, Renewal, Subscriber,
    SubscriberConfig, Subscription,
};
use nemeses_protocol::{Canary, Topics, WorkerName};
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_runtime::{Backoff, Registry};
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::ring::{KEPT_FOR, Kept, Ring};

/// The broker's name and version, as Mosquitto tells them.
const VERSION: &str = "$SYS/broker/version";
/// Mosquitto keeps it as a retained message, so it comes at once or not at all.
const VERSION_WITHIN: Duration = Duration::from_secs(3);
/// Messages that the broker may leave unacknowledged; each is acknowledged as it comes.
const RECEIVE_MAXIMUM: u16 = 10_000;
/// A session that nobody comes back to is kept for a day.
const EXPIRY_S: u32 = 24 * 60 * 60;
/// Handed on and not yet taken by the worker; what is behind waits in the broker, or
/// in the ring.
pub(super) const HANDED_ON: usize = 1000;

/// When to hold a shadow subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shadow {
    /// With a broker that says it is Mosquitto.
    #[default]
    Auto,
    /// With any broker.
    On,
    /// Never.
    Off,
}

/// The task that holds it.
pub(super) struct Holder {
    pub(super) broker: Broker,
    pub(super) worker: WorkerName,
    pub(super) topics: Topics,
    pub(super) when: Shadow,
    pub(super) retry: (Duration, Duration),
    /// By which the worker's own subscription is confirmed.
    pub(super) renewal: Arc<Renewal>,
    /// To the worker.
    pub(super) handed_on: mpsc::Sender<Message>,
    pub(super) stats: Stats,
}

/// What it counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    held: Gauge,
    received: Counter,
    handed_on: Counter,
    forgotten_early: Counter,
}

impl Stats {
    pub(super) fn register(&self, registry: &mut Registry) {
        let shown = registry.sub_registry_with_prefix("nemeses_shadow");
        shown.register("held", "1 while the shadow subscription receives", self.held.clone());
        shown.register("messages", "Messages received on it", self.received.clone());
        shown.register(
            "handed_on",
            "Messages handed over again after a lost connection",
            self.handed_on.clone(),
        );
        shown.register(
            "forgotten_early",
            "Messages dropped early for lack of memory",
            self.forgotten_early.clone(),
        );
    }
}

impl Holder {
    /// Holds the shadow for as long as the worker takes messages.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::new(self.retry.0, self.retry.1);
        let mut ring = Ring::default();
        let mut reported = false;
        while !self.handed_on.is_closed() {
            let held = self.hold(&mut ring, &mut backoff);
            let lost = tokio::select! {
                held = held => held,
                () = self.handed_on.closed() => return,
            };
            self.stats.held.set(0);
            match lost {
                Ok(()) => return,
                Err(error) if !reported => {
                    reported = true;
                    report(&error);
                }
                Err(error) => tracing::debug!(%error, "the shadow subscription is not held"),
            }
            self.hand_on(ring.take(Instant::now())).await;
            tokio::time::sleep(backoff.wait()).await;
        }
    }

    /// Begins a shadow, hands on what earlier ones hold, and keeps the last messages
    /// until the connection is lost. `Ok` when none is to be held.
    async fn hold(&self, ring: &mut Ring, backoff: &mut Backoff) -> Result<(), ConnectError> {
        // Only then may anything be taken for delivered otherwise.
        self.renewal.renewed().await;
        match self.when {
            Shadow::Off => return self.end_all().await,
            Shadow::Auto if !self.is_mosquitto().await? => return Ok(()),
            Shadow::Auto | Shadow::On => {}
        }
        let Begun { mut active, earlier } = self.begin().await?;
        backoff.reset();
        self.stats.held.set(1);
        tracing::debug!("the shadow subscription is held");
        let draining = async {
            for name in earlier {
                self.drain(&name).await?;
            }
            Ok::<(), ConnectError>(())
        };
        let keeping = async {
            loop {
                if let ClientEvent::Message { topic, payload } = active.next().await? {
                    self.keep(ring, topic, payload);
                }
            }
        };
        let never: Result<(), ConnectError> = tokio::select! {
            lost = keeping => lost,
            Err(error) = draining => Err(error),
        };
        never
    }

    fn keep(&self, ring: &mut Ring, topic: String, payload: Bytes) {
        self.stats.received.inc();
        if Canary::parse(&payload).is_none() {
            let early = ring.push(Kept { topic, payload }, Instant::now());
            self.stats.forgotten_early.inc_by(early);
        }
    }

    async fn is_mosquitto(&self) -> Result<bool, ConnectError> {
        let endpoint = Endpoint::new(self.broker.clone(), format!("{}-shadow", self.worker));
        let mut client = Client::connect(endpoint).await?;
        let is_mosquitto = match says_mosquitto(&mut client).await {
            Ok(is_mosquitto) => is_mosquitto,
            Err(error @ ConnectError::Subscription { .. }) => {
                tracing::warn!(
                    %error,
                    "it is not known whether this broker is Mosquitto, so there is no shadow subscription; say --shadow on or off"
                );
                client.close().await;
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        client.close().await;
        if !is_mosquitto {
            tracing::info!(
                "no shadow subscription: this broker does not say that it is Mosquitto (--shadow)"
            );
        }
        Ok(is_mosquitto)
    }

    /// Of two names one is the active shadow's; an earlier one's session may be there
    /// under either, or, after an end half-way, under both.
    async fn begin(&self) -> Result<Begun, ConnectError> {
        let [first, second] = self.names();
        let one = self.resume(&first).await?;
        if !one.offer().session_present {
            let active = self.subscribe(one).await?;
            let other = self.resume(&second).await?;
            let earlier = self.is_earlier(other, &second).await?;
            return Ok(Begun { active, earlier });
        }
        one.close().await;
        let other = self.resume(&second).await?;
        if !other.offer().session_present {
            return Ok(Begun { active: self.subscribe(other).await?, earlier: vec![first] });
        }
        // Both: the second goes on collecting while the first is emptied.
        other.close().await;
        self.drain(&first).await?;
        let active = self.subscribe(self.resume(&first).await?).await?;
        Ok(Begun { active, earlier: vec![second] })
    }

    async fn is_earlier(&self, client: Client, name: &str) -> Result<Vec<String>, ConnectError> {
        let is_there = client.offer().session_present;
        client.close().await;
        if is_there {
            return Ok(vec![name.to_owned()]);
        }
        // It was made by looking.
        self.forget(name).await?;
        Ok(Vec::new())
    }

    /// Hands on what earlier ones hold and ends, trying until the broker is there.
    pub(super) async fn leave(self) {
        let mut backoff = Backoff::new(self.retry.0, self.retry.1);
        while let Err(error) = self.end_all().await {
            tracing::debug!(%error, "the shadow subscription cannot be left yet");
            tokio::time::sleep(backoff.wait()).await;
        }
    }

    /// None is held any more: hands on what earlier ones hold.
    async fn end_all(&self) -> Result<(), ConnectError> {
        for name in self.names() {
            let client = self.resume(&name).await?;
            for earlier in self.is_earlier(client, &name).await? {
                self.drain(&earlier).await?;
            }
        }
        Ok(())
    }

    fn names(&self) -> [String; 2] {
        ["a", "b"].map(|which| format!("{}-shadow-{which}", self.worker))
    }

    fn filters(&self) -> Vec<String> {
        self.topics.device_filters()
    }

    async fn resume(&self, name: &str) -> Result<Client, ConnectError> {
        let endpoint = Endpoint::new(self.broker.clone(), name);
        Client::resume(endpoint, EXPIRY_S, RECEIVE_MAXIMUM).await
    }

    async fn subscribe(&self, mut client: Client) -> Result<Client, ConnectError> {
        client.subscribe(&self.filters(), Subscription::Acknowledged).await?;
        Ok(client)
    }

    async fn forget(&self, name: &str) -> Result<(), ConnectError> {
        Client::connect(Endpoint::new(self.broker.clone(), name)).await?.close().await;
        Ok(())
    }

    /// Hands on all that a session holds, and ends it.
    async fn drain(&self, name: &str) -> Result<(), ConnectError> {
        let config = SubscriberConfig::new(self.broker.clone(), name, self.filters());
        let mut leaving = Subscriber::leave(config).await?;
        let mut count = 0_u64;
        while let Some(message) = leaving.receive().await {
            if Canary::parse(&message.payload).is_some() {
                message.ack.done();
                continue;
            }
            count += 1;
            self.stats.handed_on.inc();
            if self.handed_on.send(message).await.is_err() {
                return Ok(());
            }
        }
        leaving.close().await;
        if count > 0 {
            tracing::info!(
                count,
                "messages that waited for the shadow subscription were handed on"
            );
        }
        Ok(())
    }

    /// Hands the last seconds' messages on once more.
    async fn hand_on(&self, messages: VecDeque<Kept>) {
        if messages.is_empty() {
            return;
        }
        let (count, seconds) = (messages.len(), KEPT_FOR.as_secs());
        tracing::info!(
            count,
            seconds,
            "the broker's connection was lost; the last seconds' messages are handed on once more, in case it forgot some"
        );
        for Kept { topic, payload } in messages {
            self.stats.handed_on.inc();
            if self.handed_on.send(Message::unacknowledged(topic, payload)).await.is_err() {
                return;
            }
        }
    }
}

fn report(error: &ConnectError) {
    if matches!(error, ConnectError::Subscription { .. }) {
        tracing::warn!(
            %error,
            "there is no shadow subscription: frames that Mosquitto acknowledges right after its restart may be lost"
        );
    } else {
        tracing::info!(%error, "the shadow subscription is held again when the broker is back");
    }
}

async fn says_mosquitto(client: &mut Client) -> Result<bool, ConnectError> {
    client.subscribe(&[VERSION.to_owned()], Subscription::Figures).await?;
    let version = async {
        loop {
            if let ClientEvent::Message { payload, .. } = client.next().await? {
                return Ok(payload.starts_with(b"mosquitto"));
            }
        }
    };
    timeout(VERSION_WITHIN, version).await.unwrap_or(Ok(false))
}

/// A shadow that has begun.
struct Begun {
    active: Client,
    /// Sessions of earlier ones.
    earlier: Vec<String>,
}
