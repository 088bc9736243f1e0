//! The API's answers as messages of docs/nemeses.proto. Pure.

use nemeses_protocol::Value as Measured;
use nemeses_series::{NumberSummary, Value};
use nemeses_store::history::Channel;

use super::v1::{self, value::Kind};
use crate::output::{Location, Moment, PositionSource, Status};
use crate::posting::{PostOutcome, Refused};
use crate::routes::api_v1::channels::Newest;
use crate::routes::api_v1::series::{Cell, Series};

/// Unix milliseconds in the type that messages have.
pub(super) fn ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn at(moment: Moment) -> i64 {
    ms(moment.ms())
}

pub(super) fn source(from: Option<PositionSource>) -> v1::Source {
    match from {
        None => v1::Source::Unspecified,
        Some(PositionSource::Live) => v1::Source::Live,
        Some(PositionSource::History) => v1::Source::History,
    }
}

/// A value as a device sends it.
pub(super) fn of_measured(value: &Measured) -> v1::Value {
    let kind = match value {
        Measured::Flag(flag) => Kind::Flag(*flag),
        Measured::Integer(integer) => Kind::Integer(*integer),
        Measured::Number(number) => Kind::Number(*number),
        Measured::Text(text) => Kind::Text(text.to_string()),
    };
    v1::Value { kind: Some(kind) }
}

/// A value of a series; none is a gap.
fn of_series(value: Option<&Value>) -> v1::Value {
    let kind = value.map(|value| match value {
        Value::Number(number) => Kind::Number(*number),
        Value::Integer(integer) => Kind::Integer(*integer),
        Value::Bool(flag) => Kind::Flag(*flag),
        Value::Text(text) => Kind::Text(text.to_string()),
    });
    v1::Value { kind }
}

pub(super) fn location(location: Location) -> v1::Location {
    v1::Location {
        device_id: location.device_id,
        online: location.status == Status::Online,
        message: location.message.unwrap_or_default().to_owned(),
        recorded_at_ms: location.recorded_at.map(at),
        received_at_ms: location.received_at.map(at),
        seen_at_ms: location.seen_at.map(at),
        age_s: location.age_s,
        latitude: location.latitude,
        longitude: location.longitude,
        position_recorded_at_ms: location.position_recorded_at.map(at),
        position_age_s: location.position_age_s,
        position_from: source(location.position_from).into(),
        speed_kmh: location.speed_kmh.map(u32::from),
        direction_deg: location.direction_deg,
        ignition: location.ignition,
        gps_fix: location.gps_fix,
        odometer_m: location.odometer_m,
        hour_meter_min: location.hour_meter_min,
    }
}

pub(super) fn channel(channel: Channel, newest: Option<&Newest>, now_ms: u64) -> v1::Channel {
    v1::Channel {
        name: channel.name,
        unit: channel.unit,
        kind: channel.kind.word().to_owned(),
        label: channel.label,
        decimals: channel.decimals.map(u32::from),
        value: newest.map(|newest| of_measured(&newest.value)),
        recorded_at_ms: newest.map(|newest| ms(newest.recorded_at_ms)),
        age_s: newest.map(|newest| newest.age_s(now_ms)),
        source: channel.derivation.map(|derivation| derivation.source),
        value_from: source(newest.map(|newest| newest.from)).into(),
    }
}

pub(super) fn series(series: Series) -> v1::Series {
    let column = |(name, cells): (&'static str, Vec<Cell>)| v1::Column {
        name: name.to_owned(),
        values: cells.iter().map(|cell| of_series(cell.0.as_ref())).collect(),
    };
    v1::Series {
        device_id: series.device_id,
        channel: series.channel,
        unit: series.unit,
        kind: series.kind.to_owned(),
        label: series.label,
        decimals: series.decimals.map(u32::from),
        step: series.step,
        t: series.t,
        columns: series.values.into_iter().map(column).collect(),
    }
}

/// The mean of a series of unaggregated values. Texts are left out.
pub(super) fn mean(series: Series) -> v1::Mean {
    let mut summary: Option<NumberSummary> = None;
    let cells = series.values.into_values().flatten();
    let numbers = cells.map(|cell| cell.0.as_ref().and_then(Value::as_finite));
    for (at_ms, number) in series.t.into_iter().zip(numbers) {
        let Some(number) = number else { continue };
        match &mut summary {
            Some(summary) => summary.push(at_ms, number),
            None => summary = Some(NumberSummary::of(at_ms, number)),
        }
    }
    v1::Mean {
        device_id: series.device_id,
        channel: series.channel,
        unit: series.unit,
        mean: summary.map(|summary| summary.mean()),
        count: summary.map_or(0, |summary| u32::try_from(summary.count).unwrap_or(u32::MAX)),
        from_ms: summary.map(|summary| summary.first.0),
        to_ms: summary.map(|summary| summary.last.0),
    }
}

pub(super) fn published(
    PostOutcome { stored, duplicates, refused }: PostOutcome,
) -> v1::PublishAnswer {
    let rejected = |Refused { reason, detail }| v1::Rejected { reason: reason.to_owned(), detail };
    v1::PublishAnswer {
        stored,
        duplicate: duplicates,
        rejected: refused.into_iter().map(rejected).collect(),
    }
}
