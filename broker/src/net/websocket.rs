//! MQTT over WebSocket (MQTT 5, section 6): binary messages as a stream of bytes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::{HOST, ORIGIN};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Refused;
use crate::config::DoorConfig;
use crate::metrics::GONE;

/// The library allocates this for each connection.
const READ_BUFFER_BYTES: usize = 2048;
const SUBPROTOCOL: &str = "mqtt";
const HEADER: &str = "Sec-WebSocket-Protocol";

/// A WebSocket as a stream of bytes.
pub(crate) struct WebSocket {
    socket: WebSocketStream<TcpStream>,
    unread: Bytes,
}

impl WebSocket {
    /// Shakes hands. Frames and messages are bounded by the packet limit.
    pub(super) async fn accept(
        tcp: TcpStream,
        max_bytes: usize,
        pages: &Pages,
    ) -> Result<Self, Refused> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(max_bytes))
            .max_frame_size(Some(max_bytes));
        let mut refused = None;
        #[expect(clippy::result_large_err, reason = "the signature is the library's")]
        let choose = |request: &Request, response: Response| {
            choose(request, response, pages).map_err(|(reason, response)| {
                refused = Some(reason);
                response
            })
        };
        let accept = tokio_tungstenite::accept_hdr_async_with_config(tcp, choose, Some(config));
        match accept.await {
            Ok(socket) => Ok(Self { socket, unread: Bytes::new() }),
            Err(Error::Io(_) | Error::ConnectionClosed) => Err(Refused::new(GONE)),
            Err(_) => Err(Refused::new(refused.unwrap_or("handshake"))),
        }
    }
}

/// Which pages may connect. A browser sends the origin of the page that asks, and a page
/// cannot make it leave that out. Any page could otherwise speak MQTT from inside the network
/// of whoever looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    named: Vec<String>,
    /// Whether a CONNECT without a login is accepted.
    anonymous: bool,
}

impl Pages {
    pub(super) fn of(config: &DoorConfig) -> Self {
        let anonymous = config.anonymous && config.websocket_anonymous;
        Self { named: config.websocket_origins.clone(), anonymous }
    }

    fn is_foreign(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        !headers.get_all(ORIGIN).iter().all(|origin| {
            let known = |origin| self.is_named(origin) || self.is_own(origin, host);
            origin.to_str().is_ok_and(known)
        })
    }

    fn is_named(&self, origin: &str) -> bool {
        self.named.iter().any(|named| named == origin)
    }

    /// Programs such as paho-mqtt send the address that they connect to as their origin. No
    /// page can have that origin, since this listener serves none, unless by DNS rebinding:
    /// by a name of the attacker's, which gains nothing where a login is required.
    fn is_own(&self, origin: &str, host: Option<&str>) -> bool {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        let same = |host: &str| authority.is_some_and(|given| given.eq_ignore_ascii_case(host));
        host.is_some_and(|host| same(host) && (!self.anonymous || is_fixed(host)))
    }
}

/// Whether no name server decides where it leads: an address or `localhost`, with a port or
/// without.
fn is_fixed(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    name.eq_ignore_ascii_case("localhost")
        || host.parse::<SocketAddr>().is_ok()
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

/// The client must offer the subprotocol `mqtt` (MQTT 5, 6.0.0-3).
#[expect(clippy::result_large_err, reason = "the library's type")]
fn choose(
    request: &Request,
    mut response: Response,
    pages: &Pages,
) -> Result<Response, (&'static str, ErrorResponse)> {
    if pages.is_foreign(request.headers()) {
        let says = "pages of this origin may not connect here; --mqtt-websocket-origins names those that may\n";
        return Err(("origin", refusal(StatusCode::FORBIDDEN, says)));
    }
    let offered = request.headers().get_all(HEADER).iter().any(|value| {
        value.to_str().is_ok_and(|names| names.split(',').any(|name| name.trim() == SUBPROTOCOL))
    });
    if offered {
        response.headers_mut().insert(HEADER, HeaderValue::from_static(SUBPROTOCOL));
        return Ok(response);
    }
    Err(("handshake", refusal(StatusCode::BAD_REQUEST, "the subprotocol is mqtt\n")))
}

fn refusal(status: StatusCode, says: &str) -> ErrorResponse {
    let mut refusal = ErrorResponse::new(Some(says.to_owned()));
    *refusal.status_mut() = status;
    refusal
}

impl AsyncRead for WebSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.unread.is_empty() {
            match ready!(Pin::new(&mut this.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => this.unread = bytes,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_))) => {
                    let text = "a text message; MQTT is binary";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
                }
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let taken = this.unread.len().min(buffer.remaining());
        buffer.put_slice(&this.unread[..taken]);
        this.unread.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let socket = &mut self.get_mut().socket;
        ready!(Pin::new(&mut *socket).poll_ready(cx)).map_err(io::Error::other)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        Pin::new(socket).start_send(message).map_err(io::Error::other)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_close(cx).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_foreign(anonymous: bool, host: &'static str, origin: &'static str) -> bool {
        let named = vec!["https://map.example.org".to_owned()];
        let headers = [(HOST, host), (ORIGIN, origin)];
        let headers =
            headers.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value)));
        Pages { named, anonymous }.is_foreign(&headers.collect())
    }

    #[test]
    fn only_named_pages_and_programs_that_send_the_address_they_connect_to_are_not_foreign() {
        for anonymous in [false, true] {
            for (host, origin) in [
                ("localhost:8083", "http://localhost:8083"),
                ("127.0.0.1", "http://127.0.0.1"),
                ("[2001:db8::1]:8083", "http://[2001:db8::1]:8083"),
                ("anything", "https://map.example.org"),
            ] {
                assert!(!is_foreign(anonymous, host, origin), "{origin}");
            }
            for (host, origin) in [
                ("localhost:8083", "http://localhost:5000"),
                ("localhost:8083", "https://evil.example"),
                ("localhost:8083", "https://map.example.org.evil.example"),
                ("localhost:8083", "null"),
                ("localhost", "localhost"),
                ("127.0.0.1.evil.example", "http://evil.example"),
            ] {
                assert!(is_foreign(anonymous, host, origin), "{origin}");
            }
            assert_eq!(is_foreign(anonymous, "name.example:1", "http://name.example:1"), anonymous);
        }
    }

    #[test]
    fn a_client_without_an_origin_is_no_page() {
        assert!(!Pages { named: Vec::new(), anonymous: true }.is_foreign(&HeaderMap::new()));
    }
}
