//! What holds for all frames and for all bytes.
#![allow(missing_docs, reason = "a test program")]

mod common;

use common::{any_position, assert_covered, good};
use nemeses_protocol::{
    DeviceId, Form, Frame, Item, Position, encode_location, encode_ping, frames, normalise,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const HEADER: [u8; 2] = [0x50, 0xF7];
const FOOTER: [u8; 2] = [0x73, 0xC4];

fn encoded(position: &Position) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_location(position, &mut frame);
    frame
}

fn encoded_ping(device: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_ping(DeviceId::new(device), payload, &mut frame);
    frame
}

/// Payloads with headers and footers inside, but for the two that are documented
/// as read otherwise: another frame seems to begin inside, or the usual ping stands
/// at the front.
fn any_ping_payload() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => Just(HEADER.to_vec()),
        1 => Just(FOOTER.to_vec()),
        1 => Just(b"PING".to_vec()),
    ];
    let pieces = vec(piece, 0..16).prop_map(|pieces| pieces.concat());
    pieces.prop_filter("read otherwise", |payload| {
        let seems_to_begin =
            |window: &[u8]| window[..2] == HEADER && (window[5] == 1 || window[5] == 2);
        payload.len() <= 32
            && !payload.starts_with(b"PING\x73\xC4")
            && !(payload.clone().into_iter().chain(FOOTER).chain(HEADER).collect::<Vec<u8>>())
                .windows(6)
                .any(seems_to_begin)
    })
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => any_position().prop_map(|position| encoded(&position)),
        1 => (0..=DeviceId::MAX_SFT9001, any_ping_payload())
            .prop_map(|(device, payload)| encoded_ping(device, &payload)),
    ]
}

/// Frames that nothing behind them can make doubtful: no ping with a header in its
/// payload, which looks like a frame boundary when a footer stands before it.
fn frame_before_rubbish() -> impl Strategy<Value = Vec<u8>> {
    any_frame().prop_filter("a ping with a header inside", |frame| {
        frame[5] != 1 || !frame[6..].windows(2).any(|pair| pair == HEADER)
    })
}

/// Locations and usual pings without header or footer inside, so that a cut one
/// can only be cut.
fn plain_frame() -> impl Strategy<Value = Vec<u8>> {
    let frame = prop_oneof![
        any_position().prop_map(|position| encoded(&position)),
        (0..=DeviceId::MAX_SFT9001).prop_map(|device| encoded_ping(device, b"PING")),
    ];
    frame.prop_filter("header or footer inside", |frame| {
        let inside = &frame[2..frame.len() - 2];
        !inside.windows(2).any(|pair| pair == HEADER || pair == FOOTER)
    })
}

/// Bytes that come close to frames: their pieces, cut and strung together.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(HEADER.to_vec()),
        Just(FOOTER.to_vec()),
        select(vec![[0x50, 0xF7, 0, 0, 1, 1], [0x50, 0xF7, 0, 0, 1, 2]]).prop_map(Vec::from),
        vec(any::<u8>(), 0..40),
        any_frame(),
        (any_frame(), any::<prop::sample::Index>())
            .prop_map(|(frame, at)| frame[..at.index(frame.len())].to_vec()),
    ];
    vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

/// Rubbish in which nothing begins and nothing ends.
fn rubbish() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>().prop_filter("no header, no footer", |byte| ![0x50, 0x73].contains(byte)), 0..50)
}

