//! An identity store that tests hold, break and count.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use nemeses_protocol::DeviceId;
use nemeses_store::StoreError;
use nemeses_store::history::{Login, LoginRole, Logins, PlainSecret, SecretHash};

/// Logins in memory.
pub(super) struct FakeLogins {
    logins: Mutex<BTreeMap<String, Login>>,
    held: AtomicBool,
    down: AtomicBool,
    queries: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl FakeLogins {
    pub(super) fn with<'a>(names: impl IntoIterator<Item = &'a str>) -> Arc<Self> {
        let store = Self {
            logins: Mutex::default(),
            held: AtomicBool::new(false),
            down: AtomicBool::new(false),
            queries: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        };
        for name in names {
            store.draw(name);
        }
        Arc::new(store)
    }

    /// Draws a new secret for a login, which is made if need be.
    pub(super) fn draw(&self, name: &str) -> PlainSecret {
        let secret = PlainSecret::draw().unwrap();
        let login = Login {
            name: name.to_owned(),
            role: name.parse::<DeviceId>().map_or(LoginRole::Gateway, LoginRole::Device),
            enabled: true,
            secret: SecretHash::of(&secret).unwrap(),
            created_at_ms: 0,
            updated_at_ms: 0,
        };
        self.logins.lock().unwrap().insert(name.to_owned(), login);
        secret
    }

    pub(super) fn disable(&self, name: &str) {
        self.logins.lock().unwrap().get_mut(name).unwrap().enabled = false;
    }

    pub(super) fn forget(&self, name: &str) {
        self.logins.lock().unwrap().remove(name).unwrap();
    }

    /// Whether queries stay unanswered.
    pub(super) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::SeqCst);
    }

    pub(super) fn down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    pub(super) fn queries(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }
}

/// What these tests do not use fails.
fn unused<T>() -> Result<T, StoreError> {
    Err(StoreError::Configuration("not in this test".to_owned()))
}

#[async_trait]
impl Logins for FakeLogins {
    async fn find_all(&self, names: &[&str]) -> Result<Vec<Login>, StoreError> {
        self.queries.fetch_add(1, Ordering::SeqCst);
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if self.held.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { store: "test", detail: "down".to_owned() });
        }
        let logins = self.logins.lock().unwrap();
        Ok(names.iter().filter_map(|name| logins.get(*name).cloned()).collect())
    }

    async fn find(&self, _name: &str) -> Result<Option<Login>, StoreError> {
        unused()
    }

    async fn add(&self, _: &str, _: LoginRole, _: u64) -> Result<PlainSecret, StoreError> {
        unused()
    }

    async fn list(&self, _: Option<&str>, _: u32) -> Result<Vec<Login>, StoreError> {
        unused()
    }

    async fn set_enabled(&self, _: &str, _: bool, _: u64) -> Result<bool, StoreError> {
        unused()
    }

    async fn rotate(
        &self,
        _: &str,
        _: Option<LoginRole>,
        _: u64,
    ) -> Result<Option<PlainSecret>, StoreError> {
        unused()
    }

    async fn remove(&self, _: &str) -> Result<bool, StoreError> {
        unused()
    }
}
