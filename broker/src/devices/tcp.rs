//! One device's connection from its first byte to its last.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use nemeses_protocol::Identity;
use nemeses_runtime::Stop;
use tokio::time::{Instant, sleep_until};

use super::commands::Asking;
use super::{DeviceSession, DeviceTaken};
use crate::auth::Role;
use crate::batches::Batches;
use crate::handshakes::Handshake;
use crate::intake::Receipt;
use crate::mailbox::Dismissed;
use crate::net::{Progress, READ_BYTES, Wire};
use crate::pool::{ALLOWANCE_BYTES, Room};
use crate::session::Presence;
use crate::shared::{MESSAGE_OVERHEAD_BYTES, Shared};

/// Bytes of one connection that may wait for their commit: it is not read while there are more.
/// Some hundred packets of a tracker, which as a rule waits for each answer.
const WINDOW_BYTES: usize = 256 * 1024;
/// How much may come in one read while the room of all is taken.
const ALLOWANCE_READ_BYTES: usize = 2048;
/// What is there may be whole when nothing followed for so long.
const REST: Duration = Duration::from_millis(200);
/// So much of a frame whose end is missing is held without taking room of all.
const FREE_BYTES: usize = 2048;

/// Why a connection ended: a word in the metric.
type End = &'static str;

struct Connection<'a> {
    shared: &'a Arc<Shared>,
    protocol: &'static str,
    wire: Wire,
    session: Box<dyn DeviceSession>,
    /// Until it has said who it is.
    handshake: Option<Handshake>,
    /// Its entry among the clients, since it has said who it is.
    presence: Option<(Identity, Presence)>,
    /// Whether it gets commands: since its device has a number.
    gets_commands: bool,
    asking: Asking,
    batches: Batches,
    /// What is answered after each batch, in their order.
    owed: VecDeque<(u64, Vec<u8>)>,
    /// Of a frame whose end is missing.
    held: Option<Room>,
    /// Since when an end is missing.
    partial_since: Option<Instant>,
    /// When what is there may be whole; `None` once that was tried.
    rests_at: Option<Instant>,
    last_heard: Instant,
    /// Since when bytes wait that the device does not take.
    stuck_since: Option<Instant>,
    draining_until: Option<Instant>,
    /// Why it ends when what was taken is answered.
    ends: End,
}

/// Serves a device until its connection ends.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    protocol: &'static str,
    wire: Wire,
    handshake: Handshake,
    stop: &Stop,
) {
    let Some(devices) = &shared.devices else { return };
    let mut connection = Connection {
        shared,
        protocol,
        wire,
        session: devices.connect(protocol),
        handshake: Some(handshake),
        presence: None,
        gets_commands: false,
        asking: Asking::default(),
        batches: Batches::default(),
        owed: VecDeque::new(),
        held: None,
        partial_since: None,
        rests_at: None,
        last_heard: Instant::now(),
        stuck_since: None,
        draining_until: None,
        ends: "stopping",
    };
    let end = connection.run(stop).await;
    let Connection { presence, wire, .. } = connection;
    match presence {
        Some(presence) => {
            shared.metrics().ended(end);
            drop(presence);
        }
        None => shared.metrics().refused(end),
    }
    if !matches!(end, "gone" | "stuck" | "crowded_out") {
        wire.close().await;
    }
}

