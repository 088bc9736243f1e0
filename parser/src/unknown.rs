//! What becomes of the frames of a device that nobody has made known
//! (docs/decisions/0019-unknown-devices.md). Pure, but for the look into the list.

use nemeses_protocol::{DeviceId, Reason};
use nemeses_store::known::{KnownDevices, Standing};

/// What is done with the frames of unknown devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownDevices {
    /// They are taken like any other; the first makes the device known.
    #[default]
    Accept,
    /// They are kept and not shown, until somebody makes the device known.
    Quarantine,
    /// They are refused, and kept as what was refused.
    Reject,
}

impl UnknownDevices {
    /// Why a frame of a device that stands so does not become a row. Who cannot be
    /// told from a known device is never refused: what is in quarantine comes out of
    /// it by itself when the device turns out to be known.
    pub const fn refusal(self, standing: Standing) -> Option<Reason> {
        match (self, standing) {
            (Self::Accept, _) | (_, Standing::Known) => None,
            (Self::Reject, Standing::Unknown) => Some(Reason::UnknownDevice),
            (Self::Quarantine | Self::Reject, Standing::Unknown | Standing::Unsure) => {
                Some(Reason::Quarantined)
            }
        }
    }
}

/// A gate for unknown devices, and the list it looks into.
#[derive(Clone, Debug)]
pub struct Gate {
    mode: UnknownDevices,
    known: KnownDevices,
}

impl Gate {
    /// `None` where all devices are accepted, so that nothing is looked up.
    pub fn new(mode: UnknownDevices, known: &KnownDevices) -> Option<Self> {
        (mode != UnknownDevices::Accept).then(|| Self { mode, known: known.clone() })
    }

    pub(crate) fn refusal(&self, device: DeviceId, now_ms: u64) -> Option<Reason> {
        self.mode.refusal(self.known.standing(device, now_ms))
    }

    /// The same of a device that may have no number yet, and then is in no list.
    pub(crate) fn refusal_of(&self, device: Option<DeviceId>, now_ms: u64) -> Option<Reason> {
        match device {
            Some(device) => self.refusal(device, now_ms),
            None => self.mode.refusal(self.known.standing_of_stranger(now_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_let_in() {
        use Standing::{Known, Unknown, Unsure};
        use UnknownDevices::{Accept, Quarantine, Reject};
        for (mode, standing, expected) in [
            (Accept, Known, None),
            (Accept, Unknown, None),
            (Accept, Unsure, None),
            (Quarantine, Known, None),
            (Quarantine, Unknown, Some(Reason::Quarantined)),
            (Quarantine, Unsure, Some(Reason::Quarantined)),
            (Reject, Known, None),
            (Reject, Unknown, Some(Reason::UnknownDevice)),
            (Reject, Unsure, Some(Reason::Quarantined)),
        ] {
            assert_eq!(mode.refusal(standing), expected, "{mode:?}, {standing:?}");
        }
    }

    #[test]
    fn where_all_are_accepted_there_is_no_gate() {
        assert!(Gate::new(UnknownDevices::Accept, &KnownDevices::default()).is_none());
        assert!(Gate::new(UnknownDevices::Reject, &KnownDevices::default()).is_some());
    }
}
