//! What the broker shall hold: the identity store's logins as roles, rights and
//! clients of the dynamic-security plugin. Pure.

use std::collections::{BTreeMap, BTreeSet};

use nemeses_protocol::{ALERT, Topics};
use nemeses_store::history::{Login, LoginRole, SecretHash};
use serde_json::{Value, json};

/// Roles of this name are ours; others are never touched.
pub(super) const ROLE_PREFIX: &str = "nemeses-";
/// The groups of the shared subscriptions of parsers and exporters, as their workers have
/// them.
pub const GROUPS: [&str; 2] = ["parsers", "exporters"];
const PARSERS: &str = GROUPS[0];
const EXPORTERS: &str = GROUPS[1];

/// The plugin's answer when no role of a client speaks of a topic. What is
/// received was subscribed, so it needs no right of its own.
pub(super) const DEFAULT_ACCESS: [(&str, bool); 4] = [
    ("publishClientSend", false),
    ("publishClientReceive", true),
    ("subscribe", false),
    ("unsubscribe", true),
];

/// One right of a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Right {
    /// `publishClientSend`, `subscribeLiteral`, ...
    pub(super) kind: String,
    /// A topic filter.
    pub(super) topic: String,
    /// Higher goes first.
    pub(super) priority: i64,
    /// Granted or refused.
    pub(super) allow: bool,
}

impl Right {
    fn to(kind: &str, topic: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), topic: topic.into(), priority: 0, allow: true }
    }

    /// As in the plugin's file and commands.
    pub(super) fn as_json(&self) -> Value {
        json!({
            "acltype": self.kind,
            "topic": self.topic,
            "priority": self.priority,
            "allow": self.allow,
        })
    }
}

/// The rights of a role.
pub(super) type Rights = BTreeSet<Right>;

/// A client of the broker: a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// Its one role of ours.
    pub(super) role: String,
    /// Whether it is let in.
    pub(super) enabled: bool,
    /// Its secret.
    pub(super) secret: SecretHash,
}

/// All that shall be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// By name.
    pub(super) roles: BTreeMap<String, Rights>,
    /// By name.
    pub(super) clients: BTreeMap<String, Client>,
}

impl Wanted {
    /// The roles of all kinds and devices, and a client for each login.
    pub(super) fn of(logins: &[Login], topics: &Topics) -> Self {
        let kinds = [LoginRole::Gateway, LoginRole::Worker, LoginRole::Operator];
        let all = kinds.into_iter().chain(logins.iter().map(|login| login.role));
        let clients = logins.iter().map(|login| {
            let client = Client {
                role: role_name(login.role),
                enabled: login.enabled,
                secret: login.secret.clone(),
            };
            (login.name.clone(), client)
        });
        Self {
            roles: all.map(|role| (role_name(role), rights(role, topics))).collect(),
            clients: clients.collect(),
        }
    }
}

fn role_name(role: LoginRole) -> String {
    let name = role.name();
    role.device().map_or_else(
        || format!("{ROLE_PREFIX}{name}"),
        |device| format!("{ROLE_PREFIX}{name}-{device}"),
    )
}

