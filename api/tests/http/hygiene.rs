//! What holds for every answer: ids of requests, headers for browsers, compression,
//! and the page that shows the API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, RECORDED, record};

#[tokio::test]
async fn a_request_is_found_again_by_its_id() {
    let api = Api::start().await;
    let ask = async |id: &str| {
        let url = format!("http://{}/nowhere", api.served.address);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Answer::of(client.get(url).header("X-Request-Id", id).send().await.unwrap()).await
    };
    let answer = ask("my-own.id_7").await;
    answer.is_problem(404, "not-found", None);
    let body: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(
        (&answer.headers["x-request-id"], &body["request_id"]),
        (&"my-own.id_7".parse().unwrap(), &"my-own.id_7".into())
    );
    let replaced = ask("not a sane one").await;
    let id = replaced.headers["x-request-id"].to_str().unwrap();
    assert!(id.len() == 16 && replaced.text.contains(id), "{replaced:?}");
}

#[tokio::test]
async fn browsers_are_told_neither_to_guess_nor_to_frame() {
    let api = Api::start().await;
    for path in ["/healthz", "/nowhere", "/docs", "/", "/api/v1/location?device_id=x"] {
        let answer = api.get(path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(
                answer.headers.get_all(name).iter().collect::<Vec<_>>(),
                [value],
                "{path} {name}"
            );
        }
        let policies: Vec<_> = answer.headers.get_all("content-security-policy").iter().collect();
        assert_eq!(policies.len(), 1, "{path}");
        let policy = policies[0].to_str().unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_ask() {
    let api = Api::start().await;
    api.history.put((0..3000).map(|n| record(RECORDED + n, 1)));
    let path = "/api/v1/report?device_id=0A3F73&limit=3000";
    let plain = api.get(path).await;
    assert!(!plain.headers.contains_key("content-encoding"));
    let request = api.served.signed(path).header("Accept-Encoding", "gzip");
    let packed = request.send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert_eq!(packed.headers()["vary"], "Accept-Encoding");
    let packed = packed.bytes().await.unwrap();
    assert!(packed.len() * 5 < plain.text.len(), "{} of {}", packed.len(), plain.text.len());
    let head = api.served.request(Method::HEAD, path).bearer_auth(&api.served.token);
    let head = head.header("Accept-Encoding", "gzip").send().await.unwrap();
    assert!(head.status().is_success() && !head.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn the_page_that_shows_the_api_needs_nobody_else() {
    let api = Api::start().await;
    for (path, kind) in [
        ("/docs", "text/html"),
        ("/docs/", "text/html"),
        ("/docs/docs.css", "text/css"),
        ("/docs/docs.js", "text/javascript"),
    ] {
        let answer = Answer::of(api.served.request(Method::GET, path).send().await.unwrap()).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.content_type.starts_with(kind), "{path}");
        assert!(!answer.text.contains("://") && !answer.text.contains("innerHTML"), "{path}");
        let policy = answer.headers["content-security-policy"].to_str().unwrap().to_owned();
        assert!(!policy.contains("unsafe") && policy.contains("script-src 'self'"), "{path}");
    }
}

#[tokio::test]
async fn pages_of_named_origins_read_answers_and_others_do_not() {
    let cors_origins = vec!["https://map.example.org".to_owned()];
    let config = nemeses_api::ApiConfig { cors_origins, ..Default::default() };
    let api = Api::start_with(config).await;
    let path = "/api/v1/books";
    for (origin, allowed) in [
        ("https://map.example.org", true),
        ("https://map.example.org.evil.example", false),
        ("http://map.example.org", false),
        ("null", false),
    ] {
        let asks = api.served.request(Method::OPTIONS, path).header("Origin", origin);
        let asks = asks.header("Access-Control-Request-Method", "GET").send().await.unwrap();
        let asks = Answer::of(asks).await;
        assert_eq!(asks.status, if allowed { 204 } else { 405 }, "{origin}");
        let answer = api.served.signed(path).header("Origin", origin).send().await.unwrap();
        let answer = Answer::of(answer).await;
        assert_eq!((answer.status, &answer.headers["vary"]), (200, &"Origin".parse().unwrap()));
        for headers in [&asks.headers, &answer.headers] {
            let told = headers.get("access-control-allow-origin");
            assert_eq!(told.map(|value| value.to_str().unwrap()), allowed.then_some(origin));
            assert!(!headers.contains_key("access-control-allow-credentials"));
        }
    }
    let unasked = Api::start().await;
    let answer = unasked.served.signed(path).header("Origin", "https://map.example.org");
    let answer = Answer::of(answer.send().await.unwrap()).await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let api = Api::start().await;
    let made = api.served.send(Method::POST, "/api/v1/groups", &json!({"name": "North"})).await;
    assert_eq!(made.status, 201, "{made:?}");
    for path in ["/openapi.json", "/api/v1/groups", "/api/v1/groups/1/", "/api/v1/fleet/summary"] {
        let first = api.get(path).await;
        assert_eq!(first.status, 200, "{path}: {first:?}");
        assert_eq!(first.headers["cache-control"], "private, no-cache", "{path}");
        let tag = first.headers["etag"].to_str().unwrap().to_owned();
        assert!(tag.starts_with('"'), "{path}: {tag}");
        for asked in [tag.clone(), format!("\"other\", W/{tag}")] {
            let again = api.served.signed(path).header("If-None-Match", asked).send().await;
            let again = Answer::of(again.unwrap()).await;
            assert_eq!((again.status, again.text.as_str()), (304, ""), "{path}");
            assert_eq!(again.headers["etag"], tag, "{path}");
            assert_eq!(again.headers["cache-control"], "private, no-cache", "{path}");
        }
        let other = api.served.signed(path).header("If-None-Match", "\"other\"").send().await;
        assert_eq!(Answer::of(other.unwrap()).await.text, first.text, "{path}");
        if path != "/openapi.json" {
            // Who may not see it does not learn that it is the same.
            let stranger = api.served.request(Method::GET, path).header("If-None-Match", &tag);
            let stranger = Answer::of(stranger.send().await.unwrap()).await;
            stranger.is_problem(401, "unauthorized", None);
        }
    }
    let packed = api.served.signed("/openapi.json").header("Accept-Encoding", "gzip");
    let packed = packed.send().await.unwrap();
    assert!(packed.headers()["etag"].to_str().unwrap().starts_with("W/\""), "{packed:?}");
    let tag = api.get("/api/v1/groups").await.headers["etag"].clone();
    api.served.send(Method::POST, "/api/v1/groups", &json!({"name": "South"})).await;
    let changed = api.served.signed("/api/v1/groups").header("If-None-Match", tag).send().await;
    assert_eq!(changed.unwrap().status(), 200);
    // What is about this moment, and what is secret, is kept by nobody.
    for path in ["/api/v1/me", "/api/v1/devices", "/api/v1/books"] {
        let answer = api.get(path).await;
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        assert!(!answer.headers.contains_key("etag"), "{path}");
    }
}
