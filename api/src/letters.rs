//! A dead letter's second chance, as the API asks for it. Decoding is the parser's
//! and stations do not know each other: the program that starts both joins them.

use async_trait::async_trait;
use nemeses_store::StoreError;

/// What became of a dead letter that was decoded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It went, and these came of it.
    Resolved {
        /// New rows.
        stored: u64,
        /// Rows that were there already.
        duplicates: u64,
        /// Pings, which are counted.
        pings: u64,
        /// Dead letters that its rest became.
        remains: u64,
    },
    /// It is no good frame today either.
    StillDead,
    /// It was refused for who sent it; no decoder can mend that.
    WrongIdentity,
    /// A good frame on another device's topic; no decoder can mend that either.
    WrongTopic,
    /// There is no such letter, or no longer.
    Gone,
}

/// Decodes dead letters again.
#[async_trait]
pub trait SecondChance: Send + Sync {
    /// Decodes one letter again and commits what came of it. Safe to repeat.
    ///
    /// # Errors
    /// What the database reports.
    async fn retry(&self, id: u64) -> Result<Retried, StoreError>;
}
