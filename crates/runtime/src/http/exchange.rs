//! One request of ours to somebody else's HTTP server, over a connection that is there already.

use axum::body::{Body, to_bytes};
use axum::http::request::Request;
use axum::http::response::Parts;
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Sends a request over HTTP/1.1 and reads the answer, of which so many bytes at most. Waits as long as the other
/// end does; the caller bounds it.
///
/// # Errors
/// The connection broke, or the answer is longer.
pub async fn exchange<S>(
    stream: S,
    request: Request<Body>,
    most_bytes: usize,
) -> anyhow::Result<(Parts, Bytes)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answering = async {
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = to_bytes(Body::new(body), most_bytes).await?;
        anyhow::Ok((head, body))
    };
    // The connection is driven here, beside the exchange: no task is left behind.
    let mut connection = std::pin::pin!(connection);
    let mut answering = std::pin::pin!(answering);
    tokio::select! {
        biased;
        answer = &mut answering => answer,
        driven = &mut connection => {
            driven?;
            // What came before the end is the answer's.
            answering.await
        }
    }
}
