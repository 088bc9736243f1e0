//! Who may do what, over HTTP: every route asks for the right it declares.

use nemeses_api::{NewAccount, Right, declared_routes};
use nemeses_protocol::{
    BatchKey, DeviceId, Identity, Reading, ReadingsRecord, Record, Value, readings_hash,
};
use nemeses_store::history::{NewRule, Part, Profile, Role, RuleScope, Users as _};
use nemeses_store::live::LiveEntry;
use serde_json::json;

use crate::alarms::{opened, raise};
use crate::harness::{Answer, Api, DEVICE, NOW_MS, RECORDED, record};

const OTHER: DeviceId = DeviceId::new(0x0A_3F74);
/// Users of the tests below, next to the harness's admin.
const OPERATOR: u64 = 8;
const VIEWER: u64 = 9;
/// Longer than what users may do is remembered.
const A_WHILE_MS: u64 = 10_000;

/// An API with a device that has a position, and one user of each role.
async fn with_users() -> Api {
    let api = Api::start().await;
    api.users.set_access(OPERATOR, Role::Operator, &[]);
    api.users.set_access(VIEWER, Role::Viewer, &[]);
    let now_ms = api.clock.now_ms();
    api.database.devices().put(&Profile::new(DEVICE, now_ms)).await.unwrap();
    api.database.groups().add("North", now_ms).await.unwrap();
    raise(&api.database, vec![opened(1, DEVICE)]).await;
    let spec = r#"{"test":{"kind":"idling"}}"#;
    let rule = NewRule {
        name: "Idle".into(),
        severity: "info".into(),
        spec: spec.into(),
        scope: RuleScope::All,
        enabled: true,
        receivers: Vec::new(),
    };
    api.database.rules().add_rule(None, &rule, now_ms).await.unwrap();
    api.database.rules().add_geofence(None, "Depot", "{}", now_ms).await.unwrap();
    api.history.put([record(RECORDED, 1)]);
    api.database.history().commit(&[temperature()], "test").await.unwrap();
    api.live.put(LiveEntry::from_record(&record(RECORDED, 1)));
    api
}

/// A value of the device's.
fn temperature() -> Part {
    let readings =
        vec![Reading { channel: "temperature".into(), unit: None, value: Value::Number(21.5) }];
    let record = ReadingsRecord {
        identity: Identity::Number(DEVICE),
        recorded_at_ms: NOW_MS,
        timeless: false,
        content_hash: readings_hash(&readings),
        received_at_ms: NOW_MS,
        position: None,
        readings,
    };
    Part {
        key: BatchKey { worker: "test".to_owned(), run: 1, sequence: 1 },
        tallies: Vec::new(),
        records: vec![Record::Readings(Box::new(record))],
    }
}

/// A good request for a path.
fn query(path: &str) -> String {
    let own = [
        "/api/v1/me",
        "/api/v1/me/password",
        "/api/v1/users",
        "/api/v1/sessions",
        "/api/v1/tokens",
        "/api/v1/shares",
    ];
    match path {
        "/api/v1/books"
        | "/api/v1/alarms"
        | "/api/v1/alarms/report"
        | "/api/v1/alarms/counts"
        | "/api/v1/rules"
        | "/api/v1/rules/test"
        | "/api/v1/geofences"
        | "/api/v1/dead-letters"
        | "/api/v1/storage"
        | "/api/v1/workers"
        | "/api/v1/fleet/summary"
        | "/api/v1/devices"
        | "/api/v1/groups"
        | "/api/v1/listeners"
        | "/api/v1/retention-classes"
        | "/api/v1/channels"
        | "/api/v1/locations" => path.to_owned(),
        _ if path.contains('{') => path
            .replace("{device_id}", "0A3F73")
            .replace("{group_id}", "1")
            .replace("{user_id}", "1")
            .replace("{session_id}", "1")
            .replace("{token_id}", "1")
            .replace("{share_id}", "1")
            .replace("{letter_id}", "1")
            .replace("{alarm_id}", "1")
            .replace("{rule_id}", "1")
            .replace("{geofence_id}", "1")
            .replace("{channel}", "temperature"),
        _ if own.contains(&path) => path.to_owned(),
        "/api/v1/series" | "/api/v1/series/statistics" => {
            format!("{path}?device_id={DEVICE}&channel=temperature")
        }
        "/api/v1/lookup" => format!("{path}?device_id={DEVICE}&recorded_at={RECORDED}"),
        _ => format!("{path}?device_id={DEVICE}"),
    }
}

#[test]
fn what_is_open_is_listed_here() {
    let declared = declared_routes();
    let open: Vec<_> = declared.iter().filter(|route| route.right == Right::Open).collect();
    let open: Vec<_> = open.iter().map(|route| route.path).collect();
    let expected = [
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/register/user",
        "/setup",
        "/login",
        "/token/refresh",
        "/logout",
        "/token/logout",
        "/share/open",
    ];
    assert_eq!(open, expected);
}

