//! `POST /api/v1/rules/test`: what a rule would have raised by the rows that are stored. Nothing is
//! written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::Response;
use futures_util::TryStreamExt as _;
use nemeses_protocol::DeviceId;
use nemeses_rules::{Fence, FenceIndex, Rehearsal, Rule, RuleSet, RuleSpec, Transition, WouldBe};
use nemeses_store::history::{HistoryRow, named_values, rows_in_order};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::wanted::no_fence;
use super::{MAX_BODY_KIB, example_spec, spec_in, wrong};
use crate::access::Principal;
use crate::backend::Backend;
use crate::input::{self, Fields, LargeFields};
use crate::openapi::{self, Answer, DEVICE_PATTERN, Doc, Tag, inlined, object};
use crate::output::{self, time_ms, time_s};
use crate::problem::{Kind, Problem};

const DEFAULT_DAYS: u64 = 7;
const MAX_DAYS: u64 = 92;
const DAY_S: u32 = 86_400;
/// Rows that are looked at, as one a second of eleven days: some seconds of work.
const MAX_ROWS: usize = 1_000_000;
/// For so long at most, below the time in which every request is answered.
const MAX_TIME: Duration = Duration::from_secs(20);
/// Alarms in an answer.
const MAX_ALARMS: usize = 1000;

/// What a rule would have raised.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RuleTestAnswer")]
struct Tested {
    #[schemars(with = "openapi::Device")]
    device_id: String,
    #[schemars(with = "openapi::Time")]
    from: String,
    /// Until when rows were looked at.
    #[schemars(with = "openapi::Time")]
    to: String,
    /// How many rows were looked at.
    rows: usize,
    /// In the order in which they would have opened.
    alarms: Vec<TestedAlarm>,
    count: usize,
    /// False when there was too much to look at: then rows behind `to` were not.
    complete: bool,
}

/// An alarm that would have been.
#[derive(Serialize, JsonSchema)]
struct TestedAlarm {
    #[schemars(with = "openapi::Time")]
    opened_at: String,
    /// Null if it would be open still.
    #[schemars(with = "Option<openapi::Time>")]
    cleared_at: Option<String>,
    /// The value that the rule is about, when it would have opened.
    value: Option<String>,
    latitude: Option<f64>,
    longitude: Option<f64>,
}

pub(crate) async fn post(
    principal: Principal,
    State(state): State<Backend>,
    LargeFields(fields): LargeFields<MAX_BODY_KIB>,
) -> Result<Response, Problem> {
    let asked = Asked::take(&state, fields).await?;
    principal.must_see(asked.device)?;
    let (set, fences) = compiled(&state, &principal, &asked.spec).await?;
    let to = u32::try_from(state.clock.now_ms() / 1000).unwrap_or(u32::MAX);
    let from = to.saturating_sub(asked.days.saturating_mul(DAY_S));
    let from = principal.history_from(from, to)?;
    let seen = look(&state, asked.device, (from, to), Rehearsal::new(&set, &fences)).await?;
    output::json(&Tested {
        device_id: state.written(asked.device),
        from: time_s(from),
        to: time_ms(seen.until_ms),
        rows: seen.rows,
        count: seen.raised.len(),
        alarms: seen.raised.iter().map(TestedAlarm::of).collect(),
        complete: seen.complete,
    })
}

/// What a body says.
struct Asked {
    spec: RuleSpec,
    device: DeviceId,
    days: u32,
}

impl Asked {
    async fn take(state: &Backend, mut fields: Fields) -> Result<Self, Problem> {
        let spec = spec_in(&mut fields)?;
        let device = fields.text("device_id")?;
        let days = fields.maybe_number("days", 1..=MAX_DAYS)?.unwrap_or(DEFAULT_DAYS);
        fields.finish()?;
        state.learn(&[input::identity_in_field("device_id", &device)?]).await?;
        let device = input::device_in_field(&state.names, "device_id", &device)?;
        Ok(Self { spec, device, days: u32::try_from(days).unwrap_or(u32::MAX) })
    }
}

