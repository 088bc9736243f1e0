//! Columns of floating-point numbers, in whichever form is the shortest: decimals as whole
//! numbers, the bits as whole numbers, or the bits by their differences.
//!
//! Decimals are: a byte with the places (and 0x10 for single precision), the number of odd
//! numbers, of each its distance from the odd one before and its 64 bits, then the whole numbers,
//! in which an odd number repeats the one before it.

use super::bytes::{Reader, write_count, write_signed};
use super::decimal::Scale;
use super::{ChunkError, integers, xor};

const BITS: u8 = 0x20;
const DIFFERENCES: u8 = 0x30;

/// Decimals of so few bytes a number are taken without a look at the other forms, which are
/// seldom shorter and take most of the time.
const SHORT_ENOUGH: usize = 3;

pub(super) fn encode(numbers: &[f64], out: &mut Vec<u8>) {
    if numbers.is_empty() {
        return;
    }
    let decimals = Scale::of(numbers).map(|scale| encode_decimals(numbers, scale));
    match decimals {
        Some(decimals) if decimals.len() <= numbers.len() * SHORT_ENOUGH => out.extend(decimals),
        decimals => {
            let others = encode_bits(numbers);
            let candidates = decimals.into_iter().chain(others);
            out.extend(candidates.min_by_key(Vec::len).expect("bits are always possible"));
        }
    }
}

/// Reads `count` numbers, the last of their chunk.
pub(super) fn decode(reader: &mut Reader<'_>, count: usize) -> Result<Vec<f64>, ChunkError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    match reader.byte()? {
        BITS => {
            let bits = integers::decode(reader, count)?;
            Ok(bits.into_iter().map(|bits| f64::from_bits(bits.cast_unsigned())).collect())
        }
        DIFFERENCES => Ok(xor::decode(reader, count)?.into_iter().map(f64::from_bits).collect()),
        form => decode_decimals(reader, Scale::from_byte(form)?, count),
    }
}

fn encode_decimals(numbers: &[f64], scale: Scale) -> Vec<u8> {
    let mut odd = Vec::new();
    let mut before = 0;
    let wholes = numbers.iter().enumerate().map(|(place, number)| {
        match scale.whole(*number) {
            Some(whole) => before = whole,
            None => odd.push((place, number.to_bits())),
        }
        before
    });
    let wholes: Vec<i64> = wholes.collect();
    let mut out = vec![scale.to_byte()];
    write_count(&mut out, odd.len());
    let mut last = 0;
    for (place, bits) in odd {
        write_count(&mut out, place - last);
        out.extend(bits.to_le_bytes());
        last = place;
    }
    integers::encode(&wholes, &mut out);
    out
}

fn decode_decimals(
    reader: &mut Reader<'_>,
    scale: Scale,
    count: usize,
) -> Result<Vec<f64>, ChunkError> {
    let odd_count = reader.count(count)?;
    let mut odd = Vec::with_capacity(odd_count);
    let mut place = 0;
    for _ in 0..odd_count {
        place += reader.count(count)?;
        odd.push((place, f64::from_le_bytes(reader.array()?)));
    }
    let wholes = integers::decode(reader, count)?;
    let mut numbers: Vec<f64> = wholes.into_iter().map(|whole| scale.number(whole)).collect();
    for (place, number) in odd {
        let slot = numbers.get_mut(place);
        *slot.ok_or(ChunkError::Malformed("an odd number is outside its column"))? = number;
    }
    Ok(numbers)
}

fn encode_bits(numbers: &[f64]) -> [Vec<u8>; 2] {
    let bits: Vec<u64> = numbers.iter().map(|number| number.to_bits()).collect();
    let whole: Vec<i64> = bits.iter().map(|bits| bits.cast_signed()).collect();
    let mut plain = vec![BITS];
    integers::encode(&whole, &mut plain);
    let mut differences = vec![DIFFERENCES];
    differences.extend(xor::encode(&bits));
    [plain, differences]
}

