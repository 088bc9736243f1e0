//! The answer to "where is it": decided here from what the two stores know and
//! the time, without asking anyone.

use nemeses_protocol::{Position, PositionRecord};
use nemeses_reports::number::{degrees, direction};
use nemeses_store::history::LastKnown;
use nemeses_store::live::{LiveEntry, LiveFrame, Origin, Version};
use schemars::JsonSchema;
use serde::Serialize;

use super::moment::Moment;
use crate::fleet::Place;
use crate::openapi::{Device, Time};

/// Where a device is, or was. Everything is always there; what is not known is null.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Location {
    #[schemars(with = "Device")]
    pub(crate) device_id: String,
    pub(crate) status: Status,
    /// For people, when the position is not a live one.
    pub(crate) message: Option<&'static str>,
    /// Of the newest frame, with or without a fix.
    #[schemars(with = "Option<Time>")]
    pub(crate) recorded_at: Option<Moment>,
    /// When that frame arrived.
    #[schemars(with = "Option<Time>")]
    pub(crate) received_at: Option<Moment>,
    /// When any frame arrived last, pings included; only known while online.
    #[schemars(with = "Option<Time>")]
    pub(crate) seen_at: Option<Moment>,
    /// Seconds since `recorded_at`, or since `received_at` if that is earlier.
    pub(crate) age_s: Option<u64>,
    /// Degrees; the last position with a GPS fix.
    pub(crate) latitude: Option<f64>,
    /// Degrees.
    pub(crate) longitude: Option<f64>,
    /// When the frame with that position was recorded.
    #[schemars(with = "Option<Time>")]
    pub(crate) position_recorded_at: Option<Moment>,
    /// Seconds since `position_recorded_at`, or since it arrived if that is earlier.
    pub(crate) position_age_s: Option<u64>,
    /// `live` when it arrived live and the live store holds it, else `history`: it came
    /// from the device's memory, or from before the device was silent.
    pub(crate) position_from: Option<PositionSource>,
    /// Of the newest frame.
    pub(crate) speed_kmh: Option<u8>,
    pub(crate) direction_deg: Option<f64>,
    pub(crate) ignition: Option<bool>,
    pub(crate) gps_fix: Option<bool>,
    pub(crate) odometer_m: Option<u32>,
    pub(crate) hour_meter_min: Option<u32>,
}

impl Location {
    /// The same for who may look at nothing that was recorded.
    pub(crate) fn without_totals(self) -> Self {
        Self { odometer_m: None, hour_meter_min: None, ..self }
    }

    /// Longitude and latitude in degrees, as GeoJSON has them.
    pub(crate) fn coordinates(&self) -> Option<[f64; 2]> {
        Some([self.longitude?, self.latitude?])
    }
}

/// Whether a good frame arrived within the TTL of the live store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Online,
    Offline,
}

/// Where a position comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PositionSource {
    Live,
    History,
}

impl From<Origin> for PositionSource {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Live => Self::Live,
            Origin::Historical => Self::History,
        }
    }
}

/// Frames recorded later than this beyond their arrival are dead letters, so
/// nothing newer can be a device's last position.
const FUTURE_SECONDS: u32 = 24 * 3600;

