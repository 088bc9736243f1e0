//! Devices that send JSON of their own, by mappings: over MQTT to a node, over HTTP, and by way of
//! Mosquitto and a parser. Acknowledged means stored, and what cannot be read is a dead letter.

use std::net::SocketAddr;
use std::path::PathBuf;

use nemeses_e2e::{
    Line, Mqtt, Nemeses, Port, SOON, Shape, User, expect_log, run_nemeses, wait_for,
};
use serde_json::{Value, json};

const MAPPINGS: &str = r#"
[[mapping]]
name = "greenhouse"
topic = "sensors/{device}/up"
post = "greenhouse-by-id"
device = "id:{/id}"

[mapping.time]
at = "/ts"
unit = "ms"

[mapping.position]
latitude = "/lat"
longitude = "/lng"

[[mapping.channels]]
at = "/temp"
name = "temperature"
unit = "Cel"
"#;
const SAMPLE: &str =
    r#"{"id":"a1","ts":1768480245000,"temp":21.5,"lat":-19.932833,"lng":-43.938493}"#;

/// A file with the mappings, for as long as the folder is there.
fn mappings() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mappings.toml");
    std::fs::write(&path, MAPPINGS).unwrap();
    (folder, path)
}

async fn publish(to: SocketAddr, topic: &str, payload: &str) {
    let port = to.port().to_string();
    let mut command = tokio::process::Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", topic, "-m", payload]);
    let done = command.kill_on_drop(true).status().await.unwrap();
    assert!(done.success(), "{topic}: {done}");
}

async fn values(user: &User, device: &str, channel: &str) -> anyhow::Result<Value> {
    let path = format!(
        "/api/v1/series?device_id={device}&channel={channel}&step=raw&from=2026-01-15T00:00:00Z&to=2026-01-16T00:00:00Z"
    );
    let (status, answer) = user.get(&path).await?;
    anyhow::ensure!(status == 200, "{path}: {answer}");
    Ok(answer["values"]["value"].clone())
}

async fn newest(user: &User, device: &str, channel: &str) -> anyhow::Result<Value> {
    let (status, answer) = user.get(&format!("/api/v1/devices/{device}/channels")).await?;
    anyhow::ensure!(status == 200, "{device}: {answer}");
    let channels = answer["channels"].as_array().cloned().unwrap_or_default();
    let found = channels.iter().find(|it| it["name"] == channel);
    Ok(found.map_or(Value::Null, |it| it["value"].clone()))
}

async fn letters(line: &Line) -> Value {
    let url = line.database_url();
    let listed = run_nemeses(["dead-letters", "list", "--json", "--database-url", &url]).await;
    serde_json::from_slice(&listed.unwrap().stdout).unwrap()
}

