//! The loop that moves messages: decode, answer, batch, hand over, acknowledge.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nemeses_mqtt::{Message, Publisher, Subscriber};
use nemeses_protocol::{
    Canary, CanaryStage, MAX_BATCH_BYTES, MAX_BATCH_ROWS, Speaker, TraceContext, WorkerName,
};
use nemeses_runtime::traces::{Span, Tracer, now_ns};
use nemeses_runtime::{Clock, Outage, Registry, Stop};
use nemeses_store::live::LiveWriter;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::WorkerConfig;
use super::batcher::{Batch, Batcher, Limits};
use super::given::Given;
use super::handover::Handover;
use super::message_span::{Acked, Owed, begin, handed_over};
use super::replies::Replies;
use super::share::Share;
use super::stats::Stats;
use crate::decode_span::Decoding;
use crate::step::{self, Output, Step};

/// Messages that are decoded in one go before anything else gets a turn.
const TAKE_AT_ONCE: usize = 200;

/// What messages pass through.
pub(super) struct Line {
    name: WorkerName,
    /// Where canaries come.
    canary_topics: [String; 2],
    step: Step,
    live: LiveWriter,
    clock: Clock,
    batcher: Batcher<Owed>,
    tracer: Tracer,
    handover: Arc<Handover>,
    lanes: usize,
    flush_after: Duration,
    replies: Replies,
    stats: Stats,
    underway: JoinSet<()>,
    /// What the shadow subscription hands on; none when it has ended.
    once_more: Option<mpsc::Receiver<Message>>,
    /// What listeners of this process decoded.
    given: mpsc::Receiver<Given>,
}

impl Line {
    pub(super) fn new(
        config: WorkerConfig,
        publisher: Publisher,
        (once_more, given): (mpsc::Receiver<Message>, mpsc::Receiver<Given>),
        live: LiveWriter,
        clock: Clock,
        registry: &mut Registry,
    ) -> Self {
        let counters = Stats::default();
        counters.register(registry);
        let topics = config.policy.topics.clone();
        let limits = Limits {
            rows: config.max_rows.clamp(1, MAX_BATCH_ROWS),
            bytes: batch_bytes(config.max_bytes, publisher.max_payload_bytes(&topics.db)),
        };
        let handover = Handover {
            publisher: publisher.clone(),
            topic: topics.db.clone(),
            retry: config.retry,
            outage: Outage::new(),
            stats: counters.clone(),
        };
        Self {
            name: config.name.clone(),
            canary_topics: topics.canary(),
            replies: Replies::new(publisher, topics, counters.clone()),
            step: Step::new(config.policy),
            tracer: config.tracer,
            live,
            clock,
            batcher: Batcher::new(config.name, rand::random(), limits),
            handover: Arc::new(handover),
            lanes: config.lanes.max(1),
            flush_after: config.flush_after,
            stats: counters,
            underway: JoinSet::new(),
            once_more: Some(once_more),
            given,
        }
    }

    /// Works until it is asked to stop or has left.
    pub(super) async fn work(
        &mut self,
        subscriber: &mut Subscriber,
        stop: &Stop,
    ) -> anyhow::Result<()> {
        let mut has_left = false;
        while !has_left || self.once_more.is_some() {
            self.dispatch(Instant::now());
            // While all lanes are busy, the batch grows; a full one that waits
            // for a lane stops the intake, and so the broker.
            let due = self.batcher.opened().map(|opened| opened + self.flush_after);
            let has_room = self.underway.len() < self.lanes;
            tokio::select! {
                () = stop.intake.cancelled() => return Ok(()),
                Some(ended) = self.underway.join_next() => ended.context("a hand-over")?,
                () = sleep_until(due), if due.is_some() && has_room => {}
                message = subscriber.receive(), if !has_left && !self.batcher.has_full() => match message {
                    Some(message) => self.take_what_is_there(message, || subscriber.try_receive()),
                    None if subscriber.has_left() => has_left = true,
                    None => anyhow::bail!("the connection to the broker ended for good"),
                },
                Some(given) = self.given.recv(), if !self.batcher.has_full() => self.take_given(given),
                message = receive(self.once_more.as_mut()), if self.once_more.is_some() && !self.batcher.has_full() => match message {
                    Some(message) => self.take_what_is_there(message, || None),
                    None => self.once_more = None,
                },
            }
        }
        Ok(())
    }

    /// Hands over everything that was taken.
    pub(super) async fn drain(&mut self) -> anyhow::Result<()> {
        // What was read before the stop and waits here is handed over, too.
        while let Ok(given) = self.given.try_recv() {
            self.take_given(given);
        }
        self.batcher.close();
        loop {
            self.dispatch(Instant::now());
            match self.underway.join_next().await {
                Some(ended) => ended.context("a hand-over")?,
                None => break,
            }
        }
        self.replies.drain().await;
        Ok(())
    }

