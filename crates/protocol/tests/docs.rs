//! `docs/protocol.md` says what the code does, where that can be checked.
#![allow(missing_docs, reason = "a test program")]

use nemeses_protocol::{
    DecodeError, MAX_BATCH_BYTES, MAX_BATCH_ROWS, MAX_DEAD_LETTER_BYTES, MAX_TOPIC_BYTES, Reason,
    Topics, frame_hash, normalise,
};

const PAGE: &str = include_str!("../../../docs/protocol.md");

/// The text between two headings.
fn section(heading: &str) -> &'static str {
    let (_, behind) = PAGE.split_once(&format!("\n## {heading}\n")).expect("the heading exists");
    behind.split("\n## ").next().expect("split yields at least one")
}

/// The codes in the first column of a section's tables.
fn codes(section: &str) -> Vec<&str> {
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(code, _)| code)
        .collect()
}

#[test]
fn the_page_lists_the_reasons_and_no_other() {
    let listed = codes(section("Reasons"));
    for code in &listed {
        assert!(Reason::from_code(code).is_some(), "{code} is a reason");
    }
    for reason in DecodeError::ALL.map(Reason::Decode).into_iter().chain([
        Reason::IdentityMismatch,
        Reason::TopicMismatch,
        Reason::Future,
        Reason::Refused,
        Reason::BadBatch,
        Reason::Quarantined,
        Reason::UnknownDevice,
    ]) {
        assert!(listed.contains(&reason.code()), "{} is listed", reason.code());
    }
}

#[test]
fn the_page_gives_the_bounds() {
    let bounds = section("The message on /DB");
    for bound in [MAX_BATCH_BYTES, MAX_BATCH_ROWS, MAX_DEAD_LETTER_BYTES, MAX_TOPIC_BYTES] {
        assert!(bounds.contains(&format!("| {bound} |")), "{bound}");
    }
}

#[test]
fn the_page_gives_the_topics() {
    let Topics { messenger, ping, db, command, telemetry, .. } = Topics::default();
    let listed = section("Topics");
    for topic in
        [messenger, ping, db, format!("{command}/{{device}}"), format!("{telemetry}/{{device}}")]
    {
        assert!(listed.contains(&format!("`{topic}`")), "{topic}");
    }
}

#[test]
fn the_page_gives_the_fixtures_and_their_hashes() {
    let examples = section("Examples");
    for (name, text) in [
        ("short_live", include_str!("../fixtures/short_live.hex")),
        ("long_historical", include_str!("../fixtures/long_historical.hex")),
    ] {
        let hash = frame_hash(&normalise(text.as_bytes()).bytes);
        let row = examples.lines().find(|line| line.contains(name)).expect("a row of the table");
        assert!(row.contains(text.trim()), "{name}");
        assert!(row.contains(&format!("`{hash:016X}`")), "{name}");
    }
}
