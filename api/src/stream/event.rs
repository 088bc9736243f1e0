//! Events as clients read them: written as JSON once for all of them, when the
//! first asks, since most of the time nobody looks. The id comes second and the
//! status last, so that the few clients who need another one of either get it
//! without writing the rest again.

use std::sync::OnceLock;

use nemeses_protocol::{Composition, DeviceId, DeviceNames, Identity, Position};
use nemeses_reports::Doubt;
use nemeses_reports::number::{degrees, direction, time_ms, time_s};
use nemeses_store::history::AlarmNews;
use nemeses_store::live::{LiveEntry, LiveValue};
use serde::Serialize;

use super::id::EventId;
use super::status::Status;
use super::values::values_json;
use crate::fleet::Place;
use crate::output::{Alarm, PositionSource};

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// Where a device is. A later one of the device makes an earlier one needless.
    Position,
    /// What a device's channels say that did not say so before. What they say now makes an
    /// earlier one needless.
    Values,
    /// Anything else; each is delivered.
    Change,
}

/// What happened, as far as the other fields do not tell.
#[derive(Debug)]
pub(crate) enum Happened {
    /// The device was here.
    Position(Here),
    /// It is heard, late or silent.
    Status(Status),
    /// Its engine was started or stopped.
    Ignition { on: bool, recorded_at: u32 },
    /// These values are new.
    Values(Box<[LiveValue]>),
    /// An alarm opened or changed.
    Alarm(AlarmNews),
}

/// What a device's newest frame says, but for where: that is the event's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Here {
    pub(crate) received_at_ms: u64,
    pub(crate) recorded_at: u32,
    pub(crate) odometer_m: u32,
    pub(crate) hour_meter_min: u32,
    pub(crate) direction_cdeg: u16,
    pub(crate) composition: Composition,
    pub(crate) speed_kmh: u8,
    pub(crate) from: Option<PositionSource>,
    pub(crate) doubt: Option<Doubt>,
}

/// One event, some 100 bytes, and 400 more once it was read.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: EventId,
    pub(crate) kind: EventKind,
    pub(crate) device: DeviceId,
    /// The device's last known position.
    pub(crate) place: Option<Place>,
    /// When this instance learnt of it, Unix milliseconds.
    pub(crate) at_ms: u64,
    pub(crate) happened: Happened,
    text: OnceLock<Box<Text>>,
}

/// 100 000 of them are held, each in an `Arc`, for which 112 bytes are allocated.
const _: () = assert!(size_of::<Event>() <= 96);

/// An event as JSON.
#[derive(Debug)]
struct Text {
    json: Box<str>,
    /// Where the id is in it.
    id_at: (u16, u16),
}

#[derive(Serialize)]
struct PositionText<'a> {
    r#type: &'static str,
    id: &'a str,
    device_id: String,
    recorded_at: String,
    received_at: String,
    latitude: Option<f64>,
    longitude: Option<f64>,
    position_from: Option<PositionSource>,
    doubtful: Option<Doubt>,
    speed_kmh: u8,
    direction_deg: f64,
    ignition: bool,
    gps_fix: bool,
    odometer_m: u32,
    hour_meter_min: u32,
    status: &'static str,
}

#[derive(Serialize)]
struct StatusText<'a> {
    r#type: &'static str,
    id: &'a str,
    device_id: String,
    status: &'static str,
    at: String,
}

#[derive(Serialize)]
struct EventText<'a> {
    r#type: &'static str,
    id: &'a str,
    device_id: String,
    event: &'static str,
    at: String,
}

#[derive(Serialize)]
struct AlarmText<'a> {
    r#type: &'static str,
    id: &'a str,
    device_id: String,
    step: &'static str,
    alarm: Alarm,
}

/// How a position ends when it is new.
const ONLINE_END: &str = "online\"}";

/// Where the last position with a fix is.
pub(crate) fn place(entry: &LiveEntry) -> Option<Place> {
    entry.latest_fix().map(|(fix, _)| Place::of(&fix.position))
}

