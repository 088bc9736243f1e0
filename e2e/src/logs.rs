//! What our processes may log at WARN or above: nothing but what their test has named. A
//! line that nobody expected is a defect, in the program or in the test's idea of it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

/// Names a file that unexpected lines are added to, with their test, instead of failing it:
/// to see what a changed program warns of.
const COLLECT: &str = "E2E_LOG_LINES";

/// Fragments of the lines that the running test expects. One list a process: under nextest
/// each test has a process of its own.
static EXPECTED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Names what this test makes the program warn of, each by a fragment of its line.
pub fn expect_log(fragments: &[&str]) {
    let mut expected = EXPECTED.lock().unwrap_or_else(PoisonError::into_inner);
    expected.extend(fragments.iter().map(|fragment| (*fragment).to_owned()));
}

/// Fails the test if the log of the process of this name has lines that it has not named.
///
/// # Panics
/// It has.
pub(crate) fn judge(name: &str, log: &str) {
    let lines = unexpected(log).join("\n");
    if lines.is_empty() {
        return;
    }
    if let Some(file) = std::env::var_os(COLLECT) {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let file = OpenOptions::new().create(true).append(true).open(file);
        let written = file.and_then(|mut file| writeln!(file, "# {test}, {name}\n{lines}"));
        return written.expect("the file of unexpected lines can be written");
    }
    panic!("{name} warned of what its test does not name by expect_log:\n{lines}");
}

/// The lines of a log at WARN or above that the test has not named.
fn unexpected(log: &str) -> Vec<&str> {
    let expected = EXPECTED.lock().unwrap_or_else(PoisonError::into_inner);
    let is_named = |line: &str| expected.iter().any(|fragment| line.contains(fragment.as_str()));
    log.lines().filter(|line| is_warning(line) && !is_named(line)).collect()
}

/// `2026-11-30T22:00:00.000000Z  WARN ...`, or the same in JSON.
fn is_warning(line: &str) -> bool {
    let level = line.split_whitespace().nth(1);
    let in_json = ["\"level\":\"WARN\"", "\"level\":\"ERROR\""];
    matches!(level, Some("WARN" | "ERROR")) || in_json.iter().any(|level| line.contains(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_that_nobody_named_are_found() {
        let log = "2026-11-30T22:00:00.000001Z  INFO the node is up; WARN is not its level\n\
                   2026-11-30T22:00:00.000002Z  WARN a disk is slow\n\
                   2026-11-30T22:00:00.000003Z ERROR the database is gone\n\
                   {\"timestamp\":\"2026\",\"level\":\"WARN\",\"message\":\"in JSON\"}\n";
        assert_eq!(unexpected(log).len(), 3);
        expect_log(&["disk is slow", "in JSON"]);
        assert_eq!(unexpected(log), [log.lines().nth(2).unwrap()]);
    }
}
