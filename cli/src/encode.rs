//! `nemeses encode`: a location frame of now, or of another moment, as hex: what
//! `nemeses decode` reads, to try things out by hand.

use clap::Args;
use jiff::Timestamp;
use nemeses_protocol::{Composition, DeviceId, Position, encode_location};
use nemeses_runtime::Clock;

use crate::tools::print;

pub(crate) const EXAMPLES: &str = "\
Examples:
  nemeses encode 0A3F73 -19.932833 -43.938493 60
  nemeses encode 0A3F73 -19.932833 -43.938493 --at 2020-07-01T21:00:00Z
  mosquitto_pub -h localhost -q 1 -t /messenger -m \"$(nemeses encode 0A3F73 -19.93 -43.94 60)\"";

/// `nemeses encode`.
#[derive(Clone, Debug, Args)]
pub(crate) struct EncodeArgs {
    /// The device, six hex digits
    device: DeviceId,
    /// Latitude in degrees, south negative
    #[arg(allow_negative_numbers = true)]
    latitude: f64,
    /// Longitude in degrees, west negative
    #[arg(allow_negative_numbers = true)]
    longitude: f64,
    #[arg(default_value_t = 0)]
    speed_kmh: u8,
    /// Time of recording; without it, now
    #[arg(long, env = "NEMESES_ENCODE_AT", value_name = "TIME")]
    at: Option<Timestamp>,
    /// Direction in degrees, clockwise from north
    #[arg(long, env = "NEMESES_ENCODE_DIRECTION", value_name = "DEGREES", default_value_t = 0.0)]
    direction: f64,
    /// Metres
    #[arg(long, env = "NEMESES_ENCODE_ODOMETER", value_name = "METRES", default_value_t = 0)]
    odometer: u32,
    /// Minutes
    #[arg(long, env = "NEMESES_ENCODE_HOUR_METER", value_name = "MINUTES", default_value_t = 0)]
    hour_meter: u32,
    /// With the ignition off
    #[arg(long, env = "NEMESES_ENCODE_IGNITION_OFF")]
    ignition_off: bool,
    /// As a historical frame, sent from the device's memory
    #[arg(long, env = "NEMESES_ENCODE_HISTORICAL")]
    historical: bool,
}

/// Prints the frame as hex digits.
///
/// # Errors
/// A value that no frame can hold, or an output that cannot be written.
pub(crate) fn run(args: &EncodeArgs) -> anyhow::Result<()> {
    let position = position(args, Clock::system().now_s())?;
    let mut frame = Vec::new();
    encode_location(&position, &mut frame);
    print(&format!("{}\n", hex::encode_upper(frame)))
}

fn position(args: &EncodeArgs, now_s: u32) -> anyhow::Result<Position> {
    let recorded_at = match args.at {
        None => now_s,
        Some(at) => u32::try_from(at.as_second())
            .map_err(|_| anyhow::anyhow!("--at must be from 1970-01-01 to 2106-02-07"))?,
    };
    let flag = |set: bool, bit: u16| if set { bit } else { 0 };
    let composition = Composition::GPS_FIX
        | flag(!args.ignition_off, Composition::IGNITION)
        | flag(args.historical, Composition::HISTORICAL);
    Ok(Position {
        device: args.device,
        recorded_at,
        direction_cdeg: u16::try_from(scaled("the direction", args.direction, 100.0, (0, 360))?)?,
        odometer_m: args.odometer,
        hour_meter_min: args.hour_meter,
        composition: Composition(composition),
        extension: None,
        speed_kmh: args.speed_kmh,
        latitude_udeg: scaled("the latitude", args.latitude, 1e6, (-90, 90))?,
        longitude_udeg: scaled("the longitude", args.longitude, 1e6, (-180, 180))?,
    })
}

/// A number of degrees in whole parts of one.
fn scaled(what: &str, degrees: f64, parts: f64, (least, most): (i32, i32)) -> anyhow::Result<i32> {
    anyhow::ensure!(
        (f64::from(least)..=f64::from(most)).contains(&degrees),
        "{what} must be from {least} to {most} degrees"
    );
    #[expect(clippy::cast_possible_truncation, reason = "at most 180 000 000, by the check above")]
    Ok((degrees * parts).round() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUNDING: &str = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";

    fn founding() -> EncodeArgs {
        EncodeArgs {
            device: DeviceId::new(0x0A_3F73),
            latitude: -19.932_833,
            longitude: -43.938_493,
            speed_kmh: 60,
            at: Some("2020-07-01T21:00:00Z".parse().unwrap()),
            direction: 54.87,
            odometer: 25_000_000,
            hour_meter: 36_000,
            ignition_off: false,
            historical: false,
        }
    }

    #[test]
    fn the_founding_frame_is_made_of_its_values() {
        let mut frame = Vec::new();
        encode_location(&position(&founding(), 7).unwrap(), &mut frame);
        assert_eq!(hex::encode_upper(frame), FOUNDING);
    }

    #[test]
    fn without_a_time_it_is_of_now() {
        let now = position(&EncodeArgs { at: None, ..founding() }, 7).unwrap();
        assert_eq!(now.recorded_at, 7);
        let off = EncodeArgs { ignition_off: true, historical: true, ..founding() };
        let bits = position(&off, 7).unwrap().composition;
        assert!(bits.historical() && !bits.ignition() && bits.gps_fix());
    }

    #[test]
    fn what_no_frame_can_hold_is_named() {
        for (args, name) in [
            (EncodeArgs { latitude: 90.1, ..founding() }, "latitude"),
            (EncodeArgs { longitude: f64::NAN, ..founding() }, "longitude"),
            (EncodeArgs { direction: -1.0, ..founding() }, "direction"),
            (EncodeArgs { at: Some(Timestamp::MIN), ..founding() }, "--at"),
        ] {
            let refused = position(&args, 7).unwrap_err().to_string();
            assert!(refused.contains(name), "{refused}");
        }
    }
}
