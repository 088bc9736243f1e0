//! Opens a history by its URL.

use std::sync::Arc;
use std::time::Duration;

use super::accounts::Users;
use super::books::Books;
use super::commands::Commands;
use super::daily::Daily;
use super::dead_letters::DeadLetters;
use super::devices::Devices;
use super::groups::Groups;
use super::logins::Logins;
use super::retention::Retention;
use super::sessions::Sessions;
use super::tokens::ScopedTokens;
use super::{History, mysql, sqlite};
use crate::StoreError;

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
    /// Where [`History::migrate`] makes a server's tables; `None`: the server's default.
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
    /// How things leave.
    pub fn retention(&self) -> Arc<dyn Retention> {
        Arc::clone(&self.retention)
    }
}

/// Opens a history. Nothing is connected yet: a database that is down shows as
/// [`StoreError::Unavailable`] on first use.
///
/// `sqlite:PATH` opens or makes a file; `mysql://user:password@host:port/database`
/// (or `mariadb://`) names a server. Needs a running Tokio runtime.
///
/// # Errors
/// [`StoreError::Configuration`] when the URL cannot be used.
pub async fn open(url: &str, options: Options) -> Result<Database, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", _)) if options.engine.is_some() => Err(StoreError::Configuration(
            "SQLite has no storage engines to choose from: leave --database-engine out, or name a \
             server with --database-url"
                .to_owned(),
        )),
        Some(("sqlite", rest)) => sqlite::open(sqlite_path(rest), &options),
        Some(("mysql", _)) => mysql::open(url, &options),
        Some(("mariadb", rest)) => mysql::open(&format!("mysql:{rest}"), &options),
        _ => Err(StoreError::Configuration(
            "the database URL begins with sqlite: (a path follows), mysql:// or mariadb://"
                .to_owned(),
        )),
    }
}

/// The path of `sqlite:PATH`; `sqlite:///PATH` is understood, too.
fn sqlite_path(rest: &str) -> &str {
    rest.strip_prefix("//").unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_sqlite_urls() {
        for (rest, path) in [("a/b.db", "a/b.db"), ("/a/b.db", "/a/b.db"), ("///a.db", "/a.db")] {
            assert_eq!(sqlite_path(rest), path);
        }
    }

    #[tokio::test]
    async fn urls_that_cannot_be_used_are_refused_without_their_password() {
        for url in
            ["", "postgres://u:hunter2@h/d", "mysql://u:hunter2@h", "sqlite:", "sqlite::memory:"]
        {
            let Err(error) = open(url, Options::default()).await else {
                panic!("{url} was opened");
            };
            assert!(matches!(error, StoreError::Configuration(_)), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