/// Lists that leave out what a caller may not see.
const LISTS: [&str; 8] = [
    "/api/v1/alarms",
    "/api/v1/alarms/report",
    "/api/v1/alarms/counts",
    "/api/v1/channels",
    "/api/v1/locations",
    "/api/v1/devices",
    "/api/v1/groups",
    "/api/v1/fleet/summary",
];

#[tokio::test]
async fn every_route_asks_for_the_right_it_declares() {
    let api = with_users().await;
    let (admin, operator, viewer) =
        (api.served.token.clone(), api.served.token_of(OPERATOR), api.served.token_of(VIEWER));
    for route in declared_routes() {
        let method = &route.method;
        for path in [query(route.path), query(&format!("{}/", route.path))] {
            let stranger = api.served.request(method.clone(), &path).send().await.unwrap();
            let stranger = Answer::of(stranger).await;
            match route.right {
                // These look at the token themselves.
                Right::Open if route.path.ends_with("/logout") => {}
                Right::Open => assert_ne!(stranger.status, 401, "{path}"),
                _ => stranger.is_problem(401, "unauthorized", None),
            }
        }
        if route.right == Right::Open {
            continue;
        }
        if route.right == Right::Stream {
            // Open to everyone who signed in; `stream.rs` sees what comes.
            continue;
        }
        let path = query(route.path);
        let ask = async |token: &str| {
            let asked = api.served.request(method.clone(), &path).bearer_auth(token);
            Answer::of(asked.send().await.unwrap()).await
        };
        let by_admin = ask(&admin).await;
        assert!(![401, 403].contains(&by_admin.status), "{method} {path} {by_admin:?}");
        let is_good =
            by_admin.status == 200 || ![Right::Devices, Right::History].contains(&route.right);
        assert!(
            is_good,
            "{method} {path}: give it a good request in `query` and data in `with_users`; {by_admin:?}"
        );
        let (by_operator, by_viewer) = (ask(&operator).await, ask(&viewer).await);
        match route.right {
            Right::List | Right::History | Right::Alarms if LISTS.contains(&route.path) => {
                by_operator.ok();
                assert_eq!(by_viewer.ok()["count"], 0, "{path}");
            }
            Right::Groups => {
                by_operator.ok();
                by_viewer.is_problem(404, "unknown-group", Some("group_id"));
            }
            Right::Alarms => {
                by_operator.ok();
                by_viewer.is_problem(404, "unknown-id", Some("alarm_id"));
            }
            // Everybody sees everybody's; what a test wants is a body.
            Right::Rules => {
                for answer in [by_operator, by_viewer] {
                    assert!([200, 415].contains(&answer.status), "{path} {answer:?}");
                }
            }
            Right::RuleChanges => {
                assert!(![401, 403].contains(&by_operator.status), "{method} {path}");
                // To make one's own is anybody's right; what the admin has deleted is gone.
                let refused = [403, 404, 415];
                assert!(refused.contains(&by_viewer.status), "{method} {path} {by_viewer:?}");
            }
            Right::AlarmChanges => {
                assert!(![401, 403, 404].contains(&by_operator.status), "{method} {path}");
                // Without a body that one route wants it does not get as far as the alarm.
                assert!([404, 415].contains(&by_viewer.status), "{method} {path} {by_viewer:?}");
            }
            Right::Manage | Right::Commands | Right::Send => {
                assert!(![401, 403].contains(&by_operator.status), "{method} {path}");
                by_viewer.is_problem(403, "forbidden", None);
            }
            Right::Books | Right::System | Right::People => {
                by_operator.is_problem(403, "forbidden", None);
                by_viewer.is_problem(403, "forbidden", None);
            }
            Right::Devices | Right::History => {
                by_admin.ok();
                by_operator.ok();
                by_viewer.is_problem(404, "unknown-device", Some("device_id"));
            }
            Right::SignedIn | Right::Own => {
                for answer in [by_operator, by_viewer] {
                    assert!(![401, 403].contains(&answer.status), "{path} {answer:?}");
                }
            }
            Right::Open
            | Right::Stream
            | Right::List
            | Right::See(_)
            | Right::SeeRule(_)
            | Right::ChangeRule(_)
            | Right::SeeAlarm(..)
            | Right::ChangeAlarm(..)
            | Right::SeeGroup(_)
            | Right::Command(_) => {
                panic!("{route:?} declares no right of a route")
            }
        }
    }
}

