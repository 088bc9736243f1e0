//! Decodes payloads of named values: which device each record belongs to, and what is stored of
//! it. Pure.

use nemeses_protocol::{
    DeadLetter, DeviceId, Identity, OptionalFields, Position, PositionPart, ReadingsRecord, Reason,
    Record, Speaker, readings_json, record_hash,
};
use nemeses_telemetry::{Decoded, Format, Measured, Rejected, TelemetryError, decode};

use crate::step::{Message, Output, Step, bury, keep_record};

/// Whose values a payload holds, and who sent it.
pub struct Addressed<'a> {
    /// What its dead letters give as their topic.
    pub topic: &'a str,
    /// Unix milliseconds.
    pub received_at_ms: u64,
    /// Whose all of them are; without it, each record says so.
    pub identity: Option<&'a Identity>,
    /// The number of a device, if it has one.
    pub number: &'a dyn Fn(&Identity) -> Option<DeviceId>,
    /// Whether the sender may send for a device, which may have no number.
    pub may: &'a dyn Fn(Option<DeviceId>) -> bool,
}

/// A part of a payload that cannot be stored as a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people: what is wrong, where, and what to do.
    pub detail: String,
}

/// The device that a payload names: a device id, or a URN, which becomes a name of the kind `id`.
/// `None` for anything else.
pub fn device_of(name: &str) -> Option<Identity> {
    let of_urn = || name.starts_with("urn:").then(|| Identity::named("id", name).ok()).flatten();
    name.parse().ok().or_else(of_urn)
}

impl Step {
    /// Decodes a message on `{telemetry}/{device}` and appends to `out`.
    pub(crate) fn take_telemetry(&self, message: &Message<'_>, out: &mut Output) {
        let Some(identity) = self.policy().topics.telemetry_identity(message.topic) else {
            return bury(message, 0, message.payload, None, Reason::TopicMismatch, out);
        };
        let device = self.policy().topics.names.number(&identity);
        if let Speaker::Device(own) = message.speaker
            && device != Some(own)
        {
            return bury(message, 0, message.payload, device, Reason::IdentityMismatch, out);
        }
        let addressed = Addressed {
            topic: message.topic,
            received_at_ms: message.received_at_ms,
            identity: Some(&identity),
            number: &|identity| self.policy().topics.names.number(identity),
            may: &|_| true,
        };
        let decoded = decode(Format::Auto, message.payload, message.received_at_ms);
        self.keep_decoded(&addressed, decoded, out);
    }

    /// Appends what a payload says to `out`, and returns what of it became dead letters.
    pub fn keep_decoded(
        &self,
        addressed: &Addressed<'_>,
        decoded: Decoded,
        out: &mut Output,
    ) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for measured in decoded.records {
            let (identity, refusal) = whose(addressed, &measured);
            let device = identity.as_ref().and_then(addressed.number);
            let refusal = refusal
                .or_else(|| self.refusal_of(addressed, identity.as_ref()?, device, &measured));
            match (identity, refusal) {
                (Some(identity), None) => {
                    keep_record(record(addressed, identity, measured), device, out);
                }
                (identity, refusal) => {
                    let reason = refusal.as_ref().map_or(Reason::BadDevice, |it| it.reason);
                    bury_measured(addressed, (identity, device), measured, reason, out);
                    refusals.extend(refusal);
                }
            }
        }
        let device = addressed.identity.and_then(addressed.number);
        for Rejected { offset, bytes, reason, detail } in decoded.rejected {
            let reason = reason_of(reason);
            let (topic, received_at_ms) = (addressed.topic, addressed.received_at_ms);
            let message = Message { topic, payload: &[], received_at_ms, speaker: Speaker::Any };
            bury(&message, offset, &bytes, device, reason, out);
            refusals.push(Refusal { reason, detail });
        }
        refusals
    }

    fn refusal_of(
        &self,
        addressed: &Addressed<'_>,
        identity: &Identity,
        device: Option<DeviceId>,
        measured: &Measured,
    ) -> Option<Refusal> {
        let received_at_ms = addressed.received_at_ms;
        if !(addressed.may)(device) {
            let detail = format!("the sender may not send for {identity}");
            return Some(Refusal { reason: Reason::IdentityMismatch, detail });
        }
        if let Some(reason) = self.refusal(measured.recorded_at_ms / 1000, received_at_ms) {
            let detail = format!(
                "the time {} is more than {} s ahead of ours; is the sender's clock right?",
                measured.recorded_at_ms,
                self.policy().future_limit_s
            );
            return Some(Refusal { reason, detail });
        }
        let reason = self.policy().gate.as_ref()?.refusal_of(device, received_at_ms)?;
        let detail = format!("{identity} is not a known device; create it first");
        Some(Refusal { reason, detail })
    }
}

