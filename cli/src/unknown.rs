//! Unknown devices (docs/decisions/0019-unknown-devices.md): what a process with a
//! database does for the list of known devices. It reads the list, hands it to its
//! own gate, keeps the copy in the live store that parsers ask for, and lets out of
//! quarantine who has become known. Where nobody asks and nobody waits, it reads
//! one short line of an index every other second and nothing else.

mod release;
mod roster;

use std::sync::Arc;
use std::time::{Duration, Instant};

use nemeses_parser::UnknownDevices;
use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_runtime::{Backoff, Clock, Outage, Registry, Tasks};
use nemeses_store::StoreError;
use nemeses_store::history::Database;
use nemeses_store::known::{KnownDevices, KnownList, MAX_KNOWN, follow_known};
use nemeses_store::live::{LiveStore, LiveWriter};

use release::Releaser;
use roster::Roster;

/// Between turns when nothing is left to do.
const EVERY: Duration = Duration::from_secs(2);
/// The list is read for at most this share of the time: 100 000 devices take some 100 ms.
const REST_SHARE: u32 = 20;
/// Of all who could keep the copy in the live store, one does in so many milliseconds.
const KEPT_ONCE_IN_MS: u64 = 1_500;
/// After errors.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A parser waits so long for its first list; without one it quarantines.
const FIRST_LIST: Duration = Duration::from_secs(10);

/// Shows the setting as a figure: 0 accept, 1 quarantine, 2 reject.
pub(crate) fn show_policy(mode: UnknownDevices, registry: &mut Registry) {
    let gauge = Gauge::<i64>::default();
    gauge.set(match mode {
        UnknownDevices::Accept => 0,
        UnknownDevices::Quarantine => 1,
        UnknownDevices::Reject => 2,
    });
    registry.register(
        "nemeses_unknown_devices_policy",
        "What happens to frames of unknown devices: 0 accept, 1 quarantine, 2 reject",
        gauge,
    );
}

/// Follows the copy of the list in the live store, for a parser's gate. Comes back
/// when there is a list, or when that takes too long.
pub(crate) async fn follow(
    tasks: &Tasks,
    mode: UnknownDevices,
    live: Arc<dyn LiveStore>,
    known: &KnownDevices,
    clock: Clock,
) {
    if mode == UnknownDevices::Accept {
        return;
    }
    let (following, stop) = (known.clone(), tasks.stop().all);
    tasks.spawn_rest("known devices", async move {
        follow_known(live, following, clock, stop).await;
        Ok(())
    });
    let begun = Instant::now();
    while !known.is_there() && begun.elapsed() < FIRST_LIST {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a process with a database does.
pub(crate) struct Watch {
    roster: Roster,
    /// The gate of a node that does not simply accept.
    gate: Option<KnownDevices>,
    /// Whether that refuses who is not in the list.
    rejects: bool,
    /// Where parsers look.
    mirror: Option<Arc<dyn LiveStore>>,
    releaser: Option<Releaser>,
    clock: Clock,
}

impl Watch {
    /// Keeps the copy in a live store that others share.
    pub(crate) fn new(
        database: &Database,
        mirror: Option<Arc<dyn LiveStore>>,
        clock: Clock,
    ) -> Self {
        let roster = Roster::new(database.devices());
        Self { roster, gate: None, rejects: false, mirror, releaser: None, clock }
    }

    /// Lets out of quarantine as well; live positions by the writer, if there is one.
    pub(crate) fn releasing(
        self,
        database: &Database,
        live: Option<LiveWriter>,
        registry: &mut Registry,
    ) -> anyhow::Result<Self> {
        let releaser = Releaser::new(database, live, self.clock.clone(), registry)?;
        Ok(Self { releaser: Some(releaser), ..self })
    }

    /// Hands the list to this process's gate, from now on. Without a list the gate
    /// quarantines.
    pub(crate) async fn guarding(mut self, mode: UnknownDevices, known: &KnownDevices) -> Self {
        if mode == UnknownDevices::Accept {
            return self;
        }
        self.rejects = mode == UnknownDevices::Reject;
        let read_at_ms = self.clock.now_ms();
        match self.roster.read(true).await {
            Ok(list) => known.renew(Arc::new(list), read_at_ms),
            Err(error) => tracing::warn!(
                "the list of known devices cannot be read yet, frames are quarantined: {error}"
            ),
        }
        self.gate = Some(known.clone());
        self
    }

    /// Works until the process ends.
    pub(crate) fn run(mut self, tasks: &Tasks) {
        let stop = tasks.stop().all;
        tasks.spawn_rest("known devices", async move {
            stop.run_until_cancelled(self.look_after()).await;
            if let Some(releaser) = &self.releaser {
                releaser.give_up_lease().await;
            }
            Ok(())
        });
    }

    async fn look_after(&mut self) {
        let (outage, mut backoff) = (Outage::new(), Backoff::new(RETRY.0, RETRY.1));
        loop {
            let wait = match self.turn().await {
                Ok(wait) => {
                    if let Some(lasted) = outage.ends() {
                        let seconds = lasted.as_secs();
                        tracing::info!(
                            "the list of known devices is read again, after {seconds} s"
                        );
                    }
                    backoff.reset();
                    wait
                }
                Err(error) => {
                    if outage.begins() {
                        tracing::warn!(
                            "the list of known devices cannot be read, trying on: {error}"
                        );
                    }
                    backoff.wait()
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// One turn, and how long to wait for the next.
    async fn turn(&mut self) -> Result<Duration, StoreError> {
        let wanted = self.is_wanted().await;
        let waiting = match &mut self.releaser {
            Some(releaser) => Some(releaser.waiting().await?),
            None => None,
        };
        let waiting = waiting.filter(|waiting| !waiting.is_empty());
        if self.gate.is_none() && !wanted && waiting.is_none() {
            return Ok(EVERY);
        }
        let (begun, read_at_ms) = (Instant::now(), self.clock.now_ms());
        // Parsers do not say what they do with strangers.
        let rows_now = wanted || self.rejects;
        let list = Arc::new(self.roster.read(rows_now).await?);
        let rest = EVERY.max(begun.elapsed() * REST_SHARE);
        if let Some(gate) = &self.gate {
            gate.renew(Arc::clone(&list), read_at_ms);
        }
        if wanted {
            self.keep_copy(&list).await;
        }
        let more = match (&mut self.releaser, &waiting) {
            (Some(releaser), Some(waiting)) => releaser.release(waiting, &list).await?,
            _ => false,
        };
        Ok(if more { Duration::ZERO } else { rest })
    }

    /// Whether a parser wants the list, and it is this process's turn to keep it. A
    /// live store that is down is told by others.
    async fn is_wanted(&self) -> bool {
        let Some(live) = &self.mirror else { return false };
        let asked = async {
            Ok::<_, StoreError>(
                live.known_wanted().await? && live.first_use("known", KEPT_ONCE_IN_MS).await?,
            )
        };
        asked.await.unwrap_or_else(|error| {
            tracing::debug!(%error, "nobody can ask for the list of known devices");
            false
        })
    }

    async fn keep_copy(&self, list: &KnownList) {
        let Some(live) = &self.mirror else { return };
        if list.len() > MAX_KNOWN {
            tracing::error!(
                devices = list.len(),
                "there are too many devices for a list, parsers quarantine those they do not \
                 know yet; run them with --unknown-devices accept"
            );
            return;
        }
        if let Err(error) = live.keep_known(list).await {
            tracing::debug!(%error, "the list of known devices is not in the live store");
        }
    }
}
