//! One POST to a receiver: resolves its name, refuses addresses that are not allowed, connects to the one that was looked
//! at, and follows no redirect. An answer's body is never shown to who named the receiver, but for its beginning.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Uri, header};
use nemeses_runtime::http::exchange;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::guard::Networks;
use crate::requests::Post;
use crate::schedule::{Answer, answer};

/// An attempt in all: what the specification of standard webhooks allows, at its lower end.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Of an answer.
const MOST_ANSWER_BYTES: usize = 64 * 1024;
/// Addresses of a name that are tried.
const MOST_ADDRESSES: usize = 3;

/// Sends requests.
pub(crate) struct Client {
    networks: Networks,
    tls: Arc<ClientConfig>,
}

impl Client {
    pub(crate) fn new(networks: Networks) -> Self {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring offers the default versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { networks, tls: Arc::new(tls) }
    }

    /// Makes a request.
    pub(crate) async fn post(&self, post: &Post) -> Answer {
        match tokio::time::timeout(TIMEOUT, self.try_post(post)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => Answer::Unwell(why, None),
            Err(_) => Answer::Unwell(format!("no answer within {} s", TIMEOUT.as_secs()), None),
        }
    }

    async fn try_post(&self, message: &Post) -> Result<Answer, String> {
        let uri: Uri = message.url.parse().map_err(|_| "its URL is none".to_owned())?;
        let authority = uri.authority().ok_or("its URL names no host")?;
        let is_tls = uri.scheme_str() == Some("https");
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = self.connect(host, port).await?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::post(path)
            .header(header::HOST, authority.as_str())
            .header(header::USER_AGENT, "Nemeses")
            .header(header::CONTENT_LENGTH, message.body.len())
            .header(header::CONNECTION, "close");
        for (name, value) in &message.headers {
            request = request.header(*name, value);
        }
        let request = request
            .body(Body::from(message.body.clone()))
            .map_err(|_| "its URL or its token cannot be in a request".to_owned())?;
        let answered = if is_tls {
            let name = ServerName::try_from(host.to_owned())
                .map_err(|_| "its host has no name for TLS".to_owned())?;
            let connector = TlsConnector::from(Arc::clone(&self.tls));
            let stream = connector.connect(name, stream).await;
            let stream = stream.map_err(|error| format!("TLS: {error}"))?;
            exchange(stream, request, MOST_ANSWER_BYTES).await
        } else {
            exchange(stream, request, MOST_ANSWER_BYTES).await
        };
        let (head, body) = answered.map_err(|error| format!("{error:#}"))?;
        let seconds = head.headers.get(header::RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let said = String::from_utf8_lossy(&body);
        Ok(answer(head.status.as_u16(), seconds.map(Duration::from_secs), &said))
    }

    /// A connection to the first allowed address that takes one.
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, String> {
        let found = tokio::net::lookup_host((host, port)).await;
        let found: Vec<SocketAddr> =
            found.map_err(|error| format!("{host} is not found: {error}"))?.collect();
        let mut why = format!("{host} has no address");
        for address in found.into_iter().take(MOST_ADDRESSES) {
            if !self.networks.allow(address.ip()) {
                why = format!(
                    "{host} is at a private address, to which nothing is sent (--notify-allow-networks)"
                );
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => why = format!("{host}: {error}"),
            }
        }
        Err(why)
    }
}
