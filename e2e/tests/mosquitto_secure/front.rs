//! A plain port whose connections go on to the broker by TLS, so that a test's
//! bare client speaks as a device does. The broker's certificate is checked.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Open until dropped.
#[derive(Debug)]
pub(crate) struct Front {
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Front {
    /// Leads to `broker`, which must show this certificate for `localhost`.
    pub(crate) async fn open(broker: SocketAddr, certificate: CertificateDer<'static>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(lead(client, broker, connector.clone()));
            }
        });
        Self { address, accepting: accepting.abort_handle() }
    }

    /// Where to connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A connection that fails is closed: the client sees what a device would.
async fn lead(mut client: TcpStream, broker: SocketAddr, connector: TlsConnector) {
    let Ok(tcp) = TcpStream::connect(broker).await else { return };
    let name = "localhost".try_into().unwrap();
    let Ok(mut tls) = connector.connect(name, tcp).await else { return };
    let _ = tokio::io::copy_bidirectional(&mut client, &mut tls).await;
}
