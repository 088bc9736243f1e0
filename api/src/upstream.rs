//! A store behind a deadline: what it says on failure is logged once an outage
//! and turned into a clear problem for the client.

use std::future::Future;
use std::time::Duration;

use nemeses_runtime::Outage;
use nemeses_store::StoreError;

use crate::problem::{Kind, Problem};

/// One of the stores, as the API sees it.
#[derive(Debug)]
pub(crate) struct Upstream {
    name: &'static str,
    kind: Kind,
    timeout: Duration,
    outage: Outage,
}

impl Upstream {
    pub(crate) const fn live(timeout: Duration) -> Self {
        Self { name: "live store", kind: Kind::LiveUnavailable, timeout, outage: Outage::new() }
    }

    pub(crate) const fn history(timeout: Duration) -> Self {
        let kind = Kind::HistoryUnavailable;
        Self { name: "history store", kind, timeout, outage: Outage::new() }
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Waits for the store, not longer than its deadline.
    pub(crate) async fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Problem> {
        self.ask_knowing(call).await?.map_err(|error| self.failed(&error))
    }

    /// The same, but leaves to the caller what is the request's fault: something
    /// exists, is missing, or is full.
    pub(crate) async fn ask_knowing<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<Result<T, StoreError>, Problem> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(
                answer @ (Ok(_)
                | Err(StoreError::Exists(_) | StoreError::Missing(_) | StoreError::Full(_))),
            ) => {
                if let Some(down) = self.outage.ends() {
                    tracing::info!(store = self.name, ?down, "the API reaches the store again");
                }
                Ok(answer)
            }
            Ok(Err(error)) => Err(self.failed(&error)),
            Err(_) => Err(self.unreachable(&format!("no answer within {:?}", self.timeout))),
        }
    }

    pub(crate) fn failed(&self, error: &StoreError) -> Problem {
        if error.is_transient() {
            return self.unreachable(&error.to_string());
        }
        tracing::error!(store = self.name, %error, "the store failed for a reason that repeating cannot mend");
        Problem::new(Kind::Internal, "The server could not do this; its log says why.")
    }

    fn unreachable(&self, cause: &str) -> Problem {
        if self.outage.begins() {
            tracing::warn!(store = self.name, cause, "the API cannot reach the store");
        }
        let detail = format!("The {} does not answer at the moment. Try again soon.", self.name);
        Problem::new(self.kind, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_store_said_stays_inside() {
        let live = Upstream::live(Duration::from_secs(5));
        let cause = StoreError::Unavailable { store: "Redis", detail: "10.0.0.7 refused".into() };
        let problem = live.ask::<()>(async { Err(cause) }).await.unwrap_err();
        assert_eq!(problem.kind(), Kind::LiveUnavailable);
        assert!(!format!("{problem:?}").contains("10.0.0.7"));
        let cause = StoreError::Refused { store: "MySQL", detail: "table t1".into() };
        let problem = live.ask::<()>(async { Err(cause) }).await.unwrap_err();
        assert_eq!(problem.kind(), Kind::Internal);
        assert!(!format!("{problem:?}").contains("t1"));
    }

    #[tokio::test]
    async fn a_silent_store_is_unreachable_and_comes_back() {
        let history = Upstream::history(Duration::from_millis(5));
        let problem = history.ask::<()>(std::future::pending()).await.unwrap_err();
        assert_eq!(problem.kind(), Kind::HistoryUnavailable);
        assert!(history.outage.is_down());
        assert_eq!(history.ask(async { Ok(7) }).await.unwrap(), 7);
        assert!(!history.outage.is_down());
    }
}
