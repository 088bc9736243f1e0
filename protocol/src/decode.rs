//! Frames out of bytes, with resynchronisation over rubbish.
//!
//! The iterator cuts a payload into frames and skipped stretches that lie end to
//! end and cover every byte once. What one frame looks like is in `frame.rs`.

use crate::frame::{Rejected, frame};
use crate::wire::HEADER;
use crate::{DecodeError, DeviceId, Position};

/// One good frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A heartbeat that wants an answer.
    Ping {
        /// Who asks.
        device: DeviceId,
        /// What to send back, 0 to 32 bytes.
        payload: &'a [u8],
    },
    /// A location.
    Location(Position),
}

/// One stretch of a payload, in the order of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A good frame and the bytes it was read from.
    Frame {
        /// Where it begins in the raw bytes.
        offset: usize,
        /// The frame's raw bytes, header and footer included.
        bytes: &'a [u8],
        /// The decoded frame.
        frame: Frame<'a>,
    },
    /// Bytes that are no frame.
    Skipped {
        /// Where the stretch begins in the raw bytes.
        offset: usize,
        /// The skipped bytes.
        bytes: &'a [u8],
        /// Whose, when a header and an id stand at the beginning.
        device: Option<DeviceId>,
        /// Why.
        reason: DecodeError,
    },
}

/// Walks raw bytes from front to back; see [`frames`].
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    offset: usize,
}

/// Iterates over all of `bytes`, allocating nothing; the items lie end to end
/// and cover every byte once.
///
/// Where no frame begins, bytes are skipped up to the next `50F7`, where the
/// next attempt is made. Neighbouring stretches with the same reason and the same
/// device are one item, so that a payload of headers alone is not thousands of
/// them. The work is linear in the length: each attempt looks at 40 bytes at
/// most, and at most twice at the same place.
pub fn frames(bytes: &[u8]) -> Frames<'_> {
    Frames { rest: bytes, offset: 0 }
}

impl<'a> Frames<'a> {
    /// Takes `length` bytes off the front and says where they stood.
    #[inline]
    fn take(&mut self, length: usize) -> (usize, &'a [u8]) {
        let (bytes, rest) = self.rest.split_at(length);
        let offset = self.offset;
        self.rest = rest;
        self.offset += length;
        (offset, bytes)
    }

    #[cold]
    fn skip(&mut self, rejected: Rejected) -> Item<'a> {
        let (offset, bytes) = self.take(skipped_length(self.rest, rejected));
        Item::Skipped { offset, bytes, device: rejected.device, reason: rejected.reason }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        Some(match frame(self.rest) {
            Ok((length, frame)) => {
                let (offset, bytes) = self.take(length);
                Item::Frame { offset, bytes, frame }
            }
            Err(rejected) => self.skip(rejected),
        })
    }
}

impl core::iter::FusedIterator for Frames<'_> {}

/// How far a stretch goes that was rejected at the front of `bytes`: to the next
/// header where a frame begins or another rejection holds.
fn skipped_length(bytes: &[u8], rejected: Rejected) -> usize {
    let mut length = 0;
    loop {
        length = next_header(bytes, length + 1);
        if length == bytes.len() || frame(&bytes[length..]).err() != Some(rejected) {
            return length;
        }
    }
}

/// Where the next header begins at `from` or later; the end if there is none.
fn next_header(bytes: &[u8], from: usize) -> usize {
    let found = bytes[from..].windows(HEADER.len()).position(|window| window == HEADER);
    found.map_or(bytes.len(), |position| from + position)
}

#[cfg(test)]
mod tests;
