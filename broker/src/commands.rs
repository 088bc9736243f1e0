//! The seam between the door and what keeps commands until devices have acknowledged them.
//!
//! A [`CommandKeeper`] hears when a device's commands are listened for and hands over what
//! waits ([`crate::DoorHandle::hand_over`]); the door reports what became of each. One
//! client gets it: two that listen for the same device would both carry it out.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use nemeses_protocol::DeviceId;
use tokio::time::Instant;

/// Keeps commands. Called on connections' tasks: it must not wait.
pub trait CommandKeeper: Send + Sync + 'static {
    /// A client listens for the commands of this device from now on.
    fn listened_for(&self, device: DeviceId);

    /// What became of a command that was handed over. After [`Fate::Sent`] another
    /// follows; every other is the last.
    fn report(&self, command: u64, device: DeviceId, fate: Fate);
}

/// What became of a command on its way to its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It went out; the client's acknowledgement is to come.
    Sent,
    /// It went out to a client that listens at QoS 0: there is no acknowledgement.
    SentForGood,
    /// The client has acknowledged it.
    Acknowledged,
    /// The device has answered it, in these words of its protocol.
    Answered(Bytes),
    /// The client has refused it, by this reason code of MQTT 5; the device, by 0.
    Refused(u8),
    /// The device has not answered it in time. It may have carried it out, so it does not go out
    /// again.
    Unanswered,
    /// The device's protocol has no such command.
    Unsupported,
    /// It is longer than the client takes.
    TooLarge,
    /// Its time was over before it could go out.
    Late,
    /// The connection ended before the client acknowledged it.
    Lost,
    /// The client has too much waiting already.
    NoRoom,
}

/// A command on its way. Dropped without a fate, it is lost.
pub(crate) struct Handed {
    id: u64,
    device: DeviceId,
    until: Instant,
    keeper: Option<Arc<dyn CommandKeeper>>,
}

impl Handed {
    pub(crate) fn new(
        keeper: Arc<dyn CommandKeeper>,
        id: u64,
        device: DeviceId,
        until: Instant,
    ) -> Self {
        Self { id, device, until, keeper: Some(keeper) }
    }

    /// Seconds for which it may still go out, rounded up; `None` when its time is over.
    pub(crate) fn seconds_left(&self, now: Instant) -> Option<u32> {
        let left = self.until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        Some(u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// It went out, and more is to come.
    pub(crate) fn sent(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.report(self.id, self.device, Fate::Sent);
        }
    }

    /// It has come to its end.
    pub(crate) fn ends(mut self, fate: Fate) {
        self.report_last(fate);
    }

    fn report_last(&mut self, fate: Fate) {
        if let Some(keeper) = self.keeper.take() {
            keeper.report(self.id, self.device, fate);
        }
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        self.report_last(Fate::Lost);
    }
}

impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handed({} for {})", self.id, self.device)
    }
}
