//! What the API says: pure functions from stored values to JSON.

mod example;
mod location;
pub(crate) mod number;
mod row;
mod sums;
mod text;

pub(crate) use example::{example_location, example_row, example_sums};
pub(crate) use location::{Location, Need, Past, decide, needs};
pub(crate) use number::{time_ms, time_s};
pub(crate) use row::{Feature, FeatureCollection, Row};
pub(crate) use sums::{Here, Sums};
pub(crate) use text::{CSV_HEAD, csv_row, gpx_point, kml_point, xml};

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::problem::{Kind, Problem};

/// A JSON answer.
pub(crate) fn json(value: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(|error| unwritten(&error))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// JSON that cannot be written, which would be a fault of ours.
pub(crate) fn unwritten(error: &serde_json::Error) -> Problem {
    tracing::error!(%error, "an answer could not be written as JSON");
    Problem::new(Kind::Internal, "The server could not do this; its log says why.")
}
