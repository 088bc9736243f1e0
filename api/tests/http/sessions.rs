//! Sessions over the real database: refresh tokens that are good once, revocation
//! that reaches other instances, and cookies.

use nemeses_api::ApiConfig;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Served};
use crate::site::{PASSWORD, REMEMBERED_MS, Site, text};

/// As long as a replaced refresh token gets the same answer again.
const GRACE_MS: u64 = 30_000;

async fn refresh(at: &Served, token: &str) -> Answer {
    at.post("/token/refresh", &json!({ "refresh_token": token })).await
}

#[tokio::test]
async fn a_refresh_token_is_good_once() {
    let site = Site::start().await;
    let first = site.login("viewer").await;
    assert_eq!(first["refresh_expires_in"], 30 * 86_400);
    site.later(900_000);
    let expired = site.one.get_as(&text(&first, "token"), "/api/v1/me").await;
    expired.is_problem(401, "unauthorized", None);
    let second = refresh(&site.two, &text(&first, "refresh_token")).await.ok();
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_eq!((&second["user_id"], &second["expires_in"]), (&first["user_id"], &json!(900)));
    site.one.get_as(&text(&second, "token"), "/api/v1/me").await.ok();
    site.later(GRACE_MS);
    let third = refresh(&site.one, &text(&second, "refresh_token")).await.ok();

    // The one before, when nobody can have lost its answer any more, ends all of them.
    site.later(GRACE_MS);
    let reused = refresh(&site.one, &text(&second, "refresh_token")).await;
    reused.is_problem(401, "wrong-refresh-token", None);
    let last = refresh(&site.one, &text(&third, "refresh_token")).await;
    last.is_problem(401, "wrong-refresh-token", None);
    site.one.get_as(&text(&third, "token"), "/api/v1/me").await.is_problem(
        401,
        "unauthorized",
        None,
    );
}

#[tokio::test]
async fn an_old_token_ends_the_family_at_once() {
    let site = Site::start().await;
    let first = text(&site.login("viewer").await, "refresh_token");
    let second = text(&refresh(&site.one, &first).await.ok(), "refresh_token");
    let third = text(&refresh(&site.one, &second).await.ok(), "refresh_token");
    refresh(&site.one, &first).await.is_problem(401, "wrong-refresh-token", None);
    refresh(&site.one, &third).await.is_problem(401, "wrong-refresh-token", None);
}

#[tokio::test]
async fn a_lost_answer_is_given_again_for_a_moment() {
    let site = Site::start().await;
    let first = text(&site.login("viewer").await, "refresh_token");
    let (one, two) = tokio::join!(refresh(&site.one, &first), refresh(&site.two, &first));
    let (one, two) = (one.ok(), two.ok());
    assert_eq!(one["refresh_token"], two["refresh_token"]);
    site.later(GRACE_MS - 1);
    let again = refresh(&site.one, &first).await.ok();
    assert_eq!(again["refresh_token"], one["refresh_token"]);
    refresh(&site.one, &text(&again, "refresh_token")).await.ok();
}

