//! Two instances of the API over one real database, with an account of each role.

use std::sync::Arc;

use nemeses_api::{ApiConfig, NewAccount, Stores};
use nemeses_runtime::Clock;
use nemeses_store::history::{Database, Options, Role, open};
use nemeses_store::live::MemoryLive;
use serde_json::{Value, json};

use crate::commands::FakeCommands;
use crate::harness::{NOW_MS, Served};

pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// As long as rights are remembered.
pub(crate) const REMEMBERED_MS: u64 = 2_000;

/// Two instances over one database, and an account of each role.
pub(crate) struct Site {
    pub(crate) one: Served,
    pub(crate) two: Served,
    pub(crate) database: Database,
    pub(crate) live: Arc<MemoryLive>,
    pub(crate) clock: Clock,
    pub(crate) commands: Arc<FakeCommands>,
    _dir: tempfile::TempDir,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with(ApiConfig::default()).await
    }

    pub(crate) async fn start_with(config: ApiConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("history.db").display());
        let database = open(&url, Options::default()).await.unwrap();
        database.history().migrate().await.unwrap();
        let clock = Clock::held(NOW_MS);
        let live = Arc::new(MemoryLive::new(300_000, clock.clone()));
        let commands = Arc::new(FakeCommands::default());
        let stores = Stores::new(live.clone(), &database).with_commands(commands.clone());
        let serve = || Served::start(stores.clone(), clock.clone(), config.clone());
        let (one, two) = (serve().await, serve().await);
        for role in Role::ALL {
            let email = format!("{}@b.c", role.name());
            let account = NewAccount::new(&email, PASSWORD.into(), role.name()).unwrap();
            one.state.add_account(account, role).await.unwrap();
        }
        Self { one, two, database, live, clock, commands, _dir: dir }
    }

    pub(crate) async fn login(&self, name: &str) -> Value {
        let body = json!({"email": format!("{name}@b.c"), "password": PASSWORD});
        self.one.post("/login", &body).await.ok()
    }

    pub(crate) async fn token(&self, name: &str) -> String {
        text(&self.login(name).await, "token")
    }

    pub(crate) fn later(&self, ms: u64) {
        self.clock.set(self.clock.now_ms() + ms);
    }
}

pub(crate) fn text(answer: &Value, field: &str) -> String {
    answer[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer}")).to_owned()
}
