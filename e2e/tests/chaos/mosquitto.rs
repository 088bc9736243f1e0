//! Mosquitto forgets: the shared subscriptions at every restart, and with a SIGKILL
//! what it acknowledged since its last save. The shadow subscription of parser 0 has
//! both (docs/decisions/0039-shadow-subscription.md). Nothing keeps the devices out
//! until workers are back.

use nemeses_e2e::{
    Brand, Line, Mosquitto, Redis, RedisMemory, SOON, Shape, Signal, SqlServer, expect_log,
    wait_for,
};

use super::{PROGRESS, SETTLE, Scene, TTL, kills};

/// Devices are back before any worker: the parsers stand still until thousands of
/// frames were acknowledged by a broker that knows of no shared subscription.
async fn restarts_with_devices_first(scene: &mut Scene) {
    for _ in 0..kills() {
        scene.run_on().await;
        for parser in &scene.line.parsers {
            parser.signal(Signal::Stop).unwrap();
        }
        let mosquitto = scene.line.mosquitto.as_mut().unwrap();
        mosquitto.stop(PROGRESS).await.unwrap();
        mosquitto.start_again().await.unwrap();
        scene.run_on().await;
        for parser in &scene.line.parsers {
            parser.signal(Signal::Cont).unwrap();
        }
        scene.judge().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_nothing_though_devices_come_first() {
    let mut scene = Scene::begin(Line::start(Shape::Stations, &TTL).await.unwrap()).await;
    restarts_with_devices_first(&mut scene).await;
    scene.end("restarts of Mosquitto, devices first").await;
}

/// The database is away, so that all waits in Mosquitto: frames on their way to
/// parsers, batches on `/DB`. What it had not saved, parser 0 was sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_loses_nothing_that_parser_0_was_sent() {
    // What it had not saved yet may be a session.
    expect_log(&["the broker has lost our session"]);
    let mut scene = Scene::begin(Line::start(Shape::Stations, &TTL).await.unwrap()).await;
    for _ in 0..kills() {
        scene.line.database.as_mut().unwrap().kill().unwrap();
        scene.run_on().await;
        let mosquitto = scene.line.mosquitto.as_mut().unwrap();
        mosquitto.kill().unwrap();
        mosquitto.start_again().await.unwrap();
        scene.load.wait_acknowledged(1000, PROGRESS).await.unwrap();
        scene.line.database.as_mut().unwrap().start_again().await.unwrap();
        scene.judge().await;
    }
    scene.end("SIGKILL of Mosquitto").await;
}

/// 2.1's database forgets no subscription, so no shadow is needed; a SIGKILL costs at
/// most its flush period, which is shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_database_nothing_is_forgotten() {
    if !Mosquitto::has_database().unwrap() {
        println!("SKIPPED: this Mosquitto is older than 2.1; make engines runs one that is not");
        return;
    }
    let (mosquitto, redis, mariadb) = tokio::try_join!(
        Mosquitto::start_with_database(),
        Redis::start(RedisMemory::Lost),
        SqlServer::start(Brand::MariaDb)
    )
    .unwrap();
    let urls = (mosquitto.url(), redis.url(), mariadb.url());
    let urls = (&*urls.0, &*urls.1, &*urls.2);
    let args = [&TTL[..], &["--shadow", "off"]].concat();
    let line = Line::stations_on(mosquitto, redis, mariadb, urls, 2, &args).await.unwrap();
    let mut scene = Scene::begin(line).await;
    restarts_with_devices_first(&mut scene).await;
    scene.run_on().await;
    let mosquitto = scene.line.mosquitto.as_mut().unwrap();
    mosquitto.kill().unwrap();
    mosquitto.start_again().await.unwrap();
    scene.load.wait_acknowledged(1000, PROGRESS).await.unwrap();
    scene.load.settle(SETTLE).await.unwrap();
    let mut lost = 0;
    let all = wait_for(SOON, "every acknowledged frame is a row", async || {
        let rows = scene.line.tables().positions().await?;
        let letters = scene.line.tables().dead_letter_bytes().await?;
        let verdict = scene.load.ledger(|ledger| ledger.judge(&rows, &letters));
        assert!(verdict.doubled.is_empty() && verdict.invented.is_empty(), "{verdict:?}");
        lost = verdict.lost.len();
        anyhow::ensure!(lost == 0, "{lost} are missing");
        Ok(())
    });
    let said = if all.await.is_ok() { "none" } else { "some" };
    println!("SIGKILL of Mosquitto with a database: {said} lost ({lost})");
}
