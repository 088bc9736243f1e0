//! A broker to connect to, and the socket to it.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::tls::{Failure, Tls, TlsFiles, TlsFilesError, failure};
use crate::url::{BrokerUrl, ParseBrokerUrlError};

/// For TCP and TLS, each.
const SOCKET_WITHIN: Duration = Duration::from_secs(10);

/// Where a broker is, as whom to connect, and how TLS is done. Clones share what was
/// read of files.
#[derive(Clone, Debug)]
pub struct Broker {
    url: BrokerUrl,
    tls: Arc<Tls>,
}

impl Broker {
    /// A broker; `files` matter with `mqtts://` alone.
    pub fn new(url: BrokerUrl, files: TlsFiles) -> Self {
        Self { url, tls: Arc::new(Tls::new(files)) }
    }

    /// Where it is. Printed without its password.
    pub const fn url(&self) -> &BrokerUrl {
        &self.url
    }

    /// The same broker under another login.
    #[must_use]
    pub fn with_login(mut self, user: String, password: String) -> Self {
        self.url.login = Some((user, password));
        self
    }

    /// Reads the files of TLS, so that wrong ones are found before a connection is
    /// needed.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub fn check_files(&self) -> Result<(), TlsFilesError> {
        if self.url.tls { self.tls.config().map(drop) } else { Ok(()) }
    }

    /// Opens a socket, and TLS on it where the URL says so.
    pub(crate) async fn open(&self) -> Result<Socket, Failure> {
        let BrokerUrl { tls, host, port, .. } = &self.url;
        let late = |_| Failure::passing("it does not answer");
        let socket = timeout(SOCKET_WITHIN, TcpStream::connect((host.as_str(), *port)))
            .await
            .map_err(late)?
            .map_err(|error| failure(&error))?;
        // What is due goes out in one write: nothing to gather by waiting.
        socket.set_nodelay(true).map_err(|error| failure(&error))?;
        if !tls {
            return Ok(Either::Left(socket));
        }
        let secured = timeout(SOCKET_WITHIN, self.tls.connect(host, socket)).await;
        Ok(Either::Right(Box::new(secured.map_err(late)??)))
    }
}

impl From<BrokerUrl> for Broker {
    fn from(url: BrokerUrl) -> Self {
        Self::new(url, TlsFiles::default())
    }
}

impl FromStr for Broker {
    type Err = ParseBrokerUrlError;

    fn from_str(text: &str) -> Result<Self, ParseBrokerUrlError> {
        text.parse().map(BrokerUrl::into)
    }
}

/// A connected socket.
pub(crate) type Socket = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// What carries a socket.
pub(crate) fn tcp_of(socket: &Socket) -> &TcpStream {
    match socket {
        Either::Left(plain) => plain,
        Either::Right(secured) => secured.get_ref().0,
    }
}
