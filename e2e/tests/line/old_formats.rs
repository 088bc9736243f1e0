//! What earlier builds left in their stores (`e2e/fixtures`), opened by this one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nemeses_e2e::frames::{self, live, now_s};
use nemeses_e2e::{
    Brand, FrameKey, Line, Mosquitto, Nemeses, Redis, RedisMemory, SOON, SqlServer, Tables, User,
    expect_log, run_nemeses, wait_for, workspace,
};
use nemeses_protocol::{Composition, DeviceId, Position};
use serde_json::{Value, json};

const TRUCK: DeviceId = DeviceId::new(0x0A_3F73);
/// Its devices may be in the retention class of one of them.
const CLASSES: [&str; 2] = ["--keep-classes", "short=36500days"];
/// Of a live value: where it says when the device was heard, Unix milliseconds.
const SEEN: std::ops::Range<usize> = 2..8;
/// And when its newest frame was recorded, Unix seconds.
const RECORDED: std::ops::Range<usize> = 8..12;

fn fixture(name: &str) -> PathBuf {
    workspace().join("e2e/fixtures/v0-d949f00").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).unwrap()
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    hex::decode(hexadecimal.trim()).unwrap()
}

/// The rows that were sent, by how they were.
fn expected(kinds: &[&str]) -> Vec<Position> {
    let rows: Value = serde_json::from_str(&text("expected.json")).unwrap();
    let of = |kind: &&str| rows["rows"][*kind].as_array().unwrap().clone();
    kinds.iter().flat_map(of).map(|row| position(&row)).collect()
}

fn position(row: &Value) -> Position {
    let number = |name: &str| row[name].as_u64().map(|number| u32::try_from(number).unwrap());
    let degrees = |name: &str| i32::try_from(row[name].as_i64().unwrap()).unwrap();
    let bits = [("gps_fix", 15), ("historical", 14), ("ignition", 13)];
    let bits = bits.map(|(name, bit)| u16::from(row[name] == true) << bit);
    Position {
        device: row["device_id"].as_str().unwrap().parse().unwrap(),
        recorded_at: number("recorded_at").unwrap(),
        direction_cdeg: u16::try_from(number("direction_cdeg").unwrap()).unwrap(),
        odometer_m: number("odometer_m").unwrap(),
        hour_meter_min: number("hour_meter_min").unwrap(),
        composition: Composition(bits.iter().sum()),
        extension: number("extension").map(|number| u16::try_from(number).unwrap()),
        speed_kmh: u8::try_from(number("speed_kmh").unwrap()).unwrap(),
        latitude_udeg: degrees("latitude_udeg"),
        longitude_udeg: degrees("longitude_udeg"),
    }
}

fn keys(rows: &[Position]) -> Vec<FrameKey> {
    let mut keys: Vec<FrameKey> = rows.iter().map(frames::key).collect();
    keys.sort_unstable();
    keys
}

/// What an answer says of a position, as numbers of a frame.
fn shown(row: &Value) -> (i32, i32, u64, u64, u64, bool, bool) {
    #[expect(clippy::cast_possible_truncation, reason = "degrees within 180")]
    let degrees = |name: &str| (row[name].as_f64().unwrap() * 1e6).round() as i32;
    let number = |name: &str| row[name].as_u64().unwrap();
    (
        degrees("latitude"),
        degrees("longitude"),
        number("odometer_m"),
        number("hour_meter_min"),
        number("speed_kmh"),
        row["ignition"] == true,
        row["gps_fix"] == true,
    )
}

fn sent(row: &Position) -> (i32, i32, u64, u64, u64, bool, bool) {
    (
        row.latitude_udeg,
        row.longitude_udeg,
        row.odometer_m.into(),
        row.hour_meter_min.into(),
        row.speed_kmh.into(),
        row.composition.ignition(),
        row.composition.gps_fix(),
    )
}

async fn admin(base: &str) -> User {
    let expected: Value = serde_json::from_str(&text("expected.json")).unwrap();
    let word = |name: &str| expected["admin"][name].as_str().unwrap().to_owned();
    User::sign_in_with(base, &word("email"), &word("password")).await.unwrap()
}

