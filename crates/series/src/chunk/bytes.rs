//! Reading and writing of bytes: what every part of a chunk is made of.
//!
//! Whole numbers are LEB128: seven bits a byte, the lowest first. Signed ones are turned into
//! unsigned ones first, so that those near 0 are short (zigzag). Everything else is little-endian.

use super::ChunkError;

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], ChunkError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ChunkError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ChunkError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(ChunkError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, ChunkError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, ChunkError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ChunkError::Malformed("a whole number has more than 64 bits"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, ChunkError> {
        self.unsigned().map(unzigzag)
    }

    /// A number of things, of which there cannot be more than `most`.
    pub(super) fn count(&mut self, most: usize) -> Result<usize, ChunkError> {
        let count = usize::try_from(self.unsigned()?).ok().filter(|count| *count <= most);
        count.ok_or(ChunkError::TooMany)
    }

    /// The bytes that nothing has read yet, without reading them.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn finish(self) -> Result<(), ChunkError> {
        if self.0.is_empty() { Ok(()) } else { Err(ChunkError::Trailing) }
    }
}

pub(super) fn write_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

/// How many bytes [`write_unsigned`] takes.
pub(super) fn unsigned_length(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    bits.div_ceil(7).max(1) as usize
}

pub(super) fn write_signed(out: &mut Vec<u8>, value: i64) {
    write_unsigned(out, zigzag(value));
}

pub(super) fn write_count(out: &mut Vec<u8>, count: usize) {
    write_unsigned(out, wide(count));
}

/// A length as 64 bits; no machine has longer ones.
pub(super) fn wide(length: usize) -> u64 {
    u64::try_from(length).expect("lengths have at most 64 bits")
}

pub(super) fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whole_numbers_are_read_back(value in any::<i64>(), shift in 0_u32..64) {
            let value = value >> shift;
            let mut out = Vec::new();
            write_signed(&mut out, value);
            prop_assert_eq!(out.len(), unsigned_length(zigzag(value)));
            write_unsigned(&mut out, value.cast_unsigned());
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.signed(), Ok(value));
            prop_assert_eq!(reader.unsigned(), Ok(value.cast_unsigned()));
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_refused() {
        let mut most = vec![0xFF; 9];
        most.push(0x01);
        assert_eq!(Reader::new(&most).unsigned(), Ok(u64::MAX));
        most[9] = 0x02;
        assert!(Reader::new(&most).unsigned().is_err());
        assert!(Reader::new(&[0xFF; 20]).unsigned().is_err());
    }
}
