//! As much MQTT 3.1.1 as a load needs, as cheap as it gets: packets are
//! prebuilt, acknowledgements are four bytes each. Not a client for anything else.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A PUBACK: two bytes of header, then the packet id.
pub(crate) const PUBACK_BYTES: usize = 4;
/// Where PUBLISH is read into.
pub(crate) const READ_BYTES: usize = 64 * 1024;
const TOPIC: &[u8] = b"/messenger";
/// A short location frame.
pub(crate) const FRAME_BYTES: usize = 33;
const HEADER_BYTES: usize = 2 + 2 + TOPIC.len() + 2;
/// A PUBLISH of one frame on `/messenger`, QoS 1.
pub(crate) const PUBLISH_BYTES: usize = HEADER_BYTES + FRAME_BYTES;

/// The founding document's frame, whose device and second are overwritten.
const FRAME: [u8; FRAME_BYTES] = [
    0x50, 0xF7, 0x0A, 0x3F, 0x73, 0x02, 0x5E, 0xFC, 0xF9, 0x50, 0x15, 0x6F, 0x01, 0x7D, 0x78, 0x40,
    0x00, 0x00, 0x8C, 0xA0, 0xB8, 0x00, 0x3C, 0x01, 0x30, 0x26, 0xA1, 0x02, 0x9E, 0x72, 0xBD, 0x73,
    0xC4,
];

/// A PUBLISH with these numbers in it.
pub(crate) fn publish(packet_id: u16, device: u32, recorded_at: u32) -> [u8; PUBLISH_BYTES] {
    let mut packet = [0; PUBLISH_BYTES];
    packet[0] = 0x32;
    packet[1] = u8::try_from(PUBLISH_BYTES - 2).unwrap_or(u8::MAX);
    packet[3] = u8::try_from(TOPIC.len()).unwrap_or(u8::MAX);
    packet[4..4 + TOPIC.len()].copy_from_slice(TOPIC);
    packet[HEADER_BYTES - 2..HEADER_BYTES].copy_from_slice(&packet_id.to_be_bytes());
    let frame = &mut packet[HEADER_BYTES..];
    frame.copy_from_slice(&FRAME);
    frame[2..5].copy_from_slice(&device.to_be_bytes()[1..]);
    frame[6..10].copy_from_slice(&recorded_at.to_be_bytes());
    packet
}

/// Appends a PUBLISH of ten values, QoS 1, on the device's topic.
pub(crate) fn publish_values(packet_id: u16, device: u32, recorded_at: u32, out: &mut Vec<u8>) {
    // Something else in each record and channel.
    let of = |number: u32| {
        let mixed = (device ^ recorded_at.wrapping_mul(2_654_435_761)).wrapping_add(number * 7_919);
        f64::from(mixed % 100_000) / 10.0
    };
    let payload = format!(
        concat!(
            r#"{{"t":{},"values":{{"temperature":{},"humidity":{},"pressure":{},"voltage":{},"#,
            r#""current":{},"power":{},"energy":{},"level":{},"flow":{},"door":{}}}}}"#
        ),
        recorded_at,
        of(1),
        of(2),
        of(3),
        of(4),
        of(5),
        of(6),
        of(7),
        of(8),
        of(9),
        (recorded_at / 10).is_multiple_of(2),
    );
    let topic = format!("/telemetry/{device:06X}");
    let length = 2 + topic.len() + 2 + payload.len();
    out.extend([0x32, u8::try_from(length % 128).unwrap_or(0) | 0x80]);
    out.push(u8::try_from(length / 128).unwrap_or(u8::MAX));
    out.extend([0, u8::try_from(topic.len()).unwrap_or(u8::MAX)]);
    out.extend(topic.as_bytes());
    out.extend(packet_id.to_be_bytes());
    out.extend(payload.as_bytes());
}

/// Connects with a clean session and without a login.
pub(crate) async fn connect(
    address: SocketAddr,
    client_id: &str,
    keep_alive_s: u16,
) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let length = u8::try_from(12 + client_id.len()).context("the client id is too long")?;
    let mut packet = vec![0x10, length, 0, 4, b'M', b'Q', b'T', b'T', 4, 2];
    packet.extend(keep_alive_s.to_be_bytes());
    packet.extend([0, length - 12]);
    packet.extend(client_id.as_bytes());
    stream.write_all(&packet).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.context("waiting for CONNACK")?;
    anyhow::ensure!(answer == [0x20, 2, 0, 0], "CONNACK is {answer:?}");
    Ok(stream)
}

/// Subscribes to `/messenger` with QoS 1.
pub(crate) async fn subscribe(stream: &mut TcpStream) -> anyhow::Result<()> {
    let length = u8::try_from(2 + 2 + TOPIC.len() + 1).context("the filter is too long")?;
    let mut packet = vec![0x82, length, 0, 1, 0, length - 5];
    packet.extend(TOPIC);
    packet.push(1);
    stream.write_all(&packet).await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.context("waiting for SUBACK")?;
    anyhow::ensure!(answer == [0x90, 3, 0, 1, 1], "SUBACK is {answer:?}");
    Ok(())
}

/// The packet ids of the whole PUBLISHes at the front of `bytes`, as PUBACKs
/// appended to `out`; returns how many bytes they took and how many they were.
pub(crate) fn acknowledge(bytes: &[u8], out: &mut Vec<u8>) -> anyhow::Result<(usize, u64)> {
    let (mut at, mut count) = (0, 0);
    while let [first, length, rest @ ..] = &bytes[at..] {
        anyhow::ensure!(first & 0xF6 == 0x32 && *length < 0x80, "no PUBLISH of ours: {first:#x}");
        let length = usize::from(*length);
        let Some(&[high, low]) =
            rest.get(..length).map(|_| &rest[HEADER_BYTES - 4..HEADER_BYTES - 2])
        else {
            break;
        };
        out.extend([0x40, 2, high, low]);
        at += 2 + length;
        count += 1;
    }
    Ok((at, count))
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{Frame, Item, frames};

    use super::*;

    #[test]
    fn a_published_frame_decodes_to_what_was_asked_for() {
        let packet = publish(0x1234, 9_999, 1_700_000_000);
        assert_eq!(usize::from(packet[1]) + 2, packet.len());
        let items: Vec<_> = frames(&packet[HEADER_BYTES..]).collect();
        let [Item::Frame { frame: Frame::Location(position), .. }] = &items[..] else {
            panic!("{items:?}");
        };
        assert_eq!((position.device.number(), position.recorded_at), (9_999, 1_700_000_000));
    }

    #[test]
    fn whole_packets_are_acknowledged_and_the_rest_waits() {
        let packets = [publish(1, 1, 1), publish(0x0203, 1, 2), publish(3, 1, 3)].concat();
        let mut out = Vec::new();
        let taken = acknowledge(&packets[..packets.len() - 1], &mut out).unwrap();
        assert_eq!(taken, (2 * PUBLISH_BYTES, 2));
        assert_eq!(out, [0x40, 2, 0, 1, 0x40, 2, 2, 3]);
    }
}
