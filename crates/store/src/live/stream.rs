//! What moved live entries forward, in order, for those who show them: each
//! merge that changed an entry leaves it here, bounded, and any number of
//! readers follow without taking anything away.
//!
//! Ids count entries and have no holes, so a reader knows by arithmetic whether
//! it missed something, in either store and across the loss of its memory: a new
//! stream begins at the time it is made, far beyond the last id of the old one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nemeses_protocol::DeviceId;
use tokio::sync::watch;

use super::{Frames, LiveEntry, LiveFrame};

/// Entries that Redis keeps at least, when so many came: 100 s of the founding fleet of
/// 10 000 devices, each every ten seconds. Some 60 bytes each, 6 MB in all.
pub(super) const KEPT: usize = 100_000;
/// Entries that this process keeps: of some 100 bytes, 5 MB. Their readers are in the same
/// process and never 50 000 behind; clients resume in what the API keeps.
const KEPT_HERE: usize = 50_000;
/// Entries handed to a reader at once: 2 MB.
pub(super) const READ_AT_ONCE: usize = 10_000;
/// A reader that finds nothing waits this long, then is told so.
pub(super) const WAIT: Duration = Duration::from_millis(WAIT_MS);
pub(super) const WAIT_MS: u64 = 2_000;
/// Ids a millisecond, so that a stream made anew begins beyond the old one's
/// last id as long as no more than a million entries a second came. The ids
/// then stay exact as a double, all that Redis' scripts have, until the year 2248.
pub(super) const IDS_A_MS: u64 = 1024;

/// An entry that moved forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// One more than that of the entry that moved before.
    pub id: u64,
    /// What moved. Without a newest frame when none of its live frames changed: the
    /// device was only heard, or sent from its memory (when it was heard is told apart). Seen
    /// at 0 and without frames when a later version wrote it in a way that this one cannot
    /// read.
    pub entry: LiveEntry,
    /// Whether values of the device's channels moved ([`super::LiveStore::values`]); they are
    /// not told here, since a device may have a thousand.
    pub values: bool,
}

/// What is left of `joined` for readers, given what was held before it: of when the device
/// was heard and its live frames, and of what it sent from memory.
pub(super) fn news(
    held: Option<&LiveEntry>,
    joined: &LiveEntry,
) -> (Option<LiveEntry>, Option<LiveEntry>) {
    let seen = || LiveEntry::seen(joined.device, joined.seen_at_ms);
    let frames = || {
        let (newest, fix) = (joined.newest.clone(), joined.fix.clone());
        LiveEntry { newest, fix, ..seen() }
    };
    let live = match held {
        Some(held) if held.newest == joined.newest && held.fix == joined.fix => {
            (held.seen_at_ms != joined.seen_at_ms).then(seen)
        }
        Some(_) | None => Some(frames()),
    };
    let same = held.is_some_and(|held| held.historical == joined.historical);
    let historical = joined.historical.as_deref().filter(|_| !same);
    (live, historical.map(|frames| LiveEntry::from_memory(joined.device, frames.clone())))
}

/// The stream of a store in this process's memory.
#[derive(Debug)]
pub(super) struct MemoryStream {
    ring: Mutex<Ring>,
    origin: u64,
    last: watch::Sender<u64>,
}

#[derive(Debug)]
struct Ring {
    kept: VecDeque<Packed>,
    most: usize,
    /// Id of the newest.
    last: u64,
}

impl MemoryStream {
    pub(super) fn new(now_ms: u64) -> Self {
        Self::with_bound(now_ms, KEPT_HERE)
    }

    fn with_bound(now_ms: u64, most: usize) -> Self {
        let last = now_ms.saturating_mul(IDS_A_MS);
        let ring = Ring { kept: VecDeque::with_capacity(most), most, last };
        Self { ring: Mutex::new(ring), origin: last, last: watch::Sender::new(last) }
    }

    /// The id before the first.
    pub(super) const fn origin(&self) -> u64 {
        self.origin
    }

    /// Adds entries; the oldest make room.
    pub(super) fn push(&self, entries: Vec<(LiveEntry, bool)>) {
        if entries.is_empty() {
            return;
        }
        let mut ring = self.ring();
        ring.last += entries.len() as u64;
        let surplus = (ring.kept.len() + entries.len()).saturating_sub(ring.most);
        let (old, new) = (surplus.min(ring.kept.len()), surplus.saturating_sub(ring.kept.len()));
        ring.kept.drain(..old);
        ring.kept
            .extend(entries.into_iter().skip(new).map(|(entry, values)| Packed::of(entry, values)));
        let last = ring.last;
        drop(ring);
        self.last.send_replace(last);
    }

