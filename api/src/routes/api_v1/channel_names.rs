//! `GET /api/v1/channels`: what devices that are heard report by name, for those who choose one.

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::access::{Principal, Reach};
use crate::fleet::FleetState;
use crate::input::Params;
use crate::openapi::{Answer, Doc, Tag};
use crate::output;
use crate::problem::Problem;

/// Channels of one answer.
const MOST: usize = 2_000;

/// A name with a unit, and who reports it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChannelName")]
struct Named {
    name: String,
    /// The unit that comes with its values; null when none does.
    unit: Option<String>,
    /// How many devices report it.
    devices: u32,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChannelNamesAnswer")]
struct List {
    channels: Vec<Named>,
    count: usize,
}

pub(crate) async fn get(
    principal: Principal,
    State(state): State<FleetState>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let sees_all = principal.reach() == Reach::All;
    let heard = state.hub.channels(|device| sees_all && principal.sees(device));
    let mut channels: Vec<Named> = heard
        .into_iter()
        .map(|((name, unit), devices)| Named {
            name: name.into(),
            unit: unit.map(Into::into),
            devices,
        })
        .collect();
    if channels.len() > MOST {
        // Those of the most devices, in order again.
        channels.sort_by_key(|channel| std::cmp::Reverse(channel.devices));
        channels.truncate(MOST);
        channels.sort_by(|one, other| (&one.name, &one.unit).cmp(&(&other.name, &other.unit)));
    }
    output::json(&List { count: channels.len(), channels })
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "channels": [{"name": "temperature", "unit": "Cel", "devices": 12}],
        "count": 1,
    });
    Doc::new("getChannelNames", Tag::Devices, "What devices that are heard report by name")
        .about("Of the devices that you may see, in order of name; at most 2000, those of the most devices. A link that shows only a part of the past gets none.")
        .answers(Answer::json::<List>("The names.", example))
}
