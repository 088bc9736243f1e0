//! Lets frames out of quarantine once their device is known: their letters become
//! rows, with their time of arrival, in bounded steps. One process does it for all
//! by a lease, which only spares work: a letter is removed in the transaction that
//! stores its row, and a row is there once.

use std::sync::Arc;

use nemeses_parser::{Policy, Step};
use nemeses_protocol::{BatchKey, DeviceId, Reason, Record, Topics};
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_runtime::{Clock, Registry};
use nemeses_store::StoreError;
use nemeses_store::history::{
    Daily, Database, DeadLetters, LetterFilter, Resolution, StoredLetter,
};
use nemeses_store::known::KnownList;
use nemeses_store::live::{LiveEntry, LiveWriter};

use crate::dead_letters::{Judgement, judge, random_run};

/// Who the books say has made the rows.
const WORKER: &str = "release";
const LEASE: &str = "quarantine";
/// Outlives a turn many times over.
const LEASE_MS: u64 = 30_000;
/// Devices in quarantine that one turn looks at; the next goes on behind them.
const DEVICES_A_TURN: u32 = 10_000;
/// Letters that become rows in one transaction.
const LETTERS_AT_ONCE: u32 = 100;
/// Letters that one turn lets out, so that others get their turns.
const LETTERS_A_TURN: u64 = 2_000;

/// What is in quarantine.
pub(super) struct Waiting {
    devices: Vec<DeviceId>,
    letters: Vec<StoredLetter>,
}

impl Waiting {
    pub(super) const fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.letters.is_empty()
    }
}

pub(super) struct Releaser {
    letters: Arc<dyn DeadLetters>,
    leases: Arc<dyn Daily>,
    live: Option<LiveWriter>,
    clock: Clock,
    step: Step,
    run: u64,
    sequence: u64,
    /// Where the next look at the devices in quarantine begins.
    behind: Option<DeviceId>,
    /// Where the next look at letters of names without a number begins.
    below: Option<u64>,
    released: Counter,
    devices: Gauge,
}

impl Releaser {
    pub(super) fn new(
        database: &Database,
        live: Option<LiveWriter>,
        clock: Clock,
        registry: &mut Registry,
    ) -> anyhow::Result<Self> {
        let (released, devices) = (Counter::default(), Gauge::default());
        let shown = registry.sub_registry_with_prefix("nemeses_quarantine");
        shown.register("released", "Frames released from quarantine", released.clone());
        shown.register("devices", "Unknown devices with frames in quarantine", devices.clone());
        // Who sent it, and when, was looked at when it came.
        let topics = Topics { names: database.named().names(), ..Topics::default() };
        let policy = Policy { future_limit_s: u32::MAX, topics, ..Policy::default() };
        Ok(Self {
            letters: database.dead_letters(),
            leases: database.daily(),
            live,
            clock,
            step: Step::new(policy),
            run: random_run()?,
            sequence: 0,
            behind: None,
            below: None,
            released,
            devices,
        })
    }

    /// What is in quarantine: all, or a part of very much, each in its turn.
    pub(super) async fn waiting(&mut self) -> Result<Waiting, StoreError> {
        Ok(Waiting { devices: self.devices().await?, letters: self.nobodys().await? })
    }

    /// Letters of names that had no number when they came.
    async fn nobodys(&mut self) -> Result<Vec<StoredLetter>, StoreError> {
        let filter = LetterFilter {
            nobodys: true,
            reason: Some(Reason::Quarantined.code().to_owned()),
            before_id: self.below,
            limit: Some(LETTERS_AT_ONCE),
            ..LetterFilter::default()
        };
        let page = self.letters.list(&filter).await?;
        let is_part = u32::try_from(page.len()).is_ok_and(|found| found == LETTERS_AT_ONCE);
        self.below = page.last().map(|letter| letter.id).filter(|_| is_part);
        Ok(page)
    }

    async fn devices(&mut self) -> Result<Vec<DeviceId>, StoreError> {
        let look = self.letters.devices_with(Reason::Quarantined, self.behind, DEVICES_A_TURN);
        let waiting = look.await?;
        let is_part = u32::try_from(waiting.len()).is_ok_and(|found| found == DEVICES_A_TURN);
        if self.behind.is_none() {
            self.devices.set(i64::try_from(waiting.len()).unwrap_or(i64::MAX));
        }
        self.behind = waiting.last().copied().filter(|_| is_part);
        Ok(waiting)
    }

