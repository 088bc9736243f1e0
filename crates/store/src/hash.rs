//! A hash for device numbers and the days they have: small integers that the
//! router of a hash table needs spread, nothing more. Who could choose them to
//! collide has logins of ours and gains a slow batch.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds [`NumberHasher`]s.
pub type NumberHash = BuildHasherDefault<NumberHasher>;

/// Multiplies by 2^64 / golden ratio, which spreads neighbours over the table.
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberHasher(u64);

const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for NumberHasher {
    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(29) ^ number).wrapping_mul(SPREAD);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    /// The table takes its place from the low bits, which a product mixes least.
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher as _;

    use super::*;

    #[test]
    fn neighbours_and_multiples_are_spread() {
        let hash = NumberHash::default();
        for step in [1_u32, 4, 50, 64, 1024, 65_536] {
            let low_bits = |number: u32| hash.hash_one(number * step) & 0xFFF;
            let places: HashSet<u64> = (0..4096).map(low_bits).collect();
            // Random places would fill 63 % of 4096.
            assert!(places.len() > 2000, "step {step}: {}", places.len());
            let days: HashSet<u64> = (0..4096)
                .map(|number| hash.hash_one((number * step, 19_000_u32)) & 0xFFF)
                .collect();
            assert!(days.len() > 2000, "step {step}: {}", days.len());
        }
    }
}
