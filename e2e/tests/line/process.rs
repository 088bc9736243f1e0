//! The program as a process: it says what is wrong before it binds anything, and
//! it ends in an orderly way.

use std::time::Duration;

use nemeses_e2e::frames::{bytes, live, now_s};
use nemeses_e2e::{Line, Port, SOON, Shape, Signal, run_nemeses, wait_for};
use nemeses_protocol::DeviceId;

/// Ctrl-C drains and ends within this.
const END: Duration = Duration::from_secs(10);

#[tokio::test]
async fn ctrl_c_ends_each_station_with_0() {
    let mut line = Line::start(Shape::Stations, &[]).await.unwrap();
    let stations = line.parsers.iter_mut().chain(&mut line.exporters);
    for station in stations {
        station.signal(Signal::Int).unwrap();
        let status = station.wait_end(END).await.unwrap();
        let log = station.log().unwrap();
        assert!(status.success(), "{} ended with {status}: {log}", station.spec().name);
        // An end that was asked for is nobody's trouble.
        assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    }
    let api = line.api.as_mut().unwrap();
    api.signal(Signal::Int).unwrap();
    assert!(api.wait_end(END).await.unwrap().success());
}

/// Tools that renew certificates and rotate logs send it; so does a terminal that closes.
#[tokio::test]
async fn sighup_ends_nobody() {
    let stations = Line::start(Shape::Stations, &[]).await.unwrap();
    let node = Line::start(Shape::Embedded, &[]).await.unwrap();
    let workers = stations.parsers.iter().chain(&stations.exporters).map(|worker| &**worker);
    let apis = stations.api.iter().map(|api| &**api);
    let nodes = node.node.iter().map(|node| &**node);
    for process in workers.chain(apis).chain(nodes) {
        process.signal(Signal::Hup).unwrap();
        let says = format!("{} says that it heard", process.spec().name);
        wait_for(SOON, &says, async || {
            anyhow::ensure!(process.log()?.contains("SIGHUP"), "not yet");
            Ok(())
        })
        .await
        .unwrap();
    }
    let frame = bytes(&live(DeviceId::new(7), now_s(), 1));
    for mut line in [node, stations] {
        let mut device = line.device("tracker").await.unwrap();
        device.publish("/messenger", &frame).await.unwrap();
        line.wait_rows(1).await.unwrap();
        for worker in line.parsers.iter_mut().chain(&mut line.exporters) {
            assert!(worker.is_running());
        }
    }
}

#[tokio::test]
async fn ctrl_c_ends_a_node_under_load_with_all_that_it_acknowledged() {
    let mut line = Line::start(Shape::Embedded, &[]).await.unwrap();
    let mut device = line.device("tracker").await.unwrap();
    let mut acknowledged = 0;
    for n in 0..200 {
        let frame = bytes(&live(DeviceId::new(7), now_s(), n));
        device.publish("/messenger", &frame).await.unwrap();
        acknowledged += 1;
    }
    let node = line.node.as_mut().unwrap();
    node.signal(Signal::Int).unwrap();
    let status = node.wait_end(END).await.unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(line.tables().positions().await.unwrap().len(), acknowledged);
    line.audit().await.unwrap();
}

/// What the program says when it is started like this: it must end with an error.
async fn refusal(args: &[&str]) -> String {
    let output = run_nemeses(args).await.unwrap();
    assert!(!output.status.success(), "it started");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_wrong_setting_is_named_with_its_value() {
    let text = refusal(&["up", "--live-ttl", "soon"]).await;
    assert!(text.contains("--live-ttl") && text.contains("soon"), "{text}");
    let text = refusal(&["up", "--http-listen", "0.0.0.0:5000"]).await;
    assert!(text.contains("http-listen") && text.contains("loopback"), "{text}");
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_setting() {
    let port = Port::free().unwrap();
    let _taken = std::net::TcpListener::bind(port.address()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let address = port.address().to_string();
    let args = ["up", "--data-dir", &data, "--admin-listen", "off", "--http-listen", "127.0.0.1:0"];
    let text = refusal(&[&args[..], &["--mqtt-listen", &address]].concat()).await;
    assert!(text.contains(&address) && text.contains("mqtt-listen"), "{text}");
}
