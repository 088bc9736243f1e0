//! Refresh tokens: random texts that are good once. What a token that comes back
//! means is decided here, without IO.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nemeses_store::history::{Digest, Session};
use sha2::{Digest as _, Sha256};

use crate::problem::{Kind, Problem};

/// For how long a token that was just replaced gets the same successor again: the
/// answer may have been lost, or two tabs of a browser asked at the same moment.
pub(crate) const GRACE_MS: u64 = 30_000;

const FAMILY_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;

/// The hash under which a random secret is kept.
pub(crate) fn digest(secret: &[u8]) -> Digest {
    Sha256::digest(secret).into()
}

/// Random bytes from the system.
pub(crate) fn draw<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// A token in the clear, on its way in or out. Its family never changes, which
/// tells an old token of a session from one that somebody made up.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    family: [u8; FAMILY_BYTES],
    secret: [u8; SECRET_BYTES],
}

/// Never shows itself.
impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshToken(..)")
    }
}

impl RefreshToken {
    /// The first one of a family.
    pub(crate) fn draw() -> anyhow::Result<Self> {
        Ok(Self { family: draw()?, secret: draw()? })
    }

    /// Reads 64 characters of base64url.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; FAMILY_BYTES + SECRET_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(text.trim(), &mut bytes).ok()?;
        let (family, secret) = bytes.get(..length)?.split_first_chunk()?;
        Some(Self { family: *family, secret: secret.try_into().ok()? })
    }

    pub(crate) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode([self.family.as_slice(), &self.secret].concat())
    }

    pub(crate) fn family_digest(&self) -> Digest {
        digest(&self.family)
    }

    pub(crate) fn digest(&self) -> Digest {
        digest(&self.secret)
    }

    /// The token after this one. The nonce is random; who has it and this token
    /// gets the same successor again, who has only one of them gets nothing.
    pub(crate) fn successor(&self, nonce: &Digest) -> Self {
        let secret = Sha256::new().chain_update(self.secret).chain_update(nonce).finalize();
        Self { family: self.family, secret: secret.into() }
    }
}

/// What a token of a session means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the good one: hand out its successor.
    Rotate,
    /// It was replaced a moment ago: hand out the same successor, made with this nonce.
    Again(Digest),
    /// It was replaced: two hold the family's tokens, so all of them end.
    Reused,
    /// The session has expired.
    Over,
}

/// Decides about a token whose family is the session's.
pub(crate) fn judge(session: &Session, presented: &Digest, now_ms: u64) -> Verdict {
    let just_now = now_ms.saturating_sub(session.used_at_ms) < GRACE_MS;
    match session.previous {
        _ if now_ms >= session.expires_at_ms => Verdict::Over,
        _ if *presented == session.current => Verdict::Rotate,
        Some(previous) if previous.digest == *presented && just_now => {
            Verdict::Again(previous.nonce)
        }
        _ => Verdict::Reused,
    }
}

pub(super) fn not_good() -> Problem {
    Problem::new(Kind::WrongRefreshToken, "The refresh token is not good. Sign in again.")
}

#[cfg(test)]
mod tests {
    use nemeses_store::history::Previous;

    use super::*;

    #[test]
    fn a_token_is_read_back_and_does_not_show() {
        let token = RefreshToken::draw().unwrap();
        let text = token.text();
        assert_eq!(text.len(), 64);
        assert_eq!(RefreshToken::parse(&text), Some(token.clone()));
        assert_ne!(RefreshToken::draw().unwrap(), token);
        assert!(!format!("{token:?}").contains(&text));
        for bad in ["", "x", &text[1..], &format!("{text}AAAA"), &"=".repeat(64), &"a".repeat(9000)]
        {
            assert_eq!(RefreshToken::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_successor_takes_token_and_nonce() {
        let token = RefreshToken::draw().unwrap();
        let next = token.successor(&[1; 32]);
        assert_eq!(next, token.successor(&[1; 32]));
        assert_eq!(next.family_digest(), token.family_digest());
        assert_ne!(next.digest(), token.digest());
        assert_ne!(next, token.successor(&[2; 32]));
        assert_ne!(next, RefreshToken::draw().unwrap().successor(&[1; 32]));
    }

    #[test]
    fn what_a_token_that_comes_back_means() {
        let (old, before, good) = ([1; 32], [2; 32], [3; 32]);
        let session = Session {
            id: 1,
            user_id: 7,
            current: good,
            previous: Some(Previous { digest: before, nonce: [9; 32] }),
            created_at_ms: 0,
            used_at_ms: 1_000_000,
            expires_at_ms: 2_000_000,
            user_agent: String::new(),
        };
        let fresh = Session { previous: None, ..session.clone() };
        for (presented, now_ms, expected) in [
            (good, 1_000_001, Verdict::Rotate),
            (good, 1_999_999, Verdict::Rotate),
            (good, 2_000_000, Verdict::Over),
            (good, 900_000, Verdict::Rotate),
            (before, 1_000_000, Verdict::Again([9; 32])),
            (before, 1_000_000 + GRACE_MS - 1, Verdict::Again([9; 32])),
            (before, 1_000_000 + GRACE_MS, Verdict::Reused),
            (before, 2_000_000, Verdict::Over),
            (old, 1_000_001, Verdict::Reused),
        ] {
            assert_eq!(judge(&session, &presented, now_ms), expected, "{now_ms}");
        }
        assert_eq!(judge(&fresh, &before, 1_000_001), Verdict::Reused);
        assert_eq!(judge(&fresh, &good, 1_000_001), Verdict::Rotate);
    }
}
