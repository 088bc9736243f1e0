//! The HTTP server over real sockets: HTTPS with HTTP/2 and HTTP/1.1, those who come
//! without TLS, and clients that stop reading.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, Version, header};
use axum::routing::get;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nemeses_runtime::Certificates;
use nemeses_runtime::http::{HttpConfig, Peer, Tls, serve, to_https};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

/// Nothing here takes this long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// A certificate for `localhost` in files.
fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let paths = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&paths.0, made.cert.pem()).unwrap();
    std::fs::write(&paths.1, made.signing_key.serialize_pem()).unwrap();
    paths
}

struct Served {
    address: SocketAddr,
    cert: PathBuf,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
    _folder: tempfile::TempDir,
}

async fn served(change: impl FnOnce(&mut HttpConfig)) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path());
    let certificates = Certificates::read(&cert, &key).unwrap();
    let routes = Router::new()
        .route("/tls", get(async |peer: axum::Extension<Peer>| peer.tls.to_string()))
        .route("/endless", get(endless));
    let tls = Some(Tls::new(&certificates, to_https(None)).unwrap());
    let mut config = HttpConfig { tls, drain: Duration::from_millis(200), ..HttpConfig::small() };
    change(&mut config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(listener, routes, config, stop.clone()));
    Served { address, cert, stop, task, _folder: folder }
}

async fn endless() -> Body {
    let piece = || Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 16 * 1024]));
    Body::from_stream(futures_util::stream::repeat_with(piece))
}

fn request(path: &str) -> Request<Body> {
    Request::builder().uri(format!("https://localhost{path}")).body(Body::empty()).unwrap()
}

impl Served {
    async fn connect(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.cert).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
    }
}

async fn text(body: hyper::body::Incoming) -> String {
    let bytes = axum::body::to_bytes(Body::new(body), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn https_speaks_both_versions_and_the_routes_learn_of_it() {
    let served = served(|_| {}).await;
    let stream = TokioIo::new(served.connect(b"h2").await);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..3 {
        let answer = client.send_request(request("/tls")).await.unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        assert_eq!(text(answer.into_body()).await, "true");
    }
    let stream = TokioIo::new(served.connect(b"http/1.1").await);
    let (mut client, other) = http1::handshake(stream).await.unwrap();
    let other = tokio::spawn(other);
    let answer = client.send_request(request("/tls")).await.unwrap();
    assert_eq!((answer.version(), answer.status()), (Version::HTTP_11, StatusCode::OK));
    assert_eq!(text(answer.into_body()).await, "true");
    served.stop.cancel();
    timeout(DEADLINE, served.task).await.unwrap().unwrap().unwrap();
    for connection in [connection.await, other.await] {
        let _ended = connection.unwrap();
    }
}

#[tokio::test]
async fn http_2_is_spoken_without_tls_where_that_is_asked_for() {
    let idle = |config: &mut HttpConfig| {
        config.tls = None;
        config.http_2_idle = Some(DEADLINE);
    };
    let served = served(idle).await;
    let stream = TokioIo::new(TcpStream::connect(served.address).await.unwrap());
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let answer = client.send_request(request("/tls")).await.unwrap();
    assert_eq!((answer.version(), answer.status()), (Version::HTTP_2, StatusCode::OK));
    assert_eq!(text(answer.into_body()).await, "false");
    served.stop.cancel();
    timeout(DEADLINE, served.task).await.unwrap().unwrap().unwrap();
    let _ended = connection.await.unwrap();
}

#[tokio::test]
async fn whoever_comes_without_tls_is_sent_to_it() {
    let served = served(|_| {}).await;
    let stream = TokioIo::new(TcpStream::connect(served.address).await.unwrap());
    let (mut client, connection) = http1::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::builder().uri("/tls?a=b").header("host", "localhost:1");
    let answer = client.send_request(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(answer.headers()[header::LOCATION], "https://localhost:1/tls?a=b");
    drop(client);
    let _ended = connection.await.unwrap();
}

#[tokio::test]
async fn a_client_that_stops_reading_one_of_several_answers_is_cut_off() {
    let served = served(|config| config.write_stall = Duration::from_millis(300)).await;
    let stream = TokioIo::new(served.connect(b"h2").await);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    // It is never read, so its window is never opened further.
    let unread = client.send_request(request("/endless")).await.unwrap();
    let ended = timeout(DEADLINE, connection).await.expect("the stalled connection goes on");
    let _reset = ended.unwrap();
    drop(unread);
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_and_a_silent_handshake_too() {
    let served = served(|config| config.head_timeout = Duration::from_millis(300)).await;
    let stream = TokioIo::new(served.connect(b"h2").await);
    let (client, connection) =
        http2::handshake::<_, _, Body>(TokioExecutor::new(), stream).await.unwrap();
    timeout(DEADLINE, connection).await.expect("the idle connection goes on").unwrap();
    drop(client);
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    let mut byte = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut silent, &mut byte);
    let _closed = timeout(DEADLINE, read).await.expect("the silent connection goes on");
}

#[tokio::test]
async fn silent_connections_make_room() {
    let few = |config: &mut HttpConfig| {
        config.max_connections = NonZeroUsize::new(4).unwrap();
        config.head_timeout = 2 * DEADLINE;
    };
    let served = served(few).await;
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    let asked = async {
        let stream = TokioIo::new(served.connect(b"http/1.1").await);
        let (mut client, connection) = http1::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let answer = client.send_request(request("/tls")).await.unwrap();
        drop(client);
        let _ended = connection.await.unwrap();
        answer.status()
    };
    assert_eq!(timeout(DEADLINE, asked).await.unwrap(), StatusCode::OK);
}
