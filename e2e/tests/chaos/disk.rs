//! The disk is full: simulated by a limit on the size of the node's files, since
//! a file system of our own would want root.

use std::process::Command;
use std::time::Duration;

use nemeses_e2e::{Line, Node, Shape, wait_until};

use super::{PROGRESS, Scene, TTL};

fn limit_files(node: &Node, bytes: &str) {
    let pid = node.pid().unwrap().to_string();
    let limit = format!("--fsize={bytes}:");
    let status = Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap();
    assert!(status.success(), "prlimit ended with {status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_under_sqlite() {
    let mut scene = Scene::begin(Line::start(Shape::Embedded, &TTL).await.unwrap()).await;
    scene.run_on().await;
    let node = scene.line.node.as_ref().unwrap();
    limit_files(node, "65536");
    // What was under way is acknowledged; then the disk is full and nothing is.
    let mut before = scene.load.acknowledged();
    wait_until(PROGRESS, "nothing more is acknowledged", async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = scene.load.acknowledged();
        std::mem::replace(&mut before, now) == now
    })
    .await
    .unwrap();
    limit_files(scene.line.node.as_ref().unwrap(), "unlimited");
    assert!(scene.line.node.as_mut().unwrap().is_running(), "the node waits for space");
    scene.judge().await;
    scene.end("disk full").await;
}
