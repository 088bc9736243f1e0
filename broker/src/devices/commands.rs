//! The commands of one device's connection: one is on its way at a time, since the answers of some
//! protocols do not say to which command they belong. Without IO.

use std::collections::VecDeque;
use std::time::Duration;

use nemeses_protocol::{CommandAnswer, CommandKey};
use tokio::time::Instant;

use super::DeviceSession;
use crate::commands::{Fate, Handed};
use crate::mailbox::Delivery;

/// A device that has not answered for so long does not: most do within seconds. The next command
/// may go out then.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Commands that may wait for the one before them: as many as a device may have open, and some that
/// nobody keeps.
const MOST_WAITING: usize = 64;

/// What went out last.
struct Asked {
    key: CommandKey,
    /// None of a command that nobody keeps.
    handed: Option<Handed>,
    until: Instant,
}

/// A connection's commands. Dropped, those without an answer are lost, and go out again.
#[derive(Default)]
pub(super) struct Asking {
    asked: Option<Asked>,
    waiting: VecDeque<Delivery>,
}

impl Asking {
    /// Takes what came for the device.
    pub(super) fn accept(&mut self, deliveries: VecDeque<Delivery>) {
        for delivery in deliveries {
            if self.waiting.len() < MOST_WAITING {
                self.waiting.push_back(delivery);
            } else {
                end(delivery.handed, Fate::NoRoom);
            }
        }
    }

    /// The bytes of what may go out now; empty when nothing may.
    pub(super) fn next(&mut self, session: &mut dyn DeviceSession, now: Instant) -> Vec<u8> {
        while self.asked.is_none()
            && let Some(Delivery { payload, handed, .. }) = self.waiting.pop_front()
        {
            if handed.as_ref().is_some_and(|handed| handed.seconds_left(now).is_none()) {
                end(handed, Fate::Late);
                continue;
            }
            let Some((bytes, key)) = session.command(&payload) else {
                end(handed, Fate::Unsupported);
                continue;
            };
            if let Some(handed) = &handed {
                handed.sent();
            }
            self.asked = Some(Asked { key, handed, until: now + ANSWER_WITHIN });
            return bytes;
        }
        Vec::new()
    }

    /// The device answers. An answer to no command of ours is passed over: it is a record all
    /// the same.
    pub(super) fn answered(&mut self, answers: Vec<CommandAnswer>) {
        for CommandAnswer { key, bytes, is_refusal } in answers {
            if let Some(asked) = self.asked.take_if(|asked| asked.key == key) {
                let fate = if is_refusal { Fate::Refused(0) } else { Fate::Answered(bytes.into()) };
                end(asked.handed, fate);
            }
        }
    }

    /// Until when the device may answer.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.asked.as_ref().map(|asked| asked.until)
    }

    /// Gives up on an answer whose time is over.
    pub(super) fn give_up(&mut self, now: Instant) {
        if let Some(asked) = self.asked.take_if(|asked| asked.until <= now) {
            end(asked.handed, Fate::Unanswered);
        }
    }
}

fn end(handed: Option<Handed>, fate: Fate) {
    if let Some(handed) = handed {
        handed.ends(fate);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use nemeses_protocol::DeviceId;

    use super::super::DeviceTaken;
    use super::*;
    use crate::commands::CommandKeeper;
    use crate::intake::Receipt;
    use crate::packet::Qos;

    const DEVICE: DeviceId = DeviceId::new(1);

    #[derive(Default)]
    struct Reports(Mutex<Vec<(u64, Fate)>>);

    impl CommandKeeper for Reports {
        fn listened_for(&self, _: DeviceId) {}

        fn report(&self, command: u64, _: DeviceId, fate: Fate) {
            self.0.lock().unwrap().push((command, fate));
        }
    }

    /// Says every command but "?", under the length of it.
    struct Parrot;

    impl DeviceSession for Parrot {
        fn take(&mut self, _: &[u8], _: bool) -> DeviceTaken {
            DeviceTaken::default()
        }

        fn commit(&mut self, _: Receipt) {}

        fn command(&mut self, payload: &[u8]) -> Option<(Vec<u8>, CommandKey)> {
            let key = u64::try_from(payload.len()).ok()?;
            (payload != b"?").then(|| (payload.to_vec(), key))
        }
    }

    fn delivery(reports: &Arc<Reports>, id: u64, text: &'static [u8], until: Instant) -> Delivery {
        let keeper = Arc::clone(reports) as Arc<dyn CommandKeeper>;
        let handed = Some(Handed::new(keeper, id, DEVICE, until));
        Delivery { topic: "".into(), payload: text.into(), qos: Qos::AtLeastOnce, handed }
    }

    fn answer(key: u64) -> Vec<CommandAnswer> {
        vec![CommandAnswer { key, bytes: b"ok".to_vec(), is_refusal: false }]
    }

    #[test]
    fn one_command_at_a_time_each_with_its_answer() {
        let (reports, now) = (Arc::new(Reports::default()), Instant::now());
        let later = now + Duration::from_secs(600);
        let mut asking = Asking::default();
        asking.accept(VecDeque::from([
            delivery(&reports, 1, b"a", later),
            delivery(&reports, 2, b"?", later),
            delivery(&reports, 3, b"late", now),
            delivery(&reports, 4, b"bb", later),
            delivery(&reports, 5, b"ccc", later),
        ]));
        assert_eq!(asking.next(&mut Parrot, now), b"a");
        assert!(asking.next(&mut Parrot, now).is_empty(), "the first is not answered");
        asking.answered(answer(7));
        assert!(asking.next(&mut Parrot, now).is_empty(), "that was for another");
        asking.answered(answer(1));
        assert_eq!(asking.next(&mut Parrot, now), b"bb");
        asking.give_up(now);
        assert!(asking.next(&mut Parrot, now).is_empty());
        let at = asking.deadline().unwrap();
        asking.give_up(at);
        assert_eq!(asking.next(&mut Parrot, at), b"ccc");
        drop(asking);
        let reports = reports.0.lock().unwrap().clone();
        assert_eq!(
            reports,
            [
                (1, Fate::Sent),
                (1, Fate::Answered(b"ok".as_slice().into())),
                (2, Fate::Unsupported),
                (3, Fate::Late),
                (4, Fate::Sent),
                (4, Fate::Unanswered),
                (5, Fate::Sent),
                (5, Fate::Lost),
            ]
        );
    }

    #[test]
    fn what_waits_is_bounded() {
        let (reports, now) = (Arc::new(Reports::default()), Instant::now());
        let later = now + Duration::from_secs(600);
        let mut asking = Asking::default();
        let many = u64::try_from(MOST_WAITING).unwrap() + 2;
        asking.accept((0..many).map(|id| delivery(&reports, id, b"a", later)).collect());
        let refused = reports.0.lock().unwrap().clone();
        assert_eq!(refused, [(many - 2, Fate::NoRoom), (many - 1, Fate::NoRoom)]);
    }
}
