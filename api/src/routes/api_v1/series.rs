//! `GET /api/v1/series`: a channel's values, as they came or by windows of time.

use std::collections::BTreeMap;

use axum::response::Response;
use futures_util::TryStreamExt as _;
use nemeses_protocol::{DeviceId, Value as Measured};
use nemeses_reports::Zone;
use nemeses_series::{Aggregate, Kind as SeriesKind, Resampler, SeriesError, Step, Value, Windows};
use nemeses_store::history::{Channel, ChannelKind, ReadingsQuery};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::channels::measured;
use super::report::zone;
use crate::access::Principal;
use crate::backend::Backend;
use crate::fleet::ForReports;
use crate::input::{Params, first_second, last_second};
use crate::openapi::{Answer, Device, Doc, Param, Tag};
use crate::output;
use crate::problem::{Kind, Problem};

/// Windows of one answer.
const MAX_WINDOWS: usize = 10_000;
/// Windows when the step is chosen.
const AUTO_WINDOWS: usize = 500;
/// Values of one answer as they came.
const MAX_RAW: usize = 10_000;
/// Records that one request reads.
const MAX_READ: usize = 2_000_000;
/// Records before the range that are looked through for the value to count from.
const LOOKED_BACK: usize = 1000;
const DAY_S: u32 = 86_400;

/// What is asked for.
struct SeriesQuery {
    device: DeviceId,
    channel: String,
    from: Option<u32>,
    to: Option<u32>,
    /// `None` for the values as they came.
    step: Option<Step>,
    aggregates: Vec<Aggregate>,
    zone: Zone,
}

impl SeriesQuery {
    fn read(mut params: Params) -> Result<Self, Problem> {
        let query = Self {
            device: params.device("device_id")?,
            channel: params.require("channel")?,
            from: params.take("from")?.map(|text| first_second("from", &text)).transpose()?,
            to: params.take("to")?.map(|text| last_second("to", &text)).transpose()?,
            step: step(params.take("step")?.as_deref())?,
            aggregates: aggregates(params.take("agg")?.as_deref())?,
            zone: zone(&mut params)?,
        };
        params.finish()?;
        if query.step.is_none() && !query.aggregates.is_empty() {
            let detail = "Values as they came have no aggregates: leave agg out, or choose a step.";
            return Err(Problem::parameter("agg", detail));
        }
        Ok(query)
    }

    /// First and last second; the last day when nothing is said.
    fn range(&self, now_s: u32) -> Result<(u32, u32), Problem> {
        let to = self.to.unwrap_or(now_s.max(self.from.unwrap_or(0)));
        let from = self.from.unwrap_or(to.saturating_sub(DAY_S));
        if from > to {
            return Err(Problem::parameter("from", "The range ends before it begins."));
        }
        Ok((from, to))
    }
}

fn step(text: Option<&str>) -> Result<Option<Step>, Problem> {
    match text {
        None => Ok(Some(Step::Auto)),
        Some("raw") => Ok(None),
        Some(text) => {
            let wrong = |error: SeriesError| {
                Problem::parameter("step", format!("Must be raw, or a step: {error}."))
            };
            text.parse().map(Some).map_err(wrong)
        }
    }
}

fn aggregates(text: Option<&str>) -> Result<Vec<Aggregate>, Problem> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let mut aggregates = Vec::new();
    for word in text.split(',') {
        let aggregate: Aggregate = word.trim().parse().map_err(|_| {
            let words: Vec<&str> = Aggregate::ALL.into_iter().map(Aggregate::as_str).collect();
            Problem::parameter("agg", format!("Must be some of {}.", words.join(", ")))
        })?;
        if !aggregates.contains(&aggregate) {
            aggregates.push(aggregate);
        }
    }
    Ok(aggregates)
}

/// A channel's values in columns.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SeriesAnswer")]
struct Series {
    #[schemars(with = "Device")]
    device_id: String,
    channel: String,
    unit: Option<String>,
    /// How the values belong together: `gauge`, `counter`, `total`, `state`, `text` or `event`.
    kind: &'static str,
    /// The step of the windows, or `raw`.
    step: String,
    /// Unix milliseconds: of the values, or of the windows' beginnings.
    t: Vec<i64>,
    /// A column for each aggregate, or the one column `value`, with an entry for each time. A
    /// window without values is a gap: null, and 0 as `count` alone.
    values: BTreeMap<&'static str, Vec<Json>>,
    count: usize,
}

