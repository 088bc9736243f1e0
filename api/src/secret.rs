//! The secret that signs the tokens: given by configuration, or drawn once and
//! kept in the data directory with owner-only rights.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// HS256 wants a key at least as long as its hash (RFC 7518, section 3.2).
pub const MIN_SECRET_BYTES: usize = 32;
/// The name of the file in the data directory.
pub const SECRET_FILE: &str = "jwt-secret";
/// A file longer than this is not ours.
const MAX_SECRET_BYTES: u64 = 4096;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The configured one is too short.
    #[error(
        "the token secret has {0} bytes; at least {MIN_SECRET_BYTES} are needed, for example the output of `openssl rand -base64 48`"
    )]
    TooShort(usize),
    /// Several instances must share one, and none is configured.
    #[error(
        "a token secret must be configured when an external database is: every instance has to know the same one. Make it with `openssl rand -base64 48`"
    )]
    NotConfigured,
    /// Others may read the file.
    #[error("{} can be read by others (mode {mode:03o}); run `chmod 600` on it, or delete it to have a new secret drawn", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold a secret.
    #[error("{} does not hold a token secret of at least {MIN_SECRET_BYTES} bytes; delete it to have a new one drawn", .0.display())]
    Damaged(PathBuf),
    /// The file cannot be read or written.
    #[error("the token secret in {} cannot be used: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The system has no randomness.
    #[error("no token secret can be drawn: {0}")]
    Random(getrandom::Error),
}

/// The key of the tokens. Never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret(Vec<u8>);

impl TokenSecret {
    /// Takes the bytes of the text as they are, without surrounding white space.
    ///
    /// # Errors
    /// [`SecretError::TooShort`].
    pub fn from_text(text: &str) -> Result<Self, SecretError> {
        let bytes = text.trim().as_bytes();
        if bytes.len() < MIN_SECRET_BYTES {
            return Err(SecretError::TooShort(bytes.len()));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The key's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name by which tokens say that they are signed with it (`kid`): 64 bits
    /// of a hash, which tell it from others and nothing else.
    pub(crate) fn id(&self) -> String {
        let hash = Sha256::new().chain_update("nemeses kid ").chain_update(&self.0).finalize();
        hex::encode(&hash[..8])
    }
}

/// The secret that signs, and the one before it, which still checks, so that a
/// change signs nobody out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSecrets {
    /// Signs and checks.
    pub current: TokenSecret,
    /// Only checks.
    pub previous: Option<TokenSecret>,
}

impl From<TokenSecret> for TokenSecrets {
    fn from(current: TokenSecret) -> Self {
        Self { current, previous: None }
    }
}

impl std::fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenSecret(..)")
    }
}

/// Where the secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// It is configured.
    Configured(TokenSecret),
    /// It is read from this file, which is made when it is not there.
    File(PathBuf),
}

/// Decides where the secret comes from.
///
/// # Errors
/// [`SecretError::TooShort`] and [`SecretError::NotConfigured`].
pub fn secret_source(
    configured: Option<&str>,
    external_database: bool,
    data_dir: &Path,
) -> Result<SecretSource, SecretError> {
    match configured {
        Some(text) => TokenSecret::from_text(text).map(SecretSource::Configured),
        None if external_database => Err(SecretError::NotConfigured),
        None => Ok(SecretSource::File(data_dir.join(SECRET_FILE))),
    }
}

impl SecretSource {
    /// The secret, drawn if need be.
    ///
    /// # Errors
    /// A file that cannot be used, or no randomness.
    pub fn load(self) -> Result<TokenSecret, SecretError> {
        match self {
            Self::Configured(secret) => Ok(secret),
            Self::File(path) => read_or_draw(&path),
        }
    }
}

