//! Strangers: those who come through proxies and by names that are not ours, who guess
//! passwords, who open connections and say nothing, and who have one link and take all.

use std::num::NonZeroUsize;
use std::time::Duration;

use nemeses_api::{ApiConfig, Registration};
use nemeses_store::history::{Role, Users as _};
use nemeses_store::live::{LiveEntry, LiveStore as _};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Answer, Api, NOW_MS, RECORDED, record};
use crate::site::{PASSWORD, Site, text};

/// Nothing here takes this long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(30);

fn some(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

async fn answer(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

fn account(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "name": "N"})
}

#[tokio::test]
async fn half_open_requests_keep_nobody_out() {
    let config = ApiConfig {
        max_connections: some(16),
        // Longer than this test waits: no deadline makes room.
        head_timeout: 2 * DEADLINE,
        ..ApiConfig::default()
    };
    let api = Api::start_with(config).await;
    let mut silent = Vec::new();
    for _ in 0..48 {
        let mut stream = TcpStream::connect(api.served.address).await.unwrap();
        // The server may have closed it for another one by now.
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
        silent.push(stream);
    }
    for path in ["/healthz", "/readyz"] {
        timeout(DEADLINE, api.get(path)).await.unwrap().ok();
    }
}

#[tokio::test]
async fn whoever_comes_through_a_proxy_registers_nowhere_and_never_first() {
    let api = Api::start().await;
    let register = async |header: (&'static str, &'static str)| {
        let request = api.served.request(Method::POST, "/register/user").json(&account("x@b.c"));
        answer(request.header(header.0, header.1)).await
    };
    for header in [
        ("X-Forwarded-For", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1"),
        ("Via", "1.1 proxy"),
        ("X-Real-Ip", "::1"),
        ("Sec-Fetch-Site", "cross-site"),
    ] {
        register(header).await.is_problem(403, "forbidden", None);
    }
    assert_eq!(api.served.post("/register/user", &account("ana@b.c")).await.status, 202);
    let first = api.users.by_email("ana@b.c").await.unwrap();
    assert_eq!(first.unwrap().role, Role::Admin, "at this machine it is as easy as ever");
}

#[tokio::test]
async fn names_and_pages_that_are_not_ours_are_refused() {
    let api = Api::start().await;
    for (method, path) in
        [(Method::GET, "/"), (Method::GET, "/api/v1/me"), (Method::POST, "/register/user")]
    {
        let rebound = api.served.request(method, path).header("Host", "evil.example:5000");
        answer(rebound.json(&account("x@b.c"))).await.is_problem(421, "misdirected", None);
    }
    let health = api.served.request(Method::GET, "/healthz").header("Host", "10.1.2.3.example");
    answer(health).await.ok();
    for origin in ["https://evil.example", "null"] {
        let page = api.served.request(Method::POST, "/login").header("Origin", origin);
        answer(page.json(&account("x@b.c"))).await.is_problem(403, "forbidden", Some("Origin"));
    }
    let public_url = Some("https://fleet.example.org".parse().unwrap());
    let public = Api::start_with(ApiConfig { public_url, ..ApiConfig::default() }).await;
    let ask = |host: &str| public.served.signed("/api/v1/me").header("Host", host);
    assert_eq!(
        answer(ask("fleet.example.org")).await.headers["strict-transport-security"],
        "max-age=31536000"
    );
    answer(ask("evil.example")).await.is_problem(421, "misdirected", None);
}

#[tokio::test]
async fn an_account_that_was_asked_for_from_elsewhere_waits_for_an_admin() {
    let config = ApiConfig { registration: Registration::Open, ..ApiConfig::default() };
    let site = Site::start_with(config).await;
    let register = async |email: &str| {
        let request = site.one.request(Method::POST, "/register/user").json(&account(email));
        answer(request.header("X-Forwarded-For", "198.51.100.7")).await
    };
    // One that is new and one that is taken: nothing tells them apart, signing in neither.
    let (new, taken) = (register("new@b.c").await, register("viewer@b.c").await);
    assert_eq!((new.status, taken.status), (202, 202));
    let login = async |email: &str, password: &str| {
        site.one.post("/login", &json!({"email": email, "password": password})).await
    };
    let (new, taken) =
        (login("new@b.c", PASSWORD).await, login("viewer@b.c", "another battery staple").await);
    assert_eq!((new.status, &new.text), (401, &taken.text));

    let admin = site.token("admin").await;
    let users = site.database.users();
    let user = users.by_email("new@b.c").await.unwrap().unwrap();
    assert_eq!((user.role, user.disabled), (Role::Viewer, true));
    let path = format!("/api/v1/users/{}", user.id);
    site.one.send_as(&admin, Method::PATCH, &path, &json!({"disabled": false})).await.ok();
    login("new@b.c", PASSWORD).await.ok();
}

#[tokio::test]
async fn strangers_who_guess_do_not_lock_the_owner_out_of_a_browser_that_is_known() {
    let site = Site::start().await;
    let login = json!({"email": "viewer@b.c", "password": PASSWORD, "cookie": true});
    let signed_in = site.one.post("/login", &login).await;
    let cookies: Vec<String> = signed_in
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap().split(';').next().unwrap().to_owned())
        .collect();
    let known = cookies.iter().find(|cookie| cookie.starts_with("nemeses_browser=")).unwrap();

    // All behind the one address of a proxy that nobody has named.
    for number in 0..40 {
        let wrong = json!({"email": format!("{}@b.c", number % 8), "password": "wrong"});
        site.one.post("/login", &wrong).await;
        let wrong = json!({"email": "viewer@b.c", "password": "wrong"});
        site.one.post("/login", &wrong).await;
    }
    let refused = site.one.post("/login", &login).await;
    refused.is_problem(429, "too-many-attempts", None);
    assert!(refused.headers.contains_key("retry-after"));
    let own = site.one.request(Method::POST, "/login").header("Cookie", known).json(&login);
    answer(own).await.ok();
    // For this account, and no other.
    let other = json!({"email": "admin@b.c", "password": PASSWORD});
    let other = site.one.request(Method::POST, "/login").header("Cookie", known).json(&other);
    answer(other).await.is_problem(429, "too-many-attempts", None);
    // And whoever is signed in changes the password all the same.
    let change = json!({"old_password": PASSWORD, "password": "another battery staple"});
    let token = text(&signed_in.ok(), "token");
    let changed = site.one.send_as(&token, Method::POST, "/api/v1/me/password", &change).await;
    assert_eq!(changed.status, 204, "{changed:?}");
}

