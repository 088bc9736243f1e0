//! Registering, signing in, and what a token is good for.

use std::time::Duration;

use nemeses_api::ApiConfig;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, DEVICE, NOW_MS, USER_ID};

const PASSWORD: &str = "correct horse battery staple";

fn ana() -> Value {
    json!({"email": " Ana@Example.org ", "password": PASSWORD, "name": "Ana Maria"})
}

#[tokio::test]
async fn registers_signs_in_and_asks() {
    let api = Api::start().await;
    api.history.know(DEVICE);
    let made = api.served.post("/register/user", &ana()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made: Value = serde_json::from_str(&made.text).unwrap();
    assert_eq!(
        made,
        json!({"user_id": 1, "email": "ana@example.org", "name": "Ana Maria", "role": "admin"})
    );

    for path in ["/login", "/login/"] {
        let login = json!({"email": "ANA@example.ORG", "password": PASSWORD});
        let signed_in = api.served.post(path, &login).await.ok();
        assert_eq!(signed_in["user_id"], 1);
        assert_eq!(
            (&signed_in["token_type"], &signed_in["expires_in"]),
            (&json!("Bearer"), &json!(900))
        );
        let token = signed_in["token"].as_str().unwrap();
        let asked = api.served.request(Method::GET, "/api/v1/location/?device_id=0A3F73");
        let asked = asked.bearer_auth(token).header("X-User-Id", "1").send().await.unwrap();
        assert_eq!(Answer::of(asked).await.ok()["status"], "offline");
    }
}

#[tokio::test]
async fn an_address_has_one_account() {
    let api = Api::start().await;
    assert_eq!(api.served.post("/register/user/", &ana()).await.status, 201);
    let again = json!({"email": "ana@EXAMPLE.org", "password": "another password", "name": "A"});
    api.served.post("/register/user", &again).await.is_problem(409, "email-taken", Some("email"));
}

#[tokio::test]
async fn every_field_is_checked_and_named() {
    let api = Api::start().await;
    for (field, value) in [
        ("email", json!("no address")),
        ("email", json!(null)),
        ("password", json!("too short")),
        ("password", json!("x".repeat(1025))),
        ("password", json!(123_456_789_012_u64)),
        ("name", json!("   ")),
        ("name", json!(["Ana"])),
        ("admin", json!(true)),
    ] {
        let mut body = ana();
        body[field] = value;
        let answer = api.served.post("/register/user", &body).await;
        answer.is_problem(422, "invalid-field", Some(field));
    }
    for field in ["email", "password", "name"] {
        let mut body = ana();
        body.as_object_mut().unwrap().remove(field);
        api.served.post("/register/user", &body).await.is_problem(
            422,
            "invalid-field",
            Some(field),
        );
    }
    for field in ["email", "password"] {
        let mut body = json!({"email": "a@b.c", "password": PASSWORD});
        body.as_object_mut().unwrap().remove(field);
        api.served.post("/login", &body).await.is_problem(422, "invalid-field", Some(field));
    }
    let extra = json!({"email": "a@b.c", "password": PASSWORD, "otp": "1"});
    api.served.post("/login", &extra).await.is_problem(422, "invalid-field", Some("otp"));
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_look_alike() {
    let api = Api::start().await;
    api.served.post("/register/user", &ana()).await;
    let wrong =
        api.served.post("/login", &json!({"email": "ana@example.org", "password": "wrong"})).await;
    wrong.is_problem(401, "wrong-credentials", None);
    for email in ["bob@example.org", "no address", "", "' OR 1=1 --"] {
        let unknown =
            api.served.post("/login", &json!({"email": email, "password": PASSWORD})).await;
        assert_eq!((unknown.status, &unknown.text), (401, &wrong.text), "{email}");
        let names =
            |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&unknown), names(&wrong));
    }
}

#[tokio::test]
async fn accounts_need_the_database() {
    let api = Api::start().await;
    api.history.switch.off();
    api.served.post("/register/user", &ana()).await.is_problem(503, "history-unavailable", None);
    let login = json!({"email": "ana@example.org", "password": PASSWORD});
    let answer = api.served.post("/login", &login).await;
    answer.is_problem(503, "history-unavailable", None);
    assert_eq!(answer.headers["retry-after"], "5");
}

#[tokio::test]
async fn every_protected_path_wants_a_good_token() {
    let api = Api::start().await;
    let expired = {
        let token = api.served.token.clone();
        api.clock.set(NOW_MS + 3_600_000);
        token
    };
    for path in ["/api/v1/location/", "/api/v1/report", "/api/v1/books", "/api/v1/lookup/"] {
        let none = api.served.request(Method::GET, path).send().await.unwrap();
        let none = Answer::of(none).await;
        none.is_problem(401, "unauthorized", None);
        assert!(none.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        for token in [expired.as_str(), "forged.token.here", "eyJhbGciOiJub25lIn0.e30."] {
            let answer =
                api.served.request(Method::GET, path).bearer_auth(token).send().await.unwrap();
            Answer::of(answer).await.is_problem(401, "unauthorized", None);
        }
    }
}

#[tokio::test]
async fn the_users_id_must_be_the_tokens() {
    let api = Api::start().await;
    api.history.know(DEVICE);
    let path = "/api/v1/location/?device_id=0A3F73";
    let same = api.served.signed(path).header("X-User-Id", USER_ID).send().await.unwrap();
    Answer::of(same).await.ok();
    let other = api.served.signed(path).header("X-User-Id", USER_ID + 1).send().await.unwrap();
    Answer::of(other).await.is_problem(403, "wrong-user", Some("X-User-Id"));
}

#[tokio::test]
async fn a_storm_of_logins_is_bounded() {
    let patient = ApiConfig { request_timeout: Duration::from_secs(60), ..ApiConfig::default() };
    let api = Api::start_with(patient).await;
    let login = json!({"email": "nobody@example.org", "password": PASSWORD});
    let mut storm = Vec::new();
    for _ in 0..200 {
        storm.push(api.served.post("/login", &login));
    }
    let answers = futures_util::future::join_all(storm).await;
    assert!(answers.iter().all(|answer| [401, 503].contains(&answer.status)), "{answers:?}");
    assert!(answers.iter().filter(|answer| answer.status == 401).count() >= 64);
    for busy in answers.iter().filter(|answer| answer.status == 503) {
        busy.is_problem(503, "busy", None);
    }
    assert_eq!(api.served.post("/login", &login).await.status, 401);
}
