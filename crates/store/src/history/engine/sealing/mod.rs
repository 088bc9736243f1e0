//! Sealed readings: how rows become blocks, how blocks are read beside rows, how a record that is
//! sent again is known, and how blocks leave (docs/decisions/0068-sealed-chunks.md).

mod block;
mod known;
mod leave;
mod plan;
mod read;
mod step;

use block::by_minute;
pub(super) use known::{SealedTo, known_again, none_sealed, sealed_guard};
pub(in crate::history) use leave::BlockRow;
pub(super) use leave::{count_readings, expire_blocks};
pub(super) use read::{Stretch, join, newest_blocks, sealed_between};

/// The 32 bits of a record's hash by which it is known in a block: the upper ones, so that records
/// of one millisecond stay in their order.
pub(super) const fn hash32(content_hash: u64) -> u32 {
    (content_hash >> 32) as u32
}
