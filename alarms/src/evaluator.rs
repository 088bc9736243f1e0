//! Takes the lease, evaluates turn by turn while it has it, and begins anew from what is stored after
//! whatever goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nemeses_protocol::{DeviceId, DeviceNames};
use nemeses_rules::{Sample, Transition};
use nemeses_runtime::{Backoff, Clock, Outage, Registry, Stop};
use nemeses_store::StoreError;
use nemeses_store::history::{Daily, Database, Evaluation, Mark, MarkedRow, RULES_LEASE, Turn};
use tokio::sync::Notify;

use crate::changes::Changes;
use crate::channels::ChannelNames;
use crate::definitions::Definitions;
use crate::held::Held;
use crate::stats::Stats;

/// Marks of one turn: each of a commit, up to 1000 rows.
const MARKS_AT_ONCE: u32 = 50;
/// Devices whose timers are looked at in one turn.
const TIMERS_AT_ONCE: usize = 1000;
/// Rows that arrived so long ago are committed, and their marks are there: what comes by time alone
/// waits so long for them.
const GRACE_MS: u64 = 1000;
/// How long a lease lasts: another evaluator takes over so long after one was killed.
const LEASE_MS: u64 = 15_000;
/// How old a lease gets before it is renewed.
const RENEW_AFTER: Duration = Duration::from_secs(4);
/// Between looks for marks of other processes, for timers, and for changed rules.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between turns marks gather for so long: each turn is a transaction beside the commits.
const GATHER: Duration = Duration::from_millis(100);
/// Groups and rights change without notice.
const READ_EVERY: Duration = Duration::from_secs(10);
/// Between looks while somebody else evaluates.
const LOOK_FOR_LEASE: Duration = Duration::from_secs(2);
/// After errors.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// When nothing came for so long, nobody was listening; then devices have so long to be heard
/// before they count as silent.
const UNHEARD_MS: u64 = 60_000;
const HEARING_MS: u64 = 600_000;
/// Marks are counted up to this.
const COUNTED_MARKS: u32 = 10_000;

/// Who evaluates.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names the process among those that share the database.
    pub name: String,
    /// Whether there can be no other: then a lease that a killed process left is taken at once.
    pub alone: bool,
}

/// Evaluates rules.
pub struct Evaluator {
    config: Config,
    database: Database,
    evaluation: Arc<dyn Evaluation>,
    daily: Arc<dyn Daily>,
    names: DeviceNames,
    wake: Arc<Notify>,
    clock: Clock,
    stats: Stats,
    /// The number of the change after which there were no rules; 0 before that was seen.
    idle_since: AtomicU64,
}

/// A database that is away is reported as a warning by those who commit; here it is one line for the curious.
fn report(outage: &Outage, error: &StoreError) {
    match (outage.begins(), error.is_transient()) {
        (false, _) => {}
        (true, true) => tracing::info!("rules are not evaluated for now, trying on: {error}"),
        (true, false) => tracing::warn!("rules cannot be evaluated, trying on: {error}"),
    }
}

/// What is in memory while the lease is held.
struct Session {
    /// Nobody had a lease under this name before.
    holder: String,
    renewed: Instant,
    definitions: Definitions,
    read: Instant,
    held: Held,
    channels: ChannelNames,
}

impl Evaluator {
    /// An evaluator on a database; `names` are those in notifications.
    pub fn new(
        config: Config,
        database: Database,
        names: DeviceNames,
        clock: Clock,
        registry: &mut Registry,
    ) -> Self {
        Self {
            config,
            evaluation: database.evaluation(),
            daily: database.daily(),
            wake: database.rules_wake(),
            database,
            names,
            clock,
            stats: Stats::register(registry),
            idle_since: AtomicU64::new(0),
        }
    }

    /// Evaluates until `stop.all`.
    pub async fn run(self, stop: Stop) {
        let mut session = None;
        stop.all.run_until_cancelled(self.work(&mut session)).await;
        self.give_up(session).await;
    }

    async fn work(&self, session: &mut Option<Session>) {
        let (outage, mut backoff) = (Outage::new(), Backoff::new(RETRY.0, RETRY.1));
        loop {
            match self.step(session).await {
                Ok(wait) => {
                    if let Some(lasted) = outage.ends() {
                        let seconds = lasted.as_secs();
                        tracing::info!("rules are evaluated again, after {seconds} s");
                    }
                    backoff.reset();
                    if session.is_some() {
                        self.wait(wait).await;
                    } else {
                        // Marks are somebody else's, or there are none.
                        tokio::time::sleep(wait).await;
                    }
                }
                Err(error) => {
                    report(&outage, &error);
                    // Whether the turn was written is open: what is stored says it.
                    self.give_up(session.take()).await;
                    tokio::time::sleep(backoff.wait()).await;
                }
            }
        }
    }

    async fn wait(&self, wait: Duration) {
        if wait.is_zero() {
            tokio::task::yield_now().await;
            return;
        }
        tokio::time::sleep(GATHER).await;
        let _woken_or_not = tokio::time::timeout(wait, self.wake.notified()).await;
    }

