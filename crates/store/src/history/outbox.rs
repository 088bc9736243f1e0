//! Notifications: which are to be sent, and what became of them.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::receivers::StoredReceiver;
use crate::StoreError;

/// Notifications that are listed at once, at most.
pub const MAX_LISTED_NOTIFICATIONS: u32 = 1_000;

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
    /// The alarm's number.
    pub alarm: Option<u64>,
    /// What happened to the alarm.
    pub transition: String,
    /// To which receiver.
    pub receiver: u64,
    /// What is sent.
    pub body: String,
    /// The message that it is part of, with others.
    pub group: Option<String>,
    /// How often that was tried.
    pub attempts: u32,
    /// Unix milliseconds.
    pub created_at_ms: u64,
}

/// How things stand with the alarm of a notification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many earlier notifications of the alarm the receiver accepted.
    pub delivered: u32,
    /// When the last of the earlier ones that wait for it is due, Unix milliseconds.
    pub waits_until_ms: Option<u64>,
    /// Whether the alarm is over.
    pub over: bool,
    /// Whether somebody has seen the alarm.
    pub acknowledged: bool,
    /// Until when nobody is to be notified of it, Unix milliseconds; 0 without a silence.
    pub silenced_until_ms: u64,
}

/// What somebody claimed: a receiver, and what is due for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The receiver.
    pub receiver: StoredReceiver,
    /// Parts of a message that was begun first, each message together; then by number.
    pub due: Vec<(DueNotification, Standing)>,
    /// Messages that it accepted within the last hour.
    pub sent_last_hour: u32,
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
    /// Why it is suppressed, or why it waits.
    pub reason: Option<String>,
    /// When it was delivered, suppressed or given up, Unix milliseconds.
    pub done_at_ms: Option<u64>,
}

/// What became of a notification that was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target accepted it.
    Delivered,
    /// It was tried, and is tried again.
    Again {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// Why it failed.
        error: String,
    },
    /// It was not tried, and is not before a time.
    Held {
        /// When, Unix milliseconds.
        at_ms: u64,
        /// Why.
        reason: &'static str,
    },
    /// It is not sent, for a reason.
    Suppressed {
        /// Why.
        reason: &'static str,
    },
    /// It is given up.
    Failed {
        /// Why it failed.
        error: String,
    },
}

/// How a receiver is after an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverHealth {
    /// See [`StoredReceiver::failures`].
    pub failures: u32,
    /// See [`StoredReceiver::paused_until_ms`].
    pub paused_until_ms: u64,
    /// See [`StoredReceiver::last_error`]; `None` is a success, of now.
    pub last_error: Option<String>,
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

impl NotificationBooks {
    /// Whether they add up.
    pub const fn balanced(&self) -> bool {
        self.raised == self.delivered + self.suppressed + self.failed + self.waiting
    }
}

/// Which notifications are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotificationFilter {
    /// With numbers below this one.
    pub before: Option<u64>,
    /// Of which this became.
    pub state: Option<NotificationState>,
    /// For these receivers; `None` for all.
    pub receivers: Option<Vec<u64>>,
    /// Of this alarm.
    pub alarm: Option<u64>,
    /// How many, [`MAX_LISTED_NOTIFICATIONS`] at most.
    pub limit: u32,
}

/// The notifications. A receiver has one sender at a time, who claims it.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// The receivers for which something is due and whom nobody claimed, by number, with their kinds.
    async fn due_receivers(&self, now_ms: u64) -> Result<Vec<(u64, String)>, StoreError>;

    /// Claims a receiver until a time, with what is due for it. `None` when somebody else has it, or there
    /// is none of this number. Who has it may claim it again.
    async fn claim(
        &self,
        receiver: u64,
        holder: &str,
        now_ms: u64,
        until_ms: u64,
        limit: u32,
    ) -> Result<Option<Claimed>, StoreError>;

    /// Makes notifications parts of one message; `false` when the claim is somebody else's.
    async fn group(
        &self,
        receiver: u64,
        holder: &str,
        ids: &[u64],
        key: &str,
    ) -> Result<bool, StoreError>;

    /// Notes what became of notifications, and how the receiver is; `false` when the claim is somebody else's
    /// meanwhile: then nothing is noted.
    async fn settle(
        &self,
        receiver: u64,
        holder: &str,
        now_ms: u64,
        outcomes: &[(u64, Outcome)],
        health: Option<&ReceiverHealth>,
    ) -> Result<bool, StoreError>;

    /// Gives a receiver back.
    async fn release(&self, receiver: u64, holder: &str) -> Result<(), StoreError>;

    /// Gives all receivers back, as a process does at its start that shares its database with nobody.
    async fn release_all_receivers(&self) -> Result<(), StoreError>;

    /// Sends a notification that was given up once more, from the first attempt on; `false` when
    /// there is none of this number that was.
    async fn send_again(&self, id: u64, now_ms: u64) -> Result<bool, StoreError>;

    /// When notifications of alarms of one rule and device were raised for a receiver since a time, Unix
    /// milliseconds, the newest first, as many as asked for at most. `alarms` is what the keys of these alarms begin with.
    async fn opened(
        &self,
        receiver: u64,
        alarms: &str,
        since_ms: u64,
        limit: u32,
    ) -> Result<Vec<(u64, NotificationState)>, StoreError>;

    /// The notification of a number.
    async fn notification(&self, id: u64) -> Result<Option<ListedNotification>, StoreError>;

    /// Notifications, newest first.
    async fn notifications(
        &self,
        filter: &NotificationFilter,
    ) -> Result<Vec<ListedNotification>, StoreError>;

    /// How many wait for each receiver for which any does.
    async fn waiting(&self) -> Result<BTreeMap<u64, u64>, StoreError>;

    /// The accounting.
    async fn notification_books(&self) -> Result<NotificationBooks, StoreError>;

    /// Removes notifications that were done before a time, some at once; returns how many.
    async fn forget_notifications(&self, before_ms: u64, limit: u32) -> Result<u64, StoreError>;
}
