//! Room for frames that wait for their commit, over all connections.
//!
//! Connections look for room before they read, not after, so that everything
//! that was read is answered. The bound is therefore the limit plus one read a
//! runtime thread, plus an allowance: beyond the limit each connection may have a
//! little more, and all that ever came together so much, since what a connection
//! left waits for its commit also when the connection has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use nemeses_runtime::metrics::metrics::gauge::Gauge;
use tokio::sync::Notify;

/// What a connection may have waiting while the room of all is taken: some forty
/// pings or frames, an hour and a half of a tracker that waits for its PUBACKs.
pub(crate) const ALLOWANCE_BYTES: usize = 4096;

/// The gauge that shows how much is taken.
pub(crate) type Shown = Gauge<u64, AtomicU64>;

/// The room and how much of it is taken. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    taken: AtomicUsize,
    limit: usize,
    freed: Notify,
    shown: Shown,
}

impl Pool {
    pub(crate) fn new(limit: usize, shown: Shown) -> Self {
        Self(Arc::new(Inner { taken: AtomicUsize::new(0), limit, freed: Notify::new(), shown }))
    }

    pub(crate) fn has_room(&self) -> bool {
        self.taken() < self.0.limit
    }

    /// Whether the allowances of so many connections beyond the limit are not yet
    /// used up.
    pub(crate) fn has_allowance(&self, connections: usize) -> bool {
        let allowances = connections.saturating_mul(ALLOWANCE_BYTES);
        self.taken() < self.0.limit.saturating_add(allowances)
    }

    pub(crate) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Acquire)
    }

    /// Takes room for what was read already.
    pub(crate) fn take(&self, bytes: usize) -> Room {
        self.0.taken.fetch_add(bytes, Ordering::AcqRel);
        self.0.shown.inc_by(u64::try_from(bytes).unwrap_or(0));
        Room { pool: self.clone(), bytes }
    }

    /// Returns when there is room.
    pub(crate) async fn room(&self) {
        loop {
            let mut freed = std::pin::pin!(self.0.freed.notified());
            freed.as_mut().enable();
            if self.has_room() {
                return;
            }
            freed.await;
        }
    }
}

/// Room taken; given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    pool: Pool,
    bytes: usize,
}

impl Room {
    /// Takes more until it is `bytes`; what is taken already stays.
    pub(crate) fn grow_to(&mut self, bytes: usize) {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return;
        }
        self.pool.0.taken.fetch_add(more, Ordering::AcqRel);
        self.pool.0.shown.inc_by(u64::try_from(more).unwrap_or(0));
        self.bytes += more;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let inner = &self.pool.0;
        inner.shown.dec_by(u64::try_from(self.bytes).unwrap_or(0));
        let before = inner.taken.fetch_sub(self.bytes, Ordering::AcqRel);
        // Only the step below the limit wakes those who wait.
        if before >= inner.limit && before - self.bytes < inner.limit {
            inner.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_and_never_shrinks() {
        let pool = Pool::new(10, Shown::default());
        let mut room = pool.take(4);
        room.grow_to(2);
        assert_eq!(pool.taken(), 4);
        room.grow_to(12);
        assert_eq!((pool.taken(), pool.has_room()), (12, false));
        drop(room);
        assert_eq!(pool.taken(), 0);
    }

    #[tokio::test]
    async fn room_comes_back_when_it_is_dropped() {
        let pool = Pool::new(10, Shown::default());
        let first = pool.take(6);
        assert!(pool.has_room());
        let second = pool.take(6);
        assert!(!pool.has_room());
        let third = pool.take(ALLOWANCE_BYTES);
        assert!(!pool.has_allowance(1) && pool.has_allowance(2));
        drop(third);
        assert!(pool.has_allowance(1));
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.room().await }
        });
        tokio::task::yield_now().await;
        drop(first);
        waiting.await.unwrap();
        drop(second);
        assert_eq!(pool.taken(), 0);
    }
}
