//! What was found, and how people read it. Pure.

use std::fmt::Write as _;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Good,
    /// It works, but not as well as it could.
    Weak,
    /// It does not work.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) about: &'static str,
    pub(super) verdict: Verdict,
    /// What it is like; where it is not good, what is wrong, where, and what to do.
    pub(super) says: String,
}

impl Finding {
    pub(super) fn good(about: &'static str, says: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Good, says: says.into() }
    }

    pub(super) fn weak(about: &'static str, says: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Weak, says: says.into() }
    }

    pub(super) fn wrong(about: &'static str, says: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Wrong, says: says.into() }
    }
}

/// Whether nothing is wrong.
pub(super) fn worst(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.verdict != Verdict::Wrong)
}

/// A line or more a finding, and a sum.
pub(super) fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { about, verdict, says } in findings {
        let mark = match verdict {
            Verdict::Good => "good",
            Verdict::Weak => "WEAK",
            Verdict::Wrong => "WRONG",
        };
        let says = says.replace('\n', "\n                    ");
        let _ = writeln!(text, "{mark:<6} {about:<12} {says}");
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let sum = match (count(Verdict::Wrong), count(Verdict::Weak)) {
        (0, 0) => "All is well.".to_owned(),
        (0, weak) => format!("Nothing is wrong; {weak} could be better."),
        (wrong, weak) => format!("{wrong} wrong, {weak} could be better."),
    };
    text + "\n" + &sum + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_says_how_bad_it_is() {
        let good = Finding::good("settings", "they can be used");
        let weak = Finding::weak("clock", "it is 5 s behind\nset it");
        let wrong = Finding::wrong("database", "it is not there");
        assert!(as_text(std::slice::from_ref(&good)).ends_with("\nAll is well.\n"));
        let text = as_text(&[good.clone(), weak.clone()]);
        assert!(text.ends_with("\nNothing is wrong; 1 could be better.\n"), "{text}");
        assert!(
            text.contains("WEAK   clock        it is 5 s behind\n                    set it\n")
        );
        assert!(worst(&[good.clone(), weak.clone()]));
        let all = [good, weak, wrong];
        assert!(!worst(&all));
        assert!(as_text(&all).ends_with("\n1 wrong, 1 could be better.\n"));
    }
}