#[tokio::test]
async fn a_refresh_token_that_was_made_up_ends_nothing() {
    let site = Site::start().await;
    let good = text(&site.login("viewer").await, "refresh_token");
    let made_up = "A".repeat(64);
    for bad in [made_up.as_str(), "", "x", &good[1..]] {
        refresh(&site.one, bad).await.is_problem(401, "wrong-refresh-token", None);
    }
    refresh(&site.one, &good).await.ok();
    let none = site.one.post("/token/refresh", &json!({})).await;
    none.is_problem(422, "invalid-field", Some("refresh_token"));
    let unknown = json!({ "refresh_token": good, "x": 1 });
    site.one.post("/token/refresh", &unknown).await.is_problem(422, "invalid-field", Some("x"));
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends() {
    let site = Site::start().await;
    let unused = text(&site.login("viewer").await, "refresh_token");
    site.later(30 * 86_400_000);
    refresh(&site.one, &unused).await.is_problem(401, "wrong-refresh-token", None);
    let sessions = site.one.get_as(&site.token("viewer").await, "/api/v1/sessions").await.ok();
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_from_another_instance() {
    let site = Site::start().await;
    let laptop = site.token("viewer").await;
    let stolen = site.login("viewer").await;
    let token = text(&stolen, "token");
    site.two.get_as(&token, "/api/v1/me").await.ok();
    let listed = site.one.get_as(&laptop, "/api/v1/sessions/").await.ok();
    let listed = listed["sessions"].as_array().unwrap();
    let other = listed.iter().find(|session| session["this"] == false).unwrap();
    assert_eq!(listed.len(), 2);
    let path = format!("/api/v1/sessions/{}", other["session_id"]);

    // Nobody else's business.
    let admin = site.token("admin").await;
    site.one.send_as(&admin, Method::DELETE, &path, &json!({})).await.is_problem(
        404,
        "unknown-id",
        Some("session_id"),
    );
    let ended = site.one.send_as(&laptop, Method::DELETE, &path, &json!({})).await;
    assert_eq!((ended.status, ended.text.as_str()), (204, ""));
    site.one.get_as(&token, "/api/v1/me").await.is_problem(401, "unauthorized", None);
    site.later(REMEMBERED_MS);
    site.two.get_as(&token, "/api/v1/me").await.is_problem(401, "unauthorized", None);
    refresh(&site.two, &text(&stolen, "refresh_token")).await.is_problem(
        401,
        "wrong-refresh-token",
        None,
    );
    site.two.get_as(&laptop, "/api/v1/me").await.ok();
    let again = site.one.send_as(&laptop, Method::DELETE, &path, &json!({})).await;
    again.is_problem(404, "unknown-id", Some("session_id"));
}

#[tokio::test]
async fn logging_out_ends_the_session() {
    let site = Site::start().await;
    let by_token = site.login("viewer").await;
    let token = text(&by_token, "token");
    assert_eq!(site.one.send_as(&token, Method::POST, "/logout", &json!({})).await.status, 204);
    site.one.get_as(&token, "/api/v1/me").await.is_problem(401, "unauthorized", None);
    refresh(&site.one, &text(&by_token, "refresh_token")).await.is_problem(
        401,
        "wrong-refresh-token",
        None,
    );

    let by_refresh = site.login("viewer").await;
    let body = json!({ "refresh_token": by_refresh["refresh_token"] });
    for _ in 0..2 {
        assert_eq!(site.one.post("/logout/", &body).await.status, 204);
    }
    let token = text(&by_refresh, "token");
    site.one.get_as(&token, "/api/v1/me").await.is_problem(401, "unauthorized", None);
    let nothing = site.one.post("/logout", &json!({})).await;
    nothing.is_problem(401, "unauthorized", None);
}

#[tokio::test]
async fn browsers_keep_the_refresh_token_in_a_cookie() {
    let public_url = Some("https://fleet.example.org".parse().unwrap());
    let site = Site::start_with(ApiConfig { public_url, ..ApiConfig::default() }).await;
    let login = json!({"email": "viewer@b.c", "password": PASSWORD, "cookie": true});
    let answer = site.one.post("/login", &login).await;
    assert_eq!(answer.ok().get("refresh_token"), None);
    let set = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    let (pair, attributes) = set.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict; Secure");
    assert!(pair.starts_with("__Host-nemeses_refresh="), "{pair}");
    assert_eq!(answer.headers["strict-transport-security"], "max-age=31536000");

    let ask = async |path: &str, cookie: &str, header: Option<&str>| {
        let mut request = site.one.request(Method::POST, path).header("cookie", cookie);
        if let Some(header) = header {
            request = request.header("x-requested-with", header);
        }
        Answer::of(request.send().await.unwrap()).await
    };
    for header in [None, Some("XMLHttpRequest")] {
        for path in ["/token/refresh", "/token/logout"] {
            let forged = ask(path, pair, header).await;
            forged.is_problem(403, "forbidden", Some("X-Requested-With"));
        }
    }
    let refreshed = ask("/token/refresh", pair, Some("nemeses")).await;
    assert_eq!(refreshed.ok().get("refresh_token"), None);
    let next = refreshed.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    assert_ne!(next, pair);
    let out = ask("/token/logout", next, Some("nemeses")).await;
    assert_eq!(out.status, 204);
    assert!(out.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    let token = text(&refreshed.ok(), "token");
    site.one.get_as(&token, "/api/v1/me").await.is_problem(401, "unauthorized", None);
}

#[tokio::test]
async fn a_disabled_account_is_out_and_cannot_come_back() {
    let site = Site::start().await;
    let signed_in = site.login("operator").await;
    let token = text(&signed_in, "token");
    site.one.get_as(&token, "/api/v1/me").await.ok();
    let users = site.database.users();
    let id = users.by_email("operator@b.c").await.unwrap().unwrap().id;
    assert!(users.set_disabled(id, true).await.unwrap());
    site.later(REMEMBERED_MS);
    site.one.get_as(&token, "/api/v1/me").await.is_problem(401, "unauthorized", None);
    refresh(&site.one, &text(&signed_in, "refresh_token")).await.is_problem(
        401,
        "wrong-refresh-token",
        None,
    );
    let login = json!({"email": "operator@b.c", "password": PASSWORD});
    let refused = site.one.post("/login", &login).await;
    refused.is_problem(401, "wrong-credentials", None);
    let unknown = json!({"email": "nobody@b.c", "password": PASSWORD});
    assert_eq!(site.one.post("/login", &unknown).await.text, refused.text);
}
