//! A load of devices that remember what was acknowledged to them: the judge of
//! every chaos test. They send live frames, send what was not acknowledged again
//! as historical, ping, and now and then send rubbish.

mod device;
mod ledger;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::wait_for;
pub use ledger::{Ledger, Verdict};

/// How much load.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Connections.
    pub connections: u32,
    /// Devices that share a connection.
    pub devices_per_connection: u32,
    /// Frames a second, over all connections.
    pub frames_per_s: u32,
    /// Messages of a connection not yet acknowledged, at most.
    pub window: usize,
    /// Every n-th message of a connection is followed by rubbish; 0 for none.
    pub rubbish_every: u32,
    /// Number of the first device.
    pub first_device: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            connections: 10,
            devices_per_connection: 10,
            frames_per_s: 5000,
            window: 200,
            rubbish_every: 500,
            first_device: 0x0010_0000,
        }
    }
}

/// What the connections count.
#[derive(Debug, Default)]
struct Counts {
    acknowledged: AtomicU64,
    lost_connections: AtomicU64,
    ping_replies: AtomicU64,
    /// Of each connection: messages sent and not acknowledged, and frames
    /// waiting to be sent again.
    open: Vec<AtomicU64>,
}

impl Counts {
    /// Each connection counts as open until it has looked for the first time.
    fn of(connections: u32) -> Self {
        Self { open: (0..connections).map(|_| AtomicU64::new(1)).collect(), ..Self::default() }
    }

    fn open(&self) -> u64 {
        self.open.iter().map(|open| open.load(Ordering::Relaxed)).sum()
    }
}

#[derive(Debug)]
struct Shared {
    ledger: Mutex<Ledger>,
    counts: Counts,
    /// Whether new frames are made.
    making: watch::Sender<bool>,
    stop: CancellationToken,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_of(&self, connection: u32, open: u64) {
        if let Some(count) = self.counts.open.get(connection as usize) {
            count.store(open, Ordering::Relaxed);
        }
    }
}

/// A running load; ends when dropped.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

impl Load {
    /// Starts it against a broker.
    pub fn start(address: SocketAddr, plan: Plan) -> Self {
        let shared = Arc::new(Shared {
            ledger: Mutex::default(),
            counts: Counts::of(plan.connections),
            making: watch::Sender::new(true),
            stop: CancellationToken::new(),
        });
        let tasks = TaskTracker::new();
        for number in 0..plan.connections {
            tasks.spawn(device::run(address, plan, number, Arc::clone(&shared)));
        }
        Self { shared, tasks }
    }

    /// Frames and pieces of rubbish acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.counts.acknowledged.load(Ordering::Relaxed)
    }

    /// Connections lost so far.
    pub fn lost_connections(&self) -> u64 {
        self.shared.counts.lost_connections.load(Ordering::Relaxed)
    }

    /// Answers to pings so far.
    pub fn ping_replies(&self) -> u64 {
        self.shared.counts.ping_replies.load(Ordering::Relaxed)
    }

    /// Waits until this many more are acknowledged.
    ///
    /// # Errors
    /// Not in time.
    pub async fn wait_acknowledged(&self, more: u64, within: Duration) -> anyhow::Result<()> {
        let goal = self.acknowledged() + more;
        wait_for(within, &format!("{more} more acknowledgements"), async || {
            let missing = goal.saturating_sub(self.acknowledged());
            anyhow::ensure!(missing == 0, "{missing} are missing");
            Ok(())
        })
        .await
    }

    /// Makes no new frames and waits until all is acknowledged.
    ///
    /// # Errors
    /// Not in time.
    pub async fn settle(&self, within: Duration) -> anyhow::Result<()> {
        self.shared.making.send_replace(false);
        wait_for(within, "everything sent is acknowledged", async || {
            let open = self.shared.counts.open();
            anyhow::ensure!(open == 0, "{open} messages and frames are open");
            Ok(())
        })
        .await
    }

    /// Makes new frames again.
    pub fn resume(&self) {
        self.shared.making.send_replace(true);
    }

    /// What was sent and what was acknowledged.
    pub fn ledger<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.shared.ledger())
    }

    /// Ends the load.
    pub async fn stop(self) -> Ledger {
        self.shared.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        std::mem::take(&mut *self.shared.ledger())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
