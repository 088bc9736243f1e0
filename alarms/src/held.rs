//! What an evaluator has in memory while it holds the lease: the states of all devices, and when
//! time alone will change them.

use std::collections::{BTreeMap, BTreeSet};

use nemeses_protocol::DeviceId;
use nemeses_rules::{DeviceState, StateError, Transition, decode_state, encode_state};
use nemeses_store::history::StoredState;

use crate::definitions::Definitions;

/// A device's state, and when it is due.
#[derive(Default)]
struct Kept {
    state: DeviceState,
    due_ms: Option<u64>,
}

/// The states of all devices: some hundred bytes each.
#[derive(Default)]
pub(crate) struct Held {
    devices: BTreeMap<DeviceId, Kept>,
    due: BTreeSet<(u64, DeviceId)>,
    /// Those that are to be written.
    changed: BTreeSet<DeviceId>,
    /// No silence is reported before.
    pub(crate) silence_from_ms: u64,
}

impl Held {
    /// The stored states. A state that cannot be read is as bad as a table that cannot: nobody may go on as if it
    /// were empty.
    pub(crate) fn read(stored: &[StoredState]) -> Result<Self, StateError> {
        let mut held = Self::default();
        for StoredState { device, due_at_ms, state } in stored {
            held.set_due(*device, None, *due_at_ms);
            let kept = Kept { state: decode_state(state)?, due_ms: *due_at_ms };
            held.devices.insert(*device, kept);
        }
        Ok(held)
    }

    /// When the newest row of any device arrived; 0 before the first.
    pub(crate) fn heard_ms(&self) -> u64 {
        self.devices.values().map(|kept| kept.state.heard_ms()).max().unwrap_or_default()
    }

    /// Changes a device's state.
    pub(crate) fn change<T>(
        &mut self,
        device: DeviceId,
        definitions: &mut Definitions,
        change: impl FnOnce(&mut DeviceState, &mut Definitions) -> T,
    ) -> T {
        let kept = self.devices.entry(device).or_default();
        let changed = change(&mut kept.state, definitions);
        let before = kept.due_ms;
        kept.due_ms = kept.state.due_ms(&definitions.of(device), self.silence_from_ms);
        let now = kept.due_ms;
        self.set_due(device, before, now);
        self.changed.insert(device);
        changed
    }

    /// Brings every state in line with changed rules.
    pub(crate) fn reconcile(
        &mut self,
        definitions: &mut Definitions,
        now_ms: u64,
    ) -> Vec<(DeviceId, Transition)> {
        let devices: Vec<DeviceId> = self.devices.keys().copied().collect();
        let mut transitions = Vec::new();
        for device in devices {
            let changed = self.change(device, definitions, |state, definitions| {
                let set = definitions.of(device);
                state.reconcile(&set, |id| definitions.all.contains(&id), now_ms)
            });
            transitions.extend(changed.into_iter().map(|transition| (device, transition)));
        }
        transitions
    }

    /// The devices for which something is due.
    pub(crate) fn due(&self, now_ms: u64, most: usize) -> Vec<DeviceId> {
        let due = self.due.iter().take_while(|(due_ms, _)| *due_ms <= now_ms);
        due.take(most).map(|(_, device)| *device).collect()
    }

    /// The states that changed since they were last taken, to be written.
    pub(crate) fn take_changed(&mut self) -> Vec<StoredState> {
        let changed = std::mem::take(&mut self.changed);
        let stored = |device: DeviceId| {
            let kept = self.devices.get(&device)?;
            Some(StoredState { device, due_at_ms: kept.due_ms, state: encode_state(&kept.state) })
        };
        changed.into_iter().filter_map(stored).collect()
    }

    /// Whether something is to be written.
    pub(crate) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    fn set_due(&mut self, device: DeviceId, before: Option<u64>, now: Option<u64>) {
        if let Some(before) = before {
            self.due.remove(&(before, device));
        }
        if let Some(now) = now {
            self.due.insert((now, device));
        }
    }
}
