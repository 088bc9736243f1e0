//! One MQTT connection with its trackers: sends what is due, pairs
//! acknowledgements, and after a loss comes back with a new connection and
//! what was not acknowledged.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nemeses_mqtt::v311::{self, Heard, Qos};
use nemeses_mqtt::{Broker, ConnectError, Endpoint};
use nemeses_runtime::{Backoff, Clock};
use tokio_util::sync::CancellationToken;

use super::device::{Device, Kind, Message, Schedule};
use super::journal::Journal;
use super::pace::Pace;
use super::session::{Sent, Session};
use super::tally::{Tally, add};
use super::world::World;

/// Largest packet in either direction; a burst of 100 frames as hex has 7 KB.
const MAX_PACKET_BYTES: u32 = 256 * 1024;
/// How long acknowledgements are waited for at the end.
const LAST_WAIT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Bytes that wait for the socket before anything more is sent.
const QUEUED_BYTES: usize = 64 * 1024;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) broker: Broker,
    pub(super) schedule: Schedule,
    pub(super) pace: Pace,
    pub(super) world: World,
    pub(super) qos: Qos,
    pub(super) window: u16,
    pub(super) hex: bool,
    pub(super) own_topics: bool,
    pub(super) topic_messenger: String,
    pub(super) topic_ping: String,
    pub(super) acknowledged: Option<Journal>,
    pub(super) sent: Option<Journal>,
    pub(super) tally: Tally,
    pub(super) clock: Clock,
    pub(super) begun: Instant,
    /// No new frames after this.
    pub(super) stop: CancellationToken,
    /// An outage that hits all connections is told once.
    pub(super) outage_told: AtomicBool,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    plan: Arc<Plan>,
    client_id: String,
    /// Its trackers, with their places in the schedule.
    devices: Vec<(u32, Device)>,
    /// What comes next: round and place among `devices`.
    round: u64,
    place: usize,
    /// To be sent before anything new, with whether it was sent before.
    waiting: VecDeque<(Message, bool)>,
    /// Frames due before this were recorded without a connection.
    back_since: Option<Instant>,
}

/// Why a connection's life ended.
enum End {
    /// All is said and done.
    Finished,
    Lost(ConnectError),
    /// A file cannot be written.
    Failed(anyhow::Error),
}

impl Connection {
    pub(super) fn new(plan: Arc<Plan>, client_id: String, devices: Vec<(u32, Device)>) -> Self {
        Self {
            plan,
            client_id,
            devices,
            round: 0,
            place: 0,
            waiting: VecDeque::new(),
            back_since: None,
        }
    }