fn rights(role: LoginRole, topics: &Topics) -> Rights {
    let Topics { messenger, ping, db, command, telemetry, names, .. } = topics;
    let [canary, device_canary] = &topics.canary();
    let publish = |topic: String| Right::to("publishClientSend", topic);
    // Exactly this filter, and none that it would match.
    let subscribe = |filter: String| Right::to("subscribeLiteral", filter);
    // This filter and every narrower one; never `$share/...`, whose first level differs.
    let subscribe_within = |filter: String| Right::to("subscribePattern", filter);
    let rights = match role {
        LoginRole::Device(device) => vec![
            publish(topics.messenger_of(device)),
            publish(topics.telemetry_of(&names.identity(device))),
            subscribe(topics.ping_of(device)),
            subscribe(topics.command_of(device)),
        ],
        LoginRole::Gateway => vec![
            publish(messenger.clone()),
            publish(format!("{messenger}/+")),
            publish(format!("{telemetry}/+")),
            subscribe_within(ping.clone()),
            subscribe_within(format!("{ping}/+")),
            subscribe_within(format!("{command}/+")),
        ],
        LoginRole::Worker => vec![
            // The plugin compares the whole filter, `$share` and group included.
            subscribe(format!("$share/{PARSERS}/{messenger}")),
            subscribe(format!("$share/{PARSERS}/{messenger}/+")),
            subscribe(format!("$share/{PARSERS}/{telemetry}/+")),
            subscribe(format!("$share/{EXPORTERS}/{db}")),
            publish(db.clone()),
            publish(ping.clone()),
            publish(format!("{ping}/+")),
            // Parser 0's shadow subscription, and by whom it is needed.
            subscribe(messenger.clone()),
            subscribe(format!("{messenger}/+")),
            subscribe(format!("{telemetry}/+")),
            subscribe("$SYS/broker/version".to_owned()),
            // Canaries, the replies to them, and doctor's probe.
            publish(canary.clone()),
            publish(device_canary.clone()),
            publish(format!("{db}/canary/+")),
            subscribe_within(format!("{db}/canary/+")),
            publish(format!("{db}/probe/+")),
            publish(format!("{ALERT}/+")),
            subscribe_within(format!("$share/{PARSERS}/{db}/probe/+")),
            subscribe_within(format!("$share/{EXPORTERS}/{db}/probe/+")),
        ],
        LoginRole::Operator => {
            let watched =
                [messenger, ping, db, command, telemetry].map(|topic| format!("{topic}/#"));
            let watched = watched.into_iter().chain([format!("{ALERT}/#")]);
            let watch = watched.map(subscribe_within);
            watch.chain([publish(format!("{command}/+"))]).collect()
        }
    };
    // A broker does not tell who published, so that only gateways may send for many.
    let mapped = topics.mapped.iter().cloned();
    let mapped: Vec<Right> = match role {
        LoginRole::Gateway => mapped.map(publish).collect(),
        LoginRole::Worker => mapped
            .flat_map(|filter| [format!("$share/{PARSERS}/{filter}"), filter])
            .map(subscribe)
            .collect(),
        LoginRole::Operator => mapped.map(subscribe_within).collect(),
        LoginRole::Device(_) => Vec::new(),
    };
    rights.into_iter().chain(mapped).collect()
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::DeviceId;

    use super::super::testing::login;
    use super::*;

    fn spelt(role: LoginRole, topics: &Topics) -> Vec<String> {
        let rights = rights(role, topics);
        assert!(rights.iter().all(|right| right.allow && right.priority == 0));
        rights.into_iter().map(|right| format!("{} {}", right.kind, right.topic)).collect()
    }

    #[test]
    fn the_rights_of_each_role() {
        let device = DeviceId::new(0x0A_3F73);
        for (role, expected) in [
            (
                LoginRole::Device(device),
                vec![
                    "publishClientSend /messenger/0A3F73",
                    "publishClientSend /telemetry/0A3F73",
                    "subscribeLiteral /command/0A3F73",
                    "subscribeLiteral /ping/0A3F73",
                ],
            ),
            (
                LoginRole::Gateway,
                vec![
                    "publishClientSend /messenger",
                    "publishClientSend /messenger/+",
                    "publishClientSend /telemetry/+",
                    "subscribePattern /command/+",
                    "subscribePattern /ping",
                    "subscribePattern /ping/+",
                ],
            ),
            (
                LoginRole::Worker,
                vec![
                    "publishClientSend /DB",
                    "publishClientSend /DB/canary/+",
                    "publishClientSend /DB/probe/+",
                    "publishClientSend /alert/+",
                    "publishClientSend /messenger",
                    "publishClientSend /messenger/canary",
                    "publishClientSend /ping",
                    "publishClientSend /ping/+",
                    "subscribeLiteral $SYS/broker/version",
                    "subscribeLiteral $share/exporters//DB",
                    "subscribeLiteral $share/parsers//messenger",
                    "subscribeLiteral $share/parsers//messenger/+",
                    "subscribeLiteral $share/parsers//telemetry/+",
                    "subscribeLiteral /messenger",
                    "subscribeLiteral /messenger/+",
                    "subscribeLiteral /telemetry/+",
                    "subscribePattern $share/exporters//DB/probe/+",
                    "subscribePattern $share/parsers//DB/probe/+",
                    "subscribePattern /DB/canary/+",
                ],
            ),
            (
                LoginRole::Operator,
                vec![
                    "publishClientSend /command/+",
                    "subscribePattern /DB/#",
                    "subscribePattern /alert/#",
                    "subscribePattern /command/#",
                    "subscribePattern /messenger/#",
                    "subscribePattern /ping/#",
                    "subscribePattern /telemetry/#",
                ],
            ),
        ] {
            assert_eq!(spelt(role, &Topics::default()), expected, "{role:?}");
        }
    }

    #[test]
    fn the_topics_are_those_of_the_settings() {
        let topics = Topics {
            messenger: "up".to_owned(),
            ping: "pong".to_owned(),
            db: "rows".to_owned(),
            command: "down".to_owned(),
            telemetry: "values".to_owned(),
            ..Topics::default()
        };
        let worker = spelt(LoginRole::Worker, &topics);
        assert!(worker.contains(&"subscribeLiteral $share/parsers/up/+".to_owned()), "{worker:?}");
        assert!(worker.contains(&"subscribeLiteral $share/exporters/rows".to_owned()));
        let device = spelt(LoginRole::Device(DeviceId::new(1)), &topics);
        assert!(device.contains(&"publishClientSend up/000001".to_owned()), "{device:?}");
    }

    #[test]
    fn mapped_topics_are_for_gateways_and_parsers() {
        let topics = Topics { mapped: vec!["sensors/+/up".to_owned()], ..Topics::default() };
        for (role, right) in [
            (LoginRole::Gateway, "publishClientSend sensors/+/up"),
            (LoginRole::Worker, "subscribeLiteral $share/parsers/sensors/+/up"),
            (LoginRole::Worker, "subscribeLiteral sensors/+/up"),
            (LoginRole::Operator, "subscribePattern sensors/+/up"),
        ] {
            assert!(spelt(role, &topics).contains(&right.to_owned()), "{right}");
        }
        let device = spelt(LoginRole::Device(DeviceId::new(1)), &topics);
        assert!(!device.iter().any(|right| right.contains("sensors")), "{device:?}");
    }

    #[test]
    fn each_device_has_a_role_and_the_kinds_always_have_theirs() {
        let device = |number| LoginRole::Device(DeviceId::new(number));
        let mut away = login("0A3F73", device(0x0A_3F73));
        away.enabled = false;
        let logins = [away, login("spare", device(0x0A_3F73)), login("p", LoginRole::Worker)];
        let wanted = Wanted::of(&logins, &Topics::default());
        let roles: Vec<&str> = wanted.roles.keys().map(String::as_str).collect();
        let expected =
            ["nemeses-device-0A3F73", "nemeses-gateway", "nemeses-operator", "nemeses-worker"];
        assert_eq!(roles, expected);
        assert_eq!(wanted.clients["spare"].role, "nemeses-device-0A3F73");
        assert_eq!(wanted.clients["p"].role, "nemeses-worker");
        assert!(!wanted.clients["0A3F73"].enabled && wanted.clients["p"].enabled);
    }
}