/// No row that was recorded later is a device's newest, Unix seconds.
pub(crate) const fn newest_s(now_s: u32) -> u32 {
    now_s.saturating_add(FUTURE_SECONDS)
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

impl From<LastKnown> for Past {
    fn from(last: LastKnown) -> Self {
        Self { known: last.newest.is_some(), newest: last.newest, fix: last.fix }
    }
}

/// Whether history must be asked. Nothing of it is newer than a live frame that came without
/// delay: since then all was joined into the entry, and nothing counts as recorded later
/// than it arrived. Of one that was under way for longer than the TTL that is not so: the
/// entry before it, with newer frames, may have expired meanwhile.
pub(crate) fn asks_history(live: Option<&LiveEntry>, ttl_ms: u64) -> bool {
    let came_soon = |frame: &LiveFrame| {
        let effective_ms = u64::from(frame.version().effective_at) * 1000;
        frame.received_at_ms.saturating_sub(effective_ms) <= ttl_ms
    };
    let says_all = |frame: &Option<LiveFrame>| frame.as_ref().is_some_and(came_soon);
    !live.is_some_and(|entry| says_all(&entry.newest) && says_all(&entry.fix))
}

/// The answer; `None` for a device that nobody has heard of.
pub(crate) fn decide(
    device_id: String,
    live: Option<&LiveEntry>,
    past: &Past,
    now_ms: u64,
) -> Option<Location> {
    let known = live.is_some() || past.newest.is_some() || past.fix.is_some() || past.known;
    if !known {
        return None;
    }
    let newest = Seen::newer(live.and_then(LiveEntry::latest), past.newest.as_ref());
    let fix = Seen::newer(live.and_then(LiveEntry::latest_fix), past.fix.as_ref());
    let status = if live.is_some() { Status::Online } else { Status::Offline };
    let age = |seen: &Seen<'_>| (now_ms / 1000).saturating_sub(seen.version.effective_at.into());
    let sends_live = live.is_some_and(|entry| entry.newest.is_some());
    let (frame, place) = (newest.as_ref(), fix.as_ref());
    Some(Location {
        device_id,
        status,
        message: message(status, sends_live, frame, place),
        recorded_at: frame.map(|seen| Moment::Second(seen.position.recorded_at)),
        received_at: frame.map(|seen| Moment::Ms(seen.received_at_ms)),
        seen_at: live.map(|entry| Moment::Ms(entry.seen_at_ms)),
        age_s: frame.map(age),
        latitude: place.map(|seen| degrees(seen.position.latitude_udeg)),
        longitude: place.map(|seen| degrees(seen.position.longitude_udeg)),
        position_recorded_at: place.map(|seen| Moment::Second(seen.position.recorded_at)),
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

/// The place of the answer, if there is one.
pub(crate) fn place(live: Option<&LiveEntry>, past: &Past) -> Option<Place> {
    let fix = Seen::newer(live.and_then(LiveEntry::latest_fix), past.fix.as_ref())?;
    Some(Place::of(fix.position))
}

/// A frame with where it was found.
struct Seen<'a> {
    position: &'a Position,
    received_at_ms: u64,
    version: Version,
    source: PositionSource,
}

impl<'a> Seen<'a> {
    /// The newer of the two; of one frame that is in both, the live store's.
    fn newer(
        live: Option<(&'a LiveFrame, Origin)>,
        past: Option<&'a PositionRecord>,
    ) -> Option<Self> {
        let live = live.map(|(frame, origin)| Self {
            position: &frame.position,
            received_at_ms: frame.received_at_ms,
            version: frame.version(),
            source: origin.into(),
        });
        let past = past.map(|record| Self {
            position: &record.position,
            received_at_ms: record.received_at_ms,
            version: Version::of(record),
            source: PositionSource::History,
        });
        match (live, past) {
            (Some(live), Some(past)) if past.version > live.version => Some(past),
            (live, past) => live.or(past),
        }
    }
}

fn message(
    status: Status,
    sends_live: bool,
    newest: Option<&Seen<'_>>,
    fix: Option<&Seen<'_>>,
) -> Option<&'static str> {
    let from_history = newest.is_none_or(|seen| seen.source == PositionSource::History);
    match (status, fix.is_some()) {
        (Status::Offline, true) => Some("The device is silent. This is its last known position."),
        (Status::Offline, false) => Some("The device is silent, and no position of it is known."),
        (Status::Online, false) => Some("The device is there, but no position of it is known yet."),
        (Status::Online, true) if !sends_live => {
            Some("The device is there, but sends no live positions. This is its last known one.")
        }
        (Status::Online, true) if from_history => {
            Some("The device's newest position did not arrive live. It is from history.")
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
    use nemeses_protocol::{Composition, DeviceId};

    use super::*;

    const DEVICE: DeviceId = DeviceId::new(0x0A_3F73);
    const RECORDED: u32 = 1_593_637_200;
    const NOW_MS: u64 = 1_593_637_260_000;
    const TTL_MS: u64 = 300_000;

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
        PositionRecord { position, frame_hash: 1, received_at_ms, packed: None }
    }

    const FIX: u16 = Composition::GPS_FIX | Composition::IGNITION;
    const NO_FIX: u16 = Composition::IGNITION;

    fn json(live: Option<&LiveEntry>, past: &Past) -> serde_json::Value {
        serde_json::to_value(decide(DEVICE.to_string(), live, past, NOW_MS).unwrap()).unwrap()
    }

    #[test]
    fn online_with_a_fix_needs_no_history() {
        let entry = LiveEntry::from_record(&record(RECORDED, FIX));
        assert!(!asks_history(Some(&entry), TTL_MS));
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
        assert!(!asks_history(Some(&entry), TTL_MS));
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
        assert!(asks_history(Some(&entry), TTL_MS));
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
        assert!(asks_history(Some(&entry), TTL_MS));
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
        assert!(asks_history(None, TTL_MS));
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
        assert_eq!(decide(DEVICE.to_string(), None, &Past::default(), NOW_MS), None);
    }

    #[test]
    fn a_clock_ahead_is_as_old_as_its_arrival() {
        let mut ahead = record(RECORDED + 3600, FIX);
        ahead.received_at_ms = NOW_MS - 7_000;
        let answer = json(Some(&LiveEntry::from_record(&ahead)), &Past::default());
        assert_eq!((&answer["age_s"], &answer["position_age_s"]), (&7.into(), &7.into()));
        assert_eq!(answer["recorded_at"], "2020-07-01T22:00:00Z");
        let behind = LiveEntry::from_record(&record(RECORDED + 3600, FIX));
        assert_eq!(json(Some(&behind), &Past::default())["age_s"], 0, "our clock is behind");
    }

    /// Live A, then B from memory, recorded later, and pings.
    #[test]
    fn newer_memory_is_the_newest_position_of_a_device_that_is_there() {
        const MEMORY: u16 = FIX | Composition::HISTORICAL;
        let mut entry = LiveEntry::from_record(&record(RECORDED, FIX));
        let mut newer = record(RECORDED + 30, MEMORY);
        newer.position.latitude_udeg = -20_000_000;
        newer.received_at_ms = NOW_MS - 10_000;
        entry.merge(LiveEntry::from_record(&newer));
        entry.merge(LiveEntry::seen(DEVICE, NOW_MS - 1_000));
        assert!(!asks_history(Some(&entry), TTL_MS));
        let answer = json(Some(&entry), &Past::default());
        assert_eq!((&answer["latitude"], &answer["status"]), (&(-20.0).into(), &"online".into()));
        assert_eq!((&answer["position_from"], &answer["age_s"]), (&"history".into(), &30.into()));
        assert_eq!(answer["recorded_at"], "2020-07-01T21:00:30Z");
        assert!(answer["message"].as_str().unwrap().contains("did not arrive live"));
        // Older memory, as nearly always, and a live frame behind it: as if it were not there.
        entry.merge(LiveEntry::from_record(&record(RECORDED + 40, FIX)));
        let answer = json(Some(&entry), &Past::default());
        assert_eq!((&answer["position_from"], &answer["message"]), (&"live".into(), &().into()));
        assert_eq!(answer["recorded_at"], "2020-07-01T21:00:40Z");
    }

    /// A clock that went back, as a tracker's that has just started: the live entry is older
    /// than what is known from before the silence.
    #[test]
    fn newer_history_is_asked_for_when_a_live_frame_came_late() {
        let mut late = record(RECORDED - 86_400, FIX);
        late.received_at_ms = NOW_MS;
        let entry = LiveEntry::from_record(&late);
        assert!(asks_history(Some(&entry), TTL_MS));
        let past = Past {
            newest: Some(record(RECORDED, FIX)),
            fix: Some(record(RECORDED, FIX)),
            known: true,
        };
        let answer = json(Some(&entry), &past);
        assert_eq!((&answer["status"], &answer["age_s"]), (&"online".into(), &60.into()));
        assert_eq!(answer["position_from"], "history");
        let mut lost = entry.clone();
        lost.newest = LiveEntry::from_record(&record(RECORDED, NO_FIX)).newest;
        assert!(asks_history(Some(&lost), TTL_MS));
    }
}
