//! A certificate authority with a broker's and a client's certificate.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// The files of one authority, in a folder.
pub(crate) struct Authority {
    pub(crate) ca: PathBuf,
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(folder: &Path) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let certificate = params.self_signed(&key).expect("a certificate");
        let ca = folder.join("ca.pem");
        std::fs::write(&ca, certificate.pem()).expect("a file");
        Self { ca, folder: folder.to_owned(), issuer: Issuer::new(params, key) }
    }

    /// Certificate and key for a name.
    pub(crate) fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let paths = ["pem", "key"].map(|kind| self.folder.join(format!("{name}.{kind}")));
        let [cert_path, key_path] = paths;
        std::fs::write(&cert_path, certificate.pem()).expect("a file");
        std::fs::write(&key_path, key.serialize_pem()).expect("a file");
        (cert_path, key_path)
    }
}
