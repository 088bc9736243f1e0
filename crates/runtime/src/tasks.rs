//! Tracked tasks: whoever spawns is waited for, and a task that dies ends the
//! process visibly.
//!
//! Shutdown has two stages. [`Stop::intake`] asks for no more input;
//! what is held is drained. [`Stop::all`] follows when the drain is over or its
//! deadline has passed, and asks everything to end.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The two signals a task listens to.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Take nothing new.
    pub intake: CancellationToken,
    /// End now.
    pub all: CancellationToken,
}

/// All tasks of a process. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    stop: Stop,
    intake: TaskTracker,
    rest: TaskTracker,
    failure: Arc<Mutex<Option<anyhow::Error>>>,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The signals to hand to tasks.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Spawns a task that takes input. It must end by itself soon after
    /// `stop.intake`, having drained what it holds.
    pub fn spawn_intake<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.spawn(&self.intake, name, task, |stop| &stop.intake);
    }

    /// Spawns a task that must outlive the intake (the committer, the live
    /// writer, the API). It must end soon after `stop.all`.
    pub fn spawn_rest<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.spawn(&self.rest, name, task, |stop| &stop.all);
    }

    fn spawn<F>(
        &self,
        tracker: &TaskTracker,
        name: &'static str,
        task: F,
        until: fn(&Stop) -> &CancellationToken,
    ) where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (stop, failure) = (self.stop.clone(), Arc::clone(&self.failure));
        #[expect(clippy::disallowed_methods, reason = "this is what keeps tasks")]
        let handle = tokio::spawn(task);
        tracker.spawn(async move {
            let error = match handle.await {
                Ok(Ok(())) if until(&stop).is_cancelled() => return,
                Ok(Ok(())) => anyhow::anyhow!("{name} ended although nobody asked it to"),
                Ok(Err(error)) => error.context(format!("{name} failed")),
                Err(join) => anyhow::anyhow!("{name} panicked: {join}"),
            };
            if let Ok(mut first) = failure.lock() {
                first.get_or_insert(error);
            }
            stop.intake.cancel();
        });
    }

    /// Waits for `until` (a signal) or the first failure, then stops in two
    /// stages: intake tasks drain for at most `drain`, the rest for at most
    /// `drain` more.
    ///
    /// # Errors
    /// The first task that failed, or which stage did not end in time.
    pub async fn run_until(
        &self,
        until: impl Future<Output = ()>,
        drain: Duration,
    ) -> anyhow::Result<()> {
        tokio::select! {
            () = until => {}
            () = self.stop.intake.cancelled() => {}
        }
        self.stop.intake.cancel();
        self.intake.close();
        let drained = tokio::time::timeout(drain, self.intake.wait()).await.is_ok();
        self.stop.all.cancel();
        self.rest.close();
        let ended = tokio::time::timeout(drain, self.rest.wait()).await.is_ok();
        if let Some(error) = self.failure.lock().ok().and_then(|mut first| first.take()) {
            return Err(error);
        }
        anyhow::ensure!(
            drained,
            "what was in flight could not be drained within {drain:?}; unacknowledged frames will be sent again"
        );
        anyhow::ensure!(ended, "a task did not end within {drain:?}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAIN: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn intake_ends_before_the_rest_is_asked_to() {
        let tasks = Tasks::new();
        let stop = tasks.stop();
        let order = Arc::new(Mutex::new(Vec::new()));
        let (first, second) = (Arc::clone(&order), Arc::clone(&order));
        let (intake, all) = (stop.intake.clone(), stop.all.clone());
        tasks.spawn_intake("intake", async move {
            intake.cancelled().await;
            first.lock().unwrap().push("intake");
            Ok(())
        });
        tasks.spawn_rest("rest", async move {
            all.cancelled().await;
            second.lock().unwrap().push("rest");
            Ok(())
        });
        tasks.run_until(async {}, DRAIN).await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["intake", "rest"]);
    }

    #[tokio::test]
    async fn a_dead_task_ends_the_process_with_its_error() {
        let tasks = Tasks::new();
        tasks.spawn_rest("exporter", async { anyhow::bail!("disk on fire") });
        let error = tasks.run_until(std::future::pending(), DRAIN).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "exporter failed: disk on fire");
    }

    #[tokio::test]
    async fn a_task_that_ends_unasked_is_a_failure() {
        let tasks = Tasks::new();
        tasks.spawn_intake("parser", async { Ok(()) });
        let error = tasks.run_until(std::future::pending(), DRAIN).await.unwrap_err();
        assert!(error.to_string().contains("parser ended"), "{error}");
    }
}
