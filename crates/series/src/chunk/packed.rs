//! Whole numbers packed into as many bits as they need, 128 at a time.
//!
//! A block is: its base (signed), a byte with the width in bits and, at 0x80, whether the
//! differences from the base are signed (zigzag), a byte with the number of outliers, the
//! differences packed from the lowest bit on, and of each outlier its place and the bits beyond
//! the width. Outliers keep one odd number from making a block wide. The base is the least
//! number, or the median where differences are signed; whichever block is shorter is written.

use super::ChunkError;
use super::bytes::{Reader, unsigned_length, unzigzag, write_signed, write_unsigned, zigzag};

/// Numbers of a block.
const BLOCK: usize = 128;

/// Set in the byte of the width where differences are signed.
const SIGNED: u8 = 0x80;

/// A packed block and eight bytes more, so that each number is read in one piece.
type Scratch = [u8; BLOCK * 8 + 16];

/// Numbers ready to be packed.
pub(super) struct Packed(Vec<Plan>);

impl Packed {
    pub(super) fn of(values: &[i64]) -> Self {
        Self(values.chunks(BLOCK).map(Plan::of).collect())
    }

    /// How many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|plan| plan.bytes).sum()
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.0.iter().for_each(|plan| plan.write(out));
    }
}

/// Reads `count` numbers and appends them.
pub(super) fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    out: &mut Vec<i64>,
) -> Result<(), ChunkError> {
    let mut scratch: Scratch = [0; BLOCK * 8 + 16];
    let mut left = count;
    while left > 0 {
        let size = left.min(BLOCK);
        decode_block(reader, size, &mut scratch, out)?;
        left -= size;
    }
    Ok(())
}

/// A block as it could be written, and how long it would be.
struct Plan {
    base: i64,
    signed: bool,
    width: u32,
    differences: [u64; BLOCK],
    count: usize,
    bytes: usize,
}

impl Plan {
    fn of(block: &[i64]) -> Self {
        let least = Self::new(block, block.iter().copied().min().unwrap_or(0), false);
        let median = Self::new(block, median(block), true);
        if median.bytes < least.bytes { median } else { least }
    }

    fn new(block: &[i64], base: i64, signed: bool) -> Self {
        let mut differences = [0; BLOCK];
        let mut of_length = [0; 65];
        for (difference, value) in differences.iter_mut().zip(block) {
            let apart = value.wrapping_sub(base);
            *difference = if signed { zigzag(apart) } else { apart.cast_unsigned() };
            of_length[bits(*difference) as usize] += 1;
        }
        let (bytes, width) = cheapest_width(block.len(), &of_length);
        let bytes = unsigned_length(zigzag(base)) + 2 + bytes;
        Self { base, signed, width, differences, count: block.len(), bytes }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let differences = &self.differences[..self.count];
        let outliers = differences.iter().filter(|difference| bits(**difference) > self.width);
        write_signed(out, self.base);
        let width = u8::try_from(self.width).expect("at most 64");
        out.push(if self.signed { width | SIGNED } else { width });
        out.push(u8::try_from(outliers.count()).expect("at most 128 in a block"));
        pack(differences, self.width, out);
        for (place, difference) in (0_u8..).zip(differences) {
            if bits(*difference) > self.width {
                out.push(place);
                write_unsigned(out, difference >> self.width);
            }
        }
    }
}

fn median(block: &[i64]) -> i64 {
    let mut sorted = [0; BLOCK];
    let sorted = &mut sorted[..block.len()];
    sorted.copy_from_slice(block);
    let (_, median, _) = sorted.select_nth_unstable(block.len() / 2);
    *median
}

