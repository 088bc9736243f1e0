//! What each role may publish and subscribe: pure rules, tested as a table.

use nemeses_protocol::{DeviceId, TopicName, Topics};

use crate::auth::Role;
use crate::packet::{Qos, Reason, valid_filter};

/// Where a bridge of Mosquitto tells its far end that it is connected: as a retained
/// message and as its will.
const BRIDGE_STATE: &str = "$SYS/broker/connection/";

/// How the door serves a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The shared reply topic: replies to this connection's own pings.
    OwnReplies,
    /// Replies to one device.
    RepliesTo(DeviceId),
    /// Commands for one device.
    CommandsFor(DeviceId),
    /// Anything else, by way of the router.
    Routed,
}

impl Wanted {
    /// The quality that a subscription is granted: commands go out at QoS 1 at most.
    pub(crate) fn granted(self, asked: Qos) -> Qos {
        match self {
            Self::CommandsFor(_) => asked.min(Qos::AtLeastOnce),
            _ => asked,
        }
    }
}

/// What becomes of a message by its topic and its publisher's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublishRight {
    Allowed,
    /// Acknowledged and forgotten.
    Dropped,
    Refused,
}

/// What becomes of a message on a (valid) topic name.
pub(crate) fn publish_right(role: Role, topics: &Topics, topic: &str) -> PublishRight {
    if topic.starts_with(BRIDGE_STATE) {
        PublishRight::Dropped
    } else if may_publish(role, topics, topic) {
        PublishRight::Allowed
    } else {
        PublishRight::Refused
    }
}

/// Whether a role may publish on a (valid) topic name.
///
/// Nobody publishes below `$`, nor below one of our topics with something that
/// is no device id: such a message would be acknowledged and reach nobody.
pub fn may_publish(role: Role, topics: &Topics, topic: &str) -> bool {
    let name = topics.classify(topic);
    if topic.starts_with('$') || (name == TopicName::Other && below_ours(topics, topic)) {
        return false;
    }
    match role {
        Role::Anonymous => true,
        Role::Device(own) => match name {
            // Whose values they may be is decided with the payload, as for frames.
            TopicName::Messenger
            | TopicName::Telemetry
            | TopicName::OwnTracks
            | TopicName::Mapped => true,
            TopicName::MessengerOf(device) => device == own,
            _ => false,
        },
        Role::Gateway => name.is_for_intake(),
        Role::Worker => {
            use TopicName::{Alert, Db, Ping, PingOf};
            matches!(name, Ping | PingOf(_) | Db | Alert)
        }
        Role::Operator => matches!(name, TopicName::CommandOf(_) | TopicName::Other),
    }
}

/// What edges of Sparkplug listen to: commands for them and their devices, and whether their
/// host application is there.
fn is_for_edges(topics: &Topics, filter: &str) -> bool {
    let listens = topics.mapped.iter().any(|filter| filter.starts_with("spBv1.0/"));
    let mut levels = filter.split('/');
    let kinds = (levels.next(), levels.next(), levels.next());
    let is_for_them = match kinds {
        (Some("spBv1.0"), Some("STATE"), Some(_)) => true,
        (Some("spBv1.0"), Some(_), Some(kind)) => matches!(kind, "NCMD" | "DCMD"),
        _ => false,
    };
    listens && is_for_them
}

fn below_ours(topics: &Topics, topic: &str) -> bool {
    let below =
        |ours: &String| topic.strip_prefix(ours.as_str()).is_some_and(|rest| rest.starts_with('/'));
    topic == topics.command
        || topic == topics.telemetry
        || [&topics.messenger, &topics.ping, &topics.command, &topics.telemetry]
            .into_iter()
            .any(below)
}

