//! Who is signed in. A session is a family of refresh tokens of which one is good
//! at a time; of them, only SHA-256 hashes of random 256 bits are kept here. An
//! ended session has no row, so that whoever asks for it learns that it is over.

use async_trait::async_trait;

use crate::StoreError;

/// SHA-256 of a random secret. Enough for secrets that cannot be guessed.
pub type Digest = [u8; 32];

/// Sessions of one person at most; signing in once more ends the one that was
/// used longest ago.
pub const MAX_SESSIONS: u32 = 100;
/// Characters of a user agent that are kept.
pub const MAX_USER_AGENT: usize = 255;

/// A session.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Number, drawn by the database.
    pub id: u64,
    /// Whose it is.
    pub user_id: u64,
    /// Of the refresh token that is good now.
    pub current: Digest,
    /// Of the one before it, once there was one.
    pub previous: Option<Previous>,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// When a token of it was handed out last, Unix milliseconds.
    pub used_at_ms: u64,
    /// Until when it can be refreshed, Unix milliseconds.
    pub expires_at_ms: u64,
    /// What the client called itself; may be empty.
    pub user_agent: String,
}

/// The refresh token that was replaced last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Previous {
    /// Its hash.
    pub digest: Digest,
    /// What its successor was made from it with, so that the same successor can
    /// be handed out again when the answer was lost.
    pub nonce: Digest,
}

/// Leaves the hashes out.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

/// A session to be begun.
#[derive(Clone, Copy)]
pub struct NewSession<'a> {
    /// Whose.
    pub user_id: u64,
    /// Of the part that all its refresh tokens share, which finds the session.
    pub family: &'a Digest,
    /// Of the first refresh token.
    pub current: &'a Digest,
    /// Unix milliseconds.
    pub expires_at_ms: u64,
    /// At most [`MAX_USER_AGENT`] characters.
    pub user_agent: &'a str,
}

/// One refresh token in place of another.
#[derive(Clone, Copy)]
pub struct Rotation<'a> {
    /// Of the one that was good until now.
    pub from: &'a Digest,
    /// Of the one that is good from now on.
    pub to: &'a Digest,
    /// What the one was made from the other with.
    pub nonce: &'a Digest,
    /// Unix milliseconds.
    pub expires_at_ms: u64,
}

/// The sessions.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Begins a session and returns its number. Forgets the person's expired ones
    /// and ends what is beyond [`MAX_SESSIONS`].
    async fn begin(&self, session: NewSession<'_>, now_ms: u64) -> Result<u64, StoreError>;

    /// The session of a family, expired or not.
    async fn by_family(&self, family: &Digest) -> Result<Option<Session>, StoreError>;

    /// Replaces the refresh token; `false` when another one is good meanwhile, or
    /// the session is over.
    async fn rotate(
        &self,
        id: u64,
        rotation: Rotation<'_>,
        now_ms: u64,
    ) -> Result<bool, StoreError>;

    /// Whether this session of this person goes on.
    async fn goes_on(&self, id: u64, user_id: u64, now_ms: u64) -> Result<bool, StoreError>;

    /// The person's sessions that go on, the last used first.
    async fn of_user(&self, user_id: u64, now_ms: u64) -> Result<Vec<Session>, StoreError>;

    /// Ends one session of the person; `false` when there is no such one.
    async fn end(&self, id: u64, user_id: u64) -> Result<bool, StoreError>;

    /// Ends all sessions of the person but one.
    async fn end_others(&self, user_id: u64, but: Option<u64>) -> Result<(), StoreError>;
}
