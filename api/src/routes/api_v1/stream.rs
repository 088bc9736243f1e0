//! `/api/v1/stream`: live positions and changes, as server-sent events here and
//! over a WebSocket in `ws.rs`; `ticket.rs` lets a browser in.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::response::Response;
use futures_util::stream;
use nemeses_runtime::http::Place;
use tokio::time::Instant;

use crate::access::Principal;
use crate::input::Params;
use crate::openapi::{Answer, Doc, Tag};
use crate::problem::{Kind, Problem};
use crate::routes::api_v1::devices::must_see_group;
use crate::stream::{Follower, Form, Holder, StreamState, Text, Turn, Wanted, parameters};

pub(crate) mod ticket;
pub(crate) mod ws;

/// What a stream was asked for; the ticket was taken by the router. A device that
/// the caller may not see is answered like one that nobody knows.
pub(crate) async fn wanted(
    state: &StreamState,
    mut params: Params,
    caller: &Principal,
) -> Result<Wanted, Problem> {
    params.take("ticket")?;
    let mut wanted = Wanted::of(params)?;
    for device in wanted.filter.devices.iter().flatten() {
        caller.must_see(*device).map_err(|problem| problem.blaming("device_ids"))?;
    }
    if let Some(group) = wanted.group {
        must_see_group(state, caller, group).await?;
        let mut devices = state.history.ask(state.stores.groups.devices(group)).await?;
        if let Some(named) = &wanted.filter.devices {
            devices.retain(|device| named.contains(device));
        }
        devices.sort_unstable();
        wanted.filter.devices = Some(devices);
    }
    Ok(wanted)
}

const EXAMPLE: &str = "id: 1631884800001\n\
    data: {\"type\":\"hello\",\"id\":\"1631884800001\",\"heartbeat_s\":4,\"at\":\"2021-09-17T14:40:00Z\",\"gap\":false}\n\n";

/// What either form of the stream takes and refuses.
fn described(id: &'static str, summary: &'static str) -> Doc {
    Doc::new(id, Tag::Locations, summary).takes_all(parameters()).problems(&[
        Kind::UnknownDevice,
        Kind::UnknownGroup,
        Kind::LiveUnavailable,
        Kind::Busy,
        Kind::TooManyAtOnce,
    ])
}

pub(crate) fn doc() -> Doc {
    let about = "One event a time, without end; docs/api.md lists their types.";
    described("getStream", "Live positions and changes as server-sent events")
        .about("A browser that cannot send the header brings a ticket.")
        .answers(Answer::empty(StatusCode::OK, about).or_text("text/event-stream", EXAMPLE))
}

pub(crate) async fn get(
    State(state): State<StreamState>,
    caller: Principal,
    Extension(holder): Extension<Holder>,
    connection: Option<Extension<Place>>,
    version: Version,
    params: Params,
) -> Result<Response, Problem> {
    let wanted = wanted(&state, params, &caller).await?;
    let text = |totals| Text::new(Form::EventStream, totals);
    let follower = Follower::begin(&state, holder, caller, wanted, text).await?;
    // A stream has a place of its own.
    if let Some(Extension(place)) = connection {
        place.give_back();
    }
    let mut response = Response::new(Body::from_stream(texts(follower)));
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, "text/event-stream");
    if version < Version::HTTP_2 {
        // Its place was given back, so nothing else is served on this connection.
        set(header::CONNECTION, "close");
    }
    // Proxies that gather answers would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Text after text. The next is asked for when the one before has gone out, so
/// the time between tells a slow reader.
fn texts(
    follower: Follower<Text>,
) -> impl futures_util::Stream<Item = Result<String, std::io::Error>> {
    let begun: Option<Instant> = None;
    stream::unfold((follower, begun), |(mut follower, handed_over)| async move {
        if follower.ended().is_some() {
            return None;
        }
        let slow = handed_over.is_some_and(|at| at.elapsed() > follower.takes_within());
        let turn = if slow { follower.too_slow() } else { follower.next().await };
        let (Turn::More(text) | Turn::End(text)) = turn;
        Some((Ok(text), (follower, Some(Instant::now()))))
    })
}
