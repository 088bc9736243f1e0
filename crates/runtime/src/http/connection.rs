//! One connection: TLS if the listener has a certificate, then HTTP/1.1 or HTTP/2, until
//! the client goes, the place is needed, or the server stops.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service as _, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body::Sent;
use super::place::Place;
use super::write_guard::WriteGuard;
use super::{HTTP_2, HttpConfig, Peer, Tls};

/// Bytes of a request's head at most; longer ones are answered 431 by the codec.
const MAX_HEAD_BYTES: u32 = 16 * 1024;
/// Requests of one HTTP/2 connection at a time. A page asks for some ten.
const MAX_STREAMS: u32 = 64;
/// Bytes of one answer that wait in an HTTP/2 connection: 64 x 64 KiB, 4 MiB at worst.
const MAX_SENT_BYTES: usize = 64 * 1024;
/// Requests given up right after they began, which cost the server and not the client
/// (CVE-2023-44487); further ones end the connection.
const MAX_RESETS: usize = 20;
/// How often a connection that carries several requests is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The first byte of a TLS handshake; of a request by plain HTTP it is a letter.
const TLS_HANDSHAKE: u8 = 0x16;

/// What the connections of a listener share.
pub(super) struct Connections {
    pub(super) routes: Router,
    pub(super) config: HttpConfig,
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
    pub(super) cut: CancellationToken,
}

impl Connections {
    /// Serves a connection in a task of its own.
    pub(super) fn start(self: &Arc<Self>, stream: TcpStream, remote: SocketAddr, place: Place) {
        // Live events are small and must not wait for the answer to the one before.
        let _slower_otherwise = stream.set_nodelay(true);
        let this = Arc::clone(self);
        self.tracker.spawn(async move {
            let (evicted, cut) = (place.clone(), this.cut.clone());
            tokio::select! {
                () = this.serve(stream, remote, place) => {}
                () = evicted.evicted() => {}
                () = cut.cancelled() => {}
            }
        });
    }

    async fn serve(&self, stream: TcpStream, remote: SocketAddr, place: Place) {
        // Gone before it was looked at.
        let Ok(local) = stream.local_addr() else { return };
        let peer = Peer { remote, local, tls: false };
        let only_http_2 = self.config.http_2_idle.is_some();
        let Some(tls) = &self.config.tls else {
            return if only_http_2 {
                self.http_2(stream, peer, place).await;
            } else {
                self.http_1(stream, peer, place, self.routes.clone()).await;
            };
        };
        match tokio::time::timeout(self.config.head_timeout, open(tls, stream)).await {
            Ok(Ok(Opened::Plain(stream))) => {
                self.http_1(stream, peer, place, tls.instead.clone()).await;
            }
            Ok(Ok(Opened::Tls(stream))) => {
                let peer = Peer { tls: true, ..peer };
                if only_http_2 || stream.get_ref().1.alpn_protocol() == Some(HTTP_2) {
                    self.http_2(*stream, peer, place).await;
                } else {
                    self.http_1(*stream, peer, place, self.routes.clone()).await;
                }
            }
            Ok(Err(error)) => tracing::debug!(%remote, %error, "a TLS handshake failed"),
            Err(_) => tracing::debug!(%remote, "a TLS handshake took too long"),
        }
    }

    async fn http_1<S>(&self, stream: S, peer: Peer, place: Place, routes: Router)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = TokioIo::new(WriteGuard::new(stream, self.config.write_stall));
        let service = service_fn(answer(routes, peer, place.clone(), false));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.config.head_timeout)
            .max_buf_size(usize::try_from(MAX_HEAD_BYTES).unwrap_or(usize::MAX));
        let connection = http.serve_connection(stream, service).with_upgrades();
        self.drive(connection, http1::UpgradeableConnection::graceful_shutdown, &place, false)
            .await;
    }

    async fn http_2<S>(&self, stream: S, peer: Peer, place: Place)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = TokioIo::new(WriteGuard::new(stream, self.config.write_stall));
        let service = service_fn(answer(self.routes.clone(), peer, place.clone(), true));
        let mut http = http2::Builder::new(Tracked(self.tracker.clone()));
        http.timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD_BYTES)
            .max_send_buf_size(MAX_SENT_BYTES)
            .max_pending_accept_reset_streams(MAX_RESETS)
            .keep_alive_interval(self.config.write_stall)
            .keep_alive_timeout(self.config.head_timeout);
        let connection = http.serve_connection(stream, service);
        self.drive(connection, http2::Connection::graceful_shutdown, &place, true).await;
    }

    /// Runs a connection until it ends, or is asked to finish what it began.
    async fn drive<C: Future<Output = hyper::Result<()>>>(
        &self,
        connection: C,
        finish: impl Fn(Pin<&mut C>),
        place: &Place,
        several_requests: bool,
    ) {
        let mut connection = pin!(connection);
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let idle_at_most = self.config.http_2_idle.unwrap_or(self.config.head_timeout);
        let mut finishing = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    // Clients go away, stop reading and send rubbish: nothing of it is our fault.
                    if let Err(error) = ended {
                        tracing::debug!(%error, "an HTTP connection ended early");
                    }
                    return;
                }
                () = self.stop.cancelled(), if !finishing => {
                    finishing = true;
                    finish(connection.as_mut());
                }
                // With one request at a time the codec's own deadlines do.
                _ = looks.tick(), if several_requests => {
                    if place.is_stalled(self.config.write_stall) {
                        return;
                    }
                    let over = place.is_over() || place.idle_for() > idle_at_most;
                    if over && !finishing {
                        finishing = true;
                        finish(connection.as_mut());
                    }
                }
            }
        }
    }
}

enum Opened {
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    /// The client speaks HTTP without TLS.
    Plain(TcpStream),
}

async fn open(tls: &Tls, stream: TcpStream) -> std::io::Result<Opened> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
        return Ok(Opened::Plain(stream));
    }
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
    acceptor.accept(stream).await.map(|stream| Opened::Tls(Box::new(stream)))
}

/// Answers by the routes, which learn who is at the other end.
fn answer(
    routes: Router,
    peer: Peer,
    place: Place,
    watched: bool,
) -> impl Fn(Request<Incoming>) -> Answering {
    let routes = TowerToHyperService::new(routes);
    move |mut request| {
        let answering = place.begin();
        request.extensions_mut().insert(place.clone());
        request.extensions_mut().insert(peer);
        let (response, place) = (routes.call(request), watched.then(|| place.clone()));
        Box::pin(async move {
            let response = response.await?;
            Ok(response.map(|body| Sent::new(body, answering, place.as_ref())))
        })
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Sent>, Infallible>> + Send>>;

/// Runs what HTTP/2 does beside the connection itself among the tracked tasks.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Tracked {
    fn execute(&self, work: F) {
        self.0.spawn(work);
    }
}
