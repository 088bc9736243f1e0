//! What a connection does with each packet, and how messages go out to it.

use std::sync::Arc;

use bytes::Bytes;
use nemeses_protocol::{Reply, TopicName};
use nemeses_runtime::traces::now_ns;
use tokio::time::Instant;

use super::acks::Due;
use super::connection::Connection;
use super::end::End;
use super::publish_span::Following;
use super::turn::{Queued, Turn};
use crate::commands::{Fate, Handed};
use crate::intake::{IntakeMessage, Receipt};
use crate::mailbox::Delivery;
use crate::message::Message;
use crate::packet::{
    Disconnect, OutPublish, Packet, Protocol, Publish, Qos, Reason, message_expiry, pingresp,
    puback, pubcomp, publish, pubrec, pubrel,
};
use crate::rights::{PublishRight, publish_right};
use crate::rumqttd_router::Heard;
use crate::shared::MESSAGE_OVERHEAD_BYTES;

/// Messages that may wait for a client's acknowledgements, or as many as may be
/// retained: a mailbox full, or one answer to a SUBSCRIBE.
const MOST_BACKLOG: usize = 256;

/// What goes out no further, if it is a command.
fn end(handed: Option<Handed>, fate: Fate) {
    if let Some(command) = handed {
        command.ends(fate);
    }
}

