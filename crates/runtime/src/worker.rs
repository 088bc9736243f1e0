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
    /// Where devices reach it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Listener>,
}

/// Where devices of a protocol reach a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listener {
    /// `sft9001`, `teltonika`, `owntracks` and so on, or the name of a mapping.
    pub protocol: String,
    /// `mqtt`, `mqtts`, `ws`, `tcp`, `tls`, `udp`, `http` or `https`.
    pub transport: String,
    /// Address and port as the process listens on them; of an MQTT broker, where the process
    /// reaches it.
    pub address: String,
    /// The MQTT topics or the HTTP path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Messages received by this protocol and means of transport since the start, where they
    /// are counted apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<f64>,
    /// What counts them: a metric and a label as in [`Figure`].
    #[serde(skip)]
    pub counter: Option<(&'static str, String)>,
}

impl Listener {
    /// One that counts nothing of its own.
    pub fn new(protocol: &str, transport: &str, address: impl Into<String>) -> Self {
        Self {
            protocol: protocol.to_owned(),
            transport: transport.to_owned(),
            address: address.into(),
            path: None,
            received: None,
            counter: None,
        }
    }

    fn counted(&self, samples: &str) -> Self {
        let counter = self.counter.as_ref();
        // A label is there from the first message on.
        let received = counter.map(|(metric, label)| sum(samples, metric, label).unwrap_or(0.0));
        Self { received, ..self.clone() }
    }
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
            listeners: Vec::new(),
        }
    }

    /// The same at another moment, with the figures of its metrics.
    #[must_use]
    pub fn at(&self, now_ms: u64, registry: &Registry, wanted: &[Figure]) -> Self {
        let mut samples = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut samples, registry);
        let found = |figure: &Figure| sum(&samples, figure.metric, figure.label);
        let figures =
            wanted.iter().filter_map(|figure| Some((figure.name.to_owned(), found(figure)?)));
        Self {
            seen_at_ms: now_ms,
            figures: figures.collect(),
            listeners: self.listeners.iter().map(|listener| listener.counted(&samples)).collect(),
            ..self.clone()
        }
    }
}

/// The sum of a metric's samples that have a label; `None` when there are none.
fn sum(samples: &str, metric: &str, label: &str) -> Option<f64> {
    let samples = samples.lines().filter_map(sample);
    let of_it = samples.filter(|(name, labels, _)| *name == metric && labels.contains(label));
    of_it.map(|(.., value)| value).reduce(|sum, value| sum + value)
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
        let mut first = Worker::here("node", "node", "0.1.0", 1000);
        let counter = Some(("records_total", "outcome=\"duplicate\"".to_owned()));
        first.listeners = vec![
            Listener { counter, ..Listener::new("gt06", "tcp", "127.0.0.1:5023") },
            Listener::new("owntracks", "mqtt", "127.0.0.1:1883"),
        ];
        let later = first.at(6000, &registry, &wanted);
        assert_eq!((later.started_at_ms, later.seen_at_ms), (1000, 6000));
        let figures: Vec<_> =
            later.figures.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(figures, [("stored", 5.0), ("taken", 7.0), ("waiting", 3.0)]);
        let received: Vec<_> = later.listeners.iter().map(|listener| listener.received).collect();
        assert_eq!(received, [Some(2.0), None]);
        let read: Worker = serde_json::from_str(&serde_json::to_string(&later).unwrap()).unwrap();
        assert_eq!(read.listeners[1], later.listeners[1]);
        let older = r#"{"name":"a","role":"api","version":"1","host":"h","pid":1,"started_at_ms":1,"seen_at_ms":1,"figures":{}}"#;
        assert!(serde_json::from_str::<Worker>(older).unwrap().listeners.is_empty());
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
