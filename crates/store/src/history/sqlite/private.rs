//! The database file is for its owner alone: it holds hashes of passwords and everyone's
//! positions. SQLite gives its WAL and its index the same rights, whatever the umask.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Read and written by the owner.
const OWNER: u32 = 0o600;

/// Makes the file if it is not there, and takes the rights of others away from it and
/// from what SQLite keeps beside it.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(OWNER).open(path)?;
    for path in ["", "-wal", "-shm", "-journal"].map(|suffix| beside(path, suffix)) {
        restrict(&path)?;
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn restrict(path: &Path) -> io::Result<()> {
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if mode & !OWNER == 0 {
        return Ok(());
    }
    let shown = path.display();
    match fs::set_permissions(path, Permissions::from_mode(OWNER)) {
        Ok(()) => tracing::warn!(
            "others could reach {shown} (mode {mode:03o}); it is for its owner alone now"
        ),
        // Another user's file: it can be worked with, and doctor says what is wrong.
        Err(error) => tracing::warn!(%error, "others can reach {shown} (mode {mode:03o})"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_the_owners_and_an_old_one_becomes_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nemeses.db");
        make_private(&path).unwrap();
        assert_eq!(mode(&path), 0o600);

        fs::write(&path, "kept").unwrap();
        let wal = folder.path().join("nemeses.db-wal");
        fs::write(&wal, "").unwrap();
        for path in [&path, &wal] {
            fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        }
        make_private(&path).unwrap();
        assert_eq!((mode(&path), mode(&wal)), (0o600, 0o600));
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
    }
}
