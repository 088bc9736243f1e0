//! Bytes in and out: plain TCP, TLS and WebSocket behind one type, listeners
//! and handshakes.

mod accept;
mod proxy;
mod stream;
mod tls;
mod websocket;
mod wire;

pub(crate) use accept::{Listener, Listeners, OutOfResources, Transport, behind_proxy};
pub(crate) use stream::{Stream, in_process};
pub(crate) use wire::{Progress, READ_BYTES, Wire};

/// A handshake that failed.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The word in the metric.
    pub(crate) reason: &'static str,
    /// The TLS suites that the client offered.
    pub(crate) offered: Option<String>,
}

impl Refused {
    pub(crate) const fn new(reason: &'static str) -> Self {
        Self { reason, offered: None }
    }
}
