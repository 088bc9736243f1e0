//! What simulated trackers say in protocols of their own: what a connection begins with, a
//! record, and what acknowledges it. Pure.

use jiff::Timestamp;
use nemeses_protocol::{DeviceId, Gt06, Position, Protocol as _, Teltonika};

/// What simulated trackers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SimulatedProtocol {
    /// SFT9001 over MQTT.
    Sft9001,
    /// Codec 8 extended over TCP.
    Teltonika,
    /// Over TCP.
    Gt06,
    /// Lines of text over TCP.
    Queclink,
    /// Parameters over HTTP.
    Osmand,
}

impl SimulatedProtocol {
    /// What is spoken on a connection of each tracker's own.
    pub(super) const fn speech(self) -> Option<Speech> {
        match self {
            Self::Sft9001 => None,
            Self::Teltonika => Some(Speech::Teltonika),
            Self::Gt06 => Some(Speech::Gt06),
            Self::Queclink => Some(Speech::Queclink),
            Self::Osmand => Some(Speech::OsmAnd),
        }
    }
}

/// A protocol over TCP in which a tracker sends one record and waits for its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    /// Codec 8 extended.
    Teltonika,
    /// Login and location (0x12).
    Gt06,
    /// `+RESP:GTFRI`, acknowledged by `+SACK`.
    Queclink,
    /// Parameters of a URL, over a connection that stays.
    OsmAnd,
}

/// What acknowledges a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A response of HTTP with status 200.
    Http,
}

/// The number of each frame, and of each line: one is outstanding at a time.
const SERIAL: u16 = 1;
/// A packet of GT06 that says who it is, and one that says where.
const LOGIN: u8 = 0x01;
const LOCATION: u8 = 0x12;
/// Degrees in GT06: 1/1 800 000.
const GT06_PARTS: i64 = 1_800_000;
/// Flags of GT06 beside the course: ignition known and on, positioned, west, north.
const IGNITION_KNOWN: u16 = 0x4000;
const IGNITION: u16 = 0x8000;
const POSITIONED: u16 = 0x1000;
const WEST: u16 = 0x0800;
const NORTH: u16 = 0x0400;
/// Kilometres an hour in a knot.
const KMH: f64 = 1.852;

/// The IMEI of a simulated tracker: 35, and the device's number with 13 digits.
pub(super) fn imei(device: DeviceId) -> String {
    format!("35{:013}", device.number())
}

impl Speech {
    /// What a connection begins with, and what is answered to it.
    pub(super) fn hello(self, device: DeviceId) -> Option<(Vec<u8>, Vec<u8>)> {
        let imei = imei(device);
        match self {
            Self::Teltonika => {
                let mut hello = vec![0, 15];
                hello.extend(imei.as_bytes());
                Some((hello, vec![1]))
            }
            Self::Gt06 => {
                let bytes = hex::decode(format!("0{imei}")).unwrap_or_default();
                Some((Gt06::packet(LOGIN, &bytes, SERIAL), Gt06::packet(LOGIN, &[], SERIAL)))
            }
            Self::Queclink | Self::OsmAnd => None,
        }
    }

    /// The bytes of a record.
    pub(super) fn record(self, position: &Position) -> Vec<u8> {
        match self {
            Self::Teltonika => {
                let mut bytes = Vec::new();
                Teltonika::write(position, &mut bytes);
                bytes
            }
            Self::Gt06 => Gt06::packet(LOCATION, &gt06_place(position), SERIAL),
            Self::Queclink => queclink_line(position).into_bytes(),
            Self::OsmAnd => osmand_request(position).into_bytes(),
        }
    }

    /// What says that a record is durable.
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::Teltonika => Answer::Bytes(vec![0, 0, 0, 1]),
            Self::Gt06 => Answer::Bytes(Gt06::packet(LOCATION, &[], SERIAL)),
            Self::Queclink => Answer::Bytes(format!("+SACK:{SERIAL:04X}$").into_bytes()),
            Self::OsmAnd => Answer::Http,
        }
    }
}