/// Writes a single number: its scale and whole number, or [`BITS`] and its bits.
pub(super) fn write_number(out: &mut Vec<u8>, number: f64) {
    let decimal = Scale::of(&[number]).and_then(|scale| Some((scale, scale.whole(number)?)));
    if let Some((scale, whole)) = decimal {
        out.push(scale.to_byte());
        write_signed(out, whole);
    } else {
        out.push(BITS);
        out.extend(number.to_le_bytes());
    }
}

/// Reads a single number.
pub(super) fn read_number(reader: &mut Reader<'_>) -> Result<f64, ChunkError> {
    match reader.byte()? {
        BITS => reader.array().map(f64::from_le_bytes),
        scale => Ok(Scale::from_byte(scale)?.number(reader.signed()?)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The form in which numbers are written, and how many bytes they take.
    fn written(numbers: &[f64]) -> (u8, usize) {
        let mut out = Vec::new();
        encode(numbers, &mut out);
        let mut reader = Reader::new(&out);
        let read = decode(&mut reader, numbers.len()).unwrap();
        reader.finish().unwrap();
        let bits =
            |numbers: &[f64]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read), bits(numbers));
        (out[0], out.len())
    }

    #[test]
    fn decimals_take_the_bits_of_their_digits() {
        let tenths: Vec<f64> = (0..256).map(|step| f64::from((step * 37) % 100) / 10.0).collect();
        let (form, bytes) = written(&tenths);
        assert_eq!(form, 1);
        assert!(bytes < 256, "{bytes}");
    }

    #[test]
    fn single_precision_is_as_short_as_double() {
        let tenths = (0..256_u16).map(|step| f64::from(f32::from((step * 37) % 100) / 10.0));
        let (form, bytes) = written(&tenths.collect::<Vec<_>>());
        assert_eq!(form, 1 | 0x10);
        assert!(bytes < 256, "{bytes}");
    }

    #[test]
    fn an_odd_number_costs_itself_only() {
        let mut tenths: Vec<f64> =
            (0..256).map(|step| f64::from((step * 37) % 100) / 10.0).collect();
        let plain = written(&tenths).1;
        tenths[0] = f64::NAN;
        tenths[200] = -0.0;
        assert!(written(&tenths).1 <= plain + 30);
    }

    #[test]
    fn numbers_that_are_no_decimals_are_written_by_their_bits() {
        let same = [0.1 + 0.2; 100];
        assert_eq!(written(&same), (BITS, 11));
        let steps: Vec<f64> = (6..105).map(|step| f64::from(step / 3).sqrt()).collect();
        assert_eq!(written(&steps).0, DIFFERENCES);
        let random =
            (1..100_u64).map(|step| f64::from_bits(step.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let (_, bytes) = written(&random.collect::<Vec<_>>());
        assert!(bytes <= 99 * 8 + 20, "{bytes}");
    }

    #[test]
    fn scales_that_no_writer_makes_are_refused() {
        assert!(decode(&mut Reader::new(&[0x1F, 0, 0, 2]), 1).is_ok());
        assert!(decode(&mut Reader::new(&[0x4F, 0, 0, 2]), 1).is_err());
        assert!(read_number(&mut Reader::new(&[0x40, 0])).is_err());
        let odd_beyond = [0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        assert!(decode(&mut Reader::new(&odd_beyond), 2).is_err());
    }

    proptest! {
        #[test]
        fn a_single_number_is_read_back(bits in any::<u64>(), single in any::<f32>()) {
            for number in [f64::from_bits(bits), f64::from(single), f64::from(single).round()] {
                let mut out = Vec::new();
                write_number(&mut out, number);
                let mut reader = Reader::new(&out);
                prop_assert_eq!(read_number(&mut reader).map(f64::to_bits), Ok(number.to_bits()));
                prop_assert_eq!(reader.finish(), Ok(()));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0_usize..500) {
            if let Ok(numbers) = decode(&mut Reader::new(&bytes), count) {
                prop_assert_eq!(numbers.len(), count);
            }
        }
    }
}
