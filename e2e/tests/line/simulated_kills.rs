//! Kills of a node under the simulator's load of four protocols over TCP and HTTP: each record that
//! was acknowledged is stored, and once.

use nemeses_e2e::{Line, Port, SOON, Shape, nemeses_binary, wait_for};
use serde_json::Value;
use tokio::process::Command;
use tokio::task::JoinSet;

const TRACKERS: u64 = 8;
/// The simulator's first device.
const FIRST: u64 = 0x50_0000;

/// What the simulator counted of a protocol.
async fn simulate(protocol: &str, server: String) -> Value {
    let devices = TRACKERS.to_string();
    let output = Command::new(nemeses_binary().unwrap())
        .args(["simulate", "--json", "--protocol", protocol, "--tcp-server", &server])
        .args(["--devices", &devices, "--rate", "200", "--duration", "6s"])
        .args(["--start", "2026-06-01T00:00:00Z"])
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| {
        panic!("{protocol}: {error}: {text} {}", String::from_utf8_lossy(&output.stderr))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_in_four_protocols_is_there_once() {
    let ports = [(); 4].map(|()| Port::free().unwrap());
    let [teltonika, gt06, queclink, phones] = ports.each_ref().map(|it| it.address().to_string());
    let tcp = format!("teltonika={teltonika},gt06={gt06},queclink={queclink}");
    let args = ["--tcp-listen", &tcp, "--http-devices-listen", &phones];
    let mut line = Line::start(Shape::Embedded, &args).await.unwrap();
    let mut load = JoinSet::new();
    load.spawn(async move {
        tokio::join!(
            simulate("teltonika", teltonika),
            simulate("gt06", gt06),
            simulate("queclink", queclink),
            simulate("osmand", phones),
        )
    });
    for _ in 0..3 {
        tokio::time::sleep(std::time::Duration::from_millis(1_300)).await;
        let node = line.node.as_deref_mut().unwrap();
        node.kill().unwrap();
        node.start_again().await.unwrap();
    }
    let (teltonika, gt06, queclink, osmand) = load.join_next().await.unwrap().unwrap();
    let user = line.user().await.unwrap();
    // An IMEI is one device, whatever it speaks.
    let over_tcp = [teltonika, gt06, queclink];
    for (kind, counts) in [("imei", &over_tcp[..]), ("id", &[osmand])] {
        let number =
            |name: &str| counts.iter().map(|it| it[name].as_u64().expect("a count")).sum::<u64>();
        let (sent, acknowledged) = (number("sent"), number("acknowledged"));
        assert!(acknowledged > 200, "{counts:?}");
        let mut rows = 0;
        for index in 0..TRACKERS {
            let device = format!("{kind}:35{:013}", FIRST + index);
            let path = format!(
                "/api/v1/report/?device_id={device}&from=2026-06-01T00:00:00Z&to=2026-06-09T00:00:00Z&limit=10000"
            );
            let (status, answer) = user.get(&path).await.unwrap();
            assert_eq!(status, 200, "{answer}");
            rows += answer["count"].as_u64().unwrap();
        }
        assert!((acknowledged..=sent).contains(&rows), "{kind}: {rows} rows of {counts:?}");
    }
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}
