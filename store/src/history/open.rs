//! Opens a history by its URL.

use std::sync::Arc;
use std::time::Duration;

use super::History;
use super::accounts::Users;
use super::books::Books;
use super::dead_letters::DeadLetters;
use super::logins::Logins;
use crate::StoreError;

/// How to open a history.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at most (SQLite: readers, besides the one writer).
    pub max_connections: u32,
    /// How long to wait for a free or new connection before the store counts as unavailable.
    pub acquire_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_connections: 8, acquire_timeout: Duration::from_secs(5) }
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
    /// The books.
    pub fn books(&self) -> Arc<dyn Books> {
        Arc::clone(&self.books)
    }
}

/// Opens a history. Nothing is connected yet: a database that is down shows as
/// [`StoreError::Unavailable`] on first use.
///
/// `sqlite:PATH` opens or makes a file; `mysql://user:password@host:port/database`
/// (or `mariadb://`) names a server.
///
/// # Errors
/// [`StoreError::Configuration`] when the URL cannot be used.
#[expect(clippy::unused_async, reason = "the first cut only fixes the shape that others call")]
pub async fn open(url: &str, _options: Options) -> Result<Database, StoreError> {
    Err(StoreError::Configuration(format!("no database at {url:?} yet")))
}
