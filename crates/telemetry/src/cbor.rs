//! SenML in CBOR (RFC 8428, section 6; RFC 8949): as much of CBOR as its records need.

use std::borrow::Cow;

use crate::TelemetryError::BadPayload;
use crate::item::Item;
use crate::output::Output;
use crate::senml::{self, Fields, Record};

/// Values in unknown fields nest at most this deep.
const MAX_DEPTH: usize = 16;

/// The tag that only says "this is CBOR".
const SELF_DESCRIBED: &[u8] = &[0xD9, 0xD9, 0xF7];

/// The labels of RFC 8428, table 4, from -6 to 8.
const FIRST_LABEL: i64 = -6;
const LABELS: [&str; 15] =
    ["bs", "bv", "bu", "bt", "bn", "bver", "n", "u", "v", "vs", "vb", "s", "t", "ut", "vd"];

/// Whether a payload begins as a list in CBOR does. No UTF-8 begins so.
pub(crate) fn looks_like(payload: &[u8]) -> bool {
    payload.starts_with(SELF_DESCRIBED) || matches!(payload.first(), Some(0x80..=0x9F))
}

pub(crate) fn decode(output: &mut Output<'_>) {
    let payload = output.payload;
    let bytes = payload.strip_prefix(SELF_DESCRIBED).unwrap_or(payload);
    match records(bytes) {
        Some(records) => senml::decode(&records, output),
        None => output.reject_all(
            BadPayload,
            "the payload is no list of SenML records in CBOR, or not the whole of it".into(),
        ),
    }
}

fn records(bytes: &[u8]) -> Option<Vec<Record<'_>>> {
    let mut reader = Reader { rest: bytes };
    let mut list = reader.head().filter(|head| head.major == LIST)?.items();
    let mut records = Vec::new();
    while reader.next(&mut list)? {
        let before = reader.rest;
        let mut record = reader.record()?;
        record.bytes = &before[..before.len() - reader.rest.len()];
        records.push(record);
    }
    reader.rest.is_empty().then_some(records)
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const BREAK: u8 = 0xFF;
const DECIMAL_FRACTION: u64 = 4;

/// The first byte of an item with the number behind it; without one, the length is open.
struct Head {
    major: u8,
    info: u8,
    argument: Option<u64>,
}

impl Head {
    const fn items(&self) -> Items {
        match self.argument {
            Some(left) => Items::Left(left),
            None => Items::Open,
        }
    }
}

/// How many items a list still has.
enum Items {
    Left(u64),
    Open,
}

/// Reads from the front; `None` whenever the bytes are no CBOR.
struct Reader<'p> {
    rest: &'p [u8],
}

impl<'p> Reader<'p> {
    fn take(&mut self, length: u64) -> Option<&'p [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    fn head(&mut self) -> Option<Head> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        let (major, info) = (first >> 5, first & 0x1F);
        let argument = match info {
            0..=23 => Some(u64::from(info)),
            24..=27 => {
                let number = self.take(1 << (info - 24))?;
                Some(number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
            }
            31 if matches!(major, BYTES | TEXT | LIST | MAP) => None,
            _ => return None,
        };
        Some(Head { major, info, argument })
    }

    /// Whether a list has another item, which then comes next.
    fn next(&mut self, items: &mut Items) -> Option<bool> {
        match items {
            Items::Left(0) => Some(false),
            Items::Left(left) => {
                *left -= 1;
                Some(true)
            }
            Items::Open if *self.rest.first()? == BREAK => {
                self.rest = &self.rest[1..];
                Some(false)
            }
            Items::Open => Some(true),
        }
    }

    /// The fields of a map, or none when the item is no map. The bytes are for the caller.
    fn record(&mut self) -> Option<Record<'p>> {
        let before = self.rest;
        let head = self.head()?;
        if head.major != MAP {
            self.rest = before;
            self.item(MAX_DEPTH)?;
            return Some(Record { bytes: &[], fields: None });
        }
        let mut fields = Fields::new();
        let mut items = head.items();
        while self.next(&mut items)? {
            let label = match self.item(MAX_DEPTH)? {
                Item::Text(label) => label,
                Item::Integer(number) => Cow::Borrowed(label(number)),
                _ => Cow::Borrowed(""),
            };
            fields.push((label, self.item(MAX_DEPTH)?));
        }
        Some(Record { bytes: &[], fields: Some(fields) })
    }

    fn item(&mut self, depth: usize) -> Option<Item<'p>> {
        let head = self.head()?;
        let (major, argument) = (head.major, head.argument);
        Some(match major {
            UNSIGNED => Item::of_i128(i128::from(argument?)),
            NEGATIVE => Item::of_i128(-1 - i128::from(argument?)),
            BYTES => Item::Bytes(self.string(&head)?),
            TEXT => Item::Text(match self.string(&head)? {
                Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).ok()?),
                Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).ok()?),
            }),
            LIST | MAP => {
                let depth = depth.checked_sub(1)?;
                let mut items = head.items();
                while self.next(&mut items)? {
                    self.item(depth)?;
                    if major == MAP {
                        self.item(depth)?;
                    }
                }
                if major == LIST { Item::List } else { Item::Object }
            }
            TAG if argument? == DECIMAL_FRACTION => self.decimal_fraction(depth)?,
            TAG => {
                self.item(depth.checked_sub(1)?)?;
                Item::Unreadable
            }
            _ => simple(head.info, argument?)?,
        })
    }

    /// One string, or the pieces of one whose length is open.
    fn string(&mut self, head: &Head) -> Option<Cow<'p, [u8]>> {
        if let Some(length) = head.argument {
            return self.take(length).map(Cow::Borrowed);
        }
        let mut joined = Vec::new();
        while self.next(&mut Items::Open)? {
            let piece = self.head().filter(|piece| piece.major == head.major)?;
            joined.extend_from_slice(self.take(piece.argument?)?);
        }
        Some(Cow::Owned(joined))
    }

    /// An exponent of ten and a whole number (RFC 8949, section 3.4.4): the nearest number.
    fn decimal_fraction(&mut self, depth: usize) -> Option<Item<'p>> {
        let before = self.rest;
        if self.head().is_some_and(|head| head.major == LIST && head.argument == Some(2)) {
            let (exponent, whole) = (self.item(depth)?, self.item(depth)?);
            if let (Item::Integer(exponent), Item::Integer(whole)) = (exponent, whole) {
                return format!("{whole}e{exponent}").parse().ok().map(Item::Number);
            }
            return Some(Item::Unreadable);
        }
        self.rest = before;
        self.item(depth.checked_sub(1)?)?;
        Some(Item::Unreadable)
    }
}

