//! Columns of floating-point numbers by their bits, each as its difference from the one before
//! (Pelkonen et al., Gorilla, 2015). For numbers that are no short decimals.
//!
//! The first number's 64 bits, then for each further one: a 0 if it is the same; or 1, 0 and the
//! differing bits in the place of the last difference; or 1, 1, five bits with the number of
//! leading zeros (31 at most), six with the length less one, and the differing bits. The lowest
//! bits come first, and the last byte is filled with zeros.

use super::ChunkError;
use super::bytes::{Reader, wide};

/// Most leading zeros that are left out: what five bits hold.
const MOST_LEADING: u32 = 31;

/// The place of the differing bits.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    /// Zeros before them, at most 31.
    leading: u32,
    /// How many they are, at least one.
    length: u32,
}

impl Place {
    fn of(difference: u64) -> Self {
        let leading = difference.leading_zeros().min(MOST_LEADING);
        Self { leading, length: u64::BITS - leading - difference.trailing_zeros() }
    }

    fn trailing(self) -> u32 {
        u64::BITS - self.leading - self.length
    }

    /// Whether a difference fits here, and writing it here is not longer than naming its own
    /// place, which takes eleven bits.
    fn suits(self, own: Self) -> bool {
        let fits = own.leading >= self.leading && own.trailing() >= self.trailing();
        fits && self.length <= own.length + 11
    }
}

pub(super) fn encode(values: &[u64]) -> Vec<u8> {
    let mut bits = Writer::default();
    let mut before = 0;
    let mut place: Option<Place> = None;
    for (number, value) in values.iter().enumerate() {
        let difference = value ^ before;
        before = *value;
        if number == 0 {
            bits.write(*value, 64);
        } else if difference == 0 {
            bits.write(0, 1);
        } else {
            place = Some(write_difference(&mut bits, difference, place));
        }
    }
    bits.finish()
}

fn write_difference(bits: &mut Writer, difference: u64, place: Option<Place>) -> Place {
    let own = Place::of(difference);
    if let Some(place) = place.filter(|place| place.suits(own)) {
        bits.write(0b01, 2);
        bits.write(difference >> place.trailing(), place.length);
        return place;
    }
    bits.write(0b11, 2);
    bits.write(u64::from(own.leading), 5);
    bits.write(u64::from(own.length - 1), 6);
    bits.write(difference >> own.trailing(), own.length);
    own
}

/// Reads `count` numbers.
pub(super) fn decode(reader: &mut Reader<'_>, count: usize) -> Result<Vec<u64>, ChunkError> {
    let mut bits = Bits { bytes: reader.rest(), at: 0 };
    let mut values = Vec::with_capacity(count);
    let mut place = Place { leading: 0, length: 64 };
    let mut value = 0;
    for number in 0..count {
        if number == 0 {
            value = bits.read(64)?;
        } else if bits.read(1)? == 1 {
            if bits.read(1)? == 1 {
                place = read_place(&mut bits)?;
            }
            value ^= bits.read(place.length)? << place.trailing();
        }
        values.push(value);
    }
    reader.bytes(bits.at.div_ceil(8))?;
    Ok(values)
}

fn read_place(bits: &mut Bits<'_>) -> Result<Place, ChunkError> {
    let fields = bits.read(11)?;
    let place = Place { leading: low(fields & 31), length: low(fields >> 5) + 1 };
    if place.leading + place.length > u64::BITS {
        return Err(ChunkError::Malformed("differing bits are outside their number"));
    }
    Ok(place)
}

fn low(value: u64) -> u32 {
    u32::try_from(value).expect("fields of a place have at most six bits")
}

/// Collects bits, the lowest first.
#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    pending: u128,
    held: u32,
}

impl Writer {
    fn write(&mut self, value: u64, length: u32) {
        self.pending |= u128::from(value) << self.held;
        self.held += length;
        while self.held >= 8 {
            self.out.push(self.pending.to_le_bytes()[0]);
            self.pending >>= 8;
            self.held -= 8;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.held > 0 {
            self.out.push(self.pending.to_le_bytes()[0]);
        }
        self.out
    }
}

/// Reads bits, the lowest first.
struct Bits<'a> {
    bytes: &'a [u8],
    /// How many bits were read.
    at: usize,
}

impl Bits<'_> {
    fn read(&mut self, length: u32) -> Result<u64, ChunkError> {
        let (byte, shift) = (self.at / 8, self.at % 8);
        let end = self.at + length as usize;
        if wide(end) > wide(self.bytes.len()) * 8 {
            return Err(ChunkError::Truncated);
        }
        self.at = end;
        let wide = window(&self.bytes[byte..]) >> shift;
        let low = u64::try_from(wide & u128::from(u64::MAX)).expect("masked to 64 bits");
        Ok(low & (u64::MAX >> (u64::BITS - length)))
    }
}

/// The first sixteen bytes; what is missing is 0.
fn window(bytes: &[u8]) -> u128 {
    if let Some(whole) = bytes.first_chunk() {
        return u128::from_le_bytes(*whole);
    }
    let mut padded = [0; 16];
    padded[..bytes.len()].copy_from_slice(bytes);
    u128::from_le_bytes(padded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_back(values: &[u64]) -> usize {
        let out = encode(values);
        let mut reader = Reader::new(&out);
        assert_eq!(decode(&mut reader, values.len()), Ok(values.to_vec()));
        out.len()
    }

    #[test]
    fn the_same_number_again_is_a_bit() {
        assert_eq!(read_back(&[1.1_f64.to_bits(); 81]), 18);
        assert_eq!(read_back(&[]), 0);
    }

    #[test]
    fn differences_of_every_place_are_read_back() {
        let places = (0..64).flat_map(|low| (low..64).map(move |high| (1 << low) | (1 << high)));
        let values: Vec<u64> = places.collect();
        read_back(&values);
    }

    proptest! {
        #[test]
        fn any_numbers_are_read_back(values in prop::collection::vec(any::<u64>(), 0..100)) {
            read_back(&values);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), count in 0_usize..500) {
            if let Ok(values) = decode(&mut Reader::new(&bytes), count) {
                prop_assert_eq!(values.len(), count);
            }
        }
    }
}
