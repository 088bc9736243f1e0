//! What people hand out: scoped tokens for programs and share links for other
//! people, each for a few devices and until a moment. A revoked one has no row.

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::sessions::Digest;
use crate::StoreError;

/// Devices of one token at most: 700 characters of hex in its row, 1.2 KB in its text.
pub const MAX_TOKEN_DEVICES: usize = 100;

/// Tokens, and links, of one person at most: some 200 KB of rows.
pub const MAX_TOKENS: u32 = 200;

/// A [`ScopedToken::history_from`] that no recorded second reaches: where devices are
/// now, and nothing that was recorded.
pub const NO_HISTORY: u32 = u32::MAX;

/// What a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Positions and reports.
    Read,
    /// The live stream.
    Stream,
    /// Commands to devices.
    Command,
    /// Values of devices.
    Write,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 4] = [Self::Read, Self::Stream, Self::Command, Self::Write];

    /// The scope's stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Stream => "stream",
            Self::Command => "command",
            Self::Write => "write",
        }
    }

    /// The scope of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Stream => 2,
            Self::Command => 4,
            Self::Write => 8,
        }
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope.
    pub const ALL: Self = Self(15);
    /// Looking on, now and back: what a share link gives.
    pub const LOOK: Self = Self(Scope::Read.bit() | Scope::Stream.bit());

    /// Whether the scope is one of them.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The scopes, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// Their names, in a fixed order.
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(Scope::name).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// What is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A token for a program: a signed text that says all of it.
    Token,
    /// A link for a person: a random secret, of which the hash is kept.
    Share,
}

impl TokenKind {
    /// The kind's stable name, as in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Share => "share",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Token, Self::Share].into_iter().find(|kind| kind.name() == name)
    }
}

/// A token or a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopedToken {
    /// Number, drawn by the database.
    pub id: u64,
    /// Who made it. It never sees more than its maker.
    pub user_id: u64,
    /// Which of the two.
    pub kind: TokenKind,
    /// What its maker calls it.
    pub name: String,
    /// Its devices, in order, at most [`MAX_TOKEN_DEVICES`].
    pub devices: Vec<DeviceId>,
    /// What it may be used for.
    pub scopes: Scopes,
    /// The first recorded second (Unix) that it shows of the past: 0 shows all of it,
    /// [`NO_HISTORY`] none.
    pub history_from: u32,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// Unix milliseconds.
    pub expires_at_ms: u64,
}

/// A token or link to be made.
#[derive(Clone, Copy)]
pub struct NewToken<'a> {
    /// Who makes it.
    pub user_id: u64,
    /// Which of the two.
    pub kind: TokenKind,
    /// What to call it.
    pub name: &'a str,
    /// In order, each once, at most [`MAX_TOKEN_DEVICES`].
    pub devices: &'a [DeviceId],
    /// What it may be used for.
    pub scopes: Scopes,
    /// As in [`ScopedToken::history_from`].
    pub history_from: u32,
    /// Of a link's secret; a token has none.
    pub secret: Option<&'a Digest>,
    /// Unix milliseconds.
    pub expires_at_ms: u64,
}

/// The tokens and links.
#[async_trait]
pub trait ScopedTokens: Send + Sync {
    /// Makes one and returns its number. Forgets the person's expired ones.
    ///
    /// # Errors
    /// [`StoreError::Full`] when the person has [`MAX_TOKENS`] of this kind, however
    /// many are made at the same time.
    async fn add(&self, token: NewToken<'_>, now_ms: u64) -> Result<u64, StoreError>;

    /// The one of this number, unless it has expired.
    async fn get(&self, id: u64, now_ms: u64) -> Result<Option<ScopedToken>, StoreError>;

    /// The link of this secret, unless it has expired.
    async fn by_secret(
        &self,
        secret: &Digest,
        now_ms: u64,
    ) -> Result<Option<ScopedToken>, StoreError>;

    /// What the person made of this kind and has not expired, the newest first.
    async fn of_user(
        &self,
        user_id: u64,
        kind: TokenKind,
        now_ms: u64,
    ) -> Result<Vec<ScopedToken>, StoreError>;

    /// Revokes one that the person made; `false` when there is no such one.
    async fn revoke(&self, id: u64, user_id: u64, kind: TokenKind) -> Result<bool, StoreError>;

    /// Revokes all tokens and links that the person made.
    async fn revoke_all(&self, user_id: u64) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for scope in Scope::ALL {
            assert_eq!(Scope::from_name(scope.name()), Some(scope));
        }
        for kind in [TokenKind::Token, TokenKind::Share] {
            assert_eq!(TokenKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Scope::from_name("Read"), None);
        assert_eq!(TokenKind::from_name(""), None);
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let some: Scopes = [Scope::Command, Scope::Read, Scope::Read].into_iter().collect();
        assert_eq!(some.names(), ["read", "command"]);
        assert!(some.has(Scope::Read) && !some.has(Scope::Stream));
        assert_eq!(Scopes::ALL.names(), ["read", "stream", "command", "write"]);
        assert_eq!(Scopes::LOOK.names(), ["read", "stream"]);
        assert_eq!(Scopes::default().names(), [""; 0]);
    }
}
