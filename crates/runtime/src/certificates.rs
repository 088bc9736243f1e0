//! A certificate chain with its key for a TLS listener, read from PEM files and read
//! again when they change or SIGHUP asks: connections that are open stay, new ones get
//! the new certificate. Files that cannot be used (half written, a key that does not
//! fit) leave the old certificate in use.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;

use crate::{Outage, ReloadAsked};

/// How often the files are looked at: two small files, by their contents, so that it does
/// not matter how they are replaced (renamed, rewritten, a symbolic link of Kubernetes).
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A certificate chain with its key, as its files are.
pub struct Certificates {
    cert_pem: PathBuf,
    key_pem: PathBuf,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
    /// While the files cannot be used, so that it is logged once.
    unusable: Outage,
}

struct Current {
    files: Files,
    key: Arc<CertifiedKey>,
}

#[derive(PartialEq, Eq)]
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// What a look at the files found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The same as before.
    Unchanged,
    /// Others, which are used from now on.
    Replaced,
}

impl Certificates {
    /// Reads the files and checks that key and certificate belong together.
    ///
    /// # Errors
    /// A file that cannot be read or used, by its name.
    pub fn read(cert_pem: &Path, key_pem: &Path) -> anyhow::Result<Arc<Self>> {
        let provider = Arc::new(default_provider());
        let files = Files::read(cert_pem, key_pem)?;
        let key = files.certified(&provider, cert_pem, key_pem)?;
        Ok(Arc::new(Self {
            cert_pem: cert_pem.to_owned(),
            key_pem: key_pem.to_owned(),
            provider,
            current: RwLock::new(Current { files, key }),
            unusable: Outage::new(),
        }))
    }

    /// A listener's configuration: TLS 1.2 and 1.3 with what `ring` has, sessions resumed
    /// by tickets, so that a device that reconnects saves the full handshake.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn server_config(self: &Arc<Self>) -> anyhow::Result<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .context("TLS versions")?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.ticketer = Ticketer::new().context("keys for session tickets")?;
        config.send_tls13_tickets = 1;
        Ok(config)
    }

    /// Looks at the files and uses them if they are others.
    ///
    /// # Errors
    /// They cannot be used; what was in use stays so.
    pub fn look(&self) -> anyhow::Result<Look> {
        let files = Files::read(&self.cert_pem, &self.key_pem)?;
        if files == self.current.read().unwrap_or_else(PoisonError::into_inner).files {
            return Ok(Look::Unchanged);
        }
        let key = files.certified(&self.provider, &self.cert_pem, &self.key_pem)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { files, key };
        Ok(Look::Replaced)
    }

    /// Looks at the files every 10 s and whenever it is asked, until `stop`; logs what
    /// it found.
    pub async fn follow(self: Arc<Self>, mut asked: ReloadAsked, stop: CancellationToken) {
        loop {
            let by_request = tokio::select! {
                () = stop.cancelled() => return,
                () = asked.next() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            let this = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || this.look()).await;
            self.log(looked.map_err(anyhow::Error::from).flatten(), by_request);
        }
    }

    fn log(&self, looked: anyhow::Result<Look>, by_request: bool) {
        let file = self.cert_pem.display();
        match looked {
            Ok(look) => {
                self.unusable.ends();
                match look {
                    Look::Replaced => {
                        tracing::info!(%file, "new connections get the new TLS certificate");
                    }
                    Look::Unchanged if by_request => {
                        tracing::info!(%file, "the TLS certificate is the same as before");
                    }
                    Look::Unchanged => {}
                }
            }
            Err(error) if self.unusable.begins() || by_request => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the TLS certificate cannot be read again; the one in use stays"
                );
            }
            Err(_) => {}
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.key))
    }
}

/// Leaves the key out.
impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("cert_pem", &self.cert_pem).finish_non_exhaustive()
    }
}

impl Files {
    fn read(cert_pem: &Path, key_pem: &Path) -> anyhow::Result<Self> {
        let cert = std::fs::read(cert_pem)
            .with_context(|| format!("the certificate {} cannot be read", cert_pem.display()))?;
        let key = std::fs::read(key_pem)
            .with_context(|| format!("the private key {} cannot be read", key_pem.display()))?;
        Ok(Self { cert, key })
    }

    fn certified(
        &self,
        provider: &CryptoProvider,
        cert_pem: &Path,
        key_pem: &Path,
    ) -> anyhow::Result<Arc<CertifiedKey>> {
        let chain = CertificateDer::pem_slice_iter(&self.cert)
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("the certificate {} cannot be read", cert_pem.display()))?;
        anyhow::ensure!(!chain.is_empty(), "{} holds no certificate", cert_pem.display());
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .with_context(|| format!("the private key {} cannot be read", key_pem.display()))?;
        CertifiedKey::from_der(chain, key, provider).map(Arc::new).with_context(|| {
            format!(
                "the certificate {} and the private key {} do not fit",
                cert_pem.display(),
                key_pem.display()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let paths = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&paths.0, made.cert.pem()).unwrap();
        std::fs::write(&paths.1, made.signing_key.serialize_pem()).unwrap();
        paths
    }

    #[test]
    fn files_are_used_as_they_are_and_bad_ones_leave_the_old_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = write(folder.path());
        let certificates = Certificates::read(&cert, &key).unwrap();
        let in_use = || certificates.current.read().unwrap().key.cert.clone();
        let first = in_use();
        assert_eq!(certificates.look().unwrap(), Look::Unchanged);
        // The new certificate is there, and its key is not yet.
        let old_key = std::fs::read(&key).unwrap();
        write(folder.path());
        let new_key = std::fs::read(&key).unwrap();
        std::fs::write(&key, &old_key).unwrap();
        let error = format!("{:#}", certificates.look().unwrap_err());
        assert!(error.contains("do not fit") && error.contains("key.pem"), "{error}");
        std::fs::write(&key, "").unwrap();
        certificates.look().unwrap_err();
        assert_eq!(in_use(), first);
        std::fs::write(&key, new_key).unwrap();
        assert_eq!(certificates.look().unwrap(), Look::Replaced);
        assert_ne!(in_use(), first);
        std::fs::remove_file(&cert).unwrap();
        let error = format!("{:#}", certificates.look().unwrap_err());
        assert!(error.contains("cert.pem cannot be read"), "{error}");
    }
}
