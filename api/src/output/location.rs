//! The answer to "where is it": decided here from what the two stores know and
//! the time, without asking anyone.

use nemeses_protocol::{DeviceId, Position, PositionRecord};
use nemeses_store::live::{LiveEntry, LiveFrame};
use schemars::JsonSchema;
use serde::Serialize;

use super::number::{degrees, direction, time_ms, time_s};
use crate::openapi::{Device, Time};

/// Where a device is, or was. Everything is always there; what is not known is null.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Location {
    #[schemars(with = "Device")]
    device_id: String,
    status: Status,
    /// For people, when the position is not a live one.
    message: Option<&'static str>,
    /// Of the newest frame, with or without a fix.
    #[schemars(with = "Option<Time>")]
    recorded_at: Option<String>,
    /// When that frame arrived.
    #[schemars(with = "Option<Time>")]
    received_at: Option<String>,
    /// When any frame arrived last, pings included; only known while online.
    #[schemars(with = "Option<Time>")]
    seen_at: Option<String>,
    /// Seconds since `recorded_at`.
    age_s: Option<u64>,
    /// Degrees; the last position with a GPS fix.
    latitude: Option<f64>,
    /// Degrees.
    longitude: Option<f64>,
    /// When the frame with that position was recorded.
    #[schemars(with = "Option<Time>")]
    position_recorded_at: Option<String>,
    /// Seconds since `position_recorded_at`.
    position_age_s: Option<u64>,
    /// `history` when the live store holds no position.
    position_from: Option<PositionSource>,
    /// Of the newest frame.
    speed_kmh: Option<u8>,
    direction_deg: Option<f64>,
    ignition: Option<bool>,
    gps_fix: Option<bool>,
    odometer_m: Option<u32>,
    hour_meter_min: Option<u32>,
}

impl Location {
    /// Longitude and latitude in degrees, as GeoJSON has them.
    pub(crate) fn coordinates(&self) -> Option<[f64; 2]> {
        Some([self.longitude?, self.latitude?])
    }
}

/// Whether a good frame arrived within the TTL of the live store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Online,
    Offline,
}

/// Where a position comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum PositionSource {
    Live,
    History,
}

/// What has to be asked of history, given the live entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: the entry says all.
    Nothing,
    /// The last row with a fix: the newest frame is known, its position is not.
    Fix,
    /// The newest row, the last one with a fix, and whether the device is known at all.
    Everything,
}

/// What history says of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// The newest row.
    pub(crate) newest: Option<PositionRecord>,
    /// The newest row with a GPS fix.
    pub(crate) fix: Option<PositionRecord>,
    /// Whether a row, a dead letter or a login of the device exists.
    pub(crate) known: bool,
}

/// What history must be asked.
pub(crate) fn needs(live: Option<&LiveEntry>) -> Need {
    match live {
        Some(LiveEntry { newest: Some(_), fix: Some(_), .. }) => Need::Nothing,
        Some(LiveEntry { newest: Some(_), fix: None, .. }) => Need::Fix,
        _ => Need::Everything,
    }
}

