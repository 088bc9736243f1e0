//! `GET /api/v1/devices/{device_id}/channels`: what a device reports by name, and what it
//! said last.

use std::collections::HashMap;

use axum::response::Response;
use futures_util::TryStreamExt as _;
use nemeses_protocol::{DeviceId, Value as Measured};
use nemeses_store::StoreError;
use nemeses_store::history::{Channel, ReadingsQuery};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::named::{NAMED_DEVICE, must_see, named};
use crate::access::Principal;
use crate::backend::Backend;
use crate::fleet::ForReports;
use crate::input::{Params, Segments};
use crate::openapi::{Answer, Doc, Param, Tag, Time};
use crate::output::{self, time_ms};
use crate::problem::{Kind, Problem};

/// Records that are looked through for the newest values: a channel that is in none of them
/// shows none.
const LOOKED_THROUGH: usize = 1000;

/// A channel and its newest value.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Channel")]
struct Shown {
    name: String,
    /// UCUM; null when nobody told one.
    unit: Option<String>,
    /// `gauge`, `counter`, `total`, `state`, `text` or `event`.
    kind: &'static str,
    label: Option<String>,
    /// Digits behind the point to show; null for as many as there are.
    decimals: Option<u8>,
    /// The newest value: a number, a boolean or a text. Null when it is not among the
    /// device's last 1000 records.
    value: Value,
    /// When it was measured.
    #[schemars(with = "Option<Time>")]
    recorded_at: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChannelsAnswer")]
struct List {
    /// As it is written everywhere: six hex digits, or a kind and a name.
    device_id: String,
    channels: Vec<Shown>,
    count: usize,
}

pub(crate) async fn get(
    principal: Principal,
    ForReports(fleet): ForReports,
    Segments(text): Segments<String>,
    params: Params,
) -> Result<Response, Problem> {
    let state: &Backend = &fleet;
    params.finish()?;
    let named = named(state, "device_id", &text).await?;
    must_see(&principal, &named)?;
    let channels = state.history.ask(state.stores.channels.channels(named.device)).await?;
    let mut newest = state.ask_in_turn(newest(state, named.device, channels.len())).await?;
    let channels: Vec<Shown> =
        channels.into_iter().map(|channel| shown(channel, &mut newest)).collect();
    let device_id = named.identity.to_string();
    output::json(&List { device_id, count: channels.len(), channels })
}

/// The newest value of each of so many channels, by number, with its time.
async fn newest(
    state: &Backend,
    device: DeviceId,
    channels: usize,
) -> Result<HashMap<u16, (u64, Measured)>, StoreError> {
    let mut newest = HashMap::with_capacity(channels);
    let to_ms = state.clock.now_ms().saturating_add(MOST_AHEAD_MS);
    let query = ReadingsQuery { device, from_ms: 0, to_ms, descending: true };
    let mut records = state.stores.channels.readings(query);
    for _ in 0..LOOKED_THROUGH {
        if newest.len() >= channels {
            break;
        }
        let Some(record) = records.try_next().await? else { break };
        for (number, value) in record.values {
            newest.entry(number).or_insert((record.recorded_at_ms, value));
        }
    }
    Ok(newest)
}

/// A day and an hour: records further ahead are refused when they arrive.
const MOST_AHEAD_MS: u64 = 25 * 3_600_000;

fn shown(channel: Channel, newest: &mut HashMap<u16, (u64, Measured)>) -> Shown {
    let (recorded_at, value) = match newest.remove(&channel.number) {
        Some((at_ms, value)) => (Some(time_ms(at_ms)), measured(&value)),
        None => (None, Value::Null),
    };
    Shown {
        name: channel.name,
        unit: channel.unit,
        kind: channel.kind.word(),
        label: channel.label,
        decimals: channel.decimals,
        value,
        recorded_at,
    }
}

/// A value as JSON; a number that JSON cannot say is null.
pub(super) fn measured(value: &Measured) -> Value {
    match value {
        Measured::Flag(flag) => json!(flag),
        Measured::Integer(number) => json!(number),
        Measured::Number(number) => json!(number),
        Measured::Text(text) => json!(text),
    }
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "device_id": "id:boiler-3",
        "channels": [{
            "name": "temperature", "unit": "Cel", "kind": "gauge", "label": null,
            "decimals": 1, "value": 21.5, "recorded_at": "2020-07-01T21:00:00.250Z",
        }],
        "count": 1,
    });
    let device = json!({"type": "string", "minLength": 1, "maxLength": 140});
    Doc::new("getChannels", Tag::Devices, "What a device reports by name")
        .about("The device's channels in the order in which they came, each with its newest value.")
        .takes(Param::path("device_id", device, NAMED_DEVICE).example("0A3F73"))
        .answers(Answer::json::<List>("The channels.", example))
        .problems(&[Kind::UnknownDevice])
}
