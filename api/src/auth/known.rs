//! What the holders of tokens may do, as read from the database a moment ago, so
//! that not every request asks it again. Bounded; time is an argument.
//!
//! A change of rights, the end of a session and the revocation of a token
//! therefore reach every instance within [`FRESH_MS`]. While the database does not
//! answer, what was known is used for up to [`LAST_MS`]: live positions stay
//! readable, and nothing can be revoked in a database that is down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::access::{Credential, SignedIn};

/// Milliseconds that an answer is used without asking again.
const FRESH_MS: u64 = 2_000;
/// Milliseconds that an answer is used when asking again fails.
const LAST_MS: u64 = 300_000;
/// Credentials at most. 40 KB each at worst ([`nemeses_store::history::MAX_GRANTS`]
/// devices of 4 bytes), 80 MB in all; some 200 bytes for most.
const MAX_KNOWN: usize = 2_000;

#[derive(Default)]
pub(crate) struct KnownAccess(Mutex<HashMap<Credential, Known>>);

struct Known {
    access: Arc<SignedIn>,
    read_at_ms: u64,
    /// When the database was asked last, with or without an answer.
    asked_at_ms: u64,
}

impl KnownAccess {
    /// What need not be asked again yet.
    pub(crate) fn fresh(&self, credential: Credential, now_ms: u64) -> Option<Arc<SignedIn>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&credential)?;
        let good = younger(known.asked_at_ms, FRESH_MS, now_ms)
            && younger(known.read_at_ms, LAST_MS, now_ms);
        good.then(|| Arc::clone(&known.access))
    }

    /// Whether there is anything to fall back to.
    pub(crate) fn remembers(&self, credential: Credential) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&credential)
    }

    /// What will do after the database did not answer. It is not asked again at
    /// once, so that the next requests need not wait for it too.
    pub(crate) fn last(&self, credential: Credential, now_ms: u64) -> Option<Arc<SignedIn>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_mut(&credential)?;
        known.asked_at_ms = now_ms;
        younger(known.read_at_ms, LAST_MS, now_ms).then(|| Arc::clone(&known.access))
    }

    /// Remembers an answer read at `read_at_ms`; forgets what is not good any more.
    pub(crate) fn put(
        &self,
        credential: Credential,
        access: Option<&Arc<SignedIn>>,
        read_at_ms: u64,
    ) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(access) = access else {
            known.remove(&credential);
            return;
        };
        if known.len() >= MAX_KNOWN && !known.contains_key(&credential) {
            known.retain(|_, known| read_at_ms.saturating_sub(known.read_at_ms) < FRESH_MS);
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
        }
        let access = Arc::clone(access);
        known.insert(credential, Known { access, read_at_ms, asked_at_ms: read_at_ms });
    }

    /// Forgets everything of a user, so that what this instance changed holds at once.
    pub(crate) fn forget(&self, user_id: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, known| known.access.user_id != user_id);
    }
}

/// A clock that went backwards makes nothing younger.
fn younger(since_ms: u64, age_ms: u64, now_ms: u64) -> bool {
    now_ms.checked_sub(since_ms).is_some_and(|age| age < age_ms)
}

#[cfg(test)]
mod tests {
    use nemeses_store::history::{Access, Role};

    use super::*;

    fn access(user_id: u64) -> Arc<SignedIn> {
        let access = Access { role: Role::Viewer, devices: vec![], groups: vec![] };
        Arc::new(SignedIn::by_session(user_id, user_id, access))
    }

    const SEVEN: Credential = Credential::Session(7);

    #[test]
    fn an_answer_ages() {
        let known = KnownAccess::default();
        known.put(SEVEN, Some(&access(7)), 1_000_000);
        assert_eq!(known.fresh(SEVEN, 1_000_000 + FRESH_MS - 1), Some(access(7)));
        assert_eq!(known.fresh(SEVEN, 1_000_000 + FRESH_MS), None);
        assert_eq!(known.last(SEVEN, 1_000_000 + FRESH_MS), Some(access(7)));
        let later = known.fresh(SEVEN, 1_000_000 + FRESH_MS + 1);
        assert_eq!(later, Some(access(7)), "not asked again");
        assert_eq!(known.last(SEVEN, 1_000_000 + LAST_MS - 1), Some(access(7)));
        assert_eq!(known.last(SEVEN, 1_000_000 + LAST_MS), None);
        assert_eq!(known.last(SEVEN, 999_999), None, "the clock went backwards");
        for other in [Credential::Session(8), Credential::Token(7), Credential::Share(7)] {
            assert_eq!(known.fresh(other, 1_000_000), None);
        }
        known.put(SEVEN, None, 1_000_001);
        assert_eq!(known.last(SEVEN, 1_000_001), None);
    }

    #[test]
    fn a_user_is_forgotten_whole() {
        let known = KnownAccess::default();
        known.put(SEVEN, Some(&access(7)), 1);
        known.put(Credential::Token(1), Some(&access(7)), 1);
        known.put(Credential::Session(8), Some(&access(8)), 1);
        known.forget(7);
        assert!(!known.remembers(SEVEN) && !known.remembers(Credential::Token(1)));
        assert!(known.remembers(Credential::Session(8)));
    }

    #[test]
    fn memory_is_bounded() {
        let known = KnownAccess::default();
        for user_id in 0..5 * MAX_KNOWN as u64 {
            known.put(Credential::Session(user_id), Some(&access(user_id)), user_id);
            assert!(known.0.lock().unwrap().len() <= MAX_KNOWN);
            assert_eq!(known.fresh(Credential::Session(user_id), user_id), Some(access(user_id)));
        }
    }
}
