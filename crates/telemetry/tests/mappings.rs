//! The examples of `docs/mappings.md` and of the pages of built-in mappings give what the pages
//! say, and any bytes are records or rejected parts. `NEMESES_WRITE_REFERENCE=1 cargo test -p
//! nemeses-telemetry` writes the outcomes; what it writes is read by a person.
#![allow(missing_docs, clippy::unwrap_used, clippy::format_push_string, reason = "a test program")]

mod common;

use std::path::{Path, PathBuf};

use nemeses_telemetry::{BUILT_IN, Decoded, Mapping, Mappings, built_in};
use proptest::prelude::*;

const PAGES: [&str; 8] = [
    "mappings.md",
    "protocols/thingsboard.md",
    "protocols/telegraf.md",
    "protocols/glances.md",
    "protocols/tasmota.md",
    "protocols/zigbee2mqtt.md",
    "protocols/chirpstack.md",
    "protocols/ttn.md",
];

fn path(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page)
}

/// All built-in mappings, each of which a page names by its file.
fn all_built_in() -> Mappings {
    let mut all = Mappings::default();
    for (name, _) in BUILT_IN {
        all.and(&built_in(name).unwrap().unwrap());
    }
    all
}

fn decode(mapping: &Mapping, topic: Option<&str>, payload: &[u8]) -> Decoded {
    let decoded = mapping.decode(topic, payload, common::NOW);
    common::check(payload, &decoded);
    decoded
}

fn outcome(mappings: &Mappings, language: &str, example: &str) -> String {
    let (first, payload) = example.split_once('\n').expect("a topic or a name, and a payload");
    let payload = payload.strip_suffix('\n').unwrap_or(payload).as_bytes();
    let (mapping, topic) = match language {
        "mqtt" => (mappings.of_topic(first), Some(first)),
        _ => (mappings.of_post(first), None),
    };
    let decoded = decode(mapping.expect(first), topic, payload);
    let mut lines = common::records(&decoded);
    lines.extend(decoded.rejected.iter().map(|rejected| {
        let text = String::from_utf8_lossy(&rejected.bytes);
        format!("rejected {} {text}\n  {}", rejected.reason.code(), rejected.detail)
    }));
    lines.join("\n")
}

/// The page with the outcomes written anew, and how many examples it has.
fn refreshed(page: &str) -> (String, usize) {
    let mut mappings = all_built_in();
    let mut out = String::new();
    let (mut examples, mut expected) = (0, None);
    for (at, block) in page.split("```").enumerate() {
        if at > 0 {
            out.push_str("```");
        }
        let (language, text) = block.split_once('\n').unwrap_or((block, ""));
        match language {
            _ if at % 2 == 0 => {}
            "toml mapping" => mappings = Mappings::read(text).unwrap(),
            "mqtt" | "post" => expected = Some(outcome(&mappings, language, text)),
            "readings" => {
                examples += 1;
                out.push_str(&format!("readings\n{}\n", expected.take().expect("an example")));
                continue;
            }
            _ => {}
        }
        assert!(expected.is_none() || at % 2 == 0 || language != "text", "{block}");
        out.push_str(block);
    }
    assert!(expected.is_none(), "readings behind each example");
    (out, examples)
}

#[test]
fn reference_of_mappings() {
    for page in PAGES {
        let text = std::fs::read_to_string(path(page)).unwrap();
        let (fresh, examples) = refreshed(&text);
        assert!(examples > 1, "{page} has examples");
        if std::env::var_os("NEMESES_WRITE_REFERENCE").is_some() {
            std::fs::write(path(page), &fresh).unwrap();
        }
        let differing = text.lines().zip(fresh.lines()).find(|(found, wanted)| found != wanted);
        assert!(
            text == fresh || std::env::var_os("NEMESES_WRITE_REFERENCE").is_some(),
            "{page}: a `readings` block differs from what is decoded: {differing:?}\n\
             NEMESES_WRITE_REFERENCE=1 cargo test -p nemeses-telemetry writes them; read each"
        );
    }
}