fn moment(position: &Position) -> Timestamp {
    Timestamp::from_second(position.recorded_at.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// In bytes of GT06: the date, a length and satellites, the place, speed and flags, a cell.
fn gt06_place(position: &Position) -> Vec<u8> {
    let date = moment(position).strftime("%y%m%d%H%M%S").to_string();
    let digits = date.as_bytes().chunks_exact(2);
    let mut bytes: Vec<u8> =
        digits.filter_map(|pair| str::from_utf8(pair).ok()?.parse().ok()).collect();
    bytes.push(0xC9);
    for udeg in [position.latitude_udeg, position.longitude_udeg] {
        let parts = (i64::from(udeg).abs() * GT06_PARTS + 500_000) / 1_000_000;
        bytes.extend(u32::try_from(parts).unwrap_or_default().to_be_bytes());
    }
    bytes.push(position.speed_kmh);
    let flag = |holds: bool, flag: u16| if holds { flag } else { 0 };
    let flags = (position.direction_cdeg / 100).min(0x03FF)
        | flag(position.latitude_udeg >= 0, NORTH)
        | flag(position.longitude_udeg < 0, WEST)
        | flag(position.composition.gps_fix(), POSITIONED)
        | flag(position.composition.ignition(), IGNITION)
        | IGNITION_KNOWN;
    bytes.extend(flags.to_be_bytes());
    // Mobile country and network, area and cell.
    bytes.extend([0x02, 0xD4, 0x05, 0x11, 0x22, 0x00, 0x33, 0x44]);
    bytes
}

fn degrees(udeg: i32) -> f64 {
    f64::from(udeg) / 1e6
}

fn queclink_line(position: &Position) -> String {
    let at = moment(position).strftime("%Y%m%d%H%M%S");
    format!(
        "+RESP:GTFRI,8020040703,{},,,10,1,1,{}.0,{},100.0,{:.6},{:.6},{at},,,,,{}.{},,,,,,100,{}10000,,,,{at},{SERIAL:04X}$",
        imei(position.device),
        position.speed_kmh,
        position.direction_cdeg / 100,
        degrees(position.longitude_udeg),
        degrees(position.latitude_udeg),
        position.odometer_m / 1000,
        position.odometer_m % 1000 / 100,
        if position.composition.ignition() { 2 } else { 1 },
    )
}

fn osmand_request(position: &Position) -> String {
    format!(
        "GET /?id={}&timestamp={}&lat={:.6}&lon={:.6}&speed={:.3}&bearing={}&ignition={} HTTP/1.1\r\nhost: localhost\r\n\r\n",
        imei(position.device),
        position.recorded_at,
        degrees(position.latitude_udeg),
        degrees(position.longitude_udeg),
        f64::from(position.speed_kmh) / KMH,
        position.direction_cdeg / 100,
        position.composition.ignition(),
    )
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{Composition, Item, Shown, Whereabouts, protocol_named};

    use super::*;

    fn position() -> Position {
        Position {
            device: DeviceId::new(0x50_0001),
            recorded_at: 1_593_637_201,
            direction_cdeg: 9_000,
            odometer_m: 60_500,
            hour_meter_min: 0,
            composition: Composition(Composition::GPS_FIX | Composition::IGNITION),
            extension: None,
            speed_kmh: 42,
            latitude_udeg: -19_932_833,
            longitude_udeg: -43_938_493,
        }
    }

    /// The bytes as the protocol itself reads them, with what a request carries beside.
    fn read(speech: Speech, name: &str) -> (String, Position) {
        let (mut bytes, topic) = match speech {
            Speech::OsmAnd => (Vec::new(), "http:osmand"),
            _ => (speech.hello(position().device).unwrap_or_default().0, ""),
        };
        let record = speech.record(&position());
        if speech == Speech::OsmAnd {
            let request = String::from_utf8(record).unwrap();
            let (_, rest) = request.split_once('?').unwrap();
            bytes.extend(rest.split_once(' ').unwrap().0.as_bytes());
        } else {
            bytes.extend(record);
        }
        let shown = protocol_named(name).unwrap().show(topic, &bytes);
        let Some(Item::Frame { frame: Shown { identity, records, .. }, .. }) =
            shown.into_iter().last()
        else {
            panic!("{name} reads no frame of {bytes:02X?}");
        };
        let content = &records[0].0;
        let position = content.position.unwrap();
        let said = Whereabouts::of(&position, &content.optional);
        assert_eq!((said.gps_fix, said.speed_dkmh), (Some(true), Some(420)), "{name}");
        assert_eq!(said.direction_cdeg, Some(9_000), "{name}");
        (identity.to_string(), position)
    }

    #[test]
    fn the_protocols_read_what_their_trackers_say() {
        for (speech, name, identity) in [
            (Speech::Gt06, "gt06", "imei:350000005242881"),
            (Speech::Queclink, "queclink", "imei:350000005242881"),
            (Speech::OsmAnd, "osmand", "id:350000005242881"),
        ] {
            let (who, read) = read(speech, name);
            assert_eq!(who, identity);
            assert_eq!(read.recorded_at, position().recorded_at, "{name}");
            for (read, meant) in [
                (read.latitude_udeg, position().latitude_udeg),
                (read.longitude_udeg, position().longitude_udeg),
            ] {
                assert!((read - meant).abs() <= 1, "{name}: {read} and {meant}");
            }
        }
    }

    #[test]
    fn what_acknowledges_a_record_is_the_protocol_s_own() {
        let (hello, welcome) = Speech::Gt06.hello(DeviceId::new(1)).unwrap();
        assert_eq!(hex::encode(&hello[..12]), "78780d010350000000000001");
        assert_eq!(hex::encode(welcome), "787805010001d9dc0d0a");
        assert_eq!(Speech::Queclink.answer(), Answer::Bytes(b"+SACK:0001$".to_vec()));
        assert_eq!(Speech::Teltonika.hello(DeviceId::new(1)).unwrap().1, [1]);
    }
}
