//! What every request can reach. A route takes the part that it needs.

use std::sync::Arc;

use axum::extract::FromRef;
use nemeses_protocol::DeviceNames;
use nemeses_runtime::http::Closed;
use nemeses_runtime::{Clock, Registry};
use nemeses_store::history::{Added, Role};

use crate::accounts::NewAccount;
use crate::auth::{AuthState, Tokens};
use crate::backend::Backend;
use crate::commands::Counts;
use crate::config::ApiConfig;
use crate::fleet::FleetState;
use crate::guard::Strangers;
use crate::metrics::Requests;
use crate::problem::Problem;
use crate::secret::TokenSecrets;
use crate::stores::Stores;
use crate::stream::{Hub, StreamState};
use crate::writable::Writable;

/// The state shared by all requests. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub(crate) backend: Backend,
    pub(crate) auth: AuthState,
    pub(crate) fleet: FleetState,
    pub(crate) streams: StreamState,
    pub(crate) strangers: Arc<Strangers>,
    pub(crate) connections_closed: Closed,
    pub(crate) config: Arc<ApiConfig>,
    pub(crate) requests: Requests,
    pub(crate) commands: Counts,
    pub(crate) writable: Arc<Writable>,
}

impl ApiState {
    /// Puts the parts together.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(
        stores: Stores,
        secrets: &TokenSecrets,
        clock: Clock,
        config: ApiConfig,
    ) -> anyhow::Result<Self> {
        let (ttl_ms, names) = (stores.live.ttl_ms(), stores.named.names());
        let hub = Hub::new(ttl_ms, clock.clone(), names, config.max_streams.get())?;
        let (hub, config) = (Arc::new(hub), Arc::new(config));
        let backend = Backend::new(stores, clock, &config);
        let auth = AuthState::new(backend.clone(), secrets, Arc::clone(&config))?;
        Ok(Self {
            fleet: FleetState::new(backend.clone(), Arc::clone(&hub)),
            streams: StreamState::new(auth.clone(), hub, &secrets.current),
            auth,
            backend,
            strangers: Arc::default(),
            connections_closed: Closed::default(),
            config,
            requests: Requests::new(),
            commands: Counts::default(),
            writable: Arc::default(),
        })
    }

    /// Adds what the API counts to a registry.
    pub fn register(&self, registry: &mut Registry) {
        self.requests.register(registry);
        self.commands.register(registry);
        self.streams.hub.counts.register(registry);
        registry.register(
            "nemeses_api_connections_closed",
            "Connections closed to make room for others, by reason",
            self.connections_closed.counter(),
        );
    }

    /// The tokens, for whoever issues one outside of a login.
    pub fn tokens(&self) -> &Tokens {
        &self.auth.tokens
    }

    /// Makes the account with a role.
    ///
    /// # Errors
    /// The address is taken, the history is unavailable, or too many hash passwords.
    pub async fn add_account(&self, account: NewAccount, role: Role) -> Result<Added, Problem> {
        self.auth.add_account(account, role).await
    }

    /// Whether requests can be served: both stores can be read, and frames committed
    /// where this process does that.
    ///
    /// # Errors
    /// What fails.
    pub async fn ready(&self) -> Result<(), Problem> {
        self.backend.ready().await
    }
}

impl FromRef<ApiState> for Backend {
    fn from_ref(state: &ApiState) -> Self {
        state.backend.clone()
    }
}

impl FromRef<ApiState> for AuthState {
    fn from_ref(state: &ApiState) -> Self {
        state.auth.clone()
    }
}

impl FromRef<ApiState> for FleetState {
    fn from_ref(state: &ApiState) -> Self {
        state.fleet.clone()
    }
}

impl FromRef<ApiState> for StreamState {
    fn from_ref(state: &ApiState) -> Self {
        state.streams.clone()
    }
}

impl FromRef<ApiState> for Arc<ApiConfig> {
    fn from_ref(state: &ApiState) -> Self {
        Arc::clone(&state.config)
    }
}

impl FromRef<ApiState> for DeviceNames {
    fn from_ref(state: &ApiState) -> Self {
        state.backend.names.clone()
    }
}

impl FromRef<ApiState> for Counts {
    fn from_ref(state: &ApiState) -> Self {
        state.commands.clone()
    }
}
