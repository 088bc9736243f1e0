//! The MQTT listener as the Paho client and bare sockets find it: `tools/mqtt-conformance.py`
//! goes through the behaviours of Eclipse Paho's interoperability suite, and holds the
//! list of what differs on purpose. docs/mqtt.md must name each of them.

use std::path::PathBuf;

use anyhow::Context as _;
use nemeses_e2e::{Line, Shape, expect_log, workspace};
use tokio::process::Command;

fn python() -> anyhow::Result<PathBuf> {
    let target = nemeses_e2e::nemeses_binary()?;
    let target = target.parent().and_then(|profile| profile.parent());
    let program = target.context("a target folder")?.join("mqtt-check/bin/python");
    anyhow::ensure!(
        program.exists(),
        "{} is missing: make setup (or tools/setup.sh) installs it",
        program.display()
    );
    Ok(program)
}

#[tokio::test]
async fn the_behaviours_of_pahos_suite_hold_but_for_the_exceptions_that_are_documented() {
    expect_log(&["clients were not let in", "messages were refused on topics"]);
    let line = Line::start(Shape::Embedded, &[]).await.unwrap();
    let address = line.mqtt_address();
    let looked = Command::new(python().unwrap())
        .arg(workspace().join("tools/mqtt-conformance.py"))
        .args([address.ip().to_string(), address.port().to_string()])
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&looked.stdout);
    assert!(looked.status.success(), "{said}\n{}", String::from_utf8_lossy(&looked.stderr));
    let documented = std::fs::read_to_string(workspace().join("docs/mqtt.md")).unwrap();
    let exceptions = said.lines().filter_map(|line| line.strip_prefix("exception"));
    let names: Vec<&str> = exceptions.filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert!(!names.is_empty(), "{said}");
    for name in names {
        let name = name.trim_end_matches(':');
        assert!(documented.contains(&format!("`{name}`")), "docs/mqtt.md does not name {name}");
    }
}
