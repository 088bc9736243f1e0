//! Streams what a finder finds as one JSON object: the question, a list, and how
//! many it holds. Nothing is cut.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;

use super::scan::Scan;
use super::span::Span;
use super::{BrokenOff, must_exist};
use crate::problem::{Problem, fault};
use crate::reports::Finder;
use crate::state::ApiState;

/// How things found are told.
pub(super) trait Telling<F: Finder>: Send + Sync + 'static {
    /// The list's name.
    const LIST: &'static str;

    /// From when to when it lasted.
    fn when(found: &F::Found) -> (u32, u32);

    /// As JSON.
    fn tell(&self, found: &F::Found) -> impl Serialize;
}

struct Answer<F: Finder, T> {
    scan: Scan<F>,
    telling: T,
    count: u64,
}

/// The whole answer; its first chunk is read before the status is sent.
pub(super) async fn answer<F: Finder, T: Telling<F>>(
    state: &ApiState,
    span: &Span,
    make: impl Fn(bool) -> F,
    telling: T,
) -> Result<Response, Problem> {
    let mut answer = Answer { scan: Scan::begin(state, span, make).await?, telling, count: 0 };
    let mut first = head::<F, T>(span).map_err(|error| fault(&error))?.into_bytes();
    let more = answer.write(&mut first).await?;
    if answer.scan.is_empty() {
        must_exist(state, span.device).await?;
    }
    let rest = stream::try_unfold(Some((answer, Some(first), more)), async |turn| {
        let Some((mut answer, first, mut more)) = turn else { return Ok(None) };
        let bytes = if let Some(first) = first {
            first
        } else {
            let mut bytes = Vec::new();
            more = answer.write(&mut bytes).await.map_err(|_| BrokenOff)?;
            bytes
        };
        let next = more.then_some((answer, None, more));
        Ok::<_, BrokenOff>(Some((Bytes::from(bytes), next)))
    });
    let head = [(header::CONTENT_TYPE, "application/json")];
    Ok((head, Body::from_stream(rest)).into_response())
}

/// The question as an object that is left open for the list.
fn head<F: Finder, T: Telling<F>>(span: &Span) -> serde_json::Result<String> {
    let mut text = serde_json::to_string(&span.echo())?;
    text.pop();
    Ok(text + &format!(r#","{}":["#, T::LIST))
}

impl<F: Finder, T: Telling<F>> Answer<F, T> {
    /// Writes the next chunk, and says whether another follows.
    async fn write(&mut self, out: &mut Vec<u8>) -> Result<bool, Problem> {
        let Some(found) = self.scan.next(T::when).await? else {
            out.extend(format!(r#"],"count":{}}}"#, self.count).bytes());
            return Ok(false);
        };
        for thing in &found {
            if self.count > 0 {
                out.push(b',');
            }
            self.count += 1;
            serde_json::to_writer(&mut *out, &self.telling.tell(thing))
                .map_err(|error| fault(&error))?;
        }
        Ok(true)
    }
}