/// Positions device by device, the newest of one, people, devices, letters, and the books.
async fn a_history_reads_as_it_was_written(
    user: &User,
    tables: &Tables,
    database_url: &str,
    rows: &[Position],
) {
    let mut found = tables.positions().await.unwrap();
    found.sort_unstable();
    assert_eq!(found, keys(rows));
    let mut by_device: BTreeMap<u32, Vec<Position>> = BTreeMap::new();
    for row in rows {
        by_device.entry(row.device.number()).or_default().push(*row);
    }
    for (device, mut rows) in by_device {
        rows.sort_unstable_by_key(|row| row.recorded_at);
        let report = user.report(DeviceId::new(device), "&limit=1000").await.unwrap();
        let shown: Vec<_> = report.iter().map(shown).collect();
        assert_eq!(shown, rows.iter().map(sent).collect::<Vec<_>>(), "{device:06X}");
    }
    let get = async |path: &str| {
        let (status, answer) = user.get(path).await.unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    };
    let truck = get("/api/v1/devices/0A3F73").await;
    for (field, value) in [
        ("name", json!("Truck 7")),
        ("vehicle", json!("Actros 1845")),
        ("tags", json!(["cold", "north"])),
        ("motion_kmh", json!(3)),
        ("groups", json!([{"group_id": 1, "name": "North"}])),
    ] {
        assert_eq!(truck[field], value, "{field} of {truck}");
    }
    let people = get("/api/v1/users/").await;
    let emails: Vec<_> =
        people["users"].as_array().unwrap().iter().map(|user| &user["email"]).collect();
    assert_eq!(emails, ["admin@example.org", "operator@example.org", "viewer@example.org"]);
    let letters = get("/api/v1/dead-letters/").await;
    assert_eq!(letters["count"], 2, "{letters}");
    for list in ["tokens", "shares"] {
        let found = get(&format!("/api/v1/{list}/")).await;
        assert_eq!(found[list].as_array().map(Vec::len), Some(1), "{found}");
    }
    assert_eq!(get("/api/v1/fleet/summary/").await["tz"], "UTC");
    let books = run_nemeses(["audit", "--json", "--database-url", database_url]).await.unwrap();
    let books: Value = serde_json::from_slice(&books.stdout).unwrap();
    let totals = &books["totals"];
    assert_eq!(books["balance"], true, "{books}");
    assert_eq!(totals["stored"], rows.len(), "{books}");
    for (what, count) in [("duplicates", 1), ("dead_letters", 3), ("pings", 1)] {
        assert_eq!(totals[what], count, "{what}: {books}");
    }
}

#[tokio::test]
async fn a_sqlite_file_with_rows_in_its_journal() {
    expect_log(&["it is for its owner alone now"]);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let unpacked = Command::new("gzip").arg("-dc").arg(fixture("nemeses.db.gz")).output().unwrap();
    assert!(unpacked.status.success());
    std::fs::write(data.join("nemeses.db"), unpacked.stdout).unwrap();
    handed_out_today(&Tables::Sqlite(data.join("nemeses.db"))).await;
    let line = Line::embedded(folder, &CLASSES).await.unwrap();
    let user = admin(&line.api_url()).await;
    let rows = expected(&["raw", "direct", "old", "journal_first", "journal"]);
    let database_url = line.database_url();
    a_history_reads_as_it_was_written(&user, line.tables(), &database_url, &rows).await;
    // The newest live frame that has a fix; in the journal, of the other device.
    let direct = expected(&["direct"]);
    let location = user.location(TRUCK).await.unwrap();
    assert_eq!((&location["status"], shown(&location)), (&json!("offline"), sent(&direct[10])));
    let last = expected(&["journal"]).pop().unwrap();
    assert_eq!(shown(&user.location(last.device).await.unwrap()), sent(&last));
}

/// The dump in a database.
async fn restored() -> SqlServer {
    let mariadb = SqlServer::start(Brand::MariaDb).await.unwrap();
    let port = mariadb.port().number().to_string();
    let dump = std::fs::File::open(fixture("mariadb.sql")).unwrap();
    let client = Command::new("mariadb")
        .args(["--no-defaults", "-h127.0.0.1", "-P", &port, "-unemeses", "-pnemeses", "nemeses"])
        .stdin(Stdio::from(dump))
        .output()
        .unwrap();
    assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stderr));
    mariadb
}

/// What a person handed out with an end, as if it had been made today: the day on which these
/// tests run must not matter.
async fn handed_out_today(tables: &Tables) {
    let ends_ms = (u64::from(now_s()) + 86_400) * 1000;
    let statement = format!("UPDATE scoped_tokens SET expires_at_ms = {ends_ms}");
    tables.execute(&statement).await.unwrap();
}

/// A live value as if it had been written now: what is old counts as nothing held.
fn of_now(value: &mut [u8]) {
    let now_ms = u64::from(now_s()) * 1000;
    value[SEEN].copy_from_slice(&now_ms.to_be_bytes()[2..]);
}

