//! The routes of the founding document, in each way in which somebody may have
//! written them down.

use nemeses_store::live::LiveEntry;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Api, DEVICE, RECORDED, USER_ID, record};

#[tokio::test]
async fn location_and_report_answer_the_same_with_and_without_a_slash_and_in_either_case() {
    let api = Api::start().await;
    api.live.put(LiveEntry::from_record(&record(RECORDED, 1)));
    api.history.put([record(RECORDED, 1)]);
    for route in ["location", "report"] {
        let expected = api.get(&format!("/api/v1/{route}/?device_id={DEVICE}")).await.ok();
        for asked in [
            format!("/api/v1/{route}?device_id={DEVICE}"),
            format!("/api/v1/{route}/?device_id=0a3f73"),
            format!("/api/v1/{route}?device_id=0a3F73"),
        ] {
            assert_eq!(api.get(&asked).await.ok(), expected, "{asked}");
        }
        // The header of the founding document, beside the token that decides.
        let path = format!("/api/v1/{route}/?device_id={DEVICE}");
        let with_user = api.served.signed(&path).header("X-User-Id", USER_ID);
        assert_eq!(Answer::of(with_user.send().await.unwrap()).await.ok(), expected);
        // The same id as a decimal number could be another device's: never guessed.
        let decimal = api.get(&format!("/api/v1/{route}/?device_id=0671603")).await;
        decimal.is_problem(400, "invalid-parameter", Some("device_id"));
        // Another name of the parameter is an error that says so, not an empty answer.
        for other in ["device", "deviceId", "id"] {
            let asked = api.get(&format!("/api/v1/{route}/?{other}=0A3F73")).await;
            assert_eq!(asked.status, 400, "{other}: {asked:?}");
        }
    }
}

#[tokio::test]
async fn accounts_are_made_and_used_with_and_without_a_slash() {
    let api = Api::start().await;
    for slash in ["", "/"] {
        let body =
            json!({"email": "ana@example.org", "password": "correct horse battery", "name": "A"});
        let registered = api.served.post(&format!("/register/user{slash}"), &body).await;
        assert_eq!(registered.status, 202, "{registered:?}");
        let wrong = json!({"email": "ana@example.org", "password": "something else"});
        let refused = api.served.post(&format!("/login{slash}"), &wrong).await;
        refused.is_problem(401, "wrong-credentials", None);
        let read = api.served.request(Method::GET, &format!("/login{slash}"));
        let read = Answer::of(read.send().await.unwrap()).await;
        read.is_problem(405, "method-not-allowed", None);
    }
}
