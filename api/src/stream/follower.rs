//! One client's way through the window: it waits for something to send, takes
//! what passes its filter and writes it as the client reads it.
//!
//! Memory of a client: one text of at most 64 KiB here and once more in
//! the socket's buffer, and pointers of 32 bytes to the events that wait for a
//! slow or paced client, at most some three a device (10 000 devices: 1 MB).

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use nemeses_protocol::DeviceId;
use tokio::sync::watch;
use tokio::time::Instant;

use super::StreamState;
use super::event::{Event, EventKind};
use super::holder::Holder;
use super::hub::{Hub, News, Place};
use super::id::EventId;
use super::pace::Pace;
use super::query::{From, Wanted};
use super::service::Hello;
use super::shares::Full;
use super::status::Status;
use super::values::Among;
use super::window::{Chunk, MISSED, Start};
use super::writer::EventWriter;
use crate::access::{Principal, Reach, Right};
use crate::problem::{Kind, Problem};

/// Between two texts of a client that keeps up: what comes meanwhile travels
/// together, at most 20 texts a second.
const BETWEEN_TEXTS: Duration = Duration::from_millis(50);
/// Seconds without anything sent after which a heartbeat is. A client that misses two
/// knows within 10 s that it is cut off; 10 000 idle clients are 2 500 short texts/s.
const HEARTBEAT_S: u32 = 4;
const HEARTBEAT: Duration = Duration::from_secs(HEARTBEAT_S as u64);
/// How often rights are read again.
const RIGHTS_EVERY: Duration = Duration::from_secs(2);
/// Events that a client may be behind before it gets only the newest of each
/// device. A client that keeps up at 10 000 positions/s is never more than 500 behind.
const BEHIND: u64 = 5_000;

/// Why the server ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Revoked,
    SlowClient,
    ShuttingDown,
    Expired,
}

impl Reason {
    const fn word(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::SlowClient => "slow_client",
            Self::ShuttingDown => "shutting_down",
            Self::Expired => "expired",
        }
    }
}

/// What to send next.
#[derive(Debug)]
pub(crate) enum Turn<S> {
    More(S),
    /// The last of it.
    End(S),
}

/// An event that waits to be written.
enum Waiting {
    /// As it is, with its number in the window.
    Event(u64, Arc<Event>),
    /// Where a device stood when the stream began.
    Standing(Arc<Event>, Status),
    /// What a device's channels say at the time of writing.
    Values(DeviceId),
}

pub(crate) struct Follower<W> {
    state: StreamState,
    hub: Arc<Hub>,
    holder: Holder,
    caller: Principal,
    wanted: Wanted,
    pace: Option<Pace>,
    news: watch::Receiver<News>,
    gaps: u64,
    /// The next event to look at.
    number: u64,
    /// Everything up to here was sent, or is not for this client.
    id: EventId,
    waiting: VecDeque<Waiting>,
    writer: W,
    sent_at: Option<Instant>,
    heartbeat_at: Instant,
    rights_at: Instant,
    ended: Option<Reason>,
    _place: Place,
}

impl<W: EventWriter> Follower<W> {
    /// Begins a stream. The writer is told whether the client may see totals over the past.
    ///
    /// # Errors
    /// `Busy` when there are too many already, `TooManyAtOnce` when the holder has.
    pub(crate) async fn begin(
        state: &StreamState,
        holder: Holder,
        caller: Principal,
        wanted: Wanted,
        writer: impl FnOnce(bool) -> W,
    ) -> Result<Self, Problem> {
        let hub = Arc::clone(&state.hub);
        let place = hub.place(&holder).map_err(full)?;
        let news = hub.news();
        let gaps = news.borrow().gaps;
        let now = Instant::now();
        let totals = !matches!(caller.reach(), Reach::Now { .. });
        let mut follower = Self {
            state: state.clone(),
            holder,
            caller,
            pace: wanted.period_ms.map(Pace::new),
            wanted,
            news,
            gaps,
            number: 0,
            id: EventId::default(),
            waiting: VecDeque::new(),
            writer: writer(totals),
            sent_at: None,
            heartbeat_at: now + HEARTBEAT,
            // Spread, so that a thousand that come at once do not ask at once for ever.
            rights_at: now + RIGHTS_EVERY.mul_f64(0.5 + f64::from(spread()) / 512.0),
            ended: None,
            _place: place,
            hub,
        };
        follower.greet().await;
        Ok(follower)
    }

