//! Commands for devices, kept until the device has acknowledged them or their time is
//! over, and then as a record of who asked for what. Whoever has a device's connection
//! claims its commands for a while, so that of several nodes one sends each; a claim that
//! is not renewed (its node was killed) ends by itself.

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use crate::StoreError;

/// A command's bytes at most.
pub const MAX_COMMAND_BYTES: usize = 1024;
/// Bytes of a device's answer that are kept.
pub const MAX_ANSWER_BYTES: usize = 1024;
/// Open commands of one device at most (some more when several are asked for in the same
/// moment): 32 of 1 KiB. A tracker has a handful of settings; more are a loop gone wrong.
pub const MAX_OPEN_COMMANDS: u32 = 32;
/// Commands that one call of [`Commands::claim`] gives at most: a megabyte.
pub const MAX_CLAIMED_COMMANDS: u32 = 1000;

/// Where a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandState {
    /// It waits for its device.
    Queued,
    /// It went out to the device, which has not acknowledged it.
    Sent,
    /// The device has acknowledged or answered it.
    Answered,
    /// It was refused, by the device or on the way.
    Failed,
    /// Its time was over before the device acknowledged it.
    Expired,
}

impl Command {
    /// Where it is now: an open one whose time is over has expired, whether or not that
    /// was noted yet.
    pub const fn state_at(&self, now_ms: u64) -> CommandState {
        if self.is_open && self.expires_at_ms <= now_ms {
            CommandState::Expired
        } else {
            self.state
        }
    }
}

impl CommandState {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Queued, Self::Sent, Self::Answered, Self::Failed, Self::Expired];

    /// In the table and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }

    /// From its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A command to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewCommand<'a> {
    /// For whom.
    pub device: DeviceId,
    /// 1 to [`MAX_COMMAND_BYTES`].
    pub payload: &'a [u8],
    /// Who asks.
    pub user_id: u64,
    /// Who that is, in words that stay when the account is gone.
    pub asked_by: &'a str,
    /// Until when it may go out, Unix milliseconds.
    pub expires_at_ms: u64,
}

/// A command as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Number, drawn by the database.
    pub id: u64,
    /// For whom.
    pub device: DeviceId,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// Where it is.
    pub state: CommandState,
    /// Whether it may go out (again), as long as its time is not over.
    pub is_open: bool,
    /// Why it failed; else empty.
    pub reason: String,
    /// What the device answered, if its protocol has answers.
    pub answer: Option<Vec<u8>>,
    /// Who asked.
    pub user_id: u64,
    /// Who that was.
    pub asked_by: String,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// Unix milliseconds.
    pub expires_at_ms: u64,
    /// When it went out last.
    pub sent_at_ms: Option<u64>,
    /// When it was answered, failed or expired.
    pub closed_at_ms: Option<u64>,
    /// How often it went out.
    pub attempts: u32,
}

/// A command that is to be sent by whoever claimed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedCommand {
    /// Number.
    pub id: u64,
    /// For whom.
    pub device: DeviceId,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// Until when it may go out, Unix milliseconds.
    pub expires_at_ms: u64,
}

/// What became of a claimed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandStep {
    /// It went out; an acknowledgement is to come.
    Sent,
    /// It went out on a way that has no acknowledgement: it does not go out again.
    SentForGood,
    /// The device has acknowledged it, with these bytes if its protocol has answers.
    Answered(Option<Vec<u8>>),
    /// It was refused, for this reason.
    Failed(&'static str),
    /// It did not go out, or was not acknowledged before the connection ended: it may be
    /// claimed again from this time on (Unix milliseconds).
    Released(u64),
}

/// What is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenCommands {
    /// How many.
    pub count: u64,
    /// When the first of them expires, Unix milliseconds.
    pub first_expires_at_ms: Option<u64>,
}

/// The commands.
#[async_trait]
pub trait Commands: Send + Sync {
    /// Keeps a command and returns its number; `None` when [`MAX_OPEN_COMMANDS`] of the
    /// device are open.
    async fn add(&self, command: NewCommand<'_>, now_ms: u64) -> Result<Option<u64>, StoreError>;

    /// One of a device.
    async fn get(&self, device: DeviceId, id: u64) -> Result<Option<Command>, StoreError>;

    /// Those of a device, the newest first, below a number.
    async fn of_device(
        &self,
        device: DeviceId,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Command>, StoreError>;

    /// Ends an open command: it does not go out any more. `false` when it is not open.
    async fn withdraw(
        &self,
        device: DeviceId,
        id: u64,
        reason: &'static str,
        now_ms: u64,
    ) -> Result<bool, StoreError>;

    /// What is open now.
    async fn open(&self) -> Result<OpenCommands, StoreError>;

    /// Devices that have commands to be sent now, in order of number, behind one.
    async fn waiting(
        &self,
        after: Option<DeviceId>,
        limit: u32,
        now_ms: u64,
    ) -> Result<Vec<DeviceId>, StoreError>;

    /// Claims what may be sent to these devices, in order of number; others get none of it
    /// until the claim ends.
    async fn claim(
        &self,
        devices: &[DeviceId],
        holder: &str,
        now_ms: u64,
        until_ms: u64,
    ) -> Result<Vec<ClaimedCommand>, StoreError>;

    /// Makes all claims of a holder end later.
    async fn renew(&self, holder: &str, until_ms: u64) -> Result<(), StoreError>;

    /// Ends all claims, whoever holds them: for a process that is alone on its database.
    async fn release_all(&self) -> Result<(), StoreError>;

    /// Notes what became of claimed commands, in one transaction. What is closed stays
    /// as it is.
    async fn note(
        &self,
        holder: &str,
        steps: &[(u64, CommandStep)],
        now_ms: u64,
    ) -> Result<(), StoreError>;

    /// Closes those whose time is over and that nobody holds; how many.
    async fn expire(&self, now_ms: u64) -> Result<u64, StoreError>;

    /// Removes closed ones that were asked for before this time, some thousand at once;
    /// how many.
    async fn forget(&self, before_ms: u64) -> Result<u64, StoreError>;
}
