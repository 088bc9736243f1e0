//! Replays the fuzz corpora on stable: what the fuzzer found once stays found.
#![allow(missing_docs, reason = "a test program")]

#[path = "common/checks.rs"]
mod checks;

use std::fs;
use std::path::Path;

/// Runs a check on every file of a folder of this crate.
#[expect(clippy::print_stdout, reason = "names the file when its check fails")]
fn replay(folder: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).expect("the folder is part of the repository");
    let mut files = 0;
    for entry in entries {
        let path = entry.expect("a folder's entry").path();
        println!("{}", path.display());
        check(&fs::read(&path).expect("a readable file"));
        files += 1;
    }
    assert!(files > 0, "{} holds files", folder.display());
}

#[test]
fn decoder() {
    replay("fuzz/corpus/decoder", checks::decoder);
    replay("fixtures", checks::decoder);
}

#[test]
fn db_decoder() {
    replay("fuzz/corpus/db_decoder", checks::db_decoder);
}
