//! Replays the fuzz corpora on stable: what the fuzzer found once stays found.
#![allow(missing_docs, reason = "a test program")]

#[path = "common/checks.rs"]
mod checks;

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

/// Runs a check on every file of a folder of this crate.
#[expect(clippy::print_stdout, reason = "names the input when its check fails")]
fn replay_files(folder: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    for entry in fs::read_dir(&folder).expect("the folder is part of the repository") {
        let path = entry.expect("a folder's entry").path();
        println!("{}", path.display());
        check(&fs::read(&path).expect("a readable file"));
    }
}

#[test]
fn decoder() {
    replay("decoder.hex", checks::decoder);
    replay_files("fixtures", checks::decoder);
}

#[test]
fn db_decoder() {
    replay("db_decoder.hex", checks::db_decoder);
}

#[test]
fn devices() {
    replay("devices.hex", checks::devices);
}