impl Event {
    /// The newest frame of an entry, however it came, if there is one: values of that frame, and the
    /// coordinates of the last one with a fix.
    pub(crate) fn position(
        id: EventId,
        entry: &LiveEntry,
        at_ms: u64,
        doubt: Option<Doubt>,
    ) -> Option<Self> {
        let (newest, _) = entry.latest()?;
        let &Position { recorded_at, odometer_m, hour_meter_min, direction_cdeg, .. } =
            &newest.position;
        let here = Here {
            received_at_ms: newest.received_at_ms,
            recorded_at,
            odometer_m,
            hour_meter_min,
            direction_cdeg,
            composition: newest.position.composition,
            speed_kmh: newest.position.speed_kmh,
            from: entry.latest_fix().map(|(_, origin)| origin.into()),
            doubt,
        };
        let happened = Happened::Position(here);
        let (kind, place) = (EventKind::Position, place(entry));
        Some(Self::new(id, kind, entry.device, place, at_ms, happened))
    }

    /// A device's status has changed.
    pub(crate) fn status(
        id: EventId,
        device: DeviceId,
        place: Option<Place>,
        status: Status,
        at_ms: u64,
    ) -> Self {
        Self::new(id, EventKind::Change, device, place, at_ms, Happened::Status(status))
    }

    /// The newest frame says that the engine was started or stopped.
    pub(crate) fn ignition(id: EventId, entry: &LiveEntry, at_ms: u64) -> Option<Self> {
        let frame = &entry.latest()?.0.position;
        let happened =
            Happened::Ignition { on: frame.composition.ignition(), recorded_at: frame.recorded_at };
        Some(Self::new(id, EventKind::Change, entry.device, place(entry), at_ms, happened))
    }

    /// Values of the device's channels that are new.
    pub(crate) fn values(
        id: EventId,
        device: DeviceId,
        place: Option<Place>,
        values: Vec<LiveValue>,
        at_ms: u64,
    ) -> Self {
        let happened = Happened::Values(values.into_boxed_slice());
        Self::new(id, EventKind::Values, device, place, at_ms, happened)
    }

    /// The values that are new.
    pub(crate) fn valued(&self) -> &[LiveValue] {
        match &self.happened {
            Happened::Values(values) => values,
            Happened::Position(_)
            | Happened::Status(_)
            | Happened::Ignition { .. }
            | Happened::Alarm(_) => &[],
        }
    }

    /// An alarm of a device opened or changed. It happened where the device was then, or is.
    pub(crate) fn alarm(id: EventId, place: Option<Place>, news: AlarmNews, at_ms: u64) -> Self {
        let device = news.alarm.key.device;
        let then = news.alarm.place;
        let then =
            then.map(|(latitude_udeg, longitude_udeg)| Place { latitude_udeg, longitude_udeg });
        let place = then.or(place);
        Self::new(id, EventKind::Change, device, place, at_ms, Happened::Alarm(news))
    }

    /// What happened to an alarm, if that is what it is about.
    pub(crate) const fn alarmed(&self) -> Option<&AlarmNews> {
        match &self.happened {
            Happened::Alarm(news) => Some(news),
            Happened::Position(_)
            | Happened::Status(_)
            | Happened::Ignition { .. }
            | Happened::Values(_) => None,
        }
    }

    const fn new(
        id: EventId,
        kind: EventKind,
        device: DeviceId,
        place: Option<Place>,
        at_ms: u64,
        happened: Happened,
    ) -> Self {
        Self { id, kind, device, place, at_ms, happened, text: OnceLock::new() }
    }

    /// Makes room; whoever reads it next has it written anew.
    pub(crate) fn drop_text(&mut self) {
        self.text.take();
    }

    #[cfg(test)]
    pub(crate) fn has_text(&self) -> bool {
        self.text.get().is_some()
    }

    fn text(&self, names: &DeviceNames) -> &Text {
        self.text.get_or_init(|| Box::new(self.write(&names.identity(self.device))))
    }

