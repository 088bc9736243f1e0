//! Registering, signing in, and what a token is good for.

use std::time::Duration;

use nemeses_api::{ApiConfig, NewAccount, Registration};
use nemeses_store::history::Role;
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
    assert_eq!(made.status, 202, "{made:?}");
    let made: Value = serde_json::from_str(&made.text).unwrap();
    assert_eq!(made, json!({"email": "ana@example.org", "name": "Ana Maria"}));

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
async fn an_address_has_one_account_and_strangers_do_not_learn_of_it() {
    let api = Api::start().await;
    let first = api.served.post("/register/user/", &ana()).await;
    let mut again = ana();
    again["password"] = "another password".into();
    let second = api.served.post("/register/user", &again).await;
    assert_eq!((first.status, &first.text), (second.status, &second.text));
    let login = async |body: Value| api.served.post("/login", &body).await.status;
    assert_eq!(login(json!({"email": "ana@example.org", "password": PASSWORD})).await, 200);
    let other = json!({"email": "ana@example.org", "password": "another password"});
    assert_eq!(login(other).await, 401);
}

#[tokio::test]
async fn who_tries_many_passwords_is_told_to_wait_by_address() {
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    // With a proxy nobody is local.
    let registration = Registration::Open;
    let config = ApiConfig { trusted_proxies, registration, ..ApiConfig::default() };
    let api = Api::start_with(config).await;
    let from = async |address: &str| {
        let body = json!({"email": format!("{address}@example.org"), "password": "wrong"});
        let request = api.served.request(Method::POST, "/login").json(&body);
        let sent = request.header("X-Forwarded-For", format!("1.1.1.1, {address}")).send().await;
        Answer::of(sent.unwrap()).await
    };
    let account = NewAccount::new("ana@example.org", PASSWORD.into(), "Ana").unwrap();
    api.served.state.add_account(account, Role::Viewer).await.unwrap();
    // Registering counts, whether the address is taken or not.
    let ana = ana();
    let attempts = (0..30).map(|_| api.served.post("/register/user", &ana));
    for answer in futures_util::future::join_all(attempts).await {
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    let refused = api.served.post("/login", &ana_login()).await;
    refused.is_problem(429, "too-many-attempts", None);
    assert_eq!(refused.headers["retry-after"], "2");
    from("198.51.100.7").await.is_problem(401, "wrong-credentials", None);
    api.clock.set(NOW_MS + 2_000);
    api.served.post("/login", &ana_login()).await.ok();
}

fn ana_login() -> Value {
    json!({"email": "ana@example.org", "password": PASSWORD})
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
    let patient = ApiConfig {
        request_timeout: Duration::from_secs(60),
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..ApiConfig::default()
    };
    let api = Api::start_with(patient).await;
    // From many addresses, each about another account: else they would be slowed.
    let login = async |n: u32| {
        let body = json!({"email": format!("nobody{n}@example.org"), "password": PASSWORD});
        let request = api.served.request(Method::POST, "/login").json(&body);
        let from = format!("198.51.100.{n}");
        Answer::of(request.header("X-Forwarded-For", from).send().await.unwrap()).await
    };
    let answers = futures_util::future::join_all((0..200).map(&login)).await;
    assert!(answers.iter().all(|answer| [401, 503].contains(&answer.status)), "{answers:?}");
    assert!(answers.iter().filter(|answer| answer.status == 401).count() >= 64);
    for busy in answers.iter().filter(|answer| answer.status == 503) {
        busy.is_problem(503, "busy", None);
    }
    assert_eq!(login(200).await.status, 401);
}
