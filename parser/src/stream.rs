//! What the bytes of a device's own connection or datagram mean: the same step as for
//! messages, with what its protocol remembers of the connection, and with the answers as
//! bytes. Pure.

use nemeses_protocol::{
    Cayenne, CommandAnswer, CommandKey, DecodeError, Form, Gt06, Item, Items, OsmAnd, OwnTracks,
    Protocol, ProtocolFrame as _, Queclink, Reason, Sft9001, Source, Speaker, Teltonika,
};

use crate::mapped::POSTED;
use crate::step::{Message, Output, Step, Terms, bury};

/// What was made of some bytes of a connection.
#[derive(Debug, Default)]
pub struct Taken {
    /// So many bytes were used. The others come again, in front of those that follow.
    pub used: usize,
    /// What is answered at once.
    pub reply: Vec<u8>,
    /// What is answered when all that was taken is durable.
    pub acknowledgement: Vec<u8>,
    /// Who speaks, as soon as that is known.
    pub identity: Option<nemeses_protocol::Identity>,
    /// Answers to commands.
    pub answers: Vec<CommandAnswer>,
    /// Good frames.
    pub frames: u32,
    /// Why the connection cannot go on: nobody knows where the next frame begins.
    pub lost: Option<DecodeError>,
}

/// The protocols whose devices are listened for over TCP.
pub const OVER_TCP: [&str; 4] = [Sft9001::NAME, Teltonika::NAME, Gt06::NAME, Queclink::NAME];
/// Over UDP.
pub const OVER_UDP: [&str; 3] = [Sft9001::NAME, Teltonika::NAME, Queclink::NAME];

/// A device's connection, in a protocol whose type is not known here.
pub trait DeviceStream: Send {
    /// Takes what was read of the connection and not used before, and appends to `out`.
    /// `at_rest`: nothing has come for a while, so what is there may be whole.
    fn take(
        &mut self,
        step: &Step,
        message: &Message<'_>,
        at_rest: bool,
        out: &mut Output,
    ) -> Taken;

    /// The bytes of a command to the device, and by what its answer is known; `None` when the
    /// protocol cannot say it.
    fn command(&mut self, payload: &[u8]) -> Option<(Vec<u8>, CommandKey)>;
}

/// A protocol of devices that have connections of their own.
pub trait DeviceProtocol: Sync {
    /// [`Protocol::NAME`].
    fn name(&self) -> &'static str;

    /// Begins a connection.
    fn connect(&self) -> Box<dyn DeviceStream>;

    /// Takes a datagram, or a request's body: a message that is whole.
    fn take_whole(&self, step: &Step, message: &Message<'_>, out: &mut Output) -> Taken;

    /// Takes a message of a broker, or a dead letter of one of our listeners.
    fn take_message(&self, step: &Step, message: &Message<'_>, out: &mut Output);
}

/// All of them.
pub static DEVICE_PROTOCOLS: [&dyn DeviceProtocol; 7] = [
    &Of::<Sft9001>::NEW,
    &Of::<Teltonika>::NEW,
    &Of::<Gt06>::NEW,
    &Of::<Queclink>::NEW,
    &Of::<OsmAnd>::NEW,
    &Of::<OwnTracks>::NEW,
    &Of::<Cayenne>::NEW,
];

/// The protocol of a name.
pub fn device_protocol(name: &str) -> Option<&'static dyn DeviceProtocol> {
    DEVICE_PROTOCOLS.into_iter().find(|protocol| protocol.name() == name)
}

impl Step {
    /// Takes a message whose topic names a protocol; whether it does.
    pub(crate) fn take_device_message(&self, message: &Message<'_>, out: &mut Output) -> bool {
        if let Some(name) = message.topic.strip_prefix(POSTED) {
            let mapping = self.policy().mappings.of_post(name);
            // Without the mapping it stays what it is.
            return mapping.map(|mapping| self.take_by(mapping, message, out)).is_some();
        }
        let protocol = protocol_of_topic(message.topic);
        protocol.map(|protocol| protocol.take_message(self, message, out)).is_some()
    }
}

/// Dead letters of a listener have its way in and its protocol for a topic.
fn protocol_of_topic(topic: &str) -> Option<&'static dyn DeviceProtocol> {
    let (way, name) = topic.split_once(':')?;
    let name = name.split('/').next()?;
    ["tcp", "udp", "http"].contains(&way).then(|| device_protocol(name)).flatten()
}

