//! Several of a kind share the work: workers on one broker, nodes on one Redis
//! and one database.

use std::time::Duration;

use nemeses_e2e::frames::{bytes, key, live, now_s, ping};
use nemeses_e2e::{Line, Mqtt, Node, SOON, Shape, Signal, User, run_nemeses, wait_for};
use nemeses_protocol::DeviceId;

#[tokio::test]
async fn two_parsers_and_two_exporters_share_ten_thousand_frames() {
    let line = Line::start(Shape::Stations, &[]).await.unwrap();
    let now = now_s();
    let frames: Vec<_> = (0..10_000)
        .map(|n| live(DeviceId::new(0x0066_0000 + n % 100), now - 1000 + n / 100, n))
        .collect();
    let messages: Vec<Vec<u8>> = frames.iter().map(bytes).collect();
    let mut gateway = line.device("gateway").await.unwrap();
    gateway.publish_all("/messenger", messages.iter().map(Vec::as_slice), 500).await.unwrap();

    line.wait_rows(frames.len()).await.unwrap();
    let mut rows = line.tables().positions().await.unwrap();
    rows.sort_unstable();
    let mut expected: Vec<_> = frames.iter().map(key).collect();
    expected.sort_unstable();
    assert_eq!(rows, expected, "none lost, none doubled");
    let workers = line.tables().workers().await.unwrap();
    for worker in ["parser-0", "parser-1", "dbexport-0", "dbexport-1"] {
        assert!(workers.iter().any(|name| name == worker), "{worker} had no share: {workers:?}");
    }
    line.audit().await.unwrap();
}

#[tokio::test]
async fn a_parser_that_leaves_for_good_takes_no_frames_with_it() {
    let mut line = Line::start(Shape::Stations, &[]).await.unwrap();
    let mut gateway = line.device("gateway").await.unwrap();
    let frames: Vec<Vec<u8>> =
        (0..2000).map(|n| bytes(&live(DeviceId::new(0x0077_0000 + n % 10), now_s(), n))).collect();
    let (first, second) = frames.split_at(1000);
    // It is killed while frames wait for it, so its session holds some.
    line.parsers[1].signal(Signal::Stop).unwrap();
    gateway.publish_all("/messenger", first.iter().map(Vec::as_slice), 100).await.unwrap();
    line.parsers[1].kill().unwrap();
    let (mqtt_url, redis_url) =
        (line.mosquitto.as_ref().unwrap().url(), line.redis.as_ref().unwrap().url());
    let leave = ["parser", "--worker", "1", "--leave", "--admin-listen", "off"];
    let urls = ["--mqtt-url", &mqtt_url, "--redis-url", &redis_url];
    let left = run_nemeses([&leave[..], &urls].concat()).await.unwrap();
    assert!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
    line.wait_rows(first.len()).await.unwrap();
    gateway.publish_all("/messenger", second.iter().map(Vec::as_slice), 100).await.unwrap();
    line.wait_rows(frames.len()).await.unwrap();
    line.audit().await.unwrap();
}

#[tokio::test]
async fn two_nodes_on_one_redis_and_one_database_are_one() {
    const DEVICE: DeviceId = DeviceId::new(0x0088_8888);
    let line = Line::start(Shape::NodeOnServers, &[]).await.unwrap();
    let (redis_url, database_url) = (line.redis.as_ref().unwrap().url(), line.database_url());
    let other =
        Node::start(&["--redis-url", &redis_url, "--database-url", &database_url]).await.unwrap();
    let other_address = other.mqtt().address();
    let frames: Vec<Vec<u8>> = (0..200).map(|n| bytes(&live(DEVICE, now_s(), n))).collect();
    let all = || frames.iter().map(Vec::as_slice);
    let mut here = line.device("here").await.unwrap();
    let mut there = Mqtt::connect(other_address, "there").await.unwrap();
    // The same frames at both, at once.
    let (first, second) = tokio::join!(
        here.publish_all("/messenger", all(), 50),
        there.publish_all("/messenger", all(), 50)
    );
    first.and(second).unwrap();
    assert_eq!(line.tables().positions().await.unwrap().len(), frames.len());
    line.audit().await.unwrap();
    // A user of one node sees what the other took, and is the same user there.
    let email = User::register(&other.api_url()).await.unwrap();
    let user = User::sign_in(&other.api_url(), &email).await.unwrap();
    assert_eq!(user.report(DEVICE, "&limit=1000").await.unwrap().len(), frames.len());
    assert_eq!(user.at(&line.api_url()).location(DEVICE).await.unwrap()["status"], "online");
    // A reply to a ping here is heard by who listens there.
    there.subscribe("/ping/888888").await.unwrap();
    wait_for(SOON, "the reply comes over", async || {
        here.publish("/messenger", &ping(DEVICE)).await?;
        there.next_publish(Duration::from_secs(1)).await
    })
    .await
    .unwrap();
}
