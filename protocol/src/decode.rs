//! Frames out of bytes (nom), with resynchronisation over rubbish.

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
}

/// STUB for the helper: iterates over all of `bytes`, allocating nothing; the
/// items lie end to end and cover every byte once.
pub fn frames(bytes: &[u8]) -> Frames<'_> {
    Frames { rest: bytes }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let _ = self.rest;
        None
    }
}
