//! How often passwords may be tried: by address, by account, and by browser. Pure but
//! for its locks; the time is an argument. Kept in memory, by instance.
//!
//! Nobody is ever made to wait inside: who comes too soon is told when to come back.
//! An account that strangers attack refuses strangers for a while, and not the browsers
//! that have signed in to it before, which have a pace of their own.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nemeses_runtime::share_of;

use super::arrival::Arrival;
use super::pace::{Key, Paces, Rule};
use crate::problem::{Kind, Problem};

/// An office behind one address may have thirty people mistype at once; after that
/// one attempt every two seconds is let through.
const ADDRESS: Rule = Rule { burst: 30, every_ms: 2_000 };
/// Wrong passwords for an account from one address: five at once, then one in four
/// seconds.
const PAIR: Rule = Rule { burst: 5, every_ms: 4_000 };
/// Wrong passwords for an account from everywhere: 3 000 a day however many machines
/// guess, and none of them holds the owner's own browser up.
const ACCOUNT: Rule = Rule { burst: 50, every_ms: 30_000 };
/// Attempts of a browser that has signed in to the account before.
const BROWSER: Rule = Rule { burst: 10, every_ms: 30_000 };

/// Who tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Knock<'a> {
    pub(crate) address: IpAddr,
    /// The account, whether there is such a one or not.
    pub(crate) account: Option<&'a str>,
    /// The browser, if it has signed in to this account before.
    pub(crate) browser: Option<&'a str>,
}

impl From<Arrival> for Knock<'_> {
    /// Of no account.
    fn from(arrival: Arrival) -> Self {
        Self { address: arrival.client, account: None, browser: None }
    }
}

/// Counts attempts.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    hasher: RandomState,
    paces: Mutex<[Paces; 4]>,
}

/// What is counted, and its pace.
#[derive(Clone, Copy)]
struct Bucket {
    kind: usize,
    key: Key,
    rule: Rule,
}

/// An attempt that was let through. Until it is said how it went it counts against its
/// address, for an attempt costs us a hash in any case, and not against its account.
#[must_use]
pub(crate) struct Attempt<'a> {
    attempts: &'a Attempts,
    buckets: Vec<Bucket>,
}

impl Attempts {
    /// Lets an attempt through, or says when to come back.
    pub(crate) fn attempt(&self, knock: Knock<'_>, now_ms: u64) -> Result<Attempt<'_>, Problem> {
        let buckets = self.buckets(knock);
        let mut paces = self.lock();
        for (taken, Bucket { kind, key, rule }) in buckets.iter().enumerate() {
            if let Err(wait_ms) = paces[*kind].take(*key, *rule, now_ms) {
                // It is not made, so it counts nowhere.
                for Bucket { kind, key, rule } in &buckets[..taken] {
                    paces[*kind].give_back(*key, *rule);
                }
                return Err(too_many(*kind, wait_ms));
            }
        }
        drop(paces);
        Ok(Attempt { attempts: self, buckets })
    }

    fn buckets(&self, knock: Knock<'_>) -> Vec<Bucket> {
        let bucket = |kind, rule, key: &dyn Fn() -> Key| Bucket { kind, key: key(), rule };
        let address = share_of(knock.address);
        match (knock.account, knock.browser) {
            (Some(account), Some(browser)) => {
                vec![bucket(3, BROWSER, &|| self.key((account, browser)))]
            }
            (Some(account), None) => vec![
                bucket(0, ADDRESS, &|| self.key(address)),
                bucket(1, PAIR, &|| self.key((account, address))),
                bucket(2, ACCOUNT, &|| self.key(account)),
            ],
            (None, _) => vec![bucket(0, ADDRESS, &|| self.key(address))],
        }
    }

    fn key(&self, of: impl Hash) -> Key {
        self.hasher.hash_one(of)
    }

    fn give_back(&self, buckets: &[Bucket]) {
        let mut paces = self.lock();
        for Bucket { kind, key, rule } in buckets {
            paces[*kind].give_back(*key, *rule);
        }
    }

    fn lock(&self) -> MutexGuard<'_, [Paces; 4]> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// It was right after all, and does not count.
    pub(crate) fn good(mut self) {
        self.attempts.give_back(&std::mem::take(&mut self.buckets));
    }

    /// The password was wrong.
    pub(crate) fn wrong(mut self) {
        self.buckets.clear();
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.buckets.retain(|bucket| bucket.kind != 0);
        self.attempts.give_back(&self.buckets);
    }
}

fn too_many(kind: usize, wait_ms: u64) -> Problem {
    let detail = match kind {
        0 => "Too many attempts from your address. Wait, and try again.",
        // The same whether there is such an account or not.
        _ => "Too many wrong passwords for this account. Wait, and try again.",
    };
    let problem = Problem::new(Kind::TooManyAttempts, detail);
    problem.retry_after(wait_ms.div_ceil(1000).max(1))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn from(last: u8) -> Knock<'static> {
        let address = IpAddr::V4(Ipv4Addr::new(198, 51, 100, last));
        Knock { address, account: None, browser: None }
    }

