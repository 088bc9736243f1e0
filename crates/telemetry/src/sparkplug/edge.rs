//! The state of one edge between its birth and its death.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::message::Metric;

/// Metrics that one edge and its devices may have.
const MOST_METRICS: usize = 16_384;
/// The least time between two requests for a rebirth of an edge.
const ASK_AGAIN_MS: u64 = 10_000;

/// A metric's definition in a birth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: Arc<str>,
    pub(super) datatype: Option<u32>,
    pub(super) unit: Option<Box<str>>,
}

/// A metric's key: its alias, unique for the edge, or its name in a device.
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
    /// Devices that sent a birth and no death since.
    pub(super) devices: BTreeSet<String>,
    asked_at_ms: Option<u64>,
}

impl Edge {
    /// Resets the edge; its devices send their births after it.
    pub(super) fn born(&mut self, bd_seq: Option<u64>, seq: Option<u64>) {
        let asked_at_ms = self.asked_at_ms;
        *self = Self { is_born: true, bd_seq, asked_at_ms, ..Self::default() };
        self.next_seq = after(seq);
    }

    /// Whether the message has the next sequence number. Either way the number after it is expected next.
    pub(super) fn is_next(&mut self, seq: Option<u64>) -> bool {
        let is_next = seq.is_none_or(|seq| seq == u64::from(self.next_seq));
        self.next_seq = after(seq);
        is_next
    }

    /// Whether a death belongs to the last birth: an old will may arrive late.
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

    /// Remembers a metric's definition; ignored beyond the bound.
    pub(super) fn remember(&mut self, device: Option<&str>, metric: &Metric, known: Known) {
        let key = key(device, metric);
        if let Some(key) = key.filter(|_| self.known.len() < MOST_METRICS) {
            self.known.insert(key, known);
        }
    }

    /// A metric's definition in the last birth.
    pub(super) fn known(&self, device: Option<&str>, metric: &Metric) -> Option<&Known> {
        self.known.get(&key(device, metric)?)
    }

    /// Whether a rebirth may be requested now.
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

/// The next sequence number: 0 to 255, then 0 again.
fn after(seq: Option<u64>) -> u8 {
    let [low, ..] = seq.unwrap_or_default().to_le_bytes();
    low.wrapping_add(1)
}
