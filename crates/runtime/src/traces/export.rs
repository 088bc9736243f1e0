//! The task that delivers spans: gathers, posts, tries again, gives up.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::collector::{Answer, Collector};
use super::queue::{Dropped, Queue};
use super::record::SpanData;
use super::wire::Request;
use crate::{Backoff, Outage};

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Spans that do not fill an export wait for company so long.
    pub gather: Duration,
    /// A collector that has not answered after this has no time.
    pub answer_within: Duration,
    /// First and longest wait before another attempt.
    pub retry: (Duration, Duration),
    /// Spans that could not be delivered within this are dropped.
    pub give_up_after: Duration,
    /// For what still waits when the process ends: within the second stage of its stop.
    pub flush_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            gather: Duration::from_secs(1),
            answer_within: Duration::from_secs(5),
            retry: (Duration::from_millis(500), Duration::from_secs(10)),
            give_up_after: Duration::from_secs(30),
            flush_within: Duration::from_secs(2),
        }
    }
}

/// Delivers what a [`super::Tracer`] gathers.
#[derive(Debug)]
pub struct Delivery {
    queue: Arc<Queue>,
    collector: Collector,
    resource: Vec<(&'static str, String)>,
    limits: Limits,
    outage: Outage,
    backoff: Backoff,
}

/// Spans, and what they are on the wire.
struct Export {
    spans: usize,
    body: Bytes,
}

impl Delivery {
    pub(super) fn new(
        queue: Arc<Queue>,
        collector: Collector,
        resource: Vec<(&'static str, String)>,
    ) -> Self {
        let limits = Limits::default();
        let backoff = Backoff::new(limits.retry.0, limits.retry.1);
        Self { queue, collector, resource, limits, outage: Outage::new(), backoff }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.backoff = Backoff::new(limits.retry.0, limits.retry.1);
        Self { limits, ..self }
    }

    /// Delivers until `stop`, then what waits, within [`Limits::flush_within`]. Run
    /// it once, as a task that outlives those who work on frames.
    ///
    /// # Errors
    /// None: what cannot be delivered is counted.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut left = None;
        while left.is_none() && !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.queue.many() => {}
                () = tokio::time::sleep(self.limits.gather) => {}
            }
            if let Some(export) = self.next() {
                left = self.deliver(export, &stop).await;
            }
        }
        self.flush(left).await;
        Ok(())
    }

    fn next(&self) -> Option<Export> {
        let spans: Vec<SpanData> = self.queue.take();
        let body = || Request::of(&self.resource, &spans).encode_to_vec().into();
        (!spans.is_empty()).then(|| Export { spans: spans.len(), body: body() })
    }

    /// Tries until it is taken, refused, too old, or `stop`: then it is given back.
    async fn deliver(&mut self, export: Export, stop: &CancellationToken) -> Option<Export> {
        let given_up_at = Instant::now() + self.limits.give_up_after;
        loop {
            let within = self.limits.answer_within;
            let answer = stop.run_until_cancelled(self.attempt(&export, within)).await;
            let Some(answer) = answer else { return Some(export) };
            let asked_wait = self.settle(&export, answer)?;
            let wait = self.backoff.wait().max(asked_wait.min(self.limits.retry.1));
            if Instant::now() + wait > given_up_at {
                self.queue.drop_spans(Dropped::Unreachable, export.spans);
                // What comes next is not tried sooner than this would have been; if the
                // process is to end meanwhile, that is seen by whoever called.
                let _ = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
                return None;
            }
            if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return Some(export);
            }
        }
    }

    async fn attempt(&self, export: &Export, within: Duration) -> Answer {
        let post = self.collector.post(export.body.clone());
        let silent = |_| Answer::Later(format!("no answer within {within:?}"), None);
        timeout(within, post).await.unwrap_or_else(silent)
    }

    /// Books an answer; how long to wait at least before another attempt, if there is
    /// to be one. Only what changes is logged.
    fn settle(&mut self, export: &Export, answer: Answer) -> Option<Duration> {
        let (why, wait) = match answer {
            Answer::Taken { rejected, why } => {
                self.backoff.reset();
                let rejected = usize::try_from(rejected).unwrap_or(usize::MAX).min(export.spans);
                self.queue.took(u64::try_from(export.spans - rejected).unwrap_or(0));
                self.queue.drop_spans(Dropped::Refused, rejected);
                if rejected == 0 {
                    if let Some(down) = self.outage.ends() {
                        tracing::info!(?down, "traces are delivered again");
                    }
                    return None;
                }
                (why, None)
            }
            Answer::Refused(why) => {
                self.queue.drop_spans(Dropped::Refused, export.spans);
                (why, None)
            }
            Answer::Later(why, wait) => (why, Some(wait.unwrap_or_default())),
        };
        if self.outage.begins() {
            tracing::warn!(
                why,
                "traces are not delivered to the collector (--otlp-endpoint); frames go on as ever"
            );
        }
        wait
    }

    /// One attempt each for what is left, until the time is up.
    async fn flush(&mut self, left: Option<Export>) {
        let until = Instant::now() + self.limits.flush_within;
        let mut next = left.or_else(|| self.next());
        while let Some(export) = next.take() {
            let time_left = until.saturating_duration_since(Instant::now());
            let answer = self.attempt(&export, time_left).await;
            if self.settle(&export, answer).is_some() {
                self.queue.drop_spans(Dropped::Stopped, export.spans + self.queue.len());
                return;
            }
            next = self.next();
        }
    }
}
