//! Streams what a finder finds, device after device. Nothing is cut.

use std::collections::VecDeque;

use async_trait::async_trait;
use axum::http::HeaderMap;
use axum::response::Response;
use nemeses_export::{Column, Form, Piece, Place, Report, WayPoint};
use nemeses_protocol::DeviceId;
use nemeses_reports::{Finder, Walker};
use nemeses_store::history::RangeQuery;
use schemars::JsonSchema;
use serde::Serialize;

use super::must_exist;
use super::pages::Pages;
use super::respond::{Source, accepted, respond};
use super::scan::Scan;
use super::span::{Asked, Span};
use crate::access::Principal;
use crate::fleet::FleetState;
use crate::openapi::Device;
use crate::problem::{Problem, fault};

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
        Self { device_id: span.device_id.clone(), device_name: span.name.clone() }
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

    /// Whether it has a way, which maps show: that of its rows.
    fn has_way(_: &F::Found) -> bool {
        false
    }

    /// As JSON.
    fn tell(&self, whose: Whose, found: &F::Found) -> impl Serialize;
}

struct Lists<F: Finder, T, M> {
    state: FleetState,
    spans: VecDeque<Span>,
    /// Whether it is the only one, which has to be known.
    one: bool,
    scan: Option<(DeviceId, Whose, Scan<F>)>,
    /// Ways are shown.
    maps: bool,
    /// Found and not told yet, with the rows of its way.
    found: VecDeque<(String, Option<RangeQuery>)>,
    /// The way that is being told.
    way: Option<Pages>,
    make: M,
    telling: T,
}

/// The answer to a request that takes nothing else.
pub(super) async fn answer<F, T, M>(
    (state, principal): (&FleetState, &Principal),
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
        file: asked.target.file(T::LIST, &state.names),
    };
    let one = asked.target.one().is_some();
    let state = state.clone();
    let (spans, found) = (spans.into(), VecDeque::new());
    let maps = form.is_map();
    let lists = Lists { state, spans, one, scan: None, maps, found, way: None, make, telling };
    respond(report, lists).await
}

/// The form that a request asks for.
pub(super) fn form(
    params: &mut crate::input::Params,
    headers: &HeaderMap,
) -> Result<Form, Problem> {
    params.choice("format", &nemeses_export::FORMS, accepted(headers))
}

#[async_trait]
impl<F, T, M> Source for Lists<F, T, M>
where
    F: Finder,
    T: Telling<F>,
    M: Fn(&Span, Walker, bool) -> F + Send + Sync + 'static,
{
    async fn next(&mut self) -> Result<Option<Vec<Piece>>, Problem> {
        loop {
            if let Some(way) = &mut self.way {
                let page = way.next().await?;
                let rows = page.rows.iter().zip(&page.marks);
                let points = rows.filter_map(|(row, mark)| WayPoint::of(row, *mark)).collect();
                let mut pieces = vec![Piece::Way(points)];
                if page.last {
                    self.way = None;
                    pieces.push(Piece::End);
                }
                return Ok(Some(pieces));
            }
            if let Some((thing, way)) = self.found.pop_front() {
                let Some(way) = way else { return Ok(Some(vec![Piece::Thing(thing)])) };
                self.way = Some(Pages::marked(self.state.clone(), [way].into(), u64::MAX));
                return Ok(Some(vec![Piece::Begin(thing)]));
            }
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
            let tell = |thing: &F::Found| {
                serde_json::to_string(&self.telling.tell(whose.clone(), thing))
                    .map_err(|error| fault(&error))
            };
            if !self.maps {
                let told = found.iter().map(|thing| tell(thing).map(Piece::Thing));
                let told = told.collect::<Result<Vec<_>, _>>()?;
                self.scan = Some((device, whose, scan));
                return Ok(Some(told));
            }
            let way = |thing: &F::Found| {
                let (from, to) = T::when(thing);
                let (descending, after, limit) = (false, None, None);
                let way = RangeQuery { device, from, to, descending, after, limit };
                T::has_way(thing).then_some(way)
            };
            let told = found.iter().map(|thing| Ok((tell(thing)?, way(thing))));
            let told = told.collect::<Result<Vec<_>, Problem>>()?;
            self.found.extend(told);
            self.scan = Some((device, whose, scan));
        }
    }
}
