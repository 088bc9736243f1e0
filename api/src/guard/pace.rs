//! Leaky buckets by key: each attempt fills one, and it empties with time. Pure,
//! the time is an argument; bounded in number. Keys are hashes, so that nobody chooses
//! how much memory one takes.

use std::collections::HashMap;

/// Keys remembered at most: some 40 bytes each, 2 MB for all kinds. When there
/// are more, the ones nearest to being empty are forgotten.
const MOST_KEYS: usize = 10_000;

/// A hash under a key of this process.
pub(super) type Key = u64;

/// How much is let through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// At once.
    pub(super) burst: u32,
    /// And then one in so many milliseconds.
    pub(super) every_ms: u64,
}

/// The buckets of one kind. A bucket is the moment when it will be empty.
#[derive(Debug, Default)]
pub(super) struct Paces {
    empty_at_ms: HashMap<Key, u64>,
}

impl Paces {
    /// Lets one more through, or says how many milliseconds are to be waited.
    pub(super) fn take(&mut self, key: Key, rule: Rule, now_ms: u64) -> Result<u32, u64> {
        let level = self.level(key, rule, now_ms);
        let empty_at_ms = now_ms + self.left_ms(key, rule, now_ms);
        if level >= rule.burst {
            let room_at_ms = rule.every_ms.saturating_mul(u64::from(rule.burst) - 1);
            return Err((empty_at_ms - now_ms).saturating_sub(room_at_ms).max(1));
        }
        self.make_room(now_ms);
        self.empty_at_ms.insert(key, empty_at_ms.saturating_add(rule.every_ms));
        Ok(level + 1)
    }

    /// One that was let through does not count after all.
    pub(super) fn give_back(&mut self, key: Key, rule: Rule) {
        if let Some(empty_at_ms) = self.empty_at_ms.get_mut(&key) {
            *empty_at_ms = empty_at_ms.saturating_sub(rule.every_ms);
        }
    }

    /// How many are in the bucket, a part of one counted as one.
    pub(super) fn level(&self, key: Key, rule: Rule, now_ms: u64) -> u32 {
        u32::try_from(self.left_ms(key, rule, now_ms).div_ceil(rule.every_ms)).unwrap_or(u32::MAX)
    }

    /// Until the bucket is empty. One that would be more than full was filled before
    /// the clock was set back, and says nothing.
    fn left_ms(&self, key: Key, rule: Rule, now_ms: u64) -> u64 {
        let full_ms = rule.every_ms.saturating_mul(u64::from(rule.burst));
        let left_ms = self.empty_at_ms.get(&key).map_or(0, |at| at.saturating_sub(now_ms));
        if left_ms > full_ms { 0 } else { left_ms }
    }

    fn make_room(&mut self, now_ms: u64) {
        if self.empty_at_ms.len() < MOST_KEYS {
            return;
        }
        self.empty_at_ms.retain(|_, at| *at > now_ms);
        if self.empty_at_ms.len() < MOST_KEYS {
            return;
        }
        let mut times: Vec<u64> = self.empty_at_ms.values().copied().collect();
        let (_, median, _) = times.select_nth_unstable(MOST_KEYS / 2);
        let median = *median;
        self.empty_at_ms.retain(|_, at| *at > median);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: Rule = Rule { burst: 3, every_ms: 1000 };

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_pace(steps in proptest::collection::vec(0..3000_u64, 1..200)) {
            let mut paces = Paces::default();
            let (mut now_ms, mut passed) = (0, 0_u64);
            for step in steps {
                now_ms += step;
                match paces.take(7, RULE, now_ms) {
                    Ok(_) => passed += 1,
                    Err(wait_ms) => {
                        // Whoever waits for as long as told gets through, and not before.
                        let mut later = Paces { empty_at_ms: paces.empty_at_ms.clone() };
                        prop_assert!(later.take(7, RULE, now_ms + wait_ms - 1).is_err());
                        prop_assert!(later.take(7, RULE, now_ms + wait_ms).is_ok());
                    }
                }
                prop_assert!(passed <= u64::from(RULE.burst) + now_ms / RULE.every_ms);
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_back_shuts_nobody_out() {
        let mut paces = Paces::default();
        paces.take(0, RULE, 1_000_000).unwrap();
        paces.take(0, RULE, 0).unwrap();
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let mut paces = Paces::default();
        for key in 0..3 * MOST_KEYS as u64 {
            paces.take(key, RULE, 0).unwrap();
            assert!(paces.empty_at_ms.len() <= MOST_KEYS);
        }
        let mut paces = Paces::default();
        for _ in 0..3 {
            paces.take(0, RULE, 0).unwrap();
        }
        for key in 1..2 * MOST_KEYS as u64 {
            paces.take(key, RULE, 0).unwrap();
        }
        assert!(paces.take(0, RULE, 0).is_err(), "the fullest are kept");
    }
}
