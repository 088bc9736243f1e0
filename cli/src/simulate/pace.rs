//! When a frame is due. Frames of all trackers are numbered in the order of
//! recording (round by round, tracker by tracker); a pace gives each number its
//! moment. Pure.

use std::time::Duration;

/// Frames a second of all trackers together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// At this rate.
    Rate(f64),
    /// As fast as they are acknowledged.
    Unbounded,
}

/// Taken for the rate when there is none, to choose the beginning of simulated
/// time: more than this machine's kind reaches.
const ASSUMED_RATE: f64 = 500_000.0;
/// Taken for the duration when there is none.
const ASSUMED_DURATION: Duration = Duration::from_secs(60 * 60);

impl Pace {
    /// `rate` if it is given (0: unbounded), else what trackers make that record
    /// every `interval_s` of a time that runs `speed` times as fast as ours.
    pub(super) fn new(rate: Option<u32>, devices: u32, interval_s: u32, speed: u32) -> Self {
        match rate {
            Some(0) => Self::Unbounded,
            Some(rate) => Self::Rate(f64::from(rate)),
            None => Self::Rate(f64::from(devices) * f64::from(speed) / f64::from(interval_s)),
        }
    }

    /// How long after the beginning the frame of this number is due.
    #[expect(clippy::cast_precision_loss, reason = "frames are far below 2^52")]
    pub(super) fn due(self, number: u64) -> Option<Duration> {
        match self {
            Self::Rate(rate) => Duration::try_from_secs_f64(number as f64 / rate).ok(),
            Self::Unbounded => None,
        }
    }

    /// Where simulated time begins when that is not said: now, or as far back as
    /// it will run ahead, since frames from the future are dead letters.
    pub(super) fn start_s(
        self,
        now_s: u32,
        duration: Option<Duration>,
        devices: u32,
        interval_s: u32,
    ) -> u32 {
        let rate = match self {
            Self::Rate(rate) => rate,
            Self::Unbounded => ASSUMED_RATE,
        };
        let speed = rate * f64::from(interval_s) / f64::from(devices);
        let real_s = duration.unwrap_or(ASSUMED_DURATION).as_secs_f64();
        now_s.saturating_sub(whole((speed - 1.0) * real_s))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` from a float saturates: below zero is zero"
)]
fn whole(seconds: f64) -> u32 {
    seconds.ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        assert_eq!(Pace::new(None, 100, 10, 1), Pace::Rate(10.0));
        assert_eq!(Pace::new(None, 100, 10, 60), Pace::Rate(600.0));
        assert_eq!(Pace::new(Some(5), 100, 10, 60), Pace::Rate(5.0));
        assert_eq!(Pace::new(Some(0), 100, 10, 1), Pace::Unbounded);
        assert_eq!(Pace::Rate(10.0).due(25), Some(Duration::from_millis(2500)));
        assert_eq!(Pace::Unbounded.due(25), None);
    }

    #[test]
    fn simulated_time_does_not_overtake_ours() {
        let minute = Some(Duration::from_secs(60));
        assert_eq!(Pace::Rate(10.0).start_s(1_000_000, minute, 100, 10), 1_000_000);
        assert_eq!(Pace::Rate(5.0).start_s(1_000_000, minute, 100, 10), 1_000_000);
        // 60 times as fast for 60 s: 59 minutes too many.
        assert_eq!(Pace::Rate(600.0).start_s(1_000_000, minute, 100, 10), 1_000_000 - 59 * 60);
        assert!(Pace::Unbounded.start_s(1_700_000_000, minute, 100, 10) < 1_700_000_000);
    }
}
