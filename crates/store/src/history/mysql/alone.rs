//! The connection of whoever changes how positions are laid out: one at a time for each
//! database.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::mysql::{MySqlConnection, MySqlRow};

use super::layout::{Partition, without_partitions};
use super::names::statement;
use super::patience::wait_aloud;
use super::{Server, error_number, lock_name};
use crate::history::engine::{Fault, Fields as _, Kind};

/// One at a time for each database; nobody waits.
const LOCK: &str = concat!("SELECT GET_LOCK(", lock_name!("nemeses.retention."), ", 0)");
/// Whoever changes partitions waits for long reads to end, and commits wait behind it:
/// not longer than this. Then it is tried again at the next run.
/// Before a transaction that lost against a commit is tried again.
const BEFORE_AGAIN: Duration = Duration::from_millis(200);
const PATIENCE: &str = "SET SESSION lock_wait_timeout = 10";
/// Said before the connection closes, which the server notices when it pleases.
const UNLOCK: &str = concat!("SELECT RELEASE_LOCK(", lock_name!("nemeses.retention."), ")");
const PARTITIONS: &str = "SELECT partition_name, CAST(partition_description AS CHAR) \
    FROM information_schema.partitions WHERE table_schema = DATABASE() \
    AND table_name = 'positions' AND partition_name IS NOT NULL ORDER BY partition_ordinal_position";
const SHOWN: &str = "SHOW CREATE TABLE positions";

/// A connection of its own that alone may change partitions; closing it gives the
/// right back.
pub(super) struct Alone<'a> {
    server: &'a Server,
    connection: MySqlConnection,
}

impl<'a> Alone<'a> {
    /// `None` while another process has the right.
    pub(super) async fn take(server: &'a Server) -> Result<Option<Self>, Fault> {
        let connection = server.connection(&server.pool).await?.detach();
        let mut alone = Self { server, connection };
        alone.run(PATIENCE.to_owned()).await?;
        let locked = alone.number(LOCK).await?;
        Ok((locked == Some(1)).then_some(alone))
    }

    fn fault(&self, error: &sqlx::Error) -> Fault {
        self.server.fault(error)
    }

    /// Runs a statement, for as long as it takes.
    pub(super) async fn run(&mut self, text: String) -> Result<u64, Fault> {
        let done = sqlx::raw_sql(statement(&text)).execute(&mut self.connection);
        wait_aloud(&text, done)
            .await
            .map(|done| done.rows_affected())
            .map_err(|error| self.fault(&error))
    }

    pub(super) async fn number(&mut self, text: &'static str) -> Result<Option<u64>, Fault> {
        let row = sqlx::query(statement(text)).fetch_one(&mut self.connection).await;
        row.map_err(|error| self.fault(&error))?.number(0)
    }

    pub(super) async fn partitions(&mut self) -> Result<Vec<Partition>, Fault> {
        let rows = sqlx::query(statement(PARTITIONS)).fetch_all(&mut self.connection).await;
        let rows = rows.map_err(|error| self.fault(&error))?;
        rows.iter()
            .map(|row| {
                let below = row.text(1)?;
                Ok(Partition { name: row.text(0)?, below: below.parse().ok() })
            })
            .collect()
    }

    pub(super) async fn rows(&mut self, text: String) -> Result<Vec<MySqlRow>, Fault> {
        let rows = sqlx::raw_sql(statement(&text)).fetch_all(&mut self.connection).await;
        rows.map_err(|error| self.fault(&error))
    }

    pub(super) async fn number_of(&mut self, text: String) -> Result<Option<u64>, Fault> {
        let row = sqlx::query(statement(&text)).fetch_one(&mut self.connection).await;
        row.map_err(|error| self.fault(&error))?.number(0)
    }

    pub(super) async fn flag(&mut self, text: String) -> Result<bool, Fault> {
        Ok(self.number_of(text).await? == Some(1))
    }

    /// Runs a statement unless the server does not know its words; tells whether it does.
    pub(super) async fn try_words(&mut self, text: String) -> Result<bool, Fault> {
        const SYNTAX: u16 = 1064;
        let outcome = sqlx::raw_sql(statement(&text)).execute(&mut self.connection).await;
        let Err(error) = outcome else { return Ok(true) };
        let is_syntax = error_number(&error) == Some(SYNTAX);
        if is_syntax { Ok(false) } else { Err(self.fault(&error)) }
    }

    /// The statement that makes an empty table like `positions`.
    pub(super) async fn definition_of_positions(&mut self, table: &str) -> Result<String, Fault> {
        let rows = self.rows(SHOWN.to_owned()).await?;
        let shown = rows.first().map_or(Ok(String::new()), |row| row.text(1))?;
        without_partitions(&shown, table)
            .ok_or_else(|| Fault::new(Kind::Schema, "positions is no table that can be shown"))
    }

    /// Runs a statement that is about what is before a bucket; how many rows it changed.
    pub(super) async fn run_before(
        &mut self,
        text: &'static str,
        before: u32,
    ) -> Result<u64, Fault> {
        let done = sqlx::query(statement(text)).bind(before).execute(&mut self.connection).await;
        done.map(|done| done.rows_affected()).map_err(|error| self.fault(&error))
    }

    /// Takes the transaction back after a fault that may well pass in a moment, which it waits;
    /// the fault again if it is another one. Another commit has just stored the same row, or
    /// each waited for a lock that the other held; a wait that took too long counts as
    /// unavailable.
    pub(super) async fn take_back(&mut self, fault: Fault) -> Result<(), Fault> {
        if !matches!(fault.kind, Kind::Taken | Kind::Conflict | Kind::Unavailable) {
            return Err(fault);
        }
        // Fails as well when the connection is gone.
        self.run("ROLLBACK".to_owned()).await?;
        tokio::time::sleep(BEFORE_AGAIN).await;
        Ok(())
    }

    pub(super) async fn close(mut self) -> Result<(), Fault> {
        self.number(UNLOCK).await?;
        let server = self.server;
        self.connection.close().await.map_err(|error| server.fault(&error))
    }
}
