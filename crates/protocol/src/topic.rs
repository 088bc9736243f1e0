//! Topic names, and the two forms of each.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{DeviceId, DeviceNames, Identity};

/// The configurable topic names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Frames up, shared; `{messenger}/{device}` is a device's own.
    pub messenger: String,
    /// Ping replies, shared; `{ping}/{device}` is a device's own.
    pub ping: String,
    /// Batches for the exporter.
    pub db: String,
    /// Commands down; always `{command}/{device}`.
    pub command: String,
    /// Values of named channels up; always `{telemetry}/{device}`, where the device is
    /// written as [`crate::Identity::segment`] writes it.
    pub telemetry: String,
    /// Which device has which name, for topics with one.
    pub names: DeviceNames,
    /// Whether phones publish on `owntracks/{user}/{device}`, and on the levels below it.
    pub owntracks: bool,
    /// Filters of topics whose messages are read by mappings (`nemeses_telemetry::Mappings`).
    pub mapped: Vec<String>,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            messenger: "/messenger".to_owned(),
            ping: "/ping".to_owned(),
            db: "/DB".to_owned(),
            command: "/command".to_owned(),
            telemetry: "/telemetry".to_owned(),
            names: DeviceNames::default(),
            owntracks: false,
            mapped: Vec::new(),
        }
    }
}

/// Which alarms of a device are open; always `/alert/{device}`. Published by us alone.
pub const ALERT: &str = "/alert";

/// What a phone publishes below its topic. What it is told (`cmd`) is not among it.
const OF_PHONES: [&str; 8] =
    ["event", "waypoint", "waypoints", "status", "step", "beacon", "info", "dump"];

/// What a topic name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicName {
    /// Frames up, of whichever device.
    Messenger,
    /// Frames up of one device.
    MessengerOf(DeviceId),
    /// Ping replies.
    Ping,
    /// Ping replies of one device.
    PingOf(DeviceId),
    /// Batches for the exporter.
    Db,
    /// Commands for one device.
    CommandOf(DeviceId),
    /// Values of named channels ([`Topics::telemetry_identity`]).
    Telemetry,
    /// Messages of a phone (`OwnTracks`).
    OwnTracks,
    /// Messages that a mapping reads.
    Mapped,
    /// Below [`ALERT`]: never read as something that a device says, whatever mappings are for.
    Alert,
    /// None of ours (also `{messenger}/` with something that is no device id, or a name that
    /// has no number yet).
    Other,
}

impl TopicName {
    /// Whether devices' records are published there.
    pub const fn is_for_intake(self) -> bool {
        matches!(
            self,
            Self::Messenger
                | Self::MessengerOf(_)
                | Self::Telemetry
                | Self::OwnTracks
                | Self::Mapped
        )
    }
}

impl Topics {
    /// Says what a topic name means.
    pub fn classify(&self, topic: &str) -> TopicName {
        if topic == self.messenger {
            TopicName::Messenger
        } else if topic == self.ping {
            TopicName::Ping
        } else if topic == self.db {
            TopicName::Db
        } else if let Some(device) = self.device_below(&self.messenger, topic) {
            TopicName::MessengerOf(device)
        } else if let Some(device) = self.device_below(&self.ping, topic) {
            TopicName::PingOf(device)
        } else if let Some(device) = self.device_below(&self.command, topic) {
            TopicName::CommandOf(device)
        } else if self.telemetry_identity(topic).is_some() {
            TopicName::Telemetry
        } else if let Some(device) = self.phone_told_on(topic) {
            TopicName::CommandOf(device)
        } else if self.owntracks && is_of_phone(topic) {
            TopicName::OwnTracks
        } else if topic.strip_prefix(ALERT).is_some_and(|below| below.starts_with('/')) {
            TopicName::Alert
        } else if self.mapped.iter().any(|filter| topic_matches(filter, topic)) {
            TopicName::Mapped
        } else {
            TopicName::Other
        }
    }

