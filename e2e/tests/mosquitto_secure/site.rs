//! A broker set up as `docs/mosquitto.md` says, with ports and paths of the test.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use nemeses_e2e::{
    Mosquitto, Mqtt, Port, Process, Ready, Spec, mosquitto_plugins, run_nemeses, workspace,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::front::Front;

const ADMIN: &str = "admin";
const ADMIN_PASSWORD: &str = "of-the-tests";

/// The broker, its logins and the identity store.
pub(crate) struct Site {
    broker: Process,
    pub(crate) plain: Port,
    pub(crate) tls: Port,
    pub(crate) front: Front,
    secrets: BTreeMap<String, String>,
    pub(crate) folder: TempDir,
}

impl Site {
    /// Administrator, logins, file of rights, certificate, broker.
    pub(crate) async fn start(logins: &[(&str, &str)]) -> Self {
        let (folder, plain, tls) =
            (tempfile::tempdir().unwrap(), Port::free().unwrap(), Port::free().unwrap());
        let path = folder.path();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(path.join("server.pem"), made.cert.pem()).unwrap();
        fs::write(path.join("server.key"), made.signing_key.serialize_pem()).unwrap();
        let database = Mosquitto::has_database().unwrap();
        let name = if database { "secure-2.1.conf" } else { "secure.conf" };
        let config = workspace().join("deploy/mosquitto").join(name);
        let config = fs::read_to_string(config).unwrap();
        fs::write(path.join("secure.conf"), placed(&config, path, &plain, &tls)).unwrap();
        let ready = Ready::Accepts(plain.address());
        let spec = Spec::new("mosquitto", program("mosquitto"), path, ready)
            .args(["-c".as_ref(), path.join("secure.conf").as_os_str()]);

        let rights = path.join("dynamic-security.json");
        let mut made_admin = Command::new(program("mosquitto_ctrl"));
        made_admin.args(["dynsec", "init"]).arg(&rights).args([ADMIN, ADMIN_PASSWORD]);
        assert!(made_admin.output().unwrap().status.success());
        let url = database_url(path);
        assert!(run_nemeses(["migrate", "--database-url", &url]).await.unwrap().status.success());
        let mut secrets = BTreeMap::new();
        for (name, role) in logins {
            let added = ["device", "add", name, "--role", role, "--json", "--database-url", &url];
            let secret = secret_in(&run_nemeses(added).await.unwrap());
            secrets.insert((*name).to_owned(), secret);
        }
        assert!(written(&rights, &url).await.status.success());
        assert_eq!(fs::metadata(&rights).unwrap().mode() & 0o777, 0o600);

        let front = Front::open(tls.address(), made.cert.der().clone()).await;
        let broker = Process::start(spec).await.unwrap();
        Self { broker, plain, tls, front, secrets, folder }
    }

    /// Makes a login.
    pub(crate) async fn add(&mut self, name: &str, role: &str) {
        let added = self.run(&["device", "add", name, "--role", role, "--json"]).await;
        self.secrets.insert(name.to_owned(), secret_in(&added));
    }

    /// Draws a new secret.
    pub(crate) async fn rotate(&mut self, name: &str) {
        let rotated = self.run(&["device", "rotate", name, "--json"]).await;
        self.secrets.insert(name.to_owned(), secret_in(&rotated));
    }

    /// The secret of a login.
    pub(crate) fn secret(&self, name: &str) -> String {
        self.secrets[name].clone()
    }