/// The answer; `None` for a device that nobody has heard of.
pub(crate) fn decide(
    device: DeviceId,
    live: Option<&LiveEntry>,
    past: &Past,
    now_ms: u64,
) -> Option<Location> {
    let known = live.is_some() || past.newest.is_some() || past.fix.is_some() || past.known;
    if !known {
        return None;
    }
    let newest = live
        .and_then(|entry| entry.newest.as_ref().map(Seen::from_live))
        .or_else(|| past.newest.as_ref().map(Seen::from_history));
    let fix = live
        .and_then(|entry| entry.fix.as_ref().map(Seen::from_live))
        .or_else(|| past.fix.as_ref().map(Seen::from_history));
    let status = if live.is_some() { Status::Online } else { Status::Offline };
    let age = |seen: &Seen<'_>| (now_ms / 1000).saturating_sub(seen.position.recorded_at.into());
    let (frame, place) = (newest.as_ref(), fix.as_ref());
    Some(Location {
        device_id: device.to_string(),
        status,
        message: message(status, frame, place),
        recorded_at: frame.map(|seen| time_s(seen.position.recorded_at)),
        received_at: frame.map(|seen| time_ms(seen.received_at_ms)),
        seen_at: live.map(|entry| time_ms(entry.seen_at_ms)),
        age_s: frame.map(age),
        latitude: place.map(|seen| degrees(seen.position.latitude_udeg)),
        longitude: place.map(|seen| degrees(seen.position.longitude_udeg)),
        position_recorded_at: place.map(|seen| time_s(seen.position.recorded_at)),
        position_age_s: place.map(age),
        position_from: place.map(|seen| seen.source),
        speed_kmh: frame.map(|seen| seen.position.speed_kmh),
        direction_deg: frame.map(|seen| direction(seen.position.direction_cdeg)),
        ignition: frame.map(|seen| seen.position.composition.ignition()),
        gps_fix: frame.map(|seen| seen.position.composition.gps_fix()),
        odometer_m: frame.map(|seen| seen.position.odometer_m),
        hour_meter_min: frame.map(|seen| seen.position.hour_meter_min),
    })
}

/// A frame with where it was found.
struct Seen<'a> {
    position: &'a Position,
    received_at_ms: u64,
    source: PositionSource,
}

impl<'a> Seen<'a> {
    fn from_live(frame: &'a LiveFrame) -> Self {
        let received_at_ms = frame.received_at_ms;
        Self { position: &frame.position, received_at_ms, source: PositionSource::Live }
    }

    fn from_history(record: &'a PositionRecord) -> Self {
        let received_at_ms = record.received_at_ms;
        Self { position: &record.position, received_at_ms, source: PositionSource::History }
    }
}

