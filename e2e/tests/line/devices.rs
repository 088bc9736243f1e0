//! Devices that speak a protocol of their own: the examples of `docs/protocols/` go through the
//! real listeners, split at every byte, and are read back by REST.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use nemeses_e2e::{Certificate, Line, Port, SOON, Shape, User, expect_log, wait_for};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

/// The examples of a page in this language, and what is answered to them.
fn examples(page: &str, language: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocols").join(page);
    let text = fs::read_to_string(path).unwrap();
    let blocks: Vec<(&str, &str)> =
        text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect();
    blocks
        .chunks(2)
        .filter(|pair| pair[0].0 == language)
        .map(|pair| {
            let digits: String = pair[0].1.split_whitespace().collect();
            let sent = if language == "text" {
                pair[0].1.trim_end().as_bytes().to_vec()
            } else {
                hex::decode(digits).unwrap()
            };
            (sent, answers(pair[1].1))
        })
        .collect()
}

/// Everything that is answered at once, and everything that is answered after the commit, in
/// the order of the frames.
fn answers(records: &str) -> Vec<u8> {
    let mut all = Vec::new();
    for line in records.lines().filter(|line| !line.starts_with(' ')) {
        for part in line.split(", ") {
            let answer = part.strip_prefix("at once ").or_else(|| part.strip_prefix("committed "));
            match answer {
                Some(text) if text.starts_with('+') => all.extend(text.as_bytes()),
                Some(hex) => all.extend(hex::decode(hex).unwrap()),
                None => {}
            }
        }
    }
    all
}

async fn converses(at: SocketAddr, parts: &[&[u8]], expected: &[u8]) {
    let mut device = TcpStream::connect(at).await.unwrap();
    device.set_nodelay(true).unwrap();
    for part in parts {
        device.write_all(part).await.unwrap();
        device.flush().await.unwrap();
    }
    let mut answer = vec![0; expected.len()];
    tokio::time::timeout(SOON, device.read_exact(&mut answer)).await.unwrap().unwrap();
    // What is answered at once may overtake what waits for a commit.
    let sorted = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.sort_unstable();
        bytes
    };
    assert_eq!(sorted(&answer), sorted(expected), "{} bytes", parts.concat().len());
}

async fn get(user: &User, path: &str) -> anyhow::Result<Value> {
    let (status, answer) = user.get(&format!("/api/v1/{path}")).await?;
    anyhow::ensure!(status == 200, "{path}: {answer}");
    Ok(answer)
}

