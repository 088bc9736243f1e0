//! Streams what a finder finds, device after device. Nothing is cut.

use std::collections::VecDeque;

use async_trait::async_trait;
use axum::http::HeaderMap;
use axum::response::Response;
use nemeses_protocol::DeviceId;
use schemars::JsonSchema;
use serde::Serialize;

use super::must_exist;
use super::scan::Scan;
use super::span::{Asked, Span};
use crate::access::Principal;
use crate::export::{Column, Form, Place, Report, Source, respond};
use crate::openapi::Device;
use crate::problem::{Problem, fault};
use crate::reports::{Finder, Walker};
use crate::state::ApiState;

/// Whose a thing found is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Whose {
    #[schemars(with = "Device")]
    device_id: String,
    /// Of its profile; empty where there is none.
    device_name: String,
}

impl From<&Span> for Whose {
    fn from(span: &Span) -> Self {
        Self { device_id: span.device.to_string(), device_name: span.name.clone() }
    }
}

/// How things found are told.
pub(super) trait Telling<F: Finder>: Send + Sync + 'static {
    /// The list's name.
    const LIST: &'static str;
    /// The name of a sheet of them.
    const TITLE: &'static str;
    /// Where they are.
    const PLACE: Place;
    /// The columns of tables.
    const COLUMNS: &'static [Column];

    /// From when to when it lasted.
    fn when(found: &F::Found) -> (u32, u32);

    /// As JSON.
    fn tell(&self, whose: Whose, found: &F::Found) -> impl Serialize;
}

struct Lists<F: Finder, T, M> {
    state: ApiState,
    spans: VecDeque<Span>,
    /// Whether it is the only one, which has to be known.
    one: bool,
    scan: Option<(DeviceId, Whose, Scan<F>)>,
    make: M,
    telling: T,
}

/// The answer to a request that takes nothing else.
pub(super) async fn answer<F, T, M>(
    (state, principal): (&ApiState, &Principal),
    (asked, form): (&Asked, Form),
    make: M,
    telling: T,
) -> Result<Response, Problem>
where
    F: Finder,
    T: Telling<F>,
    M: Fn(&Span, Walker, bool) -> F + Send + Sync + 'static,
{
    let spans = asked.spans(state, principal).await?;
    let question = serde_json::to_string(&asked.echo(&spans)).map_err(|error| fault(&error))?;
    let report = Report {
        form,
        question,
        list: T::LIST,
        columns: T::COLUMNS,
        title: T::TITLE,
        totals: None,
        place: T::PLACE,
        zone: asked.zone.clone(),
        file: asked.target.file(T::LIST),
    };
    let one = asked.target.one().is_some();
    let state = state.clone();
    let lists = Lists { state, spans: spans.into(), one, scan: None, make, telling };
    respond(report, lists).await
}

/// The form that a request asks for.
pub(super) fn form(
    params: &mut crate::input::Params,
    headers: &HeaderMap,
) -> Result<Form, Problem> {
    params.choice("format", &crate::export::FORMS, Form::accepted(headers))
}

#[async_trait]
impl<F, T, M> Source for Lists<F, T, M>
where
    F: Finder,
    T: Telling<F>,
    M: Fn(&Span, Walker, bool) -> F + Send + Sync + 'static,
{
    async fn next(&mut self) -> Result<Option<Vec<String>>, Problem> {
        loop {
            let (device, whose, mut scan) = if let Some(scan) = self.scan.take() {
                scan
            } else {
                let Some(span) = self.spans.pop_front() else { return Ok(None) };
                let make = |walker, first| (self.make)(&span, walker, first);
                let whose = Whose::from(&span);
                (span.device, whose, Scan::begin(&self.state, &span, make).await?)
            };
            let Some(found) = scan.next(T::when).await? else { continue };
            if self.one && scan.is_empty() {
                must_exist(&self.state, device).await?;
            }
            let tell = |thing| serde_json::to_string(&self.telling.tell(whose.clone(), thing));
            let told = found.iter().map(tell).collect::<serde_json::Result<Vec<_>>>();
            self.scan = Some((device, whose, scan));
            return told.map(Some).map_err(|error| fault(&error));
        }
    }
}
