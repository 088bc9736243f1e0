//! Which frames are followed. Pure, but for the counter of [`Forced`].

use std::sync::atomic::{AtomicU64, Ordering};

/// Traces that others began and want recorded, a second. Whoever may publish may ask
/// for a trace, so a fleet that asks for each of its frames must not decide what this
/// process does; at eight spans a trace, 100 fill the queue in ten seconds at worst.
pub(super) const FORCED_PER_S: u64 = 100;

/// 2^63: shares are of this, so that 1 is all.
const WHOLE: u64 = 1 << 63;

/// The share of frames that are followed, by their trace's id: the decision is the
/// same wherever it is made, as OpenTelemetry's `TraceIdRatioBased` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio(u64);

impl Ratio {
    /// From 0 (none) to 1 (all); `None` for what is no share.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of 2^63, which f64 holds exactly; checked to be within"
    )]
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self((share * WHOLE as f64) as u64))
    }

    /// Whether a trace whose id ends in these 64 bits is followed.
    pub(super) const fn takes(self, low_bits: u64) -> bool {
        low_bits >> 1 < self.0
    }
}

/// Lets through so many a second: second and count in one number, so that there is
/// no lock. Two threads may count a moment twice as the second turns; it is a guard,
/// not a book.
#[derive(Debug, Default)]
pub(super) struct Forced(AtomicU64);

impl Forced {
    /// Whether one more may pass in this second.
    pub(super) fn may_pass(&self, second: u32) -> bool {
        let now = u64::from(second) << 32;
        let held = self.0.load(Ordering::Relaxed);
        if held >> 32 != now >> 32 {
            self.0.store(now | 1, Ordering::Relaxed);
            return true;
        }
        held & u64::from(u32::MAX) < FORCED_PER_S && {
            self.0.fetch_add(1, Ordering::Relaxed);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    #[test]
    fn a_ratio_is_a_share() {
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Ratio::new(wrong), None);
        }
        let (none, all) = (Ratio::new(0.0).unwrap(), Ratio::new(1.0).unwrap());
        assert!(!none.takes(0) && all.takes(u64::MAX) && all.takes(0));
        let hundredth = Ratio::new(0.01).unwrap();
        let mut random = rand::rngs::SmallRng::seed_from_u64(1);
        let taken = (0..100_000).filter(|_| hundredth.takes(random.random())).count();
        assert!((800..1200).contains(&taken), "{taken}");
    }

    #[test]
    fn a_larger_share_takes_what_a_smaller_takes() {
        let mut random = rand::rngs::SmallRng::seed_from_u64(2);
        let (small, large) = (Ratio::new(0.1).unwrap(), Ratio::new(0.5).unwrap());
        let mut ids = std::iter::repeat_with(|| random.random::<u64>());
        assert!(ids.by_ref().take(1000).all(|id| !small.takes(id) || large.takes(id)));
    }

    #[test]
    fn others_wishes_have_a_bound_a_second() {
        let forced = Forced::default();
        let passed = |second| (0..1000).filter(|_| forced.may_pass(second)).count();
        assert_eq!([passed(1), passed(2), passed(9)], [100; 3]);
    }
}
