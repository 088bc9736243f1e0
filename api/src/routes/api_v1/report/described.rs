//! The documentation of the report of positions.

use nemeses_export::{FORMS, Form};
use schemars::JsonSchema;
use serde_json::json;

use super::query::{DEFAULT_LIMIT, MAX_LIMIT, ORDERS};
use super::span::tz_described;
use super::target::Target;
use crate::openapi::{Answer, Device, Doc, Param, Tag, Time};
use crate::output::{FeatureCollection, Row, example_row};
use crate::problem::Kind;

/// How the JSON form is put together; written piece by piece, never as a whole.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Positions {
    /// Where one was asked for.
    #[schemars(with = "Device")]
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<String>,
    /// Where several were asked for, or a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_ids: Option<Vec<String>>,
    #[schemars(with = "Time")]
    from: String,
    #[schemars(with = "Time")]
    to: String,
    /// `asc` or `desc`.
    order: &'static str,
    rows: Vec<Row>,
    count: u64,
    /// Where the next page begins; null if nothing is left.
    next_cursor: Option<String>,
}

pub(crate) fn doc() -> Doc {
    Doc::new("getReport", Tag::Reports, "What a device sent, in time order")
        .about(
            "Streamed, with bounded memory, whatever the limit. A body that breaks off is not a \
             whole report. Forms without a place to say that something is missing hold the whole \
             range and take neither `limit` nor `cursor`.",
        )
        .takes_all(parameters())
        .answers(answer())
        .problems(&[
            Kind::UnknownDevice,
            Kind::UnknownGroup,
            Kind::LiveUnavailable,
            Kind::TooManyAtOnce,
        ])
}

fn parameters() -> Vec<Param> {
    let mut parameters = Target::described().to_vec();
    parameters.extend([
        Param::time("from", "First recorded second; all of time if absent."),
        Param::time("to", "Last recorded second, included.").example("2020-07-01T23:59:59Z"),
        Param::choice("order", &ORDERS, "`desc` is the newest first."),
        Param::choice("format", &FORMS, "Goes before the header `Accept`."),
        Param::count("limit", DEFAULT_LIMIT, MAX_LIMIT, "Rows in this answer."),
        Param::text("cursor", 256, "`next_cursor` of the page before, as it came."),
        tz_described(),
    ]);
    parameters
}

fn answer() -> Answer {
    let row = example_row();
    let range = json!({
        "device_id": "0A3F73", "from": "2020-07-01T00:00:00Z", "to": "2020-07-01T23:59:59Z",
        "order": "asc", "count": 1, "next_cursor": null,
    });
    let with = |name: &str, value: serde_json::Value| {
        let mut whole = range.clone();
        whole[name] = value;
        whole
    };
    let point = json!({"type": "Point", "coordinates": [-43.938_493, -19.932_833]});
    let feature = json!({"type": "Feature", "geometry": point, "properties": row});
    let mut features = with("features", json!([feature]));
    features["type"] = "FeatureCollection".into();
    Answer::json::<Positions>("The rows.", with("rows", json!([row])))
        .or_json::<FeatureCollection>(Form::GeoJson.content_type(), features)
        .or_files("device_id,recorded_at,latitude,longitude\r\n")
        .header("Content-Disposition", "A file name, for forms that people keep as files.")
}