pub(crate) async fn get(
    principal: Principal,
    ForReports(fleet): ForReports,
    params: Params,
) -> Result<Response, Problem> {
    let state: &Backend = &fleet;
    let query = SeriesQuery::read(params)?;
    let device = query.device;
    principal.must_see(device)?;
    let range = query.range(state.clock.now_s())?;
    let channels = state.history.ask(state.stores.channels.channels(device)).await?;
    let channel = channels.into_iter().find(|channel| channel.name == query.channel);
    let channel = channel.ok_or_else(|| {
        let detail = format!("{} has no channel of this name.", state.written(device));
        Problem::parameter("channel", detail)
    })?;
    let _turn = state.turns.take(state.reader).await;
    let series = match query.step {
        None => raw(state, device, channel, range).await?,
        Some(step) => by_window(state, device, channel, &query, step, range).await?,
    };
    output::json(&series)
}

fn answer(device_id: String, channel: Channel, step: String, t: Vec<i64>) -> Series {
    Series {
        device_id,
        channel: channel.name,
        unit: channel.unit,
        kind: channel.kind.word(),
        step,
        count: t.len(),
        t,
        values: BTreeMap::new(),
    }
}

/// Milliseconds of the first and last second.
fn as_ms((from, to): (u32, u32)) -> (u64, u64) {
    (u64::from(from) * 1000, u64::from(to) * 1000 + 999)
}

async fn raw(
    state: &Backend,
    device: DeviceId,
    channel: Channel,
    range: (u32, u32),
) -> Result<Series, Problem> {
    let (from_ms, to_ms) = as_ms(range);
    let query = ReadingsQuery { device, from_ms, to_ms, descending: false };
    let mut records = state.stores.channels.readings(query);
    let (mut t, mut values) = (Vec::new(), Vec::new());
    let mut read = 0;
    while let Some(record) = state.history.ask(records.try_next()).await? {
        read = counted(read)?;
        let Some(value) = record.value(channel.number) else { continue };
        if t.len() == MAX_RAW {
            let detail = format!(
                "The range has more than {MAX_RAW} values: choose a shorter one, or a step."
            );
            return Err(Problem::parameter("from", detail));
        }
        t.push(record.recorded_at_ms.cast_signed());
        values.push(measured(value));
    }
    let mut series = answer(state.written(device), channel, "raw".to_owned(), t);
    series.values.insert("value", values);
    Ok(series)
}

/// One more record was read.
fn counted(read: usize) -> Result<usize, Problem> {
    if read == MAX_READ {
        let detail =
            format!("More than {MAX_READ} records are in the range: choose a shorter one.");
        return Err(Problem::parameter("from", detail));
    }
    Ok(read + 1)
}

async fn by_window(
    state: &Backend,
    device: DeviceId,
    channel: Channel,
    query: &SeriesQuery,
    step: Step,
    range: (u32, u32),
) -> Result<Series, Problem> {
    let (from_ms, to_ms) = as_ms(range);
    let limit = if step == Step::Auto { AUTO_WINDOWS } else { MAX_WINDOWS };
    let (first, behind) = (from_ms.cast_signed(), to_ms.cast_signed() + 1);
    let windows = Windows::new(first..behind, step, query.zone.time_zone(), limit)
        .map_err(|error| Problem::parameter("step", format!("{error}.")))?;
    let kind = kind(channel.kind);
    let usual = [kind.default_aggregate()];
    let aggregates = if query.aggregates.is_empty() { &usual[..] } else { &query.aggregates };
    let whole = windows.range_ms();
    let (from_ms, to_ms) =
        (whole.start.max(0).cast_unsigned(), (whole.end - 1).max(0).cast_unsigned());
    let before = before(state, device, &channel, from_ms).await?;
    let mut resampler = Resampler::new(&windows, aggregates, kind, before);
    let query = ReadingsQuery { device, from_ms, to_ms, descending: false };
    let mut records = state.stores.channels.readings(query);
    let mut read = 0;
    while let Some(record) = state.history.ask(records.try_next()).await? {
        read = counted(read)?;
        let Some(measured) = record.value(channel.number) else { continue };
        let at_ms = record.recorded_at_ms.cast_signed();
        resampler.push(at_ms, &value(measured)).map_err(|error| {
            Problem::parameter("agg", format!("{error}: choose a shorter step."))
        })?;
    }
    let by_window = resampler.finish();
    let mut series =
        answer(state.written(device), channel, windows.step().to_string(), by_window.starts_ms);
    for (aggregate, column) in aggregates.iter().zip(by_window.columns) {
        let column = column.iter().map(|value| value.as_ref().map_or(Json::Null, shown)).collect();
        series.values.insert(aggregate.as_str(), column);
    }
    Ok(series)
}