    /// Says hello and puts in line what the client asked to begin with.
    async fn greet(&mut self) {
        let standing = if self.wanted.snapshot { Some(self.hub.standing().await) } else { None };
        let start = {
            let window = self.hub.window();
            match (self.wanted.from, &standing) {
                (From::Now, Some((_, start))) => *start,
                (From::Now, None) => window.now(),
                (From::Behind(id), _) => window.behind(id),
                (From::PastMs(past_ms), _) => {
                    window.since(self.hub.clock.now_ms().saturating_sub(past_ms.into()))
                }
                (From::Last(last), _) => window.last_of(last, |event| {
                    event.kind == EventKind::Position
                        && self.wanted.filter.passes(&self.caller, event)
                }),
            }
        };
        let Start { mut number, mut id, gap } = start;
        // A link shows nothing of before it was made, or of before the moment it names.
        if let Some(since_ms) = self.caller.reach().since_ms() {
            let first = self.hub.window().since(since_ms);
            if first.number > number {
                (number, id) = (first.number, first.id);
            }
        }
        (self.number, self.id) = (number, id);
        self.say_hello(gap);
        let standing = standing.map(|(standing, _)| standing).unwrap_or_default();
        let passing =
            standing.into_iter().filter(|one| self.wanted.filter.passes(&self.caller, &one.event));
        self.waiting = passing.map(|one| Waiting::Standing(one.event, one.status)).collect();
        if self.wanted.snapshot && self.wanted.filter.channels.among != Among::None {
            self.waiting.extend(self.hub.with_values().into_iter().map(Waiting::Values));
        }
    }

    fn say_hello(&mut self, gap: Option<&'static str>) {
        let at_ms = self.hub.clock.now_ms();
        self.writer.hello(self.id, Hello { heartbeat_s: HEARTBEAT_S, gap, at_ms });
    }

    /// What to send next, when there is something. May be dropped while it waits
    /// and called again. Not to be called after the end.
    pub(crate) async fn next(&mut self) -> Turn<W::Sent> {
        loop {
            if self.hub.closing.is_cancelled() {
                return self.end(Reason::ShuttingDown);
            }
            if Instant::now() >= self.rights_at
                && let Err(reason) = self.read_rights().await
            {
                return self.end(reason);
            }
            if let Err(reason) = self.collect() {
                return self.end(reason);
            }
            if let Some(written) = self.writer.take() {
                self.sent_at = Some(Instant::now());
                self.heartbeat_at = Instant::now() + HEARTBEAT;
                return Turn::More(written);
            }
            self.wait().await;
        }
    }

    /// A text must be taken within this.
    pub(crate) fn takes_within(&self) -> Duration {
        self.state.config.stream_stall
    }

    /// The last text was taken too slowly, or not at all.
    pub(crate) fn too_slow(&mut self) -> Turn<W::Sent> {
        self.end(Reason::SlowClient)
    }

    /// Why it is over, once the end was said.
    pub(crate) const fn ended(&self) -> Option<Reason> {
        self.ended
    }

    fn end(&mut self, reason: Reason) -> Turn<W::Sent> {
        self.ended = Some(reason);
        self.hub.counts.ended.get_or_create(&[("reason", reason.word())]).inc();
        self.writer.end(reason.word());
        Turn::End(self.writer.take().unwrap_or_default())
    }

    /// Waits until there may be something to do, but lets what comes at once gather.
    async fn wait(&mut self) {
        let paced = self.pace.as_ref().and_then(Pace::due_at_ms).map(|due_ms| {
            let wait_ms = due_ms.saturating_sub(self.hub.clock.now_ms());
            Instant::now() + Duration::from_millis(wait_ms.max(1))
        });
        let wake = [Some(self.heartbeat_at), Some(self.rights_at), paced];
        let wake = wake.into_iter().flatten().min().unwrap_or(self.heartbeat_at);
        let (number, gaps) = (self.number, self.gaps);
        let closing = self.hub.closing.clone();
        let news = async {
            // The hub outlives its clients.
            let _ = self.news.wait_for(|news| news.end > number || news.gaps > gaps).await;
            if let Some(sent_at) = self.sent_at {
                tokio::time::sleep_until(sent_at + BETWEEN_TEXTS).await;
            }
        };
        tokio::select! {
            () = closing.cancelled() => {}
            () = tokio::time::sleep_until(wake) => {}
            () = news => {}
        }
    }

