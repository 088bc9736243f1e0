//! Login secrets: 32 random bytes shown once, kept as salted
//! PBKDF2-HMAC-SHA512. Salt length, hash length and iterations are those of
//! Mosquitto's dynamic-security plugin, so that the same row serves both doors.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::Sha512;
use subtle::ConstantTimeEq as _;

use crate::StoreError;

/// Bytes of a secret: 256 bits cannot be guessed, however cheap a guess is.
const SECRET_BYTES: usize = 32;
/// Mosquitto reads exactly 12 bytes of salt.
const SALT_BYTES: usize = 12;
/// Mosquitto reads exactly 64 bytes of hash.
const HASH_BYTES: usize = 64;
/// Mosquitto's own default. Few on purpose: stretching protects guessable
/// passwords, and ten thousand devices reconnecting at once must not become a
/// CPU storm (101 iterations take some tens of microseconds).
const ITERATIONS: u32 = 101;
/// No more than this is computed for a row someone else wrote.
const MAX_ITERATIONS: u32 = 1_000_000;

/// A secret in the clear, on its way to the person who asked for it.
pub struct PlainSecret(String);

impl PlainSecret {
    /// Draws a secret from the operating system's randomness.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the system has none.
    pub fn draw() -> Result<Self, StoreError> {
        let mut bytes = [0_u8; SECRET_BYTES];
        fill_random(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The secret as text, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Never shows the secret.
impl std::fmt::Debug for PlainSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlainSecret(..)")
    }
}

/// A secret's hash, its parts spelt as Mosquitto's dynamic-security spells them.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHash {
    /// 12 bytes, base64.
    pub salt: String,
    /// Rounds of PBKDF2-HMAC-SHA512.
    pub iterations: u32,
    /// 64 bytes, base64.
    pub hash: String,
}

/// Shows nothing that helps a guess.
impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

impl SecretHash {
    /// Hashes a secret under a fresh salt.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the system has no randomness.
    pub fn of(secret: &PlainSecret) -> Result<Self, StoreError> {
        let mut salt = [0_u8; SALT_BYTES];
        fill_random(&mut salt)?;
        let hash = derive(secret.0.as_bytes(), &salt, ITERATIONS);
        Ok(Self {
            salt: STANDARD.encode(salt),
            iterations: ITERATIONS,
            hash: STANDARD.encode(hash),
        })
    }

    /// Whether this is the secret. A row that is not in the expected form matches nothing.
    pub fn verify(&self, secret: &[u8]) -> bool {
        let (Ok(salt), Ok(hash)) = (STANDARD.decode(&self.salt), STANDARD.decode(&self.hash))
        else {
            return false;
        };
        if hash.len() != HASH_BYTES || !(1..=MAX_ITERATIONS).contains(&self.iterations) {
            return false;
        }
        derive(secret, &salt, self.iterations).ct_eq(hash.as_slice()).into()
    }
}

fn derive(secret: &[u8], salt: &[u8], iterations: u32) -> [u8; HASH_BYTES] {
    pbkdf2::pbkdf2_hmac_array::<Sha512, HASH_BYTES>(secret, salt, iterations)
}

fn fill_random(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|error| StoreError::Unavailable {
        store: "the system's random source",
        detail: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_verified_by_its_hash_and_no_other() {
        let secret = PlainSecret::draw().unwrap();
        let other = PlainSecret::draw().unwrap();
        let hash = SecretHash::of(&secret).unwrap();
        assert!(hash.verify(secret.reveal().as_bytes()));
        assert!(!hash.verify(other.reveal().as_bytes()));
        assert!(!hash.verify(b""));
        assert_eq!(URL_SAFE_NO_PAD.decode(secret.reveal()).unwrap().len(), SECRET_BYTES);
    }

    #[test]
    fn equal_secrets_have_different_hashes() {
        let secret = PlainSecret::draw().unwrap();
        let (one, two) = (SecretHash::of(&secret).unwrap(), SecretHash::of(&secret).unwrap());
        assert_ne!(one, two);
        assert!(two.verify(secret.reveal().as_bytes()));
    }

    #[test]
    fn a_damaged_row_matches_nothing() {
        let secret = PlainSecret::draw().unwrap();
        let good = SecretHash::of(&secret).unwrap();
        let damaged = [
            SecretHash { salt: "%%".into(), ..good.clone() },
            SecretHash { hash: "AAAA".into(), ..good.clone() },
            SecretHash { iterations: 0, ..good.clone() },
            SecretHash { iterations: MAX_ITERATIONS + 1, ..good },
        ];
        for hash in damaged {
            assert!(!hash.verify(secret.reveal().as_bytes()));
        }
    }

    #[test]
    fn neither_secret_nor_hash_shows() {
        let secret = PlainSecret::draw().unwrap();
        let hash = SecretHash::of(&secret).unwrap();
        assert!(!format!("{secret:?}").contains(secret.reveal()));
        assert!(!format!("{hash:?}").contains(&hash.hash));
    }
}
