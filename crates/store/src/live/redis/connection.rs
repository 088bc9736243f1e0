//! One shared connection to Redis that is opened when needed, dropped when
//! spoilt, and tried again with back-off. Callers never wait longer than twice
//! the answer's time, once for the connection and once for the answer; half of it
//! more where Sentinels are asked first or a cluster is looked over.

use std::time::{Duration, Instant};

use nemeses_runtime::Backoff;
use redis::{Cmd, FromRedisValue, Pipeline, RedisError};
use tokio::sync::Mutex;

use super::fault::spoils_connection;
use super::source::{Open, Source};
use crate::StoreError;

/// Between attempts to connect; the second bounds how late a return is noticed.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

pub(super) struct Connection {
    source: Source,
    answer_within: Duration,
    line: Mutex<Line>,
}

struct Line {
    open: Option<Open>,
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
    pub(super) fn new(source: Source, answer_within: Duration) -> Self {
        let line = Line {
            open: None,
            generation: 0,
            backoff: Backoff::new(RETRY.0, RETRY.1),
            failed: None,
        };
        Self { source, answer_within, line: Mutex::new(line) }
    }

    /// Whether keys of different hash tags may be on different servers.
    pub(super) fn is_cluster(&self) -> bool {
        self.source.is_cluster()
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
        self.judged(generation, answer).await
    }

    /// Sends one command, which a cluster may divide among its nodes.
    pub(super) async fn try_command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Fault> {
        let (generation, mut connection) = self.connected().await.map_err(Fault::NotConnected)?;
        let answer = command.query_async(&mut connection).await;
        self.judged(generation, answer).await
    }

    async fn judged<T>(&self, generation: u64, answer: Result<T, RedisError>) -> Result<T, Fault> {
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
            Fault::Answered(error) => self.source.store_error(&error, self.answer_within),
        }
    }

    /// The open connection, or a new one unless it is too early to try again.
    /// Others wait meanwhile, and share what comes of it.
    async fn connected(&self) -> Result<(u64, Open), StoreError> {
        let mut line = self.line.lock().await;
        if let Some(open) = &line.open {
            return Ok((line.generation, open.clone()));
        }
        if let Some(failed) = &line.failed
            && failed.retry_at > Instant::now()
        {
            return Err(self.source.store_error(&failed.error, self.answer_within));
        }
        match self.source.connect(self.answer_within, self.answer_within).await {
            Ok(open) => {
                line.open = Some(open.clone());
                line.generation += 1;
                line.failed = None;
                line.backoff.reset();
                Ok((line.generation, open))
            }
            Err(error) => {
                let answer = self.source.store_error(&error, self.answer_within);
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
