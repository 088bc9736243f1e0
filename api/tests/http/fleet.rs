//! Devices, groups and locations, over the stores that a node starts with.

use std::sync::Arc;

use nemeses_api::{ApiConfig, Stores};
use nemeses_protocol::{BatchKey, DeviceId, PositionRecord, Record, WorkerName};
use nemeses_runtime::Clock;
use nemeses_store::history::{
    Database, FirstPlace, LoginRole, NewUser, NotedClass, Options, Part, Role, open,
};
use nemeses_store::live::{LiveEntry, LiveStore, MemoryLive};
use reqwest::Method;
use serde_json::{Value, json};

use crate::fakes::FakeSessions;
use crate::harness::{NOW_MS, RECORDED, Served, embedded_database, record};

const TTL_MS: u64 = 300_000;

/// A fleet: 1 is online, 2 late, 3 offline, 4 has a login only, 5 only pings.
pub(crate) struct Fleet {
    pub(crate) live: Arc<MemoryLive>,
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) served: Served,
    sequence: std::sync::atomic::AtomicU64,
    dir: tempfile::TempDir,
}

pub(crate) fn device(number: u32) -> DeviceId {
    DeviceId::new(number)
}

/// A row of a device at a place, in whole degrees.
pub(crate) fn row(number: u32, recorded_at: u32, longitude: i32, latitude: i32) -> PositionRecord {
    let mut row = record(recorded_at, u64::from(recorded_at));
    row.position.device = device(number);
    row.position.longitude_udeg = longitude * 1_000_000;
    row.position.latitude_udeg = latitude * 1_000_000;
    row
}

impl Fleet {
    pub(crate) async fn empty() -> Self {
        let (dir, database) = embedded_database().await;
        let clock = Clock::held(NOW_MS);
        let live = Arc::new(MemoryLive::new(TTL_MS, clock.clone()));
        let sessions = Arc::new(FakeSessions);
        let stores = Stores { sessions, ..Stores::new(live.clone(), &database) };
        let mut served = Served::start(stores, clock.clone(), ApiConfig::default()).await;
        let admin = Self::user(&database, "admin@localhost", Role::Admin).await;
        served.token = served.token_of(admin);
        Self { live, database, clock, served, sequence: 1.into(), dir }
    }

    pub(crate) async fn user(database: &Database, email: &str, role: Role) -> u64 {
        let user = NewUser {
            email,
            name: "U",
            password_hash: "$",
            role,
            first: FirstPlace::Takes,
            disabled: false,
        };
        database.users().add(user, 1).await.unwrap().id
    }

    pub(crate) async fn commit(&self, rows: Vec<PositionRecord>) {
        self.commit_to(&self.database, rows).await;
    }

    /// Another process's handles on the same database.
    pub(crate) async fn another(&self) -> Database {
        let url = format!("sqlite:{}", self.dir.path().join("history.db").display());
        open(&url, Options::default()).await.unwrap()
    }

    pub(crate) async fn commit_to(&self, database: &Database, rows: Vec<PositionRecord>) {
        let sequence = self.sequence.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let key = BatchKey { worker: WorkerName::from("node-0"), run: 1, sequence };
        let records = rows.into_iter().map(Record::Position).collect();
        let part = Part { key, tallies: vec![], records };
        database.history().commit(&[part], "node-0").await.unwrap();
    }

    /// Stored, and seen so many seconds ago.
    async fn heard(&self, row: PositionRecord, ago_s: u64) {
        let mut entry = LiveEntry::from_record(&row);
        entry.seen_at_ms = NOW_MS - ago_s * 1000;
        self.commit(vec![row]).await;
        self.live.merge(&[entry], NOW_MS).await.unwrap();
    }

    async fn filled() -> Self {
        let fleet = Self::empty().await;
        fleet.heard(row(1, RECORDED, 10, 50), 5).await;
        fleet.heard(row(2, RECORDED - 250, 179, -17), 250).await;
        fleet.commit(vec![row(3, RECORDED - 9000, -179, -18)]).await;
        fleet.database.logins().add("000004", LoginRole::Device(device(4)), 1).await.unwrap();
        fleet.database.logins().add("000005", LoginRole::Device(device(5)), 1).await.unwrap();
        fleet.live.merge(&[LiveEntry::seen(device(5), NOW_MS)], NOW_MS).await.unwrap();
        fleet
    }

