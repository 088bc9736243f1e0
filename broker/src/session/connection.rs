//! The loop of one connection: waits for its socket, its mailbox, its router link
//! and its clocks, and handles each event. Decisions are in the files beside it.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use nemeses_protocol::TopicName;
use nemeses_runtime::Stop;
use tokio::time::{Instant, sleep_until};

use super::acks::Acks;
use super::end::End;
use super::greeting::Admitted;
use super::interrupts::{Interrupt, Interrupts};
use super::outgoing::Outgoing;
use super::presence::Presence;
use super::publish_span::Follow;
use super::turn::{Queued, Turn};
use super::watch::Watch;
use crate::message::Message;
use crate::net::{Progress, READ_BYTES, Wire};
use crate::packet::{ConnAck, Protocol, Reason, connack, decode, disconnect, measure};
use crate::pool::ALLOWANCE_BYTES;
use crate::rights::PublishRight;
use crate::rumqttd_router::{Heard, Listener, RouterDied};
use crate::shared::Shared;

/// A connection that owes its client more than this is not read, nor given more.
pub(super) const OUT_LIMIT_BYTES: usize = 256 * 1024;
/// How much of its allowance may come in one read.
const ALLOWANCE_READ_BYTES: usize = 2048;

/// One client's connection.
pub(super) struct Connection {
    pub(super) presence: Presence,
    pub(super) wire: Wire,
    pub(super) protocol: Protocol,
    pub(super) acks: Acks,
    pub(super) follow: Follow,
    /// Packet ids of QoS 2 that were not released yet.
    pub(super) received: BTreeSet<u16>,
    pub(super) outgoing: Outgoing,
    /// Messages that wait for room among the unacknowledged ones.
    pub(super) backlog: VecDeque<Queued>,
    pub(super) link: Option<Box<Listener>>,
    pub(super) client_packet_limit: usize,
    /// The last topic published on, with its class and the client's right to publish on it.
    pub(super) last_topic: Option<(Arc<str>, TopicName, PublishRight)>,
    packet_limit: usize,
    /// Whether the bytes that arrived together with CONNECT were decoded.
    begun: bool,
    will: Option<Box<Message>>,
    watch: Watch,
    /// Set when the listener closes: until then the connection waits for commits.
    draining_until: Option<Instant>,
}

enum Event {
    Wire(io::Result<Progress>),
    Mail,
    Heard(Result<Heard, RouterDied>),
    Room,
    Interrupt(Interrupt),
}

impl Connection {
    /// Welcomes a client that was entered.
    pub(super) fn new(presence: Presence, wire: Wire, admitted: Admitted) -> Self {
        let Admitted { protocol, role, keep_alive_s, .. } = admitted;
        let shared = Arc::clone(&presence.shared);
        let packet_limit = shared.packet_limit(role);
        let now = Instant::now();
        let mut connection = Self {
            presence,
            wire,
            protocol,
            acks: Acks::default(),
            follow: Follow::default(),
            received: BTreeSet::new(),
            outgoing: Outgoing::new(admitted.receive_maximum),
            backlog: VecDeque::new(),
            link: None,
            client_packet_limit: admitted.client_packet_limit,
            last_topic: None,
            packet_limit,
            begun: false,
            will: admitted.will.map(Box::new),
            watch: Watch::new(keep_alive_s, shared.config.write_deadline, now),
            draining_until: None,
        };
        let welcome = admitted.welcome;
        let ack = ConnAck {
            reason: Reason::SUCCESS,
            assigned_client_id: welcome.assigned_client_id.then_some(&*admitted.key.1),
            server_keep_alive_s: welcome.server_keep_alive_s,
            receive_maximum: shared.config.window_per_connection,
            maximum_packet_bytes: u32::try_from(packet_limit).unwrap_or(u32::MAX),
            session_ends: welcome.session_ends,
        };
        connack(&mut connection.wire.out, protocol, &ack);
        connection
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.presence.shared
    }

