//! The API over the stores that a node starts with.

use std::sync::Arc;

use nemeses_api::{ApiConfig, NewAccount, Stores};
use nemeses_protocol::{BatchKey, PositionRecord, Record, Tally, WorkerName};
use nemeses_runtime::Clock;
use nemeses_store::history::{Database, Options, Part, Role, open};
use nemeses_store::live::{LiveEntry, LiveStore, MemoryLive};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{DEVICE, NOW_MS, RECORDED, Served, record};

const TTL_MS: u64 = 300_000;

struct Node {
    live: Arc<MemoryLive>,
    database: Database,
    clock: Clock,
    served: Served,
    _dir: tempfile::TempDir,
}

impl Node {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("history.db").display());
        let database = open(&url, Options::default()).await.unwrap();
        database.history().migrate().await.unwrap();
        let clock = Clock::held(NOW_MS);
        let live = Arc::new(MemoryLive::new(TTL_MS, clock.clone()));
        let stores = Stores::new(live.clone(), &database);
        let served = Served::start(stores, clock.clone(), ApiConfig::default()).await;
        Self { live, database, clock, served, _dir: dir }
    }

    /// Makes an admin and asks as that one from now on.
    async fn signed_in(mut self) -> Self {
        let account = NewAccount::new("admin@localhost", "a password of hers".into(), "A").unwrap();
        self.served.state.add_account(account, Role::Admin).await.unwrap();
        let login = json!({"email": "admin@localhost", "password": "a password of hers"});
        let signed_in = self.served.post("/login", &login).await.ok();
        signed_in["token"].as_str().unwrap().clone_into(&mut self.served.token);
        self
    }

    async fn commit(&self, sequence: u64, rows: Vec<PositionRecord>) {
        let worker = WorkerName::from("node-0");
        let key = BatchKey { worker, run: 1, sequence };
        let tallies = vec![Tally { minute: RECORDED / 60, pings: 2 }];
        let records = rows.into_iter().map(Record::Position).collect();
        let part = Part { key, tallies, records };
        self.database.history().commit(&[part], "node-0").await.unwrap();
    }
}

#[tokio::test]
async fn from_registration_to_location_and_report() {
    let mut node = Node::start().await;
    let founding = record(RECORDED, 1);
    node.commit(1, vec![founding.clone()]).await;
    node.live.merge(&[LiveEntry::from_record(&founding)], NOW_MS).await.unwrap();

    let account = json!({"email": "ana@example.org", "password": "correct horse battery staple", "name": "Ana"});
    for _ in 0..2 {
        assert_eq!(node.served.post("/register/user", &account).await.status, 202);
    }
    let login = json!({"email": "Ana@example.org", "password": "correct horse battery staple"});
    let signed_in = node.served.post("/login", &login).await.ok();
    assert!(signed_in["user_id"].is_u64());
    node.served.token = signed_in["token"].as_str().unwrap().to_owned();

    let path = "/api/v1/location/?device_id=0A3F73";
    let online = node.served.get(path).await.ok();
    assert_eq!((&online["status"], &online["latitude"]), (&json!("online"), &json!(-19.932_833)));
    node.clock.set(NOW_MS + TTL_MS);
    let offline = node.served.get(path).await.ok();
    assert_eq!(
        (&offline["status"], &offline["longitude"]),
        (&json!("offline"), &json!(-43.938_493))
    );
    node.served.get("/api/v1/location/?device_id=0A3F74").await.is_problem(
        404,
        "unknown-device",
        Some("device_id"),
    );
    let report = node.served.get("/api/v1/report/?device_id=0A3F73").await.ok();
    assert_eq!((&report["count"], &report["rows"][0]["direction_deg"]), (&json!(1), &json!(54.87)));
}

#[tokio::test]
async fn an_account_made_by_the_program_signs_in() {
    let node = Node::start().await;
    let password = "drawn for the demonstration";
    let account = NewAccount::new("Demo@localhost", password.to_owned(), "Demo").unwrap();
    let made = node.served.state.add_account(account, Role::Operator).await.unwrap();
    let (user_id, role) = (made.id, Role::Operator);
    assert_eq!(node.database.users().by_id(user_id).await.unwrap().unwrap().role, role);
    let login = json!({"email": "demo@localhost", "password": password});
    assert_eq!(node.served.post("/login", &login).await.ok()["user_id"], user_id);
    let refused = NewAccount::new("demo@localhost", "short".to_owned(), "Demo").err().unwrap();
    assert!(refused.to_string().starts_with("password: Must have at least 12"), "{refused}");
}

