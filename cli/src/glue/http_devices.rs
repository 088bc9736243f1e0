//! Devices that speak HTTP: OsmAnd and Traccar Client, OwnTracks, and what mappings read
//! (`/devices/NAME`). A request is answered
//! 2xx when what it says is durable, and 4xx when it cannot be read; what cannot be read is
//! stored as a dead letter all the same.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use nemeses_broker::Receipt;
use nemeses_parser::{Message, Output, POSTED, Refusal, Taken, device_protocol};
use nemeses_protocol::{DecodeError, OsmAnd, OwnTracks, Protocol as _, Reason, Record, Speaker};
use nemeses_runtime::http::{HttpConfig, serve};
use nemeses_runtime::metrics::encoding::EncodeLabelSet;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::family::Family;
use nemeses_runtime::{Registry, Reload, Tasks};
use tokio::sync::Semaphore;

use super::devices::Keeper;
use super::parts::{bind, http_tls};
use crate::config::Devices;

/// What the metrics call requests that a mapping reads.
const MAPPING: &str = "mapping";
/// A longer body is refused.
const LONGEST_BODY: usize = 64 * 1024;
/// Requests that may wait for their commit: with bodies of 64 KiB and what they decode to,
/// some 100 MiB at the worst, and 2 MiB with those of phones.
const MOST_WAITING: usize = 1024;
/// A device that waits for longer asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Phones ask again by themselves after about so long.
const RETRY_AFTER_S: &str = "10";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct By {
    protocol: &'static str,
    status: u16,
}

#[derive(Clone)]
struct HttpDevices {
    keeper: Arc<dyn Keeper>,
    waiting: Arc<Semaphore>,
    requests: Family<By, Counter>,
}

/// Serves devices over HTTP, if they are to be, until nothing is taken any more; returns where.
///
/// # Errors
/// The address cannot be listened on.
pub(crate) async fn serve_devices(
    tasks: &Tasks,
    devices: &Devices,
    keeper: Arc<dyn Keeper>,
    (registry, reload): (&mut Registry, &Reload),
) -> anyhow::Result<Option<SocketAddr>> {
    let Some(address) = devices.http else { return Ok(None) };
    let listener = bind("http-devices-listen", address).await?;
    let bound = listener.local_addr()?;
    let requests = Family::default();
    registry.register(
        "nemeses_http_devices_requests",
        "Requests of devices over HTTP, by protocol and status",
        Family::clone(&requests),
    );
    let tls = devices.tls.as_ref().map(|files| {
        http_tls(tasks, files, by_https(), reload, "certificate of http devices").context(
            "devices cannot be served by HTTPS; see --device-tls-cert and --device-tls-key",
        )
    });
    let waiting = Arc::new(Semaphore::new(MOST_WAITING));
    let devices = HttpDevices { keeper, waiting, requests };
    let config = HttpConfig {
        max_connections: NonZeroUsize::new(2 * MOST_WAITING).unwrap_or(NonZeroUsize::MIN),
        tls: tls.transpose()?,
        ..HttpConfig::small()
    };
    let routes = Router::new().fallback(answer).with_state(devices);
    tasks.spawn_intake("http devices", serve(listener, routes, config, tasks.stop().intake));
    Ok(Some(bound))
}

/// For those who speak plain HTTP where it is HTTPS.
fn by_https() -> Router {
    Router::new().fallback(|| async {
        refusal(StatusCode::BAD_REQUEST, "this address speaks HTTPS; send to https:// instead")
    })
}

async fn answer(State(devices): State<HttpDevices>, request: Request) -> Response {
    let (response, protocol) = devices.answer(request).await;
    let status = response.status().as_u16();
    devices.requests.get_or_create(&By { protocol, status }).inc();
    response
}

/// A refusal that says what is wrong and what to do.
fn refusal(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.into() + "\n")
        .into_response()
}

fn later(text: &str) -> Response {
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, text);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, header::HeaderValue::from_static(RETRY_AFTER_S));
    response
}

impl HttpDevices {
    async fn answer(&self, request: Request) -> (Response, &'static str) {
        let (head, body) = request.into_parts();
        let mapping = head.uri.path().strip_prefix("/devices/");
        let is_good = match head.method {
            Method::POST => true,
            Method::GET => mapping.is_none(),
            _ => false,
        };
        if !is_good {
            let text = "send a position by GET or POST, and what a mapping reads by POST";
            return (refusal(StatusCode::METHOD_NOT_ALLOWED, text), OsmAnd::NAME);
        }
        let Ok(_permit) = self.waiting.try_acquire() else {
            return (
                later("too many requests wait for the database; send this one again"),
                OsmAnd::NAME,
            );
        };
        let Ok(body) = to_bytes(body, LONGEST_BODY).await else {
            let text = format!("the body is longer than {LONGEST_BODY} bytes, or ended early");
            return (refusal(StatusCode::PAYLOAD_TOO_LARGE, text), OsmAnd::NAME);
        };
        if let Some(name) = mapping {
            let kept = self.keep_mapped(name, &body).await;
            return (
                kept.map_or_else(|refused| refused, |()| StatusCode::OK.into_response()),
                MAPPING,
            );
        }
        let query = head.uri.query().unwrap_or_default();
        if let Some(topic) = phone(&head.headers, query, &body) {
            // The apps ask without a body what there is for them.
            if body.trim_ascii().is_empty() {
                return (phone_answer(), OwnTracks::NAME);
            }
            let kept = self.keep(OwnTracks::NAME, &topic, &body).await;
            return (kept.map_or_else(|refused| refused, |()| phone_answer()), OwnTracks::NAME);
        }
        let is_json = body.trim_ascii_start().starts_with(b"{");
        let payload = if is_json || query.is_empty() { &body[..] } else { query.as_bytes() };
        let kept = self.keep(OsmAnd::NAME, "http:osmand", payload).await;
        (kept.map_or_else(|refused| refused, |()| StatusCode::OK.into_response()), OsmAnd::NAME)
    }