/// The rule and the geofences that it asks for, of which the caller sees all.
async fn compiled(
    state: &Backend,
    principal: &Principal,
    spec: &RuleSpec,
) -> Result<(RuleSet, FenceIndex), Problem> {
    let rule = Rule::compile(0, 0, spec, |_| true).map_err(|error| wrong(error.into()))?;
    let mut fences = Vec::new();
    for id in rule.fences() {
        let found = state.history.ask(state.stores.rules.geofence(id)).await?;
        let found = found.filter(|fence| principal.sees_rule(fence.owner));
        let area = found.and_then(|fence| serde_json::from_str(&fence.geojson).ok());
        let fence = area.and_then(|area| Fence::from_geojson(&area).ok());
        fences.push((id, Arc::new(fence.ok_or_else(|| no_fence(id))?)));
    }
    Ok((RuleSet::new(vec![Arc::new(rule)]), FenceIndex::new(fences)))
}

/// What was looked at.
struct Looked {
    rows: usize,
    until_ms: u64,
    raised: Vec<WouldBe>,
    complete: bool,
}

async fn look(
    state: &Backend,
    device: DeviceId,
    range: (u32, u32),
    mut rehearsal: Rehearsal<'_>,
) -> Result<Looked, Problem> {
    let begun = Instant::now();
    let (stores, history) = (&state.stores, &state.history);
    let list = history.ask(stores.channels.channels(device)).await?;
    let mut in_order = rows_in_order(&*stores.history, &*stores.channels, device, range);
    let (mut rows, mut last_ms) = (0, u64::from(range.0) * 1000);
    while let Some(row) = history.ask(in_order.try_next()).await? {
        if rows >= MAX_ROWS || rehearsal.count() >= MAX_ALARMS || begun.elapsed() >= MAX_TIME {
            let raised = rehearsal.end(last_ms);
            return Ok(Looked { rows, until_ms: last_ms, raised, complete: false });
        }
        rows += 1;
        match row {
            HistoryRow::Position(row) => {
                last_ms = u64::from(row.position.recorded_at) * 1000;
                rehearsal.take_position(&row);
            }
            HistoryRow::Readings(row) => {
                last_ms = row.recorded_at_ms;
                let read = named_values(&list, &row.values);
                let read = read.iter().map(|(name, value)| (*name, value));
                rehearsal.take_readings(row.recorded_at_ms, row.content_hash, read);
            }
        }
    }
    let until_ms = u64::from(range.1) * 1000;
    Ok(Looked { rows, until_ms, raised: rehearsal.end(until_ms), complete: true })
}

impl TestedAlarm {
    fn of(one: &WouldBe) -> Self {
        let Transition { at_ms, value, place, .. } = one.opened;
        Self {
            opened_at: time_ms(at_ms),
            cleared_at: one.cleared_at_ms.map(time_ms),
            value: value.map(|value| value.to_string()),
            latitude: place.map(|place| place.latitude),
            longitude: place.map(|place| place.longitude),
        }
    }
}

pub(crate) fn doc() -> Doc {
    let days = json!({
        "type": "integer", "minimum": 1, "maximum": MAX_DAYS, "default": DEFAULT_DAYS,
        "description": "Over how many days until now.",
    });
    let device = json!({"type": "string", "pattern": DEVICE_PATTERN});
    let body = object(&[("rule", inlined::<RuleSpec>()), ("device_id", device)], &[("days", days)]);
    let example = json!({
        "device_id": "0A3F73", "from": "2020-06-24T21:01:00Z", "to": "2020-07-01T21:01:00Z",
        "rows": 1200, "count": 1, "complete": true,
        "alarms": [{
            "opened_at": "2020-07-01T21:00:00Z", "cleared_at": null, "value": "97",
            "latitude": -19.932_833, "longitude": -43.938_493,
        }],
    });
    Doc::new("testRule", Tag::Rules, "What a rule would have raised")
        .about(
            "Looks at what a device recorded over the last days and writes nothing. At most \
             1 000 000 rows are looked at, for 20 s, until there are 1 000 alarms. Not for share links.",
        )
        .body(body, json!({"rule": example_spec(), "device_id": "0A3F73", "days": 7}))
        .answers(Answer::json::<Tested>("What it would have raised.", example))
        .problems(&[Kind::UnknownDevice, Kind::TooManyAtOnce])
}
