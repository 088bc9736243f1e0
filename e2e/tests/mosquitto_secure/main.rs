//! Mosquitto as `deploy/mosquitto/secure.conf` sets it up, with the logins that
//! `nemeses mosquitto-roles` gives it: who may do what over TLS, a running broker
//! that follows the identity store, and the whole line behind it.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod front;
mod site;

use std::process::Output;

use nemeses_e2e::frames::{bytes, live, now_s, ping};
use nemeses_e2e::{Api, Mqtt, Nemeses, Redis, RedisMemory, SOON, Tables, User, wait_for};
use nemeses_protocol::DeviceId;
use serde_json::json;
use site::Site;

const DEVICE: DeviceId = DeviceId::new(0x000A_3F73);

#[tokio::test]
async fn a_device_speaks_for_itself_alone() {
    let site =
        Site::start(&[("0A3F73", "device"), ("0A3F74", "device"), ("watch", "operator")]).await;
    let mut watch = site.connect("watch").await.unwrap();
    for filter in ["/messenger/#", "/ping/#", "/DB/#", "/command/#"] {
        watch.subscribe(filter).await.unwrap();
    }
    let mut device = site.connect("0A3F73").await.unwrap();
    // MQTT 3.1.1 has no word for a refused publish: it is acknowledged and gone.
    for topic in [
        "/messenger",
        "/messenger/0A3F74",
        "/messenger/0A3F73/below",
        "/messenger/",
        "/ping/0A3F73",
        "/command/0A3F73",
        "/DB",
    ] {
        device.publish(topic, b"forged").await.unwrap();
    }
    let command = br#"{"commands":[{"command":"deleteClient","username":"0A3F74"}]}"#;
    device.publish("$CONTROL/dynamic-security/v1", command).await.unwrap();
    device.publish("/messenger/0A3F73", b"own").await.unwrap();
    let seen = watch.next_publish(SOON).await.unwrap();
    assert_eq!((seen.topic.as_str(), &*seen.payload), ("/messenger/0A3F73", &b"own"[..]));
    site.connect("0A3F74").await.unwrap();

    for filter in [
        "#",
        "/#",
        "/ping",
        "/ping/+",
        "/ping/#",
        "/ping/0A3F74",
        "/command/+",
        "/command/0A3F74",
        "/messenger",
        "/messenger/+",
        "/messenger/0A3F73",
        "/DB",
        "$share/parsers//messenger",
        "$share/parsers//messenger/+",
        "$share/mine//messenger/+",
        "$share/mine//ping/0A3F73",
        "$share/exporters//DB",
        "$SYS/#",
        "$CONTROL/dynamic-security/v1/response",
    ] {
        let refused = device.subscribe(filter).await.unwrap_err().to_string();
        assert!(refused.contains("refused"), "{filter}: {refused}");
    }
    for filter in ["/ping/0A3F73", "/command/0A3F73"] {
        device.subscribe(filter).await.unwrap();
    }
    watch.publish("/command/0A3F74", b"for another").await.unwrap();
    watch.publish("/command/0A3F73", b"for this one").await.unwrap();
    assert_eq!(&*device.next_publish(SOON).await.unwrap().payload, b"for this one");
}

#[tokio::test]
async fn gateways_and_workers_have_their_own_rights() {
    let logins = [("depot", "gateway"), ("parser-0", "worker"), ("watch", "operator")];
    let site = Site::start(&logins).await;
    let mut watch = site.connect("watch").await.unwrap();
    watch.subscribe("/messenger/#").await.unwrap();
    watch.subscribe("/ping/#").await.unwrap();

    let mut gateway = site.connect("depot").await.unwrap();
    gateway.publish("/ping/0A3F73", b"forged").await.unwrap();
    for topic in ["/messenger", "/messenger/0A3F73"] {
        gateway.publish(topic, b"for many").await.unwrap();
        assert_eq!(watch.next_publish(SOON).await.unwrap().topic, topic);
    }
    for filter in ["/ping", "/ping/+", "/ping/0A3F73", "/command/+"] {
        gateway.subscribe(filter).await.unwrap();
    }
    for filter in ["/messenger/+", "/DB", "#", "$share/parsers//messenger"] {
        gateway.subscribe(filter).await.unwrap_err();
    }

    let mut worker = site.connect("parser-0").await.unwrap();
    worker.publish("/messenger/0A3F73", b"forged").await.unwrap();
    for topic in ["/ping", "/ping/0A3F73"] {
        worker.publish(topic, b"answer").await.unwrap();
        assert_eq!(watch.next_publish(SOON).await.unwrap().topic, topic);
    }
    for filter in
        ["$share/parsers//messenger", "$share/parsers//messenger/+", "$share/exporters//DB"]
    {
        worker.subscribe(filter).await.unwrap();
    }
    for filter in ["/messenger/+", "/DB", "$share/others//messenger", "$share/parsers//#"] {
        worker.subscribe(filter).await.unwrap_err();
    }
}

