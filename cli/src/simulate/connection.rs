//! One MQTT connection with its trackers: sends what is due, pairs
//! acknowledgements, and after a loss comes back with a fresh event loop and
//! what was not acknowledged.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nemeses_runtime::{Backoff, Clock};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, Incoming, MqttOptions,
    Outgoing, QoS,
};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::device::{Device, Kind, Message, Schedule};
use super::journal::Journal;
use super::pace::Pace;
use super::session::{Sent, Session};
use super::tally::{Tally, add};
use super::world::World;
use crate::config::MqttUrl;

/// Largest packet in either direction; a burst of 100 frames as hex has 7 KB.
const MAX_PACKET_BYTES: usize = 256 * 1024;
/// How long acknowledgements are waited for at the end.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// How long the farewell may take.
const GOODBYE: Duration = Duration::from_secs(1);
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What all connections share.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) broker: MqttUrl,
    pub(super) login: Option<(String, String)>,
    pub(super) schedule: Schedule,
    pub(super) pace: Pace,
    pub(super) world: World,
    pub(super) qos: QoS,
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
    Lost(ConnectionError),
    /// A file cannot be written.
    Failed(anyhow::Error),
}

/// What the two halves of a living connection share.
struct Life {
    session: Mutex<Session>,
    /// Messages that may yet be sent before an acknowledgement must come.
    room: Semaphore,
    /// Pings without a reply yet.
    unanswered: AtomicU64,
    connected: Notify,
    emptied: Notify,
}

impl Life {
    fn new(window: u16) -> Self {
        Self {
            session: Mutex::default(),
            room: Semaphore::new(usize::from(window)),
            unanswered: AtomicU64::new(0),
            connected: Notify::new(),
            emptied: Notify::new(),
        }
    }
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
            let life = Life::new(plan.window);
            let mut connected = false;
            let end = self.live(&life, &mut connected).await;
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
            if let (ConnectionError::ConnectionRefused(code), false) = (&error, ever_connected)
                && is_final(*code)
            {
                anyhow::bail!(
                    "{} refuses {}: {code:?}; is the login right?",
                    plan.broker,
                    self.client_id
                );
            }
            self.lose(&life, connected, &error);
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
    fn lose(&mut self, life: &Life, connected: bool, error: &ConnectionError) {
        let tally = &self.plan.tally;
        if connected {
            tally.lost.fetch_add(1, Relaxed);
        }
        if self.plan.outage_told.swap(true, Relaxed) {
            tracing::debug!(client_id = self.client_id, %error, "no connection");
        } else {
            let broker = &self.plan.broker;
            tracing::warn!(%broker, client_id = self.client_id, %error, "no connection; trying until there is one");
        }
        for message in lock(&life.session).lost().into_iter().rev() {
            self.waiting.push_front((message, true));
        }
    }

    /// One connection from CONNECT to its end.
    async fn live(&mut self, life: &Life, connected: &mut bool) -> End {
        let plan = Arc::clone(&self.plan);
        let capacity = usize::from(plan.window) + 2;
        let (client, mut events) = AsyncClient::new(self.options(), capacity);
        let ended = tokio::select! {
            end = listen(&plan, life, &mut events, connected) => Some(end),
            sent = self.send(&client, life) => match sent {
                Ok(()) => None,
                Err(error) => Some(End::Failed(error)),
            },
        };
        if let Some(end) = ended {
            return end;
        }
        let waited = async {
            let finish = async {
                while lock(&life.session).open() > 0 {
                    life.emptied.notified().await;
                }
            };
            tokio::select! {
                end = listen(&plan, life, &mut events, connected) => Some(end),
                () = finish => None,
            }
        };
        if let Ok(Some(End::Failed(error))) = tokio::time::timeout(LAST_WAIT, waited).await {
            return End::Failed(error);
        }
        let open: usize = lock(&life.session).lost().iter().map(|message| message.frames).sum();
        add(&plan.tally.open, open);
        if client.try_disconnect().is_ok() {
            let goodbye = async { while events.poll().await.is_ok() {} };
            // A broker that does not hear the farewell sees the connection close.
            let _ = tokio::time::timeout(GOODBYE, goodbye).await;
        }
        End::Finished
    }

