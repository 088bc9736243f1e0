//! One value, and its bytes.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::varint::{read_varint, unzigzag, write_varint, zigzag};

/// A text has at most this many bytes.
pub const MAX_TEXT_VALUE: usize = 4096;

/// What a channel says at one moment.
#[derive(Clone, Debug)]
pub enum Value {
    /// On or off.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number. Finite, when it comes from a device.
    Number(f64),
    /// Text of at most [`MAX_TEXT_VALUE`] bytes.
    Text(Box<str>),
}

/// Two numbers are equal when their bits are.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Flag(a), Self::Flag(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a.to_bits() == b.to_bits(),
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

/// A value begins with a byte that tells what follows. `DECIMAL + s` is a whole number
/// divided by 10^s, so that 21.5 takes three bytes instead of nine.
const FALSE: u8 = 0;
const TRUE: u8 = 1;
const INTEGER: u8 = 2;
const NUMBER: u8 = 3;
const TEXT: u8 = 4;
const DECIMAL: u8 = 0x10;
/// 10^15 and whole numbers below 2^53 are exact, and so the quotient is the nearest
/// number to the decimal.
const MAX_SCALE: u8 = 15;
const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
const EXACT: f64 = 9_007_199_254_740_992.0;
/// A whole number with more digits takes as much as the number's own bytes.
const MAX_DECIMAL: u64 = 1 << 48;

impl Value {
    /// As a number: a flag is 0 or 1, and a text is none.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Flag(flag) => Some(f64::from(u8::from(*flag))),
            #[expect(clippy::cast_precision_loss, reason = "a chart has no use for more")]
            Self::Integer(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }

    /// Appends the value's bytes, as [`Self::read`] reads them.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Flag(flag) => out.push(if *flag { TRUE } else { FALSE }),
            Self::Integer(number) => {
                out.push(INTEGER);
                write_varint(zigzag(*number), out);
            }
            Self::Number(number) => {
                if let Some((scale, mantissa)) = decimal(*number) {
                    out.push(DECIMAL + scale);
                    write_varint(zigzag(mantissa), out);
                } else {
                    out.push(NUMBER);
                    out.extend_from_slice(&number.to_le_bytes());
                }
            }
            Self::Text(text) => {
                out.push(TEXT);
                write_bytes(text.as_bytes(), out);
            }
        }
    }

    /// Takes a value off the front; `None` when there is none.
    pub fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        *bytes = rest;
        Some(match *tag {
            FALSE => Self::Flag(false),
            TRUE => Self::Flag(true),
            INTEGER => Self::Integer(unzigzag(read_varint(bytes)?)),
            NUMBER => {
                let (number, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Self::Number(f64::from_le_bytes(*number))
            }
            TEXT => {
                let text = read_bytes(bytes).filter(|text| text.len() <= MAX_TEXT_VALUE)?;
                Self::Text(core::str::from_utf8(text).ok()?.into())
            }
            DECIMAL..=0x1F => {
                let mantissa = unzigzag(read_varint(bytes)?);
                #[expect(clippy::cast_precision_loss, reason = "what was written is exact")]
                Self::Number(mantissa as f64 / POWERS[usize::from(tag - DECIMAL)])
            }
            _ => return None,
        })
    }
}

/// A number as a whole number divided by a power of ten, if it is exactly that.
fn decimal(number: f64) -> Option<(u8, i64)> {
    (0..=MAX_SCALE).find_map(|scale| {
        let power = POWERS[usize::from(scale)];
        let scaled = number * power;
        if !(-EXACT..=EXACT).contains(&scaled) {
            return None;
        }
        let half = if scaled < 0.0 { -0.5 } else { 0.5 };
        #[expect(clippy::cast_possible_truncation, reason = "within 2^53")]
        let mantissa = (scaled + half) as i64;
        #[expect(clippy::cast_precision_loss, reason = "within 2^53")]
        let again = mantissa as f64 / power;
        let short = mantissa.unsigned_abs() < MAX_DECIMAL;
        (short && again.to_bits() == number.to_bits()).then_some((scale, mantissa))
    })
}

/// Bytes behind their length.
pub(super) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

pub(super) fn read_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(read_varint(bytes)?).ok()?;
    let (found, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(found)
}