fn read_or_draw(path: &Path) -> Result<TokenSecret, SecretError> {
    let failed = |cause| SecretError::File { path: path.to_owned(), cause };
    if !path.try_exists().map_err(failed)? {
        let mut bytes = [0_u8; 48];
        getrandom::fill(&mut bytes).map_err(SecretError::Random)?;
        keep(path, &URL_SAFE_NO_PAD.encode(bytes)).map_err(failed)?;
    }
    read(path)
}

/// Writes beside the path and links into place, so that a half-written secret
/// is never read and two starts at the same time end with the same one.
fn keep(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    // A draft that is there already is what a start with our process id left behind.
    let _ = fs::remove_file(&draft);
    let linked = write_private(&draft, text).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    });
    let _ = fs::remove_file(&draft);
    linked?;
    sync_folder(path)
}

/// Makes the name durable, not only the bytes.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

fn read(path: &Path) -> Result<TokenSecret, SecretError> {
    let failed = |cause| SecretError::File { path: path.to_owned(), cause };
    let file = File::open(path).map_err(failed)?;
    check_rights(path, &file)?;
    let mut text = String::new();
    file.take(MAX_SECRET_BYTES)
        .read_to_string(&mut text)
        .map_err(|_| SecretError::Damaged(path.to_owned()))?;
    TokenSecret::from_text(&text).map_err(|_| SecretError::Damaged(path.to_owned()))
}

#[cfg(unix)]
fn check_rights(path: &Path, file: &File) -> Result<(), SecretError> {
    use std::os::unix::fs::MetadataExt as _;
    let failed = |cause| SecretError::File { path: path.to_owned(), cause };
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Readable { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_rights(_path: &Path, _file: &File) -> Result<(), SecretError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn the_source_by_configuration_and_database() {
        let dir = Path::new("data");
        let file = SecretSource::File(dir.join(SECRET_FILE));
        let given = SecretSource::Configured(TokenSecret::from_text(GOOD).unwrap());
        assert_eq!(secret_source(None, false, dir).unwrap(), file);
        assert_eq!(secret_source(Some(GOOD), false, dir).unwrap(), given);
        assert_eq!(secret_source(Some(GOOD), true, dir).unwrap(), given);
        assert!(matches!(secret_source(None, true, dir), Err(SecretError::NotConfigured)));
        for short in ["", "short", &GOOD[1..], &format!("{}   ", &GOOD[1..])] {
            let error = secret_source(Some(short), false, dir).unwrap_err();
            assert!(error.to_string().contains("at least 32"), "{error}");
        }
    }

    #[test]
    fn a_drawn_secret_is_read_back_and_differs_from_the_next() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let load = |dir: &Path| secret_source(None, false, dir).unwrap().load().unwrap();
        let first = load(&one.path().join("made/on/demand"));
        assert_eq!(load(&one.path().join("made/on/demand")), first);
        assert_ne!(load(two.path()), first);
        let left: Vec<_> =
            fs::read_dir(two.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, [SECRET_FILE]);
    }

    #[test]
    fn many_starts_at_once_share_one_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SECRET_FILE);
        keep(&path, GOOD).unwrap();
        keep(&path, "another that comes too late 0123456789abcdef").unwrap();
        assert_eq!(read(&path).unwrap(), TokenSecret::from_text(GOOD).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_it() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SECRET_FILE);
        SecretSource::File(path.clone()).load().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = SecretSource::File(path).load().unwrap_err();
        assert!(matches!(error, SecretError::Readable { mode: 0o640, .. }), "{error}");
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SECRET_FILE);
        write_private(&path, "too short").unwrap();
        let error = SecretSource::File(path).load().unwrap_err();
        assert!(matches!(error, SecretError::Damaged(_)), "{error}");
    }

    #[test]
    fn the_secret_does_not_show() {
        let secret = TokenSecret::from_text(GOOD).unwrap();
        assert_eq!(format!("{secret:?}"), "TokenSecret(..)");
        assert_eq!(secret.id().len(), 16);
        assert_ne!(secret.id(), TokenSecret::from_text(&GOOD.replace('0', "x")).unwrap().id());
    }
}
