//! Replays the fuzz corpora on stable: what the fuzzer found once stays found.

#[path = "checks/packet.rs"]
mod packet;
#[path = "checks/session.rs"]
mod session;

use std::fs;
use std::path::Path;

/// Runs a check on every input of a corpus: a line of hex each.
#[expect(clippy::print_stdout, reason = "names the input when its check fails")]
fn replay(corpus: &str, check: fn(&[u8])) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(corpus);
    let text = fs::read_to_string(&path).expect("the corpus is part of the repository");
    let inputs: Vec<&str> = text.lines().collect();
    assert!(inputs.len() > 50, "{} holds inputs", path.display());
    for input in inputs {
        // Shown when its check fails.
        println!("{input}");
        check(&hex::decode(input).expect("a line of hex"));
    }
}

#[test]
fn packet() {
    replay("packet.hex", packet::packet);
}

#[test]
fn session() {
    replay("session.hex", session::session);
}
