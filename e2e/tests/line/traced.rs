//! A frame whose publisher asks for it is followed from the door to the commit; and a
//! collector that is not there, or has no time, is no matter of the line's.

use nemeses_e2e::{Collector, Line, SOON, Shape, Told, expect_log, frames, wait_for, wait_until};
use nemeses_protocol::DeviceId;
use tokio::net::TcpListener;

const DEVICE: DeviceId = DeviceId::new(0x0A_3F73);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PUBLISHER: &str = "00f067aa0ba902b7";

/// Publishes a frame whose sender began a trace.
async fn publish_asking(line: &Line, traceparent: &str) {
    let frame = hex::encode(frames::bytes(&frames::live(DEVICE, frames::now_s(), 1)));
    let port = line.mqtt_address().port().to_string();
    let mut publisher = tokio::process::Command::new("mosquitto_pub");
    publisher.args(["-V", "5", "-q", "1", "-h", "127.0.0.1", "-p", &port, "-t", "/messenger"]);
    publisher.args(["-m", &frame, "-D", "publish", "user-property", "traceparent", traceparent]);
    let done = publisher.kill_on_drop(true).output().await.unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// The spans of the trace, when there are so many.
async fn chain(collector: &Collector, spans: usize) -> Vec<Told> {
    wait_for(SOON, "the whole way is told", async || {
        let told = collector.of_trace(TRACE);
        anyhow::ensure!(told.len() >= spans, "{told:#?}");
        Ok(told)
    })
    .await
    .unwrap()
}

fn named<'a>(told: &'a [Told], name: &str) -> &'a Told {
    let mut found = told.iter().filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name}: {told:#?}"));
    assert!(found.next().is_none() && span.failure.is_none(), "{told:#?}");
    assert!(span.start_ns <= span.end_ns, "{span:?}");
    span
}

/// Each ends before the next begins.
fn in_order(told: &[Told], names: &[&str]) {
    for pair in names.windows(2) {
        let (first, then) = (named(told, pair[0]), named(told, pair[1]));
        assert!(first.end_ns <= then.start_ns, "{first:?} then {then:?}");
    }
}

async fn a_node_tells_of_a_frame_s_way(shape: Shape) {
    let collector = Collector::start().await.unwrap();
    let args = ["--otlp-endpoint", &collector.url(), "--trace-sample", "0"];
    let line = Line::start(shape, &args).await.unwrap();
    publish_asking(&line, &format!("00-{TRACE}-{PUBLISHER}-00")).await;
    publish_asking(&line, "rubbish").await;
    publish_asking(&line, &format!("00-{TRACE}-{PUBLISHER}-01")).await;
    let told = chain(&collector, 6).await;
    let publish = named(&told, "publish");
    assert_eq!((&*publish.parent, &*publish.service), (PUBLISHER, "nemeses-node"));
    assert_eq!(publish.attributes["messaging.destination.name"], "/messenger");
    for child in ["decode", "queue", "commit", "live write", "puback"] {
        assert_eq!(named(&told, child).parent, publish.span_id, "{told:#?}");
        assert!(named(&told, child).start_ns >= publish.start_ns, "{told:#?}");
    }
    in_order(&told, &["decode", "queue", "commit", "puback"]);
    assert!(named(&told, "puback").end_ns <= publish.end_ns, "{told:#?}");
    assert_eq!(named(&told, "decode").attributes["nemeses.device"], "0A3F73");
    assert_eq!(named(&told, "commit").attributes["nemeses.batch.rows"], "1");
    assert!(named(&told, "commit").attributes["nemeses.batch"].starts_with("node/"));
    let others = collector.told().into_iter().filter(|span| span.trace_id != TRACE).count();
    assert_eq!((told.len(), others), (6, 0), "nobody else asked");
}

#[tokio::test]
async fn a_frame_is_followed_through_an_embedded_node() {
    a_node_tells_of_a_frame_s_way(Shape::Embedded).await;
}

#[tokio::test]
async fn a_frame_is_followed_through_a_node_on_servers() {
    a_node_tells_of_a_frame_s_way(Shape::NodeOnServers).await;
}

