//! Who this process is and how it does: what it announces in the live store and
//! answers on the admin listener, so that people see the same by both ways.
//!
//! Figures are read from the process's own metrics, so that what is announced is
//! what Prometheus sees, and no station counts anything twice.

use std::collections::BTreeMap;
use std::fs;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};

/// A process of ours as it describes itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// Unique among those that are alive: `parser-0`, `node@host:1883`.
    pub name: String,
    /// `node`, `broker`, `parser`, `dbexport` or `api`.
    pub role: String,
    /// Of the program.
    pub version: String,
    /// The machine's (or container's) name.
    pub host: String,
    /// The process's number there.
    pub pid: u32,
    /// Unix milliseconds, by its own clock.
    pub started_at_ms: u64,
    /// When it wrote this, by its own clock.
    pub seen_at_ms: u64,
    /// How it does: a fixed set of names a role.
    pub figures: BTreeMap<String, f64>,
}

/// A figure and where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// What it is called among figures.
    pub name: &'static str,
    /// The metric as Prometheus sees it (`nemeses_export_records_total`).
    pub metric: &'static str,
    /// A label that a sample must have (`outcome="stored"`), or empty for the sum
    /// over all of the metric's samples.
    pub label: &'static str,
}

impl Worker {
    /// This process, started now, without figures yet.
    pub fn here(name: impl Into<String>, role: &str, version: &str, now_ms: u64) -> Self {
        Self {
            name: name.into(),
            role: role.to_owned(),
            version: version.to_owned(),
            host: host_name(),
            pid: std::process::id(),
            started_at_ms: now_ms,
            seen_at_ms: now_ms,
            figures: BTreeMap::new(),
        }
    }

    /// The same at another moment, with the figures of its metrics.
    #[must_use]
    pub fn at(&self, now_ms: u64, registry: &Registry, wanted: &[Figure]) -> Self {
        let figures = figures(registry, wanted);
        Self { seen_at_ms: now_ms, figures, ..self.clone() }
    }
}

/// The wanted figures that the registry has.
fn figures(registry: &Registry, wanted: &[Figure]) -> BTreeMap<String, f64> {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = encode(&mut text, registry);
    let mut found = BTreeMap::new();
    for (metric, labels, value) in text.lines().filter_map(sample) {
        for figure in wanted.iter().filter(|figure| figure.metric == metric) {
            if labels.contains(figure.label) {
                *found.entry(figure.name.to_owned()).or_default() += value;
            }
        }
    }
    found
}

/// Name, labels and value of a line such as `a_total{b="c"} 3`.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (name, rest) = line.split_at(line.find(['{', ' '])?);
    let (labels, value) = rest.rsplit_once(' ')?;
    Some((name, labels, value.parse().ok().filter(|value: &f64| value.is_finite())?))
}

/// The machine's name; where none can be read, `localhost`.
pub fn host_name() -> String {
    // A hardened unit hides /proc/sys.
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .into_iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .map(|name| name.trim().to_owned())
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::EncodeLabelSet;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;

    use super::*;

    #[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
    struct Outcome {
        outcome: &'static str,
    }

    #[test]
    fn figures_are_the_metrics_of_the_process() {
        let mut registry = Registry::default();
        let (records, waiting) = (Family::<Outcome, Counter>::default(), Gauge::<i64>::default());
        registry.register("records", "r", records.clone());
        registry.register("waiting", "w", waiting.clone());
        records.get_or_create(&Outcome { outcome: "stored" }).inc_by(5);
        records.get_or_create(&Outcome { outcome: "duplicate" }).inc_by(2);
        waiting.set(3);
        let wanted = [
            Figure { name: "taken", metric: "records_total", label: "" },
            Figure { name: "stored", metric: "records_total", label: "outcome=\"stored\"" },
            Figure { name: "waiting", metric: "waiting", label: "" },
            Figure { name: "absent", metric: "absent", label: "" },
        ];
        let first = Worker::here("node", "node", "0.1.0", 1000);
        let later = first.at(6000, &registry, &wanted);
        assert_eq!((later.started_at_ms, later.seen_at_ms), (1000, 6000));
        let figures: Vec<_> =
            later.figures.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(figures, [("stored", 5.0), ("taken", 7.0), ("waiting", 3.0)]);
    }

    #[test]
    fn lines_that_are_no_samples_are_passed_over() {
        for line in ["# HELP a b", "# EOF", "", "a", "a NaN", "a{b=\"c d\"} x"] {
            let read = sample(line).filter(|(name, ..)| *name != "#");
            assert_eq!(read, None, "{line}");
        }
        assert_eq!(sample("a{b=\"c d\"} 1.5"), Some(("a", "{b=\"c d\"}", 1.5)));
    }

    #[test]
    fn this_machine_has_a_name() {
        assert!(!host_name().is_empty());
        assert!(!host_name().contains(char::is_whitespace));
    }
}