    /// Lets out those of the waiting that are known; says whether there is more.
    pub(super) async fn release(
        &mut self,
        waiting: &Waiting,
        list: &KnownList,
    ) -> Result<bool, StoreError> {
        let known: Vec<DeviceId> =
            waiting.devices.iter().copied().filter(|device| list.contains(*device)).collect();
        let is_known = |letter: &&StoredLetter| {
            self.device_of(letter).is_some_and(|device| list.contains(device))
        };
        let named: Vec<StoredLetter> = waiting.letters.iter().filter(is_known).cloned().collect();
        if known.is_empty() && named.is_empty() {
            return Ok(false);
        }
        let (holder, now_ms) = (self.holder(), self.clock.now_ms());
        if !self.leases.lease(LEASE, &holder, now_ms, now_ms + LEASE_MS).await? {
            return Ok(false);
        }
        if !named.is_empty() {
            let stored = self.resolve(&named).await?;
            tracing::info!(letters = named.len(), new = stored, "let out of quarantine by name");
        }
        let mut left = LETTERS_A_TURN;
        for device in known {
            let (looked_at, stored) = self.release_one(device, left).await?;
            left = left.saturating_sub(looked_at);
            if looked_at > 0 {
                let device = self.step.policy().topics.names.identity(device);
                tracing::info!(%device, frames = looked_at, new = stored, "let out of quarantine");
            }
            if left == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whose a letter is by its topic, if that device has a number by now.
    fn device_of(&self, letter: &StoredLetter) -> Option<DeviceId> {
        let topics = &self.step.policy().topics;
        topics.names.number(&topics.telemetry_identity(&letter.topic)?)
    }

    /// The newest first, so that the live position is right at once.
    async fn release_one(&mut self, device: DeviceId, most: u64) -> Result<(u64, u64), StoreError> {
        let mut filter = LetterFilter {
            device: Some(device),
            reason: Some(Reason::Quarantined.code().to_owned()),
            limit: Some(LETTERS_AT_ONCE),
            ..LetterFilter::default()
        };
        let (mut looked_at, mut stored) = (0, 0);
        while looked_at < most {
            let page = self.letters.list(&filter).await?;
            let Some(last) = page.last() else { break };
            filter.before_id = Some(last.id);
            looked_at += page.len() as u64;
            stored += self.resolve(&page).await?;
        }
        Ok((looked_at, stored))
    }

    /// What cannot become a row stays, and is passed over.
    async fn resolve(&mut self, page: &[StoredLetter]) -> Result<u64, StoreError> {
        // Of a frame that came twice, the earlier arrival counts.
        let resolutions: Vec<Resolution> =
            page.iter().rev().filter_map(|letter| resolution(letter, &self.step)).collect();
        if resolutions.is_empty() {
            return Ok(0);
        }
        let key = self.next_key();
        let resolved = match self.letters.resolve_all(&key, &resolutions, WORKER).await {
            Err(StoreError::Refused { .. }) => self.resolve_singly(&resolutions).await?,
            other => other.map(|resolved| resolved.stored)?,
        };
        self.released.inc_by(resolutions.len() as u64);
        if let Some(live) = &self.live {
            let records = resolutions.iter().flat_map(|resolution| &resolution.records);
            live.offer(records.filter_map(live_entry));
        }
        Ok(resolved)
    }

    /// One row of them the database refuses for good: the others go on.
    async fn resolve_singly(&mut self, resolutions: &[Resolution]) -> Result<u64, StoreError> {
        let mut stored = 0;
        for one in resolutions.chunks(1) {
            let key = self.next_key();
            match self.letters.resolve_all(&key, one, WORKER).await {
                Err(StoreError::Refused { detail, .. }) => {
                    tracing::warn!(letter = one[0].id, detail, "stays in quarantine: refused");
                }
                other => stored += other?.stored,
            }
        }
        Ok(stored)
    }

    fn next_key(&mut self) -> BatchKey {
        self.sequence += 1;
        BatchKey { worker: WORKER.to_owned(), run: self.run, sequence: self.sequence }
    }

    fn holder(&self) -> String {
        format!("{WORKER}-{:016x}", self.run)
    }

    /// The next one need not wait for the end of the lease.
    pub(super) async fn give_up_lease(&self) {
        if let Err(error) = self.leases.release(LEASE, &self.holder()).await {
            tracing::debug!(%error, "the quarantine's lease is not given up; it will lapse");
        }
    }
}

/// What a letter in quarantine becomes; `None` if nothing good comes of it.
fn resolution(letter: &StoredLetter, step: &Step) -> Option<Resolution> {
    match judge(letter, step) {
        Judgement::Resolve { records, tallies } => {
            Some(Resolution { id: letter.id, records, tallies })
        }
        Judgement::StillDead | Judgement::NotTheirs | Judgement::WrongTopic => None,
    }
}

fn live_entry(record: &Record) -> Option<LiveEntry> {
    match record {
        Record::Position(record) => Some(LiveEntry::from_record(record)),
        Record::DeadLetter(_) | Record::Readings(_) => None,
    }
}
