//! A certificate for servers of a test.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A certificate for 127.0.0.1 that nobody has signed but itself, and its key.
#[derive(Debug)]
pub struct Certificate {
    folder: TempDir,
}

impl Certificate {
    /// Draws a key and writes both.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn new() -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("cert.pem"), made.cert.pem())?;
        fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem())?;
        Ok(Self { folder })
    }

    /// The path of the certificate, which is its own authority.
    pub fn cert(&self) -> String {
        self.folder.path().join("cert.pem").display().to_string()
    }

    /// A connection by TLS to who has this certificate; `alpn` are the protocols offered.
    ///
    /// # Errors
    /// Nobody listens, the server has another certificate, or speaks no TLS.
    pub async fn connect(
        &self,
        address: SocketAddr,
        alpn: &[&[u8]],
    ) -> anyhow::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.cert())?)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::from(address.ip());
        Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
    }

    /// What makes a MariaDB or MySQL use it.
    pub fn server_options(&self) -> [String; 2] {
        let key = self.folder.path().join("key.pem");
        [format!("--ssl-cert={}", self.cert()), format!("--ssl-key={}", key.display())]
    }
}
