//! Bytes in and out: plain TCP, TLS and WebSocket behind one type, listeners
//! and handshakes.

mod accept;
mod stream;
mod tls;
mod websocket;
mod wire;

pub(crate) use accept::{Kind, Listener, Listeners};
pub(crate) use stream::Stream;
pub(crate) use wire::{Progress, READ_BYTES, Wire};
