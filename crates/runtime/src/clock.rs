//! The time, passed in so that tests can hold it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells Unix milliseconds, UTC.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Held(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is set.
    pub fn held(now_ms: u64) -> Self {
        Self(Source::Held(Arc::new(AtomicU64::new(now_ms))))
    }

    /// Sets a held clock; does nothing to the machine's.
    pub fn set(&self, now_ms: u64) {
        if let Source::Held(time) = &self.0 {
            time.store(now_ms, Ordering::Relaxed);
        }
    }

    /// Unix milliseconds. A machine set before 1970 reads 0.
    #[expect(clippy::disallowed_methods, reason = "the clock")]
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Source::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            Source::Held(time) => time.load(Ordering::Relaxed),
        }
    }

    /// Unix seconds, as frames carry them.
    pub fn now_s(&self) -> u32 {
        u32::try_from(self.now_ms() / 1000).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now_ms())
    }
}
