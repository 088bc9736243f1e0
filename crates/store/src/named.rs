//! Which device has which number and name, as a process knows it.
//!
//! Numbers are only ever given and never taken back, in order; so whoever has a database
//! asks for those behind the last it knows, and so does a parser, which has none, in the
//! live store, where a process with a database keeps them for those who ask.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use nemeses_protocol::{DeviceId, DeviceNames, Identity, NameTable};
use tokio_util::sync::CancellationToken;

use crate::StoreError;
use crate::history::Identities;
use crate::live::LiveStore;

/// Between looks.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// Names read or written at once.
pub(crate) const PAGE: u16 = 1000;

#[derive(Debug, Default)]
struct Held {
    numbers: HashMap<Identity, DeviceId>,
    names: BTreeMap<u32, Identity>,
    /// All up to this one are known.
    last: Option<DeviceId>,
}

impl Held {
    fn insert(&mut self, device: DeviceId, identity: Identity) {
        self.names.insert(device.number(), identity.clone());
        self.numbers.insert(identity, device);
    }
}

/// The named devices that this process knows; clones share them. Some 200 bytes each.
#[derive(Clone, Debug, Default)]
pub struct NamedDevices(Arc<RwLock<Held>>);

impl NameTable for NamedDevices {
    fn number_of(&self, name: &Identity) -> Option<DeviceId> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).numbers.get(name).copied()
    }

    fn name_of(&self, device: DeviceId) -> Option<Identity> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.names.get(&device.number()).cloned()
    }
}

impl NamedDevices {
    /// For those who read and write device ids.
    pub fn names(&self) -> DeviceNames {
        DeviceNames::new(Arc::new(self.clone()))
    }

    /// The number of an identity, if it is known.
    pub fn number(&self, identity: &Identity) -> Option<DeviceId> {
        identity.number().or_else(|| self.number_of(identity))
    }

    /// Whether it is known which name the device has, or that it has none.
    pub fn is_settled(&self, device: DeviceId) -> bool {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        device.number() <= DeviceId::MAX_SFT9001
            || Some(device) <= held.last
            || held.names.contains_key(&device.number())
    }

    /// A name that certainly has this number; those between may still be unknown.
    pub fn remember(&self, device: DeviceId, identity: &Identity) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.insert(device, identity.clone());
    }

    /// Takes the names of a read, in the order of their numbers.
    pub fn learn(&self, named: impl IntoIterator<Item = (DeviceId, Identity)>) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (device, identity) in named {
            held.insert(device, identity);
            held.last = held.last.max(Some(device));
        }
    }

    fn last(&self) -> Option<DeviceId> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).last
    }

    /// Those up to the last one, behind the first `skip`.
    fn page(&self, skip: usize) -> Vec<(DeviceId, Identity)> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = held.last else { return Vec::new() };
        let known = held.names.range(..=last.number()).skip(skip).take(PAGE.into());
        known.map(|(number, name)| (DeviceId::new(*number), name.clone())).collect()
    }

    fn count(&self) -> usize {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.last.map_or(0, |last| held.names.range(..=last.number()).count())
    }

    /// Reads what was given since the last read.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn refresh(&self, identities: &dyn Identities) -> Result<(), StoreError> {
        loop {
            let named = identities.named_after(self.last(), PAGE.into()).await?;
            let more = named.len() >= usize::from(PAGE);
            self.learn(named);
            if !more {
                return Ok(());
            }
        }
    }

    /// Reads on every second until `stop`, and keeps the names in a live store for those
    /// who have no database and ask for them. While a store is away, what is known stays.
    pub async fn follow(
        self,
        identities: Arc<dyn Identities>,
        mirror: Option<Arc<dyn LiveStore>>,
        stop: CancellationToken,
    ) {
        let mut kept = 0;
        loop {
            // Outages of the stores are told by others.
            if let Err(error) = self.refresh(identities.as_ref()).await {
                tracing::debug!(%error, "the names of devices could not be read");
            }
            if let Some(live) = &mirror {
                kept = self.keep(live.as_ref(), kept).await.unwrap_or_else(|error| {
                    tracing::debug!(%error, "the names of devices are not in the live store");
                    0
                });
            }
            if stop.run_until_cancelled(tokio::time::sleep(FOLLOW_EVERY)).await.is_none() {
                return;
            }
        }
    }

    /// Writes what the live store lacks, if anybody wants it; `kept` and the answer: how
    /// many were there after the last time.
    async fn keep(&self, live: &dyn LiveStore, kept: usize) -> Result<usize, StoreError> {
        let Some(there) = live.names_wanted().await? else { return Ok(0) };
        let count = self.count();
        if there >= count {
            return Ok(count);
        }
        // Others than were kept are there when the store lost its memory.
        let mut written = if there == kept { kept } else { 0 };
        while written < count {
            let page = self.page(written);
            live.keep_names(&page).await?;
            written += page.len();
        }
        Ok(written)
    }

    /// Reads on what others keep in the live store, every second until `stop`, and thereby
    /// asks for it to be kept there.
    pub async fn follow_live(self, live: Arc<dyn LiveStore>, stop: CancellationToken) {
        loop {
            let full = match live.names_after(self.last()).await {
                Ok((named, total)) => {
                    let full = named.len() >= usize::from(PAGE);
                    self.learn(named);
                    // Earlier ones were written later, after a loss of memory.
                    if !full && self.count() < total {
                        self.0.write().unwrap_or_else(PoisonError::into_inner).last = None;
                    }
                    full
                }
                Err(error) => {
                    tracing::debug!(%error, "the names of devices cannot be had");
                    false
                }
            };
            let wait = if full { Duration::ZERO } else { FOLLOW_EVERY };
            if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
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
        let written = named.names();
        let (device, identity) = (DeviceId::new(1 << 24), "id:a".parse::<Identity>().unwrap());
        assert_eq!(named.number(&identity), None);
        assert_eq!(written.identity(device), Identity::Number(device));
        named.remember(device, &identity);
        assert_eq!(named.clone().number(&identity), Some(device));
        assert_eq!(written.number(&identity), Some(device));
        assert_eq!(written.identity(device), identity);
        let frames = DeviceId::new(0x000A_3F73);
        assert_eq!(written.identity(frames), Identity::Number(frames));
        assert_eq!(named.number(&Identity::Number(frames)), Some(frames));
    }

    /// Numbers of others, given before, are still read.
    #[test]
    fn what_is_remembered_hides_none_that_were_given_before() {
        let named = NamedDevices::default();
        named.remember(DeviceId::new((1 << 24) + 5), &"id:f".parse().unwrap());
        assert_eq!(named.0.read().unwrap().last, None);
        named.learn([(DeviceId::new(1 << 24), "id:a".parse().unwrap())]);
        assert_eq!(named.0.read().unwrap().last, Some(DeviceId::new(1 << 24)));
    }
}
