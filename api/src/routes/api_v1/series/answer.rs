//! Series as answers: in columns as JSON, or a line a value as files.

use std::collections::BTreeMap;
use std::ops::Range;

use async_trait::async_trait;
use axum::response::Response;
use nemeses_export::{CellKind, Column, Form, Piece, Place, Report, column};
use nemeses_protocol::DeviceNames;
use nemeses_reports::Zone;
use nemeses_series::{Aggregate, Resampled, Value};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};

use super::query::{SeriesQuery, Whose};
use super::select::{OfDevice, Selected};
use crate::openapi::Device;
use crate::output;
use crate::problem::{Problem, fault};
use crate::routes::api_v1::report::{Source, file_of, respond};

/// The name of the only column of values that are as they came.
const RAW: &str = "value";
/// Times whose lines are written at once.
const TIMES_AT_ONCE: usize = 500;

/// A channel's values in columns.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SeriesAnswer")]
pub(crate) struct Series {
    #[schemars(with = "Device")]
    pub(crate) device_id: String,
    pub(crate) channel: String,
    pub(crate) unit: Option<String>,
    /// How the values belong together: `gauge`, `counter`, `total`, `state`, `text` or `event`.
    pub(crate) kind: &'static str,
    /// What people call the channel.
    pub(crate) label: Option<String>,
    /// Digits behind the point to show; null for as many as there are.
    pub(crate) decimals: Option<u8>,
    /// The step of the windows, or `raw`.
    pub(crate) step: String,
    /// Unix milliseconds: of the values, or of the windows' beginnings.
    pub(crate) t: Vec<i64>,
    /// A column for each aggregate, or the one column `value`, with an entry for each time. A
    /// window without values is a gap: null, and 0 as `count` alone.
    #[schemars(with = "BTreeMap<&'static str, Vec<Json>>")]
    pub(crate) values: BTreeMap<&'static str, Vec<Cell>>,
    count: usize,
}

/// A value in a column; none is a gap.
#[derive(Debug)]
pub(crate) struct Cell(pub(crate) Option<Value>);

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        shown(self.0.as_ref()).serialize(serializer)
    }
}

/// Several of them.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SeveralSeries")]
pub(super) struct Several {
    /// In order of device, then as the channels were asked for. Devices that have none of the
    /// channels are left out.
    series: Vec<Series>,
    count: usize,
}

/// One series where one device and one channel were asked for; else several.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "SeriesOrSeveral")]
pub(super) enum Answered {
    One(Series),
    Several(Several),
}

impl Series {
    fn new(of: &OfDevice, channel: &Selected, step: String, t: Vec<i64>) -> Self {
        Self {
            device_id: of.device_id.clone(),
            channel: channel.name.clone(),
            unit: channel.unit(),
            kind: channel.kind().as_str(),
            label: channel.label(),
            decimals: channel.decimals(),
            step,
            count: t.len(),
            t,
            values: BTreeMap::new(),
        }
    }

    pub(super) fn as_they_came(
        of: &OfDevice,
        channel: &Selected,
        values: Vec<(i64, Option<Value>)>,
    ) -> Self {
        let (t, values): (Vec<i64>, Vec<_>) = values.into_iter().unzip();
        let mut series = Self::new(of, channel, "raw".to_owned(), t);
        series.values.insert(RAW, values.into_iter().map(Cell).collect());
        series
    }

    /// Without `gaps`, windows without values are left out.
    pub(super) fn of_windows(
        of: &OfDevice,
        channel: &Selected,
        step: String,
        aggregates: &[Aggregate],
        windows: Resampled,
        gaps: bool,
    ) -> Self {
        let Resampled { starts_ms, columns } = windows;
        let is_empty = |at: usize| {
            let of = |(aggregate, column): (&Aggregate, &Vec<Option<Value>>)| match aggregate {
                Aggregate::Count => column[at] == Some(Value::Number(0.0)),
                _ => column[at].is_none(),
            };
            aggregates.iter().zip(&columns).all(of)
        };
        let kept: Vec<usize> = (0..starts_ms.len()).filter(|at| gaps || !is_empty(*at)).collect();
        let t = kept.iter().map(|at| starts_ms[*at]).collect();
        let mut series = Self::new(of, channel, step, t);
        for (aggregate, column) in aggregates.iter().zip(&columns) {
            let column = kept.iter().map(|at| Cell(column[*at].clone())).collect();
            series.values.insert(aggregate.as_str(), column);
        }
        series
    }