#[tokio::test]
async fn a_node_reads_what_mappings_name() {
    expect_log(&["bytes became dead letters"]);
    let (_folder, path) = mappings();
    let port = Port::free().unwrap();
    let http = port.address().to_string();
    let args = [
        "--mappings",
        path.to_str().unwrap(),
        "--mqtt-protocols",
        "tasmota,zigbee2mqtt,telegraf,thingsboard",
        "--http-devices-listen",
        &http,
    ];
    let line = Line::start(Shape::Embedded, &args).await.unwrap();
    let user = line.user().await.unwrap();
    let mqtt = line.mqtt_address();
    for (topic, payload) in [
        ("sensors/x/up", SAMPLE),
        // Acknowledged twice, stored once.
        ("sensors/x/up", SAMPLE),
        ("tele/plug1/SENSOR", r#"{"Time":"2026-01-15T12:30:45","AM2301":{"Temperature":19.5}}"#),
        ("zigbee2mqtt/Living room", r#"{"battery":97}"#),
        ("telegraf/web1/cpu", "cpu,host=web1 usage_user=1.5 1768480245000000000"),
    ] {
        publish(mqtt, topic, payload).await;
    }
    assert_eq!(values(&user, "id:a1", "temperature").await.unwrap(), json!([21.5]));
    assert_eq!(values(&user, "host:web1", "cpu.usage_user").await.unwrap(), json!([1.5]));
    let place = user.get("/api/v1/location/?device_id=id:a1").await.unwrap().1;
    assert_eq!(place["latitude"].as_f64(), Some(-19.932_833), "{place}");
    let tasmota = newest(&user, "id:plug1", "AM2301.Temperature").await.unwrap();
    assert_eq!(tasmota, json!(19.5));
    assert_eq!(newest(&user, "id:Living%2520room", "battery").await.unwrap(), json!(97));

    for (topic, payload, reason) in [
        ("sensors/x/up", r#"{"id":"a1","temp":1}"#, "bad_time"),
        ("sensors/x/up", "{\"id\":", "bad_payload"),
        ("tele//SENSOR", r#"{"a":1}"#, "bad_device"),
        ("v1/devices/me/telemetry", r#"{"a":1}"#, "bad_device"),
    ] {
        publish(mqtt, topic, payload).await;
        let listed = letters(&line).await;
        let newest = &listed[0];
        assert_eq!((&newest["reason"], &newest["topic"]), (&json!(reason), &json!(topic)));
    }
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

#[tokio::test]
async fn mappings_over_http_answer_after_the_commit() {
    expect_log(&["bytes became dead letters"]);
    let (_folder, path) = mappings();
    let port = Port::free().unwrap();
    let http = port.address().to_string();
    let args = ["--mappings", path.to_str().unwrap(), "--http-devices-listen", &http];
    let line = Line::start(Shape::Embedded, &args).await.unwrap();
    let user = line.user().await.unwrap();
    let client = reqwest::Client::new();
    let sends = async |name: &str, body: &str| {
        let sent = client.post(format!("http://{http}/devices/{name}")).body(body.to_owned());
        let answer = sent.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(sends("greenhouse-by-id", SAMPLE).await.0, 200);
    assert_eq!(values(&user, "id:a1", "temperature").await.unwrap(), json!([21.5]));
    let uplink = r#"{"time":"2026-01-15T12:30:45Z","deviceInfo":{"devEui":"0101010101010101"},"data":"A2cBEAVnAP8="}"#;
    assert_eq!(sends("chirpstack-cayenne?event=up", uplink).await.0, 200);
    let cayenne = values(&user, "eui:0101010101010101", "temperature.3").await.unwrap();
    assert_eq!(cayenne, json!([27.2]));
    let (status, text) = sends("greenhouse-by-id", r#"{"id":"a1","ts":"soon","temp":1}"#).await;
    assert!(status == 400 && text.starts_with("bad_time: at /ts is"), "{status} {text}");
    let asked = client.get(format!("http://{http}/devices/greenhouse-by-id")).send().await.unwrap();
    assert_eq!(asked.status(), 405, "a question is no payload");
    let (status, text) = sends("none", SAMPLE).await;
    assert!(status == 404 && text.contains("greenhouse-by-id"), "{status} {text}");
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

/// ThingsBoard's topic, where the login is the device.
#[tokio::test]
async fn the_login_is_the_device() {
    expect_log(&["bytes became dead letters"]);
    let (_folder, path) = mappings();
    let args = [
        "--mqtt-anonymous=false",
        "--mqtt-protocols",
        "thingsboard",
        "--mappings",
        path.to_str().unwrap(),
    ];
    let line = Line::start(Shape::Embedded, &args).await.unwrap();
    let user = line.user().await.unwrap();
    let url = line.database_url();
    let added = run_nemeses(["device", "add", "id:boiler", "--json", "--database-url", &url]).await;
    let login: Value = serde_json::from_slice(&added.unwrap().stdout).unwrap();
    let (name, secret) = (login["name"].as_str().unwrap(), login["secret"].as_str().unwrap());
    let mut boiler = Mqtt::connect_as(line.mqtt_address(), "b", name, secret).await.unwrap();
    let telemetry = br#"{"ts":1768480245000,"values":{"pressure":1.5}}"#;
    boiler.publish("v1/devices/me/telemetry", telemetry).await.unwrap();
    assert_eq!(values(&user, "id:boiler", "pressure").await.unwrap(), json!([1.5]));
    // Another device's record is acknowledged and kept as a letter.
    boiler.publish("sensors/x/up", SAMPLE.as_bytes()).await.unwrap();
    let listed = letters(&line).await;
    assert_eq!(listed[0]["reason"], "identity_mismatch", "{listed}");
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

/// By way of Mosquitto and a parser, whose subscription has the topics of its mappings.
#[tokio::test]
async fn a_parser_reads_them_from_mosquitto() {
    let (_folder, path) = mappings();
    let mut line = Line::start(Shape::Stations, &[]).await.unwrap();
    let user = line.user().await.unwrap();
    let mqtt = line.mosquitto.as_ref().unwrap().url();
    let redis = line.redis.as_ref().unwrap().url();
    let file = path.to_str().unwrap().to_owned();
    let args = [
        "--mqtt-url",
        &mqtt,
        "--redis-url",
        &redis,
        "--mappings",
        &file,
        "--mqtt-protocols",
        "owntracks,glances",
    ];
    line.parsers.push(Nemeses::worker("parser", 7, &args).await.unwrap());
    let to = line.mqtt_address();
    publish(to, "sensors/x/up", SAMPLE).await;
    publish(to, "glances/web1/cpu/user", "1.5").await;
    let phone = r#"{"_type":"location","lat":48.85833,"lon":2.29513,"tst":1768480245,"batt":67}"#;
    publish(to, "owntracks/jane/phone", phone).await;
    wait_for(SOON, "the records are stored", async || {
        anyhow::ensure!(values(&user, "id:a1", "temperature").await? == json!([21.5]));
        anyhow::ensure!(newest(&user, "host:web1", "cpu.user").await? == json!(1.5));
        let battery = values(&user, "owntracks:jane%2Fphone", "battery.level").await?;
        anyhow::ensure!(battery == json!([67]), "{battery}");
        Ok(())
    })
    .await
    .unwrap();
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

/// A file that cannot be ends the program before anything listens.
#[tokio::test]
async fn a_wrong_file_is_refused_at_start() {
    let (_folder, path) = mappings();
    std::fs::write(&path, MAPPINGS.replace("\"ms\"", "\"days\"")).unwrap();
    let refused = run_nemeses(["up", "--mappings", path.to_str().unwrap()]).await.unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("mappings cannot be") && said.contains("line 10"), "{said}");
}

const NBIRTH: &str = "0880d095ffbc3112120a0562645365711880d095ffbc312008580012210a144e6f646520436f6e74726f6c2f526562697274681880d095ffbc31200b70001800";
const DBIRTH: &str = "08e8d795ffbc3112210a0b54656d7065726174757265100118e8d795ffbc31200a69000000000080354012180a05436f756e74100218e8d795ffbc31200350fbffffff0f1801";
const DDATA: &str =
    "08d0df95ffbc311212100118d0df95ffbc31690000000000403640120b100218d0df95ffbc3138011802";
const NDEATH: &str = "0880d095ffbc3112120a0562645365711880d095ffbc3120085800";

/// An edge of Sparkplug from its birth to its death, and after a restart of the node.
#[tokio::test]
async fn an_edge_is_asked_to_be_born_again() {
    expect_log(&["bytes became dead letters"]);
    let line = Line::start(Shape::Embedded, &["--mqtt-protocols", "sparkplug"]).await.unwrap();
    let user = line.user().await.unwrap();
    let mut edge = line.device("edge").await.unwrap();
    edge.subscribe("spBv1.0/STATE/nemeses").await.unwrap();
    let state = edge.next_publish(SOON).await.unwrap();
    assert!(state.payload.starts_with(b"{\"online\":true"), "{state:?}");
    edge.subscribe("spBv1.0/G/NCMD/E").await.unwrap();
    let data = hex::decode(DDATA).unwrap();
    edge.publish("spBv1.0/G/DDATA/E/D", &data).await.unwrap();
    let asked = edge.next_publish(SOON).await.unwrap();
    assert_eq!(asked.topic, "spBv1.0/G/NCMD/E");
    assert!(asked.payload.windows(7).any(|window| window == b"Rebirth"));
    for (topic, payload) in [
        ("spBv1.0/G/NBIRTH/E", NBIRTH),
        ("spBv1.0/G/DBIRTH/E/D", DBIRTH),
        ("spBv1.0/G/DDATA/E/D", DDATA),
    ] {
        edge.publish(topic, &hex::decode(payload).unwrap()).await.unwrap();
    }
    let device = "id:G%2FE%2FD";
    assert_eq!(newest(&user, device, "Temperature").await.unwrap(), json!(22.25));
    assert_eq!(newest(&user, device, "Count").await.unwrap(), json!(-5));
    assert_eq!(newest(&user, device, "online").await.unwrap(), json!(true));
    edge.publish("spBv1.0/G/NDEATH/E", &hex::decode(NDEATH).unwrap()).await.unwrap();
    assert_eq!(newest(&user, device, "online").await.unwrap(), json!(false));
    let listed = letters(&line).await;
    assert_eq!(listed[0]["reason"], "unknown_alias", "{listed}");
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}
