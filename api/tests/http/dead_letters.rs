//! Dead letters, a device's secret, and what is stored.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use nemeses_api::{ApiConfig, Retried, SecondChance, Stores};
use nemeses_protocol::{BatchKey, DeadLetter, DecodeError, Reason, Record};
use nemeses_runtime::Clock;
use nemeses_store::StoreError;
use nemeses_store::history::{Database, LoginRole, Part};
use nemeses_store::live::MemoryLive;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{DEVICE, NOW_MS, Served, embedded_database};

const BAD_FOOTER: Reason = Reason::Decode(DecodeError::BadFooter);

/// Answers what it was told to, and remembers what it was asked.
struct Decoder {
    answers: Mutex<Vec<Retried>>,
    asked: Mutex<Vec<u64>>,
}

#[async_trait]
impl SecondChance for Decoder {
    async fn retry(&self, id: u64) -> Result<Retried, StoreError> {
        self.asked.lock().unwrap().push(id);
        Ok(self.answers.lock().unwrap().pop().unwrap_or(Retried::Gone))
    }
}

struct Site {
    database: Database,
    decoder: Arc<Decoder>,
    served: Served,
    _dir: tempfile::TempDir,
}

impl Site {
    async fn start(answers: Vec<Retried>) -> Self {
        let (dir, database) = embedded_database().await;
        let clock = Clock::held(NOW_MS);
        let decoder = Arc::new(Decoder { answers: Mutex::new(answers), asked: Mutex::default() });
        let live = Arc::new(MemoryLive::new(300_000, clock.clone()));
        let stores = Stores::new(live, &database).with_second_chance(decoder.clone());
        let mut served = Served::start(stores, clock, ApiConfig::default()).await;
        let account =
            json!({"email": "ana@example.org", "password": "correct horse battery", "name": "Ana"});
        assert_eq!(served.post("/register/user", &account).await.status, 202);
        let signed_in = served.post("/login", &account_of(&account)).await.ok();
        signed_in["token"].as_str().unwrap().clone_into(&mut served.token);
        Self { database, decoder, served, _dir: dir }
    }

    async fn commit(&self, sequence: u64, reason: Reason, bytes: &[u8]) {
        let letter = DeadLetter {
            topic: "/messenger".into(),
            offset: 0,
            reason,
            device: Some(DEVICE),
            received_at_ms: NOW_MS + sequence * 1000,
            bytes: bytes.to_vec(),
        };
        let key = BatchKey { worker: "node".into(), run: 1, sequence };
        let part =
            Part { key, tallies: vec![], records: vec![Record::DeadLetter(Box::new(letter))] };
        self.database.history().commit(&[part], "node").await.unwrap();
    }
}

fn account_of(account: &Value) -> Value {
    json!({"email": account["email"], "password": account["password"]})
}

#[tokio::test]
async fn letters_are_listed_newest_first_and_page_by_page() {
    let site = Site::start(vec![]).await;
    for sequence in 1..=3 {
        site.commit(sequence, BAD_FOOTER, &[0xDE, 0xAD]).await;
    }
    site.commit(4, Reason::Future, &[0xBE, 0xEF]).await;
    let all = site.served.get("/api/v1/dead-letters/").await.ok();
    assert_eq!((&all["count"], &all["next_cursor"]), (&json!(4), &Value::Null));
    assert_eq!(all["dead_letters"][0]["reason"], "future");
    assert_eq!(all["dead_letters"][0]["bytes"], "BEEF");
    let first = site.served.get("/api/v1/dead-letters?reason=bad_footer&limit=2").await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    let path = format!("/api/v1/dead-letters?reason=bad_footer&limit=2&cursor={cursor}");
    let rest = site.served.get(&path).await.ok();
    assert_eq!((&first["count"], &rest["count"]), (&json!(2), &json!(1)));
    let bad = site.served.get("/api/v1/dead-letters?reason=sad").await;
    bad.is_problem(400, "invalid-parameter", Some("reason"));
}

#[tokio::test]
async fn a_letter_gets_its_second_chance() {
    let resolved = Retried::Resolved { stored: 1, duplicates: 0, pings: 0, remains: 2 };
    let site = Site::start(vec![Retried::Gone, Retried::StillDead, resolved]).await;
    let retry = async |id: u64| {
        let path = format!("/api/v1/dead-letters/{id}/retry");
        site.served.send(Method::POST, &path, &json!({})).await
    };
    let expected = json!({
        "outcome": "resolved", "stored": 1, "duplicates": 0, "pings": 0, "new_dead_letters": 2,
    });
    assert_eq!(retry(7).await.ok(), expected);
    assert_eq!(retry(8).await.ok()["outcome"], "still_dead");
    retry(9).await.is_problem(404, "unknown-id", Some("letter_id"));
    assert_eq!(*site.decoder.asked.lock().unwrap(), [7, 8, 9]);
}

#[tokio::test]
async fn a_devices_secret_is_shown_once_and_is_good_at_the_door() {
    let site = Site::start(vec![]).await;
    let path = format!("/api/v1/devices/{DEVICE}/login");
    let made = site.served.send(Method::POST, &path, &json!({})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made: Value = serde_json::from_str(&made.text).unwrap();
    assert_eq!((&made["username"], &made["replaced"]), (&json!("0A3F73"), &json!(false)));
    let next = site.served.send(Method::POST, &path, &json!({})).await.ok();
    assert_eq!(next["replaced"], true);
    let login = site.database.logins().find("0A3F73").await.unwrap().unwrap();
    assert_eq!(login.role, LoginRole::Device(DEVICE));
    let admits = |shown: &Value| login.admits(shown["secret"].as_str().unwrap().as_bytes());
    assert!(admits(&next) && !admits(&made), "only the newest secret is good");
    // A worker whose name looks like a device's id: its secret opens everything.
    let logins = site.database.logins();
    let worker = logins.add("00BEEF", LoginRole::Worker, 1).await.unwrap();
    let taken = site.served.send(Method::POST, "/api/v1/devices/00BEEF/login", &json!({})).await;
    taken.is_problem(409, "name-taken", Some("device_id"));
    let found = logins.find("00BEEF").await.unwrap().unwrap();
    assert!(found.admits(worker.reveal().as_bytes()), "it stays as it was");
    let bad = site.served.send(Method::POST, "/api/v1/devices/van/login", &json!({})).await;
    bad.is_problem(400, "invalid-parameter", Some("device_id"));
}

#[tokio::test]
async fn storage_is_told() {
    let site = Site::start(vec![]).await;
    let told = site.served.get("/api/v1/storage").await.ok();
    assert!(told["bytes"].as_u64().unwrap() > 0, "{told}");
    assert_eq!(told["oldest_at"], Value::Null);
}
