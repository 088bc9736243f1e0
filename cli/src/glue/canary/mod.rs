//! Sends a canary through the pipeline every few seconds, and says by log, metrics
//! and readiness how long it takes or that it does not come back
//! (docs/decisions/0040-canaries.md).
//!
//! On a connection of its own, which hears the replies: the worker's own may be
//! busy with frames, and what is asked is whether those get through.

mod state;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nemeses_mqtt::{
    Broker, Client, ClientEvent, ConnectError, Endpoint, PublishError, Subscription,
};
use nemeses_protocol::{CanaryReply, Topics, WorkerName};
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_runtime::{Backoff, PipelineState, Registry, Tasks};
use nemeses_store::live::{Alive, LiveStore};

use self::state::{Canaries, EVERY};

const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The broker holds one no longer: a worker that was away for so long takes none of
/// long ago.
const EXPIRY_S: u32 = 600;
/// The figure by which a worker shows that it knows canaries.
const KNOWS: &str = "pipeline_delay_s";

/// Who sends, and where.
pub(crate) struct Canary {
    pub(crate) broker: Broker,
    pub(crate) name: WorkerName,
    pub(crate) topics: Topics,
    /// Where workers announce themselves, if there is such a place.
    pub(crate) live: Option<Arc<dyn LiveStore>>,
}

/// What they say, for whoever asks.
#[derive(Clone)]
pub(crate) struct Pipeline {
    canaries: Arc<Mutex<Canaries>>,
    stats: Stats,
}

#[derive(Clone, Default)]
struct Stats {
    sent: Counter,
    returned: Counter,
    missing: Counter,
    delay: Gauge<f64, AtomicU64>,
    state: Gauge,
}

impl Stats {
    fn register(&self, registry: &mut Registry) {
        let shown = registry.sub_registry_with_prefix("nemeses_canary");
        shown.register("sent", "Canaries sent", self.sent.clone());
        shown.register("returned", "Canaries that were committed", self.returned.clone());
        shown.register("missing", "Canaries not committed within 30 s", self.missing.clone());
        shown.register(
            "delay_seconds",
            "Seconds from publishing to the notice of the commit; for one still under way, so far",
            self.delay.clone(),
        );
        shown.register(
            "state",
            "0 fine, 1 unknown, 2 some missing, 3 not sent, 4 not committed, 5 not received",
            self.state.clone(),
        );
    }
}

impl Canary {
    /// Sends canaries until the first stage of a stop.
    pub(crate) fn run(self, tasks: &Tasks, registry: &mut Registry) -> Pipeline {
        let run = rand::random();
        let canaries = Arc::new(Mutex::new(Canaries::new(self.name.clone(), run)));
        let pipeline = Pipeline { canaries, stats: Stats::default() };
        pipeline.stats.register(registry);
        let (running, stop) = (pipeline.clone(), tasks.stop().intake);
        tasks.spawn_intake("canaries", async move {
            tokio::select! {
                () = self.keep_sending(&running) => {}
                () = running.keep_judging() => {}
                () = stop.cancelled() => {}
            }
            Ok(())
        });
        pipeline
    }

    async fn keep_sending(&self, pipeline: &Pipeline) {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            let error = match self.connection(pipeline, &mut backoff).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            let harmless = matches!(error, ConnectError::Subscription { .. });
            pipeline.lock().hindered(error.to_string(), harmless, Instant::now());
            tokio::time::sleep(backoff.wait()).await;
        }
    }

    /// Sends and hears until the connection is lost.
    async fn connection(
        &self,
        pipeline: &Pipeline,
        backoff: &mut Backoff,
    ) -> Result<std::convert::Infallible, ConnectError> {
        let client_id = format!("{}-canary", self.name);
        let mut client = Client::connect(Endpoint::new(self.broker.clone(), client_id)).await?;
        let replies = [self.topics.canary_replies(&self.name)];
        client.subscribe(&replies, Subscription::Acknowledged).await?;
        backoff.reset();
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for topic in self.topics.canary().iter().cycle() {
            loop {
                tokio::select! {
                    _ = ticks.tick() => break,
                    event = client.next() => pipeline.take(&event?),
                }
            }
            if let Some(older) = self.older_worker().await {
                let why = format!("{older} is of a version without canaries");
                pipeline.lock().hindered(why, true, Instant::now());
                continue;
            }
            let canary = pipeline.lock().send(Instant::now());
            pipeline.stats.sent.inc();
            client.publish(topic, canary.payload(), Some(EXPIRY_S));
        }
        unreachable!("a cycle of two topics does not end")
    }

    /// A worker that would take a canary for rubbish, or not pass it on.
    async fn older_worker(&self) -> Option<WorkerName> {
        let live = self.live.as_ref()?;
        // While the live store is down nobody can say; workers are not exchanged just then.
        older_among(&live.workers().await.ok()?)
    }
}

