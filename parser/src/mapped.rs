//! What messages on the topics of mappings and of Sparkplug's edges mean, and what is posted for a
//! mapping.

use nemeses_protocol::{DeviceId, Identity, Reason, Speaker};
use nemeses_telemetry::{Mapping, SparkplugTaken};

use crate::sparkplug::{Edges, SPARKPLUG};
use crate::step::{Message, Output, Step, bury};
use crate::telemetry::{Addressed, Refusal};

/// Topics of what came over HTTP begin with this, and end with the name of the mapping.
pub const POSTED: &str = "http:mapping/";

impl Step {
    /// Takes a message on the topic of a mapping.
    pub(crate) fn take_mapped(&self, message: &Message<'_>, out: &mut Output) {
        if let Some(edges) = &self.policy().sparkplug
            && message.topic.starts_with(SPARKPLUG)
        {
            return self.take_of_edge(edges, message, out);
        }
        let mappings = &self.policy().mappings;
        let Some(mapping) = mappings.of_topic(message.topic) else {
            // The policy's topics are those of its mappings.
            return bury(message, 0, message.payload, None, Reason::TopicMismatch, out);
        };
        self.take_by(mapping, message, out);
    }

    /// Takes a message by a mapping, and returns what of it became dead letters.
    pub fn take_by(
        &self,
        mapping: &Mapping,
        message: &Message<'_>,
        out: &mut Output,
    ) -> Vec<Refusal> {
        let names = &self.policy().topics.names;
        let login = match message.speaker {
            Speaker::Device(own) => Some(names.identity(own)),
            Speaker::Any => None,
        };
        let identity = login.filter(|_| mapping.is_of_login());
        if mapping.is_of_login() && identity.is_none() {
            bury(message, 0, message.payload, None, Reason::BadDevice, out);
            let detail = format!(
                "the mapping {} is for clients with a device's login, and this one has none; \
                 create one with nemeses device add",
                mapping.name()
            );
            return vec![Refusal { reason: Reason::BadDevice, detail }];
        }
        let is_post = message.topic.starts_with(POSTED);
        let topic = (!is_post).then_some(message.topic);
        let addressed = Addressed {
            topic: message.topic,
            received_at_ms: message.received_at_ms,
            identity: identity.as_ref(),
            number: &|identity: &Identity| names.number(identity),
            may: &|device| may(message.speaker, device),
        };
        let decoded = mapping.decode(topic, message.payload, message.received_at_ms);
        self.keep_decoded(&addressed, decoded, out)
    }

    /// Takes a message of an edge of Sparkplug or of one of its devices.
    fn take_of_edge(&self, edges: &Edges, message: &Message<'_>, out: &mut Output) {
        let SparkplugTaken { decoded, rebirth } =
            edges.take(message.topic, message.payload, message.received_at_ms);
        let names = &self.policy().topics.names;
        let addressed = Addressed {
            topic: message.topic,
            received_at_ms: message.received_at_ms,
            identity: None,
            number: &|identity: &Identity| names.number(identity),
            may: &|device| may(message.speaker, device),
        };
        self.keep_decoded(&addressed, decoded, out);
        out.rebirths.extend(rebirth);
    }
}

/// A login of a device sends for that device alone.
fn may(speaker: Speaker, device: Option<DeviceId>) -> bool {
    match speaker {
        Speaker::Any => true,
        Speaker::Device(own) => device == Some(own),
    }
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{DeviceNames, Record, Topics};
    use nemeses_telemetry::{Mappings, SPARKPLUG_FILTERS, built_in};

    use super::*;
    use crate::step::Policy;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn step(names: &[(DeviceId, &str)]) -> Step {
        let mut mappings = Mappings::read(
            "[[mapping]]\nname = \"a\"\ntopic = \"sensors/{device}/up\"\npost = \"a\"\n\
             device = \"id:{/id}\"\n[[mapping.channels]]\nat = \"/t\"\n",
        )
        .expect("a mapping");
        mappings.and(&built_in("thingsboard").expect("there").expect("right"));
        let identities: Vec<(DeviceId, Identity)> =
            names.iter().map(|(device, name)| (*device, name.parse().expect("a name"))).collect();
        let topics = Topics {
            mapped: mappings.filters(),
            names: DeviceNames::of_these(&identities),
            ..Topics::default()
        };
        Step::new(Policy { topics, mappings, ..Policy::default() })
    }

    fn take(step: &Step, topic: &str, payload: &str, speaker: Speaker) -> Vec<String> {
        let mut out = Output::default();
        let payload = payload.as_bytes();
        step.take(&Message { topic, payload, received_at_ms: NOW_MS, speaker }, &mut out);
        let said = |record: &Record| match record {
            Record::Readings(record) => record.identity.to_string(),
            Record::DeadLetter(letter) => letter.reason.code().to_owned(),
            Record::Position(_) => "position".to_owned(),
        };
        out.records.iter().map(said).collect()
    }

    #[test]
    fn the_login_is_the_device_and_sends_for_itself_alone() {
        let own = DeviceId::new(1 << 24);
        let step = step(&[(own, "id:a")]);
        let login = Speaker::Device(own);
        let telemetry = r#"{"ts":1700000000000,"values":{"t":1}}"#;
        assert_eq!(take(&step, "v1/devices/me/telemetry", telemetry, login), ["id:a"]);
        assert_eq!(take(&step, "v1/devices/me/telemetry", telemetry, Speaker::Any), ["bad_device"]);
        assert_eq!(take(&step, "sensors/x/up", r#"{"id":"a","t":1}"#, login), ["id:a"]);
        let foreign = r#"{"id":"b","t":1}"#;
        assert_eq!(take(&step, "sensors/x/up", foreign, login), ["identity_mismatch"]);
        assert_eq!(take(&step, "sensors/x/up", foreign, Speaker::Any), ["id:b"]);
    }

    #[test]
    fn what_was_posted_comes_out_of_its_letter_by_its_mapping() {
        let step = step(&[]);
        let taken = take(&step, "http:mapping/a", r#"{"id":"b","t":1}"#, Speaker::Any);
        assert_eq!(taken, ["id:b"]);
        let unknown = take(&step, "http:mapping/none", r#"{"id":"b","t":1}"#, Speaker::Any);
        assert_eq!(unknown, ["bad_header"], "without its mapping it is refused as it was");
    }

    #[test]
    fn an_edge_that_is_not_known_is_asked_to_be_born() {
        let topics = Topics {
            mapped: SPARKPLUG_FILTERS.map(ToOwned::to_owned).to_vec(),
            ..Topics::default()
        };
        let sparkplug = Some(Edges::default());
        let step = Step::new(Policy { topics, sparkplug, ..Policy::default() });
        let payload = hex::decode(
            "08d0df95ffbc311212100118d0df95ffbc31690000000000403640120b100218d0df95ffbc3138011802",
        )
        .unwrap();
        let message = Message {
            topic: "spBv1.0/G/DDATA/E/D",
            payload: &payload,
            received_at_ms: 1_700_000_100_000,
            speaker: Speaker::Any,
        };
        let mut out = Output::default();
        step.take(&message, &mut out);
        assert_eq!(out.rebirths, ["spBv1.0/G/NCMD/E"]);
        let [Record::DeadLetter(letter)] = &out.records[..] else { panic!("{out:?}") };
        assert_eq!(letter.reason.code(), "unknown_alias");
    }
}
