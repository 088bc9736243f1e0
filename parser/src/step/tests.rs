use std::sync::Arc;

use nemeses_protocol::{encode_location, encode_ping, normalise};
use nemeses_store::known::{KnownDevices, KnownList};
use proptest::prelude::*;

use super::*;
use crate::unknown::UnknownDevices;

const FOUNDING: &str = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";
const PING: &str = "50F70A3F730150494E4773C4";
const RECORDED_AT: u64 = 0x5EFC_F950;
const NOW_MS: u64 = (RECORDED_AT + 5) * 1000;

fn device() -> DeviceId {
    "0A3F73".parse().expect("six hex digits")
}

fn take_as(topic: &str, payload: &[u8], now_ms: u64, speaker: Speaker) -> Output {
    let mut out = Output::default();
    let message = Message { topic, payload, received_at_ms: now_ms, speaker };
    Step::default().take(&message, &mut out);
    out
}

fn take(payload: &[u8]) -> Output {
    take_as("/messenger", payload, NOW_MS, Speaker::Any)
}

fn reasons(out: &Output) -> Vec<&'static str> {
    out.records
        .iter()
        .filter_map(|record| match record {
            Record::DeadLetter(letter) => Some(letter.reason.code()),
            Record::Position(_) | Record::Readings(_) => None,
        })
        .collect()
}

#[test]
fn the_founding_frame_becomes_a_row_and_a_live_entry() {
    for payload in [FOUNDING.as_bytes().to_vec(), hex::decode(FOUNDING).unwrap()] {
        let out = take(&payload);
        let [Record::Position(record)] = out.records.as_slice() else { panic!("{out:?}") };
        assert_eq!(record.position.latitude_udeg, -19_932_833);
        assert_eq!(record.position.longitude_udeg, -43_938_493);
        assert_eq!(record.received_at_ms, NOW_MS);
        let [entry] = out.live.as_slice() else { panic!("{out:?}") };
        assert_eq!(entry.device, device());
        assert!(entry.newest.is_some() && entry.fix.is_some());
    }
}

#[test]
fn a_ping_is_answered_in_the_form_of_the_question() {
    let out = take(PING.as_bytes());
    assert_eq!((out.pings, out.records.len()), (1, 0));
    assert_eq!(out.replies[0].payload, b"50F70150494E4773C4");
    assert_eq!(out.live, [LiveEntry::seen(device(), NOW_MS)]);
    let out = take(&hex::decode(PING).unwrap());
    assert_eq!(out.replies[0].payload, hex::decode("50F70150494E4773C4").unwrap());
}

#[test]
fn a_frame_of_another_device_than_the_login_is_a_dead_letter_on_either_topic() {
    let other = Speaker::Device(DeviceId::new(1));
    for topic in ["/messenger", "/messenger/000001", "/messenger/0A3F73"] {
        for frame in [FOUNDING, PING] {
            let out = take_as(topic, frame.as_bytes(), NOW_MS, other);
            assert_eq!(reasons(&out), ["identity_mismatch"], "{topic} {frame}");
            assert!(out.live.is_empty() && out.replies.is_empty() && out.pings == 0);
        }
    }
    let out = take_as("/messenger", FOUNDING.as_bytes(), NOW_MS, Speaker::Device(device()));
    assert!(reasons(&out).is_empty());
}

#[test]
fn a_frame_of_another_device_than_the_topic_is_a_dead_letter() {
    let out = take_as("/messenger/000001", FOUNDING.as_bytes(), NOW_MS, Speaker::Any);
    assert_eq!(reasons(&out), ["topic_mismatch"]);
    let out = take_as("/messenger/0A3F73", FOUNDING.as_bytes(), NOW_MS, Speaker::Any);
    assert!(reasons(&out).is_empty());
}

#[test]
fn a_day_ahead_is_accepted_and_a_second_more_is_not() {
    let day_ms = 24 * 60 * 60 * 1000;
    let at = RECORDED_AT * 1000 - day_ms;
    assert!(reasons(&take_as("/messenger", FOUNDING.as_bytes(), at, Speaker::Any)).is_empty());
    let out = take_as("/messenger", FOUNDING.as_bytes(), at - 1000, Speaker::Any);
    assert_eq!(reasons(&out), ["future"]);
    assert!(out.live.is_empty());
}

#[test]
fn rubbish_between_frames_is_kept_beside_them() {
    let mut payload = b"\x00rubbish".to_vec();
    payload.extend(hex::decode(FOUNDING).unwrap());
    payload.extend(b"tail");
    let out = take(&payload);
    assert_eq!(out.live.len(), 1);
    assert_eq!(out.records.len(), 3, "{out:?}");
    let Record::DeadLetter(head) = &out.records[0] else { panic!("{out:?}") };
    assert_eq!((head.offset, head.bytes.as_slice()), (0, b"\x00rubbish".as_slice()));
    let Record::DeadLetter(tail) = &out.records[2] else { panic!("{out:?}") };
    assert_eq!((tail.offset, tail.bytes.as_slice()), (41, b"tail".as_slice()));
}

