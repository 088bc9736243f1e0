//! From packets to bytes. Nothing here fails: what is written was checked or
//! made by the door, and lengths are bounded by its packet limit.

use bytes::BufMut;

use super::property::{
    ASSIGNED_CLIENT_ID, MAXIMUM_PACKET, RECEIVE_MAXIMUM, SERVER_KEEP_ALIVE, SESSION_EXPIRY,
    SHARED_AVAILABLE, SUBSCRIPTION_ID,
};
use super::{Protocol, Qos, Reason};

/// What a CONNACK says.
#[derive(Clone, Copy, Debug)]
pub struct ConnAck<'a> {
    /// Success, or why not.
    pub reason: Reason,
    /// The id given to a client that came without.
    pub assigned_client_id: Option<&'a str>,
    /// The keep-alive to use instead of the client's, seconds.
    pub server_keep_alive_s: Option<u16>,
    /// How many PUBLISH packets of QoS 1 and 2 the door takes unacknowledged.
    pub receive_maximum: u16,
    /// The longest packet the door takes, bytes.
    pub maximum_packet_bytes: u32,
    /// Say that the session ends with the connection.
    pub session_ends: bool,
}

/// Writes a CONNACK. Sessions do not outlive connections, so that "session
/// present" is never said.
pub fn connack(out: &mut Vec<u8>, protocol: Protocol, ack: &ConnAck<'_>) {
    if protocol != Protocol::V5 {
        out.put_slice(&[0x20, 2, 0, ack.reason.connect_return_code()]);
        return;
    }
    let mut block = Vec::new();
    if !ack.reason.is_error() {
        if ack.session_ends {
            block.put_u8(SESSION_EXPIRY);
            block.put_u32(0);
        }
        block.put_u8(RECEIVE_MAXIMUM);
        block.put_u16(ack.receive_maximum);
        block.put_u8(MAXIMUM_PACKET);
        block.put_u32(ack.maximum_packet_bytes);
        block.put_slice(&[SHARED_AVAILABLE, 0]);
        if let Some(id) = ack.assigned_client_id {
            block.put_u8(ASSIGNED_CLIENT_ID);
            put_text(&mut block, id);
        }
        if let Some(seconds) = ack.server_keep_alive_s {
            block.put_u8(SERVER_KEEP_ALIVE);
            block.put_u16(seconds);
        }
    }
    out.put_u8(0x20);
    put_varint(out, 2 + varint_bytes(block.len()) + block.len());
    out.put_slice(&[0, ack.reason.0]);
    put_varint(out, block.len());
    out.put_slice(&block);
}

/// A message to a client.
#[derive(Clone, Copy, Debug)]
pub struct OutPublish<'a> {
    /// Topic name.
    pub topic: &'a str,
    /// Payload.
    pub payload: &'a [u8],
    /// Quality.
    pub qos: Qos,
    /// Retain flag.
    pub retain: bool,
    /// Packet id; left out at QoS 0.
    pub packet_id: u16,
    /// Properties as the publisher sent them; left out for 3.1.1.
    pub properties: &'a [u8],
    /// Identifiers of the subscriptions that matched; left out for 3.1.1.
    pub subscription_ids: &'a [u32],
}

impl OutPublish<'_> {
    fn block_bytes(&self) -> usize {
        let ids = self.subscription_ids.iter();
        ids.map(|id| 1 + varint_bytes(index(*id))).sum::<usize>() + self.properties.len()
    }

    fn remaining(&self, protocol: Protocol) -> usize {
        let id = if self.qos == Qos::AtMostOnce { 0 } else { 2 };
        let block = match protocol {
            Protocol::V31 | Protocol::V311 => 0,
            Protocol::V5 => varint_bytes(self.block_bytes()) + self.block_bytes(),
        };
        2 + self.topic.len() + id + block + self.payload.len()
    }

    /// Bytes of the whole packet.
    pub fn packet_bytes(&self, protocol: Protocol) -> usize {
        let remaining = self.remaining(protocol);
        1 + varint_bytes(remaining) + remaining
    }
}

