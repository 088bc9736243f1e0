//! One log line when something goes down and one when it is back, however many
//! tasks notice and however often they try.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Whether something is down, and since when. Shared by all who use it.
#[derive(Debug, Default)]
pub struct Outage {
    since: Mutex<Option<Instant>>,
}

impl Outage {
    /// Nothing is down yet.
    pub const fn new() -> Self {
        Self { since: Mutex::new(None) }
    }

    /// Notes a failure; true when it is the first of an outage, which is the one to log.
    pub fn begins(&self) -> bool {
        let mut since = self.lock();
        let first = since.is_none();
        since.get_or_insert_with(Instant::now);
        first
    }

    /// Notes a success; the outage's length when this ends one.
    pub fn ends(&self) -> Option<Duration> {
        self.lock().take().map(|since| since.elapsed())
    }

    /// Whether it is down.
    pub fn is_down(&self) -> bool {
        self.lock().is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_failure_and_the_first_success_speak() {
        let outage = Outage::new();
        assert!(outage.ends().is_none());
        assert!(outage.begins());
        assert!(!outage.begins());
        assert!(outage.is_down());
        assert!(outage.ends().is_some());
        assert!(outage.ends().is_none());
        assert!(!outage.is_down());
    }
}
