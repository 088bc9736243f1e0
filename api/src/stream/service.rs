//! What the server says of the stream itself, as JSON: hello, that it is there, that events were left out,
//! and the end.

use serde::Serialize;

use super::event::json;
use crate::output::time_ms;

/// The first word of the server to a client, and the word that something is missing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hello {
    pub(crate) heartbeat_s: u32,
    /// Why events are missing, if any are.
    pub(crate) gap: Option<&'static str>,
    /// The server's time, by which a client tells ages.
    pub(crate) at_ms: u64,
}

#[derive(Serialize)]
struct HelloText<'a> {
    r#type: &'static str,
    /// What to resume from when nothing else comes.
    id: &'a str,
    heartbeat_s: u32,
    at: String,
    gap: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// A hello as JSON; a gap comes with its reason.
pub(crate) fn hello(id: &str, Hello { heartbeat_s, gap, at_ms }: Hello) -> String {
    let at = time_ms(at_ms);
    json(&HelloText { r#type: "hello", id, heartbeat_s, at, gap: gap.is_some(), reason: gap })
}

/// Nothing else happened, as JSON.
pub(crate) fn heartbeat(id: &str, at_ms: u64) -> String {
    format!(r#"{{"type":"heartbeat","id":"{id}","at":"{}"}}"#, time_ms(at_ms))
}

/// Positions were left out, as JSON.
pub(crate) fn thinned(dropped: u64) -> String {
    format!(r#"{{"type":"thinned","dropped":{dropped},"reason":"slow_client"}}"#)
}

/// The last word, as JSON.
pub(crate) fn end(reason: &str) -> String {
    format!(r#"{{"type":"end","reason":"{reason}"}}"#)
}
