//! Replays the fuzz corpora on stable: what the fuzzer found once stays found.

#[path = "checks/packet.rs"]
mod packet;
#[path = "checks/session.rs"]
mod session;

use std::fs;
use std::path::Path;

/// Runs a check on every file of a corpus.
#[expect(clippy::print_stdout, reason = "names the file when its check fails")]
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
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
fn packet() {
    replay("packet", packet::packet);
}

#[test]
fn session() {
    replay("session", session::session);
}