    /// The next one need not wait for the end of the lease.
    async fn give_up(&self, session: Option<Session>) {
        self.stats.holding.set(0);
        let Some(session) = session else { return };
        if let Err(error) = self.daily.release(RULES_LEASE, &session.holder).await {
            tracing::debug!(%error, "the lease on the rules is not given up; it will lapse");
        }
    }

    /// Takes the lease or does a turn; returns how long to wait.
    async fn step(&self, session: &mut Option<Session>) -> Result<Duration, StoreError> {
        if session.is_none() {
            if self.is_idle().await? {
                return Ok(LOOK_FOR_LEASE);
            }
            *session = self.begin().await?;
        }
        let Some(current) = session else { return Ok(LOOK_FOR_LEASE) };
        let (written, more) = self.turn(current).await?;
        if !written {
            tracing::info!("another process evaluates the rules now");
            self.stats.holding.set(0);
            *session = None;
            return Ok(LOOK_FOR_LEASE);
        }
        if !more && current.definitions.all.is_empty() {
            // Without rules nobody needs a lease, which is a write every few seconds.
            self.idle_since.store(current.definitions.number, Ordering::Relaxed);
            self.give_up(session.take()).await;
            return Ok(LOOK_FOR_LEASE);
        }
        Ok(if more { Duration::ZERO } else { LOOK_EVERY })
    }

    /// Whether there are no rules, as there were none, and nothing waits from when there were.
    async fn is_idle(&self) -> Result<bool, StoreError> {
        let since = self.idle_since.load(Ordering::Relaxed);
        Ok(since > 0
            && self.database.rules().changes().await? == since
            && self.evaluation.count_marks(1).await? == 0)
    }

    /// Everything as it is stored, once the lease is ours.
    async fn begin(&self) -> Result<Option<Session>, StoreError> {
        let now_ms = self.clock.now_ms();
        let holder = format!("{}-{:016x}", self.config.name, rand::random::<u64>());
        // One who is alone takes over whatever is left.
        let from_ms = if self.config.alone { now_ms.saturating_add(10 * LEASE_MS) } else { now_ms };
        if !self.daily.lease(RULES_LEASE, &holder, from_ms, now_ms + LEASE_MS).await? {
            return Ok(None);
        }
        let definitions = Definitions::read(&self.database).await?;
        let held = Held::read(&self.evaluation.states().await?)
            .map_err(|error| StoreError::Schema(error.to_string()))?;
        let mut session = Session {
            holder,
            renewed: Instant::now(),
            definitions,
            read: Instant::now(),
            held,
            channels: ChannelNames::new(self.database.channels()),
        };
        let heard_ms = session.held.heard_ms();
        if heard_ms > 0 && now_ms.saturating_sub(heard_ms) > UNHEARD_MS {
            session.held.silence_from_ms = now_ms + HEARING_MS;
        }
        self.stats.holding.set(1);
        self.show_broken(&session.definitions);
        let changes = self.reconcile(&mut session, now_ms);
        if !self.write(&mut session, Vec::new(), changes).await? {
            return Ok(None);
        }
        Ok(Some(session))
    }

    fn show_broken(&self, definitions: &Definitions) {
        self.stats.broken.set(i64::try_from(definitions.broken.len()).unwrap_or(i64::MAX));
        for (rule, reason) in &definitions.broken {
            tracing::warn!(rule, reason, "a rule cannot be evaluated; change it or switch it off");
        }
    }

    /// One turn: whether it was written, and whether more is waiting.
    async fn turn(&self, session: &mut Session) -> Result<(bool, bool), StoreError> {
        let started = Instant::now();
        let now_ms = self.clock.now_ms();
        let mut changes = self.follow_definitions(session, now_ms).await?;
        let marks = self.evaluation.marks(MARKS_AT_ONCE).await?;
        let more = marks.len() >= usize::try_from(MARKS_AT_ONCE).unwrap_or(usize::MAX);
        self.show_waiting(&marks, more).await?;
        let arrived_ms = self.apply(session, &marks, &mut changes).await?;
        // What is read later may contradict what time alone would say.
        let late_timers = if more { false } else { self.tick(session, now_ms, &mut changes) };
        let ids: Vec<u64> = marks.iter().map(|mark| mark.id).collect();
        let idle = ids.is_empty() && changes.alarms.is_empty();
        if idle && session.renewed.elapsed() < RENEW_AFTER && !session.held.has_changed() {
            return Ok((true, late_timers));
        }
        let written = self.write(session, ids, changes).await?;
        if written && let Some(arrived_ms) = arrived_ms {
            let delay_ms = self.clock.now_ms().saturating_sub(arrived_ms);
            self.stats.delay_seconds.observe(Duration::from_millis(delay_ms).as_secs_f64());
            self.stats.turn_seconds.observe(started.elapsed().as_secs_f64());
        }
        Ok((written, more || late_timers))
    }

