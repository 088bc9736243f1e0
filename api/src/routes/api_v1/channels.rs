//! `GET /api/v1/devices/{device_id}/channels`: what a device reports by name, and what it
//! said last.

use std::collections::{BTreeMap, HashMap};

use axum::response::Response;
use futures_util::TryStreamExt as _;
use nemeses_protocol::{DeviceId, Value as Measured};
use nemeses_store::StoreError;
use nemeses_store::history::{Channel, ReadingsQuery};
use nemeses_store::live::{LiveValue, LiveValues, ValueVersion};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::channel::{ShownCalibration, parts};
use crate::access::Principal;
use crate::backend::Backend;
use crate::fleet::ForReports;
use crate::input::{Params, Segments};
use crate::openapi::{Answer, Device, Doc, Param, Tag, Time};
pub(super) use crate::output::measured;
use crate::output::{self, PositionSource, time_ms};
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
    /// The newest value: a number, a boolean or a text. Null when the live store has none and
    /// it is not among the device's last 1000 records.
    value: Value,
    /// When it was measured.
    #[schemars(with = "Option<Time>")]
    recorded_at: Option<String>,
    /// Seconds since then, by the server's clock.
    age_s: Option<u64>,
    /// Of a derived channel: the device's own channel that it is computed from.
    source: Option<String>,
    calibration: Option<ShownCalibration>,
    /// Where it was found: `live`, or `history` where the live store has none or an older one.
    value_from: Option<PositionSource>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChannelsAnswer")]
struct List {
    #[schemars(with = "Device")]
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
    let device = state.device("device_id", &text)?;
    let now_ms = state.clock.now_ms();
    let channels: Vec<Shown> = newest(&principal, state, device)
        .await?
        .into_iter()
        .map(|(channel, newest)| shown(channel, newest.as_ref(), now_ms))
        .collect();
    let device_id = state.written(device);
    output::json(&List { device_id, count: channels.len(), channels })
}

/// A device's channels, each with its newest value, for who may see it.
pub(crate) async fn newest(
    principal: &Principal,
    state: &Backend,
    device: DeviceId,
) -> Result<Vec<(Channel, Option<Newest>)>, Problem> {
    principal.must_see(device)?;
    let channels = state.history.ask(state.stores.channels.channels(device)).await?;
    // Without the live store the answer is as of the last commit.
    let live = state.live.ask(state.stores.live.values(&[device])).await;
    let live = live.ok().and_then(|mut found| found.pop().flatten());
    let mut newest = of_live(&channels, live.as_ref());
    for (number, past) in state.ask_in_turn(of_history(state, device, &channels, &newest)).await? {
        let held = newest.get(&number);
        if held.is_none_or(|held| past.version > held.version) {
            newest.insert(number, past);
        }
    }
    if let Some(since_ms) = principal.reach().since_ms() {
        newest.retain(|_, found| found.recorded_at_ms >= since_ms);
    }
    let read = |channel: Channel| {
        let found = newest.get(&channel.number).and_then(|found| {
            let Found { recorded_at_ms, from, .. } = *found;
            Some(Newest { recorded_at_ms, value: channel.read(&found.value)?, from })
        });
        (channel, found)
    };
    Ok(channels.into_iter().map(read).collect())
}

/// A channel's newest value, calibrated where the channel is.
pub(crate) struct Newest {
    pub(crate) recorded_at_ms: u64,
    pub(crate) value: Measured,
    pub(crate) from: PositionSource,
}

impl Newest {
    /// Seconds since it was measured.
    pub(crate) fn age_s(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.recorded_at_ms) / 1000
    }
}

/// A newest value as it was measured.
struct Found {
    version: ValueVersion,
    recorded_at_ms: u64,
    value: Measured,
    from: PositionSource,
}

