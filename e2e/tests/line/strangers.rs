//! What strangers and accidents may not do to a running node: fill its memory by wrong
//! logins, read its files, hold up its health, or keep it from ending.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use nemeses_e2e::{Node, Port, SOON, expect_log, nemeses_binary, wait_for};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// A process asked to end is gone within this.
const END: Duration = Duration::from_secs(15);

#[tokio::test]
async fn wrong_logins_do_not_fill_the_memory() {
    expect_log(&["there is no account yet"]);
    let node = Node::start(&["--trusted-proxies", "127.0.0.1"]).await.unwrap();
    let client = reqwest::Client::new();
    let url = format!("{}/login", node.api_url());
    let try_to = async |n: u32| {
        let wrong = json!({"email": format!("nobody{n}@example.org"), "password": "wrong"});
        // Each from an address of its own, or they would be slowed.
        let from = format!("198.51.{}.{}", n / 250, n % 250);
        let request = client.post(&url).header("X-Forwarded-For", from).json(&wrong);
        request.send().await.unwrap().status().as_u16()
    };
    let before_kib = node.memory_kib().unwrap();
    for round in 0..5 {
        let tries = (0..20).map(|n| try_to(round * 20 + n));
        let statuses = futures_util::future::join_all(tries).await;
        assert!(statuses.iter().all(|status| [401, 503].contains(status)), "{statuses:?}");
    }
    let grown_kib = node.memory_kib().unwrap().saturating_sub(before_kib);
    // A hash fills 19 MiB; at most four run at a time, and one set of blocks is kept.
    assert!(grown_kib < 64 * 1024, "100 wrong logins took {} MiB", grown_kib / 1024);
}

#[tokio::test]
async fn the_data_is_for_its_owner_alone() {
    expect_log(&["it is for its owner alone now"]);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // As `mkdir` makes it, with a file as an older version left it.
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let node = Node::start_in(folder, &[]).await.unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let mut files = 0;
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert!(files >= 3, "{files}");
    assert!(node.log().unwrap().contains("for its owner alone now"));
}

#[tokio::test]
async fn half_open_requests_hold_up_neither_health_nor_readiness() {
    let node = Node::start(&[]).await.unwrap();
    let http = node.api_url().replace("http://", "");
    let mut half_open = Vec::new();
    for _ in 0..600 {
        let mut stream = TcpStream::connect(&http).await.unwrap();
        let _closed_for_another = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: ").await;
        half_open.push(stream);
    }
    let admin = node.metrics_url().replace("/metrics", "");
    for base in [node.api_url(), admin] {
        for path in ["/healthz", "/readyz"] {
            // Before the deadline of the half-open ones (15 s) makes room.
            let client = reqwest::Client::builder().timeout(Duration::from_secs(10));
            let answer = client.build().unwrap().get(format!("{base}{path}")).send().await;
            assert_eq!(answer.unwrap().status(), 200, "{base}{path}");
        }
    }
}

/// The reader of its log has gone (a terminal, a collector): a line that cannot be
/// written keeps nothing from ending.
#[tokio::test]
async fn a_node_whose_log_nobody_reads_ends_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (mqtt, http) = (Port::free().unwrap(), Port::free().unwrap());
    let mut child = Command::new(nemeses_binary().unwrap())
        .args(["up", "--admin-listen", "off", "--data-dir"])
        .arg(folder.path().join("data"))
        .args(["--mqtt-listen", &mqtt.address().to_string()])
        .args(["--http-listen", &http.address().to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ready = format!("http://{}/readyz", http.address());
    let answered = wait_for(SOON, "it is ready", async || {
        Ok(reqwest::get(&ready).await?.error_for_status()?)
    });
    let answered = answered.await;
    drop((child.stdout.take(), child.stderr.take()));
    let pid = child.id().to_string();
    let ended = async {
        answered?;
        anyhow::ensure!(Command::new("kill").args(["-TERM", &pid]).status()?.success());
        wait_for(END, "it ends", async || {
            child.try_wait()?.ok_or_else(|| anyhow::anyhow!("it still runs"))
        })
        .await
    };
    let ended = ended.await;
    let _gone_already = child.kill();
    assert!(ended.unwrap().success());
}