    fn options(&self) -> MqttOptions {
        let plan = &self.plan;
        let mut options =
            MqttOptions::new(&self.client_id, plan.broker.host.clone(), plan.broker.port);
        options.set_keep_alive(KEEP_ALIVE);
        options.set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES);
        options.set_inflight(plan.window);
        if let Some((user, password)) = &plan.login {
            options.set_credentials(user, password);
        }
        options
    }

    /// Subscribes, then sends what is due, as fast as there is room. Returns
    /// when the plan stops.
    async fn send(&mut self, client: &AsyncClient, life: &Life) -> anyhow::Result<()> {
        let plan = Arc::clone(&self.plan);
        let stopped = async {
            plan.stop.cancelled().await;
            Ok(())
        };
        tokio::select! {
            done = self.send_on(client, life) => done,
            done = stopped => done,
        }
    }

    async fn send_on(&mut self, client: &AsyncClient, life: &Life) -> anyhow::Result<()> {
        life.connected.notified().await;
        if client.subscribe(self.reply_topic(), QoS::AtMostOnce).await.is_err() {
            return std::future::pending().await;
        }
        loop {
            self.next_due().await?;
            // Room first, and no waiting from taking the message to queueing it:
            // a future dropped in between would lose it.
            let Ok(room) = life.room.acquire().await else { return Ok(()) };
            let Some((message, again)) = self.waiting.pop_front() else { continue };
            room.forget();
            let payload = if self.plan.hex {
                hex::encode_upper(&message.bytes).into()
            } else {
                message.bytes.clone()
            };
            let topic = self.topic(&message);
            self.count(&message, again);
            if message.kind == Kind::Ping {
                life.unanswered.fetch_add(1, Relaxed);
            }
            lock(&life.session).queue(message, Instant::now());
            // The channel holds more requests than the window: there is a place.
            if client.try_publish(topic, self.plan.qos, false, payload).is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Fills `waiting` with what the next tracker records, when it is due.
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

/// Whether another attempt would end the same way.
fn is_final(code: ConnectReturnCode) -> bool {
    matches!(
        code,
        ConnectReturnCode::BadUserNamePassword
            | ConnectReturnCode::NotAuthorized
            | ConnectReturnCode::BadClientId
            | ConnectReturnCode::RefusedProtocolVersion
    )
}

/// Polls until the connection is lost.
async fn listen(plan: &Plan, life: &Life, events: &mut EventLoop, connected: &mut bool) -> End {
    loop {
        let event = match events.poll().await {
            Ok(event) => event,
            Err(error) => return End::Lost(error),
        };
        let done = match event {
            Event::Incoming(Incoming::ConnAck(_)) => {
                *connected = true;
                plan.tally.connected.fetch_add(1, Relaxed);
                plan.tally.made.fetch_add(1, Relaxed);
                if plan.outage_told.swap(false, Relaxed) {
                    tracing::info!(broker = %plan.broker, "connected again");
                }
                life.connected.notify_one();
                None
            }
            Event::Incoming(Incoming::Publish(_)) => {
                // On a shared topic others' replies come too.
                let fewer = |open: u64| open.checked_sub(1);
                if life.unanswered.fetch_update(Relaxed, Relaxed, fewer).is_ok() {
                    plan.tally.replies.fetch_add(1, Relaxed);
                }
                None
            }
            Event::Outgoing(Outgoing::Publish(packet_id)) => {
                let sent = lock(&life.session).written(packet_id);
                sent.inspect(|_| life.room.add_permits(1))
            }
            Event::Incoming(Incoming::PubAck(ack)) => acknowledged(plan, life, ack.pkid),
            Event::Incoming(Incoming::PubComp(done)) => acknowledged(plan, life, done.pkid),
            _ => None,
        };
        let Some(sent) = done else { continue };
        if let Err(error) = note(plan, &sent) {
            return End::Failed(error);
        }
        life.emptied.notify_one();
    }
}

fn acknowledged(plan: &Plan, life: &Life, packet_id: u16) -> Option<Sent> {
    let sent = lock(&life.session).acknowledged(packet_id)?;
    life.room.add_permits(1);
    plan.tally.waited(sent.at.elapsed());
    Some(sent)
}

/// Notes an acknowledged message; at QoS 0 being written is all there is.
fn note(plan: &Plan, sent: &Sent) -> anyhow::Result<()> {
    if plan.qos == QoS::AtMostOnce {
        return Ok(());
    }
    if sent.message.kind == Kind::Locations {
        add(&plan.tally.acknowledged, sent.message.frames);
    }
    match &plan.acknowledged {
        Some(journal) => journal.write(plan.clock.now_ms(), &sent.message),
        None => Ok(()),
    }
}

/// A session is consistent between calls, so a poisoned lock may be used on.
fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}