/// The newest values of channels that the live store has, by number. A long text is cut there,
/// so it is left to history.
fn of_live(channels: &[Channel], live: Option<&LiveValues>) -> BTreeMap<u16, Found> {
    let by_name: HashMap<&str, &Channel> =
        own(channels).map(|channel| (channel.name.as_str(), channel)).collect();
    let mut newest: BTreeMap<u16, &LiveValue> = BTreeMap::new();
    for value in live.into_iter().flat_map(LiveValues::values) {
        let unit = by_name.get(&*value.channel).and_then(|channel| channel.unit.as_deref());
        let Some(channel) = by_name.get(value.name(unit).as_str()) else { continue };
        let held = newest.get(&channel.number);
        if held.is_none_or(|held| value.version() > held.version()) {
            newest.insert(channel.number, value);
        }
    }
    let found = |value: &LiveValue| Found {
        version: value.version(),
        recorded_at_ms: value.recorded_at_ms,
        value: value.value.clone(),
        from: PositionSource::Live,
    };
    let whole = newest.into_iter().filter(|(_, value)| !value.cut);
    whole.map(|(number, value)| (number, found(value))).collect()
}

/// Those that the device has itself: the others are read from them.
fn own(channels: &[Channel]) -> impl Iterator<Item = &Channel> {
    channels.iter().filter(|channel| channel.derivation.is_none())
}

/// The newest value in history of each channel, by number. Where the live store has all, no
/// older record is looked at than the oldest of these: some may have come past it.
async fn of_history(
    state: &Backend,
    device: DeviceId,
    channels: &[Channel],
    live: &BTreeMap<u16, Found>,
) -> Result<BTreeMap<u16, Found>, StoreError> {
    let wanted = own(channels).count();
    let oldest_ms = live.values().map(|found| found.recorded_at_ms).min();
    let from_ms = oldest_ms.filter(|_| live.len() >= wanted).unwrap_or_default();
    let mut newest = BTreeMap::new();
    let to_ms = state.clock.now_ms().saturating_add(MOST_AHEAD_MS);
    let query = ReadingsQuery { device, from_ms, to_ms, descending: true };
    let mut records = state.stores.channels.readings(query);
    for _ in 0..LOOKED_THROUGH {
        if newest.len() >= wanted {
            break;
        }
        let Some(record) = records.try_next().await? else { break };
        let (recorded_at_ms, received_at_ms) = (record.recorded_at_ms, record.received_at_ms);
        let version = ValueVersion::new(recorded_at_ms, received_at_ms, record.content_hash);
        for (number, value) in record.values {
            let from = PositionSource::History;
            newest.entry(number).or_insert(Found { version, recorded_at_ms, value, from });
        }
    }
    Ok(newest)
}

/// A day and an hour: records further ahead are refused when they arrive.
const MOST_AHEAD_MS: u64 = 25 * 3_600_000;

fn shown(channel: Channel, newest: Option<&Newest>, now_ms: u64) -> Shown {
    let (source, calibration) = parts(channel.derivation);
    Shown {
        name: channel.name,
        unit: channel.unit,
        kind: channel.kind.word(),
        label: channel.label,
        decimals: channel.decimals,
        value: newest.map_or(Value::Null, |newest| measured(&newest.value)),
        recorded_at: newest.map(|newest| time_ms(newest.recorded_at_ms)),
        age_s: newest.map(|newest| newest.age_s(now_ms)),
        source,
        calibration,
        value_from: newest.map(|newest| newest.from),
    }
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "device_id": "id:boiler-3",
        "channels": [{
            "name": "temperature", "unit": "Cel", "kind": "gauge", "label": null,
            "decimals": 1, "value": 21.5, "recorded_at": "2020-07-01T21:00:00.250Z",
            "age_s": 4, "source": null, "calibration": null, "value_from": "live",
        }],
        "count": 1,
    });
    Doc::new("getChannels", Tag::Devices, "What a device reports by name")
        .about("The device's channels in the order in which they came, each with its newest value.")
        .takes(Param::path_device())
        .answers(Answer::json::<List>("The channels.", example))
        .problems(&[Kind::UnknownDevice])
}
