use alloc::string::String;
use alloc::vec;

use proptest::prelude::*;

use super::*;

fn reading(channel: &str, value: Value) -> Reading {
    Reading { channel: channel.into(), unit: None, value }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Flag),
        any::<i64>().prop_map(Value::Integer),
        any::<u64>().prop_map(|bits| Value::Number(f64::from_bits(bits))),
        (any::<i32>(), 0..6_i32).prop_map(|(number, scale)| {
            Value::Number(alloc::format!("{number}e-{scale}").parse().unwrap())
        }),
        "\\PC{0,40}".prop_map(|text| Value::Text(text.into())),
    ]
}

#[test]
fn names_are_visible() {
    for name in ["temperature", "battery voltage", "cpu.usage{cpu=0}", "Öldruck", "t"] {
        assert!(is_channel_name(name), "{name}");
    }
    let long = "x".repeat(MAX_CHANNEL_NAME + 1);
    for name in ["", " a", "a ", "a\nb", "a\u{202e}b", "a\u{200b}b", long.as_str()] {
        assert!(!is_channel_name(name), "{name:?}");
    }
    assert!(is_unit("km/h") && is_unit("%") && !is_unit("") && !is_unit("k m"));
}

#[test]
fn decimals_are_short() {
    for (value, length) in [
        (Value::Number(21.5), 3),
        (Value::Number(-0.1), 2),
        (Value::Number(0.0), 2),
        (Value::Number(12.345_678), 5),
        (Value::Number(core::f64::consts::PI), 9),
        (Value::Number(f64::INFINITY), 9),
        (Value::Integer(63), 2),
        (Value::Flag(true), 1),
        (text("open"), 6),
    ] {
        let mut out = Vec::new();
        value.write(&mut out);
        assert_eq!(out.len(), length, "{value:?}");
    }
}

#[test]
fn the_bits_stand_before_the_values() {
    let (on, number, open) = (Value::Flag(true), Value::Number(21.5), text("open"));
    let packed = pack([(0, &on), (9, &number), (10, &open)]);
    assert_eq!(packed, [1, 2, 0b1, 0b110, 1, 0x11, 0xAE, 3, 4, 4, b'o', b'p', b'e', b'n']);
    assert_eq!(unpack(&packed), Some(vec![(0, on), (9, number), (10, open)]));
    assert_eq!(unpack(&pack([])), Some(vec![]));
}

/// The hash is part of a key in the tables: it must never change.
#[test]
fn the_hash_is_the_one_of_the_first_version() {
    let readings = [reading("ok", Value::Flag(true)), reading("temperature", Value::Number(21.5))];
    assert_eq!(write_readings(&readings)[..5], [2, b'o', b'k', 1, 11]);
    assert_eq!(readings_hash(&readings), 0xE636_6A54_AAB2_4F32);
}

#[test]
fn of_a_channel_that_is_there_twice_the_last_value_stays() {
    let twice = vec![
        reading("b", Value::Integer(1)),
        reading("a", Value::Integer(2)),
        reading("b", Value::Integer(3)),
    ];
    let kept = [reading("a", Value::Integer(2)), reading("b", Value::Integer(3))];
    assert_eq!(in_order(twice), kept);
}

proptest! {
    #[test]
    fn values_are_read_as_they_were_written(value in any_value()) {
        let mut out = Vec::new();
        value.write(&mut out);
        let mut rest = out.as_slice();
        prop_assert_eq!(Value::read(&mut rest), Some(value));
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn readings_are_read_as_they_were_written(
        values in proptest::collection::btree_map("[a-z]{1,8}", any_value(), 0..20)
    ) {
        let readings: Vec<Reading> =
            values.into_iter().map(|(name, value)| reading(&name, value)).collect();
        prop_assert_eq!(read_readings(&write_readings(&readings)), Some(readings));
    }

    #[test]
    fn the_order_of_arrival_changes_nothing(
        values in proptest::collection::btree_map("[a-z]{1,3}", any_value(), 1..10),
        seed in any::<usize>(),
    ) {
        let mut readings: Vec<Reading> =
            values.into_iter().map(|(name, value)| reading(&name, value)).collect();
        let hash = readings_hash(&readings);
        let turn = seed % readings.len();
        readings.rotate_left(turn);
        prop_assert_eq!(readings_hash(&in_order(readings)), hash);
    }

    #[test]
    fn what_was_packed_is_unpacked(
        values in proptest::collection::btree_map(0..1024_u16, any_value(), 0..30)
    ) {
        let packed = pack(values.iter().map(|(number, value)| (*number, value)));
        prop_assert_eq!(unpack(&packed), Some(values.into_iter().collect()));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Some(values) = unpack(&bytes) {
            let again = pack(values.iter().map(|(number, value)| (*number, value)));
            prop_assert_eq!(unpack(&again), Some(values));
        }
        let _ = read_readings(&bytes);
        let _ = String::from_utf8_lossy(&bytes);
    }
}
