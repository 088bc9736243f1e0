//! Columns of whole numbers, in whichever form is the shortest.
//!
//! A column is a byte that names its form, then: one number (constant); runs, each with its
//! length less one and its difference from the run before; or packed blocks of the numbers,
//! their differences, or the differences of those. Numbers that are multiples of one factor
//! apart, such as bytes that a machine counts in pages, are divided by it first. How many numbers
//! there are is not written: the reader knows.

use super::ChunkError;
use super::bytes::{Reader, wide, write_count, write_signed, write_unsigned};
use super::packed::{self, Packed};

const CONSTANT: u8 = 0;
const RUNS: u8 = 1;
/// Packed; plus how many times differences were taken, of which two are the most that pay. The
/// first number and difference stand before the blocks.
const PACKED: u8 = 2;
/// First number, factor, and then a column of multiples.
const SCALED: u8 = 5;

pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    let Some(first) = values.first() else { return };
    if values.iter().all(|value| value == first) {
        out.push(CONSTANT);
        write_signed(out, *first);
        return;
    }
    match factor(values) {
        Some(factor) => {
            out.push(SCALED);
            write_signed(out, *first);
            write_unsigned(out, factor);
            let factor = i128::from(factor);
            let multiple = |value: &i64| (i128::from(*value) - i128::from(*first)) / factor;
            let multiples = values
                .iter()
                .map(|value| i64::try_from(multiple(value)).expect("a factor of 2 halves 65 bits"));
            out.extend(shortest(&multiples.collect::<Vec<_>>()));
        }
        None => out.extend(shortest(values)),
    }
}

/// Reads `count` numbers.
pub(super) fn decode(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, ChunkError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let form = reader.byte()?;
    if form != SCALED {
        return decode_form(reader, form, count);
    }
    let (first, factor) = (reader.signed()?, reader.unsigned()?.cast_signed());
    let form = reader.byte()?;
    let mut values = decode_form(reader, form, count)?;
    for value in &mut values {
        *value = first.wrapping_add(value.wrapping_mul(factor));
    }
    Ok(values)
}

fn decode_form(reader: &mut Reader<'_>, form: u8, count: usize) -> Result<Vec<i64>, ChunkError> {
    match form {
        CONSTANT => reader.signed().map(|value| vec![value; count]),
        RUNS => decode_runs(reader, count),
        PACKED..SCALED => decode_packed(reader, form - PACKED, count),
        _ => Err(ChunkError::Malformed("a column of whole numbers has an unknown form")),
    }
}

/// The greatest factor of all differences from the first number, if it is more than 1.
fn factor(values: &[i64]) -> Option<u64> {
    let first = values.first()?;
    let mut factor = 0;
    for value in values {
        factor = greatest_common_divisor(factor, value.abs_diff(*first));
        if factor == 1 {
            return None;
        }
    }
    (factor > 1).then_some(factor)
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn shortest(values: &[i64]) -> Vec<u8> {
    let mut best = encode_runs(values);
    let mut differences = values.to_vec();
    let mut heads = Vec::new();
    for form in PACKED..SCALED {
        let packed = Packed::of(&differences);
        if 1 + heads.len() + packed.bytes() < best.len() {
            best = vec![form];
            best.extend(&heads);
            packed.write(&mut best);
        }
        let Some(head) = differences.first().copied() else { break };
        write_signed(&mut heads, head);
        differences = differences.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    }
    best
}

fn encode_runs(values: &[i64]) -> Vec<u8> {
    let mut out = vec![RUNS];
    let mut before = 0_i64;
    for run in values.chunk_by(|a, b| a == b) {
        write_count(&mut out, run.len() - 1);
        write_signed(&mut out, run[0].wrapping_sub(before));
        before = run[0];
    }
    out
}

fn decode_runs(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, ChunkError> {
    let mut values = Vec::with_capacity(count);
    let mut value = 0_i64;
    while values.len() < count {
        let more = reader.unsigned()?;
        let left = count - values.len();
        let run = usize::try_from(more).ok().filter(|more| wide(*more) < wide(left));
        let run = run.ok_or(ChunkError::Malformed("a run is longer than its column"))?;
        value = value.wrapping_add(reader.signed()?);
        values.resize(values.len() + run + 1, value);
    }
    Ok(values)
}

fn decode_packed(reader: &mut Reader<'_>, times: u8, count: usize) -> Result<Vec<i64>, ChunkError> {
    let heads = usize::from(times).min(count);
    let mut values = Vec::with_capacity(count);
    for _ in 0..heads {
        values.push(reader.signed()?);
    }
    packed::decode(reader, count - heads, &mut values)?;
    for head in (0..heads).rev() {
        sum_up(&mut values[head..]);
    }
    Ok(values)
}

/// Turns a number and the differences after it into numbers.
fn sum_up(values: &mut [i64]) {
    let mut sum = 0_i64;
    for value in values {
        sum = sum.wrapping_add(*value);
        *value = sum;
    }
}

#[cfg(test)]
mod tests;
