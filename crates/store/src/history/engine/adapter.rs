//! Sessions and reads over an sqlx pool, the same text for each product's types.
//!
//! Transactions are begun and ended here rather than by sqlx's own type: a
//! connection whose transaction did not end well must be closed, never reused,
//! and every wait for the server has an end, or a link that died without a word
//! would hold the line for ever.

use sqlx::Database;
use sqlx::pool::PoolConnection;

use super::fault::{Fault, Kind};

/// Defines `$session` (a transaction on a connection of the product `$product`)
/// and the read methods of `$product`, which has the fields `timeout` and
/// `endpoint` and the methods `words(SqlStr) -> SqlStr` (the statement as this product is
/// sent it), `arguments(&[Value]) -> Result<Arguments, Fault>`,
/// `fault(&self, &sqlx::Error) -> Fault` and
/// `connection(&self, &Pool) -> Result<PoolConnection, Fault>`.
macro_rules! adapter {
    ($product:ident, $session:ident, $database:ty, $row:ty, $drawn_id:expr) => {
        /// A transaction. Closes its connection when it is dropped unfinished.
        pub(super) struct $session {
            connection: Option<sqlx::pool::PoolConnection<$database>>,
            product: std::sync::Arc<$product>,
            /// The words that begin it, until they were sent; none where a connection
            /// is always in a transaction.
            begin: Option<&'static str>,
        }

        impl $product {
            /// Waits for an answer, but not for ever.
            async fn within<T>(
                &self,
                answer: impl Future<Output = Result<T, sqlx::Error>> + Send,
            ) -> Result<T, Fault> {
                match tokio::time::timeout(self.timeout, answer).await {
                    Ok(answer) => answer.map_err(|error| self.fault(&error)),
                    Err(_) => Err(Fault::new(
                        Kind::Unavailable,
                        format!("no answer from {} within {:?}", self.endpoint, self.timeout),
                    )),
                }
            }

            /// A transaction on a connection of this pool. The words that begin it
            /// are sent with its first statement.
            async fn begin_on(
                self: &std::sync::Arc<Self>,
                pool: &sqlx::Pool<$database>,
                words: &'static str,
            ) -> Result<$session, Fault> {
                let connection = self.connection(pool).await?;
                Ok($session {
                    connection: Some(connection),
                    product: std::sync::Arc::clone(self),
                    begin: Some(words),
                })
            }

            async fn rows_from(
                &self,
                pool: &sqlx::Pool<$database>,
                sql: SqlStr,
                values: &[Value<'_>],
            ) -> Result<Vec<$row>, Fault> {
                let query = sqlx::query_with(Self::words(sql), Self::arguments(values)?);
                let mut lent = Lent::of(self.connection(pool).await?);
                let rows = self.within(query.fetch_all(lent.connection()?)).await;
                // An answer that is late may still come, and belongs to nobody.
                if !matches!(&rows, Err(fault) if fault.kind == Kind::Unavailable) {
                    lent.give_back();
                }
                rows
            }

            fn stream_from<'s>(
                &'s self,
                pool: &'s sqlx::Pool<$database>,
                sql: SqlStr,
                values: &[Value<'_>],
            ) -> BoxStream<'s, Result<$row, Fault>> {
                match Self::arguments(values) {
                    Ok(arguments) => sqlx::query_with(Self::words(sql), arguments)
                        .fetch(pool)
                        .map_err(|error| self.fault(&error))
                        .boxed(),
                    Err(fault) => stream::once(async move { Err(fault) }).boxed(),
                }
            }
        }

        impl $session {
            fn connection(
                &mut self,
            ) -> Result<&mut <$database as sqlx::Database>::Connection, Fault> {
                match &mut self.connection {
                    Some(connection) => Ok(&mut **connection),
                    None => Err(Fault::new(Kind::Unavailable, "the transaction is over")),
                }
            }

            /// Sends statements without values: BEGIN, COMMIT, ROLLBACK, scripts.
            async fn control(&mut self, words: SqlStr) -> Result<(), Fault> {
                let product = std::sync::Arc::clone(&self.product);
                let connection = self.connection()?;
                let words = $product::words(words);
                product.within(sqlx::raw_sql(words).execute(connection)).await.map(drop)
            }

            /// Begins the transaction unless that was done.
            async fn begun(&mut self) -> Result<(), Fault> {
                match self.begin.take() {
                    Some(words) if !words.is_empty() => self.control(fixed(words)).await,
                    Some(_) | None => Ok(()),
                }
            }

            /// Ends the transaction, if it has begun; only a good end gives the
            /// connection back.
            async fn end(mut self, words: &'static str) -> Result<(), Fault> {
                if self.begin.is_none() {
                    self.control(fixed(words)).await?;
                }
                drop(self.connection.take());
                Ok(())
            }
        }

        impl Drop for $session {
            fn drop(&mut self) {
                if let Some(connection) = &mut self.connection {
                    connection.close_on_drop();
                }
            }
        }

        #[async_trait]
        impl Session for $session {
            type Row = $row;

            async fn execute(&mut self, sql: SqlStr, values: &[Value<'_>]) -> Result<u64, Fault> {
                self.begun().await?;
                let product = std::sync::Arc::clone(&self.product);
                let query =
                    sqlx::query_with($product::words(sql), $product::arguments(values)?);
                let done = product.within(query.execute(self.connection()?)).await?;
                Ok(done.rows_affected())
            }

            async fn insert(&mut self, sql: SqlStr, values: &[Value<'_>]) -> Result<u64, Fault> {
                self.begun().await?;
                let product = std::sync::Arc::clone(&self.product);
                let query =
                    sqlx::query_with($product::words(sql), $product::arguments(values)?);
                let done = product.within(query.execute(self.connection()?)).await?;
                Ok($drawn_id(&done))
            }

            async fn rows(
                &mut self,
                sql: SqlStr,
                values: &[Value<'_>],
            ) -> Result<Vec<$row>, Fault> {
                self.begun().await?;
                let product = std::sync::Arc::clone(&self.product);
                let query =
                    sqlx::query_with($product::words(sql), $product::arguments(values)?);
                product.within(query.fetch_all(self.connection()?)).await
            }

            async fn run(&mut self, script: SqlStr) -> Result<(), Fault> {
                self.begun().await?;
                self.control(script).await
            }

            async fn commit_with(&mut self, script: SqlStr) -> Result<(), Fault> {
                let begin = self.begin.take().map_or("", |words| words);
                let text = format!("{begin};{}COMMIT", script.as_str());
                self.control(sql(text.trim_start_matches(';').to_owned())).await?;
                drop(self.connection.take());
                Ok(())
            }

            async fn commit(self) -> Result<(), Fault> {
                self.end("COMMIT").await
            }

            async fn rollback(self) -> Result<(), Fault> {
                self.end("ROLLBACK").await
            }
        }
    };
}

pub(in crate::history) use adapter;

/// A connection while a statement is under way. Dropped before it is given back, as when a
/// request ends or runs out of time, it is closed: sqlx would wait for the rest of an answer
/// that it had begun to read, for ever if it was in the middle of the columns, and until then
/// the pool would count the connection as used.
pub(in crate::history) struct Lent<D: Database>(Option<PoolConnection<D>>);

impl<D: Database> Lent<D> {
    pub(in crate::history) const fn of(connection: PoolConnection<D>) -> Self {
        Self(Some(connection))
    }

    pub(in crate::history) fn connection(&mut self) -> Result<&mut D::Connection, Fault> {
        match &mut self.0 {
            Some(connection) => Ok(&mut **connection),
            None => Err(Fault::new(Kind::Unavailable, "the connection was given back")),
        }
    }

    pub(in crate::history) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl<D: Database> Drop for Lent<D> {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}
