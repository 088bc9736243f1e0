//! What the API says: pure functions from stored values to JSON.

mod alarm;
mod example;
mod location;
mod measured;
mod moment;
mod optional;
mod row;
mod sums;
mod totals;

pub(crate) use alarm::Alarm;
pub(crate) use example::{example_location, example_row, example_sums};
pub(crate) use location::{
    Location, Past, PositionSource, Status, asks_history, decide, newest_s, place,
};
pub(crate) use measured::measured;
pub(crate) use moment::Moment;
pub(crate) use row::{Feature, FeatureCollection, ROW_COLUMNS, Row, push_csv_row, row_cells};
pub(crate) use sums::{Here, Sums};
pub(crate) use totals::without_totals;

pub(crate) use nemeses_reports::number::{time_ms, time_s};

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::problem::{Problem, fault};

/// A JSON answer.
pub(crate) fn json(value: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(|error| fault(&error))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