#[tokio::test]
async fn whoever_tries_too_soon_is_told_when_and_not_held() {
    let api = Api::start().await;
    let wrong = json!({"email": "ana@b.c", "password": "wrong"});
    for _ in 0..5 {
        api.served.post("/login", &wrong).await.is_problem(401, "wrong-credentials", None);
    }
    let refused = api.served.post("/login", &wrong).await;
    refused.is_problem(429, "too-many-attempts", None);
    assert_eq!(refused.headers["retry-after"], "4");
}

/// A share link of the operator's, opened.
async fn link(site: &Site) -> String {
    let device = "0A3F73";
    let mut record = record(RECORDED, 1);
    record.position.device = device.parse().unwrap();
    let entry = LiveEntry::from_record(&record);
    site.live.merge(&[entry], NOW_MS).await.unwrap();
    let operator = site.token("operator").await;
    let body = json!({"name": "s", "device_ids": [device]});
    let made = site.one.send_as(&operator, Method::POST, "/api/v1/shares", &body).await;
    let made: Value = serde_json::from_str(&made.text).unwrap();
    let secret = text(&made, "url").replace("/#share=", "");
    text(&site.one.post("/share/open", &json!({"token": secret})).await.ok(), "token")
}

#[tokio::test]
async fn one_link_does_not_take_all_streams() {
    let config = ApiConfig { max_streams: some(16), ..ApiConfig::default() };
    let site = Site::start_with(config).await;
    let (link, admin) = (link(&site).await, site.token("admin").await);
    let open = async |token: &str| {
        let request = site.one.request(Method::GET, "/api/v1/stream/").bearer_auth(token);
        request.send().await.unwrap()
    };
    let mut streams = vec![open(&link).await, open(&link).await];
    assert!(streams.iter().all(|stream| stream.status() == 200));
    Answer::of(open(&link).await).await.is_problem(429, "too-many-at-once", None);
    assert_eq!(open(&admin).await.status(), 200);
    streams.clear();
    let again = async {
        while open(&link).await.status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, again).await.unwrap();
}

#[tokio::test]
async fn one_credential_does_not_take_all_reports() {
    let api = Api::start().await;
    // So long that what nobody reads stays in progress.
    api.history.put((0..50_000).map(|n| record(RECORDED + n, 1)));
    let path = "/api/v1/report/?device_id=0A3F73&limit=100000";
    let mut unread = Vec::new();
    for _ in 0..16 {
        unread.push(api.served.signed(path).send().await.unwrap());
    }
    assert!(unread.iter().all(|answer| answer.status() == 200));
    let refused = api.get(path).await;
    refused.is_problem(429, "too-many-at-once", None);
    assert_eq!(refused.headers["retry-after"], "1");
    api.users.set_access(8, Role::Admin, &[]);
    let token = api.served.token_of(8);
    let other = api.served.get_as(&token, "/api/v1/report/?device_id=0A3F73&limit=10");
    timeout(DEADLINE, other).await.unwrap().ok();
    unread.clear();
    let again = async {
        while api.get("/api/v1/report/?device_id=0A3F73&limit=10").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, again).await.unwrap();
}
