//! SUBSCRIBE and UNSUBSCRIBE of a connection.

use super::connection::Connection;
use super::subscriptions::Subscription;
use super::turn::Queued;
use crate::packet::{
    Filter, Protocol, Reason, RetainHandling, Subscribe, Unsubscribe, suback, unsuback,
};
use crate::rights::{Wanted, may_subscribe};

impl Connection {
    pub(super) fn subscribe(&mut self, subscribe: &Subscribe<'_>) {
        let (mut codes, mut retained_of) = (Vec::new(), Vec::new());
        for filter in &subscribe.filters {
            match self.subscribe_one(filter, subscribe.subscription_id) {
                Ok((wanted, is_new)) => {
                    codes.push(Reason(wanted.granted(filter.qos).bits()));
                    let wants_retained = match filter.retain_handling {
                        RetainHandling::Send => true,
                        RetainHandling::SendIfNew => is_new,
                        RetainHandling::Withhold => false,
                    };
                    if wanted == Wanted::Routed && wants_retained {
                        retained_of.push(filter);
                    }
                }
                // MQTT 3.1 (3.9) cannot say no: what was asked for is granted, and brings
                // nothing.
                Err(_) if self.protocol == Protocol::V31 => codes.push(Reason(filter.qos.bits())),
                Err(reason) => codes.push(reason),
            }
        }
        suback(&mut self.wire.out, self.protocol, subscribe.packet_id, &codes);
        for filter in retained_of {
            self.send_retained(filter, subscribe.subscription_id);
        }
    }

    fn subscribe_one(
        &mut self,
        filter: &Filter<'_>,
        id: Option<u32>,
    ) -> Result<(Wanted, bool), Reason> {
        let config = &self.shared().config;
        let wanted = may_subscribe(self.presence.role, &config.topics, filter.filter)?;
        let subscriptions = &self.presence.subscriptions;
        if !subscriptions.contains(filter.filter) && subscriptions.len() >= config.max_subscriptions
        {
            return Err(Reason::QUOTA_EXCEEDED);
        }
        if wanted == Wanted::Routed && self.link.is_none() {
            // Waits, on this thread, for one turn of the router.
            let link = self.shared().hub.open_link().map_err(|_| Reason::UNSPECIFIED)?;
            self.link = Some(Box::new(link.ok_or(Reason::QUOTA_EXCEEDED)?));
        }
        let is_new = self.presence.subscribe(Subscription::new(filter, wanted, id));
        Ok((wanted, is_new))
    }

    fn send_retained(&mut self, filter: &Filter<'_>, id: Option<u32>) {
        for message in self.shared().hub.retained(filter.filter) {
            self.send(Queued {
                topic: message.topic,
                payload: message.payload,
                qos: message.qos.min(filter.qos),
                retain: true,
                properties: message.properties,
                subscription_ids: id.into_iter().collect(),
                handed: None,
            });
        }
    }

    pub(super) fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) {
        let mut codes = Vec::new();
        for filter in &unsubscribe.filters {
            let removed = self.presence.unsubscribe(filter);
            codes.push(if removed { Reason::SUCCESS } else { Reason::NO_SUBSCRIPTION });
        }
        if !self.presence.subscriptions.is_routed() {
            self.link = None;
        }
        unsuback(&mut self.wire.out, self.protocol, unsubscribe.packet_id, &codes);
    }
}
