//! Devices that speak a protocol of their own, from the listener through the step to the
//! exporter: the same way as messages, with what a protocol remembers of a connection.

use std::sync::Arc;

use nemeses_broker::{DeviceSession, DeviceTaken, Devices, Receipt};
use nemeses_parser::{
    DeviceProtocol, DeviceStream, Given, Giver, Message, Output, Step, Taken, device_protocol,
};
use nemeses_protocol::{CommandKey, Speaker};
use nemeses_runtime::Clock;

use super::intake::{NodeIntake, held_bytes};

/// What decodes for listeners of devices, and sees to it that what they say becomes durable.
pub(crate) trait Keeper: Send + Sync + 'static {
    fn step(&self) -> &Step;
    fn clock(&self) -> &Clock;
    /// The receipt is marked when everything in `out` is durable.
    fn keep(&self, out: Output, received_at_ms: u64, receipt: Receipt);
}

impl Keeper for NodeIntake {
    fn step(&self) -> &Step {
        &self.step
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn keep(&self, out: Output, received_at_ms: u64, receipt: Receipt) {
        self.hand_over(out, received_at_ms, receipt, &[]);
    }
}

/// The devices of a parser: what they say goes to its worker, and from there to `/DB`.
pub(crate) struct ParserDevices {
    pub(crate) step: Step,
    pub(crate) clock: Clock,
    pub(crate) giver: Giver,
}

impl Keeper for ParserDevices {
    fn step(&self) -> &Step {
        &self.step
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn keep(&self, out: Output, received_at_ms: u64, mut receipt: Receipt) {
        receipt.weighs(out.records.iter().map(held_bytes).sum());
        let handed_over = Box::new(move || receipt.committed());
        self.giver.give(Given { out, received_at_ms, handed_over });
    }
}

/// Devices of other protocols, wherever what they say goes.
pub(crate) struct ForeignDevices(pub(crate) Arc<dyn Keeper>);

impl Devices for ForeignDevices {
    fn connect(&self, protocol: &'static str) -> Box<dyn DeviceSession> {
        let stream = device_protocol(protocol).map(DeviceProtocol::connect);
        Box::new(Session::new(&self.0, "tcp", protocol, stream))
    }

    fn datagrams(&self, protocol: &'static str) -> Box<dyn DeviceSession> {
        Box::new(Session::new(&self.0, "udp", protocol, None))
    }
}

struct Session {
    keeper: Arc<dyn Keeper>,
    /// What dead letters are said to have come by.
    topic: String,
    protocol: &'static str,
    /// None when each that is taken is whole.
    stream: Option<Box<dyn DeviceStream>>,
    /// What was taken last, and when.
    taken: (Output, u64),
}

impl Session {
    fn new(
        keeper: &Arc<dyn Keeper>,
        way: &str,
        protocol: &'static str,
        stream: Option<Box<dyn DeviceStream>>,
    ) -> Self {
        let topic = format!("{way}:{protocol}");
        Self { keeper: Arc::clone(keeper), topic, protocol, stream, taken: Default::default() }
    }
}

impl DeviceSession for Session {
    fn take(&mut self, bytes: &[u8], at_rest: bool) -> DeviceTaken {
        let received_at_ms = self.keeper.clock().now_ms();
        let (topic, speaker) = (self.topic.as_str(), Speaker::Any);
        let message = Message { topic, payload: bytes, received_at_ms, speaker };
        let (step, mut out) = (self.keeper.step(), Output::default());
        let taken = match (&mut self.stream, device_protocol(self.protocol)) {
            (Some(stream), _) => stream.take(step, &message, at_rest, &mut out),
            (None, Some(protocol)) => protocol.take_whole(step, &message, &mut out),
            (None, None) => Taken::default(),
        };
        let keeps = !out.records.is_empty() || out.pings > 0;
        self.taken = (out, received_at_ms);
        let Taken { used, reply, acknowledgement, identity, answers, frames, lost } = taken;
        let lost = lost.map(nemeses_protocol::DecodeError::code);
        DeviceTaken { used, reply, acknowledgement, identity, answers, frames, keeps, lost }
    }

    fn command(&mut self, payload: &[u8]) -> Option<(Vec<u8>, CommandKey)> {
        self.stream.as_mut()?.command(payload)
    }

    fn commit(&mut self, receipt: Receipt) {
        let (out, received_at_ms) = std::mem::take(&mut self.taken);
        self.keeper.keep(out, received_at_ms, receipt);
    }
}