    /// Serves the client until something ends it.
    pub(super) async fn run(&mut self, stop: &Stop) -> End {
        match self.serve(stop).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn serve(&mut self, stop: &Stop) -> Result<Infallible, End> {
        let stops_intake = pin!(stop.intake.cancelled());
        let stops_all = pin!(stop.all.cancelled());
        let clock = pin!(sleep_until(Instant::now()));
        let mut interrupts = Interrupts::new(stops_intake, stops_all, clock);
        let mut took = false;
        self.process()?;
        loop {
            took |= self.write().await?;
            // Read once: room may become free between two reads without a notification.
            let has_room = self.shared().pool.has_room();
            let read_limit = self.read_limit(has_room);
            let now = Instant::now();
            self.watch.update(read_limit > 0, self.wire.owed_bytes() > 0, took, now);
            self.end_if_due(now)?;
            interrupts.come_at(self.deadline());
            let event = self.next_event(read_limit, !has_room, &mut interrupts).await;
            took = matches!(event, Event::Wire(Ok(Progress::Wrote)));
            self.handle(event)?;
        }
    }

    /// Writes what is owed before anything is waited for; whether the client took any.
    async fn write(&mut self) -> Result<bool, End> {
        let mut took = false;
        while self.wire.owed_bytes() > 0 {
            let held_back = self.wire.owed_bytes() > OUT_LIMIT_BYTES;
            if !self.wire.write_now().await.map_err(|_| End::Gone)? {
                break;
            }
            took = true;
            if held_back {
                self.go_on()?;
            }
        }
        Ok(took)
    }

    /// What happens in the mailbox, on the wire, at the router or in the pool, or
    /// seldom.
    async fn next_event(
        &mut self,
        read_limit: usize,
        pool_full: bool,
        interrupts: &mut Interrupts<'_, '_>,
    ) -> Event {
        let draining = self.draining_until.is_some();
        let can_hear = self.can_send() && !draining;
        let waits_for_room = read_limit == 0 && pool_full && !draining;
        let Self { presence, wire, link, .. } = self;
        let (pool, mailbox) = (&presence.shared.pool, &presence.mailbox);
        // The wait may be long, and the room gone when something comes.
        let limit_now = || match read_limit {
            limit if pool.has_room() => limit,
            limit => limit.min(ALLOWANCE_READ_BYTES),
        };
        // In this order: mail is bounded, while a client may always have more to
        // read; when it has, tokio's budget still lets the rest be looked at.
        let mut usual = poll_fn(|cx| {
            if mailbox.rang() {
                return Poll::Ready(Event::Mail);
            }
            if let Poll::Ready(progress) = wire.poll_progress(cx, limit_now) {
                return Poll::Ready(Event::Wire(progress));
            }
            if let Poll::Ready(interrupt) = interrupts.poll(cx, draining) {
                return Poll::Ready(Event::Interrupt(interrupt));
            }
            mailbox.poll_rang(cx).map(|()| Event::Mail)
        });
        let link = link.as_mut().filter(|_| can_hear);
        if link.is_none() && !waits_for_room {
            return usual.await;
        }
        let heard = async {
            match link {
                Some(link) => link.next().await,
                None => pending().await,
            }
        };
        tokio::select! {
            event = &mut usual => event,
            heard = heard => Event::Heard(heard),
            () = pool.room(), if waits_for_room => Event::Room,
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Wire(Ok(Progress::Read)) | Event::Room => self.process()?,
            Event::Wire(Ok(Progress::Ended) | Err(_)) => return Err(End::Gone),
            Event::Wire(Ok(Progress::Wrote)) => self.go_on()?,
            Event::Mail => self.open_mail()?,
            Event::Heard(Ok(heard)) => self.heard(heard),
            Event::Heard(Err(RouterDied)) | Event::Interrupt(Interrupt::StopAll) => {
                return Err(End::Stopping);
            }
            Event::Interrupt(Interrupt::StopIntake) => {
                let wait = self.shared().config.drain_deadline;
                self.draining_until = Some(Instant::now() + wait);
            }
            Event::Interrupt(Interrupt::Clock) => {}
        }
        Ok(())
    }

    /// With room to write, the mailbox and undecoded bytes are handled again.
    fn go_on(&mut self) -> Result<(), End> {
        self.open_mail()?;
        self.process()
    }

    /// How much to read now. Looked at before each read, never within one, so
    /// that everything that was read is answered.
    fn read_limit(&self, has_room: bool) -> usize {
        let window = usize::from(self.shared().config.window_per_connection);
        if self.draining_until.is_some()
            || self.wire.owed_bytes() > OUT_LIMIT_BYTES
            || self.acks.waiting_messages().max(self.acks.owed()) >= window
        {
            0
        } else if has_room {
            READ_BYTES
        } else if self.has_allowance() {
            ALLOWANCE_READ_BYTES
        } else {
            0
        }
    }

    fn has_allowance(&self) -> bool {
        let Shared { pool, config, .. } = &**self.shared();
        self.acks.waiting_bytes() <= ALLOWANCE_BYTES && pool.has_allowance(config.max_connections)
    }

    /// Whether the client can be given more.
    pub(super) fn can_send(&self) -> bool {
        self.wire.owed_bytes() <= OUT_LIMIT_BYTES
            && self.backlog.is_empty()
            && self.outgoing.has_room()
    }

    fn deadline(&self) -> Option<Instant> {
        let watched = self.watch.deadline().map(|(at, _)| at);
        watched.into_iter().chain(self.draining_until).min()
    }

    fn end_if_due(&self, now: Instant) -> Result<(), End> {
        if let Some(until) = self.draining_until {
            let drained = self.acks.waiting_messages() == 0 && self.wire.owed_bytes() == 0;
            if drained || until <= now {
                return Err(End::Stopping);
            }
        }
        match self.watch.deadline() {
            Some((at, end)) if at <= now => Err(end),
            _ => Ok(()),
        }
    }

    /// Decodes all complete packets of the read buffer; stops when the client requests more
    /// than it reads.
    fn process(&mut self) -> Result<(), End> {
        if self.wire.unread.is_empty() || self.draining_until.is_some() {
            return Ok(());
        }
        // CONNECT was read without asking for room for what comes behind it.
        self.begun = self.begun || self.read_limit(self.shared().pool.has_room()) > 0;
        if !self.begun {
            return Ok(());
        }
        let unread = std::mem::take(&mut self.wire.unread);
        let (mut turn, mut at) = (Turn::default(), 0);
        let outcome = loop {
            if self.wire.owed_bytes() > OUT_LIMIT_BYTES {
                break Ok(());
            }
            let rest = &unread[at..];
            let packet = match measure(rest, self.packet_limit) {
                Ok(Some(bytes)) if rest.len() >= bytes => &rest[..bytes],
                Ok(_) => break Ok(()),
                Err(error) => break Err(End::from(error)),
            };
            at += packet.len();
            let decoded = decode(self.protocol, packet).map_err(End::from);
            if let Err(end) = decoded.and_then(|packet| self.packet(packet, &mut turn)) {
                break Err(end);
            }
        };
        if at > 0 {
            self.watch.heard(Instant::now());
        }
        self.hand_over(turn);
        self.wire.put_back(unread, at);
        self.acknowledge();
        outcome
    }

    fn open_mail(&mut self) -> Result<(), End> {
        let mail = self.presence.mailbox.empty(self.can_send());
        for resolved in mail.resolved {
            if !resolved.committed {
                self.shared().metrics().not_kept.inc();
                return Err(End::NotKept);
            }
            self.acks.committed(resolved.batch);
        }
        self.acknowledge();
        for delivery in mail.deliveries {
            self.deliver(delivery);
        }
        mail.dismissed.map_or(Ok(()), |why| Err(End::from(why)))
    }

    /// Leaves, publishes the will if it is due, says goodbye and closes.
    pub(super) async fn finish(self, end: End) {
        let Self { presence, mut wire, protocol, link, will, outgoing, backlog, .. } = self;
        let (shared, role) = (Arc::clone(&presence.shared), presence.role);
        // What was on its way may go to the client's next connection at once.
        drop((presence, link, outgoing, backlog));
        if let Some(will) = will.filter(|_| end.publishes_will()) {
            shared.publish_will(role, *will);
        }
        if let Some(reason) = end.reason() {
            disconnect(&mut wire.out, protocol, reason);
        }
        if !matches!(end, End::Gone | End::Stuck) {
            wire.close().await;
        }
    }
}
