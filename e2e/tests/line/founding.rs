//! The founding example, typed as the founding document types it: stock
//! `mosquitto_pub`, `mosquitto_sub` and `curl`.

use std::path::Path;
use std::process::Command;

use nemeses_e2e::frames::FOUNDING_FRAME;
use nemeses_e2e::{Line, Process, Ready, SOON, Spec, wait_for};
use serde_json::{Value, json};

use crate::in_every_shape;

in_every_shape!(a_frame_is_located_and_reported, a_ping_is_answered);

/// Runs a command of the machine and returns what it printed.
fn run(program: &str, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(args).output()?;
    anyhow::ensure!(
        output.status.success(),
        "{program} {args:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

fn curl(args: &[&str]) -> anyhow::Result<Value> {
    let answer = run("curl", &[&["-sS", "--fail-with-body"], args].concat())?;
    Ok(serde_json::from_str(&answer)?)
}

fn mosquitto_pub(line: &Line, payload: &str) -> anyhow::Result<()> {
    let port = line.mqtt_address().port().to_string();
    let to = ["-h", "127.0.0.1", "-p", &port, "-t", "/messenger", "-q", "1", "-m", payload];
    run("mosquitto_pub", &to).map(|_| ())
}

/// `mosquitto_sub` on a topic, subscribed; prints each payload on a line.
async fn mosquitto_sub(line: &Line, topic: &str, folder: &Path) -> Process {
    let port = line.mqtt_address().port().to_string();
    // Its -d tells when it is subscribed; payloads come between such lines, each
    // at once instead of when a buffer is full.
    let ready = Ready::LogHas("Subscribed (mid: 1)".to_owned());
    let to = ["-h", "127.0.0.1", "-p", &port, "-t", topic, "-d"];
    let spec =
        Spec::new("mosquitto_sub", "stdbuf", folder, ready).args(["-oL", "mosquitto_sub"]).args(to);
    Process::start(spec).await.unwrap()
}

async fn a_frame_is_located_and_reported(line: Line) {
    let api = line.api_url();
    let body = ["-H", "content-type: application/json", "-d"];
    let registration = r#"{"email":"ana@example.com","password":"a long enough one","name":"Ana"}"#;
    let register = format!("{api}/register/user");
    curl(&[&body[..], &[registration, &register]].concat()).unwrap();
    let login = r#"{"email":"ana@example.com","password":"a long enough one"}"#;
    let login = curl(&[&body[..], &[login, &format!("{api}/login")]].concat()).unwrap();
    let bearer = format!("authorization: Bearer {}", login["token"].as_str().unwrap());
    let user = format!("x-user-id: {}", login["user_id"]);

    mosquitto_pub(&line, FOUNDING_FRAME).unwrap();

    let location = format!("{api}/api/v1/location/?device_id=0A3F73");
    let found = wait_for(SOON, "the location is known", async || {
        curl(&["-H", &bearer, "-H", &user, &location])
    })
    .await
    .unwrap();
    assert_eq!(
        (&found["latitude"], &found["longitude"], &found["speed_kmh"]),
        (&json!(-19.932_833), &json!(-43.938_493), &json!(60)),
        "{found}"
    );

    let report = format!("{api}/api/v1/report/?device_id=0A3F73");
    let rows = wait_for(SOON, "the report lists the frame", async || {
        let report = curl(&["-H", &bearer, &report])?;
        let rows = report["rows"].as_array().cloned().unwrap_or_default();
        anyhow::ensure!(rows.len() == 1, "{report}");
        Ok(rows)
    })
    .await
    .unwrap();
    let mut row = rows[0].clone();
    assert!(row["received_at"].take().is_string());
    assert_eq!(
        row,
        json!({
            "device_id": "0A3F73", "recorded_at": "2020-07-01T21:00:00Z", "received_at": null,
            "latitude": -19.932_833, "longitude": -43.938_493, "speed_kmh": 60,
            "direction_deg": 54.87, "odometer_m": 25_000_000, "hour_meter_min": 36_000,
            "ignition": true, "gps_fix": true, "historical": false,
        })
    );
    line.audit().await.unwrap();
}

async fn a_ping_is_answered(line: Line) {
    let folder = tempfile::tempdir().unwrap();
    let listener = mosquitto_sub(&line, "/ping/0A3F73", folder.path()).await;
    mosquitto_pub(&line, "50F70A3F730150494E4773C4").unwrap();
    wait_for(SOON, "the answer is heard", async || {
        let log = listener.log()?;
        anyhow::ensure!(log.lines().any(|line| line == "50F70150494E4773C4"), "heard: {log}");
        Ok(())
    })
    .await
    .unwrap();
}
