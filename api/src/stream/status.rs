//! Whether a device is heard as it should be, judged by its own rhythm. Pure.

use serde::Serialize;

/// Silences shorter than this are nobody's business.
const LATE_AT_LEAST_MS: u64 = 30_000;
/// Intervals missed before a device is late: two may be lost on the way.
const MISSED: u64 = 3;
/// One part of this many of an interval enters the mean: some ten frames settle it.
const WEIGHT: u64 = 8;

/// What clients are told of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Heard within its rhythm.
    Online,
    /// Silent for longer than it usually is.
    Late,
    /// Silent for the live entry's whole life.
    Offline,
}

impl Status {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Late => "late",
            Self::Offline => "offline",
        }
    }
}

/// How often a device is heard, learnt from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rhythm {
    mean_ms: Option<u64>,
}

impl Rhythm {
    /// Learns from the time between two frames. A silence of more than the
    /// entry's life says nothing about the rhythm.
    pub(crate) fn learn(&mut self, interval_ms: u64, ttl_ms: u64) {
        if interval_ms == 0 || interval_ms > ttl_ms {
            return;
        }
        let mean = self.mean_ms.unwrap_or(interval_ms);
        self.mean_ms = Some((mean * (WEIGHT - 1) + interval_ms) / WEIGHT);
    }

    /// The silence after which a device is late; half of its entry's life as
    /// long as its rhythm is not known.
    pub(crate) fn late_after_ms(&self, ttl_ms: u64) -> u64 {
        let usual = self.mean_ms.map_or(ttl_ms / 2, |mean| mean.saturating_mul(MISSED));
        usual.max(LATE_AT_LEAST_MS).min(ttl_ms)
    }

    /// The status of a device last heard then.
    pub(crate) fn status(&self, seen_at_ms: u64, ttl_ms: u64, now_ms: u64) -> Status {
        let silent_ms = now_ms.saturating_sub(seen_at_ms);
        if silent_ms >= ttl_ms {
            Status::Offline
        } else if silent_ms >= self.late_after_ms(ttl_ms) {
            Status::Late
        } else {
            Status::Online
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TTL_MS: u64 = 300_000;

    #[test]
    fn by_its_own_rhythm() {
        let mut rhythm = Rhythm::default();
        assert_eq!(rhythm.late_after_ms(TTL_MS), 150_000);
        for _ in 0..10 {
            rhythm.learn(20_000, TTL_MS);
        }
        assert_eq!(rhythm.late_after_ms(TTL_MS), 60_000);
        assert_eq!(rhythm.status(1_000, TTL_MS, 60_999), Status::Online);
        assert_eq!(rhythm.status(1_000, TTL_MS, 61_000), Status::Late);
        assert_eq!(rhythm.status(1_000, TTL_MS, 301_000), Status::Offline);
        assert_eq!(rhythm.status(9_000, TTL_MS, 1), Status::Online, "a clock ahead");
        rhythm.learn(TTL_MS + 1, TTL_MS);
        assert_eq!(rhythm.late_after_ms(TTL_MS), 60_000, "a night in the depot");
    }

    proptest! {
        #[test]
        fn a_silence_only_ever_grows_worse(
            intervals in proptest::collection::vec(0..400_000_u64, 0..20),
            earlier in 0..400_000_u64, further in 0..400_000_u64,
        ) {
            let mut rhythm = Rhythm::default();
            for interval in intervals {
                rhythm.learn(interval, TTL_MS);
            }
            let at = |silence| rhythm.status(5, TTL_MS, 5 + silence) as u8;
            prop_assert!(at(earlier) <= at(earlier + further));
            prop_assert_eq!(at(TTL_MS), Status::Offline as u8);
        }
    }
}