fn label(number: i64) -> &'static str {
    let place = number.checked_sub(FIRST_LABEL).and_then(|place| usize::try_from(place).ok());
    place.and_then(|place| LABELS.get(place)).copied().unwrap_or_default()
}

/// What is neither a number of whole bytes, nor a text, nor a container (major type 7).
fn simple(info: u8, argument: u64) -> Option<Item<'static>> {
    Some(match info {
        20 => Item::Flag(false),
        21 => Item::Flag(true),
        22 => Item::Null,
        25 => Item::Number(half(u16::try_from(argument).ok()?)),
        26 => Item::Number(f32::from_bits(u32::try_from(argument).ok()?).into()),
        27 => Item::Number(f64::from_bits(argument)),
        _ => Item::Unreadable,
    })
}

/// A number of 16 bits (RFC 8949, appendix D).
fn half(bits: u16) -> f64 {
    let exponent = i32::from(bits >> 10 & 0x1F);
    let mantissa = f64::from(bits & 0x3FF);
    let size = match exponent {
        0 => mantissa * 2_f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2_f64.powi(exponent - 25),
    };
    if bits >> 15 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hex: &str) -> Option<Item<'static>> {
        let bytes = hex::decode(hex).unwrap().leak();
        let mut reader = Reader { rest: bytes };
        reader.item(MAX_DEPTH).filter(|_| reader.rest.is_empty())
    }

    #[test]
    fn items_are_those_of_the_rfc() {
        for (hex, item) in [
            ("00", Item::Integer(0)),
            ("17", Item::Integer(23)),
            ("1818", Item::Integer(24)),
            ("1903e8", Item::Integer(1000)),
            ("1bffffffffffffffff", Item::Number(18_446_744_073_709_551_615.0)),
            ("3bffffffffffffffff", Item::Number(-18_446_744_073_709_551_616.0)),
            ("3b7fffffffffffffff", Item::Integer(i64::MIN)),
            ("20", Item::Integer(-1)),
            ("f90000", Item::Number(0.0)),
            ("f93e00", Item::Number(1.5)),
            ("f97bff", Item::Number(65504.0)),
            ("f90001", Item::Number(5.960_464_477_539_063e-8)),
            ("f90400", Item::Number(0.000_061_035_156_25)),
            ("f9c400", Item::Number(-4.0)),
            ("f97c00", Item::Number(f64::INFINITY)),
            ("fa47c35000", Item::Number(100_000.0)),
            ("fb3ff199999999999a", Item::Number(1.1)),
            ("f4", Item::Flag(false)),
            ("f6", Item::Null),
            ("f7", Item::Unreadable),
            ("c48221196ab3", Item::Number(273.15)),
            ("c4821b7fffffffffffffff01", Item::Number(f64::INFINITY)),
            ("c101", Item::Unreadable),
            ("6161", Item::Text("a".into())),
            ("7f61616162ff", Item::Text("ab".into())),
            ("4101", Item::Bytes([1][..].into())),
            ("820102", Item::List),
            ("9f0102ff", Item::List),
            ("a10102", Item::Object),
        ] {
            assert_eq!(read(hex), Some(item), "{hex}");
        }
        let Some(Item::Number(zero)) = read("f98000") else { panic!("a number") };
        assert!(zero == 0.0 && zero.is_sign_negative());
    }

    #[test]
    fn what_is_no_cbor_is_none() {
        let deep = "81".repeat(100_000) + "00";
        for hex in [
            "", "18", "1c", "ff", "61", "61ff", "7f4161ff", "8201", "a1", "a101", "1f", "bf01ff",
            &deep,
        ] {
            assert_eq!(read(hex), None, "{hex:.20}");
        }
    }
}
