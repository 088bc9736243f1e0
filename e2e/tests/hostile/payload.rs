//! Payloads that mean no good, out of a seed, and what is in them.

use nemeses_e2e::frames;
use nemeses_protocol::{DeviceId, Item, MAX_DEAD_LETTER_BYTES, frames as stretches, normalise};
use rand::rngs::SmallRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};

/// Below the packet limit of a node (256 KiB).
const HUGEST_BYTES: usize = 250 * 1024;

/// A source of payloads; the same seed, the same payloads.
pub(crate) struct Payloads(SmallRng);

impl Payloads {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    pub(crate) fn next(&mut self) -> Vec<u8> {
        match self.0.random_range(0..20_000) {
            0 => self.huge(),
            1..500 => Vec::new(),
            500..1000 => self.headers(),
            1000..8000 => self.random(),
            8000..14_000 => self.mutated_frames(),
            14_000..16_000 => self.random_hex(),
            _ => self.mutated_hex(),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    fn random(&mut self) -> Vec<u8> {
        let length = 1 + self.below(120);
        self.bytes(length)
    }

    fn huge(&mut self) -> Vec<u8> {
        let length = 1 + self.below(HUGEST_BYTES);
        self.bytes(length)
    }

    /// Headers without frames, alone and with a byte between them.
    fn headers(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..=self.below(40) {
            bytes.extend([0x50, 0xF7]);
            if self.below(3) == 0 {
                bytes.push(self.0.random());
            }
        }
        bytes
    }

    fn mutated_frames(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..=self.below(3) {
            let device = DeviceId::new(self.0.random_range(0..50));
            if self.below(4) == 0 {
                bytes.extend(frames::ping(device));
            } else {
                let frame = frames::live(device, 1_600_000_000, self.0.random());
                bytes.extend(frames::bytes(&frame));
            }
        }
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(4) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes.insert(at, self.0.random()),
                _ => bytes[at] = self.0.random(),
            }
        }
        bytes
    }

    fn random_hex(&mut self) -> Vec<u8> {
        hex::encode(self.random()).into_bytes()
    }

    /// Hex text with what is no digit in it.
    fn mutated_hex(&mut self) -> Vec<u8> {
        let mut text = hex::encode_upper(self.mutated_frames()).into_bytes();
        let at = self.below(text.len());
        text[at] = self.0.random();
        if self.below(4) == 0 {
            text.insert(at, b' ');
        }
        text
    }
}

/// How many frames and dead letters are in a payload: each is one in the books.
pub(crate) fn items(payload: &[u8]) -> u64 {
    if payload.is_empty() {
        return 1;
    }
    let read = normalise(payload);
    let stretches = stretches(&read.bytes).map(|item| match item {
        Item::Frame { .. } => 1,
        Item::Skipped { bytes, .. } => letters(bytes),
    });
    stretches.sum::<u64>() + read.unreadable.map_or(0, |(_, text)| letters(text))
}

/// A long stretch is kept in several letters.
fn letters(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len().div_ceil(MAX_DEAD_LETTER_BYTES)).unwrap()
}
