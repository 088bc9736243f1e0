//! Mosquitto as `deploy/mosquitto/secure.conf` sets it up, with the logins that
//! `nemeses mosquitto-roles` gives it: who may do what over TLS, a running broker
//! that follows the identity store, and the whole line behind it.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test fails where it stands")]

mod front;
mod site;

use std::process::Output;

use nemeses_e2e::frames::{bytes, live, now_s, ping};
use nemeses_e2e::{
    Api, Mqtt, Nemeses, Redis, RedisMemory, SOON, Tables, User, expect_log, run_nemeses, wait_for,
};
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
    for filter in [
        "$share/parsers//messenger",
        "$share/parsers//messenger/+",
        "$share/exporters//DB",
        "/messenger",
        "/messenger/+",
        "$SYS/broker/version",
        "/DB/canary/parser-0",
        "$share/parsers//DB/probe/x",
        "$share/exporters//DB/probe/x",
    ] {
        worker.subscribe(filter).await.unwrap();
    }
    for filter in [
        "/messenger/#",
        "/DB",
        "/DB/#",
        "$SYS/#",
        "$share/others//messenger",
        "$share/others//DB/probe/x",
        "$share/parsers//DB/probe/x/y",
        "$share/parsers//#",
    ] {
        let refused = worker.subscribe(filter).await.unwrap_err().to_string();
        assert!(refused.contains("refused"), "{filter}: {refused}");
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
    expect_log(&["the broker takes no commands from this login", "nothing here reaches devices"]);
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
    wait_for(SOON, "a connection before the first command", async || {
        anyhow::ensure!(api.log()?.contains("commands go to the broker at"), "not connected");
        Ok(())
    })
    .await
    .unwrap();
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
    expect_log(&["no connection to the broker; trying again", "batches are not taken"]);
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

    // The broker's sessions and rights survive its clean stop, and so the line. The
    // shared subscriptions do not: it is the parser's shadow subscription that has what
    // is published before the workers are back.
    let has = async |worker: &Nemeses, wanted: &str| {
        wait_for(SOON, wanted, async || {
            let metrics = reqwest::get(worker.metrics_url()).await?.text().await?;
            anyhow::ensure!(metrics.lines().any(|line| line == wanted), "{metrics}");
            Ok(())
        })
        .await
        .unwrap();
    };
    has(&parser, "nemeses_shadow_held 1").await;
    has(&exporter, "nemeses_canary_state 0").await;
    site.stop().await;
    site.start_again().await;
    let mut device = site.connect("0A3F73").await.unwrap();
    device.publish("/messenger/0A3F73", &bytes(&live(DEVICE, now, 1001))).await.unwrap();
    rows(51).await;
    let audit = site.run(&["audit"]).await;
    assert!(audit.status.success(), "{}", text(&audit));
}

/// `mqtts://` with a private authority: each command that connects to a broker.
#[tokio::test]
async fn all_that_connects_speaks_tls() {
    let logins = [("0A3F73", "device"), ("line", "worker"), ("control-room", "operator")];
    let site = Site::start(&logins).await;
    let redis = Redis::start(RedisMemory::Lost).await.unwrap();
    let (redis_url, database_url) = (redis.url(), site.database_url());
    let ca = site.folder.path().join("server.pem").display().to_string();
    let tls = ["--mqtt-ca", &ca];
    let url = site.tls_url_as("line");
    let broker = [&["--mqtt-url", &url][..], &tls].concat();
    let stores = ["--redis-url", &redis_url, "--database-url", &database_url];
    let exporter = [&broker[..], &stores].concat();
    let _exporter = Nemeses::worker("dbexport", 0, &exporter).await.unwrap();
    let parser = [&broker[..], &stores[..2]].concat();
    let _parser = Nemeses::worker("parser", 0, &parser).await.unwrap();

    let doctor = [&["doctor", "parser", "--admin-listen", "off"], &parser[..]].concat();
    let found = run_nemeses(&doctor).await.unwrap();
    assert!(text(&found).contains("a shared subscription of this login receives"), "{found:?}");
    assert!(text(&found).contains("8 of 8 canaries"), "{found:?}");
    let without = ["doctor", "parser", "--mqtt-url", &url, "--redis-url", &redis_url];
    let found = text(&run_nemeses(without).await.unwrap());
    assert!(found.contains("not trusted here") && found.contains("--mqtt-ca"), "{found}");

    let (device_url, secret) = (site.tls_url_as("0A3F73"), site.secret("0A3F73"));
    let simulate = ["simulate", "--mqtt-url", &device_url, "--devices", "1", "--connections", "0"];
    let own = ["--first-device", "0A3F73", "--own-topics", "--rate", "50", "--duration", "2s"];
    let sent = run_nemeses([&simulate[..], &own, &tls].concat()).await.unwrap();
    assert!(sent.status.success() && !text(&sent).contains(&secret), "{sent:?}");
    let tables = Tables::Sqlite(site.database_path());
    wait_for(SOON, "its frames are rows", async || {
        let rows = tables.positions().await?.len();
        anyhow::ensure!(rows >= 90, "there are {rows}");
        Ok(())
    })
    .await
    .unwrap();

    let operator = site.tls_url_as("control-room");
    let commands = [&["--commands-mqtt-url", &operator][..], &tls, &stores].concat();
    let api = Api::start(&commands).await.unwrap();
    let mut device = site.connect("0A3F73").await.unwrap();
    device.subscribe("/command/0A3F73").await.unwrap();
    let user = User::sign_in(&api.url(), &User::register(&api.url()).await.unwrap()).await.unwrap();
    let path = "/api/v1/devices/0A3F73/commands";
    let (status, answer) = user.post(path, &json!({"hex": "01"})).await.unwrap();
    assert_eq!((status.as_u16(), &answer["delivered_to"]), (202, &json!("broker")), "{answer}");
    assert_eq!(&*device.next_publish(SOON).await.unwrap().payload, [0x01]);

    let planned = site.apply_at(&site.tls_admin_url(), &tls).await;
    assert_eq!(text(&planned), "Nothing to change.\n", "{planned:?}");
}
