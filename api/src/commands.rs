//! Commands to devices: kept in the database until the device has acknowledged them or
//! their time is over. Who reaches devices is the node's door, other nodes or a broker: the
//! program that starts the API says which.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nemeses_protocol::DeviceId;
use nemeses_runtime::Registry;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::family::Family;
use nemeses_store::history::MAX_COMMAND_BYTES;

use crate::input::Fields;
use crate::problem::{Kind, Problem};

/// How long a command may wait for its device unless it says so itself, seconds.
pub(crate) const DEFAULT_EXPIRY_S: u64 = 3600;
/// The longest that it may: 30 days.
pub(crate) const MAX_EXPIRY_S: u64 = 30 * 24 * 3600;

/// The result of a command that did not get on its way.
const FAILED: &str = "failed";

/// The fields that a command's bytes may come in, of which one is sent.
const FORMS: [&str; 3] = ["hex", "text", "base64"];

/// How far a command is known to have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// A client that listens for it is connected to this process and gets it.
    Connection,
    /// Other nodes have it; which of them has the device, if any, they do not tell.
    Relay,
    /// The broker has it and has a client that listens for it.
    Broker,
    /// Only clients that watch were shown it: operators, or filters with wildcards.
    Watchers,
    /// Nobody listens: it waits.
    Nobody,
}

impl Delivered {
    const ALL: [Self; 5] =
        [Self::Connection, Self::Relay, Self::Broker, Self::Watchers, Self::Nobody];

    /// Whether it went out to the device, as far as that is known here.
    pub(crate) const fn is_sent(self) -> bool {
        matches!(self, Self::Connection | Self::Broker)
    }

    /// In answers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Relay => "relay",
            Self::Broker => "broker",
            Self::Watchers => "watchers",
            Self::Nobody => "nobody",
        }
    }
}

/// There are neither nodes nor a broker to give commands to, or the broker refuses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no node listens in Redis, and no broker that takes commands is set by --commands-mqtt-url"
)]
pub struct NoWay;

/// A command that was just kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCommand {
    /// Its number in the database.
    pub id: u64,
    /// For whom.
    pub device: DeviceId,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// Sends what is kept.
#[async_trait]
pub trait CommandSink: Send + Sync {
    /// Sends a command that was just kept, if its device can be reached, and says how far
    /// it is known to have come. Takes 10 s at most. Whatever it says, the command goes out
    /// later as long as it is open.
    ///
    /// # Errors
    /// Nobody here will ever send it.
    async fn send(&self, command: KeptCommand) -> Result<Delivered, NoWay>;
}

/// Commands by result. All atomic; clones share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(Family<[(&'static str, &'static str); 1], Counter>);

impl Counts {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let api = registry.sub_registry_with_prefix("nemeses_api");
        api.register("commands", "Commands accepted, by how far they came", self.0.clone());
        // All results are there from the start, so that a first one is seen as an increase.
        for result in Delivered::ALL.map(Delivered::name).into_iter().chain([FAILED]) {
            drop(self.0.get_or_create(&[("result", result)]));
        }
    }

    /// Counts one, which came so far or nowhere.
    pub(crate) fn sent(&self, outcome: Result<Delivered, NoWay>) {
        let result = outcome.map_or(FAILED, Delivered::name);
        self.0.get_or_create(&[("result", result)]).inc();
    }
}

/// What a body asks to send, and for how many seconds it may wait.
pub(crate) fn asked(mut fields: Fields) -> Result<(Vec<u8>, u64), Problem> {
    let expires_in_s = fields.maybe_number("expires_in_s", 1..=MAX_EXPIRY_S)?;
    Ok((payload(fields)?, expires_in_s.unwrap_or(DEFAULT_EXPIRY_S)))
}

fn payload(mut fields: Fields) -> Result<Vec<u8>, Problem> {
    let mut found = None;
    for name in FORMS {
        let Some(text) = fields.maybe_text(name)? else { continue };
        if found.replace((name, text)).is_some() {
            return Err(Problem::field(name, "Send one of hex, text and base64, not several."));
        }
    }
    fields.finish()?;
    let (name, text) = found.ok_or_else(|| {
        Problem::field("hex", "Missing. Send the command's bytes as hex, text or base64.")
    })?;
    let bytes = match name {
        "hex" => hex::decode(text)
            .map_err(|_| Problem::field(name, "Must be pairs of hex digits, such as 0AFF."))?,
        "base64" => STANDARD.decode(text).map_err(|_| {
            Problem::field(name, "Must be base64 of the usual alphabet (+ and /), padded with =.")
        })?,
        _ => text.into_bytes(),
    };
    if (1..=MAX_COMMAND_BYTES).contains(&bytes.len()) {
        return Ok(bytes);
    }
    let detail =
        format!("A command has 1 to {MAX_COMMAND_BYTES} bytes; these are {}.", bytes.len());
    Err(Problem::field(name, detail))
}