    async fn viewer(&self, devices: &[u32]) -> (u64, String) {
        let id = Self::user(&self.database, "viewer@localhost", Role::Viewer).await;
        for number in devices {
            self.database.users().grant(id, device(*number), 1).await.unwrap();
        }
        (id, self.served.token_of(id))
    }
}

fn ids(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap();
    list.iter().map(|one| one["device_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_device_with_its_status_and_place() {
    let fleet = Fleet::filled().await;
    let list = fleet.served.get("/api/v1/devices/").await.ok();
    assert_eq!(ids(&list["devices"]), ["000001", "000002", "000003", "000004", "000005"]);
    let statuses: Vec<_> =
        list["devices"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["online", "late", "offline", "never", "online"]);
    assert_eq!(list["counts"], json!({"online": 2, "late": 1, "offline": 1, "never": 1}));
    assert_eq!((&list["count"], &list["next_cursor"]), (&json!(5), &json!(null)));
    // Each location is what its own route says.
    for one in list["devices"].as_array().unwrap() {
        let id = one["device_id"].as_str().unwrap();
        let alone = fleet.served.get(&format!("/api/v1/location/?device_id={id}")).await;
        if one["status"] == "never" {
            assert_eq!(one["location"], json!(null));
        } else {
            assert_eq!(one["location"], alone.ok(), "{id}");
        }
    }
    assert_eq!(list["devices"][0]["seen_at"], "2020-07-01T21:00:55Z");
    assert_eq!(
        (&list["devices"][0]["name"], &list["devices"][0]["created_at"]),
        (&json!(""), &json!(null))
    );

    for (query, expected) in [
        ("status=late", vec!["000002"]),
        ("status=never", vec!["000004"]),
        ("ids=000005,000001,00000F", vec!["000001", "000005"]),
        ("q=00003", vec!["000003"]),
        ("q=nothing", vec![]),
    ] {
        let found = fleet.served.get(&format!("/api/v1/devices?{query}")).await.ok();
        assert_eq!(ids(&found["devices"]), expected, "{query}");
    }
    let counted = fleet.served.get("/api/v1/devices?status=late").await.ok();
    assert_eq!(counted["counts"], list["counts"], "of all that match but for the status");
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = fleet.served.get(&format!("/api/v1/devices?limit=2&cursor={cursor}")).await.ok();
        paged.extend(page["devices"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(Value::Array(paged), list["devices"]);
}

/// All pages of a list by some query, in the order in which they came.
async fn pages(fleet: &Fleet, list: &str, query: &str, begin: &str) -> Vec<Value> {
    let (mut paged, mut cursor) = (Vec::new(), begin.to_owned());
    loop {
        let path = format!("/api/v1/{list}/?{query}&cursor={cursor}");
        let page = fleet.served.get(&path).await.ok();
        paged.extend(page[list].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return paged,
        }
    }
}

#[tokio::test]
async fn a_long_list_is_read_in_shares_at_once() {
    const OF: u32 = 4;
    let fleet = Fleet::filled().await;
    let numbers = 6..40_u32;
    fleet.commit(numbers.map(|number| row(number, RECORDED, 10, 50)).collect()).await;
    let by_id = |mut all: Vec<Value>| {
        all.sort_by_key(|one| one["device_id"].as_str().unwrap().to_owned());
        all
    };
    for (list, query) in [
        ("devices", "limit=3"),
        ("devices", "status=offline&limit=3"),
        ("devices", "q=00001&limit=100"),
        ("locations", "limit=3"),
        ("locations", "bbox=0,0,20,60&limit=2"),
        ("locations", "near=10,50&limit=5"),
    ] {
        let whole = pages(&fleet, list, query, "").await;
        assert!(whole.len() > 15, "{query}");
        let mut shared = Vec::new();
        for index in 1..=OF {
            let share = pages(&fleet, list, &format!("{query}&shard={index}/{OF}"), "").await;
            assert!(share.len() < whole.len() / 2, "{query}: a share is a part");
            // In the order of the whole.
            let mut rest = whole.iter();
            assert!(share.iter().all(|one| rest.any(|other| other == one)), "{query}");
            shared.extend(share);
        }
        assert_eq!(by_id(shared), by_id(whole), "{query}");
    }

    // After a first page that is not divided, the rest is.
    let first = fleet.served.get("/api/v1/devices/?limit=10").await.ok();
    let mut found = first["devices"].as_array().unwrap().clone();
    for index in 1..=OF {
        let query = format!("limit=3&shard={index}/{OF}");
        found
            .extend(pages(&fleet, "devices", &query, first["next_cursor"].as_str().unwrap()).await);
    }
    assert_eq!(by_id(found), pages(&fleet, "devices", "limit=100", "").await);

    let counts = async |query: &str| {
        let counts = fleet.served.get(&format!("/api/v1/devices/?{query}")).await.ok();
        counts["counts"]["offline"].as_u64().unwrap()
    };
    let halves = [counts("shard=1/2").await, counts("shard=2/2").await];
    assert_eq!(halves.iter().sum::<u64>(), counts("").await, "counts are of the share");
    for list in ["devices", "locations"] {
        let refused = fleet.served.get(&format!("/api/v1/{list}/?shard=5/4")).await;
        refused.is_problem(400, "invalid-parameter", Some("shard"));
    }
}

#[tokio::test]
async fn a_profile_is_made_changed_and_deleted_and_no_frame_with_it() {
    let fleet = Fleet::filled().await;
    let path = "/api/v1/devices/000003/";
    let made = fleet
        .served
        .send(
            Method::PUT,
            path,
            &json!({"name": " Truck 3 ", "tags": ["cold", "cold"], "live_ttl_s": 60}),
        )
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let truck = fleet.served.get(path).await.ok();
    assert_eq!(serde_json::from_str::<Value>(&made.text).unwrap(), truck);
    assert_eq!((&truck["name"], &truck["tags"]), (&json!("Truck 3"), &json!(["cold"])));
    assert_eq!((&truck["retention"], &truck["live_ttl_s"]), (&json!("default"), &json!(60)));
    assert_eq!(
        (&truck["status"], &truck["created_at"]),
        (&json!("offline"), &json!("2020-07-01T21:01:00Z"))
    );

    fleet.clock.set(NOW_MS + 1000);
    let change = json!({"vehicle": "Actros", "live_ttl_s": null, "motion_kmh": 3});
    let changed = fleet.served.send(Method::PATCH, path, &change).await.ok();
    assert_eq!((&changed["name"], &changed["vehicle"]), (&json!("Truck 3"), &json!("Actros")));
    assert_eq!((&changed["live_ttl_s"], &changed["motion_kmh"]), (&json!(null), &json!(3)));
    assert_eq!(changed["updated_at"], "2020-07-01T21:01:01Z");
    let found = fleet.served.get("/api/v1/devices/?q=ACTROS&tag=Cold").await.ok();
    assert_eq!(ids(&found["devices"]), ["000003"]);
    let replaced = fleet.served.send(Method::PUT, path, &json!({"name": "T"})).await.ok();
    assert_eq!((&replaced["vehicle"], &replaced["motion_kmh"]), (&json!(""), &json!(null)));
    assert_eq!(replaced["created_at"], "2020-07-01T21:01:00Z");

    assert_eq!(fleet.served.send(Method::DELETE, path, &json!({})).await.status, 204);
    let gone = fleet.served.send(Method::DELETE, path, &json!({})).await;
    gone.is_problem(404, "unknown-device", Some("device_id"));
    assert_eq!(fleet.served.get(path).await.ok()["name"], "");
    fleet.served.get("/api/v1/report/?device_id=000003").await.ok();

    for (body, field) in [
        (json!({"name": "a\nb"}), "name"),
        (json!({"name": 5}), "name"),
        (json!({"tags": "cold"}), "tags"),
        (json!({"live_ttl_s": 0}), "live_ttl_s"),
        (json!({"stop_s": "1"}), "stop_s"),
        (json!({"retention": "A B"}), "retention"),
        (json!({"retention": "nobody-knows-it"}), "retention"),
        (json!({"colour": "red"}), "colour"),
    ] {
        for method in [Method::PUT, Method::PATCH] {
            let refused = fleet.served.send(method, path, &body).await;
            refused.is_problem(422, "invalid-field", Some(field));
        }
    }
    let bad = fleet.served.send(Method::PUT, "/api/v1/devices/truck", &json!({})).await;
    bad.is_problem(400, "invalid-parameter", Some("device_id"));
    fleet.served.get("/api/v1/devices/%FF").await.is_problem(
        400,
        "invalid-parameter",
        Some("path"),
    );
}

#[tokio::test]
async fn a_device_is_put_in_a_class_that_there_is() {
    let fleet = Fleet::filled().await;
    let classes = fleet.served.get("/api/v1/retention-classes").await.ok();
    assert_eq!(classes["count"], 1, "{classes}");
    let noted = |class: &str, keep_s| NotedClass { class: class.to_owned(), keep_s };
    let retention = fleet.database.retention();
    retention.note_classes(&[noted("default", Some(86_400)), noted("law", None)]).await.unwrap();

    let path = "/api/v1/devices/000003";
    let put = fleet.served.send(Method::PATCH, path, &json!({"retention": "law"})).await;
    assert_eq!(put.status, 201, "{put:?}");
    let none = fleet.served.send(Method::PATCH, path, &json!({"retention": "lore"})).await;
    none.is_problem(422, "invalid-field", Some("retention"));
    // A class that is in use stays one, so that a profile can be changed at all.
    retention.note_classes(&[noted("default", Some(86_400))]).await.unwrap();
    let kept = fleet.served.send(Method::PATCH, path, &json!({"name": "T"})).await.ok();
    assert_eq!(kept["retention"], "law");
    let classes = fleet.served.get("/api/v1/retention-classes").await.ok();
    let meant = json!([
        {"name": "default", "keep_s": 86_400, "devices": 0, "configured": true},
        {"name": "law", "keep_s": null, "devices": 1, "configured": false},
    ]);
    assert_eq!(classes["classes"], meant);
}

#[tokio::test]
async fn a_profile_shortens_how_long_a_device_counts_as_there() {
    let fleet = Fleet::filled().await;
    fleet.served.send(Method::PUT, "/api/v1/devices/000002", &json!({"live_ttl_s": 60})).await;
    let device = fleet.served.get("/api/v1/devices/000002").await.ok();
    assert_eq!((&device["status"], &device["seen_at"]), (&json!("offline"), &json!(null)));
    assert_eq!(device["location"]["position_from"], "history");
    assert_eq!(device["location"]["longitude"], 179.0);
}

#[tokio::test]
async fn groups_and_what_they_let_people_see() {
    let fleet = Fleet::filled().await;
    let (viewer_id, viewer) = fleet.viewer(&[1]).await;
    let made = fleet.served.send(Method::POST, "/api/v1/groups/", &json!({"name": "North"})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let north = serde_json::from_str::<Value>(&made.text).unwrap()["group_id"].as_u64().unwrap();
    let path = format!("/api/v1/groups/{north}");
    let send = async |method, path: &str| fleet.served.send(method, path, &json!({})).await;
    for device in ["000002", "000003"] {
        let device = format!("{path}/devices/{device}");
        assert_eq!(send(Method::PUT, &device).await.status, 204);
        assert_eq!(send(Method::PUT, &device).await.status, 204);
    }
    let whole = fleet.served.get(&path).await.ok();
    assert_eq!(whole["device_ids"], json!(["000002", "000003"]));
    let list = fleet.served.get("/api/v1/groups").await.ok();
    assert_eq!(
        (&list["groups"][0]["name"], &list["groups"][0]["devices"]),
        (&json!("North"), &json!(2))
    );
    let members = fleet.served.get(&format!("/api/v1/devices?group={north}")).await.ok();
    assert_eq!(ids(&members["devices"]), ["000002", "000003"]);
    assert_eq!(members["devices"][0]["groups"], json!([{"group_id": north, "name": "North"}]));
    assert_eq!(members["counts"]["online"], 0);

    let seen = async |path: &str| fleet.served.get_as(&viewer, path).await;
    assert_eq!(ids(&seen("/api/v1/devices").await.ok()["devices"]), ["000001"]);
    assert_eq!(seen("/api/v1/groups").await.ok()["count"], 0);
    let hidden = seen(&path).await;
    hidden.is_problem(404, "unknown-group", Some("group_id"));
    let absent = seen("/api/v1/groups/4711").await;
    assert_eq!(hidden.text.replace(&north.to_string(), "4711"), absent.text);
    for group in [north, 4711] {
        let filtered = seen(&format!("/api/v1/devices?group={group}")).await;
        filtered.is_problem(404, "unknown-group", Some("group"));
    }

    let grant = format!("/api/v1/users/{viewer_id}/groups/{north}");
    assert_eq!(send(Method::PUT, &grant).await.status, 204);
    fleet.clock.set(NOW_MS + 3000);
    let devices = seen("/api/v1/devices").await.ok();
    assert_eq!(ids(&devices["devices"]), ["000001", "000002", "000003"]);
    assert_eq!(devices["counts"], json!({"online": 1, "late": 1, "offline": 1, "never": 0}));
    seen("/api/v1/location?device_id=000003").await.ok();
    assert_eq!(seen(&path).await.ok()["name"], "North");
    assert_eq!(send(Method::DELETE, &grant).await.status, 204);
    fleet.clock.set(NOW_MS + 6000);
    assert_eq!(ids(&seen("/api/v1/devices").await.ok()["devices"]), ["000001"]);

    let south = fleet.served.send(Method::POST, "/api/v1/groups", &json!({"name": "South"})).await;
    assert_eq!(south.status, 201);
    let again = fleet.served.send(Method::PATCH, &path, &json!({"name": "South"})).await;
    again.is_problem(409, "name-taken", Some("name"));
    let again = fleet.served.send(Method::POST, "/api/v1/groups", &json!({"name": "South"})).await;
    again.is_problem(409, "name-taken", Some("name"));
    let renamed = fleet.served.send(Method::PATCH, &path, &json!({"name": "Nord"})).await.ok();
    assert_eq!(renamed["name"], "Nord");
    send(Method::PUT, "/api/v1/groups/4711/devices/000001").await.is_problem(
        404,
        "not-found",
        None,
    );
    send(Method::PUT, "/api/v1/users/4711/groups/1").await.is_problem(404, "not-found", None);
    send(Method::PUT, "/api/v1/groups/x/devices/1").await.is_problem(
        400,
        "invalid-parameter",
        Some("group_id"),
    );
    assert_eq!(send(Method::DELETE, &format!("{path}/devices/000002")).await.status, 204);
    assert_eq!(fleet.served.get(&path).await.ok()["device_ids"], json!(["000003"]));
    assert_eq!(send(Method::DELETE, &path).await.status, 204);
    send(Method::DELETE, &path).await.is_problem(404, "unknown-group", Some("group_id"));
    let refused = fleet.served.request(Method::POST, "/api/v1/groups").bearer_auth(&viewer);
    let refused =
        crate::harness::Answer::of(refused.json(&json!({"name": "X"})).send().await.unwrap()).await;
    refused.is_problem(403, "forbidden", None);
}

#[tokio::test]
async fn locations_of_some_of_a_box_and_the_nearest() {
    let fleet = Fleet::filled().await;
    let get = async |query: &str| fleet.served.get(&format!("/api/v1/locations/?{query}")).await;
    let all = get("").await.ok();
    // Who was never heard has no place, and is not listed.
    assert_eq!(ids(&all["locations"]), ["000001", "000002", "000003", "000005"]);
    let two = get("device_ids=000003,000001").await.ok();
    assert_eq!(ids(&two["locations"]), ["000001", "000003"]);
    let boxed = get("bbox=170,-20,-170,-10").await.ok();
    assert_eq!(ids(&boxed["locations"]), ["000002", "000003"]);
    assert_eq!(ids(&get("bbox=-170,-20,170,60").await.ok()["locations"]), ["000001"]);
    let near = get("near=179.5,-17&limit=2").await.ok();
    assert_eq!(ids(&near["locations"]), ["000002", "000003"]);
    assert_eq!(near["locations"][0]["distance_m"], 53_168);
    let cursor = near["next_cursor"].as_str().unwrap();
    let rest = get(&format!("near=179.5,-17&limit=2&cursor={cursor}")).await.ok();
    assert_eq!((ids(&rest["locations"]), &rest["next_cursor"]), (vec!["000001"], &json!(null)));
    let first = get("limit=3").await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(ids(&get(&format!("cursor={cursor}")).await.ok()["locations"]), ["000005"]);

    let geojson = get("bbox=0,0,20,60&format=geojson").await;
    assert_eq!(geojson.content_type, "application/geo+json");
    let collection: Value = serde_json::from_str(&geojson.text).unwrap();
    assert_eq!(collection["features"][0]["geometry"]["coordinates"], json!([10.0, 50.0]));
    assert_eq!(collection["features"][0]["properties"]["device_id"], "000001");

    let (_, viewer) = fleet.viewer(&[1, 4]).await;
    let seen = async |query: &str| {
        fleet.served.get_as(&viewer, &format!("/api/v1/locations?{query}")).await
    };
    assert_eq!(ids(&seen("").await.ok()["locations"]), ["000001"]);
    assert_eq!(ids(&seen("bbox=-180,-90,180,90").await.ok()["locations"]), ["000001"]);
    assert_eq!(ids(&seen("near=179,-17").await.ok()["locations"]), ["000001"]);
    let (hidden, absent) = (seen("device_ids=000002").await, seen("device_ids=00000F").await);
    hidden.is_problem(404, "unknown-device", Some("device_ids"));
    assert_eq!(hidden.text.replace("000002", "00000F"), absent.text);
}
