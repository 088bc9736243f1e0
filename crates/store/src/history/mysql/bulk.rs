//! A channel for commits that brings the rows by MariaDB's COM_STMT_BULK_EXECUTE, and
//! everything else of the commit behind them in the same write. sqlx speaks neither, so
//! this is a small client of its own for this one purpose, beside sqlx, which does all
//! else, and this too where the server, the account or the URL do not fit
//! (docs/decisions/0025-rows-in-bulk.md).

mod link;
mod packets;
mod rows;
mod target;

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nemeses_protocol::PositionRecord;
use tokio::sync::Semaphore;

use self::link::{Link, Trouble};
use self::packets::ServerError;
use self::rows::MAX_ROWS;
use self::target::Target;
use super::{FRESH, IDLE, WRITERS, tls};
use crate::history::Options;
use crate::history::engine::{Fault, Kind, ReadingsRow, mysql_kind};

/// Fewer rows are text in one request with the rest.
const MIN_ROWS: usize = 16;
/// Bytes of packed values at most, so that the packet is no larger than one of positions.
const MAX_PACKED: usize = 512 * 1024;
/// Bytes of the script at most: half of the smallest packet that servers in use take.
const MAX_SCRIPT: usize = 512 * 1024;

/// At most [`WRITERS`] connections.
pub(super) struct Channel {
    target: Target,
    /// For messages.
    endpoint: String,
    /// One permit a connection.
    lanes: Semaphore,
    /// Connections between two commits; the last one used is the next.
    idle: Mutex<Vec<Link>>,
    /// Why this process does not use the channel, once it is known.
    unfit: OnceLock<&'static str>,
    connect_within: Duration,
    answer_within: Duration,
}

impl Channel {
    /// A channel to the server of this URL; `None` where the URL rules it out.
    pub(super) fn of(url: &str, endpoint: &str, options: &Options) -> Option<Self> {
        Some(Self {
            target: Target::of(url, &url.parse().ok()?)?,
            endpoint: endpoint.to_owned(),
            lanes: Semaphore::new(WRITERS as usize),
            idle: Mutex::default(),
            unfit: OnceLock::new(),
            connect_within: options.acquire_timeout,
            answer_within: options.statement_timeout,
        })
    }

    /// Commits rows of positions and of readings, and a script behind them. Says `false`
    /// when that is not for the channel and nothing was kept. After an error nothing was
    /// kept either, unless it is [`Kind::Unavailable`], which says nothing about that.
    pub(super) async fn commit(
        &self,
        rows: &[&PositionRecord],
        readings: &[&ReadingsRow],
        script: &str,
    ) -> Result<bool, Fault> {
        let packed: usize = readings.iter().map(|row| row.packed.len()).sum();
        let fits = rows.len() + readings.len() >= MIN_ROWS
            && rows.len().max(readings.len()) <= MAX_ROWS
            && packed <= MAX_PACKED
            && script.len() <= MAX_SCRIPT;
        if !fits || self.unfit.get().is_some() {
            return Ok(false);
        }
        let _lane = tokio::time::timeout(self.connect_within, self.lanes.acquire())
            .await
            .map_err(|_| self.down("all connections for frames are in use"))?;
        // Taken out of `idle`: dropped at any point from here on, it is closed.
        let mut link = match self.link().await {
            Ok(link) => link,
            Err(trouble) => return self.judge(trouble),
        };
        match self.within(self.answer_within, link.commit(rows, readings, script)).await {
            Ok(()) => {
                self.keep(link);
                Ok(true)
            }
            Err(trouble) => {
                let judged = self.judge(trouble);
                // A server that became a replica would answer ROLLBACK, and go on refusing.
                let may_stay = judged.as_ref().is_err_and(|fault| fault.kind != Kind::Unavailable);
                if may_stay && self.within(self.answer_within, link.roll_back()).await.is_ok() {
                    self.keep(link);
                }
                judged
            }
        }
    }

    /// A connection that is there, as far as one can know, or a new one.
    async fn link(&self) -> Result<Link, Trouble> {
        while let Some(mut link) = self.take() {
            let idle_for = link.idle_for();
            if idle_for <= FRESH {
                return Ok(link);
            }
            if idle_for < IDLE && self.within(self.connect_within, link.ping()).await.is_ok() {
                return Ok(link);
            }
        }
        self.within(self.connect_within, Link::open(&self.target)).await
    }

    fn take(&self) -> Option<Link> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, link: Link) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(link);
    }

    async fn within<T>(
        &self,
        time: Duration,
        answer: impl Future<Output = Result<T, Trouble>> + Send,
    ) -> Result<T, Trouble> {
        tokio::time::timeout(time, answer)
            .await
            .unwrap_or_else(|_| Err(Trouble::Broken(format!("no answer within {time:?}"))))
    }

    /// Sorts what went wrong as sqlx's errors are sorted; what does not fit is told once and
    /// left to sqlx from then on.
    fn judge(&self, trouble: Trouble) -> Result<bool, Fault> {
        match trouble {
            Trouble::Unfit(reason) => {
                if self.unfit.set(reason).is_ok() {
                    tracing::info!(database = self.endpoint, reason, "rows do not go in bulk");
                }
                Ok(false)
            }
            Trouble::Server(ServerError { number, sqlstate, message }) => Err(Fault::new(
                mysql_kind(number, &sqlstate),
                format!("{}: {number} ({sqlstate}): {message}", self.endpoint),
            )),
            Trouble::Broken(detail) => {
                let advice = tls::advice(&detail, self.target.protection.mode).unwrap_or_default();
                Err(self.down(&format!("{detail}{advice}")))
            }
        }
    }

    fn down(&self, detail: &str) -> Fault {
        Fault::new(Kind::Unavailable, format!("{}: {detail}", self.endpoint))
    }
}

#[cfg(test)]
mod tests;