/// Writes a PUBLISH.
pub fn publish(out: &mut Vec<u8>, protocol: Protocol, message: &OutPublish<'_>) {
    out.put_u8(0x30 | (message.qos.bits() << 1) | u8::from(message.retain));
    put_varint(out, message.remaining(protocol));
    put_text(out, message.topic);
    if message.qos != Qos::AtMostOnce {
        out.put_u16(message.packet_id);
    }
    if protocol == Protocol::V5 {
        put_varint(out, message.block_bytes());
        out.put_slice(message.properties);
        for id in message.subscription_ids {
            out.put_u8(SUBSCRIPTION_ID);
            put_varint(out, index(*id));
        }
    }
    out.put_slice(message.payload);
}

/// Writes a PUBACK.
pub fn puback(out: &mut Vec<u8>, protocol: Protocol, packet_id: u16, reason: Reason) {
    acknowledge(out, protocol, 0x40, packet_id, reason);
}

/// Writes a PUBREC.
pub fn pubrec(out: &mut Vec<u8>, protocol: Protocol, packet_id: u16, reason: Reason) {
    acknowledge(out, protocol, 0x50, packet_id, reason);
}

/// Writes a PUBREL.
pub fn pubrel(out: &mut Vec<u8>, protocol: Protocol, packet_id: u16, reason: Reason) {
    acknowledge(out, protocol, 0x62, packet_id, reason);
}

/// Writes a PUBCOMP.
pub fn pubcomp(out: &mut Vec<u8>, protocol: Protocol, packet_id: u16, reason: Reason) {
    acknowledge(out, protocol, 0x70, packet_id, reason);
}

/// A success is said by leaving the reason out, in both protocols.
fn acknowledge(out: &mut Vec<u8>, protocol: Protocol, first: u8, packet_id: u16, reason: Reason) {
    let says_reason = protocol == Protocol::V5 && reason != Reason::SUCCESS;
    out.put_slice(&[first, if says_reason { 3 } else { 2 }]);
    out.put_u16(packet_id);
    if says_reason {
        out.put_u8(reason.0);
    }
}

/// Writes a SUBACK with one code for each filter. MQTT 3.1 has no code for a refusal:
/// its caller grants what was asked for.
pub fn suback(out: &mut Vec<u8>, protocol: Protocol, packet_id: u16, codes: &[Reason]) {
    let codes = codes.iter().map(|code| match protocol {
        Protocol::V31 | Protocol::V311 if code.is_error() => 0x80,
        _ => code.0,
    });
    filters_ack(out, protocol, 0x90, packet_id, codes);
}

/// Writes an UNSUBACK, in MQTT 5 with one code for each filter.
pub fn unsuback(out: &mut Vec<u8>, protocol: Protocol, packet_id: u16, codes: &[Reason]) {
    let told = if protocol == Protocol::V5 { codes } else { &[] };
    filters_ack(out, protocol, 0xB0, packet_id, told.iter().map(|code| code.0));
}

fn filters_ack(
    out: &mut Vec<u8>,
    protocol: Protocol,
    first: u8,
    packet_id: u16,
    codes: impl ExactSizeIterator<Item = u8>,
) {
    let block = usize::from(protocol == Protocol::V5);
    out.put_u8(first);
    put_varint(out, 2 + block + codes.len());
    out.put_u16(packet_id);
    out.put_bytes(0, block);
    codes.for_each(|code| out.put_u8(code));
}

/// Writes a PINGRESP.
pub fn pingresp(out: &mut Vec<u8>) {
    out.put_slice(&[0xD0, 0]);
}

/// Writes a DISCONNECT; 3.1.1 servers send none.
pub fn disconnect(out: &mut Vec<u8>, protocol: Protocol, reason: Reason) {
    if protocol == Protocol::V5 {
        // The length of no properties could be left out; rumqttc 0.25 wants it.
        out.put_slice(&[0xE0, 2, reason.0, 0]);
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    // Topics came in behind a 16-bit length or are configured (checked).
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.put_u16(length);
    out.put_slice(&text.as_bytes()[..usize::from(length)]);
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn varint_bytes(value: usize) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7F).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            out.put_u8(low);
            return;
        }
        out.put_u8(low | 0x80);
    }
}
