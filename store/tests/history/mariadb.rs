//! The cases on MariaDB: one server for all of them, a database for each.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use sqlx::{AssertSqlSafe, Connection as _};
use tempfile::TempDir;

use crate::site::{Product, Site};
use crate::suite;

/// How long a server may take to start on a busy machine.
const START_DEADLINE: Duration = Duration::from_secs(90);

/// A running server; ends with the value.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
    _folder: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With further options.
    pub(crate) async fn start_with(options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data");
        install(&data, folder.path());
        let port = free_port();
        let process = Command::new("mariadbd")
            .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1"])
            .args(["--skip-log-bin", "--innodb-buffer-pool-size=64M"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", folder.path().join("s.sock").display()))
            .arg(format!("--pid-file={}", folder.path().join("pid").display()))
            .arg(format!("--port={port}"))
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mariadbd is installed");
        let server = Self { process, port, _folder: folder };
        server.wait().await;
        server
    }

    async fn wait(&self) {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            match sqlx::MySqlConnection::connect(&self.url("mysql")).await {
                Ok(connection) => return connection.close().await.unwrap(),
                Err(error) => {
                    assert!(Instant::now() < deadline, "mariadbd does not answer: {error}");
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    /// A fresh database of this name.
    pub(crate) async fn site(&self, name: &str) -> Site {
        let mut connection = sqlx::MySqlConnection::connect(&self.url("mysql")).await.unwrap();
        let create = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        Site::empty(Product::MariaDb, self.url(name)).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone is what we want.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two at once would meet in the system's folder of temporary files.
fn install(data: &Path, temporary: &Path) {
    let done = Command::new("mariadb-install-db")
        .args(["--no-defaults", "--user=root", "--skip-test-db"])
        .arg("--auth-root-authentication-method=normal")
        .arg(format!("--datadir={}", data.display()))
        .arg(format!("--tmpdir={}", temporary.display()))
        .output()
        .expect("mariadb-install-db is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        /// Runs every case, also after one has failed, and names those that did.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn all_cases() {
            let server = Server::start().await;
            let mut failed = Vec::new();
            $(
                let site = server.site(stringify!($case)).await;
                let outcome = std::panic::AssertUnwindSafe(suite::$case(site)).catch_unwind().await;
                println!("{}: {}", stringify!($case), if outcome.is_ok() { "ok" } else { "FAILED" });
                if outcome.is_err() {
                    failed.push(stringify!($case));
                }
            )*
            failed.extend(Box::pin(crate::proxy::failed_cases(&server)).await);
            assert!(failed.is_empty(), "failed on MariaDB: {failed:?}");
        }
    };
}

suite::all_cases!(cases);
