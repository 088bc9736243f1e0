//! The load: devices that publish frames and wait for their PUBACKs. One thread
//! for all connections, so that it costs the servers beside it little.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::LocalSet;

use crate::mqtt::{PUBACK_BYTES, connect, publish, publish_values};

/// The founding fleet.
pub(crate) const DEVICES: u32 = 10_000;
/// A device's frames are so many recorded seconds apart.
pub(crate) const EVERY_S: u32 = 10;
const WARM_UP: Duration = Duration::from_secs(1);
const DRAIN: Duration = Duration::from_secs(60);
/// Longer than any load: whoever waits for PUBACKs through an outage of ten minutes sends
/// nothing here, no PINGREQ either.
const KEEP_ALIVE_S: u16 = 3600;

/// How many connections, and how many frames each sends ahead of their PUBACKs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) connections: u16,
    pub(crate) window: u16,
}

/// What the devices send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A frame.
    Frames,
    /// Ten values as JSON, on the device's own topic.
    Values,
}

/// What to send where.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) shape: Shape,
    pub(crate) content: Content,
    /// Length of the measurement, which begins after a warm-up of a second.
    pub(crate) seconds: u64,
    /// Recorded second of the first frames; no two loads on one table overlap.
    pub(crate) recorded_from: u32,
    /// Frames a second in all; `None` sends as fast as the windows allow.
    pub(crate) offered: Option<u32>,
    /// Devices that the frames are of, in turn.
    pub(crate) devices: u32,
    /// Another count to read at the begin and the end of the measurement.
    pub(crate) watched: Option<Arc<AtomicU64>>,
    /// Counts PUBACKs as they come, for whoever looks meanwhile.
    pub(crate) progress: Arc<AtomicU64>,
}

impl Plan {
    /// As fast as the windows allow.
    pub(crate) fn new(address: SocketAddr, shape: Shape, seconds: u64, recorded_from: u32) -> Self {
        Self {
            address,
            shape,
            content: Content::Frames,
            seconds,
            recorded_from,
            offered: None,
            devices: DEVICES,
            watched: None,
            progress: Arc::default(),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// PUBACKs a second within the measurement.
    pub(crate) acknowledged_a_second: f64,
    /// How much the watched count grew a second.
    pub(crate) watched_a_second: f64,
    /// Frames sent over all, all of them acknowledged.
    pub(crate) sent: u64,
    /// From the write of a frame to its PUBACK, microseconds, sorted.
    pub(crate) latencies_us: Vec<u32>,
    /// Where the next load's recorded seconds may begin.
    pub(crate) recorded_to: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measuring,
    Draining,
}

struct Shared {
    phase: Cell<Phase>,
    acknowledged: Cell<u64>,
    sent: Cell<u64>,
    last_recorded: Cell<u32>,
    latencies_us: RefCell<Vec<u32>>,
}

/// Runs a load to its end on a thread of its own.
pub(crate) async fn run(plan: Plan) -> anyhow::Result<Outcome> {
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, run_here(plan))
    })
    .await?
}