#[tokio::test]
async fn the_examples_are_stored_once_however_they_are_split() {
    expect_log(&["clients were not let in", "bytes became dead letters"]);
    let ports: Vec<Port> = (0..4).map(|_| Port::free().unwrap()).collect();
    let at = |index: usize| ports[index].address();
    let tcp = format!("teltonika={},gt06={},queclink={}", at(0), at(1), at(2));
    let udp = format!("teltonika={}", at(3));
    let args = ["--tcp-listen", &tcp, "--udp-listen", &udp];
    let line = Line::start(Shape::Embedded, &args).await.unwrap();
    let user = line.user().await.unwrap();

    for (address, page, language) in
        [(at(0), "teltonika.md", "tcp"), (at(1), "gt06.md", "tcp"), (at(2), "queclink.md", "text")]
    {
        for (sent, expected) in examples(page, language) {
            // One part, and split at some bytes: each costs a connection.
            for cut in (0..sent.len()).step_by(sent.len().div_ceil(12).max(1)) {
                converses(address, &[&sent[..cut], &sent[cut..]], &expected).await;
            }
            let single: Vec<&[u8]> = sent.chunks(1).collect();
            converses(address, &single, &expected).await;
        }
    }
    for (sent, expected) in examples("teltonika.md", "udp") {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut answer = [0; 64];
        for _ in 0..2 {
            socket.send_to(&sent, at(3)).await.unwrap();
            let received = tokio::time::timeout(SOON, socket.recv(&mut answer)).await;
            assert_eq!(&answer[..received.unwrap().unwrap()], expected);
        }
    }

    let device = "imei:356307042441013";
    let series = async |channel: &str, from: &str, to: &str| {
        get(
            &user,
            &format!("series?device_id={device}&channel={channel}&from={from}&to={to}&step=raw"),
        )
        .await
    };
    let temperature =
        series("temperature.21", "2024-11-06T10:57:17Z", "2024-11-06T10:57:17Z").await.unwrap();
    assert_eq!(
        (&temperature["count"], &temperature["values"]["value"]),
        (&json!(1), &json!([-11.87]))
    );
    let voltage =
        series("power.voltage", "2019-01-04T12:27:19Z", "2026-01-15T12:30:45Z").await.unwrap();
    assert_eq!(voltage["count"], 7, "{voltage}");
    let sent = get(&user, "devices/imei:864717003283581/channels").await.unwrap();
    let names: Vec<&str> = sent["channels"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|channel| channel["name"].as_str())
        .collect();
    for name in ["alarm.vibration", "battery.level", "network.cell", "sim.imei"] {
        assert!(names.contains(&name), "{name} among {names:?}");
    }
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

/// A second connection of a device takes over from the first; who says nothing is closed.
#[tokio::test]
async fn one_connection_a_device() {
    expect_log(&["clients were not let in", "bytes became dead letters"]);
    let port = Port::free().unwrap();
    let tcp = format!("teltonika={}", port.address());
    let line = Line::start(Shape::Embedded, &["--tcp-listen", &tcp]).await.unwrap();
    let hello = hex::decode("000F333536333037303432343431303133").unwrap();
    let mut first = TcpStream::connect(port.address()).await.unwrap();
    first.write_all(&hello).await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), 1);
    let mut second = TcpStream::connect(port.address()).await.unwrap();
    second.write_all(&hello).await.unwrap();
    assert_eq!(second.read_u8().await.unwrap(), 1);
    let closed = tokio::time::timeout(Duration::from_secs(5), first.read_u8()).await.unwrap();
    assert!(closed.is_err(), "the first connection is closed");
    let mut rubbish = TcpStream::connect(port.address()).await.unwrap();
    rubbish.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(5), rubbish.read_u8()).await.unwrap();
    assert!(closed.is_err(), "what is no frame ends a connection");
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

