//! Runs a transaction: begins, works, commits, and begins again when it lost
//! against another one.

use std::time::Duration;

use async_trait::async_trait;
use nemeses_runtime::Backoff;

use super::Engine;
use super::fault::{Fault, Kind};
use super::seam::{Product, Session, fixed};
use super::value::Value;

/// How often a transaction is tried that lost against another. Each loss is another's gain,
/// so that trying on comes to an end.
const MAX_ATTEMPTS: u32 = 16;
/// The first and the longest wait before the next try. Drawn at random: two that waited
/// equally long would meet again.
const WAIT: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(64));

/// What a transaction does. May run several times; only one run is committed.
#[async_trait]
pub(in crate::history) trait Work<P: Product>: Sync {
    type Output: Send;
    /// Whether this is the line's own work, which has connections of its own.
    const IS_COMMIT: bool = false;
    /// Whether it reads or writes positions, books or duplicates, so that nothing of them
    /// may wait in a journal.
    const NEEDS_SETTLED: bool = false;

    async fn run(&self, session: &mut P::Session) -> Result<Self::Output, Fault>;
}

/// Runs one statement and tells how many rows it changed.
pub(in crate::history) struct Execute<'a> {
    pub(in crate::history) text: &'static str,
    pub(in crate::history) values: &'a [Value<'a>],
}

#[async_trait]
impl<P: Product> Work<P> for Execute<'_> {
    type Output = u64;

    async fn run(&self, session: &mut P::Session) -> Result<u64, Fault> {
        session.execute(fixed(self.text), self.values).await
    }
}

impl<P: Product> Engine<P> {
    /// Runs the work in a transaction of its own.
    pub(in crate::history) async fn transact<W: Work<P>>(
        &self,
        work: W,
    ) -> Result<W::Output, Fault> {
        let mut backoff = Backoff::new(WAIT.0, WAIT.1);
        for _ in 1..MAX_ATTEMPTS {
            match self.once(&work).await {
                Err(fault) if fault.kind == Kind::Conflict => {
                    tokio::time::sleep(backoff.wait()).await;
                }
                other => return other,
            }
        }
        self.once(&work).await
    }

    async fn once<W: Work<P>>(&self, work: &W) -> Result<W::Output, Fault> {
        let begun = if W::IS_COMMIT {
            self.product.begin().await
        } else if W::NEEDS_SETTLED {
            self.product.begin_settled().await
        } else {
            self.product.begin_apart().await
        };
        let mut session = begun?;
        match work.run(&mut session).await {
            Ok(value) => {
                session.commit().await?;
                Ok(value)
            }
            // Dropped, the session closes its connection. A server that did not
            // answer in time would not answer ROLLBACK either; and one that became
            // a replica would answer it, keep the connection in use and refuse
            // every write to come, while another leads to the new primary.
            Err(fault) if fault.kind == Kind::Unavailable => Err(fault),
            Err(fault) => {
                // What went wrong first is what counts; a session that cannot be
                // rolled back closes its connection.
                let _ = session.rollback().await;
                Err(fault)
            }
        }
    }
}
