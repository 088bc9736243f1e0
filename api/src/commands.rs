//! Commands to devices, as the API passes them on. Who reaches devices is the node's
//! door, other nodes or a broker: the program that starts the API says which. A
//! command is never kept, so that what is known of its way is all there is to answer.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nemeses_protocol::DeviceId;
use nemeses_runtime::Registry;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::family::Family;

use crate::input::Fields;
use crate::problem::{Kind, Problem};

/// A command's bytes at most. Trackers take some tens; with this much the 1024 that may
/// wait between nodes or for a slow tracker are a megabyte.
pub(crate) const MAX_COMMAND_BYTES: usize = 1024;

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
    /// Nobody listens: it is gone.
    Nobody,
}

impl Delivered {
    /// In answers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Relay => "relay",
            Self::Broker => "broker",
            Self::Nobody => "nobody",
        }
    }
}

/// Why a command did not get on its way, or nobody knows whether it did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There are neither nodes nor a broker to give it to.
    #[error("no node listens in Redis, and no broker is set by --commands-mqtt-url")]
    NoWay,
    /// What would pass it on does not answer or refuses; in its words, for the log.
    #[error("{0}")]
    Unavailable(String),
}

/// Passes commands on.
#[async_trait]
pub trait CommandSink: Send + Sync {
    /// Passes one on and says how far it is known to have come. Takes 10 s at most.
    ///
    /// # Errors
    /// See [`CommandError`].
    async fn send(&self, device: DeviceId, payload: Vec<u8>) -> Result<Delivered, CommandError>;
}

/// Commands by result. All atomic; clones share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(Family<[(&'static str, &'static str); 1], Counter>);

impl Counts {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let api = registry.sub_registry_with_prefix("nemeses_api");
        api.register("commands", "Commands taken, by how far they came", self.0.clone());
        // All results are there from the start, so that a first one is seen as an increase.
        let known = [Delivered::Connection, Delivered::Relay, Delivered::Broker, Delivered::Nobody];
        for result in known.map(Delivered::name).into_iter().chain([FAILED]) {
            drop(self.0.get_or_create(&[("result", result)]));
        }
    }

    /// Counts one, which came so far or nowhere.
    pub(crate) fn sent(&self, outcome: &Result<Delivered, CommandError>) {
        let result = outcome.as_ref().map_or(FAILED, |delivered| delivered.name());
        self.0.get_or_create(&[("result", result)]).inc();
    }
}

/// The bytes that a body asks to send.
pub(crate) fn payload(mut fields: Fields) -> Result<Vec<u8>, Problem> {
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

/// What the caller is told of a command that did not get on its way.
pub(crate) fn problem(error: &CommandError) -> Problem {
    let detail = match error {
        CommandError::NoWay => {
            "Nothing here reaches devices: no node listens in Redis, and no broker is set. Set \
             --commands-mqtt-url (NEMESES_COMMANDS_MQTT_URL) of nemeses api."
        }
        CommandError::Unavailable(_) => {
            "What passes commands on did not take it, or did not say so in time. The device may \
             have got it nevertheless."
        }
    };
    Problem::new(Kind::CommandsUnavailable, detail)
}

#[cfg(test)]
mod tests {
    use nemeses_runtime::metrics::encoding::text::encode;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn of(body: &Value) -> Result<Vec<u8>, Problem> {
        payload(Fields::parse(body.to_string().as_bytes()).unwrap())
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
        for outcome in [Ok(Delivered::Relay), Ok(Delivered::Relay), Err(CommandError::NoWay)] {
            counts.sent(&outcome);
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