    async fn read_rights(&mut self) -> Result<(), Reason> {
        self.rights_at = Instant::now() + RIGHTS_EVERY;
        if self.hub.clock.now_ms() / 1000 >= self.holder.expires_at {
            return Err(Reason::Expired);
        }
        // Known for minutes while the database is down, as for any request; then over.
        let Holder { user_id, credential, .. } = self.holder;
        let standing = self.state.standing(user_id, credential).await;
        self.caller = Principal::User(standing.map_err(|_| Reason::Revoked)?);
        self.caller.must(Right::Stream).map_err(|_| Reason::Revoked)
    }

    /// Writes what there is, as far as a text goes.
    fn collect(&mut self) -> Result<(), Reason> {
        let News { gaps, end } = *self.news.borrow_and_update();
        if gaps > self.gaps {
            self.begin_anew(gaps);
        }
        if end.saturating_sub(self.number) > BEHIND {
            self.thin()?;
        }
        self.write_waiting();
        if self.waiting.is_empty() && self.writer.has_room() {
            self.write_new()?;
        }
        self.write_due();
        if self.writer.is_empty() && Instant::now() >= self.heartbeat_at {
            let at_ms = self.hub.clock.now_ms();
            self.writer.heartbeat(self.resume_id(), at_ms);
        }
        Ok(())
    }

    /// A part of the store's stream was missed: the client is told where it is now.
    fn begin_anew(&mut self, gaps: u64) {
        self.gaps = gaps;
        let Start { number, id, .. } = self.hub.window().all(None);
        if number >= self.number {
            (self.number, self.id) = (number, id);
        }
        self.say_hello(Some(MISSED));
    }

    fn chunks(&self) -> Result<Vec<Arc<Chunk>>, Reason> {
        self.hub.window().from(self.number).ok_or(Reason::SlowClient)
    }

    /// Takes all that is behind, of positions only the newest of each device, and of values
    /// what they are then.
    fn thin(&mut self) -> Result<(), Reason> {
        let chunks = self.chunks()?;
        let mut newest: HashMap<DeviceId, u64> = HashMap::new();
        let mut valued: BTreeSet<DeviceId> = BTreeSet::new();
        let mut line: VecDeque<Waiting> = std::mem::take(&mut self.waiting);
        for chunk in &chunks {
            for (number, event) in numbered(chunk, self.number) {
                if self.wanted.filter.passes(&self.caller, event) {
                    line.push_back(Waiting::Event(number, Arc::clone(event)));
                }
            }
        }
        for waiting in &line {
            match waiting {
                Waiting::Event(number, event) if event.kind == EventKind::Position => {
                    newest.insert(event.device, *number);
                }
                Waiting::Event(_, event) if event.kind == EventKind::Values => {
                    valued.insert(event.device);
                }
                Waiting::Values(device) => drop(valued.insert(*device)),
                Waiting::Event(..) | Waiting::Standing(..) => {}
            }
        }
        let before = line.len();
        let newest: HashSet<u64> = newest.into_values().collect();
        line.retain(|waiting| match waiting {
            Waiting::Event(number, event) => match event.kind {
                EventKind::Position => newest.contains(number),
                EventKind::Values => false,
                EventKind::Change => true,
            },
            Waiting::Standing(..) => true,
            Waiting::Values(_) => false,
        });
        line.extend(valued.into_iter().map(Waiting::Values));
        let dropped = before.saturating_sub(line.len()) as u64;
        self.waiting = line;
        self.number =
            chunks.last().map_or(self.number, |chunk| chunk.first + chunk.events.len() as u64);
        if dropped > 0 {
            self.hub.counts.thinned.inc_by(dropped);
            self.writer.thinned(dropped);
        }
        Ok(())
    }

