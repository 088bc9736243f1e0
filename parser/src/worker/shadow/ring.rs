//! The messages of the last seconds. Pure: the moment is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// Messages stay so long. A broker that is killed loses what it acknowledged since
/// its last save: a second with `autosave_interval 1`, and as long as the save took
/// beside it, during which it acknowledges nothing.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(15);
/// And no more than this in memory, with what each takes beside its bytes: 15 s of
/// 15 000 frames a second, each by itself.
const MOST_BYTES: usize = 48 * 1024 * 1024;
/// Of a message beside topic and payload: the entry and two allocations.
const ENTRY_BYTES: usize = 140;

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) topic: String,
    pub(super) payload: Bytes,
}

impl Kept {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.topic.len() + self.payload.len()
    }
}

/// The last messages, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ring {
    kept: VecDeque<(Instant, Kept)>,
    bytes: usize,
}

impl Ring {
    /// Adds one and forgets old ones; returns how many were forgotten before their
    /// time, for want of room.
    pub(super) fn push(&mut self, message: Kept, now: Instant) -> u64 {
        self.bytes += message.bytes();
        self.kept.push_back((now, message));
        let mut early = 0;
        while let Some((at, _)) = self.kept.front() {
            let is_old = now.saturating_duration_since(*at) > KEPT_FOR;
            if !is_old && self.bytes <= MOST_BYTES {
                break;
            }
            early += u64::from(!is_old);
            self.pop();
        }
        early
    }

    /// Takes all that is young enough, oldest first.
    pub(super) fn take(&mut self, now: Instant) -> VecDeque<Kept> {
        self.bytes = 0;
        let is_young = |(at, _): &(Instant, Kept)| now.saturating_duration_since(*at) <= KEPT_FOR;
        let all = std::mem::take(&mut self.kept).into_iter();
        all.filter(is_young).map(|(_, message)| message).collect()
    }

    fn pop(&mut self) {
        if let Some((_, message)) = self.kept.pop_front() {
            self.bytes -= message.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: usize, bytes: usize) -> Kept {
        Kept { topic: number.to_string(), payload: vec![0; bytes].into() }
    }

    #[test]
    fn messages_are_kept_for_their_time_in_their_order() {
        let (mut ring, start) = (Ring::default(), Instant::now());
        for second in 0..40 {
            assert_eq!(
                ring.push(message(second, 1), start + Duration::from_secs(second as u64)),
                0
            );
        }
        assert_eq!(ring.kept.len(), 16, "older ones are forgotten at once");
        let taken = ring.take(start + Duration::from_secs(44));
        let numbers: Vec<_> = taken.iter().map(|kept| kept.topic.as_str()).collect();
        assert_eq!(numbers, (29..40).map(|n: u32| n.to_string()).collect::<Vec<_>>());
        assert_eq!((ring.bytes, ring.kept.len()), (0, 0));
    }

    #[test]
    fn memory_is_bounded_and_what_had_to_go_early_is_counted() {
        let (mut ring, now) = (Ring::default(), Instant::now());
        let large = 1024 * 1024;
        let early: u64 = (0..100).map(|number| ring.push(message(number, large), now)).sum();
        assert_eq!(early, 100 - ring.kept.len() as u64);
        assert!(ring.bytes <= MOST_BYTES && ring.kept.len() >= 47, "{}", ring.kept.len());
        let bytes: usize = ring.kept.iter().map(|(_, kept)| kept.bytes()).sum();
        assert_eq!(ring.bytes, bytes);
    }
}
