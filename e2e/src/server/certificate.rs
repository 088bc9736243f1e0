//! A certificate for servers of a test.

use std::fs;

use tempfile::TempDir;

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

    /// What makes a MariaDB or MySQL use it.
    pub fn server_options(&self) -> [String; 2] {
        let key = self.folder.path().join("key.pem");
        [format!("--ssl-cert={}", self.cert()), format!("--ssl-key={}", key.display())]
    }
}
