//! Who knocks, and how often: the address behind a connection and its proxies,
//! and the pace at which passwords may be tried from it and for an account.
//! Kept in memory, by instance.

mod address;
mod pace;

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

pub(crate) use self::address::PeerAddress;
use self::address::client;
pub use self::address::{Network, NetworkError};
use self::pace::{Paces, Rule};
use crate::problem::{Kind, Problem};
use crate::state::ApiState;

/// An office behind one address may have thirty people mistype at once; after that
/// one attempt every two seconds is let through.
const ADDRESS: Rule = Rule { burst: 30, every_ms: 2_000 };
/// An account's wrong passwords are forgotten one a minute.
const ACCOUNT: Rule = Rule { burst: u32::MAX, every_ms: 60_000 };
/// Mistakes of an account that cost nothing.
const FREE_MISTAKES: u32 = 5;
/// What the next one costs; each further one twice as much as the one before.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// And at most this: the owner of an account under attack waits no longer either.
const LONGEST_DELAY: Duration = Duration::from_secs(4);

/// Counts attempts.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    addresses: Mutex<Paces<IpAddr>>,
    accounts: Mutex<Paces<String>>,
}

/// An attempt that was let through. Until it is said to be [`Attempt::good`], it
/// counts against its address.
#[must_use]
pub(crate) struct Attempt<'a> {
    guard: &'a Guard,
    address: IpAddr,
}

impl Guard {
    /// Lets an attempt from an address through.
    pub(crate) fn attempt(&self, address: IpAddr, now_ms: u64) -> Result<Attempt<'_>, Problem> {
        let address = nemeses_runtime::share_of(address);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        match addresses.take(&address, ADDRESS, now_ms) {
            Ok(_) => Ok(Attempt { guard: self, address }),
            Err(wait_ms) => {
                let detail = "Too many attempts from your address. Wait, and try again.";
                let problem = Problem::new(Kind::TooManyAttempts, detail);
                Err(problem.retry_after(wait_ms.div_ceil(1000).max(1)))
            }
        }
    }

    /// How long an attempt at this account has to wait: by its wrong passwords of
    /// late, whether there is such an account or not.
    pub(crate) fn delay(&self, account: &str, now_ms: u64) -> Duration {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        delay_after(accounts.level(account, ACCOUNT, now_ms))
    }

    /// A wrong password.
    pub(crate) fn mistake(&self, account: &str, now_ms: u64) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let _never_refused = accounts.take(&account.to_owned(), ACCOUNT, now_ms);
    }
}

impl Attempt<'_> {
    /// It was right after all, and does not count.
    pub(crate) fn good(self) {
        let addresses = self.guard.addresses.lock();
        addresses.unwrap_or_else(PoisonError::into_inner).give_back(&self.address, ADDRESS);
    }
}

fn delay_after(mistakes: u32) -> Duration {
    let Some(over) = mistakes.checked_sub(FREE_MISTAKES) else { return Duration::ZERO };
    FIRST_DELAY.saturating_mul(2_u32.saturating_pow(over)).min(LONGEST_DELAY)
}

/// Where a request comes from, by the connection and by the proxies that are trusted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CameFrom(pub(crate) IpAddr);

impl FromRequestParts<ApiState> for CameFrom {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<PeerAddress>().copied();
        let trusted = &state.config.trusted_proxies;
        Ok(Self(client(peer.unwrap_or_default().0, &parts.headers, trusted)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn an_address_has_a_burst_and_then_a_pace() {
        let guard = Guard::default();
        for _ in 0..ADDRESS.burst {
            let _counts = guard.attempt(HERE, 0).unwrap();
        }
        let refused = guard.attempt(HERE, 0).err().unwrap();
        assert_eq!(refused.kind(), Kind::TooManyAttempts);
        assert!(guard.attempt(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 0).is_ok(), "another");
        let _counts = guard.attempt(HERE, 2_000).unwrap();
        assert!(guard.attempt(HERE, 2_000).is_err());
    }

    #[test]
    fn good_attempts_do_not_count() {
        let guard = Guard::default();
        for _ in 0..1000 {
            guard.attempt(HERE, 0).unwrap().good();
        }
    }

    #[test]
    fn an_account_is_slowed_and_never_locked() {
        let guard = Guard::default();
        let mut delays = Vec::new();
        for _ in 0..12 {
            delays.push(guard.delay("ana", 0).as_millis());
            guard.mistake("ana", 0);
        }
        assert_eq!(delays, [0, 0, 0, 0, 0, 250, 500, 1000, 2000, 4000, 4000, 4000]);
        assert_eq!(guard.delay("bob", 0), Duration::ZERO);
        assert_eq!(guard.delay("ana", 12 * 60_000), Duration::ZERO);
        assert_eq!(delay_after(u32::MAX), LONGEST_DELAY);
    }
}