/// The length of a number in bits; 0 has none.
fn bits(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

/// The width at which a block is the shortest, with its length in bytes. `of_length` has the
/// count of numbers by their length in bits.
fn cheapest_width(count: usize, of_length: &[usize; 65]) -> (usize, u32) {
    let longest = of_length.iter().rposition(|count| *count > 0).unwrap_or(0);
    let cost = |width: usize| {
        let beyond = of_length.iter().enumerate().take(longest + 1).skip(width + 1);
        let outliers = beyond.map(|(length, count)| count * (1 + (length - width).div_ceil(7)));
        (count * width).div_ceil(8) + outliers.sum::<usize>()
    };
    let widths = (0..=longest).zip(0..);
    widths.map(|(width, bits)| (cost(width), bits)).min().unwrap_or((0, 0))
}

/// Packs the lowest `width` bits of each number.
fn pack(values: &[u64], width: u32, out: &mut Vec<u8>) {
    let mask = mask(width);
    let end = out.len() + (values.len() * width as usize).div_ceil(8);
    let (mut pending, mut held) = (0_u128, 0);
    for value in values {
        pending |= u128::from(value & mask) << held;
        held += width;
        if held >= u64::BITS {
            out.extend(halves(pending)[0].to_le_bytes());
            pending >>= u64::BITS;
            held -= u64::BITS;
        }
    }
    out.extend(pending.to_le_bytes());
    out.truncate(end);
}

fn mask(width: u32) -> u64 {
    u64::MAX.checked_shr(u64::BITS - width).unwrap_or(0)
}

fn decode_block(
    reader: &mut Reader<'_>,
    count: usize,
    scratch: &mut Scratch,
    out: &mut Vec<i64>,
) -> Result<(), ChunkError> {
    let base = reader.signed()?;
    let header = reader.byte()?;
    let (width, signed) = (u32::from(header & !SIGNED), header & SIGNED != 0);
    let outliers = reader.byte()?;
    if width > u64::BITS {
        return Err(ChunkError::Malformed("a number is wider than 64 bits"));
    }
    let packed = reader.bytes((count * width as usize).div_ceil(8))?;
    scratch[..packed.len()].copy_from_slice(packed);
    let mut differences = [0; BLOCK];
    let differences = &mut differences[..count];
    unpack(scratch, width, differences);
    for _ in 0..outliers {
        let place = usize::from(reader.byte()?);
        let beyond = reader.unsigned()?.checked_shl(width).unwrap_or(0);
        let outlier = differences.get_mut(place);
        *outlier.ok_or(ChunkError::Malformed("an outlier is outside its block"))? |= beyond;
    }
    if signed {
        out.extend(differences.iter().map(|apart| base.wrapping_add(unzigzag(*apart))));
    } else {
        out.extend(differences.iter().map(|apart| base.wrapping_add(apart.cast_signed())));
    }
    Ok(())
}

/// Reads numbers of `width` bits. The bits beyond them may be anything.
fn unpack(packed: &Scratch, width: u32, out: &mut [u64]) {
    let mask = mask(width);
    let step = width as usize;
    // 57 bits and the up to seven before them are in the same eight bytes.
    if width <= 57 {
        for (number, value) in out.iter_mut().enumerate() {
            let bit = number * step;
            *value = (u64::from_le_bytes(piece(packed, bit / 8)) >> (bit % 8)) & mask;
        }
        return;
    }
    for (number, value) in out.iter_mut().enumerate() {
        let bit = number * step;
        let wide = u128::from_le_bytes(piece(packed, bit / 8)) >> (bit % 8);
        let [low, _] = halves(wide);
        *value = low & mask;
    }
}

fn halves(wide: u128) -> [u64; 2] {
    let bytes = wide.to_le_bytes();
    [0, 8].map(|from| u64::from_le_bytes(piece(&bytes, from)))
}

fn piece<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    *bytes[from..].first_chunk().expect("the buffer is longer than what is packed into it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(values: &[i64]) -> usize {
        let mut out = Vec::new();
        let packed = Packed::of(values);
        packed.write(&mut out);
        assert_eq!(out.len(), packed.bytes());
        let mut read = Vec::new();
        let mut reader = Reader::new(&out);
        decode(&mut reader, values.len(), &mut read).unwrap();
        reader.finish().unwrap();
        assert_eq!(read, values);
        out.len()
    }

    #[test]
    fn numbers_take_the_bits_that_they_need() {
        let values: Vec<i64> = (0..128).map(|number| 1_000 + number % 8).collect();
        assert_eq!(length(&values), 4 + 48);
    }

    #[test]
    fn an_outlier_costs_itself_only() {
        let mut values: Vec<i64> = (0..128).map(|number| number % 8).collect();
        let plain = length(&values);
        values[77] = 1_000_000;
        assert!(length(&values) <= plain + 4);
        values[77] = -1_000_000;
        assert!(length(&values) <= plain + 4 + 16);
    }

    #[test]
    fn every_width_is_read_back() {
        for width in 0..=64 {
            let values: Vec<i64> = (0..200_i64)
                .map(|number| {
                    (number.wrapping_mul(0x5851_F42D_4C95_7F2D).cast_unsigned() & mask(width))
                        .cast_signed()
                })
                .collect();
            length(&values);
        }
    }
}
