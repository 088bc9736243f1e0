//! How the link to a server is protected. A server elsewhere is spoken to over TLS and its
//! certificate is verified; one on this machine, where nobody listens in between, in plain.
//! `ssl-mode` in the URL says otherwise. sqlx does the same with its own connections; this
//! is for those of the bulk channel, and for what is used when the URL says nothing.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What to do when a server's certificate does not pass, or there is none.
const ADVICE: &str = "; a link to another machine is encrypted and the server's certificate \
    verified unless --database-url says otherwise: name a private authority with \
    ?ssl-ca=PATH, or give up the check with ?ssl-mode=required, or, on a network that is trusted, \
    TLS with ?ssl-mode=disabled";
/// MariaDB says no more than that about an account or a server that demands TLS.
const DEMANDED: &str = "; where TLS is demanded, add ?ssl-mode=required to --database-url";

/// What is wanted of the link.
#[derive(Clone, Debug)]
pub(super) struct Protection {
    pub(super) mode: MySqlSslMode,
    /// Each a path or PEM itself, as in sqlx.
    ca: Option<String>,
    identity: Option<(String, String)>,
}

impl Protection {
    /// Reads a URL that sqlx has read.
    pub(super) fn of(url: &str, connect: &MySqlConnectOptions) -> Self {
        let option = |names: [&str; 2]| {
            let of_these = url_options(url).filter(|(name, _)| names.contains(&name.as_str()));
            of_these.last().map(|(_, value)| value)
        };
        let says_mode = option(["ssl-mode", "sslmode"]).is_some();
        let mode = if says_mode { connect.get_ssl_mode() } else { default_mode(connect) };
        let (cert, key) = (option(["ssl-cert", "sslcert"]), option(["ssl-key", "sslkey"]));
        Self { mode, ca: option(["ssl-ca", "sslca"]), identity: cert.zip(key) }
    }

    /// Whether this link goes over TLS, to a server that offers it or does not.
    pub(super) const fn takes_tls(&self, offered: bool) -> bool {
        match self.mode {
            MySqlSslMode::Disabled => false,
            MySqlSslMode::Preferred => offered,
            MySqlSslMode::Required | MySqlSslMode::VerifyCa | MySqlSslMode::VerifyIdentity => true,
        }
    }

    /// Goes over to TLS.
    pub(super) async fn upgrade(
        &self,
        host: &str,
        link: TcpStream,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| std::io::Error::new(ErrorKind::InvalidInput, error))?;
        // Reads files, the system's authorities among them.
        let this = self.clone();
        let config = tokio::task::spawn_blocking(move || this.config()).await??;
        TlsConnector::from(Arc::new(config)).connect(name, link).await
    }

    fn config(&self) -> std::io::Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?;
        let builder = match self.mode {
            MySqlSslMode::VerifyIdentity => builder.with_root_certificates(self.roots()?),
            MySqlSslMode::VerifyCa => {
                let roots = Arc::new(self.roots()?);
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
                let authority = Some(verifier.build().map_err(std::io::Error::other)?);
                let verifier = Arc::new(Lenient { authority, provider });
                builder.dangerous().with_custom_certificate_verifier(verifier)
            }
            MySqlSslMode::Required | MySqlSslMode::Preferred | MySqlSslMode::Disabled => {
                let verifier = Arc::new(Lenient { authority: None, provider });
                builder.dangerous().with_custom_certificate_verifier(verifier)
            }
        };
        let Some((cert, key)) = &self.identity else { return Ok(builder.with_no_client_auth()) };
        let key = PrivateKeyDer::from_pem_slice(&pem(key)?).map_err(std::io::Error::other)?;
        builder.with_client_auth_cert(certificates(cert)?, key).map_err(std::io::Error::other)
    }

    /// The system's authorities, and the one of the URL.
    fn roots(&self) -> std::io::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in
            self.ca.iter().map(|ca| certificates(ca)).collect::<Result<Vec<_>, _>>()?
        {
            for certificate in certificate {
                roots.add(certificate).map_err(std::io::Error::other)?;
            }
        }
        Ok(roots)
    }
}

