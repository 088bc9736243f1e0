//! What a simulation counts, and how long acknowledgements took.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::{Value, json};

/// Counters that all connections add to.
#[derive(Debug)]
pub(super) struct Tally {
    /// Connections that stand now.
    pub(super) connected: AtomicU64,
    /// Connections that ever stood.
    pub(super) made: AtomicU64,
    /// Connections lost.
    pub(super) lost: AtomicU64,
    /// Frames sent for the first time, pings left out.
    pub(super) sent: AtomicU64,
    /// MQTT messages, repetitions and pings included.
    pub(super) messages: AtomicU64,
    /// Frames acknowledged, pings left out.
    pub(super) acknowledged: AtomicU64,
    /// Frames sent again after a loss.
    pub(super) resent: AtomicU64,
    /// Pings sent.
    pub(super) pings: AtomicU64,
    /// Replies to own pings.
    pub(super) replies: AtomicU64,
    /// Frames without an acknowledgement when the simulation ended.
    pub(super) open: AtomicU64,
    waits: Waits,
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            connected: AtomicU64::new(0),
            made: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            resent: AtomicU64::new(0),
            pings: AtomicU64::new(0),
            replies: AtomicU64::new(0),
            open: AtomicU64::new(0),
            waits: Waits::new(),
        }
    }

    /// Notes how long an acknowledgement took.
    pub(super) fn waited(&self, wait: Duration) {
        self.waits.note(wait);
    }

    /// The counts now.
    pub(super) fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Counts {
            connected: read(&self.connected),
            made: read(&self.made),
            lost: read(&self.lost),
            sent: read(&self.sent),
            messages: read(&self.messages),
            acknowledged: read(&self.acknowledged),
            resent: read(&self.resent),
            pings: read(&self.pings),
            replies: read(&self.replies),
            open: read(&self.open),
            wait_p50: self.waits.quantile(0.5),
            wait_p99: self.waits.quantile(0.99),
        }
    }
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) connected: u64,
    pub(super) made: u64,
    pub(super) lost: u64,
    pub(super) sent: u64,
    pub(super) messages: u64,
    pub(super) acknowledged: u64,
    pub(super) resent: u64,
    pub(super) pings: u64,
    pub(super) replies: u64,
    pub(super) open: u64,
    pub(super) wait_p50: Option<Duration>,
    pub(super) wait_p99: Option<Duration>,
}

impl Counts {
    /// Why a simulation with these counts is a failure, if it is one. Where
    /// nothing is acknowledged (QoS 0), a connection is all that can be asked.
    pub(super) fn failure(&self, acknowledges: bool) -> Option<&'static str> {
        if self.made == 0 {
            return Some("there was never a connection");
        }
        let in_vain = acknowledges && self.sent > 0 && self.acknowledged == 0;
        in_vain.then_some("no frame was ever acknowledged")
    }

    pub(super) fn as_text(&self, took: Duration) -> String {
        let wait = |wait: Option<Duration>| wait.map_or("-".to_owned(), short);
        format!(
            "\
frames sent            {}
frames acknowledged    {}
frames sent again      {}
not acknowledged       {}
messages               {}
pings sent             {}
ping replies received  {}
connections lost       {}
time                   {}
acknowledged a second  {:.0}
acknowledged after     p50 {}, p99 {}
",
            self.sent,
            self.acknowledged,
            self.resent,
            self.open,
            self.messages,
            self.pings,
            self.replies,
            self.lost,
            short(took),
            per_second(self.acknowledged, took),
            wait(self.wait_p50),
            wait(self.wait_p99),
        )
    }

    pub(super) fn as_json(&self, took: Duration) -> Value {
        json!({
            "sent": self.sent,
            "acknowledged": self.acknowledged,
            "resent": self.resent,
            "not_acknowledged": self.open,
            "messages": self.messages,
            "pings": self.pings,
            "ping_replies": self.replies,
            "connections_lost": self.lost,
            "seconds": took.as_secs_f64(),
            "acknowledged_per_second": per_second(self.acknowledged, took),
            "acknowledged_after_ms_p50": self.wait_p50.map(|wait| wait.as_secs_f64() * 1e3),
            "acknowledged_after_ms_p99": self.wait_p99.map(|wait| wait.as_secs_f64() * 1e3),
        })
    }
}

/// A rate.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn per_second(count: u64, took: Duration) -> f64 {
    let seconds = took.as_secs_f64();
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// Three digits and a unit are enough for people.
fn short(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// Buckets for each doubling of the time: the error is below a quarter.
const STEPS: u32 = 4;
/// 36 doublings of a microsecond are 19 hours.
const BUCKETS: usize = 36 * STEPS as usize;

/// A histogram of times.
#[derive(Debug)]
struct Waits([AtomicU64; BUCKETS]);

impl Waits {
    fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    fn note(&self, wait: Duration) {
        let bucket = bucket(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
        self.0[bucket].fetch_add(1, Relaxed);
    }

    /// The upper end of the bucket that holds the quantile.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count, itself a count"
    )]
    fn quantile(&self, share: f64) -> Option<Duration> {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let wanted = (all as f64 * share).ceil() as u64;
        let mut seen = 0;
        let place = counts.iter().position(|count| {
            seen += count;
            seen >= wanted.max(1)
        })?;
        Some(Duration::from_micros(upper_end_us(place)))
    }
}

fn bucket(us: u64) -> usize {
    let us = us.max(u64::from(STEPS));
    let doubling = us.ilog2();
    // The two bits behind the leading one.
    let step = (us >> (doubling - 2)) & 3;
    let index = u64::from(doubling - 2) * u64::from(STEPS) + step;
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

fn upper_end_us(bucket: usize) -> u64 {
    let (doubling, step) = (bucket / STEPS as usize, bucket % STEPS as usize);
    (5 + step as u64) << doubling
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_buckets_that_hold_them() {
        let mut us = 1_u64;
        while us < 60_000_000_000 {
            let place = bucket(us);
            assert!(us < upper_end_us(place), "{us}");
            assert!(upper_end_us(place) <= us.max(4) + us.max(4) / 4 + 1, "{us}");
            us = us * 9 / 8 + 1;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles() {
        let waits = Waits::new();
        assert_eq!(waits.quantile(0.5), None);
        for ms in 1..=100 {
            waits.note(Duration::from_millis(ms));
        }
        let median = waits.quantile(0.5).unwrap();
        assert!((50..65).contains(&median.as_millis()), "{median:?}");
        let late = waits.quantile(0.99).unwrap();
        assert!((99..125).contains(&late.as_millis()), "{late:?}");
    }

    #[test]
    fn a_simulation_that_reached_nobody_failed() {
        for (made, sent, acknowledged, acknowledges, fails) in [
            (0, 0, 0, true, true),
            (0, 0, 0, false, true),
            (1, 0, 0, true, false),
            (1, 5, 0, true, true),
            (1, 5, 0, false, false),
            (1, 5, 1, true, false),
        ] {
            let counts = Counts { made, sent, acknowledged, ..Counts::default() };
            assert_eq!(counts.failure(acknowledges).is_some(), fails, "{counts:?}");
        }
    }

    #[test]
    fn a_summary_has_the_counts() {
        let counts = Counts { sent: 10, acknowledged: 8, open: 2, ..Counts::default() };
        let text = counts.as_text(Duration::from_secs(2));
        assert!(text.contains("frames acknowledged    8"), "{text}");
        assert!(text.contains("acknowledged a second  4"), "{text}");
        assert_eq!(counts.as_json(Duration::from_secs(2))["not_acknowledged"], 2);
    }
}
