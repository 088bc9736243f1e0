//! Devices that speak a protocol of their own, over TCP or UDP: the seam to what decodes them.
//!
//! Such a connection has the MQTT listener's bounds: the same pool of what waits for its commit,
//! the same table of silent connections, the same number of clients. What a device is answered
//! after the commit waits for its [`Receipt`].

mod commands;
mod datagrams;
mod tcp;

use std::net::SocketAddr;

use nemeses_protocol::{CommandAnswer, CommandKey, Identity};

use crate::intake::Receipt;

pub(crate) use datagrams::Datagrams;
pub(crate) use tcp::serve;

/// Where devices of a protocol are listened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceListen {
    /// The protocol's name.
    pub protocol: &'static str,
    /// Whether by TLS; never over UDP.
    pub tls: bool,
    /// Where. Port 0 takes a free one.
    pub listen: SocketAddr,
}

/// What was made of some bytes of a device.
#[derive(Debug, Default)]
pub struct DeviceTaken {
    /// So many bytes were used; the others come again, in front of those that follow.
    pub used: usize,
    /// What is answered at once.
    pub reply: Vec<u8>,
    /// What is answered when all that was taken is durable.
    pub acknowledgement: Vec<u8>,
    /// Who speaks, as soon as that is known.
    pub identity: Option<Identity>,
    /// Answers to commands.
    pub answers: Vec<CommandAnswer>,
    /// Good frames.
    pub frames: u32,
    /// Whether there is anything to keep: then [`DeviceSession::commit`] must follow.
    pub keeps: bool,
    /// The word for why the connection cannot go on, if it cannot.
    pub lost: Option<&'static str>,
}

/// A device's connection, on the side of what decodes it.
pub trait DeviceSession: Send {
    /// Takes what was read and not used before. Decodes at once and does not wait. `at_rest`:
    /// nothing has come for a while, so what is there may be whole.
    fn take(&mut self, bytes: &[u8], at_rest: bool) -> DeviceTaken;

    /// The bytes of a command to the device, and by what its answer is known; `None` when its
    /// protocol cannot say it. Only asked of connections.
    fn command(&mut self, _payload: &[u8]) -> Option<(Vec<u8>, CommandKey)> {
        None
    }

    /// Hands over what was taken last; the receipt is marked when it is durable.
    fn commit(&mut self, receipt: Receipt);
}

/// What decodes devices and sees to the commit of what they say.
pub trait Devices: Send + Sync + 'static {
    /// Begins a connection of a protocol.
    fn connect(&self, protocol: &'static str) -> Box<dyn DeviceSession>;

    /// The session of datagrams of a protocol, each of which is whole.
    fn datagrams(&self, protocol: &'static str) -> Box<dyn DeviceSession>;
}
