//! How long the last piece of an answer has waited for its client.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Since when a piece that was handed over has not been taken: the next one is asked
/// for only when there is room for it. `None` while the answer itself is not ready.
#[derive(Debug, Default)]
pub(super) struct Handed(Mutex<Option<Instant>>);

impl Handed {
    pub(super) fn waits_for(&self) -> Duration {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}
