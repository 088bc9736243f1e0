//! Values of named channels, from a device's message to an answer, in every shape.

use nemeses_e2e::{Line, SOON, User, expect_log, wait_for};
use serde_json::{Value, json};

use crate::in_every_shape;

const TOPIC: &str = "/telemetry/imei:356307042441013";
const DEVICE: &str = "imei:356307042441013";
/// 2026-06-01T08:00:00Z.
const EIGHT: u64 = 1_780_300_800;

in_every_shape!(what_a_device_reports_is_answered);

async fn what_a_device_reports_is_answered(line: Line) {
    expect_log(&["bytes became dead letters"]);
    let user = line.user().await.unwrap();
    let mut device = line.device("boiler").await.unwrap();
    let payloads: Vec<String> = (0..10)
        .map(|minute| {
            let at = EIGHT + minute * 60;
            format!(
                r#"{{"t":{at},"values":{{"temperature":{}.5,"door":{},"pulses":{}}},"units":{{"temperature":"Cel"}}}}"#,
                20 + minute,
                minute % 2 == 0,
                if minute < 5 { 100 + minute } else { minute - 5 },
            )
        })
        .collect();
    // Sent twice, with their members in another order the second time.
    let again: Vec<String> = payloads.iter().map(|payload| reordered(payload)).collect();
    for payloads in [&payloads, &again] {
        let payloads = payloads.iter().map(String::as_bytes);
        device.publish_all(TOPIC, payloads, 10).await.unwrap();
    }
    device.publish("/telemetry/id:rubbish", b"no JSON").await.unwrap();

    wait_for(SOON, "all values are there", async || {
        let channels = get(&user, &format!("devices/{DEVICE}/channels")).await?;
        anyhow::ensure!(channels["count"] == 3, "{channels}");
        let raw = series(&user, "temperature", "step=raw").await?;
        anyhow::ensure!(raw["count"] == 10, "{raw}");
        Ok(())
    })
    .await
    .unwrap();
    let channels = get(&user, &format!("devices/{DEVICE}/channels")).await.unwrap();
    assert_eq!(channels["device_id"], DEVICE);
    let temperature = channels["channels"]
        .as_array()
        .unwrap()
        .iter()
        .find(|channel| channel["name"] == "temperature")
        .unwrap();
    assert_eq!((&temperature["value"], &temperature["unit"]), (&json!(29.5), &json!("Cel")));
    assert_eq!(temperature["recorded_at"], "2026-06-01T08:09:00Z");

    let means = series(&user, "temperature", "step=5m&agg=mean,max,count").await.unwrap();
    assert_eq!(means["t"], json!([EIGHT * 1000, (EIGHT + 300) * 1000]));
    assert_eq!(
        means["values"],
        json!({"mean": [22.5, 27.5], "max": [24.5, 29.5], "count": [5, 5]})
    );
    // A window without values is a gap.
    let gap = series(&user, "temperature", "step=10m&agg=mean&to=2026-06-01T08:29:59Z").await;
    assert_eq!(gap.unwrap()["values"]["mean"], json!([25, null, null]));
    let open = series(&user, "door", "step=10m&agg=last,mean").await.unwrap();
    assert_eq!(open["values"], json!({"last": [false], "mean": [0.5]}));

    // What a device with a number says is in the live store at once, and told.
    let mut events = user.stream("/api/v1/stream/?values=only&channels=temperature").await.unwrap();
    let spare = r#"{"values":{"temperature":41.5,"spare":1}}"#;
    device.publish("/telemetry/0A3F73", spare.as_bytes()).await.unwrap();
    wait_for(SOON, "the newest value is live", async || {
        let channels = get(&user, "devices/0A3F73/channels").await?;
        let newest =
            |channel: &&Value| channel["name"] == "temperature" && channel["value_from"] == "live";
        let found = channels["channels"].as_array().and_then(|all| all.iter().find(newest));
        anyhow::ensure!(found.is_some_and(|found| found["value"] == 41.5), "{channels}");
        Ok(())
    })
    .await
    .unwrap();
    let told = r#""values":[{"channel":"temperature","unit":null,"value":41.5"#;
    wait_for(SOON, "it is told", async || events.has(told).await).await.unwrap();

    // In lists by its name, in every process.
    let list = get(&user, "devices/?q=imei:").await.unwrap();
    assert_eq!(list["devices"][0]["device_id"], DEVICE, "{list}");
    let (status, _) = user.get("/api/v1/devices/id:nobody/channels").await.unwrap();
    assert_eq!(status, 404);
    let (status, problem) =
        user.get(&format!("/api/v1/series?device_id={DEVICE}&channel=humidity")).await.unwrap();
    assert_eq!(status, 400, "{problem}");
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

async fn get(user: &User, path: &str) -> anyhow::Result<Value> {
    let (status, answer) = user.get(&format!("/api/v1/{path}")).await?;
    anyhow::ensure!(status == 200, "{path}: {answer}");
    Ok(answer)
}

/// Of the ten minutes, unless the query says more.
async fn series(user: &User, channel: &str, query: &str) -> anyhow::Result<Value> {
    let to = if query.contains("to=") { "" } else { "&to=2026-06-01T08:09:59Z" };
    let path = format!(
        "series?device_id={DEVICE}&channel={channel}&from=2026-06-01T08:00:00Z{to}&{query}"
    );
    get(user, &path).await
}

fn reordered(payload: &str) -> String {
    let Value::Object(mut all) = serde_json::from_str(payload).unwrap() else { unreachable!() };
    let values = all.remove("values").unwrap();
    let units = all.remove("units").unwrap();
    let Value::Object(values) = values else { unreachable!() };
    let values: Vec<String> =
        values.iter().rev().map(|(name, value)| format!("{name:?}:{value}")).collect();
    format!(r#"{{"units":{units},"values":{{{}}},"t":{}}}"#, values.join(","), all["t"])
}
