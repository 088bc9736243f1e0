//! What was measured, as `docs/benchmarks.md` and `docs/benchmarks.json`. What
//! people wrote into the former, from [`BY_HAND`] on, stays.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::stats::median;

/// What is measured, and what it is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    pub(crate) id: &'static str,
    pub(crate) unit: &'static str,
    /// The ceiling; empty for a bound.
    pub(crate) against: &'static str,
    pub(crate) target: Target,
}

/// What a figure is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// At least this share of the ceiling.
    Ratio(f64),
    /// At least so much, whatever the ceiling beside it.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
}

impl Target {
    const fn number(self) -> f64 {
        match self {
            Self::Ratio(number) | Self::AtLeast(number) | Self::AtMost(number) => number,
        }
    }

    fn words(self) -> String {
        match self {
            Self::Ratio(ratio) => format!("{ratio} x"),
            Self::AtLeast(least) => format!("at least {}", short(least)),
            Self::AtMost(most) => format!("at most {}", short(most)),
        }
    }

    fn is_reached(self, figure: f64, ceiling: Option<f64>) -> bool {
        match self {
            Self::Ratio(ratio) => ceiling.is_some_and(|ceiling| figure / ceiling >= ratio),
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }
}

#[derive(Clone, Debug)]
struct Runs {
    kind: Measure,
    figures: Vec<f64>,
    ceilings: Vec<f64>,
}

/// All figures of a run of the benchmark, in the order of their first measurement.
#[derive(Debug, Default)]
pub(crate) struct Report {
    runs: Vec<Runs>,
    notes: BTreeMap<&'static str, Vec<String>>,
    /// Cases that ended with an error.
    failed: Vec<(&'static str, String)>,
}

impl Report {
    /// Adds one run's figure, and the ceiling beside it.
    pub(crate) fn add(&mut self, kind: Measure, figure: f64, ceiling: Option<f64>) {
        say(&match ceiling {
            Some(ceiling) => format!(
                "{}: {figure:.0} {}, ceiling {ceiling:.0}, ratio {:.2}",
                kind.id,
                kind.unit,
                figure / ceiling
            ),
            None => format!("{}: {figure:.2} {}", kind.id, kind.unit),
        });
        let known = self.runs.iter().position(|runs| runs.kind.id == kind.id);
        let place = known.unwrap_or_else(|| {
            self.runs.push(Runs { kind, figures: Vec::new(), ceilings: Vec::new() });
            self.runs.len() - 1
        });
        self.runs[place].figures.push(figure);
        self.runs[place].ceilings.extend(ceiling);
    }

    /// Adds a line that explains a figure, such as what each process spent.
    pub(crate) fn note(&mut self, id: &'static str, note: String) {
        say(&format!("{id}: {note}"));
        self.notes.entry(id).or_default().push(note);
    }

    /// Notes how a case ended; the others go on.
    pub(crate) fn ended(&mut self, case: &'static str, outcome: anyhow::Result<()>) {
        if let Err(error) = outcome {
            say(&format!("{case}: failed: {error:#}"));
            self.failed.push((case, format!("{error:#}")));
        }
    }

    /// Writes both files into `folder`.
    pub(crate) fn write(&self, folder: &Path, machine: &[String]) -> anyhow::Result<()> {
        let entries: Vec<Value> = self.runs.iter().map(Runs::json).collect();
        let json = serde_json::to_string_pretty(&entries)? + "\n";
        fs::write(folder.join("benchmarks.json"), json)?;
        let path = folder.join("benchmarks.md");
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, self.markdown(machine) + &kept(&before))?;
        Ok(())
    }

    fn markdown(&self, machine: &[String]) -> String {
        let mut text = String::from(HEAD);
        for line in machine {
            let _infallible = writeln!(text, "- {line}");
        }
        text.push_str(TABLE_HEAD);
        for runs in &self.runs {
            text.push_str(&runs.row());
        }
        if !self.failed.is_empty() {
            text.push_str("\n## Not measured\n\n");
        }
        for (case, error) in &self.failed {
            let _infallible = writeln!(text, "- `{case}`: {}", error.replace('\n', " "));
        }
        text.push_str("\n## Beside the figures\n\n");
        for (id, notes) in &self.notes {
            for note in notes {
                let _infallible = writeln!(text, "- `{id}`: {note}");
            }
        }
        text.push('\n');
        text
    }
}

/// What stays of a former document: what people wrote, and behind it what
/// `make bench-page` did.
fn kept(before: &str) -> String {
    let from = |heading| before.find(heading).map(|at| before[at..].to_owned());
    let page = || from("\n## The live page").map(|page| format!("{BY_HAND}{page}"));
    from(BY_HAND).or_else(page).unwrap_or_else(|| BY_HAND.to_owned())
}

impl Runs {
    fn medians(&self) -> (f64, Option<f64>) {
        let ceiling = (!self.ceilings.is_empty()).then(|| median(&self.ceilings));
        (median(&self.figures), ceiling)
    }