    /// Returns when what a mapping reads of the body is durable.
    async fn keep_mapped(&self, name: &str, payload: &[u8]) -> Result<(), Response> {
        let step = self.keeper.step();
        let Some(mapping) = step.policy().mappings.of_post(name) else {
            let names: Vec<&str> = step.policy().mappings.posts().collect();
            let text = format!("there is no mapping {name}; there are {}", names.join(", "));
            return Err(refusal(StatusCode::NOT_FOUND, text));
        };
        let received_at_ms = self.keeper.clock().now_ms();
        let topic = format!("{POSTED}{name}");
        let message = Message { topic: &topic, payload, received_at_ms, speaker: Speaker::Any };
        let mut out = Output::default();
        let refusals = step.take_by(mapping, &message, &mut out);
        let letters = out.records.iter().filter(|it| matches!(it, Record::DeadLetter(_))).count();
        let kept_none = letters == out.records.len();
        self.commit(out, received_at_ms).await?;
        let unread =
            |it: &&Refusal| !matches!(it.reason, Reason::Quarantined | Reason::UnknownDevice);
        match refusals.iter().find(unread) {
            Some(first) if kept_none => {
                let text = format!(
                    "{}: {}; `nemeses mapping try` shows what a mapping makes of a sample",
                    first.reason.code(),
                    first.detail
                );
                Err(refusal(StatusCode::BAD_REQUEST, text))
            }
            _ => Ok(()),
        }
    }

    /// Returns when all of it is durable.
    async fn commit(&self, out: Output, received_at_ms: u64) -> Result<(), Response> {
        if out.records.is_empty() {
            return Ok(());
        }
        let (receipt, kept) = Receipt::new();
        self.keeper.keep(out, received_at_ms, receipt);
        match tokio::time::timeout(LONGEST_WAIT, kept).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(later("the database does not answer; send this again")),
        }
    }

    /// Returns when the message is durable.
    async fn keep(&self, protocol: &str, topic: &str, payload: &[u8]) -> Result<(), Response> {
        let received_at_ms = self.keeper.clock().now_ms();
        let message = Message { topic, payload, received_at_ms, speaker: Speaker::Any };
        let mut out = Output::default();
        let taken = device_protocol(protocol)
            .map(|protocol| protocol.take_whole(self.keeper.step(), &message, &mut out));
        let Taken { frames, .. } = taken.unwrap_or_default();
        let reason = out.records.iter().find_map(|record| match record {
            Record::DeadLetter(letter) => Some(letter.reason),
            Record::Position(_) | Record::Readings(_) => None,
        });
        self.commit(out, received_at_ms).await?;
        match reason {
            // A good message that is held back or refused for whose it is, is stored.
            Some(reason) if frames == 0 => {
                let why = DecodeError::ALL
                    .into_iter()
                    .find(|error| error.code() == reason.code())
                    .map_or_else(|| reason.code().to_owned(), |error| error.to_string());
                let text = format!("{}: {why}; see docs/protocols/{protocol}.md", reason.code());
                Err(refusal(StatusCode::BAD_REQUEST, text))
            }
            _ => Ok(()),
        }
    }
}

/// What is for the app: nothing yet.
fn phone_answer() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], "[]").into_response()
}

/// The topic of an OwnTracks message, if it is one: by its headers, its parameters, or its
/// member `_type`.
fn phone(headers: &HeaderMap, query: &str, body: &[u8]) -> Option<String> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(ToOwned::to_owned);
    let parameter = |name: &str| {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(percent_decoded(pair))
    };
    let user = header("x-limit-u").or_else(|| parameter("u"));
    let device = header("x-limit-d").or_else(|| parameter("d"));
    if let (Some(user), Some(device)) = (user, device) {
        return Some(format!("http:owntracks/{user}/{device}"));
    }
    let has_type = body.windows(7).any(|window| window == b"\"_type\"");
    has_type.then(|| "http:owntracks".to_owned())
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_says_who_it_is_in_three_ways() {
        let mut headers = HeaderMap::new();
        assert_eq!(phone(&headers, "id=1&lat=1&lon=2", b""), None);
        assert_eq!(
            phone(&headers, "u=jane&d=my%20phone", b"").as_deref(),
            Some("http:owntracks/jane/my phone")
        );
        assert_eq!(phone(&headers, "", b"{\"_type\":\"lwt\"}").as_deref(), Some("http:owntracks"));
        headers.insert("X-Limit-U", "jane".parse().unwrap());
        assert_eq!(phone(&headers, "", b""), None);
        headers.insert("X-Limit-D", "phone".parse().unwrap());
        assert_eq!(phone(&headers, "", b"{}").as_deref(), Some("http:owntracks/jane/phone"));
    }
}