    fn about(last: u8, account: &str) -> Knock<'_> {
        Knock { account: Some(account), ..from(last) }
    }

    #[test]
    fn an_address_has_a_burst_and_then_a_pace() {
        let attempts = Attempts::default();
        for _ in 0..ADDRESS.burst {
            attempts.attempt(from(1), 0).unwrap().wrong();
        }
        let refused = attempts.attempt(from(1), 0).err().unwrap();
        assert_eq!(refused.kind(), Kind::TooManyAttempts);
        attempts.attempt(from(2), 0).unwrap().wrong();
        attempts.attempt(from(1), 2_000).unwrap().wrong();
        assert!(attempts.attempt(from(1), 2_000).is_err());
    }

    #[test]
    fn good_attempts_do_not_count() {
        let attempts = Attempts::default();
        for _ in 0..1000 {
            attempts.attempt(about(1, "ana"), 0).unwrap().good();
        }
    }

    #[test]
    fn what_was_not_answered_counts_against_the_address_alone() {
        let attempts = Attempts::default();
        for _ in 0..ADDRESS.burst {
            drop(attempts.attempt(about(1, "ana"), 0).unwrap());
        }
        assert!(attempts.attempt(about(1, "ana"), 0).is_err());
        attempts.attempt(about(2, "ana"), 0).unwrap().wrong();
    }

    #[test]
    fn wrong_passwords_of_an_account_are_slowed_by_address_and_altogether() {
        let attempts = Attempts::default();
        for _ in 0..PAIR.burst {
            attempts.attempt(about(1, "ana"), 0).unwrap().wrong();
        }
        assert!(attempts.attempt(about(1, "ana"), 0).is_err());
        attempts.attempt(about(1, "bob"), 0).unwrap().wrong();
        attempts.attempt(about(1, "ana"), 4_000).unwrap().wrong();
        let mut tried = 6;
        for last in 2.. {
            if attempts.attempt(about(last, "ana"), 4_000).map(Attempt::wrong).is_err() {
                break;
            }
            tried += 1;
        }
        assert_eq!(tried, ACCOUNT.burst);
    }

    #[test]
    fn whoever_guesses_at_an_account_does_not_hold_up_its_owners_browser() {
        let attempts = Attempts::default();
        for last in 0..=255 {
            let _ = attempts.attempt(about(last, "ana"), 0).map(Attempt::wrong);
        }
        for _ in 0..ADDRESS.burst {
            let _ = attempts.attempt(from(1), 0).map(Attempt::wrong);
        }
        assert!(attempts.attempt(about(1, "ana"), 0).is_err());
        let own = Knock { browser: Some("b1"), ..about(1, "ana") };
        for _ in 0..BROWSER.burst {
            attempts.attempt(own, 0).unwrap().wrong();
        }
        let refused = attempts.attempt(own, 0).err().unwrap();
        assert!(!refused.to_string().contains("address"), "{refused}");
        let other = Knock { browser: Some("b2"), ..own };
        attempts.attempt(other, 0).unwrap().good();
    }

    #[test]
    fn an_attempt_that_is_refused_counts_nowhere() {
        let attempts = Attempts::default();
        for _ in 0..PAIR.burst {
            attempts.attempt(about(1, "ana"), 0).unwrap().wrong();
        }
        for _ in 0..1000 {
            assert!(attempts.attempt(about(1, "ana"), 0).is_err());
        }
        attempts.attempt(about(1, "bob"), 0).unwrap().wrong();
        attempts.attempt(about(2, "ana"), 0).unwrap().wrong();
    }
}