#[tokio::test]
async fn a_frame_is_followed_from_station_to_station() {
    let collector = Collector::start().await.unwrap();
    let args = ["--otlp-endpoint", &collector.url(), "--trace-sample", "0"];
    let line = Line::start(Shape::Stations, &args).await.unwrap();
    line.wait_subscribed(DEVICE).await.unwrap();
    publish_asking(&line, &format!("00-{TRACE}-{PUBLISHER}-01")).await;
    let told = chain(&collector, 7).await;
    let of = |name: &str| {
        let span = named(&told, name);
        (span.service.as_str(), span.parent.as_str())
    };
    let id = |name: &str| named(&told, name).span_id.as_str();
    assert_eq!(of("parse"), ("nemeses-parser", PUBLISHER));
    for child in ["decode", "hand over", "live write"] {
        assert_eq!(of(child), ("nemeses-parser", id("parse")));
    }
    assert_eq!(of("export"), ("nemeses-dbexport", id("hand over")));
    for child in ["queue", "commit"] {
        assert_eq!(of(child), ("nemeses-dbexport", id("export")));
    }
    in_order(&told, &["decode", "hand over"]);
    in_order(&told, &["queue", "commit"]);
    // One clock: all processes are on this machine.
    let starts = ["parse", "decode", "hand over", "export", "queue", "commit"];
    let starts = starts.map(|name| named(&told, name).start_ns);
    assert!(starts.is_sorted(), "{told:#?}");
    assert!(named(&told, "commit").end_ns <= named(&told, "export").end_ns, "{told:#?}");
    assert_eq!(told.len(), 7, "{told:#?}");
}

#[tokio::test]
async fn a_request_is_followed_when_it_asks() {
    let collector = Collector::start().await.unwrap();
    let args = ["--otlp-endpoint", &collector.url(), "--trace-sample", "0"];
    let line = Line::start(Shape::Embedded, &args).await.unwrap();
    let asked = format!("00-{TRACE}-{PUBLISHER}-01");
    let url = format!("{}/api/v1/reports/0A3F73", line.api_url());
    let request = reqwest::Client::new().get(url).header("traceparent", asked);
    let status = request.send().await.unwrap().status();
    let told = chain(&collector, 1).await;
    let request = named(&told, "request");
    assert_eq!(request.parent, PUBLISHER);
    assert_eq!(request.attributes["http.response.status_code"], status.as_u16().to_string());
    assert_eq!(request.attributes["http.request.method"], "GET");
    assert!(!request.attributes["http.route"].contains("0A3F73"), "{request:?}");
}

/// Frames are acknowledged as ever, more than can wait is dropped and counted, and the
/// node ends in time.
async fn the_line_goes_on_with(endpoint: &str) {
    expect_log(&["traces are not delivered to the collector"]);
    let args = ["--otlp-endpoint", endpoint, "--trace-sample", "1"];
    let mut line = Line::start(Shape::Embedded, &args).await.unwrap();
    // 1600 frames of 6 spans: more than the 8192 that wait and the 512 under way.
    let positions: Vec<_> = (0..1600)
        .map(|second| frames::bytes(&frames::live(DEVICE, frames::now_s() - second, second)))
        .collect();
    let mut device = line.device("0A3F73").await.unwrap();
    let payloads = positions.iter().map(Vec::as_slice);
    device.publish_all("/messenger", payloads, 100).await.unwrap();
    let node = line.node.as_mut().unwrap();
    let metrics = node.metrics_url();
    wait_until(SOON, "spans are dropped", async || {
        let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
        let name = "nemeses_traces_dropped_total{reason=\"queue_full\"} ";
        text.lines().filter_map(|line| line.strip_prefix(name)).any(|count| count != "0")
    })
    .await
    .unwrap();
    assert!(node.stop(SOON).await.unwrap().success());
    let log = node.log().unwrap();
    assert_eq!(log.matches("traces are not delivered").count(), 1, "{log}");
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_no_matter_of_the_line_s() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    the_line_goes_on_with(&endpoint).await;
}

#[tokio::test]
async fn a_collector_that_never_answers_is_no_matter_of_the_line_s() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    the_line_goes_on_with(&format!("http://{}", silent.local_addr().unwrap())).await;
}
