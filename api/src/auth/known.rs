//! What users may do, as read from the database a moment ago, so that not every
//! request asks it again. Bounded; time is an argument.
//!
//! A change of rights therefore reaches every instance within [`FRESH_MS`]. While
//! the database does not answer, what was known is used for up to [`LAST_MS`]: live
//! positions stay readable, and nothing can be revoked in a database that is down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use nemeses_store::history::Access;

/// Milliseconds that an answer is used without asking again.
const FRESH_MS: u64 = 2_000;
/// Milliseconds that an answer is used when asking again fails.
const LAST_MS: u64 = 300_000;
/// Users at most. 40 KB each at worst ([`nemeses_store::history::MAX_GRANTS`]
/// devices of 4 bytes), 40 MB in all.
const MAX_KNOWN: usize = 1_000;

#[derive(Default)]
pub(crate) struct KnownAccess(Mutex<HashMap<u64, Known>>);

struct Known {
    access: Arc<Access>,
    read_at_ms: u64,
    /// When the database was asked last, with or without an answer.
    asked_at_ms: u64,
}

impl KnownAccess {
    /// What need not be asked again yet.
    pub(crate) fn fresh(&self, user_id: u64, now_ms: u64) -> Option<Arc<Access>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&user_id)?;
        let good = younger(known.asked_at_ms, FRESH_MS, now_ms)
            && younger(known.read_at_ms, LAST_MS, now_ms);
        good.then(|| Arc::clone(&known.access))
    }

    /// Whether there is anything to fall back to.
    pub(crate) fn remembers(&self, user_id: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&user_id)
    }

    /// What will do after the database did not answer. It is not asked again at
    /// once, so that the next requests need not wait for it too.
    pub(crate) fn last(&self, user_id: u64, now_ms: u64) -> Option<Arc<Access>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_mut(&user_id)?;
        known.asked_at_ms = now_ms;
        younger(known.read_at_ms, LAST_MS, now_ms).then(|| Arc::clone(&known.access))
    }

    /// Remembers an answer read at `read_at_ms`; forgets a user who is gone.
    pub(crate) fn put(&self, user_id: u64, access: Option<&Arc<Access>>, read_at_ms: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(access) = access else {
            known.remove(&user_id);
            return;
        };
        if known.len() >= MAX_KNOWN && !known.contains_key(&user_id) {
            known.retain(|_, known| read_at_ms.saturating_sub(known.read_at_ms) < FRESH_MS);
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
        }
        let access = Arc::clone(access);
        known.insert(user_id, Known { access, read_at_ms, asked_at_ms: read_at_ms });
    }
}

/// A clock that went backwards makes nothing younger.
fn younger(since_ms: u64, age_ms: u64, now_ms: u64) -> bool {
    now_ms.checked_sub(since_ms).is_some_and(|age| age < age_ms)
}

#[cfg(test)]
mod tests {
    use nemeses_store::history::Role;

    use super::*;

    fn access() -> Arc<Access> {
        Arc::new(Access { role: Role::Viewer, devices: vec![], groups: vec![] })
    }

    #[test]
    fn an_answer_ages() {
        let known = KnownAccess::default();
        known.put(7, Some(&access()), 1_000_000);
        assert_eq!(known.fresh(7, 1_000_000 + FRESH_MS - 1), Some(access()));
        assert_eq!(known.fresh(7, 1_000_000 + FRESH_MS), None);
        assert_eq!(known.last(7, 1_000_000 + FRESH_MS), Some(access()));
        assert_eq!(known.fresh(7, 1_000_000 + FRESH_MS + 1), Some(access()), "not asked again");
        assert_eq!(known.last(7, 1_000_000 + LAST_MS - 1), Some(access()));
        assert_eq!(known.last(7, 1_000_000 + LAST_MS), None);
        assert_eq!(known.last(7, 999_999), None, "the clock went backwards");
        assert_eq!(known.fresh(8, 1_000_000), None);
        known.put(7, None, 1_000_001);
        assert_eq!(known.last(7, 1_000_001), None);
    }

    #[test]
    fn memory_is_bounded() {
        let known = KnownAccess::default();
        for user_id in 0..10 * MAX_KNOWN as u64 {
            known.put(user_id, Some(&access()), user_id);
            assert!(known.0.lock().unwrap().len() <= MAX_KNOWN);
            assert_eq!(known.fresh(user_id, user_id), Some(access()));
        }
    }
}
