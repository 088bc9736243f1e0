//! Notifications: where they go, which are to be sent, and what became of them.

use async_trait::async_trait;

use crate::StoreError;

/// Ways at most.
pub const MAX_WAYS: u32 = 1_000;
/// Notifications that are listed at once, at most.
pub const MAX_LISTED_NOTIFICATIONS: u32 = 1_000;

/// A way as it is saved.
#[derive(Clone, PartialEq, Eq)]
pub struct NewWay {
    /// What people call it.
    pub name: String,
    /// `webhook`.
    pub kind: String,
    /// Where to, JSON; holds secrets.
    pub target: String,
    /// Whether it is used.
    pub enabled: bool,
}

/// Without the target, which holds secrets.
impl std::fmt::Debug for NewWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, kind, enabled, target: _ } = self;
        f.debug_struct("NewWay")
            .field("name", name)
            .field("kind", kind)
            .field("enabled", enabled)
            .finish_non_exhaustive()
    }
}

/// A way that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredWay {
    /// Its number.
    pub id: u64,
    /// Whose it is; `None` for everybody's.
    pub owner: Option<u64>,
    /// What it is.
    pub way: NewWay,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// Unix milliseconds.
    pub updated_at_ms: u64,
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationState {
    /// It is to be sent, perhaps again.
    Waiting,
    /// Its target accepted it.
    Delivered,
    /// It is not sent, for a reason.
    Suppressed,
    /// It was given up.
    Failed,
}

impl NotificationState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::Suppressed, Self::Failed];

    /// The word in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Suppressed => "suppressed",
            Self::Failed => "failed",
        }
    }

    pub(super) const fn number(self) -> u8 {
        self as u8
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// A notification that somebody is to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueNotification {
    /// Its number.
    pub id: u64,
    /// The alarm's key as text.
    pub alarm_key: String,
    /// What happened to the alarm.
    pub transition: String,
    /// By which way.
    pub way: u64,
    /// What is sent.
    pub body: String,
    /// How often that was tried.
    pub attempts: u32,
    /// Unix milliseconds.
    pub created_at_ms: u64,
}

/// A notification with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedNotification {
    /// What it is.
    pub notification: DueNotification,
    /// What became of it.
    pub state: NotificationState,
    /// When it is tried next, Unix milliseconds.
    pub next_at_ms: u64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// Why it is suppressed.
    pub reason: Option<String>,
    /// When it was delivered, suppressed or given up, Unix milliseconds.
    pub done_at_ms: Option<u64>,
}

/// What an attempt led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target accepted it.
    Delivered,
    /// It is tried again.
    Again {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// Why it failed.
        error: String,
    },
    /// It is given up.
    Failed {
        /// Why it failed.
        error: String,
    },
}

/// The accounting of notifications: raised = delivered + suppressed + failed + waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotificationBooks {
    /// All there are.
    pub raised: u64,
    /// Accepted by their targets.
    pub delivered: u64,
    /// Not sent, for a reason.
    pub suppressed: u64,
    /// Given up.
    pub failed: u64,
    /// To be sent.
    pub waiting: u64,
}

/// Ways and notifications.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// All ways, by number.
    async fn ways(&self) -> Result<Vec<StoredWay>, StoreError>;

    /// The way of a number.
    async fn way(&self, id: u64) -> Result<Option<StoredWay>, StoreError>;

    /// Adds a way and returns its number.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there are [`MAX_WAYS`].
    async fn add_way(
        &self,
        owner: Option<u64>,
        way: &NewWay,
        now_ms: u64,
    ) -> Result<u64, StoreError>;

    /// Changes a way; `false` when there is none of this number.
    async fn change_way(&self, id: u64, way: &NewWay, now_ms: u64) -> Result<bool, StoreError>;

    /// Switches a way off, as when its target says that it is gone.
    async fn disable_way(&self, id: u64, now_ms: u64) -> Result<bool, StoreError>;

    /// Removes a way; `false` when there is none. What waits for it is given up.
    async fn remove_way(&self, id: u64, now_ms: u64) -> Result<bool, StoreError>;

    /// Takes notifications that are due, the oldest first. Nobody else gets them until `until_ms`.
    async fn claim(
        &self,
        holder: &str,
        now_ms: u64,
        until_ms: u64,
        limit: u32,
    ) -> Result<Vec<DueNotification>, StoreError>;

    /// Notes what an attempt led to; `false` when the claim was lost to somebody else meanwhile.
    async fn settle(
        &self,
        id: u64,
        holder: &str,
        now_ms: u64,
        outcome: &Outcome,
    ) -> Result<bool, StoreError>;

    /// Sends a notification that was given up once more, from the first attempt on; `false` when
    /// there is none of this number that was.
    async fn send_again(&self, id: u64, now_ms: u64) -> Result<bool, StoreError>;

    /// Notifications with numbers below one, newest first.
    async fn notifications(
        &self,
        before: Option<u64>,
        state: Option<NotificationState>,
        limit: u32,
    ) -> Result<Vec<ListedNotification>, StoreError>;

    /// The accounting.
    async fn notification_books(&self) -> Result<NotificationBooks, StoreError>;
}
