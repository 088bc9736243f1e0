use alloc::vec::Vec;

use super::*;
use crate::{DecodeError, Item};

const DEVICE: DeviceId = DeviceId::new(0x000A_3F73);

fn ping(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_ping(DEVICE, payload, &mut frame);
    frame
}

fn location(extension: Option<u16>, longitude_udeg: i32) -> Vec<u8> {
    let position = Position {
        device: DEVICE,
        recorded_at: 1_593_637_200,
        direction_cdeg: 5_487,
        odometer_m: 25_000_000,
        hour_meter_min: 36_000,
        composition: crate::Composition(0xA000),
        extension,
        speed_kmh: 60,
        latitude_udeg: 19_932_833,
        longitude_udeg,
    };
    let mut frame = Vec::new();
    encode_location(&position, &mut frame);
    frame
}

/// Lengths of the items: of frames as they are, of skipped stretches negative.
fn shape(bytes: &[u8]) -> Vec<i64> {
    let length = |bytes: &[u8]| i64::try_from(bytes.len()).expect("a test's payload is small");
    frames(bytes)
        .map(|item| match item {
            Item::Frame { bytes, .. } => length(bytes),
            Item::Skipped { bytes, .. } => -length(bytes),
        })
        .collect()
}

#[test]
fn no_bytes_no_items() {
    assert_eq!(frames(b"").next(), None);
}

#[test]
fn a_long_frame_comes_out_whole_whatever_follows() {
    let long = location(Some(0x8400), 0x029E_73C4);
    assert_eq!(long[31..33], [0x73, 0xC4], "a footer where the short form has it");
    for behind in [&b""[..], b"\x00", b"\x73\xC4", b"\n"] {
        let bytes = [&long[..], behind].concat();
        assert_eq!(shape(&bytes)[0], 35, "{behind:?}");
    }
    let twice = [&long[..], &long[..]].concat();
    assert_eq!(shape(&twice), [35, 35]);
}

#[test]
fn the_short_form_wins_when_the_long_one_is_not_plausible() {
    let bytes = [&location(None, 43_938_493)[..], b"\x73\xC4"].concat();
    assert_eq!(shape(&bytes), [33, -2], "read as a long frame its latitude is beyond 90 degrees");
}

#[test]
fn pings_end_to_end_stay_apart() {
    assert_eq!(shape(&ping(b"PING").repeat(3)), [12, 12, 12]);
    assert_eq!(shape(&ping(b"").repeat(3)), [8, 8, 8]);
    assert_eq!(shape(&ping(b"abc").repeat(3)), [11, 11, 11]);
}

#[test]
fn rubbish_between_pings_hides_none() {
    let with_rubbish = [&ping(b"PING")[..], b"\r\n", &ping(b"PING")[..], b"xx"].concat();
    assert_eq!(shape(&with_rubbish), [12, -2, 12, -2]);
    let other_payload = [&ping(b"abc")[..], b"\r\n", &ping(b"abc")[..]].concat();
    assert_eq!(shape(&other_payload), [11, -2, 11]);
}

#[test]
fn a_cut_ping_does_not_swallow_the_next_frame() {
    let cut = &ping(b"PING")[..8];
    let bytes = [cut, &ping(b"PING")[..]].concat();
    assert_eq!(shape(&bytes), [-8, 12]);
    // The footer's bytes inside the location stand where the ping could end.
    let bytes = [&cut[..6], &location(None, 0x73C4)[..]].concat();
    assert_eq!(shape(&bytes), [-6, 33]);
}

#[test]
fn a_ping_may_hold_footers_and_headers() {
    for payload in [
        &b"\x73\xC4"[..],
        b"a\x73\xC4\x73\xC4b",
        b"\x50\xF7",
        b"\x73\xC4a\x50\xF7bc",
        b"\x50\xF7\x73\xC4\x73\xC4\x73\xC4",
        b"PING\x73",
    ] {
        let frame = ping(payload);
        assert_eq!(shape(&frame), shape_of_one(&frame), "{payload:?}");
        let followed = [&frame[..], &location(None, 1)[..]].concat();
        assert_eq!(shape(&followed)[1], 33, "{payload:?}");
    }
}

fn shape_of_one(frame: &[u8]) -> Vec<i64> {
    Vec::from([i64::try_from(frame.len()).expect("a frame is small")])
}

#[test]
fn a_ping_payload_has_at_most_32_bytes() {
    assert_eq!(shape(&ping(&[7; 32])), [40]);
    assert_eq!(shape(&ping(&[7; 33])), [-41]);
}

#[test]
fn a_cut_head_is_truncated_and_names_the_device_when_it_is_there() {
    let whole = ping(b"");
    for length in 2..whole.len() {
        let item = frames(&whole[..length]).next();
        let Some(Item::Skipped { bytes, identity, reason, .. }) = item else {
            panic!("{length} bytes of a ping are no frame");
        };
        assert_eq!((bytes.len(), reason), (length, DecodeError::Truncated));
        let device = identity.and_then(|identity| identity.number());
        assert_eq!(device, (length >= 5).then_some(DEVICE), "{length} bytes");
    }
}

#[test]
fn neighbours_with_one_reason_and_device_are_one_stretch() {
    let bad = {
        let mut frame = location(None, 1);
        frame[32] = 0;
        frame
    };
    assert_eq!(shape(&bad.repeat(4)), [-132], "bad_footer of one device");
    let mut other = bad.clone();
    other[4] = 0;
    assert_eq!(shape(&[&bad[..], &other[..]].concat()), [-33, -33], "two devices");
}

#[test]
fn hostile_payloads_yield_few_items() {
    let headers = [0x50, 0xF7].repeat(128 * 1024);
    assert_eq!(frames(&headers).count(), 2);
    let almost = b"\x50\xF7\x00\x00\x01\x01\x73".repeat(32 * 1024);
    assert_eq!(frames(&almost).count(), 2);
}

const SHORT: &str = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";
const LONG: &str = "50F70A3F73025EFCF950156F017D784000008CA0F80084003C013026A1029E72BD73C4";

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).expect("a test's own hex")
}

/// These values are in the table's key and in `docs/protocol.md`: they must never
/// change. Checked with the reference implementation of XXH3 from another language.
#[test]
fn the_hash_of_the_vectors_stands_for_ever() {
    assert_eq!(format_hash(SHORT), "D0A44B46D9F412B7");
    assert_eq!(format_hash(LONG), "2E761CAB56D8E5F2");
}

fn format_hash(text: &str) -> alloc::string::String {
    alloc::format!("{:016X}", frame_hash(&bytes(text)))
}

#[test]
fn the_hash_is_blind_to_the_historical_bit_alone() {
    let live = bytes(SHORT);
    for bit in 0..live.len() * 8 {
        let mut other = live.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let is_historical_bit = bit == COMPOSITION_OFFSET * 8 + 6;
        assert_eq!(frame_hash(&other) == frame_hash(&live), is_historical_bit, "bit {bit}");
    }
}
