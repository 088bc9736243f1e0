//! Who is alive.

use nemeses_runtime::{Listener, Worker};
use nemeses_store::live::Alive;
use serde_json::json;

use crate::harness::{Api, NOW_MS};

#[tokio::test]
async fn the_processes_that_are_alive_and_how_they_do() {
    let api = Api::start().await;
    let none = api.get("/api/v1/workers").await.ok();
    assert_eq!(none, json!({"workers": [], "count": 0}));
    let worker = Worker {
        host: "machine".to_owned(),
        pid: 12,
        seen_at_ms: NOW_MS - 1_250,
        figures: [("queued_rows".to_owned(), 3.0)].into(),
        listeners: vec![Listener {
            path: Some("owntracks/{user}/{device}".to_owned()),
            ..Listener::new("owntracks", "mqtt", "127.0.0.1:1883")
        }],
        ..Worker::here("parser-0", "parser", "0.1.0", NOW_MS - 60_000)
    };
    api.live.workers.lock().unwrap().push(Alive { worker, silent_ms: 1_000 });
    let one = api.get("/api/v1/workers/").await.ok();
    let expected = json!({
        "name": "parser-0", "role": "parser", "version": "0.1.0", "host": "machine", "pid": 12,
        "started_at": "2020-07-01T21:00:00Z", "seen_at": "2020-07-01T21:00:59Z",
        "clock_ahead_ms": -250, "figures": {"queued_rows": 3.0},
    });
    assert_eq!(one, json!({"workers": [expected], "count": 1}));
    api.get("/api/v1/listeners?x=1").await.is_problem(400, "invalid-parameter", Some("x"));
    let listeners = api.get("/api/v1/listeners/").await.ok();
    let expected = json!({
        "protocol": "owntracks", "transport": "mqtt", "address": "127.0.0.1:1883",
        "path": "owntracks/{user}/{device}", "worker": "parser-0", "received": null,
    });
    assert_eq!(listeners, json!({"listeners": [expected], "count": 1}));
    api.get("/api/v1/workers?x=1").await.is_problem(400, "invalid-parameter", Some("x"));
    api.live.switch.off();
    api.get("/api/v1/workers").await.is_problem(503, "live-unavailable", None);
}
