//! The binary under test, in each of its roles.

use std::ffi::OsStr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Context as _;
use tempfile::TempDir;

use super::{Process, Ready, Spec, target_folder};
use crate::Port;

/// Signs tokens; shared by all instances of a test, as an external database wants.
const JWT_SECRET: &str = "a secret of the end-to-end tests, long enough";

/// The `nemeses` binary of the profile that the test was built with.
///
/// # Errors
/// It was not built.
pub fn nemeses_binary() -> anyhow::Result<PathBuf> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let binary = target_folder()?.join(profile).join("nemeses");
    anyhow::ensure!(
        binary.is_file(),
        "{} is missing: build it first (cargo build -p nemeses), or run all tests (cargo nextest run --workspace)",
        binary.display()
    );
    Ok(binary)
}

/// Runs a command that ends, such as `audit`, and returns what it said.
///
/// # Errors
/// It cannot be started.
pub async fn run_nemeses<A: AsRef<OsStr>>(
    args: impl IntoIterator<Item = A>,
) -> anyhow::Result<Output> {
    let mut command = Command::new(nemeses_binary()?);
    command.args(args).env("NEMESES_JWT_SECRET", JWT_SECRET);
    tokio::task::spawn_blocking(move || command.output()).await?.context("running nemeses")
}

fn spec(name: &str, folder: &Path, ready: Ready) -> anyhow::Result<Spec> {
    let spec = Spec::new(name, nemeses_binary()?, folder, ready);
    Ok(Spec { is_ours: true, ..spec.env("NEMESES_JWT_SECRET", JWT_SECRET) })
}

/// `nemeses up`.
#[derive(Debug)]
pub struct Node {
    process: Process,
    mqtt: Port,
    http: Port,
    admin: Port,
    folder: TempDir,
}

impl Node {
    /// Starts a node with these arguments besides its ports and data directory.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(args: &[&str]) -> anyhow::Result<Self> {
        Self::start_in(tempfile::tempdir()?, args).await
    }

    /// Starts one with its data directory in `folder`.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_in(folder: TempDir, args: &[&str]) -> anyhow::Result<Self> {
        let (mqtt, http, admin) = (Port::free()?, Port::free()?, Port::free()?);
        let ready = Ready::HttpOk(format!("http://{}/readyz", http.address()));
        let spec = spec("node", folder.path(), ready)?
            .args(["up".as_ref(), "--data-dir".as_ref(), folder.path().join("data").as_os_str()])
            .args(["--mqtt-listen", &mqtt.address().to_string()])
            .args(["--http-listen", &http.address().to_string()])
            .args(["--admin-listen", &admin.address().to_string()])
            .args(args)
            .survives_full_disk();
        Ok(Self { process: Process::start(spec).await?, mqtt, http, admin, folder })
    }

    /// Where devices connect.
    pub const fn mqtt(&self) -> &Port {
        &self.mqtt
    }

    /// Where the REST API is.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.http.address())
    }

    /// Where metrics are.
    pub fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.admin.address())
    }

    /// Its folder; the data directory is `data` in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its embedded database.
    pub fn sqlite_path(&self) -> PathBuf {
        self.folder.path().join("data").join("nemeses.db")
    }
}

impl Deref for Node {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Node {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// `nemeses parser` or `nemeses dbexport`: a station without a port of its own
/// but for metrics.
#[derive(Debug)]
pub struct Nemeses {
    process: Process,
    admin: Port,
    _folder: TempDir,
}

impl Nemeses {
    /// Starts a worker, for example `("parser", 0, &["--mqtt-url", ..])`.
    ///
    /// # Errors
    /// It does not start.
    pub async fn worker(role: &str, number: u16, args: &[&str]) -> anyhow::Result<Self> {
        let (folder, admin) = (tempfile::tempdir()?, Port::free()?);
        let ready = Ready::HttpOk(format!("http://{}/metrics", admin.address()));
        let spec = spec(&format!("{role}-{number}"), folder.path(), ready)?
            .args([role, "--worker", &number.to_string()])
            .args(["--admin-listen", &admin.address().to_string()])
            .args(args);
        Ok(Self { process: Process::start(spec).await?, admin, _folder: folder })
    }

    /// Where metrics are.
    pub fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.admin.address())
    }
}

impl Deref for Nemeses {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Nemeses {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// `nemeses api`.
#[derive(Debug)]
pub struct Api {
    process: Process,
    http: Port,
    _folder: TempDir,
}

impl Api {
    /// Starts one with these arguments besides its ports.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(args: &[&str]) -> anyhow::Result<Self> {
        let (folder, http, admin) = (tempfile::tempdir()?, Port::free()?, Port::free()?);
        let ready = Ready::HttpOk(format!("http://{}/readyz", http.address()));
        let spec = spec("api", folder.path(), ready)?
            .args(["api", "--http-listen", &http.address().to_string()])
            .args(["--admin-listen", &admin.address().to_string()])
            .args(args);
        Ok(Self { process: Process::start(spec).await?, http, _folder: folder })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.http.address())
    }

    /// All it has logged.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        self.process.log()
    }
}

impl Deref for Api {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Api {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
