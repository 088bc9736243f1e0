//! `GET /api/v1/report/`: the frames of devices in time order, streamed. Memory
//! is bounded by one chunk of rows a request, however long the report.

mod described;
pub(crate) mod events;
mod found;
pub(crate) mod marks;
mod pages;
mod query;
mod respond;
mod scan;
mod span;
pub(crate) mod stops;
pub(crate) mod summary;
mod target;

pub(crate) mod trips;
mod write;

use std::collections::HashMap;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use nemeses_protocol::DeviceId;
use nemeses_store::history::Profile;

pub(crate) use self::described::doc;
use self::pages::{Page, Pages};
use self::query::ReportQuery;
use self::respond::BrokenOff;
pub(super) use self::respond::{Source, accepted, respond};
pub(super) use self::span::{tz_described, zone};
pub(super) use self::target::file_of;
use self::write::Writer;
use crate::access::{Principal, unknown_device};
use crate::fleet::{FleetState, ForReports};
use crate::input::Params;
use crate::problem::Problem;

pub(crate) async fn get(
    principal: Principal,
    ForReports(state): ForReports,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    let mut query = ReportQuery::read(params, accepted(&headers))?;
    query.from = principal.history_from(query.from, query.to)?;
    let wants_names = query.format.is_table() || query.format.is_map();
    let (devices, names) = match query.target.one() {
        // Of one nothing need be known but its rows.
        Some(device) if !wants_names => {
            principal.must_see(device).map(|()| (vec![device], HashMap::new()))?
        }
        _ => known(query.target.devices(&state, &principal).await?),
    };
    let mut pages = Pages::marked(state.clone(), query.ranges(&devices)?, query.limit);
    // The first chunk is read before the status is sent, so that a store that
    // is down is a 503 and not a broken answer.
    let first = pages.next().await?;
    if let Some(device) = query.target.one()
        && first.rows.is_empty()
        && query.cursor.is_none()
    {
        must_exist(&state, device).await?;
    }
    let writer = Writer::new(state.names.clone(), &query, &devices, names);
    let head = [(header::CONTENT_TYPE, query.format.content_type())];
    let name = query.format.disposition(&query.target.file("positions", &state.names));
    let name = name.map(|name| AppendHeaders([(header::CONTENT_DISPOSITION, name)]));
    let body = Body::from_stream(chunks(pages, first, writer));
    Ok((head, name, body).into_response())
}

/// The devices, and the names of those that have one.
fn known(found: Vec<(DeviceId, Option<Profile>)>) -> (Vec<DeviceId>, HashMap<DeviceId, String>) {
    let devices = found.iter().map(|(device, _)| *device).collect();
    let named = |(device, profile): (DeviceId, Option<Profile>)| Some((device, profile?.name));
    (devices, found.into_iter().filter_map(named).collect())
}

/// The chunks of the body. A store that fails on the way breaks the connection
/// off, so that a client cannot take half a report for a whole one.
fn chunks(
    pages: Pages,
    first: Page,
    writer: Writer,
) -> impl futures_util::Stream<Item = Result<Bytes, BrokenOff>> + Send {
    stream::try_unfold(Some((pages, Some(first), writer)), async |turn| {
        let Some((mut pages, page, mut writer)) = turn else { return Ok(None) };
        let page = match page {
            Some(first) => first,
            None => pages.next().await.map_err(|_| BrokenOff)?,
        };
        let bytes = writer.page(&page).map_err(|_| BrokenOff)?;
        let next = (!page.last).then_some((pages, None, writer));
        Ok(Some((Bytes::from(bytes), next)))
    })
}

/// A report without rows is for a device that somebody has heard of.
async fn must_exist(state: &FleetState, device: DeviceId) -> Result<(), Problem> {
    let kept = state.history.ask(state.stores.history.knows_device(device)).await?;
    if kept || state.live.ask(state.stores.live.get(&[device])).await?.iter().any(Option::is_some) {
        return Ok(());
    }
    Err(unknown_device(device))
}