struct Of<P>(std::marker::PhantomData<fn() -> P>);

impl<P> Of<P> {
    const NEW: Self = Self(std::marker::PhantomData);
}

/// A connection's session.
struct Connection<P: Protocol>(P::Session);

impl<P: Protocol> DeviceProtocol for Of<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn connect(&self) -> Box<dyn DeviceStream> {
        Box::new(Connection::<P>(P::Session::default()))
    }

    fn take_whole(&self, step: &Step, message: &Message<'_>, out: &mut Output) -> Taken {
        let source = Source::Message { topic: message.topic };
        take::<P>(step, P::Session::default(), source, message, out).0
    }

    fn take_message(&self, step: &Step, message: &Message<'_>, out: &mut Output) {
        step.take_as::<P>(message, Speaker::Any, out);
    }
}

impl<P: Protocol> DeviceStream for Connection<P> {
    fn take(
        &mut self,
        step: &Step,
        message: &Message<'_>,
        at_rest: bool,
        out: &mut Output,
    ) -> Taken {
        let session = std::mem::take(&mut self.0);
        let whole = Source::Message { topic: "" };
        let is_frame = |item| matches!(item, Item::Frame { .. });
        let is_whole = at_rest
            && P::REST_ENDS_A_FRAME
            && Items::<P>::new(P::Session::default(), whole, message.payload, 0).all(is_frame);
        let source = if is_whole { whole } else { Source::Stream };
        let (taken, session) = take::<P>(step, session, source, message, out);
        self.0 = session;
        taken
    }

    fn command(&mut self, payload: &[u8]) -> Option<(Vec<u8>, CommandKey)> {
        let mut bytes = Vec::new();
        let key = P::command(&mut self.0, payload, &mut bytes)?;
        Some((bytes, key))
    }
}

/// Whether nobody knows where the next frame begins, or whose it is.
const fn is_the_end(reason: DecodeError) -> bool {
    matches!(
        reason,
        DecodeError::BadHeader
            | DecodeError::BadFooter
            | DecodeError::Oversized
            | DecodeError::NoIdentity
            | DecodeError::SecondIdentity
    )
}

