//! The API is what it says it is: Schemathesis makes requests up from the served
//! OpenAPI document, good ones and bad ones, and looks for answers of 5xx, for
//! answers that the document does not know, and for doors that open without a
//! token. `tools/setup.sh` installs it.

use std::path::PathBuf;

use anyhow::Context as _;
use nemeses_e2e::frames::FOUNDING_FRAME;
use nemeses_e2e::{Line, SOON, Shape, User, expect_log, nemeses_binary, wait_for};
use tokio::process::Command;

/// Requests made up for each operation, besides those at the bounds of each
/// parameter; `make fuzz-api` has more. 20 are some seconds for twenty routes.
const EXAMPLES: &str = "20";

/// Left out are those that ask for order between requests, and those that want a
/// request accepted when, and only when, it fits the schemas: they cannot say that a
/// range must not end before it begins, or that an empty parameter counts as none.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,\
    missing_required_header,unsupported_method,allow_header_conformance,ignored_auth";

/// Streams never end by themselves; their own tests look at them.
const STREAMS: &str = "^/api/v1/stream(/ws)?$";

fn schemathesis() -> anyhow::Result<PathBuf> {
    let target = nemeses_binary()?;
    let target = target.parent().and_then(|profile| profile.parent());
    let program = target.context("a target folder")?.join("api-check/bin/st");
    anyhow::ensure!(
        program.is_file(),
        "{} is missing: make setup (or tools/setup.sh) installs it",
        program.display()
    );
    Ok(program)
}

/// Operations that answer 401 to made-up secrets, or end the session that asks. They
/// come last, or all others would be asked with a token that is good for nothing.
const SECRETS: &str = "^/(login|setup|share/open|token/refresh)$|^/(token/)?logout$|\
    ^/api/v1/(sessions/|me/password|users/.*/reset)";

/// Schemathesis says so when nothing of an operation got past the door.
const SHUT_OUT: &str = "returned only 401/403 responses";

#[tokio::test]
async fn schemathesis_finds_no_fault_and_nothing_undocumented() {
    // Among made-up values are some that become dead letters.
    expect_log(&["bytes became dead letters"]);
    let line = Line::start(Shape::Embedded, &[]).await.unwrap();
    let user = line.user().await.unwrap();
    let mut tracker = line.device("tracker").await.unwrap();
    tracker.publish("/messenger", FOUNDING_FRAME.as_bytes()).await.unwrap();
    line.wait_rows(1).await.unwrap();
    raise_an_alarm(&line, &user).await;

    let others = ["--exclude-path-regex", &format!("{STREAMS}|{SECRETS}")];
    let said = check(&line, user.token(), &others).await;
    assert!(!said.contains(SHUT_OUT), "it was not signed in:\n{said}");
    check(&line, user.token(), &["--include-path-regex", SECRETS]).await;
}

/// A rule, and what it raises: alarm 1, as the document's examples name it.
async fn raise_an_alarm(line: &Line, user: &User) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rule.json");
    let rule =
        r#"{"name": "Hot", "rule": {"test": {"kind": "condition", "when": "temperature > 20"}}}"#;
    std::fs::write(&file, rule).unwrap();
    let added = Command::new(nemeses_binary().unwrap())
        .args(["rules", "add"])
        .arg(&file)
        .args(["--database-url", &line.database_url()])
        .output()
        .await
        .unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let mut boiler = line.device("boiler").await.unwrap();
    // What is committed before the node knows of the rule raises nothing.
    let alarm = wait_for(SOON, "an alarm is listed", async || {
        boiler.publish("/telemetry/id:boiler-3", br#"{"values":{"temperature":21.5}}"#).await?;
        let (_, answer) = user.get("/api/v1/alarms/?device_id=id:boiler-3&open=true").await?;
        answer["alarms"].get(0).cloned().with_context(|| answer.to_string())
    });
    let alarm = alarm.await.unwrap();
    assert_eq!((&alarm["id"], &alarm["rule_name"]), (&1.into(), &"Hot".into()), "{alarm}");
}

/// Holds the chosen operations against the document; what was said of them.
async fn check(line: &Line, token: &str, chosen: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let examples = std::env::var("NEMESES_API_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let found = Command::new(schemathesis().unwrap())
        .current_dir(folder.path())
        .args(["run", &format!("{}/openapi.json", line.api_url()), "--no-color"])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing"])
        .args(chosen)
        .args(["--max-examples", &examples, "--generation-deterministic"])
        .args(["--request-timeout", "20", "--continue-on-failure"])
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&found.stdout);
    assert!(found.status.success(), "{said}\n{}", String::from_utf8_lossy(&found.stderr));
    assert!(said.contains(" generated, "), "it tested nothing?\n{said}");
    said.into_owned()
}
