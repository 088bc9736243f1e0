//! `GET /api/v1/series`: values of channels over time, as they came, as points to draw, or by
//! windows; of one device or several, as JSON or as files.

mod answer;
mod positions;
mod query;
mod read;
mod select;
pub(crate) mod statistics;

use axum::http::HeaderMap;
use axum::response::Response;
use nemeses_reports::Zone;
use nemeses_series::{Aggregate, Drawing, Step, Value, Windows};
use serde_json::json;

use self::answer::{Answered, answer};
pub(crate) use self::answer::{Cell, Series};
pub(crate) use self::query::SeriesQuery;
use self::query::Shape;
use self::read::{Reader, Sink, by_window};
use self::select::{OfDevice, Selected, select};
use super::report::{accepted, tz_described};
use crate::access::Principal;
use crate::fleet::{FleetState, ForReports};
use crate::input::Params;
use crate::openapi::{Answer, Doc, Param, Tag};
use crate::problem::{Kind, Problem};

/// Windows of a series.
const MAX_WINDOWS: usize = 10_000;
/// Windows when the step is chosen.
const AUTO_WINDOWS: usize = 500;
/// Values of one answer, gaps among them: 10 MB as JSON.
const MAX_VALUES: usize = 100_000;
/// Rows that one request reads.
const MAX_READ: usize = 2_000_000;
/// Series of one answer.
const MAX_SERIES: usize = 200;

pub(crate) async fn get(
    principal: Principal,
    ForReports(state): ForReports,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    let query = SeriesQuery::read(params, accepted(&headers))?;
    let series = collect(&principal, &state, &query, &[&query.channels]).await?;
    answer(&query, &state.names, series).await
}

/// The series of the channels with these names; of one text alone that is no channel's name,
/// those that it lists.
pub(crate) async fn collect(
    principal: &Principal,
    state: &FleetState,
    query: &SeriesQuery,
    channels: &[&str],
) -> Result<Vec<Series>, Problem> {
    let (from, to) = query.seconds(state.clock.now_s())?;
    let range_ms = as_ms((principal.history_from(from, to)?, to));
    let of = select(state, principal, &query.whose, channels).await?;
    let turn = state.turns.take(state.reader).await;
    let mut reader = Reader::new(state);
    let mut series = Vec::new();
    for of in &of {
        match &query.shape {
            Shape::Windows { step, aggregates, gaps } => {
                let windows = windows(range_ms, *step, &query.zone)?;
                let aggregates = suited(of, aggregates);
                let columns: usize = aggregates.iter().map(Vec::len).sum();
                bounded(&series, columns.saturating_mul(windows.len()))?;
                let done = by_window(&mut reader, of, &windows, &aggregates).await?;
                for ((channel, aggregates), done) in of.channels.iter().zip(aggregates).zip(done) {
                    let step = windows.step().to_string();
                    series.push(Series::of_windows(of, channel, step, &aggregates, done, *gaps));
                }
            }
            raw => series.extend(as_they_came(&mut reader, of, range_ms, raw).await?),
        }
    }
    drop(turn);
    Ok(series)
}

/// Milliseconds of the first and last second.
fn as_ms((from, to): (u32, u32)) -> (u64, u64) {
    (u64::from(from) * 1000, u64::from(to) * 1000 + 999)
}

fn windows((from_ms, to_ms): (u64, u64), step: Step, zone: &Zone) -> Result<Windows, Problem> {
    let limit = if step == Step::Auto { AUTO_WINDOWS } else { MAX_WINDOWS };
    Windows::new(from_ms.cast_signed()..to_ms.cast_signed() + 1, step, zone.time_zone(), limit)
        .map_err(|error| Problem::parameter("step", format!("{error}.")))
}

/// The aggregates of each channel: those asked for, or the one that suits it.
fn suited(of: &OfDevice, asked: &[Aggregate]) -> Vec<Vec<Aggregate>> {
    let of_channel = |channel: &Selected| match asked {
        [] => vec![channel.kind().default_aggregate()],
        asked => asked.to_vec(),
    };
    of.channels.iter().map(of_channel).collect()
}

/// Refuses so many values more.
fn bounded(before: &[Series], more: usize) -> Result<(), Problem> {
    let before: usize = before.iter().map(Series::len).sum();
    if before.saturating_add(more) <= MAX_VALUES {
        return Ok(());
    }
    let detail = format!(
        "The answer has more than {MAX_VALUES} values: choose a longer step, a shorter range, or fewer series."
    );
    Err(Problem::parameter("step", detail))
}

