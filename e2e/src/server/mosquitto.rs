//! Mosquitto with the project's own configurations, their places and ports changed.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use tempfile::TempDir;

use super::{Process, Ready, Spec, is_root, program, workspace};
use crate::Port;

/// Settings of the file that name a place or a port: replaced by ours.
const REPLACED: [&str; 7] =
    ["listener", "port", "bind_address", "persistence_location", "log_dest", "pid_file", "user"];

/// A Mosquitto broker.
#[derive(Debug)]
pub struct Mosquitto {
    process: Process,
    port: Port,
    _folder: TempDir,
}

/// Lines of `deploy/mosquitto/secure-2.1.conf` that keep everything in a database.
const DATABASE_LINES: [&str; 3] = ["plugin ", "plugin_opt_flush_period ", "plugin_opt_sync "];

impl Mosquitto {
    /// Starts one with `mosquitto.conf` of the workspace.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let config = without_places(&shipped("mosquitto.conf")?);
        Self::start_with(|folder| format!("persistence_location {folder}/\n{config}")).await
    }

    /// Starts one that keeps sessions and messages in a database, as 2.1 can and
    /// `deploy/mosquitto/secure-2.1.conf` has it.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_with_database() -> anyhow::Result<Self> {
        let secure = shipped("deploy/mosquitto/secure-2.1.conf")?;
        let is_ours = |line: &&str| {
            let wanted = |start: &&str| line.starts_with(*start);
            DATABASE_LINES.iter().any(wanted) && !line.contains("dynamic_security")
        };
        let database: Vec<&str> = secure.lines().filter(is_ours).collect();
        anyhow::ensure!(database.len() == DATABASE_LINES.len(), "{database:?}");
        let database = database.join("\n").replace(PLUGINS, &plugins()?.display().to_string());
        let is_file =
            |line: &&str| !line.starts_with("persistence") && !line.starts_with("autosave");
        let config = shipped("mosquitto.conf")?;
        let config: Vec<&str> = config.lines().filter(is_file).collect();
        let config = without_places(&config.join("\n"));
        let in_folder = |folder: &str| {
            let file = format!("plugin_opt_db_file {folder}/mosquitto.sqlite3");
            format!("{config}{database}\n{file}\n")
        };
        Self::start_with(in_folder).await
    }

    async fn start_with(config_in: impl FnOnce(&str) -> String) -> anyhow::Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, Port::free()?);
        let ours = format!(
            "listener {} 127.0.0.1\nlog_dest stdout\n{}{}",
            port.number(),
            if is_root() { "user root\n" } else { "" },
            config_in(&folder.path().display().to_string())
        );
        let file = folder.path().join("mosquitto.conf");
        fs::write(&file, ours)?;
        let ready = Ready::Accepts(port.address());
        let spec = Spec::new("mosquitto", program("mosquitto"), folder.path(), ready)
            .args(["-c".as_ref(), file.as_os_str()]);
        Ok(Self { process: Process::start(spec).await?, port, _folder: folder })
    }

    /// Starts one as it comes, for clients without a login, with these lines besides.
    ///
    /// # Errors
    /// It does not start.
    pub async fn plain(lines: &str) -> anyhow::Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, Port::free()?);
        let config = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\nlog_dest stdout\n{}{lines}",
            port.number(),
            if is_root() { "user root\n" } else { "" },
        );
        let file = folder.path().join("mosquitto.conf");
        fs::write(&file, config)?;
        let ready = Ready::Accepts(port.address());
        let spec = Spec::new("mosquitto", program("mosquitto"), folder.path(), ready)
            .args(["-c".as_ref(), file.as_os_str()]);
        Ok(Self { process: Process::start(spec).await?, port, _folder: folder })
    }

    /// Whether the one that is run is of version 2.1 or later, which has the database.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn has_database() -> anyhow::Result<bool> {
        let said = Command::new(program("mosquitto")).arg("-h").output()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = said.lines().next().and_then(|line| line.split(' ').nth(2)).unwrap_or("");
        let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
        Ok((numbers.next(), numbers.next()) >= (Some(2), Some(1)))
    }

    /// Where it listens.
    pub const fn port(&self) -> &Port {
        &self.port
    }

    /// For `--mqtt-url`.
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.port.address())
    }
}

/// Where the configurations of `deploy/mosquitto` have plugins, as Debian has them.
const PLUGINS: &str = "/usr/lib/x86_64-linux-gnu";

/// The folder that stands for [`PLUGINS`]: beside the program, which may be unpacked
/// somewhere, or the system's.
///
/// # Errors
/// There is none.
pub fn plugins() -> anyhow::Result<PathBuf> {
    let beside =
        program("mosquitto").parent().and_then(Path::parent).map(|top| top.join("usr/lib"));
    let tops = beside.into_iter().chain([PathBuf::from("/usr/lib")]);
    let folders = tops.filter_map(|top| fs::read_dir(top).ok()).flatten();
    let mut folders = folders.filter_map(|entry| Some(entry.ok()?.path()));
    let found = folders.find(|folder| folder.join("mosquitto_dynamic_security.so").exists());
    found.context("the package mosquitto brings its plugins")
}

fn shipped(name: &str) -> anyhow::Result<String> {
    let path = workspace().join(name);
    fs::read_to_string(&path)
        .with_context(|| format!("reading {}, which the tests run", path.display()))
}

fn without_places(config: &str) -> String {
    config
        .lines()
        .filter(|line| !REPLACED.contains(&line.split_whitespace().next().unwrap_or_default()))
        .fold(String::new(), |text, line| text + line + "\n")
}

impl Deref for Mosquitto {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Mosquitto {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_are_replaced() {
        let config = "# a comment\nlistener 1883 127.0.0.1\nallow_anonymous true\npersistence true\n\
                      persistence_location /var/lib/x\nlog_dest stderr\nlog_type error\n";
        assert_eq!(
            without_places(config),
            "# a comment\nallow_anonymous true\npersistence true\nlog_type error\n"
        );
    }
}
