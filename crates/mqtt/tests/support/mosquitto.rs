//! A Mosquitto under the project's own configuration, in a folder of its own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

/// Runs until it is dropped.
pub(crate) struct Mosquitto {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Mosquitto {
    /// Starts with `mosquitto.conf`.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts with `mosquitto.conf` and further lines.
    pub(crate) async fn start_with(further: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        std::fs::write(folder.path().join("m.conf"), configuration(folder.path(), port, further))
            .expect("the configuration");
        let mut server = Self { folder, port, child: None };
        server.run().await;
        server
    }

    /// `mqtt://127.0.0.1:port`.
    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts a stopped server again, on the same port and folder.
    pub(crate) async fn run(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let child = Command::new("mosquitto")
            .arg("-c")
            .arg(self.folder.path().join("m.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed");
        self.child = Some(child);
        super::within("mosquitto answers", async {
            while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Deletes what a stopped server saved.
    pub(crate) fn forget(&self) {
        assert!(self.child.is_none(), "it runs");
        std::fs::remove_file(self.folder.path().join("mosquitto.db")).expect("it saved");
    }

    /// SIGTERM: it saves and ends.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let asked = Command::new("kill").arg(child.id().to_string()).status();
            if !asked.is_ok_and(|status| status.success()) {
                child.kill().expect("a child of ours");
            }
            child.wait().expect("a child of ours");
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Nothing of it is needed any more; a failed kill means that it has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The project's configuration with another listener.
fn configuration(folder: &Path, port: u16, further: &str) -> String {
    // Of the crate at hand, which is at the root or below crates/.
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let read = |folder: &Path| std::fs::read_to_string(folder.join("mosquitto.conf")).ok();
    let text = folders.find_map(read).expect("mosquitto.conf");
    let listener = "listener 1883 127.0.0.1";
    assert_eq!(text.matches(&format!("\n{listener}\n")).count(), 1, "one listener line");
    let text = text.replace(listener, &format!("listener {port} 127.0.0.1"));
    // Started by root it would give its rights up for a user who may not write here.
    format!("{text}\nuser root\npersistence_location {}/\n{further}\n", folder.display())
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
