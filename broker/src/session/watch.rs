//! How long a client may be silent or stuck: pure, over instants that are passed
//! in.

use std::time::Duration;

use tokio::time::Instant;

use super::end::End;

/// The two clocks of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    /// One and a half keep-alives.
    silence: Option<Duration>,
    stuck_after: Duration,
    last_heard: Instant,
    /// Since when bytes wait and the client takes none.
    waiting_since: Option<Instant>,
    is_read: bool,
}

impl Watch {
    /// `keep_alive_s` 0 means that silence is allowed.
    pub(super) fn new(keep_alive_s: u16, stuck_after: Duration, now: Instant) -> Self {
        let silence = Duration::from_millis(u64::from(keep_alive_s) * 1500);
        Self {
            silence: Some(silence).filter(|silence| !silence.is_zero()),
            stuck_after,
            last_heard: now,
            waiting_since: None,
            is_read: true,
        }
    }

    /// A packet came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
    }

    /// Tells how things stand before the next wait. While the door itself does
    /// not read, silence is not the client's.
    pub(super) fn update(&mut self, is_read: bool, bytes_wait: bool, took: bool, now: Instant) {
        if is_read && !self.is_read {
            self.last_heard = now;
        }
        self.is_read = is_read;
        self.waiting_since = match self.waiting_since {
            Some(since) if bytes_wait && !took => Some(since),
            _ => bytes_wait.then_some(now),
        };
    }

    /// When to look again, and at what.
    pub(super) fn deadline(&self) -> Option<(Instant, End)> {
        let silent = self
            .silence
            .filter(|_| self.is_read)
            .map(|after| (self.last_heard + after, End::Silent));
        let stuck = self.waiting_since.map(|since| (since + self.stuck_after, End::Stuck));
        match (silent, stuck) {
            (Some(silent), Some(stuck)) => Some(if stuck.0 < silent.0 { stuck } else { silent }),
            (silent, stuck) => silent.or(stuck),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUCK: Duration = Duration::from_secs(30);

    #[test]
    fn silence_ends_a_connection_after_one_and_a_half_keep_alives() {
        let start = Instant::now();
        let mut watch = Watch::new(10, STUCK, start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(watch.deadline(), Some((at(15), End::Silent)));
        watch.heard(at(5));
        assert_eq!(watch.deadline(), Some((at(20), End::Silent)));
        assert_eq!(Watch::new(0, STUCK, start).deadline(), None);
    }

    #[test]
    fn silence_does_not_count_while_the_door_does_not_read() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut watch = Watch::new(10, STUCK, start);
        watch.update(false, false, false, at(1));
        assert_eq!(watch.deadline(), None);
        watch.update(true, false, false, at(100));
        assert_eq!(watch.deadline(), Some((at(115), End::Silent)));
    }

    #[test]
    fn a_client_that_takes_nothing_is_stuck_and_one_that_takes_little_is_not() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut watch = Watch::new(0, STUCK, start);
        watch.update(true, true, false, at(1));
        watch.update(true, true, false, at(2));
        assert_eq!(watch.deadline(), Some((at(31), End::Stuck)));
        watch.update(true, true, true, at(20));
        assert_eq!(watch.deadline(), Some((at(50), End::Stuck)));
        watch.update(true, false, true, at(21));
        assert_eq!(watch.deadline(), None);
    }
}