#[tokio::test]
async fn nobody_enters_without_a_login() {
    let mut site = Site::start(&[("0A3F73", "device")]).await;
    let address = site.front.address();
    Mqtt::connect(address, "nobody").await.unwrap_err();
    let secret = site.secret("0A3F73");
    for (user, password) in [("0A3F73", "guessed"), ("0A3F73", ""), ("0A3F74", &*secret)] {
        Mqtt::connect_as(address, "somebody", user, password).await.unwrap_err();
    }
    // The loopback listener asks for a login too, and the other speaks TLS only.
    Mqtt::connect(site.plain.address(), "nobody").await.unwrap_err();
    Mqtt::connect_as(site.tls.address(), "plain", "0A3F73", &secret).await.unwrap_err();
    site.connect("0A3F73").await.unwrap();

    // The file takes a login that is disabled, and a restart follows it.
    site.tool(&["device", "disable", "0A3F73"]).await;
    site.stop().await;
    assert!(site.write().await.status.success());
    site.start_again().await;
    site.connect("0A3F73").await.unwrap_err();
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_running_broker_follows_the_identity_store() {
    let mut site = Site::start(&[("0A3F73", "device"), ("watch", "operator")]).await;
    let nothing = site.apply(&[]).await;
    assert_eq!(text(&nothing), "Nothing to change.\n");

    // Disabled: the connection that is there ends, and none is taken.
    let mut device = site.connect("0A3F73").await.unwrap();
    site.tool(&["device", "disable", "0A3F73"]).await;
    let planned = site.apply(&["--dry-run"]).await;
    assert!(text(&planned).contains("disable client"), "{}", text(&planned));
    device.publish("/messenger/0A3F73", b"still here").await.unwrap();
    assert!(site.apply(&[]).await.status.success());
    wait_for(SOON, "the connection ends", async || {
        anyhow::ensure!(device.publish("/messenger/0A3F73", b"x").await.is_err(), "it stands");
        Ok(())
    })
    .await
    .unwrap();
    site.connect("0A3F73").await.unwrap_err();
    site.tool(&["device", "enable", "0A3F73"]).await;
    assert!(site.apply(&[]).await.status.success());
    site.connect("0A3F73").await.unwrap();

    // New: only with its secret in the clear, and named without.
    site.add("00000B", "device").await;
    let left = site.apply(&[]).await;
    assert_eq!(left.status.code(), Some(1));
    assert!(text(&left).contains("00000B") && text(&left).contains("--write"), "{}", text(&left));
    site.connect("00000B").await.unwrap_err();
    let secrets = site.folder.path().join("secrets");
    let line = |site: &Site, name: &str| format!("{name} {}\n", site.secret(name));
    std::fs::write(&secrets, line(&site, "00000B")).unwrap();
    let with_secrets = ["--secrets", secrets.to_str().unwrap()];
    assert!(site.apply(&with_secrets).await.status.success());
    let mut new = site.connect("00000B").await.unwrap();
    new.subscribe("/ping/00000B").await.unwrap();
    new.subscribe("/ping/0A3F73").await.unwrap_err();

    // Rotated: the old secret ends at once, the new one counts when it is known.
    let old = site.secret("0A3F73");
    site.rotate("0A3F73").await;
    assert_eq!(site.apply(&[]).await.status.code(), Some(1));
    let address = site.front.address();
    Mqtt::connect_as(address, "old", "0A3F73", &old).await.unwrap_err();
    std::fs::write(&secrets, line(&site, "0A3F73")).unwrap();
    assert!(site.apply(&with_secrets).await.status.success());
    site.connect("0A3F73").await.unwrap();
    Mqtt::connect_as(address, "old", "0A3F73", &old).await.unwrap_err();

    // It has all been kept, by the plugin itself; and the file written by us on
    // top of that lets the same people in.
    site.stop().await;
    site.start_again().await;
    assert_eq!(text(&site.apply(&[]).await), "Nothing to change.\n");
    site.stop().await;
    assert!(site.write().await.status.success());
    site.start_again().await;
    for name in ["0A3F73", "00000B", "watch"] {
        site.connect(name).await.unwrap();
    }
    assert_eq!(text(&site.apply(&[]).await), "Nothing to change.\n");
}

#[tokio::test]
async fn the_api_commands_devices_by_the_login_of_an_operator() {
    let logins = [("0A3F73", "device"), ("control-room", "operator"), ("line", "worker")];
    let site = Site::start(&logins).await;
    let redis = Redis::start(RedisMemory::Lost).await.unwrap();
    let (redis_url, database_url) = (redis.url(), site.database_url());
    let api_as = async |name: &str| {
        let stores = ["--redis-url", &redis_url, "--database-url", &database_url];
        let url = site.url_as(name);
        Api::start(&[&stores[..], &["--commands-mqtt-url", &url]].concat()).await.unwrap()
    };
    let mut device = site.connect("0A3F73").await.unwrap();
    device.subscribe("/command/0A3F73").await.unwrap();
    let api = api_as("control-room").await;
    let user = User::sign_in(&api.url(), &User::register(&api.url()).await.unwrap()).await.unwrap();
    let (path, body) = ("/api/v1/devices/0A3F73/commands", json!({"hex": "00ff"}));
    let (status, answer) = user.post(path, &body).await.unwrap();
    assert_eq!((status.as_u16(), &answer["delivered_to"]), (202, &json!("broker")), "{answer}");
    assert_eq!(&*device.next_publish(SOON).await.unwrap().payload, [0x00, 0xFF]);

    // A worker's login may not, and the broker says so.
    let mistaken = api_as("line").await;
    let (status, answer) = user.at(&mistaken.url()).post(path, &body).await.unwrap();
    assert_eq!(status, 503, "{answer}");
    assert_eq!(answer["type"], "urn:nemeses:problem:commands-unavailable");
}

#[tokio::test]
async fn the_line_runs_behind_it() {
    let mut site = Site::start(&[("0A3F73", "device"), ("line", "worker")]).await;
    let redis = Redis::start(RedisMemory::Lost).await.unwrap();
    let (mqtt_url, redis_url, database_url) =
        (site.url_as("line"), redis.url(), site.database_url());
    let stores = ["--mqtt-url", &mqtt_url, "--redis-url", &redis_url];
    let with_database = [&stores[..], &["--database-url", &database_url]].concat();
    let exporter = Nemeses::worker("dbexport", 0, &with_database).await.unwrap();
    let parser = Nemeses::worker("parser", 0, &stores).await.unwrap();
    let tables = Tables::Sqlite(site.database_path());
    let rows = async |count: usize| {
        wait_for(SOON, &format!("{count} rows"), async || {
            let rows = tables.positions().await?.len();
            anyhow::ensure!(rows == count, "there are {rows}");
            Ok(())
        })
        .await
        .unwrap();
    };

    let mut device = site.connect("0A3F73").await.unwrap();
    device.subscribe("/ping/0A3F73").await.unwrap();
    device.publish("/messenger/0A3F73", &ping(DEVICE)).await.unwrap();
    let answer = device.next_publish(SOON).await.unwrap();
    assert_eq!(&*answer.payload, b"\x50\xF7\x01PING\x73\xC4");

    // Nobody swallows frames, and what is sent on forbidden topics is no row.
    let now = now_s();
    for sequence in 0..50 {
        device.subscribe("$share/parsers//messenger/+").await.unwrap_err();
        let frame = bytes(&live(DEVICE, now - 60 + sequence, sequence));
        device.publish("/messenger/0A3F73", &frame).await.unwrap();
    }
    device.publish("/messenger", &bytes(&live(DEVICE, now, 1000))).await.unwrap();
    rows(50).await;

    // The broker's sessions and rights survive its clean stop, and so the line. But
    // Mosquitto before 2.0.12 restores a session without its shared subscriptions:
    // until the workers have subscribed again it acknowledges frames and drops them
    // (docs/mosquitto.md).
    site.stop().await;
    site.start_again().await;
    for worker in [&exporter, &parser] {
        wait_for(SOON, "the workers are back", async || {
            let metrics = reqwest::get(worker.metrics_url()).await?.text().await?;
            let back = |line: &str| line == "nemeses_mqtt_in_connects_total 2";
            anyhow::ensure!(metrics.lines().any(back), "{metrics}");
            Ok(())
        })
        .await
        .unwrap();
    }
    let mut device = site.connect("0A3F73").await.unwrap();
    device.publish("/messenger/0A3F73", &bytes(&live(DEVICE, now, 1001))).await.unwrap();
    rows(51).await;
    let audit = site.run(&["audit"]).await;
    assert!(audit.status.success(), "{}", text(&audit));
}
