//! What a connection listens to, and what of a message it is to get: pure.

use nemeses_protocol::{DeviceId, topic_matches};

use crate::packet::{Filter, Qos};
use crate::rights::Wanted;

/// One subscription.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) filter: Box<str>,
    pub(super) wanted: Wanted,
    pub(super) qos: Qos,
    no_local: bool,
    retain_as_published: bool,
    pub(super) id: Option<u32>,
}

impl Subscription {
    pub(super) fn new(filter: &Filter<'_>, wanted: Wanted, id: Option<u32>) -> Self {
        Self {
            filter: filter.filter.into(),
            wanted,
            qos: wanted.granted(filter.qos),
            no_local: filter.no_local,
            retain_as_published: filter.retain_as_published,
            id,
        }
    }

    /// Of a device that does not speak MQTT.
    pub(super) fn to_commands(filter: String, device: DeviceId) -> Self {
        Self {
            filter: filter.into(),
            wanted: Wanted::CommandsFor(device),
            qos: Qos::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            id: None,
        }
    }
}

/// How a message is to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) ids: Vec<u32>,
}

/// All subscriptions of a connection; few.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(Vec<Subscription>);

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, filter: &str) -> bool {
        self.0.iter().any(|subscription| &*subscription.filter == filter)
    }

    /// Adds a subscription or replaces the one with the same filter; whether it
    /// is new.
    pub(super) fn set(&mut self, subscription: Subscription) -> bool {
        let old = self.0.iter_mut().find(|old| old.filter == subscription.filter);
        let is_new = old.is_none();
        if let Some(old) = old {
            *old = subscription;
        } else {
            self.0.push(subscription);
        }
        is_new
    }

    pub(super) fn remove(&mut self, filter: &str) -> Option<Subscription> {
        let at = self.0.iter().position(|subscription| &*subscription.filter == filter)?;
        Some(self.0.swap_remove(at))
    }

    pub(super) fn take_all(&mut self) -> Vec<Subscription> {
        std::mem::take(&mut self.0)
    }

    pub(super) fn is_routed(&self) -> bool {
        self.0.iter().any(|subscription| subscription.wanted == Wanted::Routed)
    }

    /// On which subscription a reply to a device's ping goes to the connection
    /// that pinged: its own topic before the shared one.
    pub(super) fn for_reply(&self, device: DeviceId) -> Option<&Subscription> {
        let with = |wanted| self.0.iter().find(move |subscription| subscription.wanted == wanted);
        with(Wanted::RepliesTo(device)).or_else(|| with(Wanted::OwnReplies))
    }

    /// Identifiers of the subscription with this filter.
    pub(super) fn ids_of(&self, filter: &str) -> Vec<u32> {
        self.0.iter().filter(|one| &*one.filter == filter).filter_map(|one| one.id).collect()
    }

    /// Whether and how a routed message is delivered. Overlapping subscriptions
    /// make one delivery at the highest quality (MQTT 5, 3.3.4).
    pub(super) fn routed(&self, topic: &str, qos: Qos, retain: bool, own: bool) -> Option<Match> {
        let mut found: Option<Match> = None;
        for subscription in &self.0 {
            let hears = subscription.wanted == Wanted::Routed
                && !(own && subscription.no_local)
                && topic_matches(&subscription.filter, topic);
            if !hears {
                continue;
            }
            let best =
                found.get_or_insert(Match { qos: Qos::AtMostOnce, retain: false, ids: Vec::new() });
            best.qos = best.qos.max(subscription.qos.min(qos));
            best.retain |= retain && subscription.retain_as_published;
            best.ids.extend(subscription.id);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::RetainHandling;

    fn subscription(filter: &str, wanted: Wanted, qos: Qos, no_local: bool) -> Subscription {
        let filter = Filter {
            filter,
            qos,
            no_local,
            retain_as_published: no_local,
            retain_handling: RetainHandling::Send,
        };
        Subscription::new(&filter, wanted, Some(u32::from(qos.bits()) + 1))
    }

    #[test]
    fn overlapping_filters_make_one_delivery_at_the_highest_quality() {
        let mut all = Subscriptions::default();
        assert!(all.set(subscription("a/#", Wanted::Routed, Qos::AtMostOnce, false)));
        assert!(all.set(subscription("a/+", Wanted::Routed, Qos::ExactlyOnce, true)));
        assert!(!all.set(subscription("a/#", Wanted::Routed, Qos::AtMostOnce, false)));
        let both = Match { qos: Qos::AtLeastOnce, retain: true, ids: vec![1, 3] };
        assert_eq!(all.routed("a/b", Qos::AtLeastOnce, true, false), Some(both));
        let own = Match { qos: Qos::AtMostOnce, retain: false, ids: vec![1] };
        assert_eq!(all.routed("a/b", Qos::AtLeastOnce, true, true), Some(own));
        assert_eq!(all.routed("b", Qos::AtLeastOnce, false, false), None);
    }

    #[test]
    fn a_reply_goes_to_the_devices_own_topic_first() {
        let (mut all, device) = (Subscriptions::default(), DeviceId::new(5));
        assert!(all.for_reply(device).is_none());
        all.set(subscription("/ping", Wanted::OwnReplies, Qos::AtMostOnce, false));
        assert_eq!(&*all.for_reply(device).unwrap().filter, "/ping");
        let own = Wanted::RepliesTo(device);
        all.set(subscription("/ping/000005", own, Qos::AtMostOnce, false));
        assert_eq!(&*all.for_reply(device).unwrap().filter, "/ping/000005");
        assert!(!all.is_routed());
        assert!(all.remove("/ping/000005").is_some());
        assert!(all.remove("/ping/000005").is_none());
    }
}
