//! The list itself, and its bytes in the live store.

use std::collections::HashSet;

use nemeses_protocol::DeviceId;
use sha2::{Digest as _, Sha256};

use crate::hash::NumberHash;

/// Devices in one list: 4 MB on the wire, some 10 MB in memory, twice that while a
/// new list takes the place of the old one.
pub const MAX_KNOWN: usize = 1_000_000;

/// The known devices at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownList {
    numbers: HashSet<u32, NumberHash>,
}

impl KnownList {
    /// Whether a device is in it.
    pub fn contains(&self, device: DeviceId) -> bool {
        self.numbers.contains(&device.number())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Its version, which follows from what is in it, and its bytes: the version
    /// (8 bytes, big-endian) and the devices' numbers in order (4 each).
    pub fn encode(&self) -> (u64, Vec<u8>) {
        let mut numbers: Vec<u32> = self.numbers.iter().copied().collect();
        numbers.sort_unstable();
        let numbers: Vec<u8> = numbers.into_iter().flat_map(u32::to_be_bytes).collect();
        let version = version(&numbers);
        (version, [version.to_be_bytes().as_slice(), &numbers].concat())
    }

    /// Reads what [`Self::encode`] wrote; `None` for anything else, half a list too.
    pub fn decode(bytes: &[u8]) -> Option<(u64, Self)> {
        let (said, numbers) = bytes.split_first_chunk::<8>()?;
        let said = u64::from_be_bytes(*said);
        let (numbers_of, rest) = numbers.as_chunks::<4>();
        if !rest.is_empty() || numbers_of.len() > MAX_KNOWN || said != version(numbers) {
            return None;
        }
        let numbers = numbers_of.iter().map(|number| u32::from_be_bytes(*number)).collect();
        Some((said, Self { numbers }))
    }
}

impl FromIterator<DeviceId> for KnownList {
    fn from_iter<I: IntoIterator<Item = DeviceId>>(devices: I) -> Self {
        Self { numbers: devices.into_iter().map(DeviceId::number).collect() }
    }
}

fn version(numbers: &[u8]) -> u64 {
    let digest: [u8; 32] = Sha256::digest(numbers).into();
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}