    /// The phone whose commands are published on `owntracks/{user}/{device}/cmd`.
    fn phone_told_on(&self, topic: &str) -> Option<DeviceId> {
        let phone = topic.strip_prefix("owntracks/").filter(|_| self.owntracks)?;
        let identity = Identity::named("owntracks", phone.strip_suffix("/cmd")?).ok()?;
        self.names.number(&identity)
    }

    /// The filters of all that devices publish: what parsers subscribe to.
    pub fn device_filters(&self) -> Vec<String> {
        let Self { messenger, telemetry, .. } = self;
        let mut filters =
            Vec::from([messenger.clone(), format!("{messenger}/+"), format!("{telemetry}/+")]);
        if self.owntracks {
            filters.push("owntracks/+/+".to_owned());
            filters.extend(OF_PHONES.map(|level| format!("owntracks/+/+/{level}")));
        }
        filters.extend(self.mapped.iter().cloned());
        filters
    }

    /// Whose values are published on `{telemetry}/{device}`.
    pub fn telemetry_identity(&self, topic: &str) -> Option<Identity> {
        identity_below(&self.telemetry, topic)
    }

    fn device_below(&self, prefix: &str, topic: &str) -> Option<DeviceId> {
        self.names.number(&identity_below(prefix, topic)?)
    }

    /// `{prefix}/{device}`, the device by its name if it has one.
    fn of(&self, prefix: &str, device: DeviceId) -> String {
        format!("{prefix}/{}", self.names.identity(device).segment())
    }

    /// Whether a topic is where values are published, whoever's they are.
    pub fn is_below_telemetry(&self, topic: &str) -> bool {
        let below = topic.strip_prefix(self.telemetry.as_str());
        below.is_some_and(|below| below.starts_with('/'))
    }

    /// `{telemetry}/{device}`.
    pub fn telemetry_of(&self, identity: &Identity) -> String {
        format!("{}/{}", self.telemetry, identity.segment())
    }

    /// `/alert/{device}`.
    pub fn alert_of(identity: &Identity) -> String {
        format!("{ALERT}/{}", identity.segment())
    }

    /// `{ping}/{device}`.
    pub fn ping_of(&self, device: DeviceId) -> String {
        self.of(&self.ping, device)
    }

    /// `{messenger}/{device}`.
    pub fn messenger_of(&self, device: DeviceId) -> String {
        self.of(&self.messenger, device)
    }

    /// `{command}/{device}`.
    pub fn command_of(&self, device: DeviceId) -> String {
        self.of(&self.command, device)
    }
}

/// `owntracks/{user}/{device}`, or one of the levels below it.
fn is_of_phone(topic: &str) -> bool {
    let mut levels = topic.split('/');
    let device = levels.next() == Some("owntracks")
        && levels.next().is_some_and(|user| !user.is_empty())
        && levels.next().is_some_and(|device| !device.is_empty());
    device
        && levels.next().is_none_or(|level| OF_PHONES.contains(&level))
        && levels.next().is_none()
}

fn identity_below(prefix: &str, topic: &str) -> Option<Identity> {
    let segment = topic.strip_prefix(prefix)?.strip_prefix('/')?;
    let one_level = !segment.contains('/');
    one_level.then(|| Identity::from_segment(segment).ok()).flatten()
}

/// Whether there is a topic name that both of these valid filters match.
pub fn filters_meet(one: &str, other: &str) -> bool {
    let (mut ones, mut others) = (one.split('/'), other.split('/'));
    loop {
        match (ones.next(), others.next()) {
            (None, None) | (Some("#"), _) | (_, Some("#")) => return true,
            (Some(a), Some(b)) if a == b || a == "+" || b == "+" => {}
            _ => return false,
        }
    }
}

