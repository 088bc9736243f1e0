//! Stores in memory that can be switched off, or made to fail on the way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use nemeses_protocol::DeviceId;
use nemeses_store::StoreError;
use nemeses_store::history::testing::{FakeHistory, Switch, unavailable};
use nemeses_store::history::{
    Access, Added, Books, BooksLine, Digest, FirstPlace, Found, LookUp, Minutes, NewSession,
    NewToken, NewUser, Role, Rotation, ScopedToken, ScopedTokens, Session, Sessions, TableCounts,
    TokenKind, Totals, User, Users, email_key,
};
use nemeses_store::live::{Alive, LiveEntry, LiveStore};

#[derive(Default)]
pub(crate) struct FakeLive {
    pub(crate) switch: Switch,
    pub(crate) workers: Mutex<Vec<Alive>>,
    entries: Mutex<HashMap<DeviceId, LiveEntry>>,
}

impl FakeLive {
    pub(crate) fn put(&self, entry: LiveEntry) {
        self.entries.lock().unwrap().insert(entry.device, entry);
    }
    pub(crate) fn expire_all(&self) {
        self.entries.lock().unwrap().clear();
    }
}

#[async_trait]
impl LiveStore for FakeLive {
    async fn merge(&self, _: &[LiveEntry], _: u64) -> Result<(), StoreError> {
        Err(unavailable())
    }
    async fn get(&self, devices: &[DeviceId]) -> Result<Vec<Option<LiveEntry>>, StoreError> {
        self.switch.check().await?;
        let entries = self.entries.lock().unwrap();
        Ok(devices.iter().map(|device| entries.get(device).cloned()).collect())
    }
    fn ttl_ms(&self) -> u64 {
        60_000
    }
    async fn workers(&self) -> Result<Vec<Alive>, StoreError> {
        self.switch.check().await?;
        Ok(self.workers.lock().unwrap().clone())
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.switch.check().await
    }
    async fn needs_rebuild(&self) -> Result<bool, StoreError> {
        Ok(false)
    }
    async fn mark_rebuilt(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

pub(crate) struct FakeUsers {
    database: Arc<FakeHistory>,
    users: Mutex<Vec<User>>,
    access: Mutex<HashMap<u64, Access>>,
}

impl FakeUsers {
    pub(crate) fn new(database: Arc<FakeHistory>) -> Self {
        Self { database, users: Mutex::default(), access: Mutex::default() }
    }
    /// What the user of this number may do; there need be no account.
    pub(crate) fn set_access(&self, id: u64, role: Role, devices: &[DeviceId]) {
        let access = Access { role, devices: devices.to_vec(), groups: vec![] };
        self.access.lock().unwrap().insert(id, access);
    }
    pub(crate) fn forget(&self, id: u64) {
        self.access.lock().unwrap().remove(&id);
    }
}

#[async_trait]
impl Users for FakeUsers {
    async fn add(&self, user: NewUser<'_>, now_ms: u64) -> Result<Added, StoreError> {
        self.database.switch.check().await?;
        let email = email_key(user.email);
        let mut users = self.users.lock().unwrap();
        if users.iter().any(|known| known.email == email) {
            return Err(StoreError::Exists(email));
        }
        let id = users.len() as u64 + 1;
        let role = if users.is_empty() && user.first == FirstPlace::TakesAsAdmin {
            Role::Admin
        } else {
            user.role
        };
        self.set_access(id, role, &[]);
        users.push(User {
            id,
            email,
            name: user.name.to_owned(),
            password_hash: user.password_hash.to_owned(),
            role,
            disabled: false,
            created_at_ms: now_ms,
        });
        Ok(Added { id, role })
    }
    async fn add_first(
        &self,
        _: NewUser<'_>,
        _: &Digest,
        _: u64,
        _: u64,
    ) -> Result<Option<Added>, StoreError> {
        Err(unavailable())
    }
    async fn offer_setup(&self, _: &Digest, _: u64) -> Result<bool, StoreError> {
        Err(unavailable())
    }
    async fn set_disabled(&self, _: u64, _: bool) -> Result<bool, StoreError> {
        Err(unavailable())
    }
    async fn by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        self.database.switch.check().await?;
        let email = email_key(email);
        Ok(self.users.lock().unwrap().iter().find(|user| user.email == email).cloned())
    }
    async fn by_id(&self, id: u64) -> Result<Option<User>, StoreError> {
        Ok(self.users.lock().unwrap().iter().find(|user| user.id == id).cloned())
    }
    async fn access(&self, id: u64) -> Result<Option<Access>, StoreError> {
        self.database.switch.check().await?;
        Ok(self.access.lock().unwrap().get(&id).cloned())
    }
    async fn list(&self, _: u64, _: u32) -> Result<Vec<User>, StoreError> {
        Err(unavailable())
    }
    async fn set_role(&self, _: &str, _: Role) -> Result<bool, StoreError> {
        Err(unavailable())
    }
    async fn set_password(&self, _: u64, _: &str) -> Result<bool, StoreError> {
        Err(unavailable())
    }
    async fn grants(&self, _: u64) -> Result<Vec<DeviceId>, StoreError> {
        Err(unavailable())
    }
    async fn grant(&self, _: u64, _: DeviceId, _: u64) -> Result<bool, StoreError> {
        Err(unavailable())
    }
    async fn revoke(&self, _: u64, _: DeviceId) -> Result<bool, StoreError> {
        Err(unavailable())
    }
}

/// Everyone has one session, which has the user's number and goes on for ever. What
/// sessions and tokens do is tested over the real database.
pub(crate) struct FakeSessions;

#[async_trait]
impl Sessions for FakeSessions {
    async fn begin(&self, session: NewSession<'_>, _: u64) -> Result<u64, StoreError> {
        Ok(session.user_id)
    }
    async fn by_family(&self, _: &Digest) -> Result<Option<Session>, StoreError> {
        Ok(None)
    }
    async fn rotate(&self, _: u64, _: Rotation<'_>, _: u64) -> Result<bool, StoreError> {
        Err(unavailable())
    }
    async fn goes_on(&self, id: u64, user_id: u64, _: u64) -> Result<bool, StoreError> {
        Ok(id == user_id)
    }
    async fn of_user(&self, _: u64, _: u64) -> Result<Vec<Session>, StoreError> {
        Ok(Vec::new())
    }
    async fn end(&self, _: u64, _: u64) -> Result<bool, StoreError> {
        Ok(false)
    }
    async fn end_others(&self, _: u64, _: Option<u64>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Nobody has any.
pub(crate) struct FakeTokens;

#[async_trait]
impl ScopedTokens for FakeTokens {
    async fn add(&self, _: NewToken<'_>, _: u64) -> Result<u64, StoreError> {
        Err(unavailable())
    }
    async fn get(&self, _: u64, _: u64) -> Result<Option<ScopedToken>, StoreError> {
        Ok(None)
    }
    async fn by_secret(&self, _: &Digest, _: u64) -> Result<Option<ScopedToken>, StoreError> {
        Ok(None)
    }
    async fn of_user(&self, _: u64, _: TokenKind, _: u64) -> Result<Vec<ScopedToken>, StoreError> {
        Ok(Vec::new())
    }
    async fn revoke(&self, _: u64, _: u64, _: TokenKind) -> Result<bool, StoreError> {
        Ok(false)
    }
    async fn revoke_all(&self, _: u64) -> Result<(), StoreError> {
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct FakeBooks {
    pub(crate) lines: Mutex<Vec<BooksLine>>,
    pub(crate) found: Mutex<Vec<(LookUp, Found)>>,
}

#[async_trait]
impl Books for FakeBooks {
    async fn lines(
        &self,
        minutes: Minutes,
        worker: Option<&str>,
        after: Option<(u32, &str)>,
        limit: u32,
    ) -> Result<Vec<BooksLine>, StoreError> {
        let lines = self.lines.lock().unwrap();
        let wanted = |line: &&BooksLine| {
            (minutes.from..=minutes.to).contains(&line.minute)
                && worker.is_none_or(|worker| line.worker == worker)
                && after.is_none_or(|after| (line.minute, line.worker.as_str()) > after)
        };
        Ok(lines.iter().filter(wanted).take(limit as usize).cloned().collect())
    }
    async fn totals(&self, minutes: Minutes) -> Result<Totals, StoreError> {
        let mut totals = Totals::default();
        for line in self.lines.lock().unwrap().iter() {
            if (minutes.from..=minutes.to).contains(&line.minute) {
                totals.add(&line.totals);
            }
        }
        Ok(totals)
    }
    async fn unbalanced(&self, _: Minutes, _: u32) -> Result<Vec<BooksLine>, StoreError> {
        Ok(Vec::new())
    }
    async fn count_tables(&self, _: Minutes) -> Result<TableCounts, StoreError> {
        Ok(TableCounts::default())
    }
    async fn look_up(&self, what: &LookUp) -> Result<Found, StoreError> {
        let found = self.found.lock().unwrap();
        Ok(found
            .iter()
            .find(|(asked, _)| asked == what)
            .map(|(_, f)| f.clone())
            .unwrap_or_default())
    }
}