impl Connection {
    /// Handles a packet.
    pub(super) fn packet<'a>(
        &mut self,
        packet: Packet<'a>,
        turn: &mut Turn<'a>,
    ) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.publish(&publish, turn),
            Packet::PubAck(ack) => {
                self.outgoing.acknowledged(ack.packet_id, ack.reason);
                self.send_backlog()
            }
            Packet::PubRec(ack) => {
                let failed = ack.reason.is_error();
                let known = self.outgoing.received(ack.packet_id, failed);
                if !failed {
                    let reason = if known { Reason::SUCCESS } else { Reason::PACKET_ID_NOT_FOUND };
                    pubrel(&mut self.wire.out, self.protocol, ack.packet_id, reason);
                }
                self.send_backlog()
            }
            Packet::PubComp(ack) => {
                self.outgoing.completed(ack.packet_id);
                self.send_backlog()
            }
            Packet::PubRel(ack) if self.acks.release(ack.packet_id) => Ok(()),
            Packet::PubRel(ack) => {
                let known = self.received.remove(&ack.packet_id);
                let reason = if known { Reason::SUCCESS } else { Reason::PACKET_ID_NOT_FOUND };
                pubcomp(&mut self.wire.out, self.protocol, ack.packet_id, reason);
                Ok(())
            }
            Packet::Subscribe(subscribe) => {
                self.subscribe(&subscribe);
                Ok(())
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.unsubscribe(&unsubscribe);
                Ok(())
            }
            Packet::PingReq => {
                pingresp(&mut self.wire.out);
                Ok(())
            }
            Packet::Disconnect(Disconnect { reason }) => {
                Err(End::Left { with_will: reason != Reason::SUCCESS })
            }
            Packet::Connect(_) | Packet::Auth => Err(End::Refused(Reason::PROTOCOL_ERROR)),
        }
    }

    fn publish<'a>(&mut self, publish: &Publish<'a>, turn: &mut Turn<'a>) -> Result<(), End> {
        let packet_id = publish.packet_id;
        let exactly_once = publish.qos == Qos::ExactlyOnce;
        if exactly_once && self.received.contains(&packet_id) {
            // Sent again: received once, answered again unless the answer is due.
            if !self.acks.owes_received(packet_id) {
                self.acks.owe(Due::received(packet_id), None);
            }
            return Ok(());
        }
        let (name, right) = self.topic(publish.topic);
        let (reason, batch) = match right {
            PublishRight::Allowed => self.take(name, publish, turn),
            PublishRight::Dropped => (Reason::NO_MATCHING_SUBSCRIBERS, None),
            PublishRight::Refused => {
                let role = self.presence.role.label();
                self.shared().metrics().publish_refused(role);
                if self.protocol != Protocol::V5 {
                    // There is no way to refuse but to close (3.1.1, 3.3.5-2). MQTT 3.1 asks
                    // for an acknowledgement, which would mean that the message is stored.
                    return Err(End::Refused(Reason::NOT_AUTHORIZED));
                }
                (Reason::NOT_AUTHORIZED, None)
            }
        };
        if publish.qos == Qos::AtMostOnce {
            return Ok(());
        }
        if exactly_once && !reason.is_error() {
            self.received.insert(packet_id);
        }
        self.acks.owe(Due { packet_id, exactly_once, reason, released: false }, batch);
        let open = self.acks.owed_at_least_once() + self.received.len();
        let window = usize::from(self.shared().config.window_per_connection);
        if self.protocol == Protocol::V5 && open > window {
            return Err(End::Refused(Reason::RECEIVE_MAXIMUM_EXCEEDED));
        }
        Ok(())
    }

    /// A topic's meaning and whether this client may publish there. Clients stay with
    /// a topic, so that the last one is kept.
    fn topic(&mut self, topic: &str) -> (TopicName, PublishRight) {
        match &self.last_topic {
            Some((known, name, right)) if **known == *topic => (*name, *right),
            _ => {
                let topics = &self.shared().config.topics;
                let right = publish_right(self.presence.role, topics, topic);
                let name = topics.classify(topic);
                self.last_topic = Some((topic.into(), name, right));
                (name, right)
            }
        }
    }

    /// A topic that was just looked up, without a copy.
    fn shared_topic(&self, topic: &str) -> Arc<str> {
        match &self.last_topic {
            Some((known, ..)) if **known == *topic => Arc::clone(known),
            _ => topic.into(),
        }
    }

    /// Takes a message that is allowed: for the intake or for the router. Says
    /// the reason to acknowledge it with, and after which batch.
    fn take<'a>(
        &mut self,
        name: TopicName,
        publish: &Publish<'a>,
        turn: &mut Turn<'a>,
    ) -> (Reason, Option<u64>) {
        let shared = self.shared();
        let is_frames = name.is_for_intake();
        if shared.intake.is_some() && is_frames {
            if shared.hub.has_subscriber(publish.topic) {
                let payload = Bytes::copy_from_slice(publish.payload);
                shared.show(publish.topic, &payload, publish.qos);
            }
            let tracer = &shared.config.tracer;
            if tracer.is_on() {
                let (speaker, index) = (self.presence.role.speaker(), turn.messages.len());
                turn.followed.extend(Following::begin(tracer, publish, speaker, index));
            }
            turn.bytes += publish.payload.len();
            turn.messages.push(IntakeMessage { topic: publish.topic, payload: publish.payload });
            return (Reason::SUCCESS, Some(self.acks.next_batch()));
        }
        let message = Message {
            publisher: self.presence.number,
            topic: self.shared_topic(publish.topic),
            payload: Bytes::copy_from_slice(publish.payload),
            qos: publish.qos,
            retain: publish.retain,
            properties: Bytes::copy_from_slice(publish.properties),
        };
        (shared.publish(name, message), None)
    }

    /// Hands the frames of a read to the intake, and its replies to whom they
    /// belong.
    pub(super) fn hand_over(&mut self, turn: Turn<'_>) {
        let Turn { messages, bytes, followed } = turn;
        let shared = &self.presence.shared;
        let Some(intake) = shared.intake.as_ref().filter(|_| !messages.is_empty()) else {
            return;
        };
        let bytes = bytes + messages.len() * MESSAGE_OVERHEAD_BYTES;
        shared.metrics().frames_in.inc_by(u64::try_from(messages.len()).unwrap_or(0));
        let batch = self.acks.open(messages.len(), bytes);
        let mailbox = Arc::clone(&self.presence.mailbox);
        let receipt = Receipt::for_connection(mailbox, batch, shared.pool.take(bytes))
            .following(followed.iter().map(Following::ticket).collect());
        let speaker = self.presence.role.speaker();
        for reply in intake.take(&speaker, &messages, receipt) {
            self.reply(reply);
        }
        self.follow.keep(followed);
    }

    /// A reply goes to this connection if it listens, else to another that does.
    fn reply(&mut self, reply: Reply) {
        let shared = Arc::clone(self.shared());
        let payload = Bytes::from(reply.payload);
        shared.metrics().replies.inc();
        let Some(subscription) = self.presence.subscriptions.for_reply(reply.device) else {
            shared.reply(reply.device, payload, Qos::AtMostOnce);
            return;
        };
        let delivery = Delivery {
            topic: (*subscription.filter).into(),
            payload: payload.clone(),
            qos: Qos::AtMostOnce,
            handed: None,
        };
        self.deliver(delivery);
        shared.show(&shared.config.topics.ping_of(reply.device), &payload, Qos::AtMostOnce);
    }

    /// Writes the acknowledgements that are due, all into one write.
    pub(super) fn acknowledge(&mut self) {
        let since_ns = (!self.follow.is_empty()).then(now_ns);
        while let Some(Due { packet_id, exactly_once, reason, released }) = self.acks.next_due() {
            let write = if exactly_once { pubrec } else { puback };
            write(&mut self.wire.out, self.protocol, packet_id, reason);
            if released {
                self.received.remove(&packet_id);
                pubcomp(&mut self.wire.out, self.protocol, packet_id, Reason::SUCCESS);
            }
            self.shared().metrics().acknowledged.inc();
            if let Some(since_ns) = since_ns {
                let tracer = &self.presence.shared.config.tracer;
                self.follow.acknowledged(tracer, packet_id, since_ns);
            }
        }
    }

    /// Sends a message that the door delivers itself.
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        let subscription_ids = self.presence.subscriptions.ids_of(&delivery.topic);
        self.send(Queued {
            topic: delivery.topic,
            payload: delivery.payload,
            qos: delivery.qos,
            retain: false,
            properties: Bytes::new(),
            subscription_ids,
            handed: delivery.handed,
        });
    }

    /// Sends a message that the router carried, if this client listens to it.
    pub(super) fn heard(&mut self, heard: Heard) {
        let shared = Arc::clone(self.shared());
        shared.metrics().missed.inc_by(heard.missed);
        let (message, published_ms) = (heard.envelope.message, heard.envelope.published_ms);
        let own = message.publisher == self.presence.number;
        let subscriptions = &self.presence.subscriptions;
        let matched = subscriptions.routed(&message.topic, message.qos, message.retain, own);
        let age_ms = shared.hub.router_now_ms().saturating_sub(published_ms);
        if let Some(matched) = matched
            && let Some(properties) = message.properties_after(age_ms)
        {
            self.send(Queued {
                topic: message.topic,
                payload: message.payload,
                qos: matched.qos,
                retain: matched.retain,
                properties,
                subscription_ids: matched.ids,
                handed: None,
            });
        }
    }

    /// Sends a message, or queues it when too many are unacknowledged.
    pub(super) fn send(&mut self, mut queued: Queued) {
        if queued.qos > Qos::AtMostOnce && !self.outgoing.has_room() {
            if self.backlog.len() < self.shared().config.max_retained.max(MOST_BACKLOG) {
                self.backlog.push_back(queued);
            } else {
                self.shared().metrics().missed.inc();
                end(queued.handed, Fate::NoRoom);
            }
            return;
        }
        let handed = queued.handed.take();
        if let Some(command) = &handed {
            match command.seconds_left(Instant::now()) {
                // An MQTT 5 client may pass it on, and must know for how long.
                Some(seconds) => queued.properties = message_expiry(seconds),
                None => return end(handed, Fate::Late),
            }
        }
        let mut message = OutPublish {
            topic: &queued.topic,
            payload: &queued.payload,
            qos: queued.qos,
            retain: queued.retain,
            packet_id: 0,
            properties: &queued.properties,
            subscription_ids: &queued.subscription_ids,
        };
        // A packet that the client does not take is not sent (MQTT 5, 3.1.2.11.4).
        if message.packet_bytes(self.protocol) <= self.client_packet_limit {
            message.packet_id = self.outgoing.send(queued.qos);
            publish(&mut self.wire.out, self.protocol, &message);
            if let Some(command) = handed {
                self.outgoing.keep(message.packet_id, command);
            }
        } else {
            end(handed, Fate::TooLarge);
        }
    }

    /// Sends what waited for room, then what others left in the mailbox.
    #[expect(clippy::unnecessary_wraps, reason = "the arms of `packet` end alike")]
    fn send_backlog(&mut self) -> Result<(), End> {
        while self.outgoing.has_room()
            && let Some(queued) = self.backlog.pop_front()
        {
            self.send(queued);
        }
        if self.can_send() {
            for delivery in self.presence.mailbox.deliveries() {
                self.deliver(delivery);
            }
        }
        Ok(())
    }
}