    /// Values, gaps among them.
    pub(super) fn len(&self) -> usize {
        self.values.len() * self.t.len()
    }

    /// A line a value, as JSON, of some of the times.
    fn lines(&self, times: Range<usize>, zone: &Zone) -> Vec<Json> {
        let mut lines = Vec::with_capacity(times.len() * self.values.len());
        for at in times {
            let time = zone.time_ms(self.t[at]);
            for (aggregate, column) in &self.values {
                let (value, text) = match shown(column[at].0.as_ref()) {
                    Json::String(text) => (Json::Null, json!(text)),
                    Json::Bool(flag) => (json!(u8::from(flag)), Json::Null),
                    other => (other, Json::Null),
                };
                lines.push(json!({
                    "device_id": self.device_id,
                    "channel": self.channel,
                    "unit": self.unit,
                    "time": time,
                    "aggregate": aggregate,
                    "value": value,
                    "text": text,
                }));
            }
        }
        lines
    }
}

/// A line of a table.
const COLUMNS: [Column; 7] = [
    column("device_id", CellKind::Text),
    column("channel", CellKind::Text),
    column("unit", CellKind::Text),
    column("time", CellKind::Time),
    column("aggregate", CellKind::Text),
    column("value", CellKind::Number),
    column("text", CellKind::Text),
];

/// The answer in the form that was asked for.
pub(super) async fn answer(
    query: &SeriesQuery,
    names: &DeviceNames,
    mut series: Vec<Series>,
) -> Result<Response, Problem> {
    let one = match &query.whose {
        Whose::Devices(devices) => matches!(devices[..], [_]) && series.len() == 1,
        Whose::Group(_) | Whose::Tag(_) => false,
    };
    if query.form == Form::Json {
        return match series.pop() {
            Some(only) if one && only.channel == query.channels => {
                output::json(&Answered::One(only))
            }
            last => {
                series.extend(last);
                let count = series.len();
                output::json(&Answered::Several(Several { series, count }))
            }
        };
    }
    let file = match &query.whose {
        Whose::Devices(devices) => match devices[..] {
            [device] => format!("series-{}", file_of(device, names)),
            _ => format!("series-{}-devices", devices.len()),
        },
        Whose::Group(group) => format!("series-group-{group}"),
        Whose::Tag(_) => "series-tag".to_owned(),
    };
    let report = Report {
        form: query.form,
        question: "{}".to_owned(),
        list: "values",
        columns: &COLUMNS,
        title: "Values",
        totals: None,
        place: Place::None,
        zone: query.zone.clone(),
        file,
    };
    respond(report, Lines { series, zone: query.zone.clone(), next: (0, 0) }).await
}

/// The lines of series, some at a time.
struct Lines {
    series: Vec<Series>,
    zone: Zone,
    /// Which series, and how many of its times were written.
    next: (usize, usize),
}

#[async_trait]
impl Source for Lines {
    async fn next(&mut self) -> Result<Option<Vec<Piece>>, Problem> {
        let (at, written) = self.next;
        let Some(series) = self.series.get(at) else { return Ok(None) };
        let until = (written + TIMES_AT_ONCE).min(series.t.len());
        self.next = if until == series.t.len() { (at + 1, 0) } else { (at, until) };
        let lines = series.lines(written..until, &self.zone).into_iter();
        let pieces = lines.map(|line| serde_json::to_string(&line).map(Piece::Thing));
        Ok(Some(pieces.collect::<Result<_, _>>().map_err(|error| fault(&error))?))
    }
}

fn shown(value: Option<&Value>) -> Json {
    match value {
        None => Json::Null,
        // Counts and whole numbers without a point.
        Some(Value::Number(number)) if number.fract() == 0.0 && number.abs() < 1e15 => {
            #[expect(clippy::cast_possible_truncation, reason = "whole and below 1e15")]
            let whole = *number as i64;
            json!(whole)
        }
        Some(Value::Number(number)) => json!(number),
        Some(Value::Integer(number)) => json!(number),
        Some(Value::Bool(flag)) => json!(flag),
        Some(Value::Text(text)) => json!(text.as_ref()),
    }
}
