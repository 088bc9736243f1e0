//! A client of gRPC, over one connection.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::http::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nemeses_api::grpc::v1::telemetry_client::TelemetryClient;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::codegen::Service;

use crate::Certificate;

/// A connection to a server, with a token or without one. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Grpc {
    sender: http2::SendRequest<Body>,
    origin: Uri,
    token: Option<HeaderValue>,
}

impl Grpc {
    /// Connects without TLS.
    ///
    /// # Errors
    /// Nobody listens, or not to HTTP/2.
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        Self::over(stream, format!("http://{address}")).await
    }

    /// Connects with TLS to a server that has this certificate.
    ///
    /// # Errors
    /// Nobody listens, the server has another certificate, or speaks no HTTP/2.
    pub async fn connect_tls(address: SocketAddr, by: &Certificate) -> anyhow::Result<Self> {
        let stream = by.connect(address, &[b"h2"]).await?;
        Self::over(stream, format!("https://{address}")).await
    }

    async fn over<S>(stream: S, origin: String) -> anyhow::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await.context("HTTP/2")?;
        // Over when the last sender is dropped, or the server goes.
        tokio::spawn(connection);
        Ok(Self { sender, origin: origin.parse()?, token: None })
    }

    /// The same connection with a token.
    ///
    /// # Panics
    /// With a text that is no token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a token is ASCII");
        Self { token: Some(value), ..self.clone() }
    }

    /// The calls of docs/nemeses.proto.
    pub fn telemetry(&self) -> TelemetryClient<Self> {
        TelemetryClient::with_origin(self.clone(), self.origin())
    }

    /// Where the server is, for other clients.
    pub fn origin(&self) -> Uri {
        self.origin.clone()
    }
}

impl Service<Request<Body>> for Grpc {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(token) = &self.token {
            request.headers_mut().insert(AUTHORIZATION, token.clone());
        }
        Box::pin(self.sender.send_request(request))
    }
}