fn message(
    status: Status,
    newest: Option<&Seen<'_>>,
    fix: Option<&Seen<'_>>,
) -> Option<&'static str> {
    let from_history = newest.is_none_or(|seen| seen.source == PositionSource::History);
    match (status, fix.is_some()) {
        (Status::Offline, true) => Some("The device is silent. This is its last known position."),
        (Status::Offline, false) => Some("The device is silent, and no position of it is known."),
        (Status::Online, false) => Some("The device is there, but no position of it is known yet."),
        (Status::Online, true) if from_history => {
            Some("The device is there, but sends no live positions. This is its last known one.")
        }
        (Status::Online, true) => match newest {
            Some(seen) if !seen.position.composition.gps_fix() => {
                Some("The device has no GPS fix now. This is its last known position.")
            }
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::Composition;

    use super::*;

    const DEVICE: DeviceId = DeviceId::new(0x0A_3F73);
    const RECORDED: u32 = 1_593_637_200;
    const NOW_MS: u64 = 1_593_637_260_000;

    fn record(recorded_at: u32, bits: u16) -> PositionRecord {
        let position = Position {
            device: DEVICE,
            recorded_at,
            direction_cdeg: 5487,
            odometer_m: 25_000_000,
            hour_meter_min: 36_000,
            composition: Composition(bits),
            extension: None,
            speed_kmh: 60,
            latitude_udeg: -19_932_833,
            longitude_udeg: -43_938_493,
        };
        let received_at_ms = u64::from(recorded_at) * 1000 + 250;
        PositionRecord { position, frame_hash: 1, received_at_ms, raw: None }
    }

    const FIX: u16 = Composition::GPS_FIX | Composition::IGNITION;
    const NO_FIX: u16 = Composition::IGNITION;

    fn json(live: Option<&LiveEntry>, past: &Past) -> serde_json::Value {
        serde_json::to_value(decide(DEVICE, live, past, NOW_MS).unwrap()).unwrap()
    }

    #[test]
    fn online_with_a_fix_needs_no_history() {
        let entry = LiveEntry::from_record(&record(RECORDED, FIX));
        assert_eq!(needs(Some(&entry)), Need::Nothing);
        let expected = serde_json::json!({
            "device_id": "0A3F73", "status": "online", "message": null,
            "recorded_at": "2020-07-01T21:00:00Z", "received_at": "2020-07-01T21:00:00.250Z",
            "seen_at": "2020-07-01T21:00:00.250Z", "age_s": 60,
            "latitude": -19.932_833, "longitude": -43.938_493,
            "position_recorded_at": "2020-07-01T21:00:00Z", "position_age_s": 60,
            "position_from": "live", "speed_kmh": 60, "direction_deg": 54.87, "ignition": true,
            "gps_fix": true, "odometer_m": 25_000_000, "hour_meter_min": 36_000,
        });
        assert_eq!(json(Some(&entry), &Past::default()), expected);
    }

    #[test]
    fn a_lost_fix_keeps_the_last_good_position() {
        let mut entry = LiveEntry::from_record(&record(RECORDED, FIX));
        entry.merge(LiveEntry::from_record(&record(RECORDED + 30, NO_FIX)));
        assert_eq!(needs(Some(&entry)), Need::Nothing);
        let answer = json(Some(&entry), &Past::default());
        assert_eq!(answer["recorded_at"], "2020-07-01T21:00:30Z");
        assert_eq!(answer["position_recorded_at"], "2020-07-01T21:00:00Z");
        assert_eq!((&answer["age_s"], &answer["position_age_s"]), (&30.into(), &60.into()));
        assert_eq!(answer["gps_fix"], false);
        assert!(answer["message"].as_str().unwrap().contains("no GPS fix"));
    }

    #[test]
    fn online_without_a_fix_asks_history_for_one() {
        let entry = LiveEntry::from_record(&record(RECORDED, NO_FIX));
        assert_eq!(needs(Some(&entry)), Need::Fix);
        let past = Past { fix: Some(record(RECORDED - 90, FIX)), ..Past::default() };
        let answer = json(Some(&entry), &past);
        assert_eq!(answer["recorded_at"], "2020-07-01T21:00:00Z");
        assert_eq!(answer["position_recorded_at"], "2020-07-01T20:58:30Z");
        assert_eq!(answer["position_from"], "history");
        let answer = json(Some(&entry), &Past::default());
        assert_eq!((&answer["status"], &answer["latitude"]), (&"online".into(), &().into()));
    }

    #[test]
    fn only_pings_is_online_with_the_past() {
        let entry = LiveEntry::seen(DEVICE, NOW_MS - 5000);
        assert_eq!(needs(Some(&entry)), Need::Everything);
        let past = Past {
            newest: Some(record(RECORDED, FIX)),
            fix: Some(record(RECORDED, FIX)),
            known: true,
        };
        let answer = json(Some(&entry), &past);
        assert_eq!(answer["status"], "online");
        assert_eq!(answer["seen_at"], "2020-07-01T21:00:55Z");
        assert_eq!(answer["latitude"], -19.932_833);
        assert!(answer["message"].as_str().unwrap().contains("no live positions"));
        let never = json(Some(&entry), &Past::default());
        assert_eq!((&never["status"], &never["recorded_at"]), (&"online".into(), &().into()));
        assert!(never["message"].as_str().unwrap().contains("known yet"));
    }

    #[test]
    fn silent_is_offline_with_the_past() {
        assert_eq!(needs(None), Need::Everything);
        let past = Past {
            newest: Some(record(RECORDED, NO_FIX)),
            fix: Some(record(RECORDED - 60, FIX)),
            known: true,
        };
        let answer = json(None, &past);
        assert_eq!((&answer["status"], &answer["seen_at"]), (&"offline".into(), &().into()));
        assert_eq!(answer["position_recorded_at"], "2020-07-01T20:59:00Z");
        assert!(answer["message"].as_str().unwrap().contains("last known position"));
        let no_rows = json(None, &Past { known: true, ..Past::default() });
        assert_eq!((&no_rows["status"], &no_rows["longitude"]), (&"offline".into(), &().into()));
    }

    #[test]
    fn nobody_knows_it() {
        assert_eq!(decide(DEVICE, None, &Past::default(), NOW_MS), None);
    }

    #[test]
    fn a_clock_ahead_has_no_negative_age() {
        let entry = LiveEntry::from_record(&record(RECORDED + 3600, FIX));
        assert_eq!(json(Some(&entry), &Past::default())["age_s"], 0);
    }
}
