//! The head of a chunk: what is known of its values without reading them.

use super::bytes::{Reader, wide, write_count, write_signed, write_unsigned};
use super::column::{read_value, write_value};
use super::numbers::{read_number, write_number};
use super::{ChunkError, MAX_RECORDS};
use crate::{NumberSummary, Sample, Summary};

/// There are finite numbers.
const NUMBERS: u8 = 1;
/// All values are finite numbers, so that the first and last of them are those of the numbers.
const ALL_NUMBERS: u8 = 2;
/// The increase is the last number less the first: a counter without a reset.
const PLAIN_INCREASE: u8 = 4;

/// The head of a chunk.
///
/// As bytes: the records, the values, and, if there are any: the first time, the milliseconds
/// to the last, the first and last value, and a byte that says which of the numbers' fields
/// follow.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Records of the chunk, with or without a value of the channel.
    pub records: usize,
    /// The channel's values.
    pub summary: Summary,
}

impl Head {
    /// Records without a value of the channel.
    pub fn nulls(&self) -> u64 {
        wide(self.records).saturating_sub(self.summary.count)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write_count(out, self.records);
        write_unsigned(out, self.summary.count);
        let (Some(first), Some(last)) = (&self.summary.first, &self.summary.last) else { return };
        write_signed(out, first.at_ms);
        write_unsigned(out, last.at_ms.abs_diff(first.at_ms));
        write_value(out, &first.value);
        write_value(out, &last.value);
        match &self.summary.numbers {
            None => out.push(0),
            Some(numbers) => self.write_numbers(numbers, first.at_ms, out),
        }
    }

    fn write_numbers(&self, numbers: &NumberSummary, first_ms: i64, out: &mut Vec<u8>) {
        let all = numbers.count == self.summary.count;
        let plain = numbers.increase.to_bits() == plain_increase(numbers).to_bits();
        out.push(
            NUMBERS | if all { ALL_NUMBERS } else { 0 } | if plain { PLAIN_INCREASE } else { 0 },
        );
        for number in [numbers.min, numbers.max, numbers.sum, numbers.squares] {
            write_number(out, number);
        }
        if !plain {
            write_number(out, numbers.increase);
        }
        if !all {
            write_unsigned(out, numbers.count);
            for (at_ms, number) in [numbers.first, numbers.last] {
                write_unsigned(out, at_ms.abs_diff(first_ms));
                write_number(out, number);
            }
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ChunkError> {
        let records = reader.count(MAX_RECORDS)?;
        let count = wide(reader.count(records)?);
        if count == 0 {
            return Ok(Self { records, summary: Summary::default() });
        }
        let first_ms = reader.signed()?;
        let last_ms = read_time(reader, first_ms)?;
        let first = Sample { at_ms: first_ms, value: read_value(reader)? };
        let last = Sample { at_ms: last_ms, value: read_value(reader)? };
        let numbers = match reader.byte()? {
            0 => None,
            flags => Some(read_numbers(reader, flags, count, &first, &last)?),
        };
        let summary = Summary { count, first: Some(first), last: Some(last), numbers };
        Ok(Self { records, summary })
    }
}

fn plain_increase(numbers: &NumberSummary) -> f64 {
    numbers.last.1 - numbers.first.1
}

fn read_time(reader: &mut Reader<'_>, first_ms: i64) -> Result<i64, ChunkError> {
    let time = first_ms.checked_add_unsigned(reader.unsigned()?);
    time.ok_or(ChunkError::Malformed("a time is beyond 64 bits"))
}

fn read_numbers(
    reader: &mut Reader<'_>,
    flags: u8,
    count: u64,
    first: &Sample,
    last: &Sample,
) -> Result<NumberSummary, ChunkError> {
    let [min, max, sum, squares] = read_fields(reader)?;
    let given = if flags & PLAIN_INCREASE == 0 { Some(read_number(reader)?) } else { None };
    let (count, [first, last]) = if flags & ALL_NUMBERS == 0 {
        (reader.unsigned()?, [read_sample(reader, first)?, read_sample(reader, first)?])
    } else {
        (count, [finite(first)?, finite(last)?])
    };
    let numbers = NumberSummary { count, min, max, sum, squares, increase: 0.0, first, last };
    let increase = given.unwrap_or_else(|| plain_increase(&numbers));
    Ok(NumberSummary { increase, ..numbers })
}

fn read_fields(reader: &mut Reader<'_>) -> Result<[f64; 4], ChunkError> {
    let mut next = || read_number(reader);
    Ok([next()?, next()?, next()?, next()?])
}

fn read_sample(reader: &mut Reader<'_>, first: &Sample) -> Result<(i64, f64), ChunkError> {
    Ok((read_time(reader, first.at_ms)?, read_number(reader)?))
}

fn finite(sample: &Sample) -> Result<(i64, f64), ChunkError> {
    let number = sample.value.as_finite();
    let number = number.ok_or(ChunkError::Malformed("a value should be a finite number"))?;
    Ok((sample.at_ms, number))
}
