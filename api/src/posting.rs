//! Values that are sent to the API. What decodes and commits them is the program's that starts
//! the API.

use async_trait::async_trait;
use bytes::Bytes;
use nemeses_protocol::Identity;
use nemeses_telemetry::Format;
use sha2::{Digest as _, Sha256};

use crate::access::Sees;

/// A body has at most this many bytes, as a message over MQTT.
pub(crate) const MAX_BODY: usize = 256 * 1024;
/// A request's key has at most this many characters.
pub(crate) const MAX_KEY: usize = 255;

/// One request.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Whose all of it is; without it, each record says so.
    pub identity: Option<Identity>,
    /// How the body is written.
    pub format: Format,
    /// What was sent.
    pub body: Bytes,
    /// The devices that the sender may send for.
    pub sees: Sees,
    /// What makes it the same request when it is sent again.
    pub key: Option<RequestKey>,
}

/// The key of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// A hash of the key and of whose it is.
    pub key: u64,
    /// A hash of all that was sent under it; not 0.
    pub content: u64,
}

impl RequestKey {
    pub(crate) fn of(user_id: u64, key: &str, content: &[&[u8]]) -> Self {
        let hash = |parts: &[&[u8]]| {
            let mut hash = Sha256::new();
            for part in parts {
                hash.update(part.len().to_le_bytes());
                hash.update(part);
            }
            let digest = <[u8; 32]>::from(hash.finalize());
            digest.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
        };
        Self { key: hash(&[&user_id.to_le_bytes(), key.as_bytes()]), content: hash(content) | 1 }
    }
}

/// The result of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostOutcome {
    /// New rows: a record has one of values, one of a position, or both.
    pub stored: u64,
    /// Rows that were stored already.
    pub duplicates: u64,
    /// Parts that could not be stored as records; each is a dead letter.
    pub refused: Vec<Refused>,
}

/// A part that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reason's code.
    pub reason: &'static str,
    /// What is wrong, where, and what to do.
    pub detail: String,
}

/// Why nothing of a request is stored. All but the first two may pass when the request is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotStored {
    /// Nothing in it is acceptable.
    Unacceptable(Vec<Refused>),
    /// The key was used for something else.
    KeyReused,
    /// Too much is waiting for its commit.
    Busy,
    /// The database refuses it, or has not answered in time. It may be stored later.
    Unavailable(String),
}

/// Decodes and commits.
#[async_trait]
pub trait TelemetrySink: Send + Sync {
    /// Returns after the commit.
    ///
    /// # Errors
    /// Why nothing is acknowledged.
    async fn store(&self, posted: Posted) -> Result<PostOutcome, NotStored>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_user_s_and_means_one_content() {
        let one = RequestKey::of(7, "k", &[b"a", b"b"]);
        assert_eq!(RequestKey::of(7, "k", &[b"a", b"b"]), one);
        assert_ne!(RequestKey::of(8, "k", &[b"a", b"b"]).key, one.key);
        assert_ne!(RequestKey::of(7, "l", &[b"a", b"b"]).key, one.key);
        let other = RequestKey::of(7, "k", &[b"ab", b""]);
        assert_eq!(other.key, one.key);
        assert_ne!(other.content, one.content);
    }
}
