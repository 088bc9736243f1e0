//! How a person or a supervisor asks the process to end.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Whether the process was asked to end. Listens from the beginning of a command
/// to the end of the process, so that no signal falls between two waits.
#[derive(Clone, Debug)]
pub(crate) struct Asked(CancellationToken);

impl Asked {
    /// Listens for Ctrl-C and SIGTERM. A second signal ends the process at once.
    ///
    /// # Errors
    /// The system lets nobody listen.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listener = |kind| signal(kind).context("signals cannot be listened to");
        let mut interrupt = listener(SignalKind::interrupt())?;
        let mut terminate = listener(SignalKind::terminate())?;
        let asked = Self(CancellationToken::new());
        let token = asked.0.clone();
        // Not one of the tracked tasks: it must outlive them all.
        tokio::spawn(async move {
            let name = next(&mut interrupt, &mut terminate).await;
            tracing::info!(
                signal = name,
                "stopping: what is in flight is committed first; once more ends at once"
            );
            token.cancel();
            next(&mut interrupt, &mut terminate).await;
            tracing::warn!(
                "ended at once; unacknowledged frames will be sent again by their devices"
            );
            std::process::exit(130);
        });
        Ok(asked)
    }

    /// Resolves when the process was asked to end.
    pub(crate) async fn to_end(&self) {
        self.0.cancelled().await;
    }

    /// Cancelled when the process was asked to end.
    pub(crate) fn token(&self) -> CancellationToken {
        self.0.clone()
    }

    /// Waits for `work`; `None` when a person did not want to wait any longer.
    pub(crate) async fn unless_asked<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.0.run_until_cancelled(work).await
    }
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "interrupt",
        _ = terminate.recv() => "terminate",
    }
}
