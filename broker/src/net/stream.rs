//! One type for the ways a connection comes in.

use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::websocket::WebSocket;

/// A connection's bytes: from a TCP connection, without or with TLS, from a WebSocket, or
/// from a client in this process.
pub(crate) type Stream =
    Either<Either<TcpStream, Box<TlsStream<TcpStream>>>, Either<Box<WebSocket>, DuplexStream>>;

pub(crate) fn tcp(stream: TcpStream) -> Stream {
    Either::Left(Either::Left(stream))
}

pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Stream {
    Either::Left(Either::Right(Box::new(stream)))
}

pub(crate) fn websocket(stream: WebSocket) -> Stream {
    Either::Right(Either::Left(Box::new(stream)))
}

pub(crate) fn in_process(stream: DuplexStream) -> Stream {
    Either::Right(Either::Right(stream))
}
