//! The register of workers: each process says every few seconds that it is there and
//! how it does, and is forgotten when it has not for a while. Nothing is decided by
//! it: it is for people, so that a worker which died is missed.

use std::collections::BTreeMap;
use std::time::Duration;

use nemeses_runtime::Worker;

/// How often to say that one is there.
pub const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);
/// Forgotten after this long: three announcements may be lost.
pub const FORGOTTEN_AFTER_MS: u64 = 20_000;
/// Workers in one answer at most: 1000 of some 700 bytes.
pub(super) const MOST: usize = 1000;

/// A worker that is alive, and how long ago it said so, by the store's own measure:
/// it does not depend on anybody's clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Alive {
    /// As it described itself.
    pub worker: Worker,
    /// Milliseconds since.
    pub silent_ms: u64,
}

impl Alive {
    /// How far the worker's clock is ahead of ours (negative: behind), in milliseconds.
    /// Exact but for the time that an announcement and its reading take.
    pub fn clock_ahead_ms(&self, now_ms: u64) -> i64 {
        let written_at_ms = now_ms.saturating_sub(self.silent_ms);
        let apart = self.worker.seen_at_ms.abs_diff(written_at_ms);
        let apart = i64::try_from(apart).unwrap_or(i64::MAX);
        if self.worker.seen_at_ms < written_at_ms { -apart } else { apart }
    }
}

/// The register of a process that has no Redis: itself.
#[derive(Debug, Default)]
pub(super) struct Register(BTreeMap<String, Worker>);

impl Register {
    pub(super) fn announce(&mut self, worker: &Worker) {
        if self.0.len() < MOST || self.0.contains_key(&worker.name) {
            self.0.insert(worker.name.clone(), worker.clone());
        }
    }

    pub(super) fn withdraw(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(super) fn alive(&mut self, now_ms: u64) -> Vec<Alive> {
        let silent_ms = |worker: &Worker| now_ms.saturating_sub(worker.seen_at_ms);
        self.0.retain(|_, worker| silent_ms(worker) < FORGOTTEN_AFTER_MS);
        let alive =
            |worker: &Worker| Alive { silent_ms: silent_ms(worker), worker: worker.clone() };
        self.0.values().map(alive).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str, seen_at_ms: u64) -> Worker {
        Worker { seen_at_ms, ..Worker::here(name, "parser", "0.1.0", 1) }
    }

    #[test]
    fn who_is_silent_is_forgotten() {
        let mut register = Register::default();
        register.announce(&worker("parser-1", 1_000));
        register.announce(&worker("parser-0", 9_000));
        register.announce(&worker("parser-1", 2_000));
        let names = |alive: Vec<Alive>| -> Vec<_> {
            alive.into_iter().map(|alive| (alive.worker.name, alive.silent_ms)).collect()
        };
        let both = [("parser-0".to_owned(), 1_000), ("parser-1".to_owned(), 8_000)];
        assert_eq!(names(register.alive(10_000)), both);
        assert_eq!(names(register.alive(22_000)), [("parser-0".to_owned(), 13_000)]);
        register.withdraw("parser-0");
        assert!(register.alive(22_000).is_empty());
    }

    #[test]
    fn a_clock_that_differs_is_seen() {
        let seen = |seen_at_ms, silent_ms| Alive { worker: worker("w", seen_at_ms), silent_ms };
        assert_eq!(seen(9_000, 1_000).clock_ahead_ms(10_000), 0);
        assert_eq!(seen(12_000, 1_000).clock_ahead_ms(10_000), 3_000);
        assert_eq!(seen(4_000, 1_000).clock_ahead_ms(10_000), -5_000);
    }
}
