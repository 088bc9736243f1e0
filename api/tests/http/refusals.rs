//! Health, and everything that no route wants.

use std::time::Duration;

use nemeses_api::ApiConfig;
use nemeses_runtime::Registry;
use nemeses_runtime::metrics::encoding::text::encode;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Api};

#[tokio::test]
async fn healthy_whatever_the_stores_and_ready_only_with_both() {
    let api = Api::start().await;
    for path in ["/healthz", "/healthz/", "/readyz", "/readyz/"] {
        let answer = Answer::of(api.served.request(Method::GET, path).send().await.unwrap()).await;
        answer.ok();
    }
    api.live.switch.off();
    api.get("/readyz").await.is_problem(503, "live-unavailable", None);
    api.get("/healthz").await.ok();
    api.live.switch.on();
    api.history.switch.off();
    api.get("/readyz").await.is_problem(503, "history-unavailable", None);
    api.history.switch.on();
    let ready = api.get("/readyz").await.ok();
    let well = json!({"status": "ready", "live": "ok", "history": "ok", "degraded": []});
    assert_eq!(ready, well);
}

#[tokio::test]
async fn other_paths_are_not_found() {
    let api = Api::start().await;
    for path in [
        "/api",
        "/api/v1/",
        "/api/v1/location/0A3F73",
        "/login//",
        "/..%2Fetc",
        "/metrics",
        "/LOGIN",
    ] {
        api.get(path).await.is_problem(404, "not-found", None);
    }
}

#[tokio::test]
async fn other_methods_are_not_allowed_and_told_which_are() {
    let api = Api::start().await;
    let send = async |method: Method, path: &str| {
        Answer::of(api.served.request(method, path).send().await.unwrap()).await
    };
    for path in ["/login", "/register/user/"] {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = send(method, path).await;
            answer.is_problem(405, "method-not-allowed", None);
            assert_eq!(answer.headers.get_all("allow").iter().collect::<Vec<_>>(), ["POST"]);
        }
    }
    for path in
        ["/healthz", "/api/v1/location/", "/api/v1/report", "/api/v1/books", "/api/v1/lookup"]
    {
        for method in [Method::POST, Method::PATCH, Method::from_bytes(b"BREW").unwrap()] {
            let answer = send(method, path).await;
            answer.is_problem(405, "method-not-allowed", None);
            assert_eq!(answer.headers.get_all("allow").iter().collect::<Vec<_>>(), ["GET, HEAD"]);
        }
    }
    let head = send(Method::HEAD, "/healthz").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn bodies_must_be_small_json() {
    let api = Api::start().await;
    for path in ["/login", "/register/user"] {
        let post = |content_type: &'static str, body: String| {
            let request =
                api.served.request(Method::POST, path).header("content-type", content_type);
            async { Answer::of(request.body(body).send().await.unwrap()).await }
        };
        let form = post("application/x-www-form-urlencoded", "email=a".into()).await;
        form.is_problem(415, "unsupported-media-type", None);
        post("text/plain", "{}".into()).await.is_problem(415, "unsupported-media-type", None);
        for malformed in ["", "{", "[]", "null", "{\"email\": \"a\",}", "\u{feff}{}"] {
            let answer = post("application/json", malformed.into()).await;
            answer.is_problem(400, "malformed-body", None);
        }
        let large = format!("{{\"email\": \"{}\"}}", "x".repeat(17_000));
        post("application/json", large).await.is_problem(413, "body-too-large", None);
        let deep = "[".repeat(16_000);
        post("application/json", deep).await.is_problem(400, "malformed-body", None);
    }
    let none = api.served.request(Method::POST, "/login").send().await.unwrap();
    Answer::of(none).await.is_problem(415, "unsupported-media-type", None);
}

#[tokio::test]
async fn answers_are_counted_under_the_paths_of_the_table_only() {
    let api = Api::start().await;
    let mut registry = Registry::default();
    api.served.state.register(&mut registry);
    for path in ["/healthz", "/healthz/?x=1", "/made/up", "/made/up/too", "/login"] {
        api.get(path).await;
    }
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    for line in [
        "nemeses_api_requests_total{path=\"/healthz\",status=\"2xx\"} 2",
        "nemeses_api_requests_total{path=\"/login\",status=\"4xx\"} 1",
        "nemeses_api_requests_total{path=\"none\",status=\"4xx\"} 2",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("made"), "{text}");
}

#[tokio::test]
async fn an_answer_comes_in_time_or_is_a_problem() {
    let short = ApiConfig {
        request_timeout: Duration::from_millis(50),
        store_timeout: Duration::from_secs(3600),
        ..ApiConfig::default()
    };
    let api = Api::start_with(short).await;
    api.live.switch.silence();
    let answer = api.get("/api/v1/location/?device_id=0A3F73").await;
    answer.is_problem(503, "slow", None);
    assert_eq!(answer.headers["retry-after"], "5");
}
