//! The disk is full: simulated by a limit on the size of a process's files, since
//! a file system of our own would want root.

use std::process::Command;
use std::time::{Duration, Instant};

use nemeses_e2e::{Line, Process, Shape, wait_until};

use super::{PROGRESS, Scene, TTL};

/// No file of the process can grow beyond this; `unlimited` gives it room again.
fn limit_files(process: &Process, bytes: &str) {
    let pid = process.pid().unwrap().to_string();
    let limit = format!("--fsize={bytes}:");
    let status = Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap();
    assert!(status.success(), "prlimit ended with {status}");
}

/// What was under way is acknowledged; then the disk is full and nothing is.
async fn wait_full(scene: &Scene) {
    let mut before = scene.load.acknowledged();
    wait_until(PROGRESS, "nothing more is acknowledged", async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = scene.load.acknowledged();
        std::mem::replace(&mut before, now) == now
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_under_sqlite() {
    let mut scene = Scene::begin(Line::start(Shape::Embedded, &TTL).await.unwrap()).await;
    scene.run_on().await;
    limit_files(scene.line.node.as_ref().unwrap(), "65536");
    wait_full(&scene).await;
    let node = scene.line.node.as_mut().unwrap();
    assert!(node.is_running(), "the node waits for room");
    limit_files(node, "unlimited");
    scene.judge().await;
    scene.end("disk full under SQLite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_under_mariadb() {
    full_under_the_database(Shape::NodeOnServers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_under_mysql() {
    if Shape::NodeOnMySql.is_here() {
        full_under_the_database(Shape::NodeOnMySql).await;
    }
}

async fn full_under_the_database(shape: Shape) {
    let mut scene = Scene::begin(Line::start(shape, &TTL).await.unwrap()).await;
    scene.run_on().await;
    limit_files(scene.line.database.as_ref().unwrap(), "1048576");
    wait_full(&scene).await;
    let (node, database) =
        (scene.line.node.as_mut().unwrap(), scene.line.database.as_mut().unwrap());
    assert!(node.is_running(), "the node waits for room");
    println!("the database without room still runs: {}", database.is_running());
    if database.is_running() {
        limit_files(database, "unlimited");
    }
    // MariaDB may end itself for want of room a moment after it has some again.
    let before = scene.load.acknowledged();
    let deadline = Instant::now() + PROGRESS;
    while scene.load.acknowledged() == before && Instant::now() < deadline {
        let database = scene.line.database.as_mut().unwrap();
        if !database.is_running() {
            database.start_again().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    scene.judge().await;
    scene.end(&format!("disk full: {shape:?}")).await;
}
