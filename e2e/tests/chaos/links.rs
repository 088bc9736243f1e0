//! The links between the parts are cut, half closed, silent, slow, refused.

use std::time::Duration;

use nemeses_e2e::{Brand, Line, Link, Mosquitto, Proxy, Redis, RedisMemory, SqlServer};

use super::{Scene, TTL, kills};

/// Longer than a station waits for an answer that does not come.
const FOR_A_WHILE: Duration = Duration::from_secs(4);

async fn break_in_every_way(scene: &mut Scene, name: &str, link: &Proxy) {
    for round in 0..kills().div_ceil(2) {
        println!("breaking the link to {name}, round {round}");
        scene.run_on().await;
        link.cut();
        scene.run_on().await;
        link.half_close();
        for broken in [Link::Silent, Link::Slow(Duration::from_millis(20)), Link::Refused] {
            scene.run_on().await;
            link.set(broken).await.unwrap();
            tokio::time::sleep(FOR_A_WHILE).await;
            link.set(Link::Open).await.unwrap();
        }
    }
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_node() {
    links_of_a_node(Brand::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_node_on_mysql() {
    if Brand::MySql.is_here() {
        links_of_a_node(Brand::MySql).await;
    }
}

async fn links_of_a_node(brand: Brand) {
    let (redis, database) =
        tokio::try_join!(Redis::start(RedisMemory::Lost), SqlServer::start(brand)).unwrap();
    let to_redis = Proxy::start(redis.port().address()).await.unwrap();
    let to_database = Proxy::start(database.port().address()).await.unwrap();
    let redis_url = format!("redis://{}/0", to_redis.port().address());
    let database_url = SqlServer::url_at(to_database.port().number());
    let line = Line::node_on(redis, database, &redis_url, &database_url, &TTL).await.unwrap();
    let mut scene = Scene::begin(line).await;
    break_in_every_way(&mut scene, "Redis", &to_redis).await;
    break_in_every_way(&mut scene, "the database", &to_database).await;
    scene.end(&format!("links of a node on {brand:?}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_stations() {
    let (mosquitto, redis, database) = tokio::try_join!(
        Mosquitto::start(),
        Redis::start(RedisMemory::Lost),
        SqlServer::start(Brand::MariaDb)
    )
    .unwrap();
    let to_mosquitto = Proxy::start(mosquitto.port().address()).await.unwrap();
    let to_redis = Proxy::start(redis.port().address()).await.unwrap();
    let to_database = Proxy::start(database.port().address()).await.unwrap();
    let mqtt_url = format!("mqtt://{}", to_mosquitto.port().address());
    let redis_url = format!("redis://{}/0", to_redis.port().address());
    let database_url = SqlServer::url_at(to_database.port().number());
    let urls = (&*mqtt_url, &*redis_url, &*database_url);
    let line = Line::stations_on(mosquitto, redis, database, urls, 2, &TTL).await.unwrap();
    let mut scene = Scene::begin(line).await;
    break_in_every_way(&mut scene, "Mosquitto", &to_mosquitto).await;
    break_in_every_way(&mut scene, "Redis", &to_redis).await;
    break_in_every_way(&mut scene, "the database", &to_database).await;
    scene.end("links of stations").await;
}