async fn as_they_came(
    reader: &mut Reader<'_>,
    of: &OfDevice,
    range_ms: (u64, u64),
    shape: &Shape,
) -> Result<Vec<Series>, Problem> {
    let most = if let Shape::Last(most) = shape { *most } else { usize::MAX };
    let sink = |_: &Selected| match shape {
        Shape::Drawn { points, longest_gap_ms } => {
            let range_ms = range_ms.0.cast_signed()..range_ms.1.cast_signed() + 1;
            Sink::Drawing(Drawing::new(range_ms, *points, *longest_gap_ms))
        }
        _ => Sink::Values { kept: Vec::new(), most },
    };
    let mut sinks: Vec<Sink<'_>> = of.channels.iter().map(sink).collect();
    let newest_first = matches!(shape, Shape::Last(_));
    reader.read(of, range_ms, newest_first, &mut sinks).await?;
    let series = |(channel, sink): (&Selected, Sink<'_>)| {
        let values = match sink {
            Sink::Values { mut kept, .. } => {
                if newest_first {
                    kept.reverse();
                }
                kept.into_iter().map(|(at_ms, value)| (at_ms, Some(value))).collect()
            }
            Sink::Drawing(drawing) => {
                let points = drawing.finish().into_iter();
                points.map(|(at_ms, number)| (at_ms, number.map(Value::Number))).collect()
            }
            Sink::Windows(_) => Vec::new(),
        };
        Series::as_they_came(of, channel, values)
    };
    Ok(of.channels.iter().zip(sinks).map(series).collect())
}

/// Parameters that say whose series, and when.
fn selecting() -> [Param; 6] {
    let text = |longest: usize| json!({"type": "string", "minLength": 1, "maxLength": longest});
    let group = json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
    let channel = "A channel's name, or several with commas between them; a comma in braces is part of a name. `position.speed_kmh` and the like are of positions.";
    [
        Param::devices("device_id", "Whose: one device or several. This, `group` or `tag`."),
        Param::query("group", group, "Of the devices of this group."),
        Param::query("tag", text(40), "Of the devices with this tag."),
        Param::query("channel", text(4000), channel).required().example("temperature"),
        Param::time("from", "The first second; a day before the end if nothing is said."),
        Param::time("to", "The last second; now if nothing is said."),
    ]
}

pub(crate) fn doc() -> Doc {
    let one = json!({
        "device_id": "id:boiler-3",
        "channel": "temperature",
        "unit": "Cel",
        "kind": "gauge",
        "label": "Feed water",
        "decimals": 1,
        "step": "5m",
        "t": [1_593_637_200_000_i64, 1_593_637_500_000_i64],
        "values": {"mean": [21.5, null]},
        "count": 2,
    });
    let text = |longest: usize| json!({"type": "string", "minLength": 1, "maxLength": longest});
    let number =
        |least: usize, most: usize| json!({"type": "integer", "minimum": least, "maximum": most});
    let steps = "The length of a window: a number of ms, s, m, h, d, w, mo or y (5m; days and longer follow tz), auto for at most 500 round windows, or raw for the values as they came.";
    let aggs = "What to tell of a window, with commas between them: mean, min, max, sum, count, first, last, median, p95, rate, delta, stddev. By default what suits the channel's kind.";
    let points = "At most so many points that draw the same line as the values as they came: the least and the greatest of each stretch, and the largest triangles.";
    Doc::new("getSeries", Tag::Reports, "The values of channels over time")
        .about("Windows begin at whole steps and are whole, so the range is widened to them. rate and delta of a counter take a lower value for a new beginning. At most 200 series, 10000 windows of each, and 100000 values. Of one device and one channel the answer is the series itself.")
        .takes_all(selecting())
        .takes(Param::query("step", text(20), steps).example("5m"))
        .takes(Param::query("agg", text(100), aggs).example("mean"))
        .takes(Param::query("last_n", number(1, MAX_VALUES), "The newest values of each series, as they came; not with `from`."))
        .takes(Param::query("points", number(4, 10_000), points))
        .takes(Param::query("longest_gap", text(20), "Of `points`: values further apart have a gap between them, such as 15m."))
        .takes(Param::choice("gaps", &[("true", true), ("false", false)], "`false` leaves out windows without values."))
        .takes(tz_described())
        .takes(Param::choice("format", &nemeses_export::FORMS, "The form; also by `Accept`. None of those for maps."))
        .answers(
            Answer::json::<Answered>("The values in columns.", one)
                .or_text("application/x-ndjson", "{\"device_id\":\"id:boiler-3\",\"channel\":\"temperature\",\"unit\":\"Cel\",\"time\":\"2020-07-01T21:00:00Z\",\"aggregate\":\"mean\",\"value\":21.5,\"text\":null}\n")
                .or_text("text/csv; charset=utf-8", "device_id,channel,unit,time,aggregate,value,text\r\n")
                .or_text("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "PK")
                .or_text("application/vnd.apache.parquet", "PAR1"),
        )
        .problems(&[Kind::UnknownDevice, Kind::UnknownGroup])
}