/// The channel's last number before a time, which differences count from.
async fn before(
    state: &Backend,
    device: DeviceId,
    channel: &Channel,
    from_ms: u64,
) -> Result<Option<(i64, f64)>, Problem> {
    let Some(to_ms) = from_ms.checked_sub(1) else { return Ok(None) };
    let query = ReadingsQuery { device, from_ms: 0, to_ms, descending: true };
    let mut records = state.stores.channels.readings(query);
    for _ in 0..LOOKED_BACK {
        let Some(record) = state.history.ask(records.try_next()).await? else { break };
        if let Some(number) = record.value(channel.number).and_then(Measured::as_number) {
            return Ok(Some((record.recorded_at_ms.cast_signed(), number)));
        }
    }
    Ok(None)
}

const fn kind(kind: ChannelKind) -> SeriesKind {
    match kind {
        ChannelKind::Gauge => SeriesKind::Gauge,
        ChannelKind::Counter => SeriesKind::Counter,
        ChannelKind::Total => SeriesKind::Total,
        ChannelKind::State => SeriesKind::State,
        ChannelKind::Text => SeriesKind::Text,
        ChannelKind::Event => SeriesKind::Event,
    }
}

fn value(measured: &Measured) -> Value {
    match measured {
        Measured::Flag(flag) => Value::Bool(*flag),
        Measured::Integer(number) => Value::whole(*number),
        Measured::Number(number) => Value::Number(*number),
        Measured::Text(text) => Value::Text((&**text).into()),
    }
}

fn shown(value: &Value) -> Json {
    match value {
        // Counts and whole numbers without a point.
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            #[expect(clippy::cast_possible_truncation, reason = "whole and below 1e15")]
            let whole = *number as i64;
            json!(whole)
        }
        Value::Number(number) => json!(number),
        Value::Integer(number) => json!(number),
        Value::Bool(flag) => json!(flag),
        Value::Text(text) => json!(text.as_ref()),
    }
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "device_id": "id:boiler-3",
        "channel": "temperature",
        "unit": "Cel",
        "kind": "gauge",
        "step": "5m",
        "t": [1_593_637_200_000_i64, 1_593_637_500_000_i64],
        "values": {"mean": [21.5, null]},
        "count": 2,
    });
    let text = |longest: usize| json!({"type": "string", "minLength": 1, "maxLength": longest});
    let steps = "The length of a window: a number of ms, s, m, h, d, w, mo or y (5m; days and longer follow tz), auto for at most 500 round windows, or raw for the values as they came.";
    let aggs = "What to tell of a window, with commas between them: mean, min, max, sum, count, first, last, median, p95, rate, delta, stddev. By default what suits the channel's kind.";
    Doc::new("getSeries", Tag::Reports, "The values of a channel over time")
        .about("Windows begin at whole steps and are whole, so the range is widened to them. rate and delta of a counter take a lower value for a new beginning. At most 10000 windows or values.")
        .takes(Param::device("device_id", "Whose."))
        .takes(Param::query("channel", text(200), "The channel's name.").required().example("temperature"))
        .takes(Param::time("from", "The first second; a day before the end if nothing is said."))
        .takes(Param::time("to", "The last second; now if nothing is said."))
        .takes(Param::query("step", text(20), steps).example("5m"))
        .takes(Param::query("agg", text(100), aggs).example("mean"))
        .takes(Param::query("tz", text(40), "UTC, an offset, or a name such as Europe/Berlin.").example("UTC"))
        .answers(Answer::json::<Series>("The values in columns.", example))
        .problems(&[Kind::UnknownDevice])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<SeriesQuery, Problem> {
        SeriesQuery::read(Params::of(&format!("/?{query}").parse().unwrap()).unwrap())
    }

    #[test]
    fn what_is_asked_for() {
        let query =
            read("device_id=0A3F73&channel=t&step=1d&agg=min,max,min&tz=Europe/Berlin").unwrap();
        assert_eq!(query.aggregates, [Aggregate::Min, Aggregate::Max]);
        assert_eq!(query.range(100_000).unwrap(), (13_600, 100_000));
        assert!(read("device_id=0A3F73&channel=t&step=raw").unwrap().step.is_none());
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (query, name) in [
            ("", "device_id"),
            ("device_id=0A3F73", "channel"),
            ("device_id=0A3F73&channel=t&step=often", "step"),
            ("device_id=0A3F73&channel=t&agg=average", "agg"),
            ("device_id=0A3F73&channel=t&step=raw&agg=mean", "agg"),
            ("device_id=0A3F73&channel=t&from=yesterday", "from"),
            ("device_id=0A3F73&channel=t&tz=Mars", "tz"),
            ("device_id=0A3F73&channel=t&points=3", "points"),
        ] {
            assert_eq!(read(query).err().unwrap().at_fault(), Some(name), "{query}");
        }
        let query = read("device_id=0A3F73&channel=t&from=9&to=8").unwrap();
        assert_eq!(query.range(10).unwrap_err().at_fault(), Some("from"));
    }
}