proptest! {
    #![proptest_config(common::config())]

    #[test]
    fn a_location_is_read_as_it_was_written(position in any_position()) {
        let frame = encoded(&position);
        prop_assert_eq!(good(&frame), [Frame::Location(position)]);
        assert_covered(&frame);
    }

    #[test]
    fn a_ping_is_read_as_it_was_written(
        device in 0..=DeviceId::MAX_SFT9001,
        payload in any_ping_payload(),
    ) {
        let frame = encoded_ping(device, &payload);
        let expected = Frame::Ping { device: DeviceId::new(device), payload: &payload };
        prop_assert_eq!(good(&frame), [expected]);
        let twice = frame.repeat(2);
        prop_assert_eq!(good(&twice), [expected; 2]);
    }

    #[test]
    fn any_bytes_are_covered(bytes in vec(any::<u8>(), 0..400)) {
        assert_covered(&bytes);
        assert_covered(&normalise(&bytes).bytes);
    }

    #[test]
    fn hostile_bytes_are_covered_and_accepted_frames_are_written_as_they_came(
        bytes in hostile_bytes(),
    ) {
        assert_covered(&bytes);
        for item in frames(&bytes) {
            match item {
                Item::Frame { bytes, frame: Frame::Location(position), .. } => {
                    prop_assert_eq!(encoded(&position), bytes);
                }
                Item::Frame { bytes, frame: Frame::Ping { device, payload }, .. } => {
                    prop_assert_eq!(encoded_ping(device.number(), payload), bytes);
                }
                Item::Skipped { .. } => {}
            }
        }
    }

    #[test]
    fn frames_end_to_end_all_come_out(wanted in vec(any_frame(), 0..20)) {
        let bytes = wanted.concat();
        let found: Vec<&[u8]> = frames(&bytes).map(|item| common::extent(&item).1).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn frames_between_rubbish_all_come_out(pieces in vec((rubbish(), frame_before_rubbish()), 0..12)) {
        let bytes: Vec<u8> = pieces.iter().flat_map(|(rubbish, frame)| [&rubbish[..], frame]).flatten().copied().collect();
        let wanted: Vec<&[u8]> = pieces.iter().map(|(_, frame)| &frame[..]).collect();
        prop_assert_eq!(frame_bytes(&bytes), wanted);
    }

    #[test]
    fn frames_behind_cut_frames_all_come_out(
        pieces in vec((plain_frame(), any::<prop::sample::Index>(), plain_frame()), 0..12),
    ) {
        let mut bytes = Vec::new();
        for (cut, at, whole) in &pieces {
            // From the whole head to one byte before the footer.
            let length = 6 + at.index(cut.len() - 7);
            bytes.extend_from_slice(&cut[..length]);
            bytes.extend_from_slice(whole);
        }
        let wanted: Vec<&[u8]> = pieces.iter().map(|(_, _, whole)| &whole[..]).collect();
        prop_assert_eq!(frame_bytes(&bytes), wanted);
    }

    #[test]
    fn hex_text_says_the_same_as_raw_bytes(behind in hostile_bytes(), upper in any::<bool>()) {
        let bytes = [&HEADER[..], &behind].concat();
        let text = if upper { hex::encode_upper(&bytes) } else { hex::encode(&bytes) };
        let spaced = format!(" {}\r\n", text.replace("73", "73\n"));
        for text in [text, spaced] {
            let read = normalise(text.as_bytes());
            prop_assert_eq!(read.form, Form::Hex);
            prop_assert_eq!(&read.bytes[..], &bytes[..]);
            prop_assert_eq!(read.unreadable, None);
        }
        let raw = normalise(&bytes);
        prop_assert_eq!((raw.form, &raw.bytes[..]), (Form::Raw, &bytes[..]));
    }

    #[test]
    fn no_character_of_a_text_is_lost(text in "50[fF]7[0-9a-fA-F \n]{0,40}[^0-9a-fA-F]?.{0,10}") {
        let payload = text.as_bytes();
        let read = normalise(payload);
        let (end, rest) = read.unreadable.unwrap_or((payload.len(), b""));
        prop_assert_eq!(&payload[end..], rest);
        let digits = payload[..end].iter().filter(|byte| byte.is_ascii_hexdigit()).count();
        prop_assert_eq!(digits, 2 * read.bytes.len());
    }
}

fn frame_bytes(bytes: &[u8]) -> Vec<&[u8]> {
    frames(bytes)
        .filter_map(|item| match item {
            Item::Frame { bytes, .. } => Some(bytes),
            Item::Skipped { .. } => None,
        })
        .collect()
}
