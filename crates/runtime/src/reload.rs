//! "Read your files again": what SIGHUP asks of a process, told to whoever has files
//! that others change (certificates).

use tokio::sync::watch;

/// Passes it on. Clones share.
#[derive(Clone, Debug)]
pub struct Reload(watch::Sender<()>);

impl Default for Reload {
    fn default() -> Self {
        Self(watch::Sender::new(()))
    }
}

impl Reload {
    /// Asks everybody who waits. Several at once may be seen as one.
    pub fn ask(&self) {
        self.0.send_replace(());
    }

    /// What is asked from now on.
    pub fn asked(&self) -> ReloadAsked {
        ReloadAsked(self.0.subscribe())
    }
}

/// Waits to be asked.
#[derive(Debug)]
pub struct ReloadAsked(watch::Receiver<()>);

impl ReloadAsked {
    /// Returns when it was asked; never again once nobody can ask any more.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_is_asked_and_what_came_before_is_not_heard() {
        let reload = Reload::default();
        reload.ask();
        let (mut first, mut second) = (reload.asked(), reload.asked());
        assert!(is_quiet(&mut first).await);
        reload.ask();
        reload.ask();
        first.next().await;
        second.next().await;
        assert!(is_quiet(&mut first).await, "two that came together are one");
    }

    /// Whether nothing was asked.
    async fn is_quiet(asked: &mut ReloadAsked) -> bool {
        tokio::select! {
            biased;
            () = asked.next() => false,
            () = std::future::ready(()) => true,
        }
    }
}
