//! What must hold for the packets in any bytes, in one place for the fuzz target
//! and for the test that replays its corpus.

use nemeses_broker::packet::{
    OutPublish, Packet, PacketError, Protocol, Publish, Qos, decode, measure, publish,
};

/// Small, so that short inputs reach it.
const LIMIT: usize = 4096;

/// Reads a stream of packets in both protocols. The first byte says how the
/// stream is cut into reads.
pub(crate) fn packet(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else { return };
    for protocol in [Protocol::V31, Protocol::V311, Protocol::V5] {
        let whole = read(protocol, stream, stream.len().max(1));
        let pieces = read(protocol, stream, usize::from(*cut).max(1));
        assert_eq!(whole, pieces, "the same packets however the stream is cut");
    }
}

/// What came of a stream: the packets and why it ended, as the session reads it.
fn read(
    protocol: Protocol,
    stream: &[u8],
    read_bytes: usize,
) -> (Vec<String>, Option<PacketError>) {
    let (mut unread, mut packets) = (Vec::new(), Vec::new());
    for piece in stream.chunks(read_bytes) {
        unread.extend_from_slice(piece);
        let mut at = 0;
        loop {
            let rest = &unread[at..];
            let length = match measure(rest, LIMIT) {
                Ok(Some(length)) if rest.len() >= length => length,
                Ok(_) => break,
                Err(error) => return (packets, Some(error)),
            };
            assert!((2..=LIMIT).contains(&length));
            at += length;
            match decode(protocol, &rest[..length]) {
                Ok(packet) => {
                    check(protocol, &rest[..length], &packet);
                    packets.push(format!("{packet:?}"));
                }
                Err(error) => return (packets, Some(error)),
            }
        }
        unread.drain(..at);
    }
    (packets, None)
}

/// A packet lies within its bytes, no shorter bytes are a packet, and a message
/// is written as it was read.
fn check(protocol: Protocol, bytes: &[u8], packet: &Packet<'_>) {
    let shorter = &bytes[..bytes.len() - 1];
    assert!(decode(protocol, shorter).is_err(), "a prefix is no packet");
    if let Packet::Publish(message) = packet {
        assert_eq!((message.packet_id == 0), (message.qos == Qos::AtMostOnce));
        assert_rewritten(protocol, message);
    }
}

fn assert_rewritten(protocol: Protocol, message: &Publish<'_>) {
    let out = OutPublish {
        topic: message.topic,
        payload: message.payload,
        qos: message.qos,
        retain: message.retain,
        packet_id: message.packet_id,
        properties: message.properties,
        subscription_ids: &[],
    };
    let mut bytes = Vec::new();
    publish(&mut bytes, protocol, &out);
    assert_eq!(bytes.len(), out.packet_bytes(protocol));
    assert_eq!(measure(&bytes, bytes.len()), Ok(Some(bytes.len())));
    // DUP is the sender's alone.
    let written = Publish { duplicate: false, ..*message };
    assert_eq!(decode(protocol, &bytes), Ok(Packet::Publish(written)));
}