#[tokio::test]
async fn a_viewer_sees_what_was_granted_and_cannot_tell_the_rest_from_nothing() {
    let api = with_users().await;
    api.history.know(OTHER);
    api.users.set_access(VIEWER, Role::Viewer, &[DEVICE]);
    let viewer = api.served.token_of(VIEWER);
    let stranger = "FFFFFF";
    for path in ["/api/v1/location/", "/api/v1/report/"] {
        let of = |device: &str| format!("{path}?device_id={device}");
        api.served.get_as(&viewer, &of("0A3F73")).await.ok();
        let hidden = api.served.get_as(&viewer, &of("0A3F74")).await;
        let unknown = api.served.get_as(&viewer, &of(stranger)).await;
        hidden.is_problem(404, "unknown-device", Some("device_id"));
        assert_eq!(hidden.text.replace("0A3F74", stranger), unknown.text);
        let names =
            |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!((hidden.status, names(&hidden)), (unknown.status, names(&unknown)));
        // An operator gets the very same words for a device that nobody knows.
        let operator = api.served.get_as(&api.served.token_of(OPERATOR), &of(stranger)).await;
        assert_eq!(operator.text, unknown.text);
    }
    // Nor by an outage: what is hidden is hidden before a store is asked.
    api.live.switch.off();
    api.served.get_as(&viewer, "/api/v1/location/?device_id=0A3F74").await.is_problem(
        404,
        "unknown-device",
        Some("device_id"),
    );
    api.served.get_as(&viewer, "/api/v1/location/?device_id=0A3F73").await.is_problem(
        503,
        "live-unavailable",
        None,
    );
}

#[tokio::test]
async fn a_change_of_rights_is_seen_within_seconds() {
    let api = with_users().await;
    let viewer = api.served.token_of(VIEWER);
    let path = "/api/v1/location/?device_id=0A3F73";
    assert_eq!(api.served.get_as(&viewer, path).await.status, 404);
    api.users.set_access(VIEWER, Role::Viewer, &[DEVICE]);
    api.clock.set(NOW_MS + A_WHILE_MS);
    api.served.get_as(&viewer, path).await.ok();
    api.users.set_access(VIEWER, Role::Viewer, &[OTHER]);
    api.clock.set(NOW_MS + 2 * A_WHILE_MS);
    assert_eq!(api.served.get_as(&viewer, path).await.status, 404);
    api.users.forget(VIEWER);
    api.clock.set(NOW_MS + 3 * A_WHILE_MS);
    api.served.get_as(&viewer, path).await.is_problem(401, "unauthorized", None);
}

#[tokio::test]
async fn rights_outlive_a_short_outage_of_the_database_and_not_a_long_one() {
    let api = with_users().await;
    let path = "/api/v1/location/?device_id=0A3F73";
    api.get(path).await.ok();
    api.history.switch.off();
    api.clock.set(NOW_MS + A_WHILE_MS);
    api.get(path).await.ok();
    let unseen = api.served.get_as(&api.served.token_of(OPERATOR), path).await;
    unseen.is_problem(503, "history-unavailable", None);
    api.clock.set(NOW_MS + 300_000);
    api.get(path).await.is_problem(503, "history-unavailable", None);
}

#[tokio::test]
async fn the_first_to_register_is_the_admin_and_only_the_first() {
    let api = Api::start().await;
    for (email, role) in [("first@b.c", Role::Admin), ("second@b.c", Role::Viewer)] {
        assert_eq!(registered(&api, email).await, role);
    }
}

/// Registers, and says what the account may do.
async fn registered(api: &Api, email: &str) -> Role {
    let account = json!({"email": email, "password": "correct horse battery", "name": "N"});
    let made = api.served.post("/register/user", &account).await;
    assert_eq!(made.status, 202, "{made:?}");
    api.users.by_email(email).await.unwrap().unwrap().role
}

#[tokio::test]
async fn beyond_loopback_nobody_becomes_admin_by_registering() {
    let config = nemeses_api::ApiConfig { first_is_admin: false, ..Default::default() };
    let api = Api::start_with(config).await;
    assert_eq!(registered(&api, "a@b.c").await, Role::Viewer);
    let account = NewAccount::new("b@b.c", "correct horse battery".into(), "N").unwrap();
    let made = api.served.state.add_account(account, Role::Admin).await.unwrap();
    assert_eq!(made.role, Role::Admin);
}

#[tokio::test]
async fn where_registration_is_closed_nobody_registers_and_nothing_is_told() {
    let config = nemeses_api::ApiConfig {
        registration: nemeses_api::Registration::Closed,
        ..Default::default()
    };
    let api = Api::start_with(config).await;
    let account = NewAccount::new("known@b.c", "correct horse battery".into(), "N").unwrap();
    api.served.state.add_account(account, Role::Viewer).await.unwrap();
    let mut answers = Vec::new();
    for email in ["known@b.c", "unknown@b.c", "no address"] {
        let body = json!({"email": email, "password": "correct horse battery", "name": "N"});
        let answer = api.served.post("/register/user", &body).await;
        answer.is_problem(403, "forbidden", None);
        answers.push(answer.text);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    let login = json!({"email": "known@b.c", "password": "correct horse battery"});
    api.served.post("/login", &login).await.ok();
    assert_eq!(api.served.post("/register/user", &json!({})).await.status, 403);
}
