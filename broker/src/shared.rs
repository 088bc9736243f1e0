//! What every connection of a door has a hold of.

use std::sync::Arc;

use bytes::Bytes;
use nemeses_protocol::{DeviceId, TopicName};

use crate::auth::{Authenticator, Role};
use crate::commands::CommandKeeper;
use crate::config::DoorConfig;
use crate::devices::Devices;
use crate::handshakes::Handshakes;
use crate::hub::{Call, Hub};
use crate::intake::{Intake, IntakeMessage, Receipt};
use crate::message::Message;
use crate::metrics::Metrics;
use crate::packet::{Qos, Reason};
use crate::pool::Pool;

/// A reply or command for a device that nobody here listens for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// A ping's answer.
    Reply(DeviceId, Bytes),
    /// A command.
    Command(DeviceId, Bytes),
}

/// Takes what is for a device on another node. Called on connections' tasks: it
/// must not wait.
pub trait Relay: Send + Sync + 'static {
    /// Takes one.
    fn relay(&self, undelivered: Undelivered);
}

/// What a message costs in memory beside its payload: its topic's and its
/// record's share, and the acknowledgement owed.
pub(crate) const MESSAGE_OVERHEAD_BYTES: usize = 96;

/// The door's configuration and state.
pub(crate) struct Shared {
    pub(crate) config: DoorConfig,
    pub(crate) hub: Hub,
    pub(crate) handshakes: Handshakes,
    pub(crate) pool: Pool,
    pub(crate) intake: Option<Arc<dyn Intake>>,
    pub(crate) rights: Arc<dyn Authenticator>,
    pub(crate) devices: Option<Arc<dyn Devices>>,
    pub(crate) relay: Option<Arc<dyn Relay>>,
    pub(crate) commands: Option<Arc<dyn CommandKeeper>>,
}

impl Shared {
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.hub.metrics
    }

    /// The packet limit of a role, bytes.
    pub(crate) fn packet_limit(&self, role: Role) -> usize {
        match role {
            Role::Device(_) | Role::Gateway => self.config.max_device_packet_bytes,
            Role::Anonymous | Role::Worker | Role::Operator => self.config.max_packet_bytes,
        }
    }

    /// Sends a reply to whoever listens for it here, and shows it to those who
    /// watch; passes it on when nobody took it.
    pub(crate) fn reply(&self, device: DeviceId, payload: Bytes, qos: Qos) -> Reason {
        let taken = self.hub.reply(device, &payload, qos);
        let seen = self.show(&self.config.topics.ping_of(device), &payload, qos);
        self.told(taken, seen, Undelivered::Reply(device, payload))
    }

    /// The same for a command.
    pub(crate) fn command(&self, device: DeviceId, payload: Bytes, qos: Qos) -> Reason {
        let taken = self.hub.call(Call::Command(device), &payload, qos);
        let seen = self.show(&self.config.topics.command_of(device), &payload, qos);
        self.told(taken, seen, Undelivered::Command(device, payload))
    }

    fn told(&self, taken: usize, seen: Reason, undelivered: Undelivered) -> Reason {
        if taken > 0 {
            return Reason::SUCCESS;
        }
        self.metrics().undelivered.inc();
        match &self.relay {
            Some(relay) => {
                relay.relay(undelivered);
                Reason::SUCCESS
            }
            None => seen,
        }
    }

    /// Shows a message that the door delivers itself to those who watch by way of
    /// the router.
    pub(crate) fn show(&self, topic: &str, payload: &Bytes, qos: Qos) -> Reason {
        if !self.hub.has_subscriber(topic) {
            return Reason::NO_MATCHING_SUBSCRIBERS;
        }
        self.hub.route(Message {
            publisher: 0,
            topic: topic.into(),
            payload: payload.clone(),
            qos,
            retain: false,
            properties: Bytes::new(),
        })
    }

    /// Publishes a message that no intake takes.
    pub(crate) fn publish(&self, name: TopicName, message: Message) -> Reason {
        match name {
            TopicName::PingOf(device) => self.reply(device, message.payload, message.qos),
            TopicName::CommandOf(device) => self.command(device, message.payload, message.qos),
            TopicName::Ping => {
                let taken = self.hub.call(Call::AnyReply, &message.payload, message.qos);
                let routed = self.hub.route(Message { retain: false, ..message });
                if taken > 0 { Reason::SUCCESS } else { routed }
            }
            _ => self.hub.route(message),
        }
    }

    /// Publishes a will: through the intake or the router, as its topic says.
    pub(crate) fn publish_will(&self, role: Role, will: Message) {
        let name = self.config.topics.classify(&will.topic);
        let is_frames = name.is_for_intake();
        let Some(intake) = self.intake.as_ref().filter(|_| is_frames) else {
            self.publish(name, will);
            return;
        };
        self.show(&will.topic, &will.payload, will.qos);
        let room = self.pool.take(will.payload.len() + MESSAGE_OVERHEAD_BYTES);
        let message = IntakeMessage { topic: &will.topic, payload: &will.payload };
        for reply in intake.take(&role.speaker(), &[message], Receipt::for_nobody(room)) {
            self.reply(reply.device, reply.payload.into(), Qos::AtMostOnce);
        }
    }
}
