//! Answers with a report of things, chunk by chunk.

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use nemeses_export::{Form, Piece, Place, Report, ReportWriter};

use crate::problem::{Problem, fault};

/// Why a body ends early; the cause is in the log.
#[derive(Debug, thiserror::Error)]
#[error("the report was broken off")]
pub(crate) struct BrokenOff;

/// Where a report's things come from.
#[async_trait]
pub(in crate::routes::api_v1) trait Source: Send + 'static {
    /// The next ones, which may be none; `None` when nothing follows.
    async fn next(&mut self) -> Result<Option<Vec<Piece>>, Problem>;

    /// What [`Report::totals`] is about, as JSON, once nothing follows.
    fn totals(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// The form that `Accept` asks for.
pub(in crate::routes::api_v1) fn accepted(headers: &HeaderMap) -> Form {
    let values = headers.get_all(header::ACCEPT).iter();
    Form::accepted(values.filter_map(|value| value.to_str().ok()))
}

/// The answer. Its first chunk is read before the status is sent, so that a store
/// that is down is a 503 and not a broken answer.
pub(in crate::routes::api_v1) async fn respond(
    report: Report,
    mut source: impl Source,
) -> Result<Response, Problem> {
    let form = report.form;
    if form.is_map() && report.place == Place::None {
        let detail = "These have no place on a map: choose json, ndjson, csv, xlsx or parquet.";
        return Err(Problem::parameter("format", detail));
    }
    let name = form.disposition(&report.file);
    let (mut writer, mut first) = ReportWriter::begin(report);
    let more = write(&mut writer, &mut source, &mut first).await?;
    let rest = stream::try_unfold(Some((writer, source, Some(first), more)), async |turn| {
        let Some((mut writer, mut source, first, mut more)) = turn else { return Ok(None) };
        let bytes = if let Some(first) = first {
            first
        } else {
            let mut bytes = Vec::new();
            more = write(&mut writer, &mut source, &mut bytes).await.map_err(|_| BrokenOff)?;
            bytes
        };
        let next = more.then_some((writer, source, None, more));
        Ok::<_, BrokenOff>(Some((Bytes::from(bytes), next)))
    });
    let head = [(header::CONTENT_TYPE, form.content_type())];
    let name = name.map(|name| AppendHeaders([(header::CONTENT_DISPOSITION, name)]));
    Ok((head, name, Body::from_stream(rest)).into_response())
}

/// Writes the next chunk, and returns whether another follows.
async fn write(
    writer: &mut ReportWriter,
    source: &mut impl Source,
    out: &mut Vec<u8>,
) -> Result<bool, Problem> {
    let pieces = source.next().await?;
    let more = pieces.is_some();
    let written = match pieces {
        Some(pieces) => writer.write(pieces, out),
        None => writer.finish(|| source.totals(), out),
    };
    written.map_err(|error| fault(&error))?;
    Ok(more)
}