#[test]
fn an_empty_and_an_oversized_payload_are_dead_letters() {
    assert_eq!(reasons(&take(b"")), ["empty"]);
    let out = take(&vec![0_u8; 256 * 1024 + 1]);
    assert!(reasons(&out).iter().all(|reason| *reason == "oversized"));
    let kept: usize = out
        .records
        .iter()
        .map(|record| match record {
            Record::DeadLetter(letter) => letter.bytes.len(),
            Record::Position(_) | Record::Readings(_) => 0,
        })
        .sum();
    assert_eq!(kept, 256 * 1024 + 1);
}

#[test]
fn a_long_topic_is_kept_in_part() {
    let topic = format!("/messenger/{}", "\u{e9}".repeat(30_000));
    let out = take_as(&topic, b"rubbish", NOW_MS, Speaker::Any);
    let Record::DeadLetter(letter) = &out.records[0] else { panic!("{out:?}") };
    assert!(letter.topic.len() <= 256 && topic.starts_with(&letter.topic));
    assert!(letter.topic.len() > 250);
}

#[test]
fn raw_bytes_are_kept_when_asked_for() {
    let step = Step::new(Policy { keep_raw: true, ..Policy::default() });
    let mut out = Output::default();
    let payload = hex::decode(FOUNDING).unwrap();
    let message = Message {
        topic: "/messenger",
        payload: &payload,
        received_at_ms: NOW_MS,
        speaker: Speaker::Any,
    };
    step.take(&message, &mut out);
    let Record::Position(record) = &out.records[0] else { panic!("{out:?}") };
    assert_eq!(record.raw(), Some(payload.as_slice()));
    let mut encoded = Vec::new();
    encode_location(&record.position, &mut encoded);
    assert_eq!(encoded, payload);
}

proptest! {
    /// The books' premise: every byte that arrives is in a record or in a ping.
    #[test]
    fn every_byte_is_accounted_for(
        stretches in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 1..20),
                Just(hex::decode(FOUNDING).unwrap()),
                Just({ let mut ping = Vec::new(); encode_ping(DeviceId::new(7), b"PING", &mut ping); ping }),
            ],
            1..8,
        )
    ) {
        let payload: Vec<u8> = stretches.concat();
        prop_assume!(normalise(&payload).form == Form::Raw);
        let out = take(&payload);
        let mut counted = 0;
        for record in &out.records {
            counted += match record {
                Record::DeadLetter(letter) => letter.bytes.len(),
                Record::Readings(_) => 0,
                Record::Position(record) => if record.position.extension.is_some() { 35 } else { 33 },
            };
        }
        for reply in &out.replies {
            // A reply is the ping without its three bytes of device id.
            counted += reply.payload.len() + 3;
        }
        prop_assert_eq!(counted, payload.len());
    }
}

/// What comes of the founding frame and a ping where only the device `known` is known.
fn at_a_gate(mode: UnknownDevices, known: &str) -> Output {
    let list: KnownList = [known.parse::<DeviceId>().unwrap()].into_iter().collect();
    let devices = KnownDevices::default();
    devices.renew(Arc::new(list), NOW_MS);
    let step = Step::new(Policy { gate: Gate::new(mode, &devices), ..Policy::default() });
    let payload = [hex::decode(FOUNDING).unwrap(), hex::decode(PING).unwrap()].concat();
    let mut out = Output::default();
    let message = Message {
        topic: "/messenger",
        payload: &payload,
        received_at_ms: NOW_MS,
        speaker: Speaker::Any,
    };
    step.take(&message, &mut out);
    out
}

#[test]
fn a_known_device_passes_every_gate() {
    let accepted = at_a_gate(UnknownDevices::Accept, "000001");
    for mode in [UnknownDevices::Quarantine, UnknownDevices::Reject] {
        assert_eq!(at_a_gate(mode, "0A3F73"), accepted, "{mode:?}");
    }
}

#[test]
fn in_quarantine_a_frame_is_kept_and_a_ping_answered_and_neither_shown() {
    let out = at_a_gate(UnknownDevices::Quarantine, "000001");
    let [Record::DeadLetter(letter)] = out.records.as_slice() else { panic!("{out:?}") };
    assert_eq!((letter.reason, letter.device), (Reason::Quarantined, Some(device())));
    assert_eq!(letter.bytes, hex::decode(FOUNDING).unwrap());
    assert_eq!((out.pings, out.replies.len(), out.live.len()), (1, 1, 0));
}

#[test]
fn what_is_rejected_is_kept_as_such_and_not_answered() {
    let out = at_a_gate(UnknownDevices::Reject, "000001");
    assert_eq!(reasons(&out), ["unknown_device", "unknown_device"]);
    assert_eq!((out.pings, out.replies.len(), out.live.len()), (0, 0, 0));
}
