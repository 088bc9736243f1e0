//! MariaDB with durable settings. Its data folder is prepared once for a target
//! folder and copied for every server, since preparing takes seconds.

use std::fs::{self, File};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use tempfile::TempDir;

use super::process::touch;
use super::{Process, Ready, Spec, is_root, program, target_folder};
use crate::Port;

/// Database, user and password that every server knows from its start, and a user
/// who may only read.
const INIT_SQL: &str = "\
CREATE DATABASE IF NOT EXISTS nemeses CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'nemeses'@'%' IDENTIFIED BY 'nemeses';
GRANT ALL ON nemeses.* TO 'nemeses'@'%';
CREATE USER IF NOT EXISTS 'looker'@'%' IDENTIFIED BY 'looker';
GRANT SELECT ON nemeses.* TO 'looker'@'%';
";

/// Small files and buffers, so that a start is quick; the log is flushed at
/// every commit, as MariaDB does by default.
const SETTINGS: [&str; 6] = [
    "--innodb-log-file-size=32M",
    "--innodb-buffer-pool-size=128M",
    "--innodb-flush-log-at-trx-commit=1",
    "--performance-schema=off",
    "--skip-name-resolve",
    "--max-connections=100",
];

/// A MariaDB server.
#[derive(Debug)]
pub struct MariaDb {
    process: Process,
    port: Port,
    _folder: TempDir,
}

impl MariaDb {
    /// Starts one with an empty database `nemeses`.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_in(tempfile::tempdir()?).await
    }

    /// Starts one whose data lies in `folder` (for a disk of limited size).
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_in(folder: TempDir) -> anyhow::Result<Self> {
        let (port, data) = (Port::free()?, folder.path().join("data"));
        let template = tokio::task::spawn_blocking(template).await??;
        copy_folder(&template, &data)?;
        let init = folder.path().join("init.sql");
        fs::write(&init, INIT_SQL)?;
        let ready = Ready::MySqlGreets(port.address());
        let spec = Spec::new("mariadb", program("mariadbd"), folder.path(), ready)
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-networking=0"])
            .args([
                option("datadir", &data),
                option("socket", &folder.path().join("s.sock")),
                option("pid-file", &folder.path().join("pid")),
                option("init-file", &init),
                format!("--port={}", port.number()),
            ])
            .args(SETTINGS)
            .args(is_root().then_some("--user=root"))
            .survives_full_disk();
        Ok(Self { process: Process::start(spec).await?, port, _folder: folder })
    }

    /// Where it listens.
    pub const fn port(&self) -> &Port {
        &self.port
    }

    /// For `--database-url`.
    pub fn url(&self) -> String {
        Self::url_at(self.port.number())
    }

    /// The same through a proxy on this port.
    pub fn url_at(port: u16) -> String {
        format!("mysql://nemeses:nemeses@127.0.0.1:{port}/nemeses")
    }
}

impl Deref for MariaDb {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for MariaDb {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn option(name: &str, value: &Path) -> String {
    format!("--{name}={}", value.display())
}

/// The prepared data folder; made by whichever test comes first.
fn template() -> anyhow::Result<PathBuf> {
    let parent = target_folder()?.join("tmp");
    fs::create_dir_all(&parent)?;
    let lock = parent.join("mariadb-template.lock");
    touch(&lock)?;
    let lock = File::open(&lock)?;
    lock.lock()?;
    let template = parent.join(format!("mariadb-template-{}", version()?));
    if !template.exists() {
        // Moved into place when whole, so that a killed test leaves no half of it.
        let unfinished = parent.join("mariadb-template-unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        prepare(&unfinished)?;
        fs::rename(&unfinished, &template)?;
    }
    Ok(template)
}

fn version() -> anyhow::Result<String> {
    let output = Command::new(program("mariadbd"))
        .arg("--version")
        .output()
        .context("running mariadbd; `make setup` installs it")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let word = text.split_whitespace().skip_while(|word| *word != "Ver").nth(1);
    Ok(word.context("mariadbd tells no version")?.to_owned())
}

fn prepare(data: &Path) -> anyhow::Result<()> {
    let output = Command::new(program("mariadb-install-db"))
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
        .args([option("datadir", data), SETTINGS[0].to_owned()])
        // Two at once would meet in the system's folder of temporary files.
        .arg(option("tmpdir", data.parent().unwrap_or(data)))
        .args(is_root().then_some("--user=root"))
        .output()
        .context("running mariadb-install-db; `make setup` installs it")?;
    anyhow::ensure!(
        output.status.success(),
        "mariadb-install-db ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copied = Command::new("cp").args(["-R", "--sparse=always"]).args([from, to]).status()?;
    anyhow::ensure!(copied.success(), "{} could not be copied", from.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, MySqlConnection};

    use super::*;

    #[tokio::test]
    async fn keeps_what_was_committed_before_a_kill() {
        let mut server = MariaDb::start().await.unwrap();
        let mut connection = MySqlConnection::connect(&server.url()).await.unwrap();
        for statement in ["CREATE TABLE t (a INT) ENGINE=InnoDB", "INSERT INTO t VALUES (7)"] {
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
        server.kill().unwrap();
        server.start_again().await.unwrap();
        let mut connection = MySqlConnection::connect(&server.url()).await.unwrap();
        let (found,): (i32,) =
            sqlx::query_as("SELECT a FROM t").fetch_one(&mut connection).await.unwrap();
        assert_eq!(found, 7);
    }
}
