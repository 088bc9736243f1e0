//! What must hold for any bytes, in one place for the fuzz targets and for the
//! test that replays their corpora.
#![allow(dead_code, reason = "each fuzz target uses one of them")]

#[path = "outcome.rs"]
mod outcome;

use nemeses_protocol::{
    BatchMessage, Cayenne, Frame, Gt06, Item, MAX_BATCH_BYTES, MAX_BATCH_ROWS, OsmAnd, OwnTracks,
    Protocol, Queclink, Record, Teltonika, encode_location, encode_ping, frames, normalise,
};
use outcome::{Stream, message, stream};

/// The most that waits for the end of a frame: one of Teltonika's is the longest.
const MAX_HELD: usize = 70_000;

/// The frame decoder and the reader of hex text.
pub(crate) fn decoder(payload: &[u8]) {
    let read = normalise(payload);
    if let Some((offset, text)) = read.unreadable {
        assert_eq!(&payload[offset..], text, "the unreadable rest is the payload's");
    }
    assert_covered(&read.bytes);
    assert_covered(payload);
}

/// Items lie end to end, cover every byte, and frames are written as they came.
fn assert_covered(bytes: &[u8]) {
    let mut end = 0;
    for item in frames(bytes) {
        let (offset, covered) = match item {
            Item::Frame { offset, bytes, frame } => {
                assert_eq!(written(&frame), bytes);
                (offset, bytes)
            }
            Item::Skipped { offset, bytes, .. } => (offset, bytes),
        };
        assert!(!covered.is_empty(), "no item is empty");
        assert_eq!(offset, end, "items lie end to end");
        end += covered.len();
        assert_eq!(&bytes[offset..end], covered);
    }
    assert_eq!(end, bytes.len(), "every byte is covered");
}

fn written(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match frame {
        Frame::Location(position) => encode_location(position, &mut bytes),
        Frame::Ping { device, payload } => encode_ping(*device, payload, &mut bytes),
    }
    bytes
}

/// The decoders of devices' own protocols: the first byte chooses one, the second where a
/// connection splits the rest.
pub(crate) fn devices(bytes: &[u8]) {
    let [protocol, cut, bytes @ ..] = bytes else { return };
    let cut = usize::from(*cut);
    match protocol % 6 {
        0 => connection::<Teltonika>(cut, bytes),
        1 => connection::<Gt06>(cut, bytes),
        2 => connection::<Queclink>(cut, bytes),
        3 => drop(message::<OsmAnd>("http", bytes)),
        4 => drop(message::<OwnTracks>("owntracks/jane/phone", bytes)),
        _ => drop(message::<Cayenne>("sensors/id:1", bytes)),
    }
}

/// Split or whole, the same is made of it, every byte is covered, and little waits for more.
fn connection<P: Protocol>(cut: usize, bytes: &[u8]) {
    let (front, rest) = bytes.split_at(cut.min(bytes.len()));
    assert_eq!(stream::<P>([front, rest]), stream::<P>([bytes]));
    let _covered = message::<P>("a/imei:356307042441013/data", bytes);
    let mut stream = Stream::<P>::default();
    stream.receives(bytes);
    assert!(stream.held() <= MAX_HELD, "what waits for its end is bounded");
}

/// The decoder of `/DB` messages.
pub(crate) fn db_decoder(bytes: &[u8]) {
    let Ok(batch) = BatchMessage::decode(bytes) else { return };
    assert!(bytes.len() <= MAX_BATCH_BYTES && batch.records.len() <= MAX_BATCH_ROWS);
    let encoded = batch.encode();
    assert_eq!(encoded.len(), batch.encoded_len());
    let estimate: usize = batch.records.iter().map(Record::encoded_len_estimate).sum();
    assert!(encoded.len() <= BatchMessage::BASE_LEN_ESTIMATE + estimate);
    // What was read may have been written with less: absent zeros, packed numbers.
    if encoded.len() <= MAX_BATCH_BYTES {
        assert_eq!(BatchMessage::decode(&encoded), Ok(batch));
    }
}
