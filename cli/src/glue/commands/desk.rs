//! What the door tells of commands, until the courier takes it: for which devices somebody
//! listens now, and what became of those that were handed over. And which are on their way:
//! such a one does not go out again, whatever the database says of its claim.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nemeses_broker::{CommandKeeper, Fate};
use nemeses_protocol::DeviceId;
use nemeses_store::history::{CommandStep, MAX_ANSWER_BYTES};
use tokio::sync::Notify;

/// Both. What became of commands is at most two steps for each that is on its way, and
/// those are bounded by the store (`MAX_OPEN_COMMANDS` of a device); devices are those of
/// open connections.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    left: Mutex<Left>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Left {
    devices: BTreeSet<DeviceId>,
    steps: Vec<(u64, CommandStep)>,
    /// Sent from here, and not yet noted to have come to an end.
    under_way: BTreeSet<u64>,
}

impl Desk {
    /// Returns when something was left since it was waited for last.
    pub(super) async fn rang(&self) {
        self.bell.notified().await;
    }

    /// Leaves a device whose commands may go out now.
    pub(crate) fn device(&self, device: DeviceId) {
        self.lock().devices.insert(device);
        self.bell.notify_one();
    }

    /// A command is about to be sent; `false` when it is on its way already.
    pub(super) fn begins(&self, command: u64) -> bool {
        self.lock().under_way.insert(command)
    }

    /// The first so many steps were noted: what has come to its end may be sent again, if it
    /// is open.
    pub(super) fn noted(&self, count: usize) {
        let mut left = self.lock();
        let Left { steps, under_way, .. } = &mut *left;
        for (command, step) in steps.drain(..count) {
            if step != CommandStep::Sent {
                under_way.remove(&command);
            }
        }
    }

    /// Leaves what became of commands.
    pub(super) fn steps(&self, steps: Vec<(u64, CommandStep)>) {
        if !steps.is_empty() {
            self.lock().steps.extend(steps);
            self.bell.notify_one();
        }
    }

    pub(super) fn take_devices(&self) -> BTreeSet<DeviceId> {
        std::mem::take(&mut self.lock().devices)
    }

    /// The steps so far; they stay until they are [`Desk::noted`].
    pub(super) fn steps_so_far(&self) -> Vec<(u64, CommandStep)> {
        self.lock().steps.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        // Nothing panics while it is held.
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CommandKeeper for Desk {
    fn listened_for(&self, device: DeviceId) {
        self.device(device);
    }

    fn report(&self, command: u64, device: DeviceId, fate: Fate) {
        let is_lost = fate == Fate::Lost;
        let step = match fate {
            Fate::Sent => CommandStep::Sent,
            Fate::SentForGood => CommandStep::SentForGood,
            Fate::Acknowledged => CommandStep::Answered(None),
            Fate::Answered(answer) => {
                let kept = answer.get(..MAX_ANSWER_BYTES).unwrap_or(&answer);
                CommandStep::Answered(Some(kept.to_vec()))
            }
            Fate::Unanswered => CommandStep::Failed("unanswered"),
            Fate::Unsupported => CommandStep::Failed("unsupported"),
            Fate::Refused(_) => CommandStep::Failed("refused"),
            Fate::TooLarge => CommandStep::Failed("too_long"),
            Fate::Late | Fate::Lost | Fate::NoRoom => CommandStep::Released(0),
        };
        self.steps(vec![(command, step)]);
        // The device may be connected again already; who has no room is asked again later.
        if is_lost {
            self.device(device);
        }
    }
}
