//! MariaDB and MySQL with durable settings. A data folder is prepared once for a target
//! folder and copied for every server, since preparing takes seconds.

use std::fs::{self, File};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use tempfile::TempDir;

use super::process::{complain, touch};
use super::{Process, Ready, Spec, is_root, program, target_folder};
use crate::Port;

/// Database, user and password that every server knows from its start, a user who may
/// only read, and the one who may do everything over TCP as well.
const INIT_SQL: &str = "\
CREATE DATABASE IF NOT EXISTS nemeses CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'nemeses'@'%' IDENTIFIED BY 'nemeses';
GRANT ALL ON nemeses.* TO 'nemeses'@'%';
CREATE USER IF NOT EXISTS 'looker'@'%' IDENTIFIED BY 'looker';
GRANT SELECT ON nemeses.* TO 'looker'@'%';
CREATE USER IF NOT EXISTS 'root'@'127.0.0.1';
GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
";

/// Small buffers, so that a start is quick; the log is flushed at every commit, as both do
/// by default.
const SETTINGS: [&str; 6] = [
    "--bind-address=127.0.0.1",
    "--innodb-buffer-pool-size=128M",
    "--innodb-flush-log-at-trx-commit=1",
    "--performance-schema=off",
    "--skip-name-resolve",
    "--max-connections=100",
];
const MARIADB_SETTINGS: [&str; 2] = ["--innodb-log-file-size=32M", "--skip-networking=0"];
/// What careful operators set, and a time zone that is not UTC: the line works with it all.
const MYSQL_SETTINGS: [&str; 10] = [
    "--innodb-redo-log-capacity=64M",
    "--mysqlx=off",
    "--secure-file-priv=NULL",
    "--default-time-zone=+05:30",
    "--sql-require-primary-key=on",
    "--gtid-mode=on",
    "--enforce-gtid-consistency=on",
    "--log-bin=binlog",
    // Tests make triggers, which a binary log allows to administrators only.
    "--log-bin-trust-function-creators=on",
    "--sync-binlog=1",
];

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brand {
    /// As the system has it.
    MariaDb,
    /// As `make setup` unpacks it into the target folder.
    MySql,
}

impl Brand {
    /// Whether it can be started here. Says so aloud where it cannot: that is a part of
    /// the tests which does not run.
    pub fn is_here(self) -> bool {
        if self == Self::MariaDb || unpacked().is_ok_and(|folder| folder.join("ASKED").is_file()) {
            return true;
        }
        complain("SKIPPED: there is no MySQL in the target folder; `make setup` says why");
        false
    }