/// A record's device, as far as that is known, and why the record is refused.
fn whose(addressed: &Addressed<'_>, measured: &Measured) -> (Option<Identity>, Option<Refusal>) {
    let name = measured.name.as_deref();
    let Some(identity) = addressed.identity else {
        let named = name.and_then(device_of);
        let refusal = named.is_none().then(|| Refusal {
            reason: Reason::BadDevice,
            detail: match name {
                Some(name) => format!(
                    "{name:?} is no device; write 0A3F73, imei:356307042441013, host:web1 or \
                     id:anything, or name the device in the request (device_id)"
                ),
                None => "the record names no device; name it in the request (device_id) or in \
                         the record (id, bn, the tag device or host)"
                    .to_owned(),
            },
        });
        return (named, refusal);
    };
    let other = name.and_then(|name| name.parse::<Identity>().ok());
    let refusal = other.filter(|other| other != identity).map(|other| Refusal {
        reason: Reason::TopicMismatch,
        detail: format!("the record is of {other}, and it was sent for {identity}"),
    });
    (Some(identity.clone()), refusal)
}

/// A refused record in the form in which it could be sent again.
fn bury_measured(
    addressed: &Addressed<'_>,
    (identity, device): (Option<Identity>, Option<DeviceId>),
    measured: Measured,
    reason: Reason,
    out: &mut Output,
) {
    let letter = match identity {
        Some(identity) => record(addressed, identity, measured).as_letter(reason),
        None => DeadLetter {
            topic: addressed.topic.to_owned(),
            offset: 0,
            reason,
            device: None,
            received_at_ms: addressed.received_at_ms,
            bytes: readings_json(
                (!measured.timeless).then_some(measured.recorded_at_ms),
                placed(&measured).as_ref().map(part_of).as_ref(),
                &measured.readings,
            )
            .into_bytes(),
        },
    };
    let pieces = DeadLetter { device, ..letter }.split().into_iter().map(Box::new);
    out.records.extend(pieces.map(Record::DeadLetter));
}

fn placed(measured: &Measured) -> Option<(Position, OptionalFields)> {
    // The decoder's bounds are within those of the fields.
    measured.position.and_then(|said| said.at(DeviceId::NONE, measured.recorded_at_ms).ok())
}

fn part_of((position, optional): &(Position, OptionalFields)) -> PositionPart {
    PositionPart::new(*position, optional)
}

fn record(addressed: &Addressed<'_>, identity: Identity, measured: Measured) -> ReadingsRecord {
    let place = placed(&measured);
    let said = place.as_ref().map(|(position, optional)| (position, optional));
    let Measured { recorded_at_ms, timeless, readings, .. } = measured;
    ReadingsRecord {
        identity,
        recorded_at_ms,
        timeless,
        content_hash: record_hash(said, &readings),
        received_at_ms: addressed.received_at_ms,
        position: place.as_ref().map(part_of).map(Box::new),
        readings,
    }
}