/// Whether a valid MQTT topic filter matches a topic name (MQTT 3.1.1, 4.7):
/// `+` one level, a final `#` the rest, neither at the front of a `$` topic.
pub fn topic_matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: DeviceId = DeviceId::new(0x000A_3F73);

    #[test]
    fn names_and_their_meanings() {
        let topics = Topics::default();
        for (topic, meaning) in [
            ("/telemetry/0A3F73", TopicName::Telemetry),
            ("/telemetry/imei:356307042441013", TopicName::Telemetry),
            ("/telemetry/owntracks:jane%2Fphone", TopicName::Telemetry),
            ("/telemetry/owntracks:jane/phone", TopicName::Other),
            ("/telemetry/nobody", TopicName::Other),
            ("/telemetry", TopicName::Other),
            ("/messenger", TopicName::Messenger),
            ("/messenger/0A3F73", TopicName::MessengerOf(DEVICE)),
            ("/messenger/0a3f73", TopicName::MessengerOf(DEVICE)),
            ("/ping", TopicName::Ping),
            ("/ping/0A3F73", TopicName::PingOf(DEVICE)),
            ("/DB", TopicName::Db),
            ("/command/0A3F73", TopicName::CommandOf(DEVICE)),
            ("/command", TopicName::Other),
            ("/messenger/", TopicName::Other),
            ("/messenger/0A3F7", TopicName::Other),
            ("/messenger/000A3F73", TopicName::Other),
            ("/messenger/0A3F73/x", TopicName::Other),
            ("/messengers", TopicName::Other),
            ("messenger", TopicName::Other),
            ("/alert/0A3F73", TopicName::Alert),
            ("/alert/imei:356307042441013", TopicName::Alert),
            ("/alert/", TopicName::Alert),
            ("/alert", TopicName::Other),
            ("/alerts", TopicName::Other),
            ("/db", TopicName::Other),
            ("/DB/0A3F73", TopicName::Other),
            ("", TopicName::Other),
        ] {
            assert_eq!(topics.classify(topic), meaning, "{topic:?}");
        }
    }

    #[test]
    fn what_is_built_is_recognised_with_other_names_too() {
        let other = Topics {
            messenger: "up".to_owned(),
            ping: "up/ping".to_owned(),
            db: "to-db".to_owned(),
            command: "down".to_owned(),
            telemetry: "values".to_owned(),
            ..Topics::default()
        };
        for topics in [Topics::default(), other] {
            let classify = |topic: &str| topics.classify(topic);
            for device in [0, 0x00FF_FFFF, 0x0100_0000, u32::MAX].map(DeviceId::new) {
                assert_eq!(classify(&topics.messenger_of(device)), TopicName::MessengerOf(device));
                assert_eq!(classify(&topics.ping_of(device)), TopicName::PingOf(device));
                assert_eq!(classify(&topics.command_of(device)), TopicName::CommandOf(device));
            }
        }
    }

    #[test]
    fn a_named_device_has_its_name_in_topics() {
        let (device, stranger) = (DeviceId::new(1 << 24), DeviceId::new((1 << 24) + 1));
        let names = DeviceNames::of_these(&[(device, "owntracks:jane/phone".parse().unwrap())]);
        let topics = Topics { names, ..Topics::default() };
        assert_eq!(topics.command_of(device), "/command/owntracks:jane%2Fphone");
        assert_eq!(topics.ping_of(stranger), "/ping/01000001");
        for spelling in ["owntracks:jane%2Fphone", "owntracks%3ajane%2fphone", "01000000"] {
            let topic = format!("/command/{spelling}");
            assert_eq!(topics.classify(&topic), TopicName::CommandOf(device), "{topic}");
        }
        assert_eq!(topics.classify("/command/id:stranger"), TopicName::Other);
        assert_eq!(topics.classify("/command/owntracks:jane/phone"), TopicName::Other);
    }

    #[test]
    fn topics_of_phones_where_they_are_listened_to() {
        let topics = Topics { owntracks: true, ..Topics::default() };
        for (topic, is_phone) in [
            ("owntracks/jane/phone", true),
            ("owntracks/jane/phone/event", true),
            ("owntracks/jane/phone/cmd", false),
            ("owntracks/jane/phone/event/x", false),
            ("owntracks/jane", false),
            ("owntracks//phone", false),
            ("owntracks/jane/", false),
            ("/owntracks/jane/phone", false),
        ] {
            assert_eq!(topics.classify(topic) == TopicName::OwnTracks, is_phone, "{topic}");
            assert_ne!(Topics::default().classify(topic), TopicName::OwnTracks);
        }
    }

    #[test]
    fn filters() {
        for (filter, topic, expected) in [
            ("/messenger", "/messenger", true),
            ("/messenger", "/messenger/0A3F73", false),
            ("/messenger/+", "/messenger/0A3F73", true),
            ("/messenger/+", "/messenger", false),
            ("/messenger/+", "/messenger/a/b", false),
            ("/messenger/+", "/messenger/", true),
            ("/messenger/#", "/messenger", true),
            ("/messenger/#", "/messenger/a/b", true),
            ("#", "/messenger", true),
            ("#", "a", true),
            ("+", "a", true),
            ("+", "/a", false),
            ("+/+", "/a", true),
            ("/+", "/a", true),
            ("a/+/c", "a/b/c", true),
            ("a/+/c", "a/b/d", false),
            ("#", "$SYS/broker", false),
            ("+/broker", "$SYS/broker", false),
            ("$SYS/#", "$SYS/broker", true),
            ("a/b", "a", false),
            ("a", "a/b", false),
            ("A", "a", false),
        ] {
            assert_eq!(topic_matches(filter, topic), expected, "{filter:?} {topic:?}");
        }
    }

    #[test]
    fn mapped_topics_are_for_the_intake_and_behind_ours() {
        let mapped = alloc::vec!["sensors/+/up".to_owned(), "/telemetry/#".to_owned()];
        let topics = Topics { mapped, owntracks: true, ..Topics::default() };
        assert_eq!(topics.classify("sensors/a/up"), TopicName::Mapped);
        assert_eq!(topics.classify("sensors/a/down"), TopicName::Other);
        assert_eq!(topics.classify("/telemetry/0A3F73"), TopicName::Telemetry);
        assert!(TopicName::Mapped.is_for_intake());
        let filters = topics.device_filters();
        for topic in ["sensors/a/up", "owntracks/jane/phone", "owntracks/jane/phone/event"] {
            assert!(filters.iter().any(|filter| topic_matches(filter, topic)), "{topic}");
        }
        assert!(!filters.iter().any(|filter| topic_matches(filter, "owntracks/jane/phone/cmd")));
    }

    #[test]
    fn filters_that_meet() {
        for (one, other, meet) in [
            ("a/+", "+/b", true),
            ("a/b", "a/b", true),
            ("a/#", "a", true),
            ("#", "/DB", true),
            ("+/+", "/messenger", true),
            ("a/b", "a/c", false),
            ("a", "a/b", false),
            ("sensors/+/up", "/messenger/#", false),
        ] {
            assert_eq!(filters_meet(one, other), meet, "{one} {other}");
            assert_eq!(filters_meet(other, one), meet, "{other} {one}");
        }
    }

    #[test]
    fn a_phone_is_told_on_its_own_topic() {
        let device = DeviceId::new(1 << 24);
        let names = DeviceNames::of_these(&[(device, "owntracks:jane/phone".parse().unwrap())]);
        let topics = Topics { owntracks: true, names, ..Topics::default() };
        assert_eq!(topics.classify("owntracks/jane/phone/cmd"), TopicName::CommandOf(device));
        assert_eq!(topics.classify("owntracks/john/phone/cmd"), TopicName::Other);
        let without = Topics { owntracks: false, ..topics };
        assert_eq!(without.classify("owntracks/jane/phone/cmd"), TopicName::Other);
    }
}
