//! This machine: directories, secrets in files, ports, open files.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nemeses_broker::TlsListen;

use super::finding::Finding;
use crate::config::{Http, JwtSecret};
use crate::status::ask::process_at;

/// Files, sockets of stores and of Prometheus beside a connection each.
const OTHER_DESCRIPTORS: usize = 200;

/// The directory of the program's own files.
pub(super) fn data_dir(path: &Path) -> Vec<Finding> {
    const ABOUT: &str = "data-dir";
    let shown = path.display();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            return vec![Finding::wrong(
                ABOUT,
                format!("{shown} is no directory; name another with --data-dir"),
            )];
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return vec![Finding::good(
                ABOUT,
                format!("{shown} is not there yet; it will be made"),
            )];
        }
        Err(error) => {
            return vec![Finding::wrong(ABOUT, format!("{shown} cannot be looked at: {error}"))];
        }
    };
    if let Err(error) = tempfile_in(path) {
        return vec![Finding::wrong(
            ABOUT,
            format!(
                "nothing can be written to {shown}: {error}; give it to the user that the station runs as, or name another with --data-dir"
            ),
        )];
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return vec![Finding::weak(
            ABOUT,
            format!(
                "other users of this machine can look into {shown}, where positions and password hashes lie; chmod 700 {shown}"
            ),
        )];
    }
    let open = open_files(path);
    if open.is_empty() {
        return vec![Finding::good(ABOUT, format!("{shown} can be written, by its owner alone"))];
    }
    open
}

/// Files of the directory that others could reach if it were open.
fn open_files(path: &Path) -> Vec<Finding> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let ours = |name: &str| name.starts_with("nemeses.db") || name.starts_with("jwt-secret");
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(ours))
        .filter_map(|entry| open_to_others(&entry.path()))
        .collect()
}

/// A file is made and removed again.
fn tempfile_in(path: &Path) -> std::io::Result<()> {
    let name = path.join(format!(".doctor-{}", std::process::id()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&name)?;
    std::fs::remove_file(name)
}

/// Files that hold secrets.
pub(super) fn secrets(http: &Http, tls: Option<&TlsListen>) -> Vec<Finding> {
    let kept = match &http.jwt_secret {
        JwtSecret::KeptIn(path) => Some(path.as_path()),
        JwtSecret::Given(_) => None,
    };
    kept.into_iter()
        .chain(tls.map(|tls| tls.key_pem.as_path()))
        .filter_map(open_to_others)
        .collect()
}

fn open_to_others(path: &Path) -> Option<Finding> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let shown = path.display();
    (mode & 0o077 != 0).then(|| {
        Finding::weak(
            "secrets",
            format!("other users can reach {shown} (mode {:o}); chmod 600 {shown}", mode & 0o777),
        )
    })
}

/// Whether there may be as many open files as connections.
pub(super) fn descriptors(max_connections: usize) -> Vec<Finding> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    judge_descriptors(soft_limit(&limits), max_connections).into_iter().collect()
}

/// `Max open files            1024                 524288               files`.
fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn judge_descriptors(limit: Option<usize>, max_connections: usize) -> Option<Finding> {
    let needed = max_connections.saturating_add(OTHER_DESCRIPTORS);
    let limit = limit.filter(|limit| *limit < needed)?;
    Some(Finding::weak(
        "open files",
        format!(
            "this shell's limit is {limit}, and {max_connections} connections need {needed}; set LimitNOFILE in the unit (the one of the package has 65536), ulimit -n, or fewer by --max-connections"
        ),
    ))
}

/// Whether the listeners are free, or taken by ourselves.
pub(super) async fn listeners(
    settings: &[(&'static str, Option<SocketAddr>)],
    admin: Option<SocketAddr>,
) -> Vec<Finding> {
    const ABOUT: &str = "listeners";
    let taken: Vec<_> = settings
        .iter()
        .filter_map(|&(setting, address)| Some((setting, address?)))
        .filter_map(|(setting, address)| {
            let error = std::net::TcpListener::bind(address).err()?;
            Some(format!("{setting} {address} ({error})"))
        })
        .collect();
    if taken.is_empty() {
        return vec![Finding::good(ABOUT, "their addresses are free")];
    }
    let running = match admin {
        Some(address) => process_at(&format!("http://{address}/status")).await.ok(),
        None => None,
    };
    vec![match running {
        Some(process) => Finding::good(
            ABOUT,
            format!(
                "{} {} runs here already, process {}",
                process.name, process.version, process.pid
            ),
        ),
        None => Finding::wrong(
            ABOUT,
            format!(
                "cannot be listened on: {}; end the program that uses them, or name others by these settings",
                taken.join(", ")
            ),
        ),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict;

    #[test]
    fn a_directory_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let verdict = |path: &Path| data_dir(path)[0].verdict;
        assert_eq!(verdict(&folder.path().join("not there yet")), Verdict::Good);
        let set = |mode| {
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(0o700);
        assert_eq!(verdict(folder.path()), Verdict::Good);
        set(0o755);
        assert_eq!(verdict(folder.path()), Verdict::Weak);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
        set(0o700);
        let database = folder.path().join("nemeses.db");
        std::fs::write(&database, "").unwrap();
        std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o644)).unwrap();
        let found = data_dir(folder.path());
        assert!(found[0].says.contains("chmod 600"), "{found:?}");
        std::fs::remove_file(&database).unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(verdict(&file), Verdict::Wrong);
    }

    #[test]
    fn a_key_that_others_can_read_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(open_to_others(file.path()), None);
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o640)).unwrap();
        let found = open_to_others(file.path()).unwrap();
        assert!(found.says.contains("mode 640") && found.says.contains("chmod 600"), "{found:?}");
        assert_eq!(open_to_others(Path::new("/not/there")), None);
    }

    #[test]
    fn connections_need_open_files() {
        let limits = "Limit  Soft  Hard\nMax open files            1024                 524288               files\n";
        assert_eq!(soft_limit(limits), Some(1024));
        assert_eq!(soft_limit("Max open files unlimited unlimited files"), None);
        assert_eq!(judge_descriptors(Some(1024), 500), None);
        assert_eq!(judge_descriptors(None, 1_000_000), None);
        let found = judge_descriptors(Some(1024), 10_000).unwrap();
        assert!(found.says.contains("10200"), "{found:?}");
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let found = listeners(&[("mqtt-listen", Some(address)), ("http-listen", None)], None).await;
        assert_eq!(found[0].verdict, Verdict::Wrong);
        assert!(found[0].says.contains(&format!("mqtt-listen {address}")), "{found:?}");
    }
}