fn take<P: Protocol>(
    step: &Step,
    session: P::Session,
    source: Source<'_>,
    message: &Message<'_>,
    out: &mut Output,
) -> (Taken, P::Session) {
    let mut taken = Taken::default();
    let terms = Terms { speaker: message.speaker, topic: Speaker::Any, form: Form::Raw };
    let now_ms = message.received_at_ms;
    let mut items = Items::<P>::new(session, source, message.payload, now_ms);
    for item in items.by_ref() {
        match item {
            Item::Skipped { offset, bytes, identity, reason } => {
                let device =
                    identity.and_then(|identity| step.policy().topics.names.number(&identity));
                bury(message, offset, bytes, device, Reason::Decode(reason), out);
                if is_the_end(reason) && !P::FINDS_FRAMES_AGAIN {
                    taken.lost = Some(reason);
                }
            }
            Item::Frame { offset, bytes, frame } => {
                taken.frames = taken.frames.saturating_add(1);
                taken.identity.get_or_insert_with(|| frame.identity());
                if step.take_frame::<P>(message, terms, (offset, bytes, &frame), out).is_good {
                    frame.reply(&mut taken.reply);
                    frame.acknowledgement(&mut taken.acknowledgement);
                    taken.answers.extend(frame.answer());
                }
            }
        }
    }
    let (session, rest) = items.end();
    taken.used = message.payload.len() - rest.len();
    (taken, session)
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{Record, Value};

    use super::*;
    use crate::step::Policy;
    use crate::unknown::{Gate, UnknownDevices};

    const HELLO: &str = "000F333536333037303432343431303133";
    const RECORDS: &str = "000000000000002d08010000019bc1a3050800e5cf849ef41e7db60354010e09003c000402ef01f0010142303901100001e240000100008f02";
    const NOW_MS: u64 = 1_800_000_000_000;

    fn message(payload: &[u8]) -> Message<'_> {
        Message { topic: "tcp:teltonika", payload, received_at_ms: NOW_MS, speaker: Speaker::Any }
    }

    fn bytes(hex: &[&str]) -> Vec<u8> {
        hex::decode(hex.concat()).unwrap()
    }

    #[test]
    fn a_connection_is_answered_at_once_and_after_the_commit() {
        let step = Step::new(Policy::default());
        let mut stream = device_protocol("teltonika").unwrap().connect();
        let all = bytes(&[HELLO, RECORDS]);
        let (first, rest) = all.split_at(20);
        let mut out = Output::default();
        let taken = stream.take(&step, &message(first), false, &mut out);
        assert_eq!(
            (taken.used, &taken.reply[..], &taken.acknowledgement[..]),
            (17, &[1][..], &[][..])
        );
        assert_eq!(taken.identity.unwrap().to_string(), "imei:356307042441013");
        assert_eq!((out.pings, out.records.len()), (1, 0));
        let taken = stream.take(&step, &message(&[&first[17..], rest].concat()), false, &mut out);
        assert_eq!((&taken.reply[..], &taken.acknowledgement[..]), (&[][..], &[0, 0, 0, 1][..]));
        let [Record::Readings(record)] = &out.records[..] else { panic!("{out:?}") };
        let position = record.position.as_ref().expect("a position").position;
        assert_eq!((position.latitude_udeg, position.longitude_udeg), (-19_932_833, -43_938_493));
        let ignition = record.readings.iter().find(|reading| &*reading.channel == "ignition");
        assert_eq!(ignition.map(|reading| &reading.value), Some(&Value::Flag(true)));
    }

    /// What is held in quarantine can be read by itself, without its packet and its login.
    #[test]
    fn what_is_held_back_comes_out_again() {
        let gate =
            Gate::new(UnknownDevices::Quarantine, &nemeses_store::known::KnownDevices::default());
        let step = Step::new(Policy { gate, ..Policy::default() });
        let mut out = Output::default();
        let taken = device_protocol("teltonika").unwrap().connect().take(
            &step,
            &message(&bytes(&[HELLO, RECORDS])),
            false,
            &mut out,
        );
        assert_eq!((&taken.reply[..], &taken.acknowledgement[..]), (&[1][..], &[0, 0, 0, 1][..]));
        let [Record::DeadLetter(letter)] = &out.records[..] else { panic!("{out:?}") };
        assert_eq!(letter.reason, Reason::Quarantined);
        assert_eq!(letter.topic, "/telemetry/imei:356307042441013");
        let letter = letter.clone();
        let mut again = Output::default();
        let message = Message { topic: &letter.topic, payload: &letter.bytes, ..message(&[]) };
        Step::new(Policy::default()).take(&message, &mut again);
        let Some(Record::Readings(record)) = again.records.first() else { panic!("{again:?}") };
        assert_eq!(record.recorded_at_ms, 1_768_480_245_000);
    }

    /// A frame of 33 bytes may be the beginning of one of 35.
    #[test]
    fn a_frame_that_may_go_on_is_whole_at_rest() {
        let step = Step::new(Policy::default());
        let mut out = Output::default();
        let mut stream = device_protocol("sft9001").unwrap().connect();
        let frame = bytes(&["50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4"]);
        let taken = stream.take(&step, &message(&frame), false, &mut out);
        assert_eq!((taken.used, out.records.len()), (0, 0));
        let taken = stream.take(&step, &message(&frame[..20]), true, &mut out);
        assert_eq!((taken.used, out.records.len()), (0, 0), "this one is not whole");
        let taken = stream.take(&step, &message(&frame), true, &mut out);
        assert_eq!((taken.used, out.records.len()), (33, 1));
    }

    #[test]
    fn what_cannot_go_on_says_so() {
        let step = Step::new(Policy::default());
        let mut out = Output::default();
        let mut stream = device_protocol("gt06").unwrap().connect();
        let taken = stream.take(&step, &message(b"GET / HTTP/1.1"), false, &mut out);
        assert_eq!((taken.lost, taken.used), (Some(DecodeError::BadHeader), 14));
        assert!(taken.reply.is_empty() && taken.acknowledgement.is_empty());
        assert_eq!(out.records.len(), 1);
        assert!(device_protocol("nothing").is_none());
        assert_eq!(protocol_of_topic("tcp:gt06").map(DeviceProtocol::name), Some("gt06"));
        assert!(protocol_of_topic("/messenger").is_none() && protocol_of_topic("x:gt06").is_none());
    }
}