    const fn name(self) -> &'static str {
        match self {
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
        }
    }

    fn program(self) -> anyhow::Result<PathBuf> {
        Ok(match self {
            Self::MariaDb => program("mariadbd"),
            Self::MySql => unpacked()?.join("bin/mysqld"),
        })
    }

    /// What its programs want to be told always.
    fn options(self) -> anyhow::Result<Vec<String>> {
        let mut options = vec!["--no-defaults".to_owned()];
        match self {
            Self::MariaDb => options.extend(MARIADB_SETTINGS.map(str::to_owned)),
            Self::MySql => {
                let usr = unpacked()?.join("usr");
                options.push(option("basedir", &usr));
                options.push(option("lc-messages-dir", &usr.join("share/mysql")));
                options.push(option("character-sets-dir", &usr.join("share/mysql/charsets")));
                options.push(option("plugin-dir", &usr.join("lib/mysql/plugin")));
                options.extend(MYSQL_SETTINGS.map(str::to_owned));
            }
        }
        options.extend(is_root().then(|| "--user=root".to_owned()));
        Ok(options)
    }

    fn version(self) -> anyhow::Result<String> {
        let output = Command::new(self.program()?)
            .arg("--version")
            .output()
            .with_context(|| format!("running {}; `make setup` brings it", self.name()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let word = text.split_whitespace().skip_while(|word| *word != "Ver").nth(1);
        Ok(word.context("the server tells no version")?.to_owned())
    }

    fn prepare(self, data: &Path) -> anyhow::Result<()> {
        let mut command = match self {
            Self::MariaDb => {
                let mut command = Command::new(program("mariadb-install-db"));
                command
                    .args(["--no-defaults", "--auth-root-authentication-method=normal"])
                    .args(["--skip-test-db", MARIADB_SETTINGS[0]])
                    // Two at once would meet in the system's folder of temporary files.
                    .arg(option("tmpdir", data.parent().unwrap_or(data)))
                    .args(is_root().then_some("--user=root"));
                command
            }
            Self::MySql => {
                let mut command = Command::new(self.program()?);
                command.args(self.options()?).arg("--initialize-insecure");
                command
            }
        };
        let output = command.arg(option("datadir", data)).output();
        let output = output.context("preparing a data folder; `make setup` brings the server")?;
        anyhow::ensure!(
            output.status.success(),
            "preparing a data folder of {} ended with {}: {}",
            self.name(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

/// Where `tools/setup.sh` unpacks MySQL.
fn unpacked() -> anyhow::Result<PathBuf> {
    Ok(target_folder()?.join("engines/mysql"))
}

/// A server of either brand.
#[derive(Debug)]
pub struct SqlServer {
    process: Process,
    port: Port,
    _folder: TempDir,
}

impl SqlServer {
    /// Starts one with an empty database `nemeses`.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(brand: Brand) -> anyhow::Result<Self> {
        Self::start_with(brand, &[]).await
    }

    /// With further options of its own.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_with(brand: Brand, options: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (port, data) = (Port::free()?, folder.path().join("data"));
        let template = tokio::task::spawn_blocking(move || template(brand)).await??;
        copy_folder(&template, &data)?;
        let init = folder.path().join("init.sql");
        fs::write(&init, INIT_SQL)?;
        let ready = Ready::MySqlGreets(port.address());
        let spec = Spec::new(brand.name(), brand.program()?, folder.path(), ready)
            .args(brand.options()?)
            .args([
                option("datadir", &data),
                // A server that starts removes temporary tables there, those of others too.
                option("tmpdir", folder.path()),
                option("socket", &folder.path().join("s.sock")),
                option("pid-file", &folder.path().join("pid")),
                option("init-file", &init),
                format!("--port={}", port.number()),
            ])
            .args(SETTINGS)
            .args(options)
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

impl Deref for SqlServer {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for SqlServer {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn option(name: &str, value: &Path) -> String {
    format!("--{name}={}", value.display())
}

/// The prepared data folder; made by whichever test comes first.
fn template(brand: Brand) -> anyhow::Result<PathBuf> {
    let parent = target_folder()?.join("tmp");
    fs::create_dir_all(&parent)?;
    let name = brand.name();
    let lock = parent.join(format!("{name}-template.lock"));
    touch(&lock)?;
    let lock = File::open(&lock)?;
    lock.lock()?;
    let template = parent.join(format!("{name}-template-{}", brand.version()?));
    if !template.exists() {
        // Moved into place when whole, so that a killed test leaves no half of it.
        let unfinished = parent.join(format!("{name}-template-unfinished"));
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        brand.prepare(&unfinished)?;
        fs::rename(&unfinished, &template)?;
    }
    Ok(template)
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

    async fn keeps_what_was_committed_before_a_kill(brand: Brand) {
        let mut server = SqlServer::start(brand).await.unwrap();
        let mut connection = MySqlConnection::connect(&server.url()).await.unwrap();
        for statement in
            ["CREATE TABLE t (a INT PRIMARY KEY) ENGINE=InnoDB", "INSERT INTO t VALUES (7)"]
        {
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
        server.kill().unwrap();
        server.start_again().await.unwrap();
        let mut connection = MySqlConnection::connect(&server.url()).await.unwrap();
        let (found,): (i32,) =
            sqlx::query_as("SELECT a FROM t").fetch_one(&mut connection).await.unwrap();
        assert_eq!(found, 7);
    }

    #[tokio::test]
    async fn mariadb_keeps_what_was_committed_before_a_kill() {
        keeps_what_was_committed_before_a_kill(Brand::MariaDb).await;
    }

    #[tokio::test]
    async fn mysql_keeps_what_was_committed_before_a_kill() {
        if Brand::MySql.is_here() {
            keeps_what_was_committed_before_a_kill(Brand::MySql).await;
        }
    }
}
