//! What a message of named values means: which device it is of, by its topic, and what is
//! kept of it. Pure.

use nemeses_protocol::{
    DeviceId, Identity, Reading, ReadingsRecord, Reason, Record, Speaker, readings_hash,
};
use nemeses_telemetry::{Format, Measured, TelemetryError, decode};

use crate::step::{Message, Output, Step, bury, keep_record};

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
        let decoded = decode(Format::Auto, message.payload, message.received_at_ms);
        for measured in decoded.records {
            let other = measured.name.as_deref().and_then(|name| name.parse().ok());
            let of_other = other.is_some_and(|other: Identity| other != identity);
            let record = record(identity.clone(), measured, message.received_at_ms);
            let mismatch = of_other.then_some(Reason::TopicMismatch);
            self.keep(record, device, mismatch, out);
        }
        for rejected in decoded.rejected {
            let reason = reason(rejected.reason);
            bury(message, rejected.offset, &rejected.bytes, device, reason, out);
        }
    }

    fn keep(
        &self,
        record: ReadingsRecord,
        device: Option<DeviceId>,
        mismatch: Option<Reason>,
        out: &mut Output,
    ) {
        let future = self.refusal(record.recorded_at_ms / 1000, record.received_at_ms);
        let gate = self.policy().gate.as_ref();
        let barred = gate.and_then(|gate| gate.refusal_of(device, record.received_at_ms));
        if let Some(reason) = mismatch.or(future).or(barred) {
            let letter = record.as_letter(reason);
            let letter = nemeses_protocol::DeadLetter { device, ..letter };
            let pieces = letter.split().into_iter().map(Box::new);
            out.records.extend(pieces.map(Record::DeadLetter));
            return;
        }
        keep_record(record, device, out);
    }
}

fn record(identity: Identity, measured: Measured, received_at_ms: u64) -> ReadingsRecord {
    let Measured { recorded_at_ms, timeless, readings, .. } = measured;
    let content_hash = readings_hash(&readings as &[Reading]);
    ReadingsRecord {
        identity,
        recorded_at_ms,
        timeless,
        content_hash,
        received_at_ms,
        position: None,
        readings,
    }
}

fn reason(error: TelemetryError) -> Reason {
    Reason::from_code(error.code()).unwrap_or(Reason::BadPayload)
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{DeviceNames, Topics, Value};
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
