//! MQTT over WebSocket (MQTT 5, section 6): binary messages as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::ORIGIN;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Refused;
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
        origins: Arc<[String]>,
    ) -> Result<Self, Refused> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(max_bytes))
            .max_frame_size(Some(max_bytes));
        let mut refused = None;
        #[expect(clippy::result_large_err, reason = "the signature is the library's")]
        let choose = |request: &Request, response: Response| {
            choose(request, response, &origins).map_err(|(reason, response)| {
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

/// A browser says whose page asks, and cannot be made to leave it out. A page could speak
/// for whoever looks at it, from inside his network: only those that were named may.
/// Other clients send no origin.
fn is_foreign(request: &Request, origins: &[String]) -> bool {
    let known = |value: &HeaderValue| origins.iter().any(|origin| origin.as_bytes() == value);
    !request.headers().get_all(ORIGIN).iter().all(known)
}

/// The client must offer the subprotocol `mqtt` (MQTT 5, 6.0.0-3).
#[expect(clippy::result_large_err, reason = "the library's type")]
fn choose(
    request: &Request,
    mut response: Response,
    origins: &[String],
) -> Result<Response, (&'static str, ErrorResponse)> {
    if is_foreign(request, origins) {
        let says = "pages of this origin may not speak here; --mqtt-websocket-origins names those that may\n";
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