/// What the caller is told where nothing reaches devices.
pub(crate) fn no_way() -> Problem {
    Problem::new(
        Kind::CommandsUnavailable,
        "Nothing here reaches devices: no node listens in Redis, and no broker is set that takes \
         commands. Set --commands-mqtt-url (NEMESES_COMMANDS_MQTT_URL) of nemeses api, with a \
         login of the role operator. The command does not go out.",
    )
}

#[cfg(test)]
mod tests {
    use nemeses_runtime::metrics::encoding::text::encode;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn of(body: &Value) -> Result<Vec<u8>, Problem> {
        asked(Fields::parse(body.to_string().as_bytes()).unwrap()).map(|(payload, _)| payload)
    }

    #[test]
    fn a_command_waits_for_an_hour_or_as_long_as_it_says() {
        let wait =
            |body: Value| asked(Fields::parse(body.to_string().as_bytes()).unwrap()).unwrap().1;
        assert_eq!(wait(json!({"text": "x"})), 3600);
        assert_eq!(wait(json!({"text": "x", "expires_in_s": 86_400})), 86_400);
    }

    #[test]
    fn bytes_come_in_one_of_three_forms() {
        for body in [json!({"hex": "01fF"}), json!({"base64": "Af8="})] {
            assert_eq!(of(&body).unwrap(), [1, 255], "{body}");
        }
        assert_eq!(of(&json!({"text": "parar já"})).unwrap(), "parar já".as_bytes());
    }

    #[test]
    fn a_bad_body_is_told_by_its_field() {
        let long = "x".repeat(MAX_COMMAND_BYTES + 1);
        for (body, field) in [
            (json!({}), "hex"),
            (json!({"hex": ""}), "hex"),
            (json!({"hex": "0"}), "hex"),
            (json!({"hex": "0g"}), "hex"),
            (json!({"hex": 1}), "hex"),
            (json!({"hex": "00".repeat(MAX_COMMAND_BYTES + 1)}), "hex"),
            (json!({"text": ""}), "text"),
            (json!({"text": long}), "text"),
            (json!({"base64": "Af8"}), "base64"),
            (json!({"base64": "Af-_"}), "base64"),
            (json!({"hex": "00", "text": "x"}), "text"),
            (json!({"text": "x", "base64": "AA=="}), "base64"),
            (json!({"text": "x", "topic": "/DB"}), "topic"),
            (json!({"text": null}), "text"),
            (json!({"text": "x", "expires_in_s": 0}), "expires_in_s"),
            (json!({"text": "x", "expires_in_s": 2_592_001}), "expires_in_s"),
            (json!({"text": "x", "expires_in_s": "60"}), "expires_in_s"),
            (json!({"expires_in_s": 60}), "hex"),
        ] {
            let problem = of(&body).unwrap_err();
            assert_eq!(
                (problem.kind(), problem.at_fault()),
                (Kind::InvalidField, Some(field)),
                "{body}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_was_meant(
            bytes in proptest::collection::vec(any::<u8>(), 1..=MAX_COMMAND_BYTES),
        ) {
            prop_assert_eq!(&of(&json!({"hex": hex::encode(&bytes)})).unwrap(), &bytes);
            prop_assert_eq!(&of(&json!({"base64": STANDARD.encode(&bytes)})).unwrap(), &bytes);
        }
    }

    #[test]
    fn commands_are_counted_by_result() {
        let (counts, mut registry) = (Counts::default(), Registry::default());
        counts.register(&mut registry);
        for outcome in [Ok(Delivered::Relay), Ok(Delivered::Relay), Err(NoWay)] {
            counts.sent(outcome);
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "nemeses_api_commands_total{result=\"relay\"} 2",
            "nemeses_api_commands_total{result=\"failed\"} 1",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
