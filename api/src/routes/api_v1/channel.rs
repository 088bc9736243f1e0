//! `/api/v1/devices/{device_id}/channels/{channel}`: what people say of a channel, and
//! channels that are computed from others when they are read.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use nemeses_protocol::{MAX_UNIT, is_channel_name, is_unit};
use nemeses_store::history::{
    Calibration, Channel, ChannelChange, ChannelKind, Derivation, Derived, MAX_CALIBRATION_POINTS,
    MAX_DERIVED, NewDerived,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::{Principal, Right};
use crate::backend::Backend;
use crate::input::{self, Fields, Patch, Segments};
use crate::openapi::{Answer, Device, Doc, Param, Tag, object};
use crate::output;
use crate::problem::{Kind, Problem};

/// Digits behind the point that can be shown.
const MAX_DECIMALS: u64 = 15;

/// How a number becomes another: `linear` is factor times raw plus offset, `table` has points of
/// raw numbers, which rise, and what they become, with straight lines between them.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "Calibration")]
pub(super) enum ShownCalibration {
    Linear { factor: f64, offset: f64 },
    Table(Vec<[f64; 2]>),
}

impl From<Calibration> for ShownCalibration {
    fn from(calibration: Calibration) -> Self {
        match calibration {
            Calibration::Linear { factor, offset } => Self::Linear { factor, offset },
            Calibration::Table(points) => {
                Self::Table(points.into_iter().map(|(raw, value)| [raw, value]).collect())
            }
        }
    }
}

/// What is said of a channel.
#[derive(Debug, Serialize, JsonSchema)]
struct DescribedChannel {
    #[schemars(with = "Device")]
    device_id: String,
    name: String,
    unit: Option<String>,
    /// `gauge`, `counter`, `total`, `state`, `text` or `event`.
    kind: &'static str,
    label: Option<String>,
    decimals: Option<u8>,
    /// The device's own channel that this one is computed from; null for its own.
    source: Option<String>,
    calibration: Option<ShownCalibration>,
}

impl DescribedChannel {
    fn new(device_id: String, channel: Channel) -> Self {
        let (source, calibration) = parts(channel.derivation);
        Self {
            device_id,
            name: channel.name,
            unit: channel.unit,
            kind: channel.kind.word(),
            label: channel.label,
            decimals: channel.decimals,
            source,
            calibration,
        }
    }
}

/// What a channel is computed from, as answers have it.
pub(super) fn parts(of: Option<Derivation>) -> (Option<String>, Option<ShownCalibration>) {
    of.map(|of| (of.source, of.calibration.into())).unzip()
}

/// Changes what is said of a channel.
pub(crate) async fn patch(
    principal: Principal,
    State(state): State<Backend>,
    Segments((device_id, name)): Segments<(String, String)>,
    mut fields: Fields,
) -> Result<Response, Problem> {
    principal.must(Right::Manage)?;
    let device = state.device("device_id", &device_id)?;
    let mut change = ChannelChange { kind: kind(&mut fields)?, ..ChannelChange::default() };
    match label(&mut fields)? {
        Patch::Absent => {}
        Patch::Null => change.label = Some(None),
        Patch::Value(label) => change.label = Some(Some(label)),
    }
    match decimals(&mut fields)? {
        Patch::Absent => {}
        Patch::Null => change.decimals = Some(None),
        Patch::Value(decimals) => change.decimals = Some(Some(decimals)),
    }
    fields.finish()?;
    let described = state.stores.channels.describe(device, &name, &change);
    if !state.history.ask(described).await? {
        return Err(no_channel());
    }
    output::json(&described_now(&state, device, &name).await?)
}

/// Makes a channel that is computed from another, or another of it.
pub(crate) async fn put(
    principal: Principal,
    State(state): State<Backend>,
    Segments((device_id, name)): Segments<(String, String)>,
    mut fields: Fields,
) -> Result<Response, Problem> {
    principal.must(Right::Manage)?;
    let device = state.device("device_id", &device_id)?;
    if !is_channel_name(&name) {
        let detail = "A channel's name has 1 to 128 bytes of visible characters.";
        return Err(Problem::parameter("channel", detail));
    }
    let calibration = calibration(fields.value("calibration"))?;
    let derivation = Derivation { source: fields.text("source")?, calibration };
    let new = NewDerived {
        name,
        derivation,
        unit: unit(&mut fields)?,
        kind: kind(&mut fields)?.unwrap_or(ChannelKind::Gauge),
        label: label(&mut fields)?.value(),
        decimals: decimals(&mut fields)?.value(),
    };
    fields.finish()?;
    let derived = state.stores.channels.derive(device, &new, state.clock.now_ms());
    let status = match state.history.ask(derived).await? {
        Derived::Made => StatusCode::CREATED,
        Derived::Replaced => StatusCode::OK,
        Derived::NameTaken => {
            let detail = "The device reports a channel of this name itself.";
            return Err(Problem::new(Kind::NameTaken, detail).blaming("channel"));
        }
        Derived::NoSource => {
            let detail = "The device has no channel of its own with this name.";
            return Err(Problem::field("source", detail));
        }
        Derived::TooMany => {
            let detail =
                format!("The device has {MAX_DERIVED} derived channels; remove one first.");
            return Err(Problem::new(Kind::TooMany, detail));
        }
    };
    let answer = output::json(&described_now(&state, device, &new.name).await?)?;
    Ok((status, answer).into_response())
}

/// Removes a channel that is computed from another.
pub(crate) async fn delete(
    principal: Principal,
    State(state): State<Backend>,
    Segments((device_id, name)): Segments<(String, String)>,
) -> Result<StatusCode, Problem> {
    principal.must(Right::Manage)?;
    let device = state.device("device_id", &device_id)?;
    if state.history.ask(state.stores.channels.underive(device, &name)).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let detail = "There is no derived channel of this name; a device's own channels stay.";
    Err(Problem::new(Kind::UnknownId, detail).blaming("channel"))
}

async fn described_now(
    state: &Backend,
    device: nemeses_protocol::DeviceId,
    name: &str,
) -> Result<DescribedChannel, Problem> {
    let channels = state.history.ask(state.stores.channels.channels(device)).await?;
    let channel = channels.into_iter().find(|channel| channel.name == name);
    Ok(DescribedChannel::new(state.written(device), channel.ok_or_else(no_channel)?))
}

fn no_channel() -> Problem {
    Problem::new(Kind::UnknownId, "The device has no channel of this name.").blaming("channel")
}

fn kind(fields: &mut Fields) -> Result<Option<ChannelKind>, Problem> {
    let kind = fields.maybe_text("kind")?.map(|text| text.parse());
    kind.transpose().map_err(|error: nemeses_store::history::NoChannelKind| {
        Problem::field("kind", format!("There is no such kind: {error}."))
    })
}

fn label(fields: &mut Fields) -> Result<Patch<String>, Problem> {
    Ok(match fields.null_or_text("label")? {
        Patch::Value(text) => Patch::Value(input::label("label", &text, 1)?),
        other => other,
    })
}

fn decimals(fields: &mut Fields) -> Result<Patch<u8>, Problem> {
    let wrong = || {
        let detail = format!("Must be a whole number from 0 to {MAX_DECIMALS}, or null.");
        Problem::field("decimals", detail)
    };
    match fields.value("decimals") {
        None => Ok(Patch::Absent),
        Some(Value::Null) => Ok(Patch::Null),
        Some(value) => {
            let digits = value.as_u64().filter(|digits| *digits <= MAX_DECIMALS);
            let digits = digits.and_then(|digits| u8::try_from(digits).ok());
            digits.map(Patch::Value).ok_or_else(wrong)
        }
    }
}

fn unit(fields: &mut Fields) -> Result<Option<String>, Problem> {
    match fields.null_or_text("unit")?.value() {
        Some(unit) if !is_unit(&unit) => {
            Err(Problem::field("unit", format!("Must have 1 to {MAX_UNIT} visible characters.")))
        }
        unit => Ok(unit),
    }
}

fn calibration(value: Option<Value>) -> Result<Calibration, Problem> {
    let wrong = |detail: String| Problem::field("calibration", detail);
    let value = value.ok_or_else(|| wrong("Missing.".to_owned()))?;
    let read: ShownCalibration = serde_json::from_value(value).map_err(|_| {
        wrong(
            "Must be {\"linear\": {\"factor\": 2.5, \"offset\": 0}} or {\"table\": [[0, 0], [5, 60]]}."
                .to_owned(),
        )
    })?;
    let read = match read {
        ShownCalibration::Linear { factor, offset } => Calibration::Linear { factor, offset },
        ShownCalibration::Table(points) => {
            Calibration::Table(points.into_iter().map(|[raw, value]| (raw, value)).collect())
        }
    };
    read.checked().map_err(|error| wrong(format!("This is no calibration: {error}.")))
}

fn example() -> Value {
    json!({
        "device_id": "id:boiler-3", "name": "level", "unit": "L", "kind": "gauge",
        "label": "Tank", "decimals": 0, "source": "level_raw",
        "calibration": {"table": [[0.0, 0.0], [1.2, 10.0], [5.0, 60.0]]},
    })
}

fn said_fields() -> [(&'static str, Value); 3] {
    [
        ("label", json!({"type": ["string", "null"], "maxLength": 100})),
        ("decimals", json!({"type": ["integer", "null"], "minimum": 0, "maximum": MAX_DECIMALS})),
        ("kind", json!({"type": "string", "enum": ChannelKind::ALL.map(ChannelKind::word)})),
    ]
}

fn channel_in_path() -> Param {
    let name = json!({"type": "string", "minLength": 1, "maxLength": 192});
    Param::path("channel", name, "The channel's name, percent-encoded.").example("temperature")
}

fn of_channel(doc: Doc) -> Doc {
    doc.takes(Param::path_device()).takes(channel_in_path())
}

pub(crate) fn patch_doc() -> Doc {
    let doc = Doc::new("describeChannel", Tag::Devices, "Say what a channel is")
        .about("Its label, the digits to show, and its kind. Fields that are left out stay.");
    of_channel(doc)
        .body(object(&[], &said_fields()), json!({"label": "Feed water", "decimals": 1}))
        .answers(Answer::json::<DescribedChannel>("The channel now.", example()))
        .problems(&[Kind::UnknownDevice, Kind::UnknownId])
}

pub(crate) fn put_doc() -> Doc {
    let point = json!({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2});
    let linear = object(
        &[("factor", json!({"type": "number"})), ("offset", json!({"type": "number"}))],
        &[],
    );
    let table =
        json!({"type": "array", "items": point, "minItems": 2, "maxItems": MAX_CALIBRATION_POINTS});
    let calibration = json!({"oneOf": [
        object(&[("linear", linear)], &[]),
        object(&[("table", table)], &[]),
    ]});
    let source = json!({"type": "string", "minLength": 1, "maxLength": 192});
    let unit = json!({"type": ["string", "null"], "minLength": 1, "maxLength": MAX_UNIT});
    let [label, decimals, kind] = said_fields();
    let wish = json!({
        "source": "temperature", "calibration": {"linear": {"factor": 1.8, "offset": 32.0}}, "unit": "[degF]",
    });
    let doc = Doc::new("deriveChannel", Tag::Devices, "Make a channel that is computed from another")
        .about("From the numbers of a channel of the device's own, when it is read; those stay as they are.");
    of_channel(doc)
        .body(
            object(
                &[("source", source), ("calibration", calibration)],
                &[("unit", unit), label, decimals, kind],
            ),
            wish,
        )
        .answers(Answer::json::<DescribedChannel>(
            "It took the place of the one before.",
            example(),
        ))
        .answers(
            Answer::json::<DescribedChannel>("There is a channel more.", example())
                .status(StatusCode::CREATED),
        )
        .problems(&[Kind::UnknownDevice, Kind::NameTaken, Kind::TooMany])
}

pub(crate) fn delete_doc() -> Doc {
    let doc = Doc::new("removeDerivedChannel", Tag::Devices, "Remove a derived channel");
    of_channel(doc)
        .answers(Answer::empty(
            StatusCode::NO_CONTENT,
            "It is gone; the channel it came from stays.",
        ))
        .problems(&[Kind::UnknownDevice, Kind::UnknownId])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_calibration_is_told_why() {
        for (value, told) in [
            (json!({"linear": {"factor": 1}}), "Must be {"),
            (json!({"linear": {"factor": 1, "offset": 0}, "table": []}), "Must be {"),
            (json!({"table": [[0, 1]]}), "This is no calibration: a table has 2 to 100 points."),
            (json!({"table": [[1, 1], [0, 2]]}), "This is no calibration: the raw numbers"),
        ] {
            let problem = calibration(Some(value.clone())).unwrap_err();
            assert_eq!(problem.at_fault(), Some("calibration"));
            assert!(format!("{problem:?}").contains(told), "{value}: {problem:?}");
        }
        assert!(calibration(None).is_err());
        let good = json!({"table": [[0, 0], [1.5, 10]]});
        let table = Calibration::Table(vec![(0.0, 0.0), (1.5, 10.0)]);
        assert_eq!(calibration(Some(good)).unwrap(), table);
    }
}
