//! The books and the look-up.

use nemeses_store::history::{BooksLine, Found, FoundRow, LookUp, StoredLetter, Totals};
use serde_json::json;

use crate::harness::{Api, DEVICE, RECORDED, record};

const MINUTE: u32 = RECORDED / 60;

#[tokio::test]
async fn books_by_page_worker_and_range() {
    let api = Api::start().await;
    let totals = Totals {
        received: 10,
        stored: 4,
        duplicates: 3,
        dead_letters: 2,
        pings: 1,
        ..Totals::default()
    };
    for minute in MINUTE..MINUTE + 3 {
        for worker in ["node-0", "node-1"] {
            let line = BooksLine { worker: worker.into(), minute, totals };
            api.books.lines.lock().unwrap().push(line);
        }
    }
    let first = api
        .get("/api/v1/books?from=2020-07-01T21:00:00Z&to=2020-07-01T21:05:00Z&limit=4")
        .await
        .ok();
    let line = json!({
        "minute": "2020-07-01T21:00:00Z", "worker": "node-0", "received": 10, "stored": 4,
        "duplicates": 3, "dead_letters": 2, "pings": 1, "balanced": true,
    });
    assert_eq!((&first["count"], &first["lines"][0]), (&json!(4), &line));
    assert_eq!(
        (&first["totals"]["received"], &first["totals"]["balanced"]),
        (&json!(60), &json!(true))
    );
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = api
        .get(&format!("/api/v1/books/?from=2020-07-01T21:00:00Z&to=2020-07-01T21:05:00Z&limit=4&cursor={cursor}"))
        .await
        .ok();
    assert_eq!((&rest["count"], &rest["next_cursor"]), (&json!(2), &json!(null)));
    let one = api.get("/api/v1/books?worker=node-1&to=2020-07-01T21:01:59Z").await.ok();
    assert_eq!((&one["count"], &one["to"]), (&json!(2), &json!("2020-07-01T21:01:59.999Z")));
    let bad = api.get("/api/v1/books?cursor=x").await;
    bad.is_problem(400, "invalid-parameter", Some("cursor"));
}

#[tokio::test]
async fn what_became_of_a_frame() {
    let api = Api::start().await;
    let asked = |recorded_at| LookUp::Recorded { device: DEVICE, recorded_at, frame_hash: None };
    let row = FoundRow { record: record(RECORDED, 0xAB), duplicates: 2 };
    let letter = StoredLetter {
        id: 9,
        received_at_ms: 1000,
        topic: "/messenger".into(),
        offset: 33,
        reason: "future".into(),
        device: Some(DEVICE),
        recorded_at: Some(RECORDED + 1),
        length: 2,
        bytes: vec![0x50, 0xF7],
        worker: "node-0".into(),
    };
    {
        let mut found = api.books.found.lock().unwrap();
        found.push((asked(RECORDED), Found { rows: vec![row], letters: vec![] }));
        found.push((asked(RECORDED + 1), Found { rows: vec![], letters: vec![letter.clone()] }));
        found.push((LookUp::Bytes(vec![0xDE]), Found { rows: vec![], letters: vec![letter] }));
    }
    let stored = api.get("/api/v1/lookup?device_id=0A3F73&recorded_at=1593637200").await.ok();
    assert_eq!(
        (&stored["outcome"], &stored["rows"][0]["duplicates"]),
        (&json!("duplicate"), &json!(2))
    );
    assert_eq!(stored["rows"][0]["frame_hash"], "00000000000000ab");
    assert_eq!(stored["rows"][0]["latitude"], -19.932_833);
    let dead =
        api.get("/api/v1/lookup/?device_id=0A3F73&recorded_at=2020-07-01T21:00:01Z").await.ok();
    let expected = json!([{
        "id": 9, "received_at": "1970-01-01T00:00:01Z", "reason": "future", "device_id": "0A3F73",
        "recorded_at": "2020-07-01T21:00:01Z", "topic": "/messenger", "offset": 33, "length": 2,
        "bytes": "50F7", "worker": "node-0",
    }]);
    assert_eq!((&dead["outcome"], &dead["dead_letters"]), (&json!("dead_letter"), &expected));
    let rubbish = api.get("/api/v1/lookup?frame=de").await.ok();
    assert_eq!(rubbish["outcome"], "dead_letter");
    let nothing = api.get("/api/v1/lookup?device_id=0A3F73&recorded_at=5").await.ok();
    assert_eq!(nothing, json!({"outcome": "unknown", "rows": [], "dead_letters": []}));
    let bad = api.get("/api/v1/lookup?device_id=0A3F73").await;
    bad.is_problem(400, "invalid-parameter", Some("recorded_at"));
}
