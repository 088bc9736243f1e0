//! What is known of one edge between its birth and its death.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::message::Metric;

/// Metrics that one edge and its devices may have.
const MOST_METRICS: usize = 16_384;
/// An edge is asked to be born again at most so often.
const ASK_AGAIN_MS: u64 = 10_000;

/// What a birth says of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: Arc<str>,
    pub(super) datatype: Option<u32>,
    pub(super) unit: Option<Box<str>>,
}

/// By what a metric is known: its alias, unique for the edge, or its name in a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Alias(u64),
    Name(Option<String>, String),
}

/// An edge.
#[derive(Debug, Default)]
pub(super) struct Edge {
    pub(super) is_born: bool,
    bd_seq: Option<u64>,
    next_seq: u8,
    known: HashMap<Key, Known>,
    /// Those that were born and have not died.
    pub(super) devices: BTreeSet<String>,
    asked_at_ms: Option<u64>,
}

impl Edge {
    /// Begins anew; devices are to be born after it.
    pub(super) fn born(&mut self, bd_seq: Option<u64>, seq: Option<u64>) {
        let asked_at_ms = self.asked_at_ms;
        *self = Self { is_born: true, bd_seq, asked_at_ms, ..Self::default() };
        self.next_seq = after(seq);
    }

    /// Whether the message is the one behind the last one; whatever it is, the next follows it.
    pub(super) fn is_next(&mut self, seq: Option<u64>) -> bool {
        let is_next = seq.is_none_or(|seq| seq == u64::from(self.next_seq));
        self.next_seq = after(seq);
        is_next
    }

    /// Whether a death is that of this life: an old will may come late.
    pub(super) fn dies(&mut self, bd_seq: Option<u64>) -> bool {
        let of_this_life = match (self.bd_seq, bd_seq) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        if of_this_life {
            self.is_born = false;
        }
        of_this_life
    }

    /// How many metrics are remembered.
    pub(super) fn known_count(&self) -> usize {
        self.known.len()
    }

    /// Remembers what a birth says of a metric; passed over beyond the bound.
    pub(super) fn remember(&mut self, device: Option<&str>, metric: &Metric, known: Known) {
        let key = key(device, metric);
        if let Some(key) = key.filter(|_| self.known.len() < MOST_METRICS) {
            self.known.insert(key, known);
        }
    }

    /// What the birth said of a metric.
    pub(super) fn known(&self, device: Option<&str>, metric: &Metric) -> Option<&Known> {
        self.known.get(&key(device, metric)?)
    }

    /// Whether it may be asked to be born again now.
    pub(super) fn may_be_asked(&mut self, now_ms: u64) -> bool {
        let may = self.asked_at_ms.is_none_or(|at| now_ms.saturating_sub(at) >= ASK_AGAIN_MS);
        if may {
            self.asked_at_ms = Some(now_ms);
        }
        may
    }
}

fn key(device: Option<&str>, metric: &Metric) -> Option<Key> {
    let name = || Some(Key::Name(device.map(str::to_owned), metric.name.clone()?));
    metric.alias.map(Key::Alias).or_else(name)
}

/// The number behind one: 0 to 255 and around.
fn after(seq: Option<u64>) -> u8 {
    let [low, ..] = seq.unwrap_or_default().to_le_bytes();
    low.wrapping_add(1)
}