    fn write_waiting(&mut self) {
        while self.writer.has_room()
            && let Some(waiting) = self.waiting.pop_front()
        {
            match waiting {
                Waiting::Event(number, event) => {
                    // Rights may have been taken away since it got in line.
                    if self.wanted.filter.passes(&self.caller, &event) {
                        self.write(number, &event);
                    }
                    self.id = event.id;
                }
                Waiting::Standing(event, status) => {
                    if self.wanted.filter.passes(&self.caller, &event) {
                        self.writer.standing(&self.hub.names, self.id, &event, status);
                    }
                }
                Waiting::Values(device) => self.write_values(device),
            }
        }
    }

    fn write_new(&mut self) -> Result<(), Reason> {
        let chunks = self.chunks()?;
        for chunk in &chunks {
            for (number, event) in numbered(chunk, self.number) {
                if !self.writer.has_room() {
                    return Ok(());
                }
                if self.wanted.filter.passes(&self.caller, event) {
                    self.write(number, event);
                }
                self.number = number + 1;
                self.id = event.id;
            }
        }
        Ok(())
    }

    /// Writes what a device's channels say now, as far as it is wanted.
    fn write_values(&mut self, device: DeviceId) {
        let Some((held, at)) = self.hub.values(device) else { return };
        let all = Event::values(self.id, device, at, held.values().to_vec(), 0);
        if self.wanted.filter.passes(&self.caller, &all) {
            let id = self.resume_id();
            let values = self.wanted.filter.channels.of_these(held.values(), &self.caller);
            self.writer.values(id, self.hub.written(device), values);
        }
    }

    fn write(&mut self, number: u64, event: &Arc<Event>) {
        let now_ms = self.hub.clock.now_ms();
        let values = self.wanted.filter.channels.of_these(event.valued(), &self.caller);
        if values.len() < event.valued().len() {
            let id = if self.pace.is_some() {
                self.id = event.id;
                self.resume_id()
            } else {
                event.id
            };
            return self.writer.values(id, self.hub.written(event.device), values);
        }
        match &mut self.pace {
            None => self.writer.event(&self.hub.names, event.id, event),
            Some(pace) => {
                if event.kind != EventKind::Position || pace.offer(number, event, now_ms) {
                    self.id = event.id;
                    let id = self.resume_id();
                    self.writer.event(&self.hub.names, id, event);
                }
            }
        }
    }

    /// Writes what had to wait for its time.
    fn write_due(&mut self) {
        let now_ms = self.hub.clock.now_ms();
        while self.writer.has_room()
            && let Some(event) = self.pace.as_mut().and_then(|pace| pace.next_due(now_ms))
        {
            if self.wanted.filter.passes(&self.caller, &event) {
                let id = self.resume_id();
                self.writer.event(&self.hub.names, id, &event);
            }
        }
    }

    /// Behind this nothing is missing, nor waits for its time.
    fn resume_id(&self) -> EventId {
        let held = self.pace.as_ref().and_then(Pace::oldest_held);
        held.map_or(self.id, |held| EventId::at(held.id.place.saturating_sub(1)))
    }
}

fn full(full: Full) -> Problem {
    match full {
        Full::All(most) => {
            Problem::new(Kind::Busy, format!("{most} streams are open here; no more are."))
        }
        Full::Credential(most) => Problem::new(
            Kind::TooManyAtOnce,
            format!("{most} streams of this session, token or link are open; close some first."),
        ),
        Full::User(most) => Problem::new(
            Kind::TooManyAtOnce,
            format!(
                "{most} streams of this account, its tokens and links are open; close some first."
            ),
        ),
    }
}

/// The events from this number on, with theirs.
fn numbered(chunk: &Chunk, from: u64) -> impl Iterator<Item = (u64, &Arc<Event>)> {
    (from.max(chunk.first)..).zip(chunk.from(from))
}

/// 0 to 255, another one for each client.
fn spread() -> u8 {
    use std::sync::atomic::{AtomicU8, Ordering};
    static NEXT: AtomicU8 = AtomicU8::new(0);
    NEXT.fetch_add(97, Ordering::Relaxed)
}
