//! The live stream as messages: the same events from the same hub as server-sent ones. Nothing
//! is queued for a client beyond one batch: while it does not read, nothing is asked of the hub,
//! and the listener cuts a connection that does not read at all.

use std::vec;

use futures_util::{Stream, stream};
use nemeses_protocol::{Composition, DeviceNames};
use nemeses_reports::number::{degrees, direction};
use nemeses_store::history::AlarmNews;
use nemeses_store::live::LiveValue;
use tonic::Status;

use super::deadline::Deadline;
use super::messages::{ms, of_measured, source};
use super::status::ended;
use super::v1::{self, event::What};
use crate::stream::{
    self as live, Event, EventId, EventWriter, Follower, Happened, Hello, Here, Turn,
};

/// Events of one batch, and one more: as many bytes as a text of the stream has.
const BATCH: usize = 500;

/// Events that wait to be sent.
pub(super) struct Messages {
    /// Whether positions bear odometer and hour meter, which tell of the past.
    totals: bool,
    written: Vec<v1::Event>,
}

impl Messages {
    pub(super) const fn new(totals: bool) -> Self {
        Self { totals, written: Vec::new() }
    }

    fn push(&mut self, id: Option<EventId>, what: What) {
        let id = id.map(|id| id.to_string()).unwrap_or_default();
        self.written.push(v1::Event { id, what: Some(what) });
    }

    fn what(&self, names: &DeviceNames, event: &Event) -> What {
        let device_id = names.identity(event.device).to_string();
        match &event.happened {
            Happened::Position(here) => What::Position(self.position(device_id, event, here)),
            Happened::Status(status) => What::Status(v1::StatusChange {
                device_id,
                status: status.word().to_owned(),
                at_ms: ms(event.at_ms),
            }),
            Happened::Ignition { on, recorded_at } => What::Ignition(v1::IgnitionChange {
                device_id,
                on: *on,
                at_ms: i64::from(*recorded_at) * 1000,
            }),
            Happened::Values(values) => What::Values(new_values(device_id, values.iter())),
            Happened::Alarm(news) => What::Alarm(alarm(device_id, news)),
        }
    }

    fn position(&self, device_id: String, event: &Event, here: &Here) -> v1::Position {
        let composition: Composition = here.composition;
        v1::Position {
            device_id,
            recorded_at_ms: i64::from(here.recorded_at) * 1000,
            received_at_ms: ms(here.received_at_ms),
            latitude: event.place.map(|place| degrees(place.latitude_udeg)),
            longitude: event.place.map(|place| degrees(place.longitude_udeg)),
            position_from: source(here.from).into(),
            doubtful: here.doubt.map(|doubt| doubt.word().to_owned()),
            speed_kmh: here.speed_kmh.into(),
            direction_deg: direction(here.direction_cdeg),
            ignition: composition.ignition(),
            gps_fix: composition.gps_fix(),
            odometer_m: self.totals.then_some(here.odometer_m),
            hour_meter_min: self.totals.then_some(here.hour_meter_min),
            status: live::Status::Online.word().to_owned(),
        }
    }
}

fn alarm(device_id: String, news: &AlarmNews) -> v1::AlarmChange {
    let alarm = &news.alarm;
    v1::AlarmChange {
        device_id,
        step: news.event.word().to_owned(),
        alarm_id: alarm.id,
        rule_id: alarm.key.rule,
        rule_name: alarm.rule_name.clone(),
        severity: alarm.severity.clone(),
        late: alarm.late,
        opened_at_ms: ms(alarm.opened_at_ms),
        cleared_at_ms: alarm.cleared_at_ms.map(ms),
        value: alarm.value.clone(),
        latitude: alarm.place.map(|(latitude, _)| degrees(latitude)),
        longitude: alarm.place.map(|(_, longitude)| degrees(longitude)),
        acknowledged: alarm.acknowledged.is_some(),
        silenced_until_ms: alarm.silence.as_ref().map(|silence| ms(silence.until_ms)),
    }
}

fn new_values<'v>(device_id: String, values: impl Iterator<Item = &'v LiveValue>) -> v1::NewValues {
    let value = |value: &LiveValue| v1::NewValue {
        channel: value.channel.to_string(),
        unit: value.unit.as_deref().map(str::to_owned),
        value: Some(of_measured(&value.value)),
        cut: value.cut,
        recorded_at_ms: ms(value.recorded_at_ms),
        received_at_ms: ms(value.received_at_ms),
    };
    v1::NewValues { device_id, values: values.map(value).collect() }
}

impl EventWriter for Messages {
    type Sent = Vec<v1::Event>;

    fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    fn has_room(&self) -> bool {
        self.written.len() < BATCH
    }

    fn take(&mut self) -> Option<Self::Sent> {
        (!self.written.is_empty()).then(|| std::mem::take(&mut self.written))
    }

    fn hello(&mut self, id: EventId, Hello { heartbeat_s, gap, at_ms }: Hello) {
        let reason = gap.unwrap_or_default().to_owned();
        let hello = v1::Hello { heartbeat_s, at_ms: ms(at_ms), gap: gap.is_some(), reason };
        self.push(Some(id), What::Hello(hello));
    }

