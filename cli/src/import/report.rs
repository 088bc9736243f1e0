//! What an import reports.

use nemeses_imports::Refused;
use nemeses_store::history::Committed;
use serde_json::{Value, json};

use crate::tools::moment;

/// Refused places that are shown one by one.
const SHOWN: usize = 20;

/// What became of the points of a file.
#[derive(Debug, Default)]
pub(super) struct Report {
    points: u64,
    /// The first and the last recorded time, Unix milliseconds.
    span: Option<(u64, u64)>,
    stored: u64,
    duplicates: u64,
    dead_letters: u64,
    refused: u64,
    shown: Vec<Refused>,
}

impl Report {
    /// A point was read.
    pub(super) fn read(&mut self, at_ms: u64) {
        self.points += 1;
        let (first, last) = self.span.unwrap_or((at_ms, at_ms));
        self.span = Some((first.min(at_ms), last.max(at_ms)));
    }

    /// A place is no point.
    pub(super) fn refuse(&mut self, refused: Refused) {
        self.refused += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(refused);
        }
    }

    /// A batch was stored.
    pub(super) const fn committed(&mut self, committed: &Committed) {
        self.stored += committed.stored;
        self.duplicates += committed.duplicates;
        self.dead_letters += committed.dead_letters;
    }

    /// Whether nothing of the file was left out, and something was in it.
    pub(super) const fn is_whole(&self) -> bool {
        self.refused == 0 && self.dead_letters == 0 && self.points > 0
    }

    pub(super) fn as_text(&self, dry_run: bool) -> String {
        let mut lines = vec![format!("points               {}", self.points)];
        if let Some((first, last)) = self.span {
            lines.push(format!("  from               {}", moment(first)));
            lines.push(format!("  to                 {}", moment(last)));
        }
        if !dry_run {
            lines.push(format!("rows stored          {}", self.stored));
            lines.push(format!("rows there already   {}", self.duplicates));
        }
        if self.dead_letters > 0 {
            lines.push(format!("dead letters         {}", self.dead_letters));
        }
        lines.push(format!("refused              {}", self.refused));
        let shown = self.shown.iter();
        lines.extend(shown.map(|Refused { line, why }| format!("  line {line}: {why}")));
        if self.refused > SHOWN as u64 {
            lines.push(format!("  and {} more", self.refused - SHOWN as u64));
        }
        if dry_run {
            lines.push("Nothing was stored: this was a dry run.".to_owned());
        }
        lines.join(
            "
",
        ) + "
"
    }

    pub(super) fn as_json(&self, dry_run: bool) -> Value {
        let shown = |refused: &Refused| json!({ "line": refused.line, "detail": refused.why });
        json!({
            "points": self.points,
            "from": self.span.map(|(first, _)| moment(first)),
            "to": self.span.map(|(_, last)| moment(last)),
            "stored": self.stored,
            "duplicates": self.duplicates,
            "dead_letters": self.dead_letters,
            "refused": self.refused,
            "first_refused": self.shown.iter().map(shown).collect::<Vec<_>>(),
            "dry_run": dry_run,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_shown_and_counted() {
        let mut report = Report::default();
        report.read(1_780_300_800_000);
        assert!(report.is_whole());
        for line in 1..=25 {
            report.refuse(Refused { line, why: "it has no time".to_owned() });
        }
        let text = report.as_text(false);
        assert!(!report.is_whole());
        assert!(text.contains("line 20: it has no time\n  and 5 more\n"), "{text}");
        assert_eq!(report.as_json(false)["refused"], 25);
    }
}
