//! Whether the stores take what is written.

use std::future::Future;
use std::time::{Duration, Instant};

use nemeses_runtime::Outage;
use nemeses_store::StoreError;
use tokio::sync::Mutex;

use crate::backend::Backend;

/// Whether the stores can be written is tried at most so often: it writes a row, and
/// whoever asks needs no token.
const TRIED_EVERY: Duration = Duration::from_secs(5);

/// Whether the stores take what is written, as it was found last.
#[derive(Debug)]
pub(crate) struct Writable {
    tried: Mutex<Option<(Instant, [bool; 2])>>,
    outages: [Outage; 2],
}

impl Default for Writable {
    fn default() -> Self {
        Self { tried: Mutex::default(), outages: [Outage::new(), Outage::new()] }
    }
}

impl Writable {
    /// Whether the live store and the history take what is written.
    pub(crate) async fn check(&self, backend: &Backend) -> [bool; 2] {
        let mut tried = self.tried.lock().await;
        if let Some((_, found)) = tried.as_ref().filter(|(at, _)| at.elapsed() < TRIED_EVERY) {
            return *found;
        }
        let within = backend.store_timeout();
        let [live, history] = &self.outages;
        let (live, history) = tokio::join!(
            takes(within, "live store", live, backend.stores.live.check_writes()),
            takes(within, "history store", history, backend.stores.health.check_writes()),
        );
        *tried = Some((Instant::now(), [live, history]));
        [live, history]
    }
}

/// Whether a store takes what is written, in time.
async fn takes(
    within: Duration,
    store: &'static str,
    outage: &Outage,
    write: impl Future<Output = Result<(), StoreError>>,
) -> bool {
    let cause = match tokio::time::timeout(within, write).await {
        Ok(Ok(())) => {
            if let Some(down) = outage.ends() {
                tracing::info!(store, ?down, "the store can be written again");
            }
            return true;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {within:?}"),
    };
    if outage.begins() {
        tracing::warn!(store, cause, "the store cannot be written");
    }
    false
}
