//! The frames of `fixtures/`, for the tests: the same files serve the benchmark
//! and the fuzz targets.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nemeses_protocol::{
    Composition, DeviceId, Frame, Item, OptionalField, OptionalFields, Position, frames,
};
use proptest::prelude::*;

/// A failure is printed with its input and becomes a fixture; nothing is written.
pub(crate) fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        max_local_rejects: u32::MAX,
        ..ProptestConfig::default()
    }
}

/// Every fixture as it lies on the disk, by its name.
pub(crate) fn fixtures() -> BTreeMap<String, Vec<u8>> {
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"), "hex")
}

/// The files of a folder with an ending, by their names without it.
pub(crate) fn files(folder: &Path, ending: &str) -> BTreeMap<String, Vec<u8>> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("a folder's entry").path());
    paths
        .filter(|path| path.extension().unwrap_or_default() == ending)
        .map(|path| {
            let name = path.file_stem().expect("a file has a name").to_string_lossy();
            (name.into_owned(), fs::read(&path).expect("a readable file"))
        })
        .collect()
}

/// Where an item stands and which bytes it covers.
pub(crate) fn extent<'a, F>(item: &Item<'a, F>) -> (usize, &'a [u8]) {
    match *item {
        Item::Frame { offset, bytes, .. } | Item::Skipped { offset, bytes, .. } => (offset, bytes),
    }
}

/// Fails unless the items lie end to end and cover every byte once.
pub(crate) fn assert_covered(bytes: &[u8]) {
    let mut end = 0;
    for item in frames(bytes) {
        let (offset, covered) = extent(&item);
        assert_eq!(offset, end, "items lie end to end");
        assert!(!covered.is_empty(), "no item is empty");
        assert_eq!(covered, &bytes[offset..offset + covered.len()], "the bytes are the payload's");
        end += covered.len();
    }
    assert_eq!(end, bytes.len(), "every byte is covered");
}

/// The good frames among some bytes.
pub(crate) fn good(bytes: &[u8]) -> Vec<Frame<'_>> {
    let only_frames = |item| match item {
        Item::Frame { frame, .. } => Some(frame),
        Item::Skipped { .. } => None,
    };
    frames(bytes).filter_map(only_frames).collect()
}

/// Any position that a frame can carry.
pub(crate) fn any_position() -> impl Strategy<Value = Position> {
    let numbers = (0..=DeviceId::MAX_SFT9001, any::<u32>(), 0..=36_000_u16, any::<u32>());
    let state = (any::<u32>(), any::<u16>(), any::<Option<u16>>(), any::<u8>());
    (numbers, state, -90_000_000..=90_000_000_i32, any_longitude()).prop_map(
        |(
            (device, recorded_at, direction_cdeg, odometer_m),
            (hour_meter_min, bits, extension, speed_kmh),
            latitude_udeg,
            longitude_udeg,
        )| Position {
            device: DeviceId::new(device),
            recorded_at,
            direction_cdeg,
            odometer_m,
            hour_meter_min,
            composition: signed(bits, latitude_udeg, longitude_udeg),
            extension,
            speed_kmh,
            latitude_udeg,
            longitude_udeg,
        },
    )
}

/// Any subset of the optional fields, with any values; none in half of the cases.
pub(crate) fn any_optional() -> impl Strategy<Value = OptionalFields> {
    let value = |field: OptionalField| field.spec().min..=field.spec().max;
    let values: Vec<_> = OptionalField::ALL.into_iter().map(value).collect();
    let some = (any::<u32>(), values).prop_map(|(bits, values)| {
        let mut fields = OptionalFields::NONE;
        for (at, (field, value)) in OptionalField::ALL.into_iter().zip(values).enumerate() {
            if bits >> at & 1 == 1 {
                fields.set(field, value).expect("within its bounds");
            }
        }
        fields
    });
    prop_oneof![Just(OptionalFields::NONE), some]
}

/// One in eight ends in the bytes of the footer.
fn any_longitude() -> impl Strategy<Value = i32> {
    let anywhere = -180_000_000..=180_000_000_i32;
    let ends_in_footer = (0..2_700_i32).prop_map(|high| (high << 16) | 0x73C4);
    prop_oneof![7 => anywhere, 1 => ends_in_footer]
}

/// The bits with the signs that a decoder would have found.
fn signed(bits: u16, latitude_udeg: i32, longitude_udeg: i32) -> Composition {
    let sign = |bits: u16, mask: u16, value: i32| match value.signum() {
        -1 => bits | mask,
        1 => bits & !mask,
        _ => bits,
    };
    let bits = sign(bits, Composition::LATITUDE_NEGATIVE, latitude_udeg);
    Composition(sign(bits, Composition::LONGITUDE_NEGATIVE, longitude_udeg))
}
