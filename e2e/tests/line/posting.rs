//! Values over HTTP and from scripts, in every shape: stored once, answered after the commit.

use nemeses_e2e::{Line, SOON, Shape, User, expect_log, nemeses_binary, wait_for};
use nemeses_protocol::DeviceId;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::in_every_shape;

in_every_shape!(what_is_posted_is_stored_once);

const PATH: &str = "/api/v1/telemetry";
const JSON: &str = "application/json";

async fn post(user: &User, query: &str, (media, key): (&str, &str), body: &str) -> (u16, Value) {
    let mut headers = vec![("Content-Type", media)];
    if !key.is_empty() {
        headers.push(("Idempotency-Key", key));
    }
    user.post_text(&format!("{PATH}{query}"), &headers, body).await.unwrap()
}

fn stored(rows: u64, duplicate: u64) -> (u16, Value) {
    (200, json!({"stored": rows, "duplicate": duplicate, "rejected": []}))
}

async fn what_is_posted_is_stored_once(line: Line) {
    expect_log(&["bytes became dead letters"]);
    let user = line.user().await.unwrap();
    // A time of its own makes a record the same record; a position is a row more.
    let now_s = nemeses_runtime::Clock::system().now_s();
    let tracker = format!(
        r#"{{"t":{now_s},"position":{{"lat":-19.932833,"lon":43.938493,"speed":60.5}},"values":{{"fuel":40}}}}"#
    );
    assert_eq!(post(&user, "?device_id=0A3F73", (JSON, ""), &tracker).await, stored(2, 0));
    assert_eq!(post(&user, "?device_id=0A3F73", (JSON, ""), &tracker).await, stored(0, 2));
    wait_for(SOON, "it is on the map", async || {
        let location = user.location(DeviceId::new(0x000A_3F73)).await?;
        anyhow::ensure!(location["latitude"] == -19.932_833, "{location}");
        Ok(())
    })
    .await
    .unwrap();

    // A key does so for what has no time, however many ask at once.
    let timeless = r#"{"id":"id:boiler-3","values":{"temperature":21.5}}"#;
    let asked = (0..6).map(|_| post(&user, "", (JSON, "k-1"), timeless));
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer, stored(1, 0));
    }
    assert_eq!(post(&user, "", (JSON, ""), timeless).await, stored(1, 0), "without the key");
    let (status, problem) =
        post(&user, "", (JSON, "k-1"), r#"{"id":"id:b","values":{"x":1}}"#).await;
    assert_eq!((status, &problem["type"]), (422, &json!("urn:nemeses:problem:key-reused")));

    // Many devices, in the other forms.
    let lines = "cpu,host=web1 usage=12.5 1700000000000\nmem,host=web2 free=1i 1700000000000\nbad";
    let (status, answer) = post(&user, "?precision=ms", ("text/plain", ""), lines).await;
    assert_eq!((status, &answer["stored"]), (200, &json!(2)), "{answer}");
    assert_eq!(answer["rejected"][0]["reason"], "bad_line");
    let senml = r#"[{"bn":"urn:dev:ow:10e2073a01080063:","bt":1700000000,"n":"temp","v":23.1}]"#;
    assert_eq!(post(&user, "", ("application/senml+json", ""), senml).await, stored(1, 0));

    for (query, media, body, status) in [
        ("", JSON, r#"{"values":{"x":1}}"#, 422),
        ("", JSON, "rubbish", 422),
        ("?device_id=host:web1", JSON, r#"{"id":"host:web2","values":{"x":1}}"#, 422),
        ("?device_id=web1", JSON, "{}", 400),
        ("", "application/xml", "{}", 415),
    ] {
        let (answered, problem) = post(&user, query, (media, ""), body).await;
        assert_eq!(answered, status, "{body} {problem}");
    }
    let large = format!(r#"{{"id":"id:a","values":{{"x":"{}"}}}}"#, "x".repeat(300 * 1024));
    assert_eq!(post(&user, "", (JSON, ""), &large).await.0, 413);

    // From a script.
    let publish = async |values: &[&str]| {
        let url = format!("mqtt://{}", line.mqtt_address());
        let mut command = Command::new(nemeses_binary().unwrap());
        command.args(["publish", "--mqtt-url", &url, "--device", "host:web1"]).args(values);
        let ran = command.kill_on_drop(true).output().await.unwrap();
        (ran.status.success(), String::from_utf8_lossy(&ran.stderr).into_owned())
    };
    assert!(publish(&["load=0.5", "up=true"]).await.0);
    let (well, said) = publish(&["load"]).await;
    assert!(!well && said.contains("temperature=21.5"), "{said}");
    wait_for(SOON, "all records are there", async || {
        let readings = line.tables().count_readings().await?;
        anyhow::ensure!(readings == 7, "{readings} records");
        line.audit().await
    })
    .await
    .unwrap();
}

/// Sent at once when the node is killed.
const REQUESTS: usize = 60;

/// Killed between the commit and the answer, or before the commit: with its key a request is
/// stored once, and answered as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_outlives_a_kill() {
    let mut line = Line::start(Shape::Embedded, &[]).await.unwrap();
    for round in 0..3 {
        let user = line.user().await.unwrap();
        let send = async |user: &User, number: usize| {
            let body = format!(r#"{{"id":"id:d{}","values":{{"n":{number}}}}}"#, number % 7);
            let headers =
                [("Content-Type", JSON), ("Idempotency-Key", &*format!("{round}-{number}"))];
            user.post_text(PATH, &headers, &body).await
        };
        let sending =
            futures_util::future::join_all((0..REQUESTS).map(|number| send(&user, number)));
        let killing = async {
            tokio::time::sleep(std::time::Duration::from_millis(20 + 25 * round)).await;
            let node = line.node.as_mut().unwrap();
            node.kill().unwrap();
            node.start_again().await.unwrap();
        };
        let (answers, ()) = tokio::join!(sending, killing);
        let user = line.user().await.unwrap();
        for (number, before) in answers.into_iter().enumerate() {
            let (status, answer) = wait_for(SOON, "an answer", async || {
                let answer = send(&user, number).await?;
                anyhow::ensure!(answer.0 != 503, "{answer:?}");
                Ok(answer)
            })
            .await
            .unwrap();
            assert_eq!((status, answer.clone()), stored(1, 0));
            // What was answered before the kill was the same.
            if let Ok((200, before)) = before {
                assert_eq!(before, answer);
            }
        }
    }
    assert_eq!(line.tables().count_readings().await.unwrap(), 3 * REQUESTS as u64);
    line.audit().await.unwrap();
}
