//! A share of the devices, so that a client reads a long list in several requests at once.

use nemeses_protocol::DeviceId;

use crate::problem::Problem;

/// Browsers open six connections; programs seldom use more than a few dozen.
const MOST: u32 = 64;
/// 2^32 divided by the golden ratio: multiplied by it, neighbouring numbers lie far apart.
const SPREAD: u32 = 0x9E37_79B1;

/// One of so many shares. Every device is in exactly one of them, whichever other devices
/// there are, so nothing is lost or read twice while devices come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// Counted from 0.
    index: u32,
    of: u32,
}

impl Default for Shard {
    fn default() -> Self {
        Self { index: 0, of: 1 }
    }
}

impl Shard {
    /// `k/n`, k from 1.
    pub(super) fn parse(name: &'static str, text: &str) -> Result<Self, Problem> {
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u32>().ok()).flatten()
        };
        let (index, of) = text.split_once('/').unwrap_or_default();
        match (number(index), number(of)) {
            (Some(index), Some(of @ 1..=MOST)) if (1..=of).contains(&index) => {
                Ok(Self { index: index - 1, of })
            }
            _ => {
                let detail = format!("Must be k/n with k from 1 to n and n at most {MOST}.");
                Err(Problem::parameter(name, detail))
            }
        }
    }

    /// Whether the device is in this share.
    pub(crate) fn has(self, device: DeviceId) -> bool {
        let spread = u64::from(device.number().wrapping_mul(SPREAD));
        (spread * u64::from(self.of)) >> u32::BITS == u64::from(self.index)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shard(index: u32, of: u32) -> Shard {
        Shard::parse("shard", &format!("{index}/{of}")).unwrap()
    }

    #[test]
    fn what_is_no_shard_is_named() {
        for bad in ["", "1", "/", "0/4", "5/4", "1/0", "1/65", "+1/4", "1/4/4", "a/b", " 1/4"] {
            let problem = Shard::parse("shard", bad).unwrap_err();
            assert_eq!(problem.at_fault(), Some("shard"), "{bad}");
        }
        assert_eq!(shard(1, 1), Shard::default());
    }

    proptest! {
        #[test]
        fn every_device_is_in_one_share(number: u32, of in 1..=MOST) {
            let device = DeviceId::new(number);
            let having = (1..=of).filter(|index| shard(*index, of).has(device));
            prop_assert_eq!(having.count(), 1);
        }

        /// Ids in a row, as a fleet has them, or every second or hundredth of them.
        #[test]
        fn shares_are_about_equal(first in 0..16_000_000_u32, step in 1..256_u32, of in 2..=8_u32) {
            for index in 1..=of {
                let numbers = (0..4000).map(|nth| first + nth * step);
                let having = numbers.filter(|number| shard(index, of).has(DeviceId::new(*number)));
                let (count, fair) = (having.count(), 4000 / of as usize);
                prop_assert!(count > fair / 2 && count < fair * 2, "{count} of {fair}");
            }
        }
    }
}