/// A worker among these that knows no canaries.
pub(crate) fn older_among(alive: &[Alive]) -> Option<WorkerName> {
    let is_worker = |alive: &&Alive| ["parser", "dbexport"].contains(&alive.worker.role.as_str());
    let mut workers = alive.iter().filter(is_worker).map(|alive| &alive.worker);
    workers.find(|worker| !worker.figures.contains_key(KNOWS)).map(|worker| worker.name.clone())
}

impl Pipeline {
    fn lock(&self) -> MutexGuard<'_, Canaries> {
        self.canaries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, event: &ClientEvent) {
        let now = Instant::now();
        match event {
            ClientEvent::Message { payload, .. } => {
                if CanaryReply::parse(payload).is_some_and(|reply| self.lock().heard(&reply, now)) {
                    self.stats.returned.inc();
                }
            }
            ClientEvent::Published { answer: Ok(()), .. } => self.lock().accepted(),
            ClientEvent::Published { answer: Err(PublishError::NoSubscriber), .. } => {
                self.lock().unheard();
            }
            ClientEvent::Published { answer: Err(error), .. } => {
                let harmless = *error == PublishError::NotAuthorised;
                self.lock().hindered(error.to_string(), harmless, now);
            }
        }
    }

    /// Keeps the metrics up, and logs when the pipeline breaks and when it is mended.
    async fn keep_judging(&self) {
        let mut logged = PipelineState::Fine;
        loop {
            let (missing, verdict) = self.lock().judge(Instant::now());
            self.stats.missing.inc_by(missing);
            self.stats.delay.set(verdict.delay.as_secs_f64());
            self.stats.state.set(verdict.state.code().into());
            if verdict.state != logged {
                let (detail, delay) = (&verdict.detail, verdict.delay);
                match verdict.state.words() {
                    Some(words) if verdict.state.is_broken() => {
                        tracing::error!(detail, ?delay, "canaries: {words}");
                    }
                    Some(words) => tracing::warn!(detail, "canaries: {words}"),
                    None => tracing::info!(?delay, "canaries: the pipeline delivers"),
                }
                logged = verdict.state;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Why this worker is not ready, as far as canaries tell.
    pub(crate) fn trouble(&self) -> Option<String> {
        let verdict = self.lock().verdict(Instant::now());
        let words = verdict.state.words().filter(|_| verdict.state.is_broken())?;
        Some(format!("{words} ({})", verdict.detail))
    }
}

#[cfg(test)]
mod tests {
    use nemeses_runtime::Worker;

    use super::*;

    #[test]
    fn workers_without_the_figure_are_older() {
        let alive = |name: &str, role: &str, knows: bool| {
            let mut worker = Worker::here(name, role, "0", 0);
            if knows {
                worker.figures.insert(KNOWS.to_owned(), 0.0);
            }
            Alive { worker, silent_ms: 0 }
        };
        let all = [
            alive("api@h:1", "api", false),
            alive("parser-0", "parser", true),
            alive("dbexport-0", "dbexport", true),
        ];
        assert_eq!(older_among(&all), None);
        let mixed = [alive("parser-0", "parser", true), alive("parser-1", "parser", false)];
        assert_eq!(older_among(&mixed).as_deref(), Some("parser-1"));
    }
}