    fn heartbeat(&mut self, id: EventId, at_ms: u64) {
        self.push(Some(id), What::Heartbeat(v1::Heartbeat { at_ms: ms(at_ms) }));
    }

    fn thinned(&mut self, dropped: u64) {
        self.push(None, What::Thinned(v1::Thinned { dropped }));
    }

    /// Said by the status that ends the call.
    fn end(&mut self, _reason: &'static str) {}

    fn event(&mut self, names: &DeviceNames, id: EventId, event: &Event) {
        let what = self.what(names, event);
        self.push(Some(id), what);
    }

    fn standing(&mut self, names: &DeviceNames, id: EventId, event: &Event, status: live::Status) {
        let mut what = self.what(names, event);
        if let What::Position(position) = &mut what {
            status.word().clone_into(&mut position.status);
        }
        self.push(Some(id), what);
    }

    fn values(&mut self, id: EventId, device_id: String, values: Vec<&LiveValue>) {
        self.push(Some(id), What::Values(new_values(device_id, values.into_iter())));
    }
}

/// One client's stream.
struct Streamed {
    follower: Follower<Messages>,
    deadline: Deadline,
    /// Of the batch that is being sent.
    batch: vec::IntoIter<v1::Event>,
    over: bool,
}

/// Event after event, then why it is over.
pub(super) fn events(
    follower: Follower<Messages>,
    deadline: Deadline,
) -> impl Stream<Item = Result<v1::Event, Status>> + Send {
    let begun = Streamed { follower, deadline, batch: Vec::new().into_iter(), over: false };
    stream::unfold(begun, |mut streamed| async move {
        let next = streamed.next().await?;
        Some((next, streamed))
    })
}

impl Streamed {
    async fn next(&mut self) -> Option<Result<v1::Event, Status>> {
        loop {
            if let Some(event) = self.batch.next() {
                return Some(Ok(event));
            }
            if self.over {
                return None;
            }
            if let Some(reason) = self.follower.ended() {
                self.over = true;
                return Some(Err(ended(reason)));
            }
            let Some(turn) = self.deadline.within(self.follower.next()).await else {
                self.over = true;
                return Some(Err(Status::deadline_exceeded("The call's deadline is over.")));
            };
            let (Turn::More(batch) | Turn::End(batch)) = turn;
            self.batch = batch.into_iter();
        }
    }
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::DeviceId;

    use super::*;
    use crate::stream::{Status as Heard, test_entry};

    fn position() -> Event {
        let entry = test_entry(0x0A_3F73, 1_593_637_200, 0x8000);
        Event::position(EventId::at(7), &entry, 0, None).unwrap()
    }

    fn taken(messages: &mut Messages) -> Vec<(String, What)> {
        let taken = messages.take().unwrap().into_iter();
        taken.map(|event| (event.id, event.what.unwrap())).collect()
    }

    #[test]
    fn who_sees_no_past_sees_no_totals_of_it() {
        for totals in [true, false] {
            let mut messages = Messages::new(totals);
            messages.event(&DeviceNames::default(), EventId::at(6), &position());
            let [(id, What::Position(position))] = &taken(&mut messages)[..] else { panic!() };
            assert_eq!((id.as_str(), position.device_id.as_str()), ("6", "0A3F73"));
            assert_eq!(position.recorded_at_ms, 1_593_637_200_000);
            let shown = [position.odometer_m, position.hour_meter_min].map(|it| it.is_some());
            assert_eq!(shown, [totals; 2]);
            assert_eq!(position.status, "online");
            assert!(messages.is_empty());
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut messages = Messages::new(true);
        let at_ms = 1_000;
        messages.hello(EventId::at(7), Hello { heartbeat_s: 4, gap: Some("too_old"), at_ms });
        messages.thinned(9);
        messages.end("slow_client");
        let said = taken(&mut messages);
        let hello = v1::Hello { heartbeat_s: 4, at_ms: 1_000, gap: true, reason: "too_old".into() };
        assert_eq!(said[0], ("7".to_owned(), What::Hello(hello)));
        assert_eq!(said[1], (String::new(), What::Thinned(v1::Thinned { dropped: 9 })));
        assert_eq!(said.len(), 2, "the status tells of the end");
    }

    #[test]
    fn a_device_stands_as_it_is_heard_and_a_batch_has_a_bound() {
        let mut messages = Messages::new(true);
        let (names, event) = (DeviceNames::default(), position());
        messages.standing(&names, EventId::at(1), &event, Heard::Late);
        let device = DeviceId::new(1);
        let status = Event::status(EventId::at(2), device, None, Heard::Offline, 5);
        messages.standing(&names, EventId::at(1), &status, Heard::Online);
        let said = taken(&mut messages);
        assert!(matches!(&said[0].1, What::Position(position) if position.status == "late"));
        assert!(matches!(&said[1].1, What::Status(change) if change.status == "offline"));
        for _ in 0..BATCH {
            assert!(messages.has_room());
            messages.heartbeat(EventId::at(3), 6);
        }
        assert!(!messages.has_room());
        assert_eq!(messages.take().map(|batch| batch.len()), Some(BATCH));
        assert!(messages.has_room() && messages.take().is_none());
    }
}