impl Connection<'_> {
    async fn run(&mut self, stop: &Stop) -> End {
        let mut stops_intake = pin!(stop.intake.cancelled());
        let mut stops_all = pin!(stop.all.cancelled());
        let mut clock = pin!(sleep_until(Instant::now()));
        loop {
            if let Err(end) = self.write().await {
                return end;
            }
            let now = Instant::now();
            if self.rests_at.is_some_and(|at| at <= now) {
                self.rests_at = None;
                if let Err(end) = self.process(true) {
                    return end;
                }
                continue;
            }
            if let Some(end) = self.due(now) {
                return end;
            }
            self.asking.give_up(now);
            if self.ask() {
                continue;
            }
            let deadline = self.deadline();
            clock.as_mut().reset(deadline);
            let has_room = self.shared.pool.has_room();
            let limit = self.read_limit(has_room);
            let waits_for_room = limit == 0 && !has_room && self.draining_until.is_none();
            let draining = self.draining_until.is_some();
            let mailbox = self.presence.as_ref().map(|(_, presence)| Arc::clone(&presence.mailbox));
            let Self { wire, handshake, shared, .. } = self;
            let crowded_out = async {
                match handshake {
                    Some(handshake) => handshake.crowded_out().await,
                    None => pending().await,
                }
            };
            let usual = poll_fn(|cx| {
                if let Some(mailbox) = &mailbox
                    && mailbox.poll_rang(cx).is_ready()
                {
                    return Poll::Ready(None);
                }
                wire.poll_progress(cx, || limit).map(Some)
            });
            tokio::select! {
                biased;
                event = usual => {
                    let outcome = match event {
                        None => self.open_mail(),
                        Some(progress) => self.progressed(progress.ok()),
                    };
                    if let Err(end) = outcome {
                        return end;
                    }
                }
                () = &mut stops_all => return "stopping",
                () = &mut stops_intake, if !draining => {
                    self.draining_until = Some(Instant::now() + self.shared.config.drain_deadline);
                }
                () = shared.pool.room(), if waits_for_room => {}
                () = crowded_out => return "crowded_out",
                () = &mut clock => {}
            }
        }
    }

    async fn write(&mut self) -> Result<(), End> {
        while self.wire.owed_bytes() > 0 {
            if !self.wire.write_now().await.map_err(|_| "gone")? {
                self.stuck_since.get_or_insert_with(Instant::now);
                return Ok(());
            }
            self.stuck_since = None;
        }
        self.stuck_since = None;
        Ok(())
    }

    /// How much to read now. Looked at before each read, so that all that was read is answered.
    fn read_limit(&self, has_room: bool) -> usize {
        let Shared { pool, config, .. } = &**self.shared;
        let waiting = self.batches.waiting_bytes();
        if self.draining_until.is_some() || self.wire.owed_bytes() > 0 || waiting > WINDOW_BYTES {
            0
        } else if has_room {
            READ_BYTES
        } else if waiting <= ALLOWANCE_BYTES && pool.has_allowance(config.max_connections) {
            ALLOWANCE_READ_BYTES
        } else {
            0
        }
    }

    /// Whether time is up for something, and for what.
    fn due(&self, now: Instant) -> Option<End> {
        if let Some(until) = self.draining_until
            && (until <= now || self.owed.is_empty() && self.batches.waiting_messages() == 0)
        {
            return Some(self.ends);
        }
        self.deadlines().into_iter().flatten().find(|(at, _)| *at <= now).map(|(_, end)| end)
    }

    fn deadline(&self) -> Instant {
        let deadlines = self.deadlines().into_iter().flatten().map(|(at, _)| at);
        let deadlines = deadlines.chain(self.draining_until).chain(self.rests_at);
        let deadlines = deadlines.chain(self.asking.deadline());
        deadlines.min().unwrap_or_else(|| Instant::now() + self.shared.config.device_silence)
    }

    fn deadlines(&self) -> [Option<(Instant, End)>; 3] {
        let config = &self.shared.config;
        let silent = if self.presence.is_some() {
            (self.last_heard + config.device_silence, "keep_alive")
        } else {
            (self.last_heard + config.connect_deadline, "connect_deadline")
        };
        // While we do not read, silence is not the device's.
        let waits = self.batches.waiting_messages() > 0;
        [
            (!waits).then_some(silent),
            self.partial_since.map(|since| (since + config.write_deadline, "incomplete")),
            self.stuck_since.map(|since| (since + config.write_deadline, "stuck")),
        ]
    }

    fn progressed(&mut self, progress: Option<Progress>) -> Result<(), End> {
        match progress {
            Some(Progress::Read) => self.process(false),
            Some(Progress::Wrote) => {
                self.stuck_since = None;
                Ok(())
            }
            Some(Progress::Ended) | None => Err("gone"),
        }
    }

    /// Takes all whole frames out of what was read.
    fn process(&mut self, at_rest: bool) -> Result<(), End> {
        let unread = std::mem::take(&mut self.wire.unread);
        let taken = self.session.take(&unread, at_rest);
        let DeviceTaken { used, reply, acknowledgement, identity, frames, keeps, lost, .. } = taken;
        // Who it is must be clear before anything is handed over: a receipt needs a mailbox.
        let entered = identity.map_or(Ok(()), |identity| self.enter(identity));
        if frames > 0 {
            self.last_heard = Instant::now();
            self.shared.metrics().devices.frames(self.protocol, frames);
        }
        self.asking.answered(taken.answers);
        self.listen_for_commands();
        self.wire.out.extend(reply);
        if keeps {
            self.keep(used, acknowledgement);
        }
        self.wire.put_back(unread, used);
        self.hold_partial(used > 0);
        let is_partial = !at_rest && !self.wire.unread.is_empty();
        self.rests_at = is_partial.then(|| Instant::now() + REST);
        entered?;
        match lost {
            Some(reason) => {
                tracing::debug!(
                    protocol = self.protocol,
                    reason,
                    "a device's connection is closed"
                );
                // What was good is answered first.
                self.ends = "protocol";
                self.draining_until = Some(Instant::now() + self.shared.config.drain_deadline);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Enters the device among the clients; an earlier connection of it is told to go.
    fn enter(&mut self, identity: Identity) -> Result<(), End> {
        if self.presence.as_ref().is_some_and(|(known, _)| *known == identity) {
            return Ok(());
        }
        self.handshake = None;
        // No client id of MQTT has a NUL in it, and no login is empty but for anonymous clients.
        let key = ("".into(), format!("\0{} {identity}", self.protocol).into());
        let number = self.shared.hub.next_connection();
        let presence = Presence::enter(self.shared, number, key, (Role::Anonymous, 0));
        let presence = presence.map_err(|_| "connection_limit")?;
        self.presence = Some((identity, presence));
        Ok(())
    }

    /// Gets the device's commands as soon as the device has a number, which a new one has
    /// after its first commit.
    fn listen_for_commands(&mut self) {
        if let Some((identity, presence)) = self.presence.as_mut().filter(|_| !self.gets_commands)
            && let Some(device) = self.shared.config.topics.names.number(identity)
        {
            presence.take_commands_of(device);
            self.gets_commands = true;
        }
    }

    /// Puts the next command behind what is to be written, unless one is not answered yet or the
    /// end is near; whether there is one.
    fn ask(&mut self) -> bool {
        if self.draining_until.is_some() {
            return false;
        }
        let bytes = self.asking.next(&mut *self.session, Instant::now());
        let asks = !bytes.is_empty();
        self.wire.out.extend(bytes);
        asks
    }

    fn keep(&mut self, bytes: usize, acknowledgement: Vec<u8>) {
        let weight = bytes + acknowledgement.len() + MESSAGE_OVERHEAD_BYTES;
        let room = self.shared.pool.take(weight);
        let Some((_, presence)) = &self.presence else {
            // Rubbish of nobody is kept all the same.
            return self.session.commit(Receipt::for_nobody(room));
        };
        let batch = self.batches.open(1, weight);
        self.owed.push_back((batch, acknowledgement));
        self.session.commit(Receipt::for_connection(Arc::clone(&presence.mailbox), batch, room));
    }

    /// What is held of a frame whose end is missing counts for the room of all, and has a
    /// deadline.
    fn hold_partial(&mut self, begins_anew: bool) {
        let unread = self.wire.unread.len();
        if unread == 0 {
            (self.partial_since, self.held) = (None, None);
            return;
        }
        if begins_anew {
            self.partial_since = None;
        }
        self.partial_since.get_or_insert_with(Instant::now);
        match &mut self.held {
            Some(room) => room.grow_to(unread),
            None if unread > FREE_BYTES => self.held = Some(self.shared.pool.take(unread)),
            None => {}
        }
    }

    fn open_mail(&mut self) -> Result<(), End> {
        let Some((_, presence)) = &self.presence else { return Ok(()) };
        let mail = presence.mailbox.empty(true);
        self.asking.accept(mail.deliveries);
        for resolved in mail.resolved {
            if !resolved.committed {
                self.shared.metrics().not_kept.inc();
                return Err("not_kept");
            }
            self.batches.committed(resolved.batch);
        }
        while let Some((batch, _)) = self.owed.front()
            && self.batches.is_kept(*batch)
            && let Some((_, acknowledgement)) = self.owed.pop_front()
        {
            if !acknowledgement.is_empty() {
                self.shared.metrics().devices.acknowledged(self.protocol);
                self.wire.out.extend(acknowledgement);
            }
        }
        self.last_heard = Instant::now();
        match mail.dismissed {
            Some(Dismissed::TakenOver) => Err("taken_over"),
            Some(Dismissed::Revoked) => Err("revoked"),
            None => Ok(()),
        }
    }
}