    fn write(&self, identity: &Identity) -> Text {
        let (id, device_id) = (self.id.to_string(), identity.to_string());
        let (kind, json) = match &self.happened {
            Happened::Position(here) => ("position", self.position_text(&id, device_id, here)),
            Happened::Status(status) => ("status", self.status_text(&id, device_id, *status)),
            Happened::Ignition { on, recorded_at } => {
                ("event", ignition_text(&id, device_id, *on, *recorded_at))
            }
            Happened::Values(values) => ("values", values_json(&id, device_id, &**values)),
            Happened::Alarm(news) => ("alarm", self.alarm_text(&id, device_id, news)),
        };
        Text { json: json.into_boxed_str(), id_at: id_at(kind, &id) }
    }

    fn position_text(&self, id: &str, device_id: String, here: &Here) -> String {
        json(&PositionText {
            r#type: "position",
            id,
            device_id,
            recorded_at: time_s(here.recorded_at),
            received_at: time_ms(here.received_at_ms),
            latitude: self.place.map(|place| degrees(place.latitude_udeg)),
            longitude: self.place.map(|place| degrees(place.longitude_udeg)),
            position_from: here.from,
            doubtful: here.doubt,
            speed_kmh: here.speed_kmh,
            direction_deg: direction(here.direction_cdeg),
            ignition: here.composition.ignition(),
            gps_fix: here.composition.gps_fix(),
            odometer_m: here.odometer_m,
            hour_meter_min: here.hour_meter_min,
            status: Status::Online.word(),
        })
    }

    fn alarm_text(&self, id: &str, device_id: String, news: &AlarmNews) -> String {
        json(&AlarmText {
            r#type: "alarm",
            id,
            step: news.event.word(),
            alarm: Alarm::of(&news.alarm, device_id.clone(), self.at_ms),
            device_id,
        })
    }

    fn status_text(&self, id: &str, device_id: String, status: Status) -> String {
        json(&StatusText {
            r#type: "status",
            id,
            device_id,
            status: status.word(),
            at: time_ms(self.at_ms),
        })
    }

    /// The whole event as JSON, with the device as it is written.
    pub(crate) fn json(&self, names: &DeviceNames) -> &str {
        &self.text(names).json
    }

    /// The id as it stands in the text.
    pub(crate) fn id_text(&self, names: &DeviceNames) -> &str {
        let Text { json, id_at } = self.text(names);
        &json[usize::from(id_at.0)..usize::from(id_at.1)]
    }

    /// The event as JSON under another id.
    pub(crate) fn push_under(&self, names: &DeviceNames, id: &str, to: &mut String) {
        let Text { json, id_at } = self.text(names);
        to.push_str(&json[..usize::from(id_at.0)]);
        to.push_str(id);
        to.push_str(&json[usize::from(id_at.1)..]);
    }

    /// A position as JSON under another id, with the status of now.
    pub(crate) fn push_as_it_stands(
        &self,
        names: &DeviceNames,
        id: &str,
        status: Status,
        to: &mut String,
    ) {
        self.push_under(names, id, to);
        if status != Status::Online && to.ends_with(ONLINE_END) {
            to.truncate(to.len() - ONLINE_END.len());
            to.push_str(status.word());
            to.push_str("\"}");
        }
    }
}

