//! What was measured, as `docs/benchmarks.md` and `docs/benchmarks.json`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::stats::median;

/// What is measured, and what it is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) id: &'static str,
    pub(crate) unit: &'static str,
    /// The ceiling; empty for a bound.
    pub(crate) against: &'static str,
    /// A ratio to reach, or without a ceiling the most that it may be.
    pub(crate) target: f64,
}

#[derive(Clone, Debug)]
struct Runs {
    kind: Kind,
    figures: Vec<f64>,
    ceilings: Vec<f64>,
}

/// All figures of a run of the benchmark, in the order of their first measurement.
#[derive(Debug, Default)]
pub(crate) struct Report {
    runs: Vec<Runs>,
    notes: BTreeMap<&'static str, Vec<String>>,
}

impl Report {
    /// Adds one run's figure, and the ceiling beside it.
    pub(crate) fn add(&mut self, kind: Kind, figure: f64, ceiling: Option<f64>) {
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

    /// Writes both files into `folder`.
    pub(crate) fn write(&self, folder: &Path, machine: &[String]) -> anyhow::Result<()> {
        let entries: Vec<Value> = self.runs.iter().map(Runs::json).collect();
        let json = serde_json::to_string_pretty(&entries)? + "\n";
        fs::write(folder.join("benchmarks.json"), json)?;
        let path = folder.join("benchmarks.md");
        let page = fs::read_to_string(&path).map_or(String::new(), |text| of_the_page(&text));
        fs::write(path, self.markdown(machine) + &page)?;
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
        text.push_str("\n## Beside the figures\n\n");
        for (id, notes) in &self.notes {
            for note in notes {
                let _infallible = writeln!(text, "- `{id}`: {note}");
            }
        }
        text.push_str(TAIL);
        text
    }
}

/// What `make bench-page` has written behind our figures; it stays.
fn of_the_page(text: &str) -> String {
    text.find("\n## The live page").map_or(String::new(), |at| text[at..].to_owned())
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
            "target": self.kind.target,
        })
    }

    fn row(&self) -> String {
        let (figure, ceiling) = self.medians();
        let Kind { id, unit, against, target } = self.kind;
        let (ceiling, ratio, reached, target) = match ceiling {
            Some(ceiling) => {
                let ratio = figure / ceiling;
                (short(ceiling), format!("{ratio:.2}"), ratio >= target, format!("{target} x"))
            }
            None => (String::new(), String::new(), figure <= target, format!("at most {target}")),
        };
        let reached = if reached { "yes" } else { "**no**" };
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

Written by `make bench`; the same figures are in `benchmarks.json`. What they
mean, how to profile and what was learnt is in [performance.md](performance.md).

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

const TAIL: &str = "
What stands between a figure and its target is told in
[performance.md](performance.md#what-stands-in-the-way).
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_go_into_both_files() {
        let kind = Kind { id: "a", unit: "frames/s", against: "b", target: 3.0 };
        let mut report = Report::default();
        for (figure, ceiling) in [(500.0, 100.0), (300.0, 100.0), (400.0, 200.0)] {
            report.add(kind, figure, Some(ceiling));
        }
        report.add(Kind { id: "late", unit: "ms", against: "", target: 5.0 }, 6.0, None);
        let folder = tempfile::tempdir().unwrap();
        let page = "\n## The live page\n\n| a | b |\n";
        fs::write(folder.path().join("benchmarks.md"), format!("# Old figures\n{page}")).unwrap();
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
        assert!(text.contains("| `late` | 6.00 ms |  |  |  | at most 5 | **no** |"), "{text}");
        assert!(text.ends_with(page) && !text.contains("# Old figures"), "{text}");
    }
}
