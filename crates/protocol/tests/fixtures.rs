//! What each file of `fixtures/` shows, item for item.
#![allow(missing_docs, reason = "a test program")]

mod common;

use nemeses_protocol::{
    Composition, DeviceId, Form, Frame, Item, Position, encode_location, encode_ping,
    encode_ping_reply, frames, normalise,
};

/// Kind, offset and length of every item, in the order of the bytes.
const EXPECTED: &[(&str, &str)] = &[
    ("at_the_limits", "location@0+33"),
    ("bad_footer", "0A3F73:bad_footer@0+33"),
    (
        "bad_frame_between_good_ones",
        "location@0+33 0A3F73:latitude_out_of_range@33+33 location@66+35",
    ),
    ("bad_header", "?:bad_header@0+5"),
    ("bad_hex", "location@0+33 text:bad_hex@67+2"),
    ("direction_out_of_range", "0A3F73:direction_out_of_range@0+33"),
    ("headers_only", "50F750:unknown_type@0+12 ?:truncated@12+4"),
    ("latitude_out_of_range", "0A3F73:latitude_out_of_range@0+33"),
    ("long_historical", "location@0+35"),
    ("long_with_longitude_ending_in_the_footer", "location@0+35"),
    ("longitude_out_of_range", "0A3F73:longitude_out_of_range@0+33"),
    ("memory_of_an_outage", "location@0+35 location@35+35 location@70+33 ping@103+12"),
    ("ping", "ping@0+12"),
    ("ping_reply", "015049:unknown_type@0+9"),
    ("ping_with_32_bytes", "ping@0+40"),
    ("ping_with_footer_and_header_inside", "ping@0+15"),
    ("ping_without_payload", "ping@0+8"),
    (
        "rubbish_between_frames",
        "?:bad_header@0+2 location@2+33 ?:bad_header@35+4 ping@39+12 ?:bad_header@51+1",
    ),
    ("short_before_a_stray_footer", "location@0+33 ?:bad_header@33+2"),
    ("short_live", "location@0+33"),
    ("short_with_header_and_footer_inside", "location@0+33"),
    ("short_with_longitude_ending_in_the_footer", "location@0+33"),
    ("short_zero_with_signs_and_reserved_bits", "location@0+33"),
    ("truncated", "0A3F73:truncated@0+28"),
    ("truncated_before_a_frame", "0A3F73:bad_footer@0+20 location@20+35"),
    ("unknown_type", "0A3F73:unknown_type@0+12"),
];

fn describe(payload: &[u8]) -> String {
    let normalised = normalise(payload);
    assert_eq!(normalised.form, Form::Hex, "fixtures are hex text");
    common::assert_covered(&normalised.bytes);
    let mut items: Vec<String> =
        frames(&normalised.bytes).map(|item| describe_item(&item)).collect();
    items.extend(
        normalised.unreadable.map(|(offset, text)| format!("text:bad_hex@{offset}+{}", text.len())),
    );
    items.join(" ")
}

fn describe_item(item: &Item<'_, Frame<'_>>) -> String {
    let (offset, bytes) = common::extent(item);
    let kind = match item {
        Item::Frame { frame: Frame::Ping { .. }, .. } => "ping".to_owned(),
        Item::Frame { frame: Frame::Location(_), .. } => "location".to_owned(),
        Item::Skipped { identity, reason, .. } => {
            let device = identity.as_ref().map_or("?".to_owned(), ToString::to_string);
            format!("{device}:{}", reason.code())
        }
    };
    format!("{kind}@{offset}+{}", bytes.len())
}

#[test]
fn every_fixture_shows_what_its_name_says() {
    let found: Vec<(String, String)> = common::fixtures()
        .iter()
        .map(|(name, payload)| (name.clone(), describe(payload)))
        .collect();
    let expected: Vec<(String, String)> =
        EXPECTED.iter().map(|&(name, items)| (name.to_owned(), items.to_owned())).collect();
    assert_eq!(found, expected);
}

fn bytes_of(name: &str) -> Vec<u8> {
    normalise(&common::fixtures()[name]).bytes.into_owned()
}

fn position_of(bytes: &[u8]) -> Position {
    match common::good(bytes)[..] {
        [Frame::Location(position)] => position,
        ref other => panic!("one location expected, not {other:?}"),
    }
}

fn founding_example() -> Position {
    Position {
        device: DeviceId::new(671_603),
        // 2020-07-01T21:00:00Z
        recorded_at: 1_593_637_200,
        direction_cdeg: 5_487,
        odometer_m: 25_000_000,
        hour_meter_min: 36_000,
        composition: Composition(
            Composition::GPS_FIX
                | Composition::IGNITION
                | Composition::LATITUDE_NEGATIVE
                | Composition::LONGITUDE_NEGATIVE,
        ),
        extension: None,
        speed_kmh: 60,
        latitude_udeg: -19_932_833,
        longitude_udeg: -43_938_493,
    }
}

#[test]
fn the_founding_example() {
    assert_eq!(position_of(&bytes_of("short_live")), founding_example());
}

#[test]
fn the_long_form() {
    let live = founding_example();
    let composition = Composition(live.composition.0 | Composition::HISTORICAL);
    let expected = Position { composition, extension: Some(0x8400), ..live };
    assert_eq!(position_of(&bytes_of("long_historical")), expected);
}

#[test]
fn a_ping_is_answered_in_its_own_bytes() {
    let question = bytes_of("ping");
    let [Frame::Ping { device, payload }] = common::good(&question)[..] else {
        panic!("one ping expected");
    };
    assert_eq!((device, payload), (DeviceId::new(0x000A_3F73), &b"PING"[..]));
    let mut answer = Vec::new();
    encode_ping_reply(payload, &mut answer);
    assert_eq!(answer, bytes_of("ping_reply"));
}

#[test]
fn signs_of_zero_and_reserved_bits_are_kept() {
    let position = position_of(&bytes_of("short_zero_with_signs_and_reserved_bits"));
    assert_eq!(position.composition, Composition(0xBFFF));
    assert_eq!((position.latitude_udeg, position.longitude_udeg), (0, 0));
}

#[test]
fn accepted_frames_are_written_as_they_were_read() {
    for (name, payload) in common::fixtures() {
        for item in frames(&normalise(&payload).bytes) {
            if let Item::Frame { bytes, frame, .. } = item {
                let mut written = Vec::new();
                match frame {
                    Frame::Location(position) => encode_location(&position, &mut written),
                    Frame::Ping { device, payload } => encode_ping(device, payload, &mut written),
                }
                assert_eq!(written, bytes, "{name}");
            }
        }
    }
}