/// What an error needs for a person to mend it, when it is or may be about TLS.
pub(super) fn advice(detail: &str, mode: MySqlSslMode) -> Option<&'static str> {
    let is_plain = matches!(mode, MySqlSslMode::Disabled);
    let (marks, advice): (&[&str], _) = if is_plain {
        (&["1045 (", "3159 ("], DEMANDED)
    } else {
        (&["invalid peer certificate", "does not support TLS", "offers no TLS"], ADVICE)
    };
    marks.iter().any(|mark| detail.contains(mark)).then_some(advice)
}

/// The options of a URL, names and values as sqlx reads them.
pub(super) fn url_options(url: &str) -> impl Iterator<Item = (String, String)> {
    let url = url.split('#').next().unwrap_or_default();
    let options = url.split_once('?').map_or("", |(_, options)| options);
    let decode =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    options.split('&').filter(|option| !option.is_empty()).map(move |option| {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        (decode(name), decode(value))
    })
}

fn default_mode(connect: &MySqlConnectOptions) -> MySqlSslMode {
    if connect.get_socket().is_some() || is_this_machine(connect.get_host()) {
        MySqlSslMode::Disabled
    } else {
        MySqlSslMode::VerifyIdentity
    }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_matches(['[', ']']);
    let address = bare.parse::<IpAddr>().or_else(|_| bare.parse::<Ipv6Addr>().map(IpAddr::V6));
    bare.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn pem(text: &str) -> std::io::Result<Vec<u8>> {
    if text.trim_start().starts_with("-----BEGIN") {
        return Ok(text.as_bytes().to_vec());
    }
    std::fs::read(text)
        .map_err(|error| std::io::Error::new(error.kind(), format!("{text}: {error}")))
}

fn certificates(text: &str) -> std::io::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(&pem(text)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(std::io::Error::other)
}

/// Accepts any certificate, or with an authority one of its own for whatever name: what
/// `ssl-mode=required` and `verify_ca` ask for.
#[derive(Debug)]
struct Lenient {
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Protection {
        Protection::of(url, &url.parse().unwrap())
    }

    #[test]
    fn other_machines_are_verified_unless_the_url_says_otherwise() {
        use MySqlSslMode::{Disabled, Preferred, Required, VerifyCa, VerifyIdentity};
        for (url, mode) in [
            ("mysql://h/d", VerifyIdentity),
            ("mysql://10.0.0.1:3307/d?ssl-ca=/etc/ca.pem", VerifyIdentity),
            ("mysql://localhost.example/d", VerifyIdentity),
            ("mysql://h/d?charset=utf8mb4#ssl-mode=disabled", VerifyIdentity),
            ("mysql://h/d?ssl-mode=preferred", Preferred),
            ("mysql://h/d?ssl%2Dmode=required", Required),
            ("mysql://h/d?sslmode=VERIFY_CA", VerifyCa),
            ("mysql://h/d?ssl-mode=disabled", Disabled),
            ("mysql://localhost/d", Disabled),
            ("mysql://127.1.2.3/d", Disabled),
            ("mysql://[::1]:3307/d", Disabled),
            ("mysql://[::ffff:127.0.0.1]/d", Disabled),
            ("mysql://h/d?socket=/run/mysqld.sock", Disabled),
            ("mysql://localhost/d?ssl-mode=verify_identity", VerifyIdentity),
        ] {
            assert!(
                std::mem::discriminant(&of(url).mode) == std::mem::discriminant(&mode),
                "{url}"
            );
        }
    }

    #[test]
    fn files_are_named_when_they_cannot_be_read() {
        let protection = of("mysql://h/d?ssl-ca=%2Fnot%2Fthere.pem");
        let error = protection.config().unwrap_err().to_string();
        assert!(error.contains("/not/there.pem"), "{error}");
        let identity = of("mysql://h/d?ssl-mode=required&ssl-cert=/a.pem&ssl-key=/b.pem");
        assert!(identity.config().unwrap_err().to_string().contains("/b.pem"));
        of("mysql://h/d?ssl-mode=required").config().unwrap();
    }
}