fn ignition_text(id: &str, device_id: String, on: bool, recorded_at: u32) -> String {
    let event = if on { "ignition_on" } else { "ignition_off" };
    json(&EventText { r#type: "event", id, device_id, event, at: time_s(recorded_at) })
}

/// Where the id is in a text that begins with its type and id.
fn id_at(kind: &str, id: &str) -> (u16, u16) {
    let begins = r#"{"type":"","id":""#.len() + kind.len();
    // Both below 100: kinds are words and ids have at most 42 characters.
    let end = u16::try_from(begins + id.len()).unwrap_or(u16::MAX);
    let begins = u16::try_from(begins).unwrap_or(u16::MAX);
    (begins, end)
}

pub(super) fn json(text: &impl Serialize) -> String {
    // Strings and numbers: this cannot fail.
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use nemeses_protocol::{Composition, Position, PositionRecord};
    use serde_json::{Value, json};

    use super::super::service::{Hello, end, heartbeat, hello, thinned};
    use super::*;

    pub(crate) fn entry(device: u32, recorded_at: u32, bits: u16) -> LiveEntry {
        let position = Position {
            device: DeviceId::new(device),
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
        LiveEntry::from_record(&PositionRecord {
            position,
            frame_hash: u64::from(recorded_at),
            received_at_ms,
            packed: None,
        })
    }

    const FIX: u16 = Composition::GPS_FIX | Composition::IGNITION;

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_contract_of_a_position() {
        let event = Event::position(EventId::at(7), &entry(0x0A_3F73, 1_593_637_200, FIX), 9, None)
            .unwrap();
        let expected = json!({
            "type": "position", "id": "7", "device_id": "0A3F73",
            "recorded_at": "2020-07-01T21:00:00Z", "received_at": "2020-07-01T21:00:00.250Z",
            "latitude": -19.932_833, "longitude": -43.938_493,
            "position_from": "live", "doubtful": null, "speed_kmh": 60,
            "direction_deg": 54.87, "ignition": true, "gps_fix": true,
            "odometer_m": 25_000_000, "hour_meter_min": 36_000, "status": "online",
        });
        assert_eq!(read(event.json(&DeviceNames::default())), expected);
        assert_eq!(event.id_text(&DeviceNames::default()), "7");
        let mut other = String::new();
        event.push_as_it_stands(&DeviceNames::default(), "12-3-0000beef", Status::Late, &mut other);
        let other = read(&other);
        assert_eq!((&other["id"], &other["status"]), (&json!("12-3-0000beef"), &json!("late")));
        assert_eq!(other["hour_meter_min"], 36_000);
    }

    #[test]
    fn without_a_fix_the_last_good_coordinates_stand() {
        let mut held = entry(1, 100, FIX);
        held.merge(entry(1, 200, 0));
        let event = Event::position(EventId::at(7), &held, 9, None).unwrap();
        let text = read(event.json(&DeviceNames::default()));
        assert_eq!((&text["gps_fix"], &text["latitude"]), (&json!(false), &json!(-19.932_833)));
        assert_eq!(text["recorded_at"], "1970-01-01T00:03:20Z");
        let never = Event::position(EventId::at(7), &entry(1, 200, 0), 9, None).unwrap();
        assert_eq!(read(never.json(&DeviceNames::default()))["latitude"], Value::Null);
        let seen = LiveEntry::seen(DeviceId::new(1), 5);
        assert!(Event::position(EventId::at(7), &seen, 9, None).is_none());
    }

    #[test]
    fn the_contract_of_the_rest() {
        let id = EventId { place: 7, added: 2, instance: 0xBEEF };
        let status = Event::status(id, DeviceId::new(0x0A_3F73), None, Status::Offline, 1_000);
        assert_eq!(status.id_text(&DeviceNames::default()), "7-2-0000beef");
        assert_eq!(
            read(status.json(&DeviceNames::default())),
            json!({"type": "status", "id": "7-2-0000beef", "device_id": "0A3F73",
                   "status": "offline", "at": "1970-01-01T00:00:01Z"})
        );
        let ignition = Event::ignition(id, &entry(1, 200, FIX), 9).unwrap();
        assert_eq!(
            read(ignition.json(&DeviceNames::default())),
            json!({"type": "event", "id": "7-2-0000beef", "device_id": "000001",
                   "event": "ignition_on", "at": "1970-01-01T00:03:20Z"})
        );
        assert_eq!(
            read(&hello("7", Hello { heartbeat_s: 4, gap: None, at_ms: 1_000 })),
            json!({"type": "hello", "id": "7", "heartbeat_s": 4, "at": "1970-01-01T00:00:01Z",
                   "gap": false})
        );
        let late = Hello { heartbeat_s: 4, gap: Some("too_old"), at_ms: 1_000 };
        assert_eq!(read(&hello("7", late))["reason"], "too_old");
        assert_eq!(
            read(&heartbeat("7", 1_000)),
            json!({"type": "heartbeat", "id": "7", "at": "1970-01-01T00:00:01Z"})
        );
        assert_eq!(
            read(&thinned(3)),
            json!({"type": "thinned", "dropped": 3, "reason": "slow_client"})
        );
        assert_eq!(read(&end("revoked")), json!({"type": "end", "reason": "revoked"}));
    }
}
