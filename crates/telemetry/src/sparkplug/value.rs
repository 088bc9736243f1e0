//! The value of a metric, by the type in its birth.

use super::message::Metric;
use crate::item::Item;

/// The value; `None` without one, or when it is of a type that a channel cannot have.
pub(super) fn value(metric: &Metric, datatype: Option<u32>) -> Option<Item<'_>> {
    let whole = |number: i64| Item::Integer(number);
    match datatype {
        Some(1) => metric.int.map(|bits| whole(bits.to_le_bytes()[0].cast_signed().into())),
        Some(2) => metric.int.map(|bits| whole(low(bits).cast_signed().into())),
        Some(3) => metric.int.map(|bits| whole(bits.cast_signed().into())),
        Some(4) => metric.long.map(|bits| whole(bits.cast_signed())),
        Some(5..=7) => metric.int.map(|number| whole(number.into())),
        // Some encoders write 32 bits where 64 would do.
        Some(8 | 13) | None if metric.long.is_some() => {
            metric.long.map(|number| Item::of_i128(number.into()))
        }
        Some(9) => metric.float.map(|number| Item::Number(number.into())),
        Some(10) => metric.double.map(Item::Number),
        Some(11) => metric.boolean.map(Item::Flag),
        Some(12 | 14 | 15) => metric.string.as_deref().map(|text| Item::Text(text.into())),
        None | Some(8 | 13) => untyped(metric),
        Some(_) => None,
    }
}

fn low(bits: u32) -> u16 {
    let [first, second, ..] = bits.to_le_bytes();
    u16::from_le_bytes([first, second])
}

fn untyped(metric: &Metric) -> Option<Item<'_>> {
    let int = metric.int.map(|number| Item::Integer(number.into()));
    int.or_else(|| metric.float.map(|number| Item::Number(number.into())))
        .or_else(|| metric.double.map(Item::Number))
        .or_else(|| metric.boolean.map(Item::Flag))
        .or_else(|| metric.string.as_deref().map(|text| Item::Text(text.into())))
}
