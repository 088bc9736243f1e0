use alloc::borrow::ToOwned;
use alloc::vec;

use super::*;

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

fn format_hash(text: &str) -> String {
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

#[test]
fn every_reason_has_its_own_code_and_is_found_by_it() {
    let policy = [
        Reason::IdentityMismatch,
        Reason::TopicMismatch,
        Reason::Future,
        Reason::Refused,
        Reason::BadBatch,
        Reason::Quarantined,
        Reason::UnknownDevice,
    ];
    for reason in policy.into_iter().chain(DecodeError::ALL.map(Reason::Decode)) {
        assert_eq!(Reason::from_code(reason.code()), Some(reason));
    }
    assert_eq!(Reason::from_code("of a later version"), None);
}

fn letter(bytes: Vec<u8>) -> DeadLetter {
    DeadLetter {
        topic: "/messenger".to_owned(),
        offset: 7,
        reason: Reason::Decode(DecodeError::BadHeader),
        device: Some(DeviceId::new(1)),
        received_at_ms: 5,
        bytes,
    }
}

#[test]
fn a_letter_within_the_bound_stays_whole() {
    for length in [0, 1, MAX_DEAD_LETTER_BYTES] {
        let whole = letter(vec![9; length]);
        assert_eq!(whole.clone().split(), [whole]);
    }
}

#[test]
fn a_longer_letter_is_cut_without_a_loss() {
    let long = letter((0..=255).cycle().take(2 * MAX_DEAD_LETTER_BYTES + 1).collect());
    let pieces = long.clone().split();
    assert_eq!(pieces.len(), 3);
    let together: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.clone()).collect();
    assert_eq!(together, long.bytes);
    let mut offset = long.offset;
    for piece in &pieces {
        assert!(piece.bytes.len() <= MAX_DEAD_LETTER_BYTES);
        let rest = DeadLetter { offset: long.offset, bytes: long.bytes.clone(), ..piece.clone() };
        assert_eq!(rest, long, "all but offset and bytes as in the whole");
        assert_eq!(piece.offset, offset);
        offset += u32::try_from(piece.bytes.len()).expect("a piece fits u32");
    }
}

#[test]
fn a_record_knows_when_it_arrived() {
    assert_eq!(Record::DeadLetter(Box::new(letter(Vec::new()))).received_at_ms(), 5);
}
