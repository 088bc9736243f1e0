use alloc::borrow::ToOwned;
use alloc::vec;

use super::*;

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