    fn json(&self) -> Value {
        let (figure, ceiling) = self.medians();
        json!({
            "id": self.kind.id,
            "figure": rounded(figure),
            "unit": self.kind.unit,
            "against": self.kind.against,
            "ceiling": ceiling.map(rounded),
            "ratio": ceiling.map(|ceiling| rounded(figure / ceiling)),
            "target": self.kind.target.number(),
        })
    }

    fn row(&self) -> String {
        let (figure, ceiling) = self.medians();
        let Measure { id, unit, against, target } = self.kind;
        let reached = if target.is_reached(figure, ceiling) { "yes" } else { "**no**" };
        let ratio = ceiling.map(|ceiling| format!("{:.2}", figure / ceiling)).unwrap_or_default();
        let (ceiling, target) = (ceiling.map(short).unwrap_or_default(), target.words());
        let runs: Vec<String> = self.figures.iter().map(|figure| short(*figure)).collect();
        format!(
            "| `{id}` | {} {unit} | {against} | {ceiling} | {ratio} | {target} | {reached} | {} |\n",
            short(figure),
            runs.join(", ")
        )
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn short(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// Tells whoever watches.
#[expect(clippy::print_stdout, reason = "a tool for a person at a terminal")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

const HEAD: &str = "\
# Benchmarks

Written by `make bench`, but for [What stands in the way](#what-stands-in-the-way),
which is written by hand and stays; the same figures are in `benchmarks.json`. How
to profile and what was learnt is in [performance.md](performance.md).

Every figure is the median of its runs, each measured right after its ceiling.
The load generator (one thread), the node and all servers share the machine;
frames are 33 bytes, QoS 1, of 10 000 devices in turn, each row new. A node's
PUBACK follows the commit of the frame, MariaDB and SQLite flush at every
commit. Compare ratios, not machines.

";

const TABLE_HEAD: &str = "
| what | figure | against | ceiling | ratio | target | reached | runs |
|---|---|---|---|---|---|---|---|
";

/// The heading from which on the text is people's.
const BY_HAND: &str = "## What stands in the way\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_go_into_both_files() {
        let kind = Measure { id: "a", unit: "frames/s", against: "b", target: Target::Ratio(3.0) };
        let mut report = Report::default();
        for (figure, ceiling) in [(500.0, 100.0), (300.0, 100.0), (400.0, 200.0)] {
            report.add(kind, figure, Some(ceiling));
        }
        report.add(
            Measure { id: "late", unit: "ms", against: "", target: Target::AtMost(5.0) },
            6.0,
            None,
        );
        report.ended("broken", Err(anyhow::anyhow!("no server")));
        let folder = tempfile::tempdir().unwrap();
        let page = "\n## The live page\n\n| a | b |\n";
        let by_hand = format!("# Old\n\n{BY_HAND}\nMuch.\n{page}");
        fs::write(folder.path().join("benchmarks.md"), &by_hand).unwrap();
        report.write(folder.path(), &["2 cores".to_owned()]).unwrap();
        let json = fs::read_to_string(folder.path().join("benchmarks.json")).unwrap();
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            json[0],
            json!({"id": "a", "figure": 400.0, "unit": "frames/s", "against": "b",
                "ceiling": 100.0, "ratio": 4.0, "target": 3.0})
        );
        assert_eq!(json[1]["ratio"], Value::Null);
        let text = fs::read_to_string(folder.path().join("benchmarks.md")).unwrap();
        assert!(text.contains("| `a` | 400 frames/s | b | 100 | 4.00 | 3 x | yes |"), "{text}");
        assert!(text.contains("| `late` | 6.00 ms |  |  |  | at most 5.00 | **no** |"), "{text}");
        assert!(text.contains("- `broken`: no server\n"), "{text}");
        assert!(text.ends_with(&format!("\n\n{BY_HAND}\nMuch.\n{page}")), "{text}");
        assert_eq!(kept(&format!("# Old\n{page}")), format!("{BY_HAND}{page}"));
        assert_eq!(kept("# Old"), BY_HAND);
        assert!(!text.contains("# Old"));
    }
}
