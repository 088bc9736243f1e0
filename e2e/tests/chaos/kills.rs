//! SIGKILL at random moments.

use nemeses_e2e::{Line, Process, Shape};
use rand::seq::SliceRandom as _;

use super::{Scene, TTL, kills};

/// What can be killed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Victim {
    Node,
    Redis,
    Database,
    Parser(usize),
    Exporter(usize),
    Api,
    /// Told to end rather than killed; the module `mosquitto` has its kills.
    Mosquitto,
}

fn process(line: &mut Line, victim: Victim) -> &mut Process {
    match victim {
        Victim::Node => line.node.as_deref_mut(),
        Victim::Redis => line.redis.as_deref_mut(),
        Victim::Database => line.database.as_deref_mut(),
        Victim::Parser(number) => line.parsers.get_mut(number).map(|parser| &mut **parser),
        Victim::Exporter(number) => line.exporters.get_mut(number).map(|exporter| &mut **exporter),
        Victim::Api => line.api.as_deref_mut(),
        Victim::Mosquitto => line.mosquitto.as_deref_mut(),
    }
    .expect("this shape has it")
}

pub(super) async fn strike(line: &mut Line, victim: Victim) {
    println!("killing {victim:?}");
    let process = process(line, victim);
    if matches!(victim, Victim::Mosquitto) {
        process.stop(super::PROGRESS).await.unwrap();
    } else {
        process.kill().unwrap();
    }
    process.start_again().await.unwrap();
}

/// Each of `victims` is killed as often as asked, in random order; judged after
/// every round.
async fn every_acknowledged_frame_survives(shape: Shape, victims: &[Victim]) {
    let mut scene = Scene::begin(Line::start(shape, &TTL).await.unwrap()).await;
    for _ in 0..kills() {
        let mut victims = victims.to_vec();
        victims.shuffle(&mut scene.rng);
        for victim in victims {
            scene.run_on().await;
            strike(&mut scene.line, victim).await;
        }
        scene.judge().await;
    }
    scene.end(&format!("{shape:?}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_node() {
    every_acknowledged_frame_survives(Shape::Embedded, &[Victim::Node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_redis_and_database() {
    let victims = [Victim::Node, Victim::Redis, Victim::Database];
    every_acknowledged_frame_survives(Shape::NodeOnServers, &victims).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_redis_and_mysql() {
    if Shape::NodeOnMySql.is_here() {
        let victims = [Victim::Node, Victim::Redis, Victim::Database];
        every_acknowledged_frame_survives(Shape::NodeOnMySql, &victims).await;
    }
}

const ALL_STATIONS: [Victim; 8] = [
    Victim::Parser(0),
    Victim::Parser(1),
    Victim::Exporter(0),
    Victim::Exporter(1),
    Victim::Api,
    Victim::Redis,
    Victim::Database,
    Victim::Mosquitto,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stations_and_their_servers() {
    every_acknowledged_frame_survives(Shape::Stations, &ALL_STATIONS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stations_and_their_servers_with_mysql() {
    if Shape::StationsOnMySql.is_here() {
        every_acknowledged_frame_survives(Shape::StationsOnMySql, &ALL_STATIONS).await;
    }
}