async fn run_here(plan: Plan) -> anyhow::Result<Outcome> {
    let shared = Rc::new(Shared {
        phase: Cell::new(Phase::WarmUp),
        acknowledged: Cell::new(0),
        sent: Cell::new(0),
        last_recorded: Cell::new(plan.recorded_from),
        latencies_us: RefCell::new(Vec::with_capacity(4_000_000)),
    });
    let begin = Arc::new(Barrier::new(usize::from(plan.shape.connections) + 1));
    let mut tasks = Vec::new();
    for number in 0..plan.shape.connections {
        let stream = connect(plan.address, &format!("load-{number}"), KEEP_ALIVE_S).await?;
        let connection = Connection::new(stream, number, &plan, Rc::clone(&shared));
        let begin = Arc::clone(&begin);
        tasks.push(tokio::task::spawn_local(async move {
            begin.wait().await;
            connection.run().await
        }));
    }
    begin.wait().await;
    tokio::time::sleep(WARM_UP).await;
    let watched = || plan.watched.as_ref().map_or(0, |count| count.load(Ordering::Relaxed));
    let (started, watched_before) = (Instant::now(), watched());
    shared.phase.set(Phase::Measuring);
    tokio::time::sleep(Duration::from_secs(plan.seconds)).await;
    shared.phase.set(Phase::Draining);
    let (seconds, watched_after) = (started.elapsed().as_secs_f64(), watched());
    let drained = async {
        for task in tasks {
            task.await??;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(DRAIN, drained).await.context("PUBACKs do not come")??;
    let mut latencies_us = shared.latencies_us.take();
    latencies_us.sort_unstable();
    Ok(Outcome {
        acknowledged_a_second: as_f64(shared.acknowledged.get()) / seconds,
        watched_a_second: as_f64(watched_after - watched_before) / seconds,
        sent: shared.sent.get(),
        latencies_us,
        recorded_to: shared.last_recorded.get() + EVERY_S,
    })
}

struct Connection {
    stream: TcpStream,
    shared: Rc<Shared>,
    progress: Arc<AtomicU64>,
    number: u32,
    /// Its devices are `number`, `number + connections` and so on.
    connections: u32,
    devices: u32,
    window: usize,
    content: Content,
    recorded_from: u32,
    /// Between two frames, when paced.
    interval: Option<Duration>,
    frames: u32,
    next_id: u16,
    acknowledged_id: u16,
    in_flight: VecDeque<Instant>,
    out: Vec<u8>,
}

const fn id_after(id: u16) -> u16 {
    if id == u16::MAX { 1 } else { id + 1 }
}

impl Connection {
    fn new(stream: TcpStream, number: u16, plan: &Plan, shared: Rc<Shared>) -> Self {
        let connections = u32::from(plan.shape.connections);
        let offered = |all: u32| Duration::from_secs(1) * connections / all;
        Self {
            stream,
            shared,
            progress: Arc::clone(&plan.progress),
            number: u32::from(number),
            connections,
            devices: (plan.devices / connections).max(1),
            window: usize::from(plan.shape.window),
            content: plan.content,
            recorded_from: plan.recorded_from,
            interval: plan.offered.map(offered),
            frames: 0,
            next_id: 1,
            acknowledged_id: 0,
            in_flight: VecDeque::new(),
            out: Vec::new(),
        }
    }

    async fn run(mut self) -> anyhow::Result<()> {
        let mut bytes = [0; 4096];
        let mut held = 0;
        // Paced connections do not start in step.
        let offset = self.interval.map(|every| every * self.number / self.connections);
        let mut due = Instant::now() + offset.unwrap_or_default();
        loop {
            let draining = self.shared.phase.get() == Phase::Draining;
            if draining && self.in_flight.is_empty() {
                return Ok(());
            }
            if !draining {
                due = self.fill(due);
            }
            if !self.out.is_empty() {
                self.stream.write_all(&self.out).await?;
                self.out.clear();
            }
            let paced = self.interval.is_some() && !draining && self.in_flight.len() < self.window;
            let read = tokio::select! {
                read = self.stream.read(&mut bytes[held..]) => read?,
                () = tokio::time::sleep_until(due.into()), if paced => continue,
            };
            anyhow::ensure!(read > 0, "the broker closed connection {}", self.number);
            held += read;
            let whole = held - held % PUBACK_BYTES;
            self.take_acknowledgements(&bytes[..whole])?;
            bytes.copy_within(whole..held, 0);
            held -= whole;
        }
    }

    /// Adds the frames that may be sent now; when the next is due.
    fn fill(&mut self, mut due: Instant) -> Instant {
        let now = Instant::now();
        while self.in_flight.len() < self.window {
            if let Some(interval) = self.interval {
                if due > now {
                    break;
                }
                due += interval;
            }
            let device = self.number + self.connections * (self.frames % self.devices);
            let recorded_at = self.recorded_from + self.frames / self.devices * EVERY_S;
            match self.content {
                Content::Frames => self.out.extend(publish(self.next_id, device, recorded_at)),
                Content::Values => publish_values(self.next_id, device, recorded_at, &mut self.out),
            }
            self.next_id = id_after(self.next_id);
            self.in_flight.push_back(now);
            self.frames += 1;
            self.shared.sent.set(self.shared.sent.get() + 1);
            self.shared.last_recorded.set(self.shared.last_recorded.get().max(recorded_at));
        }
        due
    }

    fn take_acknowledgements(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let now = Instant::now();
        let measuring = self.shared.phase.get() == Phase::Measuring;
        let mut latencies = self.shared.latencies_us.borrow_mut();
        let (mut count, mut all) = (0, 0);
        for packet in bytes.chunks_exact(PUBACK_BYTES) {
            self.acknowledged_id = id_after(self.acknowledged_id);
            let [high, low] = self.acknowledged_id.to_be_bytes();
            anyhow::ensure!(packet == [0x40, 2, high, low], "not the next PUBACK: {packet:?}");
            let sent = self.in_flight.pop_front().context("a PUBACK for nothing")?;
            all += 1;
            if measuring {
                let waited = now.duration_since(sent).as_micros();
                latencies.push(u32::try_from(waited).unwrap_or(u32::MAX));
                count += 1;
            }
        }
        self.shared.acknowledged.set(self.shared.acknowledged.get() + count);
        self.progress.fetch_add(all, Ordering::Relaxed);
        Ok(())
    }
}

/// For rates, where the last bits do not matter.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
pub(crate) const fn as_f64(count: u64) -> f64 {
    count as f64
}
