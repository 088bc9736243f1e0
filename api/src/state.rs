//! What every request can reach.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use nemeses_runtime::http::Closed;
use nemeses_runtime::{Clock, Registry};
use nemeses_store::StoreError;
use nemeses_store::history::{
    Books, Commands, Daily, Database, DeadLetters, Devices, Groups, Health, Logins, Positions,
    Retention, ScopedTokens, Sessions, Users,
};
use nemeses_store::live::LiveStore;

use crate::access::Principal;
use crate::auth::{Familiar, KnownAccess, Passwords, Tokens};
use crate::commands::{CommandSink, Counts};
use crate::config::ApiConfig;
use crate::fleet::{Gathered, LatePasts, Roster};
use crate::guard::{Attempts, Strangers};
use crate::letters::SecondChance;
use crate::metrics::Requests;
use crate::problem::Problem;
use crate::routes::Writable;
use crate::secret::TokenSecrets;
use crate::stream::{Hub, Tickets};
use crate::turns::{Reader, Turns};
use crate::upstream::Upstream;

/// What the API reads and, for accounts, writes.
#[derive(Clone)]
pub struct Stores {
    /// The newest state of each device.
    pub live: Arc<dyn LiveStore>,
    /// Every frame.
    pub history: Arc<dyn Positions>,
    /// Whether the history can be read and written.
    pub health: Arc<dyn Health>,
    /// The accounts.
    pub users: Arc<dyn Users>,
    /// The books.
    pub books: Arc<dyn Books>,
    /// The devices' profiles.
    pub devices: Arc<dyn Devices>,
    /// The groups of devices.
    pub groups: Arc<dyn Groups>,
    /// Who is signed in.
    pub sessions: Arc<dyn Sessions>,
    /// What people have handed out.
    pub tokens: Arc<dyn ScopedTokens>,
    /// The sums of days.
    pub daily: Arc<dyn Daily>,
    /// Bytes that did not become rows.
    pub letters: Arc<dyn DeadLetters>,
    /// What decodes them again; without it they are only shown.
    pub second_chance: Option<Arc<dyn SecondChance>>,
    /// What passes commands on to devices.
    pub commands: Option<Arc<dyn CommandSink>>,
    /// Where they are kept.
    pub kept_commands: Arc<dyn Commands>,
    /// Who may connect to the MQTT listener.
    pub logins: Arc<dyn Logins>,
    /// What the history takes on disk.
    pub retention: Arc<dyn Retention>,
    /// Whether frames cannot be committed, where this process commits them.
    pub commits_fail: Option<CommitsFail>,
}

/// Asks whether frames cannot be committed at the moment.
pub type CommitsFail = Arc<dyn Fn() -> bool + Send + Sync>;

impl Stores {
    /// A live store and the handles of one database.
    pub fn new(live: Arc<dyn LiveStore>, database: &Database) -> Self {
        Self {
            live,
            history: database.history(),
            health: database.history(),
            users: database.users(),
            books: database.books(),
            devices: database.devices(),
            groups: database.groups(),
            sessions: database.sessions(),
            tokens: database.tokens(),
            daily: database.daily(),
            letters: database.dead_letters(),
            second_chance: None,
            commands: None,
            kept_commands: database.commands(),
            logins: database.logins(),
            retention: database.retention(),
            commits_fail: None,
        }
    }

    /// The same with what decodes dead letters again.
    #[must_use]
    pub fn with_second_chance(self, second_chance: Arc<dyn SecondChance>) -> Self {
        Self { second_chance: Some(second_chance), ..self }
    }

    /// The same with what knows whether frames cannot be committed.
    #[must_use]
    pub fn with_commits_fail(self, commits_fail: CommitsFail) -> Self {
        Self { commits_fail: Some(commits_fail), ..self }
    }

    /// The same with what passes commands on.
    #[must_use]
    pub fn with_commands(self, commands: Arc<dyn CommandSink>) -> Self {
        Self { commands: Some(commands), ..self }
    }
}

/// The state shared by all requests. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub(crate) stores: Stores,
    pub(crate) clock: Clock,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) known_access: Arc<KnownAccess>,
    pub(crate) attempts: Arc<Attempts>,
    pub(crate) familiar: Arc<Familiar>,
    pub(crate) strangers: Arc<Strangers>,
    pub(crate) connections_closed: Closed,
    pub(crate) config: Arc<ApiConfig>,
    pub(crate) live: Arc<Upstream>,
    pub(crate) history: Arc<Upstream>,
    pub(crate) requests: Requests,
    pub(crate) commands: Counts,
    pub(crate) turns: Arc<Turns>,
    /// Whose turns the reads of reports take.
    pub(crate) reader: Reader,
    pub(crate) tickets: Arc<Tickets>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) late: Arc<LatePasts>,
    pub(crate) gathered: Gathered,
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
        let hub = Hub::new(stores.live.ttl_ms(), clock.clone(), config.max_streams.get())?;
        Ok(Self {
            stores,
            clock,
            turns: Turns::new(config.reads_at_once),
            reader: None,
            tickets: Arc::new(Tickets::new(&secrets.current)),
            hub: Arc::new(hub),
            roster: Arc::default(),
            late: Arc::default(),
            gathered: Gathered::default(),
            writable: Arc::default(),
            tokens: Arc::new(Tokens::new(secrets)),
            known_access: Arc::default(),
            attempts: Arc::default(),
            familiar: Arc::new(Familiar::new(&secrets.current)),
            strangers: Arc::default(),
            connections_closed: Closed::default(),
            passwords: Arc::new(Passwords::new(config.hashing_at_once)?),
            live: Arc::new(Upstream::live(config.store_timeout)),
            history: Arc::new(Upstream::history(config.store_timeout)),
            requests: Requests::new(),
            commands: Counts::default(),
            config: Arc::new(config),
        })
    }

    /// Adds what the API counts to a registry.
    pub fn register(&self, registry: &mut Registry) {
        self.requests.register(registry);
        self.commands.register(registry);
        self.hub.counts.register(registry);
        registry.register(
            "nemeses_api_connections_closed",
            "Connections closed to make room for others, by reason",
            self.connections_closed.counter(),
        );
    }

    /// Waits for a turn to read rows of a report, then asks the history.
    pub(crate) async fn ask_in_turn<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Problem> {
        let _turn = self.turns.take(self.reader).await;
        self.history.ask(call).await
    }

    /// How long an entry of the live store lives.
    pub(crate) fn live_ttl_ms(&self) -> u64 {
        u64::try_from(self.config.live_ttl.as_millis()).unwrap_or(u64::MAX)
    }

    /// The tokens, for whoever issues one outside of a login.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }
}

/// The state for a report, whose reads take turns among those of its reader.
pub(crate) struct ForReports(pub(crate) ApiState);

impl FromRequestParts<ApiState> for ForReports {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let principal = Principal::from_request_parts(parts, state).await?;
        Ok(Self(ApiState { reader: principal.credential(), ..state.clone() }))
    }
}
