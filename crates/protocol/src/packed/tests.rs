use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// Any subset of the fields, with any values.
fn any_fields() -> impl Strategy<Value = OptionalFields> {
    let value = |field: OptionalField| {
        let spec = field.spec();
        prop_oneof![Just(spec.min), Just(spec.max), spec.min..=spec.max]
    };
    let values: Vec<_> = OptionalField::ALL.into_iter().map(value).collect();
    (any::<u32>(), values).prop_map(|(bits, values)| {
        let mut fields = OptionalFields::NONE;
        for (at, (field, value)) in OptionalField::ALL.into_iter().zip(values).enumerate() {
            if bits >> at & 1 == 1 {
                fields.set(field, value).unwrap();
            }
        }
        fields
    })
}

fn any_raw() -> impl Strategy<Value = Option<Vec<u8>>> {
    let marked =
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|raw| [&[MARK], &*raw].concat());
    prop::option::of(prop_oneof![prop::collection::vec(any::<u8>(), 1..40), marked])
}

proptest! {
    #[test]
    fn what_is_packed_comes_back(fields in any_fields(), raw in any_raw()) {
        let packed = PackedFields::new(&fields, raw.as_deref());
        prop_assert_eq!(packed.is_none(), fields.is_empty() && raw.is_none());
        let Some(packed) = packed else { return Ok(()) };
        let stored = PackedFields::from_stored(packed.as_bytes().into());
        prop_assert_eq!(stored.fields(), fields);
        prop_assert_eq!(stored.raw(), raw.as_deref());
        prop_assert_eq!(stored.has_fields(), !fields.is_empty());
        let own = packed.as_bytes().len() - raw.map_or(0, |raw| raw.len());
        prop_assert!(own <= PackedFields::MAX_FIELDS_BYTES, "{} bytes", own);
    }

    /// The fields of a later build follow those of this one, in bits and in values.
    #[test]
    fn fields_of_a_later_build_are_passed_over(
        fields in any_fields(),
        raw in any_raw(),
        later in prop::collection::btree_map(OptionalField::ALL.len()..64, any::<u64>(), 1..5),
    ) {
        let bit = |(field, _): (OptionalField, i32)| 1_u64 << (field.number() - 1);
        let own: u64 = fields.iter().map(bit).sum();
        let mut bytes = vec![MARK];
        write_varint(later.keys().fold(own, |bits, at| bits | 1 << at), &mut bytes);
        for (field, value) in fields.iter() {
            write_varint(unsigned(field, value), &mut bytes);
        }
        for value in later.values() {
            write_varint(*value, &mut bytes);
        }
        bytes.extend(raw.iter().flatten());
        let packed = PackedFields::from_stored(bytes.into());
        prop_assert_eq!(packed.fields(), fields);
        prop_assert_eq!(packed.raw(), raw.as_deref());
        prop_assert!(packed.has_fields());
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        for bytes in [bytes.clone(), [&[MARK], &*bytes].concat()] {
            let packed = PackedFields::from_stored(bytes.clone().into());
            let _ = (packed.fields(), packed.has_fields());
            let raw = packed.raw().unwrap_or_default();
            prop_assert!(bytes.ends_with(raw));
        }
    }
}

#[test]
fn a_packed_value_is_as_it_is_documented() {
    let mut fields = OptionalFields::NONE;
    fields.set(OptionalField::RecordedMs, 250).unwrap();
    fields.set(OptionalField::Altitude, -3).unwrap();
    fields.set(OptionalField::IgnitionUnknown, 1).unwrap();
    let packed = PackedFields::new(&fields, Some(&[0x50, 0xF7])).unwrap();
    assert_eq!(packed.as_bytes(), [1, 0x83, 0x01, 0xFA, 0x01, 5, 1, 0x50, 0xF7]);
}

/// Such as rows that were stored before there were optional fields.
#[test]
fn raw_bytes_alone_are_stored_as_they_are() {
    let packed = PackedFields::new(&OptionalFields::NONE, Some(&[0x50, 0xF7])).unwrap();
    assert_eq!(packed.as_bytes(), [0x50, 0xF7]);
    assert_eq!(PackedFields::new(&OptionalFields::NONE, None), None);
    let none = PackedFields::new(&OptionalFields::NONE, Some(&[])).unwrap();
    assert_eq!((none.as_bytes(), none.raw()), (&[][..], Some(&[][..])));
}

/// Of tables that were made with a column of 64 bytes.
#[test]
fn all_fields_fit_beside_nothing_in_the_old_column() {
    let mut fields = OptionalFields::NONE;
    for field in OptionalField::ALL {
        fields.set(field, field.spec().max).unwrap();
    }
    assert!(PackedFields::new(&fields, None).unwrap().as_bytes().len() <= 64);
}

#[test]
fn numbers_and_names_are_each_fields_own() {
    for (number, field) in (1..).zip(OptionalField::ALL) {
        assert_eq!(
            (u32::from(field.number()), OptionalField::from_number(number)),
            (number, Some(field))
        );
        let spec = field.spec();
        assert!(spec.min <= spec.max && spec.since >= 3, "{}", spec.name);
        assert!(!OptionalFields::NONE.iter().any(|(present, _)| present == field));
        let named = |other: &OptionalField| {
            other.spec().name == spec.name || other.spec().shown == spec.shown
        };
        assert_eq!(OptionalField::ALL.iter().filter(|other| named(other)).count(), 1);
    }
    assert_eq!(OptionalField::from_number(0), None);
    let refused = OptionalFields::default().set(OptionalField::RecordedMs, 1000).unwrap_err();
    assert_eq!(alloc::format!("{refused}"), "recorded_ms is not within 0 to 999");
}
