//! A login's row is what Mosquitto's dynamic-security plugin reads: a broker with
//! nothing but that row lets the secret in and no other.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nemeses_store::history::{Login, LoginRole};

use crate::sqlite::empty_site;

/// Where distributions put the plugin.
const PLUGIN: &str = "mosquitto_dynamic_security.so";
const LIBRARIES: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
];
const START_DEADLINE: Duration = Duration::from_secs(20);

struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        // Already gone is what we want.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn plugin() -> PathBuf {
    LIBRARIES
        .iter()
        .map(|folder| Path::new(folder).join(PLUGIN))
        .find(|path| path.exists())
        .expect("Mosquitto's dynamic-security plugin is installed")
}

fn start(folder: &Path, login: &Login) -> (Broker, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let roles = folder.join("dynamic-security.json");
    let secret = &login.secret;
    let client = serde_json::json!({
        "username": login.name,
        "salt": secret.salt,
        "iterations": secret.iterations,
        "password": secret.hash,
    });
    let access = serde_json::json!({ "publishClientSend": true });
    let content = serde_json::json!({ "defaultACLAccess": access, "clients": [client] });
    std::fs::write(&roles, content.to_string()).unwrap();
    let configuration = format!(
        "listener {port} 127.0.0.1\nuser root\nallow_anonymous false\nplugin {}\n\
         plugin_opt_config_file {}\n",
        plugin().display(),
        roles.display(),
    );
    let path = folder.join("mosquitto.conf");
    std::fs::write(&path, configuration).unwrap();
    let process = Command::new("mosquitto")
        .arg("-c")
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto is installed");
    (Broker(process), port)
}

/// Whether the broker takes a message under this password.
fn admitted(port: u16, name: &str, secret: &str) -> bool {
    Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-u", name, "-P", secret])
        .args(["-q", "1", "-t", "/messenger", "-m", "x"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("mosquitto_pub is installed")
        .success()
}

#[tokio::test]
async fn a_login_is_read_by_dynamic_security() {
    let (folder, site) = empty_site().await;
    let site = site.migrated().await;
    let logins = site.database.logins();
    let old = logins.add("gate-1", LoginRole::Gateway, 1).await.unwrap();
    let secret = logins.rotate("gate-1", None, 2).await.unwrap().unwrap();
    let login = logins.find("gate-1").await.unwrap().unwrap();

    let (_broker, port) = start(folder.path(), &login);
    let deadline = Instant::now() + START_DEADLINE;
    while !admitted(port, "gate-1", secret.reveal()) {
        assert!(Instant::now() < deadline, "the secret is not let in");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!admitted(port, "gate-1", old.reveal()));
    assert!(!admitted(port, "gate-1", ""));
    assert!(!admitted(port, "gate-2", secret.reveal()));
}