#[tokio::test]
async fn ten_thousand_rows_page_by_page() {
    const ROWS: u32 = 10_000;
    let node = Node::start().await.signed_in().await;
    // Hashes on both sides of the middle: their order has to be the same in SQL and in cursors.
    let row = |n: u32| {
        let hash = u64::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        record(RECORDED + n / 4, hash)
    };
    for (sequence, first) in (0..ROWS).step_by(1000).enumerate() {
        let rows = (first..first + 1000).map(row).collect();
        node.commit(sequence as u64 + 1, rows).await;
    }
    for (order, limit) in [("asc", 1300), ("desc", 700)] {
        let base = format!("/api/v1/report/?device_id={DEVICE}&order={order}");
        let whole = node.served.get(&format!("{base}&limit=100000")).await.ok();
        assert_eq!((&whole["count"], &whole["next_cursor"]), (&json!(ROWS), &json!(null)));
        let mut paged: Vec<Value> = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = node.served.get(&format!("{base}&limit={limit}&cursor={cursor}")).await.ok();
            paged.extend(page["rows"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert!(Value::Array(paged) == whole["rows"], "{order}");
        let times: Vec<&str> = whole["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["recorded_at"].as_str().unwrap())
            .collect();
        assert!(times.is_sorted_by(|one, two| if order == "asc" {
            one <= two
        } else {
            one >= two
        }));
    }
}

#[tokio::test]
async fn ids_beyond_24_bits_go_in_and_come_out() {
    let node = Node::start().await.signed_in().await;
    let (live, served) = (&node.live, &node.served);
    let all = ["FFFFFF", "01000000", "80000000", "FFFFFFFF"];
    for (sequence, id) in (1..).zip(all) {
        let mut rows = [record(RECORDED, 1), record(RECORDED + 1, 2)];
        for row in &mut rows {
            row.position.device = id.parse().unwrap();
        }
        live.merge(&[LiveEntry::from_record(&rows[1])], NOW_MS).await.unwrap();
        node.commit(sequence, rows.into()).await;
    }
    for id in all {
        let location = served.get(&format!("/api/v1/location/?device_id={id}")).await.ok();
        assert_eq!((&location["device_id"], &location["status"]), (&json!(id), &json!("online")));
        let path = format!("/api/v1/report/?device_id={}&limit=1", id.to_lowercase());
        let first = served.get(&path).await.ok();
        let cursor = first["next_cursor"].as_str().unwrap();
        let second = served.get(&format!("{path}&cursor={cursor}")).await.ok();
        assert_eq!(second["rows"][0]["recorded_at"], "2020-07-01T21:00:01Z");
        assert_eq!(second["rows"][0]["device_id"], id);
        let found = format!("/api/v1/lookup?device_id={id}&recorded_at={RECORDED}");
        assert_eq!(served.get(&found).await.ok()["rows"][0]["device_id"], id);
        let profile =
            served.send(Method::PUT, &format!("/api/v1/devices/{id}/"), &json!({"name": id})).await;
        assert_eq!(profile.status, 201, "{profile:?}");
    }
    let mut listed = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = served.get(&format!("/api/v1/devices/?limit=3&cursor={cursor}")).await.ok();
        let ids = page["devices"].as_array().unwrap().iter();
        listed.extend(ids.map(|device| device["device_id"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(listed, all, "in order of their numbers");
    let token = json!({"name": "plotter", "device_ids": ["ffffffff"], "scopes": ["read"]});
    let token = served.send(Method::POST, "/api/v1/tokens/", &token).await;
    assert!(token.text.contains(r#""device_ids":["FFFFFFFF"]"#), "{token:?}");
    for path in ["location/?device_id=", "report/?device_id=", "lookup?recorded_at=9&device_id="] {
        for bad in ["00FFFFFF", "1000000", "100000000"] {
            let answer = served.get(&format!("/api/v1/{path}{bad}")).await;
            answer.is_problem(400, "invalid-parameter", Some("device_id"));
        }
    }
}

#[tokio::test]
async fn books_and_look_up() {
    let node = Node::start().await.signed_in().await;
    node.commit(1, vec![record(RECORDED, 1), record(RECORDED + 1, 2)]).await;
    node.commit(2, vec![record(RECORDED, 1)]).await;
    let books = node.served.get("/api/v1/books").await.ok();
    let line = json!({
        "minute": "2020-07-01T21:00:00Z", "worker": "node-0", "received": 7, "stored": 2,
        "duplicates": 1, "dead_letters": 0, "pings": 4, "balanced": true,
    });
    assert_eq!(books["lines"], json!([line]));
    let found =
        node.served.get("/api/v1/lookup?device_id=0A3F73&recorded_at=1593637200").await.ok();
    assert_eq!(
        (&found["outcome"], &found["rows"][0]["duplicates"]),
        (&json!("duplicate"), &json!(1))
    );
    let found =
        node.served.get("/api/v1/lookup?device_id=0A3F73&recorded_at=1593637201").await.ok();
    assert_eq!(found["outcome"], "stored");
    let found = node.served.get("/api/v1/lookup?device_id=0A3F73&recorded_at=9").await.ok();
    assert_eq!(found["outcome"], "unknown");
}

#[tokio::test]
async fn whoever_has_the_set_up_token_makes_the_first_account_and_nobody_else() {
    let node = Node::start().await;
    let users = node.database.users();
    let offer = || nemeses_api::offer_setup(users.as_ref(), NOW_MS);
    let (token, other) = (offer().await.unwrap().unwrap(), offer().await.unwrap().unwrap());
    let set_up = async |token: &str| {
        let body = json!({
            "token": token, "email": "ana@example.org", "password": "correct horse battery",
            "name": "Ana",
        });
        node.served.post("/setup", &body).await
    };
    set_up("made up").await.is_problem(401, "wrong-setup-token", None);
    node.clock.set(NOW_MS + 86_400_001);
    set_up(&token).await.is_problem(401, "wrong-setup-token", None);
    node.clock.set(NOW_MS);
    let made = set_up(&token).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert!(made.text.contains("\"admin\""), "{made:?}");
    for late in [&token, &other] {
        set_up(late).await.is_problem(401, "wrong-setup-token", None);
    }
    assert_eq!(offer().await.unwrap(), None);
    let login = json!({"email": "ana@example.org", "password": "correct horse battery"});
    let token = node.served.post("/login", &login).await.ok()["token"].as_str().unwrap().to_owned();
    let users = node.served.get_as(&token, "/api/v1/users").await.ok();
    assert_eq!(users["users"].as_array().map(Vec::len), Some(1), "{users}");
}