/// A mapping with a rule of each kind.
fn any_rules() -> Mappings {
    Mappings::read(
        r#"
[[mapping]]
name = "all"
topic = "s/{device}"
records = "/items/*"
device = "id:{device}-{$/serial}"
text_numbers = true

[mapping.time]
at = "/t"
unit = "ms"
optional = true

[mapping.position]
latitude = "/p/0"
longitude = "/p/1"
speed = "/v"
speed_unit = "kn"

[[mapping.channels]]
at = "/a"
scale = 2.0

[[mapping.channels]]
below = ""
texts = true

[[mapping.channels]]
at = "/c"
decode = "cayenne"
"#,
    )
    .unwrap()
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number}")),
        "[ -~]{0,8}".prop_map(|text| format!("{text:?}")),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("\"AWcA5w==\"".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let key = "(items|serial|t|p|v|a|c|0|x)";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::vec((key, inner), 0..6).prop_map(|all| {
                let members: Vec<String> =
                    all.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_records_or_rejected(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for mapping in [all_built_in().of_topic("tele/a/SENSOR"), any_rules().of_topic("s/a")] {
            let decoded = decode(mapping.unwrap(), Some("s/a"), &bytes);
            prop_assert!(!decoded.records.is_empty() || !decoded.rejected.is_empty());
        }
    }

    #[test]
    fn any_json_is_records_or_rejected(items in prop::collection::vec(json(), 1..4), whole in json()) {
        let rules = any_rules();
        let mapping = rules.of_topic("s/a").unwrap();
        let listed = format!("{{\"serial\":7,\"items\":[{}]}}", items.join(","));
        for text in [&listed, &whole] {
            let once = decode(mapping, Some("s/a"), text.as_bytes());
            prop_assert_eq!(&once, &decode(mapping, Some("s/a"), text.as_bytes()));
            prop_assert!(!once.records.is_empty() || !once.rejected.is_empty(), "{}", text);
            prop_assert!(once.records.iter().all(|it| it.name.as_deref() == Some("id:a-7")), "{}", text);
        }
    }

    /// What is said of a number is what is stored of it.
    #[test]
    fn numbers_come_back(number in -1e12_f64..1e12, ms in 0_u64..253_402_300_799_999) {
        let text = format!("{{\"serial\":\"x\",\"items\":[{{\"t\":\"{ms}\",\"a\":\"{number:?}\"}}]}}");
        let decoded = decode(any_rules().of_topic("s/a").unwrap(), Some("s/a"), text.as_bytes());
        prop_assert_eq!(decoded.rejected.len(), 0);
        prop_assert_eq!(decoded.records[0].recorded_at_ms, ms);
        prop_assert!(!decoded.records[0].timeless);
    }
}

/// Nested without end, as long as a message can be: refused in time that grows with its length.
#[test]
fn depth_and_size_are_bounded() {
    let rules = any_rules();
    let mapping = rules.of_topic("s/a").unwrap();
    for text in ["[".repeat(250_000), "{\"items\":".repeat(25_000), "{\"a\":1,".repeat(30_000)] {
        let decoded = decode(mapping, Some("s/a"), text.as_bytes());
        assert_eq!((decoded.records.len(), decoded.rejected.len()), (0, 1));
        assert_eq!(decoded.rejected[0].reason.code(), "bad_payload");
    }
    let deep =
        format!("{{\"serial\":1,\"items\":[{}1{}]}}", "{\"x\":".repeat(9000), "}".repeat(9000));
    let decoded = decode(mapping, Some("s/a"), deep.as_bytes());
    assert_eq!(decoded.rejected[0].reason.code(), "bad_value");
    let many = format!("{{\"serial\":1,\"items\":[{}1]}}", "{},".repeat(60_000));
    let decoded = decode(mapping, Some("s/a"), many.as_bytes());
    assert_eq!(decoded.rejected.len(), nemeses_telemetry::MAX_REJECTED);
}