fn reason_of(error: TelemetryError) -> Reason {
    Reason::from_code(error.code()).unwrap_or(Reason::BadPayload)
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{DeviceNames, Record, Topics, Value};
    use nemeses_store::live::LiveEntry;

    use super::*;
    use crate::step::Policy;

    const NOW_MS: u64 = 1_700_000_000_000;

    fn take(policy: Policy, topic: &str, payload: &str, speaker: Speaker) -> Output {
        let mut out = Output::default();
        let payload = payload.as_bytes();
        let message = Message { topic, payload, received_at_ms: NOW_MS, speaker };
        Step::new(policy).take(&message, &mut out);
        out
    }

    fn reasons(out: &Output) -> Vec<&'static str> {
        let letters = out.records.iter().filter_map(|record| match record {
            Record::DeadLetter(letter) => Some(letter.reason.code()),
            Record::Position(_) | Record::Readings(_) => None,
        });
        letters.collect()
    }

    #[test]
    fn a_record_is_its_topic_s() {
        let payload = r#"{"t":1699999999.5,"values":{"temperature":21.5,"door":true}}"#;
        let out = take(Policy::default(), "/telemetry/id:a%2Fb", payload, Speaker::Any);
        let [Record::Readings(record)] = &out.records[..] else { panic!("{out:?}") };
        assert_eq!(record.identity.to_string(), "id:a/b");
        assert_eq!((record.recorded_at_ms, record.timeless), (1_699_999_999_500, false));
        assert_eq!(record.received_at_ms, NOW_MS);
        let values: Vec<_> =
            record.readings.iter().map(|it| (&*it.channel, it.value.clone())).collect();
        assert_eq!(values, [("door", Value::Flag(true)), ("temperature", Value::Number(21.5))]);
        assert!(out.live.is_empty(), "nobody gave it a number yet");
    }

    #[test]
    fn a_record_with_a_position_is_on_the_map() {
        let payload = r#"{"t":1699999999.5,"position":{"lat":-19.932833,"lon":43.938493,
            "speed":60.5},"values":{"fuel":40}}"#;
        let out = take(Policy::default(), "/telemetry/0A3F73", payload, Speaker::Any);
        let device = DeviceId::new(0x000A_3F73);
        let [Record::Readings(record)] = &out.records[..] else { panic!("{out:?}") };
        let row = record.position_of(device).expect("one");
        let place = (row.position.recorded_at, row.position.latitude_udeg);
        assert_eq!(place, (1_699_999_999, -19_932_833));
        assert_eq!((row.position.speed_kmh, row.frame_hash), (61, record.content_hash));
        assert_eq!(record.readings.len(), 1);
        assert_eq!(out.live, [LiveEntry::from_readings(device, record)]);
        assert!(out.live[0].fix.is_some());
        // As a dead letter it can be sent again.
        let letter = record.as_letter(Reason::Refused);
        let payload = std::str::from_utf8(&letter.bytes).unwrap();
        let again = take(Policy::default(), &letter.topic, payload, Speaker::Any);
        assert_eq!(again.records, out.records);
    }

    #[test]
    fn line_protocol_is_known_by_its_first_line() {
        let payload = "# from telegraf\ncpu usage=12.5 1699999999000000000\n";
        let out = take(Policy::default(), "/telemetry/host:web1", payload, Speaker::Any);
        let [Record::Readings(record)] = &out.records[..] else { panic!("{out:?}") };
        assert_eq!(&*record.readings[0].channel, "cpu.usage");
        let other = "cpu,host=web2 usage=1\nm,device=host:web1 x=1";
        let out = take(Policy::default(), "/telemetry/host:web1", other, Speaker::Any);
        assert_eq!(reasons(&out), ["topic_mismatch"]);
    }

    #[test]
    fn each_record_may_say_whose_it_is() {
        let own = DeviceId::new(1);
        let addressed = Addressed {
            topic: "/api/v1/telemetry",
            received_at_ms: NOW_MS,
            identity: None,
            number: &Identity::number,
            may: &|device| device == Some(own),
        };
        let payload = r#"[{"id":"000001","values":{"a":1}},{"id":"000002","values":{"a":1}},
            {"values":{"a":1}},{"id":"?","values":{"a":1}}]"#;
        let mut out = Output::default();
        let decoded = decode(Format::Json, payload.as_bytes(), NOW_MS);
        let refusals = Step::default().keep_decoded(&addressed, decoded, &mut out);
        assert_eq!(reasons(&out), ["identity_mismatch", "bad_device", "bad_device"]);
        assert_eq!((refusals.len(), out.records.len()), (3, 4));
        assert!(refusals[1].detail.contains("names no device"), "{refusals:?}");
        for (name, device) in [
            ("urn:dev:ow:10e2", Some("id:urn:dev:ow:10e2")),
            ("host:web1", Some("host:web1")),
            ("web1", None),
        ] {
            assert_eq!(device_of(name).map(|it| it.to_string()).as_deref(), device);
        }
    }

    #[test]
    fn a_device_with_a_number_is_seen_with_its_values() {
        let out = take(Policy::default(), "/telemetry/0A3F73", r#"{"a":1}"#, Speaker::Any);
        let device = DeviceId::new(0x000A_3F73);
        let [Record::Readings(record)] = &out.records[..] else { panic!("{out:?}") };
        assert!(record.timeless);
        assert_eq!(out.live, [LiveEntry::from_readings(device, record)]);
        assert!(out.live[0].values.is_some());
    }

    #[test]
    fn a_login_speaks_for_its_device_alone() {
        let (own, other) = (DeviceId::new(1 << 24), DeviceId::new(1));
        let names = DeviceNames::of_these(&[(own, "id:a".parse().unwrap())]);
        let topics = Topics { names, ..Topics::default() };
        let policy = Policy { topics, ..Policy::default() };
        let take = |topic, speaker| take(policy.clone(), topic, r#"{"a":1}"#, speaker);
        assert_eq!(take("/telemetry/id:a", Speaker::Device(own)).live.len(), 1);
        for (topic, speaker) in [
            ("/telemetry/id:a", Speaker::Device(other)),
            ("/telemetry/id:b", Speaker::Device(own)),
            ("/telemetry/000002", Speaker::Device(other)),
        ] {
            assert_eq!(reasons(&take(topic, speaker)), ["identity_mismatch"], "{topic}");
        }
    }

    #[test]
    fn what_cannot_be_read_does_not_take_the_rest_with_it() {
        let payload = r#"{"values":{"good":1,"bad":[1],"also":"x"}}"#;
        let out = take(Policy::default(), "/telemetry/id:a", payload, Speaker::Any);
        assert_eq!(reasons(&out), ["bad_value"]);
        assert!(
            matches!(&out.records[..], [Record::Readings(kept), _] if kept.readings.len() == 2)
        );
        let out = take(Policy::default(), "/telemetry/id:a", "rubbish", Speaker::Any);
        assert_eq!(reasons(&out), ["bad_payload"]);
        let out = take(Policy::default(), "/telemetry/nobody", r#"{"a":1}"#, Speaker::Any);
        assert_eq!(reasons(&out), ["topic_mismatch"]);
    }

    #[test]
    fn a_clock_far_ahead_is_refused_record_by_record() {
        let payload = r#"[{"t":1700000000,"values":{"a":1}},{"t":1700200000,"values":{"a":2}}]"#;
        let out = take(Policy::default(), "/telemetry/id:a", payload, Speaker::Any);
        assert_eq!(reasons(&out), ["future"]);
        assert_eq!(out.records.len(), 2);
        let [_, Record::DeadLetter(letter)] = &out.records[..] else { panic!("{out:?}") };
        assert_eq!(letter.bytes, br#"{"t":1700200000000,"values":{"a":2}}"#);
    }
}
