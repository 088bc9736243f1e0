//! The page, built or not.

use reqwest::Method;
use reqwest::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};

use crate::harness::Api;

#[tokio::test]
async fn the_page_is_served_without_a_token_and_asked_for_again() {
    let api = Api::start().await;
    let page = api.served.request(Method::GET, "/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let headers = page.headers().clone();
    assert_eq!(headers[CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(headers[CACHE_CONTROL], "no-cache");
    assert!(!headers[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("unsafe"));
    assert!(page.text().await.unwrap().contains("Nemeses"));

    let again = api.served.request(Method::GET, "/").header(IF_NONE_MATCH, &headers[ETAG]);
    let again = again.send().await.unwrap();
    assert_eq!(again.status(), 304);
    assert!(again.bytes().await.unwrap().is_empty());
}

/// Whatever the page names is there, and may be kept.
#[tokio::test]
async fn what_the_page_loads_is_there() {
    let api = Api::start().await;
    let page = api.served.request(Method::GET, "/").send().await.unwrap().text().await.unwrap();
    let named = page.split('"').filter(|part| part.starts_with("/assets/"));
    for path in named {
        let file = api.served.request(Method::GET, path).send().await.unwrap();
        assert_eq!(file.status(), 200, "{path}");
        assert!(file.headers()[CACHE_CONTROL].to_str().unwrap().contains("immutable"), "{path}");
    }
    let missing = api.served.request(Method::GET, "/assets/none.js").send().await.unwrap();
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn the_page_is_read_only() {
    let api = Api::start().await;
    assert_eq!(api.served.request(Method::POST, "/").send().await.unwrap().status(), 405);
    let head = api.served.request(Method::HEAD, "/").send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert!(head.bytes().await.unwrap().is_empty());
}