    /// Runs a command on the identity store.
    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        let url = self.database_url();
        run_nemeses([args, &["--database-url", &url]].concat()).await.unwrap()
    }

    /// Runs one that must succeed.
    pub(crate) async fn tool(&self, args: &[&str]) {
        let output = self.run(args).await;
        assert!(output.status.success(), "{args:?}: {output:?}");
    }

    /// `mosquitto-roles --write`.
    pub(crate) async fn write(&self) -> Output {
        written(&self.folder.path().join("dynamic-security.json"), &self.database_url()).await
    }

    /// `mosquitto-roles --apply`.
    pub(crate) async fn apply(&self, args: &[&str]) -> Output {
        let url = format!("mqtt://{ADMIN}:{ADMIN_PASSWORD}@{}", self.plain.address());
        self.apply_at(&url, args).await
    }

    /// The same at this URL.
    pub(crate) async fn apply_at(&self, url: &str, args: &[&str]) -> Output {
        self.run(&[&["mosquitto-roles", "--apply", "--mqtt-url", url], args].concat()).await
    }

    /// For `--mqtt-url` by TLS, whose certificate is for `localhost`.
    pub(crate) fn tls_url_as(&self, name: &str) -> String {
        format!("mqtts://{name}:{}@localhost:{}", self.secrets[name], self.tls.number())
    }

    /// The same as the administrator.
    pub(crate) fn tls_admin_url(&self) -> String {
        format!("mqtts://{ADMIN}:{ADMIN_PASSWORD}@localhost:{}", self.tls.number())
    }

    /// Connects by TLS with this login's secret.
    pub(crate) async fn connect(&self, name: &str) -> anyhow::Result<Mqtt> {
        let client_id = format!("client-of-{name}");
        Mqtt::connect_as(self.front.address(), &client_id, name, &self.secrets[name]).await
    }

    /// For `--mqtt-url` of a worker on this machine.
    pub(crate) fn url_as(&self, name: &str) -> String {
        format!("mqtt://{name}:{}@{}", self.secrets[name], self.plain.address())
    }

    /// For `--database-url`.
    pub(crate) fn database_url(&self) -> String {
        database_url(self.folder.path())
    }

    /// The database's file.
    pub(crate) fn database_path(&self) -> PathBuf {
        self.folder.path().join("nemeses.db")
    }

    /// SIGTERM, and the end.
    pub(crate) async fn stop(&mut self) {
        self.broker.stop(Duration::from_secs(20)).await.unwrap();
    }

    /// Starts the broker again.
    pub(crate) async fn start_again(&mut self) {
        self.broker.start_again().await.unwrap();
    }
}

fn database_url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("nemeses.db").display())
}

async fn written(rights: &Path, database_url: &str) -> Output {
    let rights = rights.to_str().unwrap();
    let args = ["mosquitto-roles", "--write", rights, "--database-url", database_url];
    run_nemeses(args).await.unwrap()
}

fn secret_in(output: &Output) -> String {
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["secret"].as_str().unwrap().to_owned()
}

/// The configuration with our ports and paths in place of its own; what is not
/// found to be replaced fails the test.
fn placed(config: &str, folder: &Path, plain: &Port, tls: &Port) -> String {
    let (folder, plugins) = (folder.display(), mosquitto_plugins().unwrap());
    let replaced = [
        ("\nlistener 8883\n", format!("\nlistener {} 127.0.0.1\n", tls.number())),
        ("\nlistener 1883 127.0.0.1\n", format!("\nlistener {} 127.0.0.1\n", plain.number())),
        ("\nplugin /usr/lib/x86_64-linux-gnu/", format!("\nplugin {}/", plugins.display())),
        ("_file /var/lib/mosquitto/", format!("_file {folder}/")),
        ("_location /var/lib/mosquitto/", format!("_location {folder}/")),
        ("certfile /etc/mosquitto/certs/", format!("certfile {folder}/")),
        ("keyfile /etc/mosquitto/certs/", format!("keyfile {folder}/")),
    ];
    let placed = replaced.iter().fold(config.to_owned(), |text, (theirs, ours)| {
        // Either a file and its location, or two plugins and their files.
        let is_kept = theirs.contains("_file /var")
            || theirs.contains("_location")
            || theirs.contains("plugin");
        let count = text.matches(theirs).count();
        assert!(count == 1 || is_kept && count <= 2, "{theirs:?} {count} times");
        text.replace(theirs, ours)
    });
    if is_root() { format!("user root\n{placed}") } else { placed }
}

/// Mosquitto gives root up, and with it our files, unless told otherwise.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// From the PATH, or from sbin, which a user's PATH may lack.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let mut programs = folders.map(|folder| folder.join(name));
    programs.find(|program| program.is_file()).unwrap_or_else(|| PathBuf::from(name))
}
