//! The commands of docs/api.md, run as written, in order and in one shell, in
//! every shape of the line, which has got the founding example's frame and one of a second device.

use std::fmt::Write as _;
use std::path::Path;

use nemeses_e2e::frames::{self, FOUNDING_FRAME};
use nemeses_e2e::{Line, SOON, nemeses_binary, wait_for};
use nemeses_protocol::DeviceId;
use tokio::process::Command;

use crate::in_every_shape;

in_every_shape!(the_commands_of_the_document_work_as_written);

/// An indented block is run if it begins with one of these or sets a variable;
/// others show answers.
const COMMANDS: [&str; 3] = ["curl ", "nemeses ", "mosquitto_pub "];

fn is_command(code: &str) -> bool {
    let name = code.split_once('=').map_or("", |(name, _)| name);
    let variable = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    variable || COMMANDS.iter().any(|word| code.starts_with(word))
}

/// What stands for the reader's machine: curl fails on a status of 4xx and 5xx,
/// and a stream is left after some seconds; the program knows its database.
const PREAMBLE: &str = r#"
set -euo pipefail
curl() {
    local status=0
    command curl --fail-with-body --max-time 5 "$@" || status=$?
    case " $* " in *" -N"* | *" -sN"*) [ "$status" -ne 28 ] || status=0 ;; esac
    return "$status"
}
nemeses() { "$BINARY" "$@" --database-url "$DATABASE"; }
"#;

/// The blocks of commands, each with the number of its first line.
fn blocks(document: &str) -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (number, line) in document.lines().enumerate() {
        let code = line.strip_prefix("    ");
        let begins = code.is_some_and(is_command);
        match (code, inside) {
            (Some(code), false) if begins => {
                blocks.push((number + 1, format!("{code}\n")));
                inside = true;
            }
            (Some(code), true) => {
                if let Some((_, block)) = blocks.last_mut() {
                    block.push_str(code);
                    block.push('\n');
                }
            }
            (Some(_), false) => {}
            (None, _) => inside = false,
        }
    }
    blocks
}

/// One script of all blocks; on failure its last output is the block's line.
fn script(document: &str, api: &str) -> String {
    let mut script = PREAMBLE.to_owned();
    for (number, block) in blocks(document) {
        let block = block.replace("API=http://127.0.0.1:5000", &format!("API={api}"));
        let _ = write!(script, "echo '== docs/api.md, line {number}'\n{block}");
    }
    script
}

#[test]
fn blocks_of_commands_are_told_from_answers() {
    let document =
        "Text:\n\n    curl -s a \\\n      -d b\n\n    {\"a\": 1}\n\n    next=\n    while\n";
    let expected = [(3, "curl -s a \\\n  -d b\n".to_owned()), (8, "next=\nwhile\n".to_owned())];
    assert_eq!(blocks(document), expected);
}

async fn the_commands_of_the_document_work_as_written(line: Line) {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let document = std::fs::read_to_string(document).unwrap();
    assert!(blocks(&document).len() > 10);
    let mut tracker = line.device("tracker").await.unwrap();
    tracker.publish("/messenger", FOUNDING_FRAME.as_bytes()).await.unwrap();
    // The second device of the examples.
    let second = frames::live(DeviceId::new(0x0A_3F74), 1_593_637_200, 1);
    tracker.publish("/messenger", &frames::bytes(&second)).await.unwrap();
    line.wait_rows(2).await.unwrap();
    // The one with channels.
    let values = br#"{"values":{"temperature":21.5}}"#;
    tracker.publish("/telemetry/id:boiler-3", values).await.unwrap();
    wait_for(SOON, "its record is there", async || {
        let readings = line.tables().count_readings().await?;
        anyhow::ensure!(readings == 1, "{readings} records");
        Ok(())
    })
    .await
    .unwrap();

    let folder = tempfile::tempdir().unwrap();
    let ran = Command::new("bash")
        .args(["-c", &script(&document, &line.api_url())])
        .current_dir(folder.path())
        .env("BINARY", nemeses_binary().unwrap())
        .env("DATABASE", line.database_url())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (said, wrong) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{}\n{said}\n{wrong}", ran.status);
}
