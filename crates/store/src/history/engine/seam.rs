//! What the shared code needs of a product: statements in a transaction, reads
//! outside one, and which words its SQL uses where the two differ.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use super::fault::Fault;
use super::keyed::ReadingsRow;
use super::marks::Marks;
use super::plan::Plan;
use super::value::{Fields, Value};
use nemeses_protocol::PositionRecord;

use crate::history::retention::{BucketLimit, Step, Survey};
use crate::history::{Committed, Part};

/// The words that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::history) enum Dialect {
    /// MySQL 8, Percona Server, MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
}

/// A schema version and the statements that lead to it, from nothing or from the
/// version before.
#[derive(Clone, Copy, Debug)]
pub(in crate::history) struct Migration {
    pub(in crate::history) version: u32,
    pub(in crate::history) sql: &'static str,
}

/// A write transaction. Dropped unfinished, its connection is closed rather
/// than used again, so that whatever went wrong ends with it.
#[async_trait]
pub(in crate::history) trait Session: Send {
    type Row: Fields + Send + Sync;

    /// Runs a statement and tells how many rows it changed.
    async fn execute(&mut self, sql: SqlStr, values: &[Value<'_>]) -> Result<u64, Fault>;

    /// Runs an INSERT of one row and tells the number that the database drew for it.
    async fn insert(&mut self, sql: SqlStr, values: &[Value<'_>]) -> Result<u64, Fault>;

    /// Reads, seeing what other transactions have committed by now.
    async fn rows(&mut self, sql: SqlStr, values: &[Value<'_>]) -> Result<Vec<Self::Row>, Fault>;

    /// Runs the statements of a script in one request; ends at the first that fails.
    async fn run(&mut self, script: SqlStr) -> Result<(), Fault>;

    /// Runs a script and makes the transaction durable, in one request and
    /// together with the transaction's begin when nothing was done before. When
    /// this fails the transaction is still to be taken back.
    async fn commit_with(&mut self, script: SqlStr) -> Result<(), Fault>;

    /// Makes the transaction durable.
    async fn commit(self) -> Result<(), Fault>;

    /// Takes the transaction back.
    async fn rollback(self) -> Result<(), Fault>;
}

/// A batch of which all is new as far as is known, and that needs no other rows beside its
/// own, since its days are known and marked.
pub(in crate::history) struct Batch<'a> {
    pub(in crate::history) plan: &'a Plan<'a>,
    pub(in crate::history) exporter: &'a str,
    /// None, in the slot on which the batch relies.
    pub(in crate::history) marks: Marks,
    /// For the rules, to be written with the batch.
    pub(in crate::history) rule_marks: &'a [Vec<u8>],
}

/// A database.
#[async_trait]
pub(in crate::history) trait Product: Send + Sync + 'static {
    /// For a person: "MySQL", "SQLite".
    const STORE: &'static str;
    const DIALECT: Dialect;
    /// The newest version of the schema, for an empty database.
    const FRESH: Migration;
    /// How an older database gets there, in order.
    const UPGRADES: &'static [Migration];

    type Row: Fields + Send + Sync;
    type Session: Session<Row = Self::Row>;

    /// Begins a write transaction that sees what others commit meanwhile.
    async fn begin(&self) -> Result<Self::Session, Fault>;

    /// The same where the line's commits are in nobody's way, where there is such a place.
    async fn begin_apart(&self) -> Result<Self::Session, Fault> {
        self.begin().await
    }

    /// The same with all rows in the tables.
    async fn begin_settled(&self) -> Result<Self::Session, Fault> {
        self.begin_apart().await
    }

    /// Commits rows of positions and of readings and a script behind them, in a transaction of their own, where the
    /// product has a faster way for that than a session; `false` when it has none, or not
    /// for these, and nothing was kept. A failure keeps nothing either, or, being
    /// [`super::fault::Kind::Unavailable`], leaves it open.
    async fn commit_rows(
        &self,
        _rows: &[&PositionRecord],
        _readings: &[&ReadingsRow],
        _script: &str,
    ) -> Result<bool, Fault> {
        Ok(false)
    }

    /// Whether [`Product::commit_batch`] ever takes a batch.
    const TAKES_BATCHES: bool = false;

    /// Commits a whole batch in a way of the product's own; `None` when it is to be written
    /// to the tables in a transaction, and nothing was kept. Rows may wait outside the
    /// tables then; [`Product::settle`] moves them, and so does whatever reads tables that
    /// they change, before it reads, and [`Product::begin_settled`].
    async fn commit_batch(&self, _batch: &Batch<'_>) -> Result<Option<Vec<Committed>>, Fault> {
        Ok(None)
    }

    /// Comes before parts are written to the tables: of equal rows the first to come is
    /// kept, and it may wait outside them.
    async fn before_commit(&self, _parts: &[Part]) -> Result<(), Fault> {
        Ok(())
    }

    /// Parts are durable, written in whatever way.
    fn committed(&self, _parts: &[Part]) {}

    /// Moves all rows that wait outside the tables there.
    async fn settle(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// Brings the schema up to date; safe when several processes do it at once.
    async fn migrate(&self) -> Result<(), Fault>;

    /// Settings that weaken what a commit promises, in words.
    async fn weaknesses(&self) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }

    /// Product with version, the server's clock (Unix milliseconds) if it has one of
    /// its own, and whether this login may make tables.
    async fn server(&self) -> Result<(String, Option<u64>, bool), Fault>;

    /// Rows, bytes and partitions of the positions.
    async fn sizes(&self) -> Result<Survey, Fault>;

    /// Makes partitions up to a bucket, where there are any; tells how many.
    async fn prepare(&self, now: u32, until: u32) -> Result<u32, Fault>;

    /// Takes some of the positions before a bucket away and books them.
    async fn expire(&self, before: u32) -> Result<Step, Fault>;

    /// Takes some of the positions of classes before their buckets away and books them.
    async fn expire_classes(&self, over: &[BucketLimit]) -> Result<Step, Fault>;

    /// Moves the rewriting of a week under way on, where there is such a thing; before
    /// anything left, only for classes that are over by these limits.
    async fn finish_rewriting(&self, over: &[BucketLimit]) -> Result<Step, Fault>;

    /// Reads a bounded number of rows.
    async fn rows(&self, sql: SqlStr, values: &[Value<'_>]) -> Result<Vec<Self::Row>, Fault>;

    /// Reads any number of rows as they are consumed, however long it takes.
    fn stream<'s>(
        &'s self,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> BoxStream<'s, Result<Self::Row, Fault>>;
}

/// Marks text built by this crate as SQL. Built text holds table names, column
/// names and placeholders from constants only; values are bound, or written as
/// literals by `script.rs`.
pub(in crate::history) fn sql(text: String) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}

/// Marks a constant as SQL.
pub(in crate::history) const fn fixed(text: &'static str) -> SqlStr {
    SqlStr::from_static(text)
}
