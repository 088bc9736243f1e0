//! argon2id over memory that is used again. Each hash fills 19 MiB; allocated and
//! freed each time, they stay in the allocator's arenas, one for each thread that ever
//! hashed. So the blocks are kept here, one set for each hash that runs at a time;
//! all but one set are given back when the rush is over, and the last when nobody has
//! hashed for a while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use argon2::password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};

/// Bytes of salt, as RFC 9106 recommends.
const SALT_BYTES: usize = 16;
/// A hash that asks for more memory than this is none of ours.
const MAX_BLOCKS: usize = 64 * 1024;

/// Hashes and compares. Parameters are argon2's own defaults, which are those
/// of the OWASP cheat sheet: 19 MiB, two passes, one lane.
#[derive(Default)]
pub(super) struct Argon {
    free: Mutex<Vec<Vec<Block>>>,
    /// Whether a hash was made since [`Argon::rest`] was called last.
    used: AtomicBool,
}

impl Argon {
    /// The PHC string of a password, under a salt of its own.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(super) fn hash(&self, password: &str) -> anyhow::Result<String> {
        let salt = draw_salt()?;
        let params = Params::default();
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let output = self.output(&argon, &params, password, salt.as_salt())?;
        phc(&params, &salt, output)
    }

    /// Whether the password is the one of the hash.
    pub(super) fn matches(&self, password: &str, hash: &str) -> bool {
        match self.compare(password, hash) {
            Ok(same) => same,
            Err(error) => {
                tracing::error!(%error, "an account's password hash cannot be read");
                false
            }
        }
    }

    fn compare(&self, password: &str, hash: &str) -> anyhow::Result<bool> {
        let hash = PasswordHash::new(hash).map_err(said)?;
        let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else {
            anyhow::bail!("it has no salt or no hash")
        };
        let algorithm = Algorithm::try_from(hash.algorithm).map_err(said)?;
        let version = hash.version.map_or(Ok(Version::default()), Version::try_from);
        let params = Params::try_from(&hash).map_err(said)?;
        let argon = Argon2::new(algorithm, version.map_err(said)?, params.clone());
        // Takes the same time for every other hash.
        Ok(self.output(&argon, &params, password, salt)? == expected)
    }

    fn output(
        &self,
        argon: &Argon2<'_>,
        params: &Params,
        password: &str,
        salt: Salt<'_>,
    ) -> anyhow::Result<Output> {
        anyhow::ensure!(params.block_count() <= MAX_BLOCKS, "it wants too much memory");
        let mut salt_bytes = [0; Salt::MAX_LENGTH];
        let salt = salt.decode_b64(&mut salt_bytes).map_err(said)?;
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let mut blocks = self.take(params.block_count());
        let output = Output::init_with(length, |out| {
            Ok(argon.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut blocks)?)
        });
        self.give_back(blocks);
        output.map_err(said)
    }

    /// Blocks that are free, or new ones when all are in use.
    fn take(&self, count: usize) -> Vec<Block> {
        self.used.store(true, Ordering::Relaxed);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut blocks = free.unwrap_or_default();
        blocks.resize(count, Block::default());
        blocks
    }

    fn give_back(&self, blocks: Vec<Block>) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(blocks);
    }

    /// Gives the memory of a rush back to the system.
    pub(super) fn shrink(&self) {
        self.keep(1);
    }

    /// Gives all memory back if nothing was hashed since the call before. Not after each
    /// hash: a C library may keep what is freed by the thread that asked for it, and 64
    /// threads take turns here.
    pub(super) fn rest(&self) {
        if !self.used.swap(false, Ordering::Relaxed) {
            self.keep(0);
        }
    }

    fn keep(&self, sets: usize) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).truncate(sets);
    }
}

/// What no password matches, without the work of making it: random bytes in the
/// place of a hash.
pub(super) fn nobody() -> anyhow::Result<String> {
    let params = Params::default();
    let output = Output::init_with(Params::DEFAULT_OUTPUT_LEN, |out| {
        getrandom::fill(out).map_err(|_| argon2::password_hash::Error::Crypto)
    });
    phc(&params, &draw_salt()?, output.map_err(said)?)
}

fn draw_salt() -> anyhow::Result<SaltString> {
    let mut salt = [0_u8; SALT_BYTES];
    getrandom::fill(&mut salt)?;
    SaltString::encode_b64(&salt).map_err(said)
}

fn phc(params: &Params, salt: &SaltString, output: Output) -> anyhow::Result<String> {
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(said)?,
        salt: Some(salt.as_salt()),
        hash: Some(output),
    };
    Ok(hash.to_string())
}

fn said(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("argon2: {error}")
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher as _, PasswordVerifier as _};

    use super::*;

    #[test]
    fn hashes_are_the_librarys_own_and_blocks_are_used_again() {
        let argon = Argon::default();
        let hash = argon.hash("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let read = PasswordHash::new(&hash).unwrap();
        Argon2::default().verify_password(b"correct horse battery", &read).unwrap();
        let salt = draw_salt().unwrap();
        let theirs = Argon2::default().hash_password(b"another", &salt).unwrap().to_string();
        for _ in 0..3 {
            // What the password before left in the blocks changes nothing.
            assert!(
                argon.matches("another", &theirs) && argon.matches("correct horse battery", &hash)
            );
            assert!(!argon.matches("another", &hash) && !argon.matches("x", &theirs));
        }
        assert_eq!(argon.free.lock().unwrap().len(), 1, "one at a time needs one");
    }

    #[test]
    fn memory_is_as_much_as_runs_at_a_time_and_goes_after_a_rush() {
        let argon = Argon::default();
        let hash = argon.hash("correct horse battery").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..3).for_each(|_| assert!(!argon.matches("x", &hash))));
            }
        });
        assert!(argon.free.lock().unwrap().len() <= 3);
        argon.shrink();
        let sets = || argon.free.lock().unwrap().len();
        assert_eq!(sets(), 1);
        argon.rest();
        assert_eq!(sets(), 1, "it was used since");
        argon.rest();
        assert_eq!(sets(), 0);
        assert!(argon.matches("correct horse battery", &hash));
    }

    #[test]
    fn what_cannot_be_read_matches_nothing() {
        let argon = Argon::default();
        let greedy = nobody().unwrap().replace("m=19456", "m=4194304");
        for hash in ["", "not a hash", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ", &greedy] {
            assert!(!argon.matches("x", hash), "{hash}");
        }
        assert!(!argon.matches("", &nobody().unwrap()));
        assert_ne!(nobody().unwrap(), nobody().unwrap());
    }
}
