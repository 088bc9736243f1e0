//! TLS towards a broker: whom we trust, who we are, and what a failed handshake
//! means in words. rustls with ring, as everywhere.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The files of a TLS connection, PEM. By default the system's authorities are
/// trusted and no certificate of ours is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities to trust, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate and its private key, for a broker that demands one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that the broker's certificate must bear, where it is not the URL's
    /// host.
    pub server_name: Option<String>,
}

/// Why a TLS connection cannot even be tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsFilesError(String);

/// Builds TLS connections from [`TlsFiles`]; files that were changed are read again
/// for the next connection, so that a renewed certificate needs no restart.
#[derive(Debug)]
pub(crate) struct Tls {
    files: TlsFiles,
    built: Mutex<Option<Built>>,
}

#[derive(Debug)]
struct Built {
    stamps: Vec<Stamp>,
    config: Arc<ClientConfig>,
}

/// Tells whether a file was changed: when, and how long it is.
type Stamp = Option<(SystemTime, u64)>;

impl Tls {
    pub(crate) const fn new(files: TlsFiles) -> Self {
        Self { files, built: Mutex::new(None) }
    }

    /// The configuration for the next connection. Changed files that cannot be used
    /// are reported, and the earlier ones used on.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, TlsFilesError> {
        let stamps = self.files.stamps();
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(built) = built.as_ref().filter(|built| built.stamps == stamps) {
            return Ok(Arc::clone(&built.config));
        }
        match (client_config(&self.files), built.as_mut()) {
            (Ok(config), _) => {
                let config = Arc::new(config);
                *built = Some(Built { stamps, config: Arc::clone(&config) });
                Ok(config)
            }
            (Err(error), Some(earlier)) => {
                tracing::error!(%error, "changed TLS files cannot be used; the earlier ones are used on");
                earlier.stamps = stamps;
                Ok(Arc::clone(&earlier.config))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Makes a connection of a socket; `host` is the URL's.
    pub(crate) async fn connect(
        &self,
        host: &str,
        socket: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let config = self.config().map_err(|error| Failure::for_good(error.to_string()))?;
        let name = self.files.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name)
            .map_err(|_| {
                Failure::for_good(format!("'{name}' is no name that a certificate can bear"))
            })?
            .to_owned();
        TlsConnector::from(config).connect(name, socket).await.map_err(|error| {
            failure(&error).or_closed_since(
                "it closed the connection during the TLS handshake; does this port speak TLS?",
            )
        })
    }
}

impl TlsFiles {
    fn stamps(&self) -> Vec<Stamp> {
        let identity = self.identity.iter().flat_map(|(cert, key)| [cert, key]);
        let stamp = |path: &PathBuf| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        self.ca.iter().chain(identity).map(stamp).collect()
    }
}

fn client_config(files: &TlsFiles) -> Result<ClientConfig, TlsFilesError> {
    let roots = match &files.ca {
        Some(path) => private_roots(path)?,
        None => system_roots()?,
    };
    let unusable = |error: rustls::Error| TlsFilesError(format!("TLS cannot be used: {error}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots);
    let Some((cert, key)) = &files.identity else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(cert)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        TlsFilesError(format!("the private key {} cannot be read: {error}", key.display()))
    })?;
    builder.with_client_auth_cert(chain, secret).map_err(|error| {
        let why = match error {
            rustls::Error::InconsistentKeys(_) => "they do not fit together".to_owned(),
            other => format!("{other}; the certificate must be of X.509 version 3"),
        };
        let (cert, key) = (cert.display(), key.display());
        TlsFilesError(format!("the certificate {cert} and the key {key} cannot be used: {why}"))
    })
}

fn private_roots(path: &Path) -> Result<RootCertStore, TlsFilesError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| {
            TlsFilesError(format!("{} holds a bad certificate: {error}", path.display()))
        })?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsFilesError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(TlsFilesError(
            "this system trusts no certificate authority (Debian: package ca-certificates); \
             install some, or name a file with the broker's"
                .to_owned(),
        ));
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFilesError> {
    let unreadable = |error: &dyn std::fmt::Display| {
        TlsFilesError(format!("the certificate {} cannot be read: {error}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(&error))?;
    if chain.is_empty() { Err(unreadable(&"it holds none")) } else { Ok(chain) }
}

/// A connection that failed, and whether repeating can mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) why: String,
    pub(crate) for_good: bool,
    /// The broker closed the connection without a word.
    pub(crate) closed: bool,
}

impl Failure {
    pub(crate) fn for_good(why: impl Into<String>) -> Self {
        Self { why: why.into(), for_good: true, closed: false }
    }

    pub(crate) fn passing(why: impl Into<String>) -> Self {
        Self { why: why.into(), for_good: false, closed: false }
    }

    /// With another reason where it was closed without a word.
    pub(crate) fn or_closed_since(self, why: &str) -> Self {
        if self.closed { Self { why: why.to_owned(), ..self } } else { self }
    }
}

/// What an error of a socket means: TLS's own in words, all others as they are.
pub(crate) fn failure(error: &io::Error) -> Failure {
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let closed = matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    );
    match of_tls {
        Some(of_tls) => tls_failure(of_tls),
        None => Failure { closed, ..Failure::passing(error.to_string()) },
    }
}

fn tls_failure(error: &rustls::Error) -> Failure {
    use AlertDescription as Alert;
    use CertificateError as Certificate;
    let why = match error {
        // The second: an authority of the same name, and another key.
        rustls::Error::InvalidCertificate(
            Certificate::UnknownIssuer | Certificate::BadSignature,
        ) => {
            "its certificate comes from an authority that is not trusted here; name the \
             authority's certificate (--mqtt-ca)"
        }
        rustls::Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => {
            "its certificate is for another name; use that name in the URL, or give it \
             (--mqtt-server-name)"
        }
        rustls::Error::InvalidCertificate(
            Certificate::Expired | Certificate::ExpiredContext { .. },
        ) => "its certificate has expired",
        // `openssl req -x509` makes such ones, which OpenSSL accepts and webpki does not.
        rustls::Error::InvalidCertificate(Certificate::Other(other))
            if format!("{other:?}").contains("CaUsedAsEndEntity") =>
        {
            "its certificate is that of an authority (CA:TRUE); let the broker have one that the \
             authority signs, or make it with -addext basicConstraints=critical,CA:FALSE"
        }
        rustls::Error::InvalidCertificate(other) => {
            return Failure::for_good(format!("its certificate cannot be trusted: {other}"));
        }
        rustls::Error::AlertReceived(Alert::CertificateRequired) => {
            "it demands a certificate of ours (--mqtt-client-cert, --mqtt-client-key)"
        }
        rustls::Error::AlertReceived(
            alert @ (Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            // The signature of an authority of the same name and another key.
            | Alert::DecryptError
            | Alert::AccessDenied),
        ) => {
            return Failure::for_good(format!(
                "it refuses our certificate ({alert:?}; --mqtt-client-cert, --mqtt-client-key)"
            ));
        }
        rustls::Error::AlertReceived(Alert::HandshakeFailure) => {
            "it refuses the TLS handshake: it demands a certificate of ours (--mqtt-client-cert, \
             --mqtt-client-key), or offers only what is out of date"
        }
        rustls::Error::AlertReceived(Alert::ProtocolVersion)
        | rustls::Error::PeerIncompatible(_) => {
            "it offers neither TLS 1.2 nor 1.3 with a method that is not out of date"
        }
        rustls::Error::InvalidMessage(_) => {
            "what answers there is not TLS; is this the port for TLS? Without it the URL begins \
             with mqtt://"
        }
        other => return Failure::passing(format!("TLS: {other}")),
    };
    Failure::for_good(why)
}

#[cfg(test)]
mod tests {
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::UnixTime;

    use super::*;

    fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn pair() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["broker".to_owned()]).unwrap();
        (certificate.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let ((cert, key), (_, other_key)) = (pair(), pair());
        let cert = written(folder.path(), "cert.pem", &cert);
        let key = written(folder.path(), "key.pem", &key);
        let other_key = written(folder.path(), "other.pem", &other_key);
        let empty = written(folder.path(), "empty.pem", "");
        let absent = folder.path().join("absent.pem");
        let ca = |path: &PathBuf| TlsFiles { ca: Some(path.clone()), ..TlsFiles::default() };
        let identity = |cert: &PathBuf, key: &PathBuf| TlsFiles {
            identity: Some((cert.clone(), key.clone())),
            ..ca(cert)
        };
        Tls::new(ca(&cert)).config().unwrap();
        Tls::new(identity(&cert, &key)).config().unwrap();
        for (files, says) in [
            (ca(&absent), "absent.pem cannot be read"),
            (ca(&empty), "empty.pem cannot be read: it holds none"),
            (identity(&cert, &absent), "the private key"),
            (identity(&cert, &other_key), "do not fit together"),
        ] {
            let error = Tls::new(files).config().unwrap_err().to_string();
            assert!(error.contains(says), "{says}: {error}");
        }
    }

    #[test]
    fn changed_files_are_read_again_and_bad_ones_leave_the_earlier() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), "ca.pem", &pair().0);
        let tls = Tls::new(TlsFiles { ca: Some(path), ..TlsFiles::default() });
        let first = tls.config().unwrap();
        assert!(Arc::ptr_eq(&first, &tls.config().unwrap()), "unchanged");
        written(folder.path(), "ca.pem", "no certificate");
        assert!(Arc::ptr_eq(&first, &tls.config().unwrap()), "cannot be used");
        written(folder.path(), "ca.pem", &format!("{}\n{}", pair().0, pair().0));
        assert!(!Arc::ptr_eq(&first, &tls.config().unwrap()), "changed");
    }

    #[test]
    fn the_certificate_of_an_authority_is_none_for_a_broker() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = rcgen::KeyPair::generate().unwrap();
        let mut of = rcgen::CertificateParams::new(vec!["broker".to_owned()]).unwrap();
        of.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = of.self_signed(&key).unwrap().der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider);
        let (name, now) = (ServerName::try_from("broker").unwrap(), UnixTime::now());
        let verifier = verifier.build().unwrap();
        let error = verifier.verify_server_cert(&certificate, &[], &name, &[], now).unwrap_err();
        let failure = tls_failure(&error);
        assert!(failure.for_good && failure.why.contains("CA:FALSE"), "{failure:?}");
    }

    #[test]
    fn failures_say_what_to_do_and_whether_to_repeat() {
        let reset = failure(&io::Error::from(io::ErrorKind::ConnectionReset));
        assert!(reset.closed && reset.or_closed_since("x").why == "x");
        let of = |error: rustls::Error| failure(&io::Error::other(error));
        for (error, says) in [
            (rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer), "--mqtt-ca"),
            (
                rustls::Error::AlertReceived(AlertDescription::CertificateRequired),
                "--mqtt-client-cert",
            ),
            (rustls::Error::AlertReceived(AlertDescription::UnknownCA), "refuses our certificate"),
        ] {
            let failure = of(error);
            assert!(failure.for_good && failure.why.contains(says), "{failure:?}");
        }
        assert!(!of(rustls::Error::General("x".to_owned())).for_good);
        assert!(!failure(&io::Error::from(io::ErrorKind::ConnectionReset)).for_good);
    }
}
