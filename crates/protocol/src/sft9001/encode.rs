//! Bytes out of frames: the simulator, tests, and replies to pings.
//!
//! The encoder writes what it is given and checks no ranges, so that tests can
//! build frames that the decoder must refuse.

use alloc::vec::Vec;

use super::wire::{FOOTER, HEADER, TYPE_LOCATION, TYPE_PING};
use crate::{Composition, DeviceId, Position};

/// Appends a location frame: the long form when there is an extension, else the
/// short one. The signs come from the coordinates; a coordinate of zero keeps the
/// sign bit of `composition`. Of the device number the low 24 bits are written.
pub fn encode_location(position: &Position, out: &mut Vec<u8>) {
    encode_head(position.device, TYPE_LOCATION, out);
    out.extend_from_slice(&position.recorded_at.to_be_bytes());
    out.extend_from_slice(&position.direction_cdeg.to_be_bytes());
    out.extend_from_slice(&position.odometer_m.to_be_bytes());
    out.extend_from_slice(&position.hour_meter_min.to_be_bytes());
    out.extend_from_slice(&signed_composition(position).to_be_bytes());
    if let Some(extension) = position.extension {
        out.extend_from_slice(&extension.to_be_bytes());
    }
    out.push(position.speed_kmh);
    out.extend_from_slice(&position.latitude_udeg.unsigned_abs().to_be_bytes());
    out.extend_from_slice(&position.longitude_udeg.unsigned_abs().to_be_bytes());
    out.extend_from_slice(&FOOTER);
}

/// Appends a ping. Of the device number the low 24 bits are written; decoders
/// take a payload of up to 32 bytes.
pub fn encode_ping(device: DeviceId, payload: &[u8], out: &mut Vec<u8>) {
    encode_head(device, TYPE_PING, out);
    out.extend_from_slice(payload);
    out.extend_from_slice(&FOOTER);
}

/// Appends the reply to a ping: its payload between header, type and footer,
/// without the device id.
pub fn encode_ping_reply(payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(HEADER.len() + 1 + payload.len() + FOOTER.len());
    out.extend_from_slice(&HEADER);
    out.push(TYPE_PING);
    out.extend_from_slice(payload);
    out.extend_from_slice(&FOOTER);
}

fn encode_head(device: DeviceId, frame_type: u8, out: &mut Vec<u8>) {
    let [_, id @ ..] = device.number().to_be_bytes();
    out.extend_from_slice(&HEADER);
    out.extend_from_slice(&id);
    out.push(frame_type);
}

fn signed_composition(position: &Position) -> u16 {
    let Composition(bits) = position.composition;
    let bits = with_sign(bits, Composition::LATITUDE_NEGATIVE, position.latitude_udeg);
    with_sign(bits, Composition::LONGITUDE_NEGATIVE, position.longitude_udeg)
}

const fn with_sign(bits: u16, sign_bit: u16, coordinate: i32) -> u16 {
    match coordinate.signum() {
        -1 => bits | sign_bit,
        1 => bits & !sign_bit,
        _ => bits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn founding_example() -> Position {
        Position {
            device: DeviceId::new(0x000A_3F73),
            recorded_at: 1_593_637_200,
            direction_cdeg: 5_487,
            odometer_m: 25_000_000,
            hour_meter_min: 36_000,
            composition: Composition(0xB800),
            extension: None,
            speed_kmh: 60,
            latitude_udeg: -19_932_833,
            longitude_udeg: -43_938_493,
        }
    }

    fn encoded(position: &Position) -> alloc::string::String {
        let mut frame = Vec::new();
        encode_location(position, &mut frame);
        hex::encode_upper(frame)
    }

    #[test]
    fn the_founding_example() {
        assert_eq!(
            encoded(&founding_example()),
            "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4"
        );
    }

    #[test]
    fn the_long_form_bears_the_extension() {
        let long = Position {
            composition: Composition(0xF800),
            extension: Some(0x8400),
            ..founding_example()
        };
        assert_eq!(
            encoded(&long),
            "50F70A3F73025EFCF950156F017D784000008CA0F80084003C013026A1029E72BD73C4"
        );
    }

    #[test]
    fn signs_come_from_the_coordinates_and_zero_keeps_its_own() {
        let signs = |composition, latitude_udeg, longitude_udeg| {
            signed_composition(&Position {
                composition: Composition(composition),
                latitude_udeg,
                longitude_udeg,
                ..founding_example()
            })
        };
        assert_eq!(signs(0x0000, -1, 1), 0x1000);
        assert_eq!(signs(0x1800, 1, -1), 0x0800);
        assert_eq!(signs(0x1000, 0, 0), 0x1000);
        assert_eq!(signs(0x07FF, 0, 0), 0x07FF, "reserved bits stay");
    }

    #[test]
    fn a_ping_and_its_reply() {
        let (mut ping, mut reply) = (Vec::new(), Vec::new());
        encode_ping(DeviceId::new(0x000A_3F73), b"PING", &mut ping);
        encode_ping_reply(b"PING", &mut reply);
        assert_eq!(hex::encode_upper(ping), "50F70A3F730150494E4773C4");
        assert_eq!(hex::encode_upper(reply), "50F70150494E4773C4");
    }
}
