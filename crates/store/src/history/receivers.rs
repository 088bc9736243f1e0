//! Receivers: where notifications go, and how each of them is.

use async_trait::async_trait;

use crate::StoreError;

/// Receivers at most.
pub const MAX_RECEIVERS: u32 = 1_000;
/// Characters of the name of a receiver.
pub const MAX_RECEIVER_NAME: usize = 190;

/// A receiver as it is saved. What `target` and `delivery` mean is decided elsewhere (`crates/notify`).
#[derive(Clone, PartialEq, Eq)]
pub struct NewReceiver {
    /// What people call it.
    pub name: String,
    /// `webhook`, `mail` and so on.
    pub kind: String,
    /// Where to, JSON; holds secrets.
    pub target: String,
    /// Quiet hours, digest, language and time zone, JSON.
    pub delivery: String,
    /// Whether it is used.
    pub enabled: bool,
}

/// Without the target, which holds secrets.
impl std::fmt::Debug for NewReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, kind, delivery, enabled, target: _ } = self;
        f.debug_struct("NewReceiver")
            .field("name", name)
            .field("kind", kind)
            .field("delivery", delivery)
            .field("enabled", enabled)
            .finish_non_exhaustive()
    }
}

/// A receiver that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReceiver {
    /// Its number.
    pub id: u64,
    /// Whose it is; `None` for everybody's.
    pub owner: Option<u64>,
    /// What it is.
    pub receiver: NewReceiver,
    /// Since when it may be used, Unix milliseconds.
    pub confirmed_at_ms: Option<u64>,
    /// What is known of a code that was sent to it.
    pub confirmation: Option<String>,
    /// Attempts that found nobody there since the last that did.
    pub failures: u32,
    /// Nothing is sent to it before, Unix milliseconds.
    pub paused_until_ms: u64,
    /// Why the last attempt failed, or why it was switched off; `None` after one that succeeded.
    pub last_error: Option<String>,
    /// Unix milliseconds.
    pub last_delivered_at_ms: Option<u64>,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// Unix milliseconds.
    pub updated_at_ms: u64,
}

/// The receivers.
#[async_trait]
pub trait Receivers: Send + Sync {
    /// All receivers, by number.
    async fn receivers(&self) -> Result<Vec<StoredReceiver>, StoreError>;

    /// The receiver of a number.
    async fn receiver(&self, id: u64) -> Result<Option<StoredReceiver>, StoreError>;

    /// Adds a receiver and returns its number.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there are [`MAX_RECEIVERS`].
    async fn add_receiver(
        &self,
        owner: Option<u64>,
        receiver: &NewReceiver,
        confirmed_at_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<u64, StoreError>;

    /// Changes a receiver, after which it counts as one that never failed, and what waits for it is due; `false`
    /// when there is none of this number.
    async fn change_receiver(
        &self,
        id: u64,
        receiver: &NewReceiver,
        confirmed_at_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<bool, StoreError>;

    /// Notes what is known of a receiver's confirmation.
    async fn note_confirmation(
        &self,
        id: u64,
        confirmation: Option<&str>,
        confirmed_at_ms: Option<u64>,
    ) -> Result<bool, StoreError>;

    /// Switches a receiver off for a reason, and gives up what waits for it; `false` when there is none.
    async fn disable_receiver(
        &self,
        id: u64,
        reason: &str,
        now_ms: u64,
    ) -> Result<bool, StoreError>;

    /// Removes a receiver; `false` when there is none. What waits for it is given up.
    async fn remove_receiver(&self, id: u64, now_ms: u64) -> Result<bool, StoreError>;
}
