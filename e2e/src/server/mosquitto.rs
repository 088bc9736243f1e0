//! Mosquitto with the project's own `mosquitto.conf`, its place and port changed.

use std::fs;
use std::ops::{Deref, DerefMut};

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

impl Mosquitto {
    /// Starts one with `mosquitto.conf` of the workspace.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let path = workspace().join("mosquitto.conf");
        let config = fs::read_to_string(&path)
            .with_context(|| format!("reading {}, which the tests run", path.display()))?;
        let (folder, port) = (tempfile::tempdir()?, Port::free()?);
        let ours = format!(
            "listener {} 127.0.0.1\npersistence_location {}/\nlog_dest stdout\n{}{}",
            port.number(),
            folder.path().display(),
            if is_root() { "user root\n" } else { "" },
            without_places(&config)
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

    /// Where it listens.
    pub const fn port(&self) -> &Port {
        &self.port
    }

    /// For `--mqtt-url`.
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.port.address())
    }
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
