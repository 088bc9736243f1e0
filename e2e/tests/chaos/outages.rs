//! The stores are away for a long time: the door takes no more frames than it
//! may hold, answers pings, and keeps its connections.

use nemeses_e2e::{Line, Shape, wait_until};

use super::{LIVE_AGAIN, PROGRESS, Scene, TTL, outage};

/// Which stores are away.
#[derive(Clone, Copy, Debug)]
struct Away {
    redis: bool,
    database: bool,
}

async fn nothing_is_lost_while(shape: Shape, away: Away) {
    let mut scene = Scene::begin(Line::start(shape, &TTL).await.unwrap()).await;
    scene.run_on().await;
    let (redis, database) =
        (scene.line.redis.as_mut().unwrap(), scene.line.database.as_mut().unwrap());
    if away.redis {
        redis.kill().unwrap();
    }
    if away.database {
        database.kill().unwrap();
    }
    let (lost, acknowledged) = (scene.load.lost_connections(), scene.load.acknowledged());
    tokio::time::sleep(outage()).await;
    let replies = scene.load.ping_replies();
    wait_until(LIVE_AGAIN, "pings are answered", async || scene.load.ping_replies() > replies + 10)
        .await
        .unwrap();
    assert_eq!(scene.load.lost_connections(), lost, "no connection was given up");
    if away.database {
        let window = 1000 * 10;
        let more = scene.load.acknowledged() - acknowledged;
        assert!(more <= window, "{more} acknowledged without a database to keep them");
    } else {
        scene.load.wait_acknowledged(1000, PROGRESS).await.unwrap();
    }
    let (redis, database) =
        (scene.line.redis.as_mut().unwrap(), scene.line.database.as_mut().unwrap());
    if away.database {
        database.start_again().await.unwrap();
    }
    if away.redis {
        redis.start_again().await.unwrap();
    }
    scene.judge().await;
    scene.end(&format!("{away:?}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_database() {
    nothing_is_lost_while(Shape::NodeOnServers, Away { redis: false, database: true }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_mysql() {
    if Shape::NodeOnMySql.is_here() {
        let away = Away { redis: false, database: true };
        nothing_is_lost_while(Shape::NodeOnMySql, away).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_redis() {
    nothing_is_lost_while(Shape::NodeOnServers, Away { redis: true, database: false }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_both() {
    nothing_is_lost_while(Shape::NodeOnServers, Away { redis: true, database: true }).await;
}
