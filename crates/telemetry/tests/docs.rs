//! The examples of `docs/telemetry.md` give what the page says, and it lists every reason.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test program")]

mod common;

use nemeses_protocol::{
    MAX_CHANNEL_NAME, MAX_READINGS, MAX_READINGS_BYTES, MAX_TEXT_VALUE, MAX_UNIT,
};
use nemeses_telemetry::{
    Format, MAX_LEVELS, MAX_NAME, MAX_REJECTED, Precision, SENML_VERSION, TelemetryError, decode,
};

const PAGE: &str = include_str!("../../../docs/telemetry.md");

/// The blocks of the page with their languages.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let blocks = PAGE.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.split_once('\n')).collect()
}

fn outcome(language: &str, payload: &str) -> String {
    let payload = payload.trim_end();
    let hex = hex::decode(payload);
    let (format, bytes) = match language {
        "json" => (Format::Json, payload.as_bytes()),
        "senml" => (Format::SenmlJson, payload.as_bytes()),
        "cbor" => (Format::SenmlCbor, hex.as_deref().expect("hex digits")),
        "line" => (Format::LineProtocol(Precision::default()), payload.as_bytes()),
        other => panic!("no format {other}"),
    };
    let decoded = decode(format, bytes, common::NOW);
    common::check(bytes, &decoded);
    if language != "line" {
        assert_eq!(decode(Format::Auto, bytes, common::NOW).records, decoded.records, "{payload}");
    }
    let mut lines = common::records(&decoded);
    lines.extend(decoded.rejected.iter().map(|rejected| {
        let text = String::from_utf8(rejected.bytes.clone());
        let text = if language == "cbor" { hex::encode(&rejected.bytes) } else { text.unwrap() };
        format!("rejected {} {text}", rejected.reason.code())
    }));
    lines.join("\n")
}

#[test]
fn examples_give_what_the_page_says() {
    let blocks = blocks();
    let (pairs, rest) = blocks.as_chunks::<2>();
    assert!(rest.is_empty() && pairs.len() > 10, "payloads and readings alternate");
    for [(language, payload), (readings, expected)] in pairs {
        assert_eq!(*readings, "readings", "behind {payload}");
        assert_eq!(outcome(language, payload), expected.trim_end(), "{payload}");
    }
}

#[test]
fn the_page_lists_the_reasons_and_no_other() {
    let (_, section) = PAGE.split_once("\n## Reasons\n").unwrap();
    let listed: Vec<_> = section
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0))
        .collect();
    assert_eq!(listed, TelemetryError::ALL.map(TelemetryError::code));
}

#[test]
fn the_page_gives_the_bounds() {
    for bound in [
        format!("1 to {MAX_CHANNEL_NAME} bytes"),
        format!("Texts have at most {MAX_TEXT_VALUE} bytes"),
        format!("units at most {MAX_UNIT}"),
        format!("names of devices at most {MAX_NAME}"),
        format!("at most {MAX_READINGS} readings and {MAX_READINGS_BYTES}"),
        format!("more than {MAX_REJECTED} rejected"),
        format!("up to {MAX_LEVELS} names"),
        format!("version {SENML_VERSION} and below"),
    ] {
        assert!(PAGE.contains(&bound), "{bound}");
    }
}