    /// Starts the batches that are full or due, while lanes are free.
    fn dispatch(&mut self, now: Instant) {
        while self.underway.len() < self.lanes {
            let due = self.batcher.opened().is_some_and(|opened| now >= opened + self.flush_after);
            if due && !self.batcher.has_full() {
                self.batcher.close();
            }
            let Some(mut batch) = self.batcher.next_full() else { return };
            let spans = handed_over(&self.tracer, &mut batch.message);
            let handover = Arc::clone(&self.handover);
            self.underway.spawn(hand_over(handover, batch, spans, self.live.clone()));
        }
    }

    fn take_what_is_there(
        &mut self,
        first: Message,
        mut following: impl FnMut() -> Option<Message>,
    ) {
        let mut out = Output::default();
        let mut followed = Vec::new();
        let mut next = Some(first);
        let mut taken = 0;
        while let Some(message) = next.take() {
            followed.extend(self.take(message, &mut out));
            taken += 1;
            if taken < TAKE_AT_ONCE && !self.batcher.has_full() {
                next = following();
            }
        }
        let offered_ns = if followed.is_empty() { 0 } else { now_ns() };
        self.live.offer(out.live);
        self.live.offer_unnumbered(out.unnumbered);
        if !followed.is_empty() {
            self.live.follow(&followed, offered_ns);
        }
    }

    /// Takes what a listener decoded. Its answers are the listener's.
    fn take_given(&mut self, given: Given) {
        let Given { mut out, received_at_ms, handed_over } = given;
        self.stats.took(&out);
        self.live.offer(std::mem::take(&mut out.live));
        self.live.offer_unnumbered(std::mem::take(&mut out.unnumbered));
        let owed = Owed { ack: Acked::Listener(handed_over), span: None };
        let (records, pings) = (out.records, out.pings);
        let nothing = self.batcher.take(records, pings, received_at_ms, Instant::now(), owed);
        if let Some(owed) = nothing {
            owed.done();
        }
    }

    /// Takes one message; what hangs below it, if it is followed.
    fn take(&mut self, message: Message, out: &mut Output) -> Option<TraceContext> {
        if let Some(canary) = self.canary_in(&message) {
            self.stats.canaries.inc();
            let heard = canary.reply(CanaryStage::Parsed, &self.name).payload();
            self.replies.tell(&canary.sender, heard);
            let owed = Owed { ack: Acked::Broker(message.ack), span: None };
            self.batcher.carry(canary, Instant::now(), owed);
            return None;
        }
        let span = begin(&self.tracer, &message);
        let context = span.as_ref().map(Span::context);
        let decoding = span.as_ref().map(|_| Decoding::begin(out));
        let received_at_ms = self.clock.now_ms();
        let frames = step::Message {
            topic: &message.topic,
            payload: &message.payload,
            received_at_ms,
            speaker: Speaker::Any,
        };
        self.step.take(&frames, out);
        if let (Some(context), Some(decoding)) = (&context, decoding) {
            decoding.end(&self.tracer, context, out);
            self.batcher.follow(*context);
        }
        self.stats.took(out);
        for reply in out.replies.drain(..) {
            self.replies.send(reply);
        }
        let records = std::mem::take(&mut out.records);
        let pings = std::mem::take(&mut out.pings);
        let owed = Owed { ack: Acked::Broker(message.ack), span };
        let nothing = self.batcher.take(records, pings, received_at_ms, Instant::now(), owed);
        // No record and no ping: there is nothing to wait for.
        if let Some(owed) = nothing {
            owed.done();
        }
        context
    }
}

impl Line {
    fn canary_in(&self, message: &Message) -> Option<Canary> {
        let canary = Canary::parse(&message.payload)?;
        self.canary_topics.contains(&message.topic).then_some(canary)
    }
}

/// Acknowledges what `/DB` and the live store have taken. Given up on the way,
/// nothing is acknowledged.
async fn hand_over(
    handover: Arc<Handover>,
    batch: Batch<Owed>,
    spans: Vec<Span>,
    live: LiveWriter,
) {
    let Batch { message, shares } = batch;
    let taken = async {
        handover.until_taken(&message).await;
        spans.into_iter().for_each(Span::end);
    };
    tokio::join!(taken, live.flushed());
    for owed in shares.into_iter().filter_map(Share::published) {
        owed.done();
    }
}

async fn receive(once_more: Option<&mut mpsc::Receiver<Message>>) -> Option<Message> {
    once_more?.recv().await
}

/// What a batch may hold: no more than the broker takes in one packet.
fn batch_bytes(configured: usize, taken: Option<usize>) -> usize {
    let ours = configured.min(MAX_BATCH_BYTES);
    match taken {
        Some(taken) if taken < ours => {
            tracing::info!(bytes = taken, "batches are as small as the broker's largest packet");
            taken
        }
        _ => ours,
    }
}

async fn sleep_until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due.into()).await;
    }
}
