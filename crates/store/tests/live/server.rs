//! A real redis-server on a free port in a temporary folder, which tests kill,
//! stop, continue and start again. It ends with its value.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Redis {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
    arguments: Vec<String>,
    process: Child,
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn launch(folder: &Path, arguments: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::start_with(|_, port| vec!["--port".to_owned(), port.to_string()])
    }

    /// `arguments` of a folder and a port. Another port is drawn if someone took it meanwhile.
    pub(crate) fn start_with(arguments: impl Fn(&Path, u16) -> Vec<String>) -> Self {
        let begun = Instant::now();
        loop {
            let folder = tempfile::tempdir().unwrap();
            let port = free_port();
            let arguments = arguments(folder.path(), port);
            let process = launch(folder.path(), &arguments);
            let mut redis = Self { folder, port, arguments, process };
            if redis.comes_up() {
                return redis;
            }
            assert!(begun.elapsed() < DEADLINE, "no redis-server came up");
        }
    }

    fn comes_up(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// The same server again, with what its folder holds.
    pub(crate) fn start_again(&mut self) {
        self.process = launch(self.folder.path(), &self.arguments);
        assert!(self.comes_up(), "redis-server did not come back");
    }

    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill").args([name, &self.process.id().to_string()]).status();
        assert!(done.unwrap().success());
    }

    /// What an operator would type.
    pub(crate) fn command(&self, words: &[&str]) -> redis::Value {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut connection).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}
