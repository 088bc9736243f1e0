//! How a person or a supervisor asks the process to end, or to read its files again.

use anyhow::Context as _;
use nemeses_runtime::Reload;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Whether the process was asked to end. Listens from the beginning of a command
/// to the end of the process, so that no signal falls between two waits.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    end: CancellationToken,
    reload: Reload,
}

impl Asked {
    /// Listens for Ctrl-C and SIGTERM, of which a second one ends the process at once, and
    /// for SIGHUP, which never does: tools that renew certificates or rotate logs send it.
    ///
    /// # Errors
    /// The system lets nobody listen.
    #[expect(clippy::disallowed_methods, reason = "wait for signals until the runtime ends")]
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listener = |kind| signal(kind).context("signals cannot be listened to");
        let mut interrupt = listener(SignalKind::interrupt())?;
        let mut terminate = listener(SignalKind::terminate())?;
        let mut hangup = listener(SignalKind::hangup())?;
        let asked = Self { end: CancellationToken::new(), reload: Reload::default() };
        let (token, reload) = (asked.end.clone(), asked.reload.clone());
        // Neither is one of the tracked tasks: they must outlive them all.
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                tracing::info!("SIGHUP: certificates are read again; nothing else changes");
                reload.ask();
            }
        });
        tokio::spawn(async move {
            let name = next(&mut interrupt, &mut terminate).await;
            // First of all, whatever happens to the line in the log.
            token.cancel();
            tracing::info!(
                signal = name,
                "stopping: what is in flight is committed first; once more ends at once"
            );
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
        self.end.cancelled().await;
    }

    /// Cancelled when the process was asked to end.
    pub(crate) fn token(&self) -> CancellationToken {
        self.end.clone()
    }

    /// Waits for `work`; `None` when a person did not want to wait any longer.
    pub(crate) async fn unless_asked<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.end.run_until_cancelled(work).await
    }

    /// Tells who has files that others change when to read them again.
    pub(crate) fn reload(&self) -> Reload {
        self.reload.clone()
    }
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "interrupt",
        _ = terminate.recv() => "terminate",
    }
}
