//! The newest values of a device and the sums of windows, limited to those that its rules need.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::datum::{Datum, seconds};
use crate::name::Name;

/// Slots of a window, so that its size does not depend on how often a device sends.
pub(crate) const SLOTS: u64 = 60;

/// The names and windows that rules need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) names: BTreeSet<Name>,
    /// Names with the lengths of their windows, milliseconds.
    pub(crate) windows: BTreeSet<(Name, u64)>,
}

/// The newest values that rules need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    pub(crate) seen: BTreeMap<Name, Seen>,
    pub(crate) windows: BTreeMap<(Name, u64), Window>,
}

/// The newest value of a name, and the number before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) at_ms: u64,
    pub(crate) value: Datum,
    pub(crate) before: Option<(u64, f64)>,
}

/// Sums of the slots in which there were numbers, in the order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Window(pub(crate) VecDeque<Slot>);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slot {
    pub(crate) number: u64,
    pub(crate) sum: f64,
    pub(crate) count: u32,
}

impl Memory {
    /// Notes a row's values of the names that are needed.
    pub(crate) fn note(&mut self, needs: &Needs, at_ms: u64, values: &[(Name, Datum)]) {
        for (name, value) in values {
            if needs.names.contains(name) {
                self.note_newest(name, at_ms, value);
            }
            let Some(number) = value.number() else { continue };
            let windows = needs.windows.range((name.clone(), 0)..=(name.clone(), u64::MAX));
            for window in windows {
                self.windows.entry(window.clone()).or_default().add(window.1, at_ms, number);
            }
        }
    }

    fn note_newest(&mut self, name: &Name, at_ms: u64, value: &Datum) {
        let before = self.seen.get(name).and_then(|seen| {
            let number = seen.value.number().map(|number| (seen.at_ms, number));
            if seen.at_ms < at_ms { number } else { seen.before }
        });
        self.seen.insert(name.clone(), Seen { at_ms, value: value.clone(), before });
    }

    /// Drops what is not needed any more.
    pub(crate) fn keep(&mut self, needs: &Needs) {
        self.seen.retain(|name, _| needs.names.contains(name));
        self.windows.retain(|window, _| needs.windows.contains(window));
    }

    pub(crate) fn newest(&self, name: &Name, at_ms: u64, hold_ms: u64) -> Option<&Datum> {
        let seen = self.seen.get(name)?;
        (at_ms.saturating_sub(seen.at_ms) <= hold_ms).then_some(&seen.value)
    }

    pub(crate) fn newest_at(&self, name: &Name) -> Option<u64> {
        self.seen.get(name).map(|seen| seen.at_ms)
    }

    /// The change of a number per second between its last two values.
    pub(crate) fn rate(&self, name: &Name, at_ms: u64, hold_ms: u64) -> Option<f64> {
        let newest = self.newest(name, at_ms, hold_ms)?.number()?;
        let seen = self.seen.get(name)?;
        let (before_ms, before) = seen.before?;
        let passed_ms = seen.at_ms.checked_sub(before_ms).filter(|passed| *passed > 0)?;
        Some((newest - before) / seconds(passed_ms))
    }

    /// The mean of the numbers in the slots that end with this moment's.
    pub(crate) fn mean(&self, name: &Name, window_ms: u64, at_ms: u64) -> Option<f64> {
        let window = self.windows.get(&(name.clone(), window_ms))?;
        let last = at_ms / slot_ms(window_ms);
        let within =
            window.0.iter().filter(|slot| slot.number <= last && slot.number + SLOTS > last);
        let (mut sum, mut count) = (0.0, 0_u32);
        for slot in within {
            sum += slot.sum;
            count = count.saturating_add(slot.count);
        }
        (count > 0).then(|| sum / f64::from(count))
    }
}

impl Window {
    fn add(&mut self, window_ms: u64, at_ms: u64, number: f64) {
        let slot = at_ms / slot_ms(window_ms);
        self.0.retain(|kept| kept.number + SLOTS > slot);
        match self.0.back_mut() {
            Some(last) if last.number == slot => {
                last.sum += number;
                last.count = last.count.saturating_add(1);
            }
            _ => self.0.push_back(Slot { number: slot, sum: number, count: 1 }),
        }
    }
}

fn slot_ms(window_ms: u64) -> u64 {
    (window_ms / SLOTS).max(1)
}