    /// What came after the id, oldest first; waits a little for something to come.
    pub(super) async fn after(&self, id: u64) -> Vec<Moved> {
        let mut last = self.last.subscribe();
        let waited = tokio::time::timeout(WAIT, last.wait_for(|last| *last != id)).await;
        match waited {
            Ok(Ok(_)) => self.ring().after(id),
            // Nothing came in time. The sender lives as long as this does.
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// An id of another stream than this one gets all there is.
    fn after(&self, id: u64) -> Vec<Moved> {
        let before_first = self.last - self.kept.len() as u64;
        let from = if (before_first..=self.last).contains(&id) { id } else { before_first };
        // Not more than are kept, so it fits.
        let skipped = usize::try_from(from - before_first).unwrap_or(usize::MAX);
        let entries = self.kept.iter().skip(skipped).take(READ_AT_ONCE);
        let moved = |(id, packed): (u64, &Packed)| Moved {
            id,
            entry: packed.entry(),
            values: packed.values,
        };
        (from + 1..).zip(entries).map(moved).collect()
    }
}

/// An entry as the ring holds it: the newest frame has a fix nearly always, and is then
/// held once.
#[derive(Debug)]
struct Packed {
    device: DeviceId,
    newest_is_fix: bool,
    values: bool,
    seen_at_ms: u64,
    newest: Option<LiveFrame>,
    fix: Option<Box<LiveFrame>>,
    historical: Option<Box<Frames>>,
}

impl Packed {
    fn of(entry: LiveEntry, values: bool) -> Self {
        let LiveEntry { device, seen_at_ms, newest, fix, historical, .. } = entry;
        let newest_is_fix = fix == newest;
        let fix = fix.filter(|_| !newest_is_fix).map(Box::new);
        Self { device, newest_is_fix, values, seen_at_ms, newest, fix, historical }
    }

    fn entry(&self) -> LiveEntry {
        let fix = if self.newest_is_fix { self.newest.as_ref() } else { self.fix.as_deref() };
        LiveEntry {
            device: self.device,
            seen_at_ms: self.seen_at_ms,
            newest: self.newest.clone(),
            fix: fix.cloned(),
            historical: self.historical.clone(),
            values: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::live::strategies::frame_entries;

    const DEVICE: DeviceId = DeviceId::new(0x0A_3F73);

    fn seen(number: u32) -> LiveEntry {
        LiveEntry::seen(DeviceId::new(number), 1)
    }

    proptest! {
        #[test]
        fn news_say_what_changed(held in frame_entries(DEVICE), offered in frame_entries(DEVICE)) {
            let mut joined = held.clone();
            joined.merge(offered);
            let (live, historical) = news(Some(&held), &joined);
            prop_assert_eq!(live.is_none() && historical.is_none(), held == joined);
            // Whoever held the same and joins the news is as far as the store.
            let mut follower = held;
            for news in live.into_iter().chain(historical) {
                follower.merge(news);
            }
            prop_assert_eq!(follower, joined);
        }

        #[test]
        fn a_reader_gets_everything_once_or_sees_the_hole(
            pushes in proptest::collection::vec(0..20_usize, 1..30),
            reads in proptest::collection::vec(any::<bool>(), 30),
        ) {
            let stream = MemoryStream::with_bound(1_000, 25);
            let (mut pushed, mut after) = (0_u32, 1_000 * IDS_A_MS);
            let mut got = Vec::new();
            for (count, read) in pushes.into_iter().zip(reads) {
                stream.push((0..count).map(|_| { pushed += 1; (seen(pushed), false) }).collect());
                if read {
                    let moved = stream.ring().after(after);
                    if let (Some(first), Some(last)) = (moved.first(), moved.last()) {
                        prop_assert!(first.id > after);
                        prop_assert_eq!(last.id, 1_000 * IDS_A_MS + u64::from(pushed));
                        if first.id > after + 1 {
                            prop_assert_eq!(moved.len(), 25);
                        }
                        after = last.id;
                    }
                    for Moved { id, entry, .. } in moved {
                        prop_assert_eq!(id, 1_000 * IDS_A_MS + u64::from(entry.device.number()));
                        got.push(id);
                    }
                }
            }
            prop_assert!(got.is_sorted_by(|one, two| one < two));
        }
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken_and_a_strange_id_gets_all() {
        let stream = std::sync::Arc::new(MemoryStream::new(5));
        let begun = 5 * IDS_A_MS;
        let waiting = tokio::spawn({
            let stream = std::sync::Arc::clone(&stream);
            async move { stream.after(begun).await }
        });
        stream.push(vec![(seen(1), false), (seen(2), true)]);
        let all: Vec<u64> = waiting.await.unwrap().iter().map(|moved| moved.id).collect();
        assert_eq!(all, [begun + 1, begun + 2]);
        for strange in [0, 7, begun + 3, u64::MAX] {
            assert_eq!(stream.after(strange).await.len(), 2, "{strange}");
        }
        assert_eq!(
            stream.after(begun + 1).await,
            [Moved { id: begun + 2, entry: seen(2), values: true }]
        );
    }
}
