//! Passwords and other people's accounts, over the real database.

use reqwest::Method;
use serde_json::{Value, json};

use crate::site::{PASSWORD, REMEMBERED_MS, Site, text};

async fn id_of(site: &Site, name: &str) -> u64 {
    site.database.users().by_email(&format!("{name}@b.c")).await.unwrap().unwrap().id
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions() {
    let site = Site::start().await;
    let (here, there) = (site.token("viewer").await, site.token("viewer").await);
    let change = async |body: Value| {
        site.one.send_as(&here, Method::POST, "/api/v1/me/password", &body).await
    };
    let wrong = change(json!({"old_password": "wrong", "password": "another battery staple"}));
    wrong.await.is_problem(422, "invalid-field", Some("old_password"));
    let short = change(json!({"old_password": PASSWORD, "password": "short"})).await;
    short.is_problem(422, "invalid-field", Some("password"));
    let good = json!({"old_password": PASSWORD, "password": "another battery staple"});
    assert_eq!(change(good).await.status, 204);
    site.one.get_as(&here, "/api/v1/me").await.ok();
    site.one.get_as(&there, "/api/v1/me").await.is_problem(401, "unauthorized", None);
    let login = |password: &str| json!({"email": "viewer@b.c", "password": password});
    assert_eq!(site.one.post("/login", &login(PASSWORD)).await.status, 401);
    site.one.post("/login", &login("another battery staple")).await.ok();
}

#[tokio::test]
async fn an_admin_makes_changes_and_resets_accounts() {
    let site = Site::start().await;
    let admin = site.token("admin").await;
    let ask = async |method: Method, path: &str, body: Value| {
        site.one.send_as(&admin, method, path, &body).await
    };
    let bob = json!({"email": "Bob@b.c", "name": "Bob"});
    let made = ask(Method::POST, "/api/v1/users/", bob.clone()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made: Value = serde_json::from_str(&made.text).unwrap();
    let login = json!({"email": "bob@b.c", "password": made["password"]});
    let bobs = text(&site.one.post("/login", &login).await.ok(), "token");
    let taken = ask(Method::POST, "/api/v1/users", bob).await;
    taken.is_problem(409, "email-taken", Some("email"));

    let path = format!("/api/v1/users/{}", made["user_id"]);
    let changed = ask(Method::PATCH, &path, json!({"role": "operator"})).await.ok();
    assert_eq!((&changed["role"], &changed["disabled"]), (&json!("operator"), &json!(false)));
    let me = site.one.get_as(&bobs, "/api/v1/me").await.ok();
    assert_eq!(me["devices"]["all"], true);
    assert_eq!(ask(Method::PUT, &format!("{path}/devices/0a3f73"), json!({})).await.status, 204);
    let whole = ask(Method::GET, &path, json!({})).await.ok();
    assert_eq!((&whole["device_ids"], &whole["group_ids"]), (&json!(["0A3F73"]), &json!([])));
    assert_eq!(whole["role"], "operator");
    let reset = ask(Method::POST, &format!("{path}/reset"), json!({})).await.ok();
    site.one.get_as(&bobs, "/api/v1/me").await.is_problem(401, "unauthorized", None);
    let login = json!({"email": "bob@b.c", "password": reset["password"]});
    let bobs = text(&site.two.post("/login", &login).await.ok(), "token");
    site.two.get_as(&bobs, "/api/v1/me").await.ok();
    ask(Method::PATCH, &path, json!({"disabled": true})).await.ok();
    site.later(REMEMBERED_MS);
    site.two.get_as(&bobs, "/api/v1/me").await.is_problem(401, "unauthorized", None);
    assert_eq!(site.one.post("/login", &login).await.status, 401);
    ask(Method::PATCH, &path, json!({"disabled": false})).await.ok();
    site.one.post("/login", &login).await.ok();
    ask(Method::PATCH, &path, json!({"role": "king"})).await.is_problem(
        422,
        "invalid-field",
        Some("role"),
    );
    let own = format!("/api/v1/users/{}", id_of(&site, "admin").await);
    ask(Method::PATCH, &own, json!({"role": "viewer"})).await.is_problem(403, "forbidden", None);
    ask(Method::PATCH, "/api/v1/users/999", json!({})).await.is_problem(
        404,
        "unknown-id",
        Some("user_id"),
    );
}

#[tokio::test]
async fn accounts_are_listed_page_by_page_and_devices_granted() {
    let site = Site::start().await;
    let admin = site.token("admin").await;
    let first = site.one.get_as(&admin, "/api/v1/users?limit=2").await.ok();
    assert_eq!(first["users"].as_array().unwrap().len(), 2);
    assert!(!first.to_string().contains("argon2"), "{first}");
    let rest = format!("/api/v1/users?limit=2&after={}", first["next_after"]);
    let rest = site.one.get_as(&admin, &rest).await.ok();
    assert_eq!((rest["users"].as_array().unwrap().len(), &rest["next_after"]), (1, &json!(null)));

    let viewer = site.token("viewer").await;
    let path = format!("/api/v1/users/{}/devices/0A3F73", id_of(&site, "viewer").await);
    for (method, count) in [(Method::PUT, 1), (Method::PUT, 1), (Method::DELETE, 0)] {
        assert_eq!(site.one.send_as(&admin, method, &path, &json!({})).await.status, 204);
        let me = site.one.get_as(&viewer, "/api/v1/me").await.ok();
        assert_eq!(me["devices"]["count"], count);
    }
    let odd = path.replace("0A3F73", "5");
    site.one.send_as(&admin, Method::PUT, &odd, &json!({})).await.is_problem(
        400,
        "invalid-parameter",
        Some("device_id"),
    );
}
