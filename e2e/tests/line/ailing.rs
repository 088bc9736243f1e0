//! `nemeses status` and `nemeses doctor` on systems that are well and on broken ones:
//! what is wrong is named, with what to do, and the exit code says it.

use std::time::Duration;

use nemeses_e2e::frames::{bytes, live, now_s};
use nemeses_e2e::{Line, Node, Port, Shape, expect_log, run_nemeses, wait_for};
use nemeses_protocol::DeviceId;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(30);

/// The exit code and the JSON answer.
async fn asked(args: &[&str]) -> (bool, Value) {
    let output = run_nemeses(args).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.success(), answer)
}

async fn status(args: &[&str]) -> (bool, Value) {
    asked(&[&["status", "--json"], args].concat()).await
}

/// What a doctor finds: whether it is well, and `verdict about: says` a line.
async fn doctor(args: &[&str]) -> (bool, String) {
    let (success, answer) = asked(&[&["doctor", "--json"], args].concat()).await;
    assert_eq!(answer["well"], success);
    let line = |finding: &Value| {
        let word = |name: &str| finding[name].as_str().unwrap().to_owned();
        format!("{} {}: {}\n", word("verdict"), word("about"), word("says"))
    };
    (success, answer["findings"].as_array().unwrap().iter().map(line).collect())
}

/// What an operator would type.
async fn tell_redis(port: &Port, command: &str) {
    let mut redis = BufReader::new(TcpStream::connect(port.address()).await.unwrap());
    redis.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    redis.read_line(&mut answer).await.unwrap();
    assert!(!answer.starts_with('-'), "{command}: {answer}");
}

fn names(status: &Value) -> Vec<&str> {
    let processes = status["processes"].as_array().unwrap();
    processes.iter().map(|process| process["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_node_that_is_well_and_one_that_is_gone() {
    let mut line = Line::start(Shape::Embedded, &[]).await.unwrap();
    let mut device = line.device("tracker").await.unwrap();
    let frame = bytes(&live(DeviceId::new(7), now_s(), 1));
    device.publish("/messenger", &frame).await.unwrap();
    let node = line.node.as_ref().unwrap();
    let data = node.folder().join("data").display().to_string();
    let admin = node.metrics_url().replace("/metrics", "");
    let args = ["--data-dir", &data, "--ask", &admin];

    // A count may come a moment after the acknowledgement.
    let (well, answer) = wait_for(SOON, "the frame is counted", async || {
        let (well, answer) = status(&args).await;
        anyhow::ensure!(answer["processes"][0]["figures"]["stored"] == 1.0, "{answer:#}");
        Ok((well, answer))
    })
    .await
    .unwrap();
    assert!(well, "{answer:#}");
    assert_eq!(names(&answer), [format!("node@{}", host_and_port(&line))]);
    assert_eq!(answer["books_last_hour"]["stored"], 1);
    assert_eq!(answer["database"]["schema"], 9);

    let node = line.node.as_mut().unwrap();
    node.kill().unwrap();
    let (well, answer) = status(&args).await;
    assert!(!well && names(&answer).is_empty(), "{answer:#}");
    assert!(answer["complaints"].to_string().contains("no process of this system"), "{answer:#}");
    let output = run_nemeses(["status", "--data-dir", "/not/there", "--ask", "off"]).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("NOT WELL: the database") && text.contains("--data-dir"), "{text}");
}

fn host_and_port(line: &Line) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    format!("{}:{}", host.trim(), line.mqtt_address().port())
}