#[tokio::test]
async fn a_dump_of_mariadb_and_values_of_redis() {
    let (mariadb, redis) =
        tokio::try_join!(async { Ok(restored().await) }, Redis::start(RedisMemory::Lost)).unwrap();
    let kept: Value = serde_json::from_str(&text("live.json")).unwrap();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for (key, value) in kept["entries"].as_object().unwrap() {
        let mut value = bytes(value.as_str().unwrap());
        if !key.contains("{rebuild}") {
            of_now(&mut value);
        }
        let mut set = redis::cmd("SET");
        let set = set.arg(key).arg(value).arg("PX").arg(300_000);
        let () = set.query_async(&mut connection).await.unwrap();
    }
    // Ids of the stream count on from there.
    let id = kept["record"]["id"].as_str().unwrap().trim_end_matches("-0").to_owned();
    let mut counter = redis::cmd("SET");
    let counter = counter.arg("live:{stream}:last").arg(id);
    let () = counter.query_async(&mut connection).await.unwrap();
    let (redis_url, database_url) = (redis.url(), mariadb.url());
    handed_out_today(&Tables::MySql(database_url.clone())).await;
    let line = Line::node_on(redis, mariadb, &redis_url, &database_url, &CLASSES).await.unwrap();
    let user = admin(&line.api_url()).await;
    let rows = expected(&["raw", "direct", "old", "told"]);
    a_history_reads_as_it_was_written(&user, line.tables(), &database_url, &rows).await;

    // The live value was recorded long ago, so history is asked: it holds a newer row.
    let newest = &expected(&["told"])[0];
    let location = user.location(TRUCK).await.unwrap();
    assert_eq!((&location["status"], shown(&location)), (&json!("online"), sent(newest)));
    // A record of the stream as a writer of that build appends it.
    let mut record = bytes(kept["record"]["value"].as_str().unwrap());
    let (length, told) = (record[4], &expected(&["told"])[0]);
    assert_eq!(usize::from(length), record.len() - 5);
    of_now(&mut record[5..]);
    // A second newer than what history says of the device, which is no news.
    let at = u32::from_be_bytes(record[5..][RECORDED].try_into().unwrap());
    record[5..][RECORDED].copy_from_slice(&(at + 1).to_be_bytes());
    let mut events = user.stream("/api/v1/stream/").await.unwrap();
    wait_for(SOON, "the stream passes it on", async || {
        let mut next = redis::cmd("INCRBY");
        let next = next.arg("live:{stream}:last").arg(1);
        let last: u64 = next.query_async(&mut connection.clone()).await?;
        let mut add = redis::cmd("XADD");
        let add = add.arg("live:{stream}:moved").arg(format!("{last}-0")).arg("e").arg(&record);
        let () = add.query_async(&mut connection.clone()).await?;
        events.has(&format!("\"odometer_m\":{}", told.odometer_m)).await
    })
    .await
    .unwrap();

    // What is held is joined with what comes: it moves forward, and never back.
    let mut device = line.device("truck").await.unwrap();
    let newer = live(TRUCK, now_s(), 7);
    device.publish("/messenger", &frames::bytes(&newer)).await.unwrap();
    device.publish("/messenger", &frames::bytes(&live(TRUCK, now_s() - 50, 6))).await.unwrap();
    wait_for(SOON, "the live entry has moved", async || {
        let location = user.location(TRUCK).await?;
        anyhow::ensure!(shown(&location) == sent(&newer), "{location}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn messages_of_a_parser() {
    expect_log(&["bytes became dead letters"]);
    let (mosquitto, mariadb) =
        tokio::try_join!(Mosquitto::start(), SqlServer::start(Brand::MariaDb)).unwrap();
    let (mqtt_url, database_url) = (mosquitto.url(), mariadb.url());
    let args = ["--mqtt-url", &mqtt_url, "--database-url", &database_url];
    let exporter = Nemeses::worker("dbexport", 0, &args).await.unwrap();
    let port = mosquitto.port().number().to_string();
    let folder = tempfile::tempdir().unwrap();
    for name in ["db-message-1-raw", "db-message-1", "db-message-2"] {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes(&text(&format!("{name}.hex")))).unwrap();
        // Taken once somebody is subscribed.
        wait_for(SOON, "the broker has it", async || {
            let mut sender = tokio::process::Command::new("mosquitto_pub");
            sender.args(["-V", "5", "-d", "-q", "1", "-h", "127.0.0.1", "-p", &port]);
            let sent = sender.args(["-t", "/DB", "-f"]).arg(&file).output().await?;
            let said = String::from_utf8_lossy(&sent.stdout).into_owned();
            anyhow::ensure!(said.contains("RC:0"), "{said}");
            Ok(())
        })
        .await
        .unwrap();
    }
    let (tables, wanted) = (Tables::MySql(database_url), keys(&expected(&["direct"])));
    let frames: Vec<Vec<u8>> = expected(&["direct"]).iter().map(frames::bytes).collect();
    wait_for(SOON, "rows and letters are there", async || {
        let mut rows = tables.positions().await?;
        rows.sort_unstable();
        anyhow::ensure!(rows == wanted, "{rows:?}");
        let letters = tables.dead_letters().await?;
        let quarantined = letters.iter().filter(|(reason, _)| reason == "quarantined");
        let quarantined: Vec<&Vec<u8>> = quarantined.map(|(_, bytes)| bytes).collect();
        anyhow::ensure!(quarantined.len() == frames.len(), "{letters:?}");
        anyhow::ensure!(quarantined.into_iter().all(|bytes| frames.contains(bytes)), "{letters:?}");
        anyhow::ensure!(letters.len() == frames.len() + 3, "{letters:?}");
        Ok(())
    })
    .await
    .unwrap();
    drop(exporter);
}
