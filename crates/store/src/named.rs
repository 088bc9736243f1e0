//! Which device has which number and name, as a process knows it.
//!
//! Numbers are only ever given and never taken back, in order; so whoever has a database
//! asks for those behind the last it knows.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use nemeses_protocol::{DeviceId, Identity};
use tokio_util::sync::CancellationToken;

use crate::StoreError;
use crate::history::Identities;

/// Between looks at the database.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// Names read at once.
const PAGE: u32 = 1000;

#[derive(Debug, Default)]
struct Held {
    numbers: HashMap<Identity, DeviceId>,
    names: HashMap<u32, Identity>,
    last: Option<DeviceId>,
}

/// The named devices that this process knows; clones share them. Some 200 bytes each.
#[derive(Clone, Debug, Default)]
pub struct NamedDevices(Arc<RwLock<Held>>);

impl NamedDevices {
    /// The number of an identity, if it is known.
    pub fn number(&self, identity: &Identity) -> Option<DeviceId> {
        match identity {
            Identity::Number(device) => Some(*device),
            Identity::Named { .. } => {
                self.0.read().unwrap_or_else(PoisonError::into_inner).numbers.get(identity).copied()
            }
        }
    }

    /// How a device is written outside: by its name if it has one.
    pub fn identity(&self, device: DeviceId) -> Identity {
        if device.number() <= DeviceId::MAX_SFT9001 {
            return Identity::Number(device);
        }
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.names.get(&device.number()).cloned().unwrap_or(Identity::Number(device))
    }

    /// Takes the names of a read, in the order of their numbers.
    pub fn learn(&self, named: impl IntoIterator<Item = (DeviceId, Identity)>) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (device, identity) in named {
            held.names.insert(device.number(), identity.clone());
            held.numbers.insert(identity, device);
            held.last = held.last.max(Some(device));
        }
    }

    /// Reads what was given since the last read.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn refresh(&self, identities: &dyn Identities) -> Result<(), StoreError> {
        loop {
            let last = self.0.read().unwrap_or_else(PoisonError::into_inner).last;
            let named = identities.named_after(last, PAGE).await?;
            let more = named.len() >= PAGE as usize;
            self.learn(named);
            if !more {
                return Ok(());
            }
        }
    }

    /// Reads on every second until `stop`. While the database is away, what is known stays.
    pub async fn follow(self, identities: Arc<dyn Identities>, stop: CancellationToken) {
        loop {
            // The history's own outage is told by others.
            if let Err(error) = self.refresh(identities.as_ref()).await {
                tracing::debug!(%error, "the names of devices could not be read");
            }
            if stop.run_until_cancelled(tokio::time::sleep(FOLLOW_EVERY)).await.is_none() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_written_by_its_name_once_it_is_known() {
        let named = NamedDevices::default();
        let (device, identity) = (DeviceId::new(1 << 24), "id:a".parse::<Identity>().unwrap());
        assert_eq!(named.number(&identity), None);
        assert_eq!(named.identity(device), Identity::Number(device));
        named.learn([(device, identity.clone())]);
        assert_eq!(named.clone().number(&identity), Some(device));
        assert_eq!(named.identity(device), identity);
        let frames = DeviceId::new(0x000A_3F73);
        assert_eq!(named.identity(frames), Identity::Number(frames));
        assert_eq!(named.number(&Identity::Number(frames)), Some(frames));
    }
}
