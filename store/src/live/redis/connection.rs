//! One shared connection to Redis that is opened when needed, dropped when
//! spoilt, and tried again with back-off. Callers never wait longer than twice
//! the answer's time, once for the connection and once for the answer.

use std::time::{Duration, Instant};

use nemeses_runtime::Backoff;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, Pipeline, RedisError};
use tokio::sync::Mutex;

use super::fault::{spoils_connection, store_error};
use crate::StoreError;

/// Between attempts to connect; the second bounds how late a return is noticed.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

pub(super) struct Connection {
    client: Client,
    config: AsyncConnectionConfig,
    answer_within: Duration,
    line: Mutex<Line>,
}

struct Line {
    open: Option<MultiplexedConnection>,
    /// Counts connections, so that a late failure of an old one spares the new.
    generation: u64,
    backoff: Backoff,
    failed: Option<Failed>,
}

/// The last attempt to connect, while it is too early for the next.
struct Failed {
    retry_at: Instant,
    error: RedisError,
}

/// An error in both forms: the product's, to decide on, and the store's, to return.
pub(super) enum Fault {
    NotConnected(StoreError),
    Answered(RedisError),
}

impl Connection {
    pub(super) fn new(client: Client, answer_within: Duration) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(answer_within))
            .set_response_timeout(Some(answer_within));
        let line = Line {
            open: None,
            generation: 0,
            backoff: Backoff::new(RETRY.0, RETRY.1),
            failed: None,
        };
        Self { client, config, answer_within, line: Mutex::new(line) }
    }

    /// Sends the commands in one go and reads their answers.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> Result<T, StoreError> {
        self.try_ask(commands).await.map_err(|fault| self.store_error(fault))
    }

    pub(super) async fn try_ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Fault> {
        let (generation, mut connection) = self.connected().await.map_err(Fault::NotConnected)?;
        let answer = commands.query_async(&mut connection).await;
        if let Err(error) = &answer
            && spoils_connection(error)
        {
            self.drop_spoilt(generation).await;
        }
        answer.map_err(Fault::Answered)
    }

    pub(super) fn store_error(&self, fault: Fault) -> StoreError {
        match fault {
            Fault::NotConnected(error) => error,
            Fault::Answered(error) => store_error(&error, self.answer_within),
        }
    }

    /// The open connection, or a new one unless it is too early to try again.
    /// Others wait meanwhile, and share what comes of it.
    async fn connected(&self) -> Result<(u64, MultiplexedConnection), StoreError> {
        let mut line = self.line.lock().await;
        if let Some(open) = &line.open {
            return Ok((line.generation, open.clone()));
        }
        if let Some(failed) = &line.failed
            && failed.retry_at > Instant::now()
        {
            return Err(store_error(&failed.error, self.answer_within));
        }
        match self.client.get_multiplexed_async_connection_with_config(&self.config).await {
            Ok(open) => {
                line.open = Some(open.clone());
                line.generation += 1;
                line.failed = None;
                line.backoff.reset();
                Ok((line.generation, open))
            }
            Err(error) => {
                let answer = store_error(&error, self.answer_within);
                let retry_at = Instant::now() + line.backoff.wait();
                line.failed = Some(Failed { retry_at, error });
                Err(answer)
            }
        }
    }

    async fn drop_spoilt(&self, generation: u64) {
        let mut line = self.line.lock().await;
        if line.generation == generation {
            line.open = None;
        }
    }
}
