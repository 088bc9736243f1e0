//! What users' tokens are signed with: given, or drawn once and kept.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use nemeses_runtime::Secret;

/// A secret is at least this many bytes: the output of HS256's hash.
pub(crate) const LEAST_SECRET_BYTES: usize = 32;

/// Where the secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JwtSecret {
    /// A setting.
    Given(Secret),
    /// This file, which is made with a random secret when it is not there.
    KeptIn(PathBuf),
}

impl JwtSecret {
    /// The secret, drawn and written with owner-only rights when it has to be
    /// made. The file's directory must exist.
    ///
    /// # Errors
    /// A file that cannot be read or made, or holds too short a secret.
    pub(crate) fn load(&self) -> anyhow::Result<Secret> {
        match self {
            Self::Given(secret) => Ok(secret.clone()),
            Self::KeptIn(path) => match read_secret(path) {
                Err(error) if is_missing(&error) => make_secret(path),
                read => read,
            },
        }
    }
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Reads a secret from a file; white space around it does not count.
pub(crate) fn read_secret(path: &Path) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the secret in {} cannot be read", path.display()))?;
    let text = text.trim();
    anyhow::ensure!(
        text.len() >= LEAST_SECRET_BYTES,
        "the secret in {} is shorter than {LEAST_SECRET_BYTES} characters",
        path.display()
    );
    Ok(Secret::new(text))
}

/// Written beside and then linked into place, so that two processes that start
/// together end with the same secret and none ever reads half of one.
fn make_secret(path: &Path) -> anyhow::Result<Secret> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("no random bytes from the system: {error}"))?;
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let made = write_private(&draft, &BASE64_URL_SAFE_NO_PAD.encode(bytes))
        .and_then(|()| match std::fs::hard_link(&draft, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        })
        .with_context(|| format!("a secret cannot be written to {}", path.display()));
    // The draft may not be there if it could not be written; nothing depends on it.
    let _ = std::fs::remove_file(&draft);
    made?;
    read_secret(path)
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_drawn_once_and_kept_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let kept = JwtSecret::KeptIn(folder.path().join("jwt-secret"));
        let first = kept.load().unwrap();
        assert!(first.expose().len() >= LEAST_SECRET_BYTES);
        assert_eq!(kept.load().unwrap(), first);
        let other = JwtSecret::KeptIn(folder.path().join("other")).load().unwrap();
        assert_ne!(other, first);
        let names = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 2, "no drafts are left behind");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let path = folder.path().join("jwt-secret");
            let mode = std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_short_secret_is_refused_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwt-secret");
        std::fs::write(&path, "short\n").unwrap();
        let error = JwtSecret::KeptIn(path.clone()).load().unwrap_err();
        assert!(error.to_string().contains("shorter than 32"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "short\n");
    }
}
