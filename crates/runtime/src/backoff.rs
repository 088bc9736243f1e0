//! How long to wait before trying again.

use std::time::Duration;

use rand::Rng;

/// Doubles from `first` to `longest`, each wait drawn between half and all of it
/// so that many clients do not return at the same instant.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts at `first`, never waits longer than `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(self.longest);
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// Begins anew after a success.
    pub const fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_and_begins_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        for full_ms in [100, 200, 350, 350] {
            let wait = backoff.wait();
            assert!(wait >= Duration::from_millis(full_ms) / 2, "{wait:?} of {full_ms}");
            assert!(wait <= Duration::from_millis(full_ms), "{wait:?} of {full_ms}");
        }
        backoff.reset();
        assert!(backoff.wait() <= Duration::from_millis(100));
    }
}