async fn asks(server: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> String {
    server.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that closes without a farewell of TLS has answered all the same.
    let _ = tokio::time::timeout(SOON, server.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// By TLS a tracker and a phone are answered as they are without, and who speaks plainly is not.
#[tokio::test]
async fn by_tls() {
    expect_log(&["clients were not let in"]);
    let ports = [(); 2].map(|()| Port::free().unwrap());
    let [tcp, http] = ports.each_ref().map(Port::address);
    let certificate = Certificate::new().unwrap();
    let key = certificate.cert().replace("cert.pem", "key.pem");
    let (listen, phones) = (format!("teltonika+tls={tcp}"), http.to_string());
    let args = ["--tcp-listen", &listen, "--http-devices-listen", &phones];
    let tls = ["--device-tls-cert", &certificate.cert(), "--device-tls-key", &key];
    let line = Line::start(Shape::Embedded, &[args, tls].concat()).await.unwrap();
    let user = line.user().await.unwrap();

    let (sent, expected) = examples("teltonika.md", "tcp").remove(0);
    let mut device = certificate.connect(tcp, &[]).await.unwrap();
    device.write_all(&sent).await.unwrap();
    let mut answer = vec![0; expected.len()];
    tokio::time::timeout(SOON, device.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, expected);
    let mut plain = TcpStream::connect(tcp).await.unwrap();
    plain.write_all(&sent).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(SOON, plain.read_to_end(&mut answer)).await.unwrap();
    assert_ne!(answer.first(), Some(&1), "no login is accepted without TLS");

    let request = "GET /?id=123456&timestamp=1504763810&lat=40.7&lon=-74.0 HTTP/1.1\r\n\
                   host: localhost\r\nconnection: close\r\n\r\n";
    let mut phone = certificate.connect(http, &[b"http/1.1"]).await.unwrap();
    assert!(asks(&mut phone, request).await.starts_with("HTTP/1.1 200"));
    let plain = asks(&mut TcpStream::connect(http).await.unwrap(), request).await;
    assert!(plain.starts_with("HTTP/1.1 400") && plain.contains("https://"), "{plain}");

    let shown = get(&user, "listeners").await.unwrap();
    let shown: Vec<(&str, &str)> = shown["listeners"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| Some((it["protocol"].as_str()?, it["transport"].as_str()?)))
        .collect();
    for listener in [("sft9001", "mqtt"), ("teltonika", "tls"), ("osmand", "https")] {
        assert!(shown.contains(&listener), "{listener:?} among {shown:?}");
    }
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

/// Phones and scripts over HTTP: 2xx when it is stored, 4xx with what is wrong.
#[tokio::test]
async fn phones_over_http() {
    expect_log(&["bytes became dead letters"]);
    let port = Port::free().unwrap();
    let at = port.address().to_string();
    let line = Line::start(Shape::Embedded, &["--http-devices-listen", &at]).await.unwrap();
    let user = line.user().await.unwrap();
    let client = reqwest::Client::new();
    let url = |path: &str| format!("http://{at}{path}");
    let query = "/?id=123456&timestamp=1504763810&lat=40.7232948571&lon=-74.0061408571&speed=40&ignition=true&rpm=933";
    for _ in 0..2 {
        assert_eq!(client.get(url(query)).send().await.unwrap().status(), 200);
    }
    let json = r#"{"location":{"timestamp":"2021-07-21T08:06:34.444Z","coords":{"latitude":-6.1148096,"longitude":106.6837015,"speed":18.67},"battery":{"level":0.79}},"device_id":"8737767034"}"#;
    let posted = client.post(url("/")).body(json).send().await.unwrap();
    assert_eq!(posted.status(), 200);
    let phone = r#"{"_type":"location","lat":48.85833,"lon":2.29513,"tst":1497349316,"batt":67}"#;
    let posted = client
        .post(url("/pub"))
        .header("X-Limit-U", "jane")
        .header("X-Limit-D", "phone")
        .body(phone)
        .send()
        .await
        .unwrap();
    assert_eq!((posted.status().as_u16(), posted.text().await.unwrap()), (200, "[]".to_owned()));
    for (path, code) in
        [("/?lat=1&lon=2", "no_identity"), ("/?id=1&lat=91&lon=2", "latitude_out_of_range")]
    {
        let refused = client.get(url(path)).send().await.unwrap();
        assert_eq!(refused.status(), 400);
        assert!(refused.text().await.unwrap().starts_with(code), "{path}");
    }
    for (device, channel, value) in [
        ("id:123456", "rpm", json!(933)),
        ("id:8737767034", "battery.level", json!(79)),
        ("owntracks:jane%2Fphone", "battery.level", json!(67)),
    ] {
        let channels = get(&user, &format!("devices/{device}/channels")).await.unwrap();
        let channels = channels["channels"].as_array().unwrap().clone();
        let found = channels.iter().find(|it| it["name"] == channel).expect("the channel");
        assert_eq!(found["value"].as_f64(), value.as_f64(), "{device} {channel}");
    }
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

/// A device that nobody has heard of before is on the map as soon as its first record is
/// stored, and not only with its second one.
#[tokio::test]
async fn a_new_device_is_live_with_its_first_record() {
    let line = Line::start(Shape::Embedded, &["--mqtt-protocols", "owntracks"]).await.unwrap();
    let user = line.user().await.unwrap();
    let mut phone = line.device("jane-phone").await.unwrap();
    let now = nemeses_e2e::frames::now_s();
    let location = format!(r#"{{"_type":"location","lat":48.85833,"lon":2.29513,"tst":{now}}}"#);
    phone.publish("owntracks/jane/phone", location.as_bytes()).await.unwrap();
    let values = format!(r#"{{"t":{now},"values":{{"cpu":12.5}}}}"#);
    phone.publish("/telemetry/host:web1", values.as_bytes()).await.unwrap();
    wait_for(SOON, "both are live", async || {
        let location = get(&user, "location/?device_id=owntracks:jane%2Fphone").await?;
        anyhow::ensure!(location["status"] == "online", "{location}");
        anyhow::ensure!(location["position_from"] == "live", "{location}");
        let channels = get(&user, "devices/host:web1/channels").await?;
        anyhow::ensure!(channels["channels"][0]["value_from"] == "live", "{channels}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Phones over MQTT, where they are listened to: PUBACK after the commit, and a retained copy
/// that comes again is the same record.
#[tokio::test]
async fn phones_over_mqtt() {
    let line = Line::start(Shape::Embedded, &["--mqtt-protocols", "owntracks"]).await.unwrap();
    let user = line.user().await.unwrap();
    let mut phone = line.device("jane-phone").await.unwrap();
    let location = br#"{"_type":"location","lat":48.85833,"lon":2.29513,"tst":1497349316,"batt":67,"tid":"JJ"}"#;
    for _ in 0..2 {
        phone.publish("owntracks/jane/phone", location).await.unwrap();
    }
    let leaves = br#"{"_type":"transition","tst":1497349400,"event":"leave","desc":"home","lat":48.85,"lon":2.3}"#;
    phone.publish("owntracks/jane/phone/event", leaves).await.unwrap();
    let series = "series?device_id=owntracks:jane%2Fphone&channel=battery.level&step=raw&from=2017-06-13T00:00:00Z&to=2017-06-14T00:00:00Z";
    let battery = get(&user, series).await.unwrap();
    assert_eq!(
        (&battery["count"], &battery["values"]["value"]),
        (&json!(1), &json!([67])),
        "{battery}"
    );
    let channels = get(&user, "devices/owntracks:jane%2Fphone/channels").await.unwrap();
    let channels = channels["channels"].as_array().unwrap().clone();
    let event = channels.iter().find(|it| it["name"] == "event").expect("the channel");
    assert_eq!(event["value"], "leave");
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

/// The same by way of a parser: answered when `/DB` has taken the records.
#[tokio::test]
async fn a_parser_listens_too() {
    let port = Port::free().unwrap();
    let tcp = format!("teltonika={}", port.address());
    let mut line = Line::start(Shape::Stations, &[]).await.unwrap();
    let user = line.user().await.unwrap();
    let mqtt = line.mosquitto.as_ref().unwrap().url();
    let redis = line.redis.as_ref().unwrap().url();
    let args = ["--mqtt-url", &mqtt, "--redis-url", &redis, "--tcp-listen", &tcp];
    line.parsers.push(nemeses_e2e::Nemeses::worker("parser", 7, &args).await.unwrap());
    for (sent, expected) in examples("teltonika.md", "tcp").into_iter().take(4) {
        converses(port.address(), &[&sent[..5], &sent[5..]], &expected).await;
        converses(port.address(), &[&sent], &expected).await;
    }
    wait_for(SOON, "the records are stored once", async || {
        let voltage = get(
            &user,
            "series?device_id=imei:356307042441013&channel=power.voltage&from=2019-01-04T12:27:19Z&to=2026-01-15T12:30:45Z&step=raw",
        )
        .await?;
        anyhow::ensure!(voltage["count"] == 3, "{voltage}");
        Ok(())
    })
    .await
    .unwrap();
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}
