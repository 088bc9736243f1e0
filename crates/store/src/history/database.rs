//! The handles of a database, and how one is opened.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::History;
use super::accounts::Users;
use super::alarms::Alarms;
use super::books::Books;
use super::channels::{Channels, Identities};
use super::commands::Commands;
use super::daily::Daily;
use super::dead_letters::DeadLetters;
use super::devices::Devices;
use super::evaluation::Evaluation;
use super::groups::Groups;
use super::logins::Logins;
use super::outbox::Outbox;
use super::receivers::Receivers;
use super::requests::Requests;
use super::retention::Retention;
use super::rules::Rules;
use super::sealing::Sealing;
use super::sessions::Sessions;
use super::tokens::ScopedTokens;
use crate::named::NamedDevices;

/// How to open a history.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at most (SQLite: readers, besides the one writer). A server's: two of
    /// four and more only write, four of six and more where rows go in bulk.
    pub max_connections: u32,
    /// How long to wait for a free or new connection before the store counts as unavailable.
    pub acquire_timeout: Duration,
    /// How long to wait for the answer to one statement before its connection
    /// counts as dead.
    pub statement_timeout: Duration,
    /// Where [`Administration::migrate`](super::Administration::migrate) makes a server's tables; `None`: the server's default.
    pub engine: Option<StorageEngine>,
}

/// A storage engine of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageEngine {
    /// Every server has it: the best rates and reads while what is written fits into
    /// its buffer pool. The one that retention of positions works with.
    InnoDb,
    /// `MyRocks`, a plugin of `MariaDB` and Percona Server: writes large tables with
    /// little memory, at more processor time a row.
    RocksDb,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 8,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            engine: None,
        }
    }
}

/// The handles of one database. Cheap to clone; all share the same connections.
#[derive(Clone)]
pub struct Database {
    pub(super) history: Arc<dyn History>,
    pub(super) users: Arc<dyn Users>,
    pub(super) logins: Arc<dyn Logins>,
    pub(super) dead_letters: Arc<dyn DeadLetters>,
    pub(super) books: Arc<dyn Books>,
    pub(super) devices: Arc<dyn Devices>,
    pub(super) groups: Arc<dyn Groups>,
    pub(super) sessions: Arc<dyn Sessions>,
    pub(super) tokens: Arc<dyn ScopedTokens>,
    pub(super) retention: Arc<dyn Retention>,
    pub(super) daily: Arc<dyn Daily>,
    pub(super) commands: Arc<dyn Commands>,
    pub(super) channels: Arc<dyn Channels>,
    pub(super) identities: Arc<dyn Identities>,
    pub(super) named: NamedDevices,
    pub(super) requests: Arc<dyn Requests>,
    pub(super) rules: Arc<dyn Rules>,
    pub(super) rules_wake: Arc<Notify>,
    pub(super) alarms: Arc<dyn Alarms>,
    pub(super) evaluation: Arc<dyn Evaluation>,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) outbox_wake: Arc<Notify>,
    pub(super) receivers: Arc<dyn Receivers>,
    pub(super) sealing: Arc<dyn Sealing>,
}

impl Database {
    /// The frames.
    pub fn history(&self) -> Arc<dyn History> {
        Arc::clone(&self.history)
    }
    /// The accounts.
    pub fn users(&self) -> Arc<dyn Users> {
        Arc::clone(&self.users)
    }
    /// The logins.
    pub fn logins(&self) -> Arc<dyn Logins> {
        Arc::clone(&self.logins)
    }
    /// The dead letters.
    pub fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        Arc::clone(&self.dead_letters)
    }
    /// The devices' profiles.
    pub fn devices(&self) -> Arc<dyn Devices> {
        Arc::clone(&self.devices)
    }
    /// The groups.
    pub fn groups(&self) -> Arc<dyn Groups> {
        Arc::clone(&self.groups)
    }
    /// The sums of days.
    pub fn daily(&self) -> Arc<dyn Daily> {
        Arc::clone(&self.daily)
    }
    /// The commands for devices.
    pub fn commands(&self) -> Arc<dyn Commands> {
        Arc::clone(&self.commands)
    }
    /// The channels and their readings.
    pub fn channels(&self) -> Arc<dyn Channels> {
        Arc::clone(&self.channels)
    }
    /// The numbers of devices that are known by a name.
    pub fn identities(&self) -> Arc<dyn Identities> {
        Arc::clone(&self.identities)
    }
    /// Which device has which name, as far as this process knows: what it gave or found
    /// itself, and what it reads on ([`NamedDevices::follow`]).
    pub fn named(&self) -> NamedDevices {
        self.named.clone()
    }
    /// Keys of requests.
    pub fn requests(&self) -> Arc<dyn Requests> {
        Arc::clone(&self.requests)
    }
    /// The books.
    pub fn books(&self) -> Arc<dyn Books> {
        Arc::clone(&self.books)
    }
    /// Who is signed in.
    pub fn sessions(&self) -> Arc<dyn Sessions> {
        Arc::clone(&self.sessions)
    }
    /// The scoped tokens and share links.
    pub fn tokens(&self) -> Arc<dyn ScopedTokens> {
        Arc::clone(&self.tokens)
    }
    /// Rules and geofences.
    pub fn rules(&self) -> Arc<dyn Rules> {
        Arc::clone(&self.rules)
    }
    /// Wakes whoever evaluates rules when this process has committed something for them.
    pub fn rules_wake(&self) -> Arc<Notify> {
        Arc::clone(&self.rules_wake)
    }
    /// What rules raised.
    pub fn alarms(&self) -> Arc<dyn Alarms> {
        Arc::clone(&self.alarms)
    }
    /// For whoever evaluates rules.
    pub fn evaluation(&self) -> Arc<dyn Evaluation> {
        Arc::clone(&self.evaluation)
    }
    /// Notifications.
    pub fn outbox(&self) -> Arc<dyn Outbox> {
        Arc::clone(&self.outbox)
    }
    /// Notified when this process raised notifications.
    pub fn outbox_wake(&self) -> Arc<Notify> {
        Arc::clone(&self.outbox_wake)
    }
    /// Where notifications go.
    pub fn receivers(&self) -> Arc<dyn Receivers> {
        Arc::clone(&self.receivers)
    }
    /// How readings are sealed.
    pub fn sealing(&self) -> Arc<dyn Sealing> {
        Arc::clone(&self.sealing)
    }
    /// How things leave.
    pub fn retention(&self) -> Arc<dyn Retention> {
        Arc::clone(&self.retention)
    }
}
