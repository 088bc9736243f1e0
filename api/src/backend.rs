//! The stores as a request asks them: each within its deadline, and reports in turns.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use nemeses_protocol::{DeviceId, DeviceNames, Identity};
use nemeses_runtime::Clock;
use nemeses_store::StoreError;

use crate::config::ApiConfig;
use crate::input::{self, Params};
use crate::problem::{Kind, Problem, fault};
use crate::stores::Stores;
use crate::turns::{Reader, Turns};
use crate::upstream::Upstream;

/// The stores, and what bounds the questions to them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) stores: Arc<Stores>,
    pub(crate) clock: Clock,
    /// Which device has which name: how ids are read and written.
    pub(crate) names: DeviceNames,
    pub(crate) live: Arc<Upstream>,
    pub(crate) history: Arc<Upstream>,
    pub(crate) turns: Arc<Turns>,
    /// Whose turns the reads of reports take.
    pub(crate) reader: Reader,
    live_ttl_ms: u64,
}

impl Backend {
    pub(crate) fn new(stores: Stores, clock: Clock, config: &ApiConfig) -> Self {
        Self {
            names: stores.named.names(),
            stores: Arc::new(stores),
            clock,
            live: Arc::new(Upstream::live(config.store_timeout)),
            history: Arc::new(Upstream::history(config.store_timeout)),
            turns: Turns::new(config.reads_at_once),
            reader: None,
            live_ttl_ms: u64::try_from(config.live_ttl.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// How a device is written in answers: by its name if it has one.
    pub(crate) fn written(&self, device: DeviceId) -> String {
        self.names.identity(device).to_string()
    }

    /// A device that a request names in its path.
    pub(crate) fn device(&self, name: &'static str, text: &str) -> Result<DeviceId, Problem> {
        input::device(&self.names, name, text)
    }

    /// The same for a request that makes a device known: a name gets a number.
    pub(crate) async fn device_to_be(
        &self,
        name: &'static str,
        text: &str,
    ) -> Result<DeviceId, Problem> {
        let identity = input::identity(name, text)?;
        if let Some(device) = self.names.number(&identity) {
            return Ok(device);
        }
        let (wanted, now_ms) = ([identity], self.clock.now_ms());
        let given = self.history.ask(self.stores.identities.give_numbers(&wanted, now_ms)).await?;
        given.first().copied().ok_or_else(|| fault(&"a name got no number"))
    }

    /// Looks up the names in a request that this process does not know yet: another one may
    /// just have given them numbers.
    pub(crate) async fn learn_names(&self, uri: &Uri) -> Result<(), Problem> {
        let params = Params::of(uri)?;
        let listed = params.texts().flat_map(|text| text.split(','));
        let encoded = uri.path().split('/').chain(listed).map(Identity::from_segment);
        let named: Vec<_> = encoded.chain(params.texts().map(str::parse)).flatten().collect();
        self.learn(&named).await
    }

    /// The same for device ids that were read from elsewhere.
    pub(crate) async fn learn(&self, identities: &[Identity]) -> Result<(), Problem> {
        if identities.iter().all(|identity| self.names.number(identity).is_some()) {
            return Ok(());
        }
        self.history.ask(self.stores.named.refresh(self.stores.identities.as_ref())).await
    }

    /// Waits for a turn to read rows of a report, then asks the history.
    pub(crate) async fn ask_in_turn<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Problem> {
        let _turn = self.turns.take(self.reader).await;
        self.history.ask(call).await
    }

    /// Whether requests can be served: both stores can be read, and frames committed
    /// where this process does that.
    ///
    /// # Errors
    /// What fails.
    pub(crate) async fn ready(&self) -> Result<(), Problem> {
        let (live, history) = tokio::join!(
            self.live.ask(self.stores.live.ping()),
            self.history.ask(self.stores.health.check_reads()),
        );
        live?;
        history.map_err(unreadable)?;
        if self.stores.commits_fail.as_ref().is_some_and(|fail| fail()) {
            let detail = "Frames cannot be committed at the moment; the server's log says why.";
            return Err(Problem::new(Kind::HistoryUnavailable, detail));
        }
        Ok(())
    }

    /// A store that has not answered after this counts as unreachable.
    pub(crate) fn store_timeout(&self) -> Duration {
        self.history.timeout()
    }

    /// How long an entry of the live store lives.
    pub(crate) const fn live_ttl_ms(&self) -> u64 {
        self.live_ttl_ms
    }
}

/// Tables that are missing make no request's fault, but nothing can be served.
fn unreadable(problem: Problem) -> Problem {
    if problem.kind() != Kind::Internal {
        return problem;
    }
    let detail = "The history cannot be read: its tables are missing, not those of this version, or closed to this login. Run nemeses doctor; the log says more.";
    Problem::new(Kind::HistoryUnavailable, detail)
}
