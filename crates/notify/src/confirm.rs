//! Codes that confirm an address. Pure but for the random number; what is stored is a hash.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A code is good for so long.
const LASTS_MS: u64 = 24 * 3_600_000;
/// Between two codes for one address.
const BETWEEN_MS: u64 = 60_000;
/// Codes for one address in a day.
const CODES_A_DAY: u32 = 5;
/// Attempts with one code: of a million codes ten thousandths of a percent.
pub const MAX_TRIES: u32 = 10;

/// A code in the clear: six digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// As people read it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is known of the code of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    hash: String,
    salt: String,
    sent_at_ms: u64,
    tries: u32,
    /// Codes that were sent since.
    codes: u32,
    codes_since_ms: u64,
}

impl Confirmation {
    /// Reads what [`Self::stored`] wrote.
    pub fn of_stored(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As it is stored.
    pub fn stored(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A new code. `before` is what is known of the one before.
    ///
    /// # Errors
    /// How many seconds to wait, when there were too many.
    pub fn begin(before: Option<&Self>, now_ms: u64) -> Result<(Self, Code), u64> {
        let (mut codes, mut codes_since_ms) = (1, now_ms);
        if let Some(before) = before {
            let next_ms = before.sent_at_ms + BETWEEN_MS;
            if now_ms < next_ms {
                return Err((next_ms - now_ms).div_ceil(1000));
            }
            let day_ends_ms = before.codes_since_ms + LASTS_MS;
            if now_ms < day_ends_ms {
                if before.codes >= CODES_A_DAY {
                    return Err((day_ends_ms - now_ms).div_ceil(1000));
                }
                (codes, codes_since_ms) = (before.codes + 1, before.codes_since_ms);
            }
        }
        let code = Code(format!("{:06}", rand::random_range(0..1_000_000_u32)));
        let salt = hex::encode(rand::random::<[u8; 16]>());
        let hash = hash(&salt, &code.0);
        let known = Self { hash, salt, sent_at_ms: now_ms, tries: 0, codes, codes_since_ms };
        Ok((known, code))
    }

    /// Whether a code is the one, and what is known afterwards.
    pub fn check(&self, code: &str, now_ms: u64) -> (bool, Self) {
        let in_time = now_ms < self.sent_at_ms + LASTS_MS && self.tries < MAX_TRIES;
        let digits: String = code.chars().filter(char::is_ascii_digit).collect();
        let right = in_time && hash(&self.salt, &digits) == self.hash;
        (right, Self { tries: self.tries.saturating_add(1), ..self.clone() })
    }

    /// Whether a code that comes now may be the one.
    pub fn is_open(&self, now_ms: u64) -> bool {
        now_ms < self.sent_at_ms + LASTS_MS && self.tries < MAX_TRIES
    }
}

/// Six digits are guessed from any hash by who can read the table; who cannot, has ten tries.
fn hash(salt: &str, code: &str) -> String {
    hex::encode(Sha256::digest(format!("{salt}.{code}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_confirms_for_a_day_and_ten_tries() {
        let (known, code) = Confirmation::begin(None, 1_000).unwrap();
        let known = Confirmation::of_stored(&known.stored()).unwrap();
        assert!(!known.stored().contains(code.as_str()));
        assert!(known.check(&format!(" {} ", code.as_str()), 2_000).0);
        assert!(!known.check(code.as_str(), 1_000 + LASTS_MS).0);
        let mut tried = known;
        for _ in 0..MAX_TRIES {
            let (right, after) = tried.check("x", 2_000);
            assert!(!right && tried.is_open(2_000));
            tried = after;
        }
        assert!(!tried.check(code.as_str(), 2_000).0 && !tried.is_open(2_000));
    }

    #[test]
    fn codes_are_few() {
        let (mut known, _) = Confirmation::begin(None, 0).unwrap();
        assert_eq!(Confirmation::begin(Some(&known), 1).err(), Some(60));
        for count in 1..CODES_A_DAY {
            known = Confirmation::begin(Some(&known), u64::from(count) * BETWEEN_MS).unwrap().0;
        }
        let late = u64::from(CODES_A_DAY) * BETWEEN_MS;
        assert_eq!(Confirmation::begin(Some(&known), late).err(), Some(86_400 - 300));
        assert!(Confirmation::begin(Some(&known), LASTS_MS).is_ok());
    }
}
