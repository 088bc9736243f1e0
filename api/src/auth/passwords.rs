//! Passwords: argon2id on the blocking pool, a few at a time, with a bounded
//! queue before them.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::argon::{Argon, nobody};
use crate::problem::{Kind, Problem, fault};

/// Requests that may wait for a turn. At 30 ms a password and one at a time the
/// last of 64 waits 2 s; whoever comes after them is told to come back.
const MAX_WAITING: usize = 64;
/// And as many more of [`Turn::Reserved`], whom a storm of strangers does not keep out.
const MAX_RESERVED: usize = 8;

/// After so long without a hash, and before twice as long, its memory is given back.
const QUIET: Duration = Duration::from_secs(60);

/// Bytes of a password drawn for someone: 144 bits, 24 characters.
const DRAWN_BYTES: usize = 18;

/// Draws a password from the system's randomness.
///
/// # Errors
/// The system has none.
pub fn draw_password() -> anyhow::Result<String> {
    let mut bytes = [0_u8; DRAWN_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The PHC string of a password, made on the blocking pool without a queue
/// before it: for tools, which hash one.
///
/// # Errors
/// The system has no randomness.
pub async fn hash_password(password: String) -> anyhow::Result<String> {
    tokio::task::spawn_blocking(move || Argon::default().hash(&password)).await?
}

/// Who waits for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Anyone.
    Anyone,
    /// Somebody signed in, or a browser that has signed in to the account before.
    Reserved,
}

/// Hashes and compares, a few at a time.
pub(crate) struct Passwords {
    argon: Arc<Argon>,
    hashing: Arc<Semaphore>,
    at_once: usize,
    waiting: Semaphore,
    reserved: Semaphore,
    /// What the password of an unknown address is compared with, so that it
    /// takes as long as a known one's.
    nobody: Arc<str>,
}

impl Passwords {
    pub(crate) fn new(at_once: NonZeroUsize) -> anyhow::Result<Self> {
        Ok(Self {
            argon: Arc::default(),
            hashing: Arc::new(Semaphore::new(at_once.get())),
            at_once: at_once.get(),
            waiting: Semaphore::new(at_once.get() + MAX_WAITING),
            reserved: Semaphore::new(MAX_RESERVED),
            nobody: nobody()?.into(),
        })
    }

    /// Gives memory back while nobody signs in, until `stop`.
    pub(crate) async fn rest_when_quiet(&self, stop: &CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(QUIET)).await.is_some() {
            self.argon.rest();
        }
    }

    /// The PHC string of a password.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Problem> {
        let made = self.in_turn(Turn::Anyone, move |argon| argon.hash(&password)).await?;
        made.map_err(|error| fault(&error))
    }

    /// Whether the password is the one of the hash. Without a hash the answer is
    /// no, after the same work.
    pub(crate) async fn matches(
        &self,
        password: String,
        hash: Option<String>,
        turn: Turn,
    ) -> Result<bool, Problem> {
        let known = hash.is_some();
        let hash = hash.map_or_else(|| Arc::clone(&self.nobody), Arc::from);
        Ok(self.in_turn(turn, move |argon| argon.matches(&password, &hash)).await? && known)
    }

    /// Runs the work on the blocking pool. The permit goes with the work, so
    /// that a client that hangs up does not make room for another at once.
    async fn in_turn<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce(&Argon) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let place = self.waiting.try_acquire().or_else(|full| match turn {
            Turn::Anyone => Err(full),
            Turn::Reserved => self.reserved.try_acquire(),
        });
        let _place = place.map_err(|_| {
            Problem::new(
                Kind::Busy,
                "Too many people are signing in at the moment. Try again soon.",
            )
        })?;
        let turn =
            Arc::clone(&self.hashing).acquire_owned().await.map_err(|error| fault(&error))?;
        let (argon, hashing) = (Arc::clone(&self.argon), Arc::clone(&self.hashing));
        let others_at_most = self.at_once - 1;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let done = work(&argon);
            if hashing.available_permits() == others_at_most {
                argon.shrink();
            }
            done
        });
        done.await.map_err(|error| fault(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(at_once: usize) -> Passwords {
        Passwords::new(NonZeroUsize::new(at_once).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = passwords(1);
        let hash = passwords.hash("correct horse battery".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("correct horse battery".into()).await.unwrap());
        let right = passwords
            .matches("correct horse battery".into(), Some(hash.clone()), Turn::Anyone)
            .await;
        assert!(right.unwrap());
        let wrong =
            passwords.matches("correct horse battery ".into(), Some(hash), Turn::Anyone).await;
        assert!(!wrong.unwrap());
    }

    #[tokio::test]
    async fn a_drawn_password_is_long_and_new_and_signs_in() {
        let (one, two) = (draw_password().unwrap(), draw_password().unwrap());
        assert_eq!(one.len(), 24);
        assert_ne!(one, two);
        let hash = hash_password(one.clone()).await.unwrap();
        assert!(passwords(1).matches(one, Some(hash), Turn::Anyone).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        let passwords = passwords(1);
        assert!(!passwords.matches("nobody's password".into(), None, Turn::Anyone).await.unwrap());
        assert!(
            !passwords.matches("x".into(), Some("not a hash".into()), Turn::Anyone).await.unwrap()
        );
    }

    #[tokio::test]
    async fn a_full_queue_turns_away_and_recovers() {
        let passwords = Arc::new(passwords(1));
        let turn = Arc::clone(&passwords.hashing).acquire_owned().await.unwrap();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..=MAX_WAITING {
            let passwords = Arc::clone(&passwords);
            waiting.spawn(async move { passwords.in_turn(Turn::Anyone, |_| ()).await });
        }
        while passwords.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = passwords.in_turn(Turn::Anyone, |_| ()).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Busy);
        let own = Arc::clone(&passwords);
        waiting.spawn(async move { own.in_turn(Turn::Reserved, |_| ()).await });
        while passwords.reserved.available_permits() == MAX_RESERVED {
            tokio::task::yield_now().await;
        }
        drop(turn);
        while let Some(done) = waiting.join_next().await {
            done.unwrap().unwrap();
        }
        passwords.in_turn(Turn::Anyone, |_| ()).await.unwrap();
    }
}
