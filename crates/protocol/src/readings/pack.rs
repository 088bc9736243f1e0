//! The values of a record by the numbers of their channels, as they are stored.
//!
//! A device has a list of channels that only grows. A record has a bit for each channel
//! up to its last, and behind the bits the values in the order of the numbers. So sets of
//! channels need no names of their own, however many a device sends.

use alloc::vec::Vec;

use super::{MAX_READINGS, Value};
use crate::varint::{read_varint, write_varint};

/// The layout's version, the first byte.
const VERSION: u8 = 1;

/// Packed values.
pub type Packed = Vec<u8>;
/// Channels' numbers in their order, with the values.
pub type Unpacked = Vec<(u16, Value)>;

/// Packs values in the order of their channels' numbers, each number once and below
/// [`MAX_READINGS`]: the version, how many bytes of bits follow, the bits (the lowest of
/// the first byte is channel 0), the values.
pub fn pack<'v>(values: impl IntoIterator<Item = (u16, &'v Value)> + Clone) -> Packed {
    let last = values.clone().into_iter().last().map_or(0, |(number, _)| usize::from(number) + 1);
    let mut out = Vec::with_capacity(2 + last.div_ceil(8) + 4 * last);
    out.push(VERSION);
    write_varint(last.div_ceil(8) as u64, &mut out);
    let bits = out.len();
    out.resize(bits + last.div_ceil(8), 0);
    for (number, value) in values {
        out[bits + usize::from(number / 8)] |= 1 << (number % 8);
        value.write(&mut out);
    }
    out
}

/// Reads what [`pack`] wrote; `None` for anything else.
pub fn unpack(bytes: &[u8]) -> Option<Unpacked> {
    let mut values = Vec::new();
    unpack_each(bytes, |number, value| values.push((number, value)))?;
    Some(values)
}

fn unpack_each(bytes: &[u8], mut each: impl FnMut(u16, Value)) -> Option<()> {
    let (version, mut rest) = bytes.split_first()?;
    let length = usize::try_from(read_varint(&mut rest)?).ok()?;
    if *version != VERSION || length > MAX_READINGS / 8 {
        return None;
    }
    let (bits, mut rest) = rest.split_at_checked(length)?;
    for (byte, first) in bits.iter().zip((0_u16..).step_by(8)) {
        for bit in 0..8 {
            if byte & (1 << bit) != 0 {
                each(first + bit, Value::read(&mut rest)?);
            }
        }
    }
    rest.is_empty().then_some(())
}