#[tokio::test]
async fn stations_know_of_each_other_and_what_breaks_is_named() {
    let line = Line::start(Shape::Stations, &[]).await.unwrap();
    let redis = line.redis.as_ref().unwrap().url();
    let broker = line.mosquitto.as_ref().unwrap().url();
    let database = line.database_url();
    let stores = ["--redis-url", &redis, "--database-url", &database];
    let args = [&stores[..], &["--ask", "off"]].concat();

    let (well, answer) = wait_for(SOON, "all stations are announced", async || {
        let (well, answer) = status(&args).await;
        anyhow::ensure!(names(&answer).len() == 5, "{answer:#}");
        Ok((well, answer))
    })
    .await
    .unwrap();
    assert!(well, "{answer:#}");
    assert_eq!(names(&answer)[1..], ["dbexport-0", "dbexport-1", "parser-0", "parser-1"]);
    assert!(names(&answer)[0].starts_with("api@"), "{answer:#}");

    let mqtt = ["--mqtt-url", &broker];
    let off = ["--admin-listen", "off"];
    for command in [
        [&["parser"], &mqtt[..], &stores[..2], &off[..]].concat(),
        [&["dbexport"], &mqtt[..], &stores[..], &off[..]].concat(),
        [&["api", "--http-listen", "127.0.0.1:0"], &stores[..], &off[..]].concat(),
    ] {
        let (well, found) = doctor(&command).await;
        assert!(well, "{found}");
        assert!(found.contains("5 announced, all of this version and time"), "{found}");
        assert!(found.contains("weak redis: it keeps nothing on disk"), "{found}");
    }

    // A process of another version, on a machine with another time.
    let other = json!({
        "name": "parser-9", "role": "parser", "version": "0.0.1", "host": "far", "pid": 1,
        "started_at_ms": 1, "seen_at_ms": 1, "figures": {},
    });
    let redis_port = line.redis.as_ref().unwrap().port();
    tell_redis(redis_port, &format!("SET nemeses:{{workers}}:parser-9 '{other}' PX 20000")).await;
    tell_redis(redis_port, "ZADD nemeses:{workers} 9999999999999 parser-9").await;
    let (well, found) = doctor(&[&["parser"], &mqtt[..], &stores[..2], &off[..]].concat()).await;
    assert!(well && found.contains("weak clocks: the clock of parser-9 on far is"), "{found}");
    assert!(found.contains("weak processes: parser-9 on far has version 0.0.1"), "{found}");
    let (well, answer) = status(&args).await;
    assert!(!well && answer["complaints"].as_array().unwrap().len() == 2, "{answer:#}");

    // A login that may only read, and one that is not there.
    let tables = line.tables();
    let looker = database.replace("nemeses:nemeses@", "looker:looker@");
    assert_ne!(looker, database);
    let export = |url: &str| {
        [&["dbexport"], &mqtt[..], &off[..], &["--database-url", url]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let found = async |url: &str| {
        let command = export(url);
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        doctor(&command).await
    };
    let (well, told) = found(&looker).await;
    assert!(!well && told.contains("wrong rights: the database refuses"), "{told}");
    assert!(told.contains("deploy/accounts/mysql.sh"), "{told}");
    assert!(told.contains("good clocks: the database's clock"), "{told}");
    let (well, told) = found(&looker.replace(":looker@", ":wrong@")).await;
    assert!(!well && told.contains("Access denied"), "{told}");
    assert!(!told.contains("wrong@"), "a password is shown: {told}");

    // Tables of another version.
    for (statement, says) in [
        ("INSERT INTO schema_version VALUES (999, 0)", "newer than this program's"),
        ("UPDATE schema_version SET version = 1", "nemeses migrate"),
    ] {
        tables.execute("DELETE FROM schema_version WHERE version = 999").await.unwrap();
        tables.execute(statement).await.unwrap();
        let command = [&["dbexport", "--no-migrate"], &mqtt[..], &stores[..], &off[..]].concat();
        let (well, told) = doctor(&command).await;
        assert!(!well && told.contains("wrong database") && told.contains(says), "{told}");
    }
    let (well, answer) = status(&args).await;
    assert!(!well && answer["database"]["serves"] == false, "{answer:#}");
}

#[tokio::test]
async fn a_broker_that_refuses_the_login_and_stores_that_are_not_there() {
    expect_log(&["clients were not let in"]);
    let node = Node::start(&["--mqtt-anonymous=false"]).await.unwrap();
    let free = Port::free().unwrap();
    let (broker, redis) = (
        format!("mqtt://nobody:x@{}", node.mqtt().address()),
        format!("redis://{}", free.address()),
    );
    let parser = ["parser", "--admin-listen", "off", "--redis-url", &redis, "--mqtt-url"];
    let (well, found) = doctor(&[&parser[..], &[&broker]].concat()).await;
    assert!(!well && found.contains("refuses this login"), "{found}");
    assert!(found.contains("wrong redis") && found.contains("is it running"), "{found}");

    // The settings of a node that runs already, and of one that cannot.
    let data = node.folder().join("data").display().to_string();
    let (mqtt, admin) = (node.mqtt().address().to_string(), node.metrics_url());
    let admin = admin.trim_start_matches("http://").trim_end_matches("/metrics");
    let up = ["up", "--data-dir", &data, "--http-listen", "127.0.0.1:0", "--mqtt-listen", &mqtt];
    let (well, found) = doctor(&[&up[..], &["--admin-listen", admin]].concat()).await;
    assert!(well && found.contains("runs here already"), "{found}");
    let (well, found) = doctor(&[&up[..], &["--admin-listen", "off"]].concat()).await;
    assert!(!well && found.contains(&format!("mqtt-listen {mqtt}")), "{found}");
    let (well, found) = doctor(&["up", "--http-listen", "0.0.0.0:5000"]).await;
    assert!(!well && found.contains("wrong settings: http-listen cannot be"), "{found}");
}

/// Tables that somebody made or changed by hand: the server answers, and takes no frame.
#[tokio::test]
async fn a_node_whose_commits_cannot_succeed_is_not_ready() {
    expect_log(&["the history cannot be written"]);
    let line = Line::start(Shape::NodeOnServers, &[]).await.unwrap();
    let is = async |status: u16| {
        wait_for(SOON, &format!("readiness is {status}"), async || {
            let answer = reqwest::get(format!("{}/readyz", line.api_url())).await?;
            let (found, text) = (answer.status(), answer.text().await?);
            anyhow::ensure!(found == status, "{found} {text}");
            Ok(text)
        })
        .await
        .unwrap()
    };
    let url = line.database_url();
    let command = ["dbexport", "--no-migrate", "--admin-listen", "off", "--database-url", &url];
    is(200).await;
    let (_, told) = doctor(&command).await;
    assert!(told.contains("good database: a commit of a frame was tried"), "{told}");

    line.tables().execute("ALTER TABLE books RENAME COLUMN received TO gone").await.unwrap();
    assert!(is(503).await.contains("Frames cannot be committed"));
    let (well, told) = doctor(&command).await;
    assert!(!well && told.contains("wrong database: a frame cannot be committed"), "{told}");
    let log = line.node.as_ref().unwrap().log().unwrap();
    assert!(log.contains("a commit was rehearsed and failed"), "{log}");

    line.tables().execute("ALTER TABLE books RENAME COLUMN gone TO received").await.unwrap();
    is(200).await;
}