    /// Sends until the plan stops and everything is acknowledged or given up.
    ///
    /// # Errors
    /// A broker that refuses the login at once, or a file that cannot be written.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        let plan = Arc::clone(&self.plan);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut ever_connected = false;
        loop {
            let mut session = Session::default();
            let mut connected = false;
            let end = self.live(&mut session, &mut connected).await;
            if connected {
                plan.tally.connected.fetch_sub(1, Relaxed);
                ever_connected = true;
                backoff.reset();
            }
            let error = match end {
                End::Finished => return Ok(()),
                End::Failed(error) => return Err(error),
                End::Lost(error) => error,
            };
            if matches!(error, ConnectError::Refused { .. } | ConnectError::Unfit { .. })
                && !ever_connected
            {
                return Err(error.into());
            }
            self.lose(&mut session, connected, &error);
            tokio::select! {
                () = tokio::time::sleep(backoff.wait()) => {}
                () = plan.stop.cancelled() => {
                    let open = self.waiting.iter().filter(|(_, again)| *again);
                    let open: usize = open.map(|(message, _)| message.frames).sum();
                    add(&plan.tally.open, open);
                    return Ok(());
                }
            }
            if ever_connected {
                self.back_since = Some(Instant::now());
            }
        }
    }

    /// What was open comes again, before all else.
    fn lose(&mut self, session: &mut Session, connected: bool, error: &ConnectError) {
        let tally = &self.plan.tally;
        if connected {
            tally.lost.fetch_add(1, Relaxed);
        }
        if self.plan.outage_told.swap(true, Relaxed) {
            tracing::debug!(client_id = self.client_id, %error, "no connection");
        } else {
            let broker = self.plan.broker.url();
            tracing::warn!(%broker, client_id = self.client_id, %error, "no connection; trying until there is one");
        }
        for message in session.lost().into_iter().rev() {
            self.waiting.push_front((message, true));
        }
    }

    /// One connection from CONNECT to its end.
    async fn live(&mut self, session: &mut Session, connected: &mut bool) -> End {
        let plan = Arc::clone(&self.plan);
        let opened = tokio::select! {
            opened = v311::Connection::open(self.endpoint()) => opened,
            () = plan.stop.cancelled() => return End::Finished,
        };
        let mut wire = match opened {
            Ok(wire) => wire,
            Err(error) => return End::Lost(error),
        };
        *connected = true;
        plan.tally.connected.fetch_add(1, Relaxed);
        plan.tally.made.fetch_add(1, Relaxed);
        if plan.outage_told.swap(false, Relaxed) {
            tracing::info!(broker = %plan.broker.url(), "connected again");
        }
        wire.subscribe(&self.reply_topic());
        match self.exchange(session, &mut wire).await {
            Ok(()) => {}
            Err(end) => return end,
        }
        let open: usize = session.lost().iter().map(|message| message.frames).sum();
        add(&plan.tally.open, open);
        wire.close().await;
        End::Finished
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint {
            max_packet_bytes: MAX_PACKET_BYTES,
            keep_alive: KEEP_ALIVE,
            ..Endpoint::new(self.plan.broker.clone(), self.client_id.clone())
        }
    }

    /// Sends what is due, as fast as there is room, until the plan stops; then waits
    /// for what is unacknowledged, within reason.
    async fn exchange(
        &mut self,
        session: &mut Session,
        wire: &mut v311::Connection,
    ) -> Result<(), End> {
        let plan = Arc::clone(&self.plan);
        let mut unanswered = 0_u64;
        let mut last = None;
        while last.is_none() || session.open() > 0 {
            let has_room =
                session.open() < usize::from(plan.window) && wire.queued_bytes() < QUEUED_BYTES;
            tokio::select! {
                biased;
                () = plan.stop.cancelled(), if last.is_none() => {
                    last = Some(tokio::time::Instant::now() + LAST_WAIT);
                }
                () = sleep_until(last), if last.is_some() => return Ok(()),
                due = self.next_due(), if last.is_none() && has_room => {
                    due.map_err(End::Failed)?;
                    unanswered += self.send(session, wire);
                }
                heard = wire.next() => {
                    let done = match heard.map_err(End::Lost)? {
                        Heard::Message => {
                            // On a shared topic others' replies come too.
                            if unanswered > 0 {
                                unanswered -= 1;
                                plan.tally.replies.fetch_add(1, Relaxed);
                            }
                            None
                        }
                        Heard::Done(packet_id) => session.acknowledged(packet_id),
                        Heard::Something => None,
                    };
                    session.written(wire.written());
                    if let Some(sent) = done {
                        note(&plan, &sent).map_err(End::Failed)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Hands the next message to the connection; returns the pings in it.
    fn send(&mut self, session: &mut Session, wire: &mut v311::Connection) -> u64 {
        let Some((message, again)) = self.waiting.pop_front() else { return 0 };
        let payload = if self.plan.hex {
            Bytes::from(hex::encode_upper(&message.bytes))
        } else {
            Bytes::from(message.bytes.clone())
        };
        let topic = self.topic(&message);
        self.count(&message, again);
        let pings = u64::from(message.kind == Kind::Ping);
        let qos = self.plan.qos;
        let packet_id = if qos == Qos::AtMostOnce { 0 } else { session.free_id() };
        let end = wire.publish(packet_id, &topic, qos, payload);
        session.sent(message, packet_id, end, Instant::now());
        pings
    }

    /// Fills `waiting` with what the next tracker records, when it is due. Cancel-safe.
    async fn next_due(&mut self) -> anyhow::Result<()> {
        while self.waiting.is_empty() {
            let (index, _) = self.devices[self.place];
            let plan = &self.plan;
            let number = self.round * u64::from(plan.schedule.devices) + u64::from(index);
            let due = plan.pace.due(number).and_then(|due| plan.begun.checked_add(due));
            if let Some(due) = due.filter(|due| *due > Instant::now()) {
                tokio::time::sleep_until(due.into()).await;
            }
            let away = due.zip(self.back_since).is_some_and(|(due, back)| due < back);
            self.record(away)?;
        }
        Ok(())
    }

    /// Takes one tracker's turn. What it recorded while `away` comes from its memory.
    fn record(&mut self, away: bool) -> anyhow::Result<()> {
        let plan = &self.plan;
        let (index, device) = &self.devices[self.place];
        let mut messages = Vec::with_capacity(2);
        device.send(&plan.world, &plan.schedule, *index, self.round, &mut messages);
        for mut message in messages {
            if away {
                message.mark_historical();
            }
            if let Some(journal) = &plan.sent {
                journal.write(plan.clock.now_ms(), &message)?;
            }
            self.waiting.push_back((message, false));
        }
        self.place += 1;
        if self.place == self.devices.len() {
            self.place = 0;
            self.round += 1;
        }
        Ok(())
    }

    fn count(&self, message: &Message, again: bool) {
        let tally = &self.plan.tally;
        add(&tally.messages, 1);
        match (message.kind, again) {
            (Kind::Ping, _) => add(&tally.pings, 1),
            (Kind::Locations, false) => add(&tally.sent, message.frames),
            (Kind::Locations, true) => add(&tally.resent, message.frames),
        }
    }

    fn topic(&self, message: &Message) -> String {
        let shared = &self.plan.topic_messenger;
        if self.plan.own_topics { format!("{shared}/{}", message.device) } else { shared.clone() }
    }

    /// A tracker alone on its connection listens to its own replies; trackers
    /// behind a gateway share one topic.
    fn reply_topic(&self) -> String {
        let shared = &self.plan.topic_ping;
        match self.devices.as_slice() {
            [(_, device)] => format!("{shared}/{}", device.id),
            _ => shared.clone(),
        }
    }
}

async fn sleep_until(until: Option<tokio::time::Instant>) {
    if let Some(until) = until {
        tokio::time::sleep_until(until).await;
    }
}

/// Counts and notes an acknowledged message.
fn note(plan: &Plan, sent: &Sent) -> anyhow::Result<()> {
    plan.tally.waited(sent.at.elapsed());
    if sent.message.kind == Kind::Locations {
        add(&plan.tally.acknowledged, sent.message.frames);
    }
    match &plan.acknowledged {
        Some(journal) => journal.write(plan.clock.now_ms(), &sent.message),
        None => Ok(()),
    }
}
