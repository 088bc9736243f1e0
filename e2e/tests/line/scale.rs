//! Two parsers and two exporters share what one could not do alone.

use nemeses_e2e::frames::{bytes, key, live, now_s};
use nemeses_e2e::{Line, Shape};
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