    async fn show_waiting(&self, marks: &[Mark], more: bool) -> Result<(), StoreError> {
        let waiting = if more {
            self.evaluation.count_marks(COUNTED_MARKS).await?.into()
        } else {
            i64::try_from(marks.len()).unwrap_or(i64::MAX)
        };
        self.stats.marks.set(waiting);
        Ok(())
    }

    /// Rules that changed take effect, and what they had raised is withdrawn.
    async fn follow_definitions(
        &self,
        session: &mut Session,
        now_ms: u64,
    ) -> Result<Changes, StoreError> {
        let number = self.database.rules().changes().await?;
        if number == session.definitions.number && session.read.elapsed() < READ_EVERY {
            return Ok(Changes::default());
        }
        let changed = number != session.definitions.number;
        session.definitions = Definitions::read(&self.database).await?;
        session.read = Instant::now();
        if changed {
            self.show_broken(&session.definitions);
        }
        Ok(self.reconcile(session, now_ms))
    }

    fn reconcile(&self, session: &mut Session, now_ms: u64) -> Changes {
        let transitions = session.held.reconcile(&mut session.definitions, now_ms);
        let mut changes = Changes::default();
        for (device, transition) in &transitions {
            changes.add(*device, transition, &session.definitions, &self.names, now_ms);
        }
        changes
    }

    /// Moves states by the rows of marks, mark by mark in the order of their numbers; returns when
    /// the oldest row arrived.
    async fn apply(
        &self,
        session: &mut Session,
        marks: &[Mark],
        changes: &mut Changes,
    ) -> Result<Option<u64>, StoreError> {
        let mut oldest: Option<u64> = None;
        for mark in marks {
            let Some(rows) = &mark.rows else {
                self.stats.unreadable.inc();
                tracing::error!(
                    mark = mark.id,
                    "a mark for the rules cannot be read; its rows are not evaluated"
                );
                continue;
            };
            for (device, sample) in samples(&mut session.channels, rows).await? {
                oldest = Some(oldest.unwrap_or(u64::MAX).min(sample.received_at_ms));
                self.apply_row(session, device, &sample, changes);
            }
        }
        Ok(oldest)
    }

    fn apply_row(
        &self,
        session: &mut Session,
        device: DeviceId,
        sample: &Sample,
        changes: &mut Changes,
    ) {
        let now_ms = self.clock.now_ms();
        if session.definitions.of(device).is_empty() {
            return;
        }
        let applied =
            session.held.change(device, &mut session.definitions, |state, definitions| {
                let set = definitions.of(device);
                state.apply(&set, &definitions.fences, sample, now_ms)
            });
        self.stats.row(applied.row);
        for transition in &applied.transitions {
            changes.add(device, transition, &session.definitions, &self.names, now_ms);
        }
    }

    /// Lets time pass for the devices that are due; returns whether there are more of them.
    fn tick(&self, session: &mut Session, now_ms: u64, changes: &mut Changes) -> bool {
        let now_ms = now_ms.saturating_sub(GRACE_MS);
        let due = session.held.due(now_ms, TIMERS_AT_ONCE);
        for device in &due {
            let silence_from_ms = session.held.silence_from_ms;
            let ticked: Vec<Transition> =
                session.held.change(*device, &mut session.definitions, |state, definitions| {
                    state.tick(&definitions.of(*device), now_ms, silence_from_ms)
                });
            for transition in &ticked {
                changes.add(*device, transition, &session.definitions, &self.names, now_ms);
            }
        }
        due.len() >= TIMERS_AT_ONCE
    }

    async fn write(
        &self,
        session: &mut Session,
        marks: Vec<u64>,
        changes: Changes,
    ) -> Result<bool, StoreError> {
        let Changes { alarms, notifications } = changes;
        let turn = Turn { marks, states: session.held.take_changed(), alarms, notifications };
        let until_ms = self.clock.now_ms() + LEASE_MS;
        let written = self.evaluation.write_turn(&session.holder, until_ms, &turn).await?;
        if written {
            session.renewed = Instant::now();
            for change in &turn.alarms {
                self.stats.transition(change.step);
                tracing::debug!(alarm = ?change.key, step = change.step.word(), late = change.late, "alarm");
            }
        }
        Ok(written)
    }
}

/// The rows of a mark as rules see them, each device's in the order of event time.
async fn samples(
    channels: &mut ChannelNames,
    rows: &[MarkedRow],
) -> Result<Vec<(DeviceId, Sample)>, StoreError> {
    let mut samples = Vec::with_capacity(rows.len());
    for row in rows {
        let sample = match row {
            MarkedRow::Position(record) => Sample::of_position(record),
            MarkedRow::Readings(readings) => channels.sample(readings).await?,
        };
        samples.push((row.device(), sample));
    }
    samples.sort_by_key(|(device, sample)| (*device, sample.at_ms));
    Ok(samples)
}
