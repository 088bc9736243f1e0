//! Real servers on free loopback ports in temporary folders.

mod certificate;
mod haproxy;
mod mosquitto;
mod nemeses;
mod process;
mod ready;
mod redis;
mod sql;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

pub use certificate::Certificate;
pub use haproxy::HaProxy;
pub use mosquitto::{Mosquitto, plugins as mosquitto_plugins};
pub use nemeses::{Api, Nemeses, Node, nemeses_binary, run_nemeses};
pub use process::{Process, Signal, Spec};
pub use ready::Ready;
pub use redis::{Redis, RedisMemory};
pub use sql::{Brand, SqlServer};

/// Cargo's target folder, found from the running program: Cargo marks it.
fn target_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let mut folders = program.ancestors().skip(1);
    let folder = folders.find(|folder| folder.join("CACHEDIR.TAG").is_file());
    Ok(folder.context("the program runs outside a target folder")?.to_owned())
}

/// The top of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Servers that refuse to run as root must be told that they may.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// A server program: from the PATH, or from sbin, which a user's PATH may lack.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| PathBuf::from(name))
}
