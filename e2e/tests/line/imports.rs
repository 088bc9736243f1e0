//! Files from elsewhere become the history of a device, once, and never its live position.

use nemeses_e2e::frames::{bytes, live, now_s};
use nemeses_e2e::{Line, SOON, User, run_nemeses, wait_for};
use nemeses_protocol::DeviceId;
use serde_json::{Value, json};

use crate::in_every_shape;

const DEVICE: &str = "0A3F73";
const GPX: &str = r#"<gpx version="1.1"><trk><trkseg>
<trkpt lat="52.5200" lon="13.4050"><ele>34.5</ele><time>2026-06-01T08:00:00Z</time></trkpt>
<trkpt lat="52.5210" lon="13.4060"><time>2026-06-01T08:00:10.500Z</time></trkpt>
<trkpt lat="152.52" lon="13.4060"><time>2026-06-01T08:00:20Z</time></trkpt>
</trkseg></trk></gpx>"#;
const TRACCAR: &str = "\
id,deviceId,protocol,serverTime,deviceTime,fixTime,valid,latitude,longitude,altitude,speed,course,address,accuracy,fuel
7,3,osmand,2026-06-01 08:00:05,2026-06-01 08:00:00,2026-06-01 10:00:00,true,52.52,13.405,34.0,27.0,90.0,A 1, Berlin,5.0,41.5
";

in_every_shape!(a_file_is_history_once);

async fn a_file_is_history_once(line: Line) {
    let user = line.user().await.unwrap();
    let mut tracker = line.device(DEVICE).await.unwrap();
    let number = DeviceId::new(0x000A_3F73);
    line.wait_subscribed(number).await.unwrap();
    let sent = live(number, now_s(), 1);
    tracker.publish("/messenger", &bytes(&sent)).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let (gpx, csv) = (folder.path().join("day.gpx"), folder.path().join("traccar.csv"));
    std::fs::write(&gpx, GPX).unwrap();
    std::fs::write(&csv, TRACCAR).unwrap();
    let (gpx, csv) = (gpx.to_str().unwrap(), csv.to_str().unwrap());

    let dry = import(&line, &["--device", DEVICE, "--dry-run", gpx]).await;
    assert_eq!((&dry["points"], &dry["stored"]), (&json!(2), &json!(0)));
    for (stored, duplicates) in [(2, 0), (0, 2)] {
        let report = import(&line, &["--device", DEVICE, gpx]).await;
        assert_eq!(
            (&report["stored"], &report["duplicates"]),
            (&json!(stored), &json!(duplicates))
        );
        assert_eq!(report["first_refused"][0]["line"], 4, "{report}");
    }
    let zone = ["--time-zone", "Europe/Berlin"];
    let report = import(&line, &[&["--device", "id:van", csv], &zone[..]].concat()).await;
    // Its position and its value.
    assert_eq!((&report["stored"], &report["refused"]), (&json!(2), &json!(0)), "{report}");

    let day = "from=2026-06-01T00:00:00Z&to=2026-06-01T23:59:59Z";
    let rows = get(&user, &format!("report/?device_id={DEVICE}&{day}")).await.unwrap();
    let rows = rows["rows"].as_array().unwrap_or_else(|| panic!("{rows}"));
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0]["altitude_m"], &rows[0]["historical"]), (&json!(34.5), &json!(true)));
    assert_eq!(rows[1]["recorded_ms"], 500);
    let fuel = format!("series?device_id=id:van&channel=fuel&step=raw&{day}");
    let fuel = get(&user, &fuel).await.unwrap();
    assert_eq!(fuel["t"], json!([1_780_300_800_000_u64]), "{fuel}");
    let location = get(&user, &format!("location/?device_id={DEVICE}")).await.unwrap();
    assert_eq!(location["latitude"], f64::from(sent.latitude_udeg) / 1e6, "{location}");
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

async fn get(user: &User, path: &str) -> anyhow::Result<Value> {
    let (status, answer) = user.get(&format!("/api/v1/{path}")).await?;
    anyhow::ensure!(status == 200, "{path}: {answer}");
    Ok(answer)
}

async fn import(line: &Line, args: &[&str]) -> Value {
    let url = line.database_url();
    let args = [&["import", "--json", "--database-url", &url], args].concat();
    let output = run_nemeses(args).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}
