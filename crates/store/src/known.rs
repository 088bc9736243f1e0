//! Which devices are known, for those who treat the others differently: the list,
//! the handle by which a station looks into it, and how a station without a
//! database follows the copy in the live store.
//!
//! A device is known when it has a profile, a login, a group or rows, so exactly
//! when the list of devices shows it. Whether an unknown one's frames are taken is
//! not decided here (`nemeses_parser::UnknownDevices`).

mod list;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use nemeses_protocol::DeviceId;
use nemeses_runtime::{Clock, Outage};
use tokio_util::sync::CancellationToken;

use crate::live::{LiveStore, Mirrored};

pub use list::{KnownList, MAX_KNOWN};

/// Beyond this age of the list, a device that is not in it may be known by now.
pub const KNOWN_FOR_MS: u64 = 30_000;
/// Between looks at the copy in the live store.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// What is known of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is in the list.
    Known,
    /// It is not, and the list is fresh.
    Unknown,
    /// There is no list, or one too old to say that a device is unknown.
    Unsure,
}

#[derive(Debug, Default)]
struct Held {
    list: Option<Arc<KnownList>>,
    fresh_until_ms: u64,
}

/// The list as a station has it at the moment; clones share it.
#[derive(Clone, Debug, Default)]
pub struct KnownDevices(Arc<RwLock<Held>>);

impl KnownDevices {
    /// How a device stands at this time: one look into a table.
    pub fn standing(&self, device: DeviceId, now_ms: u64) -> Standing {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match &held.list {
            Some(list) if list.contains(device) => Standing::Known,
            Some(_) if now_ms < held.fresh_until_ms => Standing::Unknown,
            _ => Standing::Unsure,
        }
    }

    /// The same of a device that is in no list, having no number.
    pub fn standing_of_stranger(&self, now_ms: u64) -> Standing {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = held.list.is_some() && now_ms < held.fresh_until_ms;
        if fresh { Standing::Unknown } else { Standing::Unsure }
    }

    /// Takes a list that was read at this time in the place of the one before.
    pub fn renew(&self, list: Arc<KnownList>, read_at_ms: u64) {
        let fresh_until_ms = read_at_ms.saturating_add(KNOWN_FOR_MS);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) =
            Held { list: Some(list), fresh_until_ms };
    }

    /// The list was still the same at this time.
    pub fn confirm(&self, read_at_ms: u64) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.fresh_until_ms = read_at_ms.saturating_add(KNOWN_FOR_MS);
    }

    /// Whether there is a list at all.
    pub fn is_there(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).list.is_some()
    }
}

/// Follows the copy of the list in the live store until `stop`, and thereby asks for
/// it to be kept there.
pub async fn follow_known(
    live: Arc<dyn LiveStore>,
    known: KnownDevices,
    clock: Clock,
    stop: CancellationToken,
) {
    let outage = Outage::new();
    let mut have = None;
    loop {
        let asked_at_ms = clock.now_ms();
        let said = stop.run_until_cancelled(live.known_devices(have)).await;
        match said {
            None => return,
            Some(Ok(Mirrored::List { version, list })) => {
                have = Some(version);
                known.renew(Arc::new(list), asked_at_ms);
                recovered(&outage);
            }
            Some(Ok(Mirrored::Same)) => {
                known.confirm(asked_at_ms);
                recovered(&outage);
            }
            Some(Ok(Mirrored::Missing)) => complain(&outage, "it is not in the live store"),
            Some(Err(error)) => complain(&outage, &error.to_string()),
        }
        if stop.run_until_cancelled(tokio::time::sleep(FOLLOW_EVERY)).await.is_none() {
            return;
        }
    }
}

fn recovered(outage: &Outage) {
    if outage.ends().is_some() {
        tracing::info!("the list of known devices is there");
    }
}

fn complain(outage: &Outage, why: &str) {
    if outage.begins() {
        tracing::warn!(
            "the list of known devices cannot be had, frames of devices that are not known yet \
             are quarantined meanwhile: {why}; an exporter or an API with the same Redis keeps it"
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(numbers: &[u32]) -> KnownList {
        numbers.iter().copied().map(DeviceId::new).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers in proptest::collection::vec(any::<u32>(), 0..200)) {
            let known = list(&numbers);
            let (version, bytes) = known.encode();
            prop_assert_eq!(KnownList::decode(&bytes), Some((version, known)));
        }

        #[test]
        fn no_bytes_panic_and_no_change_goes_unseen(
            numbers in proptest::collection::vec(any::<u32>(), 1..20),
            place: proptest::sample::Index,
            other in 1..=255_u8,
        ) {
            let (_, mut bytes) = list(&numbers).encode();
            let place = place.index(bytes.len());
            prop_assert_eq!(KnownList::decode(&bytes[..place]), None);
            bytes[place] ^= other;
            prop_assert_eq!(KnownList::decode(&bytes), None);
        }
    }

    #[test]
    fn an_empty_list_is_one_and_no_bytes_are_none() {
        let (version, bytes) = KnownList::default().encode();
        assert_eq!(KnownList::decode(&bytes), Some((version, KnownList::default())));
        assert_eq!(KnownList::decode(b""), None);
    }

    #[test]
    fn a_device_stands_as_the_list_says_while_that_is_fresh() {
        let (known, unknown) = (DeviceId::new(1), DeviceId::new(2));
        let devices = KnownDevices::default();
        assert_eq!(devices.standing(known, 0), Standing::Unsure);
        devices.renew(Arc::new(list(&[1])), 1_000);
        let stands = |now_ms| [known, unknown].map(|device| devices.standing(device, now_ms));
        assert_eq!(stands(1_000), [Standing::Known, Standing::Unknown]);
        assert_eq!(devices.standing_of_stranger(1_000), Standing::Unknown);
        assert_eq!(devices.standing_of_stranger(1_000 + KNOWN_FOR_MS), Standing::Unsure);
        assert_eq!(stands(1_000 + KNOWN_FOR_MS), [Standing::Known, Standing::Unsure]);
        devices.confirm(2_000);
        assert_eq!(stands(1_000 + KNOWN_FOR_MS), [Standing::Known, Standing::Unknown]);
    }
}
