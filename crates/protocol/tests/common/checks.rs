//! What must hold for any bytes, in one place for the fuzz targets and for the
//! test that replays their corpora.
#![allow(dead_code, reason = "each fuzz target uses one of them")]

use nemeses_protocol::{
    BatchMessage, Frame, Item, MAX_BATCH_BYTES, MAX_BATCH_ROWS, Record, encode_location,
    encode_ping, frames, normalise,
};

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