/// How a subscription is served.
///
/// # Errors
/// The reason code of its refusal.
pub fn may_subscribe(role: Role, topics: &Topics, filter: &str) -> Result<Wanted, Reason> {
    if filter == "$share" || filter.starts_with("$share/") {
        return Err(Reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED);
    }
    if !valid_filter(filter) {
        return Err(Reason::TOPIC_FILTER_INVALID);
    }
    let wanted = match topics.classify(filter) {
        TopicName::Ping => Wanted::OwnReplies,
        TopicName::PingOf(device) => Wanted::RepliesTo(device),
        TopicName::CommandOf(device) => Wanted::CommandsFor(device),
        _ => Wanted::Routed,
    };
    let allowed = match role {
        Role::Anonymous | Role::Operator => true,
        Role::Device(own) => match wanted {
            Wanted::OwnReplies => true,
            Wanted::RepliesTo(device) | Wanted::CommandsFor(device) => device == own,
            Wanted::Routed => false,
        },
        Role::Gateway => {
            wanted != Wanted::Routed || is_for_edges(topics, filter) || {
                let each = |ours: &str| filter.strip_prefix(ours) == Some("/+");
                each(&topics.ping) || each(&topics.command)
            }
        }
        Role::Worker => {
            let frames = filter.strip_prefix(topics.messenger.as_str());
            let values = filter.strip_prefix(topics.telemetry.as_str());
            filter == topics.db
                || matches!(frames, Some("" | "/+" | "/#"))
                || matches!(values, Some("/+" | "/#"))
                || topics.mapped.iter().any(|mapped| mapped == filter)
        }
    };
    if allowed { Ok(wanted) } else { Err(Reason::NOT_AUTHORIZED) }
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::DeviceNames;

    use super::*;

    const OWN: DeviceId = DeviceId::new(0x000A_3F73);
    const ROLES: [Role; 5] =
        [Role::Anonymous, Role::Device(OWN), Role::Gateway, Role::Worker, Role::Operator];

    /// One row a topic: who may publish there, in the order of `ROLES`.
    #[test]
    fn publish_rights() {
        let topics = Topics::default();
        for (topic, allowed) in [
            ("/messenger", [true, true, true, false, false]),
            ("/messenger/0A3F73", [true, true, true, false, false]),
            ("/messenger/0a3f73", [true, true, true, false, false]),
            ("/messenger/000001", [true, false, true, false, false]),
            ("/messenger/not-an-id", [false, false, false, false, false]),
            ("/telemetry/0A3F73", [true, true, true, false, false]),
            ("/telemetry/imei:356307042441013", [true, true, true, false, false]),
            ("/telemetry", [false, false, false, false, false]),
            ("/telemetry/not-an-id", [false, false, false, false, false]),
            ("/ping", [true, false, false, true, false]),
            ("/ping/0A3F73", [true, false, false, true, false]),
            ("/ping/zz", [false, false, false, false, false]),
            ("/DB", [true, false, false, true, false]),
            ("/command", [false, false, false, false, false]),
            ("/command/0A3F73", [true, false, false, false, true]),
            ("/command/0A3F73/x", [false, false, false, false, false]),
            ("/alert/0A3F73", [true, false, false, true, false]),
            ("weather/today", [true, false, false, false, true]),
            ("/messengers", [true, false, false, false, true]),
            ("ärger", [true, false, false, false, true]),
            ("$SYS/broker", [false, false, false, false, false]),
            ("$share/a/b", [false, false, false, false, false]),
        ] {
            let found = ROLES.map(|role| may_publish(role, &topics, topic));
            assert_eq!(found, allowed, "{topic}");
        }
    }

    /// One row a filter: who may subscribe to it, in the order of `ROLES`.
    #[test]
    fn subscribe_rights() {
        let topics = Topics::default();
        for (filter, allowed) in [
            ("/ping", [true, true, true, false, true]),
            ("/ping/0A3F73", [true, true, true, false, true]),
            ("/ping/000001", [true, false, true, false, true]),
            ("/ping/+", [true, false, true, false, true]),
            ("/ping/#", [true, false, false, false, true]),
            ("/command/0A3F73", [true, true, true, false, true]),
            ("/command/000001", [true, false, true, false, true]),
            ("/command/+", [true, false, true, false, true]),
            ("/messenger", [true, false, false, true, true]),
            ("/messenger/+", [true, false, false, true, true]),
            ("/messenger/#", [true, false, false, true, true]),
            ("/telemetry/+", [true, false, false, true, true]),
            ("/telemetry/0A3F73", [true, false, false, false, true]),
            ("/DB", [true, false, false, true, true]),
            ("#", [true, false, false, false, true]),
            ("+/+", [true, false, false, false, true]),
            ("/alert/+", [true, false, false, false, true]),
            ("/alert/0A3F73", [true, false, false, false, true]),
            ("weather/#", [true, false, false, false, true]),
        ] {
            let found = ROLES.map(|role| may_subscribe(role, &topics, filter).is_ok());
            assert_eq!(found, allowed, "{filter}");
        }
    }

    #[test]
    fn mapped_topics_are_for_devices_and_workers() {
        let topics = Topics { mapped: vec!["sensors/+/up".to_owned()], ..Topics::default() };
        let may = ROLES.map(|role| may_publish(role, &topics, "sensors/a/up"));
        assert_eq!(may, [true, true, true, false, false]);
        let may = ROLES.map(|role| may_subscribe(role, &topics, "sensors/+/up").is_ok());
        assert_eq!(may, [true, false, false, true, true]);
    }

    #[test]
    fn edges_hear_what_is_for_them() {
        let mapped = vec!["spBv1.0/+/NBIRTH/+".to_owned()];
        let topics = Topics { mapped, ..Topics::default() };
        for (filter, may) in [
            ("spBv1.0/G/NCMD/E", true),
            ("spBv1.0/G/NCMD/E/#", true),
            ("spBv1.0/G/DCMD/E/#", true),
            ("spBv1.0/STATE/nemeses", true),
            ("spBv1.0/G/NDATA/E", false),
            ("spBv1.0/#", false),
        ] {
            assert_eq!(may_subscribe(Role::Gateway, &topics, filter).is_ok(), may, "{filter}");
            assert!(may_subscribe(Role::Device(OWN), &topics, filter).is_err(), "{filter}");
            let without = Topics::default();
            assert!(may_subscribe(Role::Gateway, &without, filter).is_err(), "{filter}");
        }
    }

    #[test]
    fn a_named_device_has_the_topics_of_its_name() {
        let own = DeviceId::new(1 << 24);
        let names = DeviceNames::of_these(&[(own, "host:web1".parse().unwrap())]);
        let topics = Topics { names, ..Topics::default() };
        let role = Role::Device(own);
        for device in ["host:web1", "HOST%3Aweb1", "host:WEB1", "01000000"] {
            let topic = format!("/command/{device}");
            let known = device != "HOST%3Aweb1";
            let wanted = may_subscribe(role, &topics, &topic);
            assert_eq!(wanted == Ok(Wanted::CommandsFor(own)), known, "{topic}");
            assert!(!may_publish(role, &topics, &topic));
        }
        assert!(may_publish(role, &topics, "/messenger/host:web1"));
        assert_eq!(may_subscribe(role, &topics, "/ping/host:web2"), Err(Reason::NOT_AUTHORIZED));
    }

    #[test]
    fn shared_and_invalid_filters_are_refused_to_everybody() {
        let topics = Topics::default();
        for role in ROLES {
            for filter in ["$share/parsers//messenger", "$share/x", "$share"] {
                let refused = may_subscribe(role, &topics, filter);
                assert_eq!(refused, Err(Reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED));
            }
            for filter in ["", "a/#/b", "x+"] {
                let refused = may_subscribe(role, &topics, filter);
                assert_eq!(refused, Err(Reason::TOPIC_FILTER_INVALID));
            }
        }
    }

    #[test]
    fn our_topics_are_served_by_the_door_and_the_rest_by_the_router() {
        let topics = Topics::default();
        let served = |filter| may_subscribe(Role::Operator, &topics, filter);
        assert_eq!(served("/ping"), Ok(Wanted::OwnReplies));
        assert_eq!(served("/ping/0A3F73"), Ok(Wanted::RepliesTo(OWN)));
        assert_eq!(served("/command/0a3f73"), Ok(Wanted::CommandsFor(OWN)));
        for filter in ["/ping/+", "/ping/#", "/command/+", "/messenger", "/DB", "#"] {
            assert_eq!(served(filter), Ok(Wanted::Routed), "{filter}");
        }
    }
}
