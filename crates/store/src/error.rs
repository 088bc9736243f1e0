//! One error for both stores: what matters to a caller is whether repeating helps.

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Unreachable, overloaded, deadlocked, disk full, timed out: repeating may help.
    #[error("{store} is not available: {detail}")]
    Unavailable {
        /// Which store, in words for a person ("Redis", "MySQL", "SQLite").
        store: &'static str,
        /// What happened, in the product's words. For logs, never for clients.
        detail: String,
    },
    /// The store refuses the data itself: repeating cannot help.
    #[error("{store} refuses the data: {detail}")]
    Refused {
        /// Which store.
        store: &'static str,
        /// What happened, in the product's words. For logs, never for clients.
        detail: String,
    },
    /// The schema is missing, older or newer than this program needs.
    #[error("{0}")]
    Schema(String),
    /// A thing with this name exists already.
    #[error("{0} exists already")]
    Exists(String),
    /// There is no such thing to do this to.
    #[error("there is no {0}")]
    Missing(String),
    /// A bound of ours is reached.
    #[error("{0}")]
    Full(String),
    /// The configuration of the store is wrong (URL, TLS, rights).
    #[error("{0}")]
    Configuration(String),
}

impl StoreError {
    /// Whether repeating the same call may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
