//! Stores in memory that can be switched off, or made to fail on the way.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::{Stream, TryStreamExt as _, stream};
use nemeses_protocol::{DeviceId, PositionRecord, Record};
use nemeses_store::StoreError;
use nemeses_store::history::{
    Access, Added, Books, BooksLine, Committed, Digest, FirstPlace, Found, History, LastKnown,
    LookUp, Minutes, NewSession, NewToken, NewUser, Part, PositionStream, RangeQuery, Role,
    Rotation, ScopedToken, ScopedTokens, Session, Sessions, TableCounts, TokenKind, Totals, User,
    Users, email_key,
};
use nemeses_store::live::{Alive, LiveEntry, LiveStore, Version};

/// What a store says of its inside, which no client may see.
pub(crate) const INNER_TEXT: &str = "ERROR 1146 table `nemeses`.`positions`";

/// Rows that are read at once.
const PAGE_ROWS: usize = 1000;

fn unavailable() -> StoreError {
    StoreError::Unavailable { store: "fake", detail: INNER_TEXT.to_owned() }
}

/// On, off, or silent.
#[derive(Default)]
pub(crate) struct Switch {
    down: AtomicBool,
    silent: AtomicBool,
    /// Calls that still succeed before the store goes down; 0 is no limit.
    left: AtomicU64,
}

impl Switch {
    pub(crate) fn off(&self) {
        self.down.store(true, Ordering::SeqCst);
    }
    pub(crate) fn on(&self) {
        self.down.store(false, Ordering::SeqCst);
        self.silent.store(false, Ordering::SeqCst);
    }
    pub(crate) fn silence(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }
    pub(crate) fn off_after(&self, calls: u64) {
        self.left.store(calls + 1, Ordering::SeqCst);
    }

    async fn check(&self) -> Result<(), StoreError> {
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let left = self.left.load(Ordering::SeqCst);
        if left == 1 {
            self.off();
        } else if left > 1 {
            self.left.store(left - 1, Ordering::SeqCst);
        }
        if self.down.load(Ordering::SeqCst) { Err(unavailable()) } else { Ok(()) }
    }
}

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

#[derive(Default)]
pub(crate) struct FakeHistory {
    pub(crate) switch: Switch,
    rows: Mutex<Vec<PositionRecord>>,
    known: Mutex<Vec<DeviceId>>,
}

impl FakeHistory {
    pub(crate) fn put(&self, rows: impl IntoIterator<Item = PositionRecord>) {
        let mut kept = self.rows.lock().unwrap();
        kept.extend(rows);
        kept.sort_by_key(|row| (row.position.device, row.position.recorded_at, row.frame_hash));
    }
    pub(crate) fn know(&self, device: DeviceId) {
        self.known.lock().unwrap().push(device);
    }
    fn select(&self, query: &RangeQuery) -> Vec<PositionRecord> {
        let rows = self.rows.lock().unwrap();
        let place = |row: &PositionRecord| (row.position.recorded_at, row.frame_hash);
        let wanted = |row: &&PositionRecord| {
            row.position.device == query.device
                && (query.from..=query.to).contains(&row.position.recorded_at)
                && query.after.is_none_or(|after| {
                    if query.descending { place(row) < after } else { place(row) > after }
                })
        };
        let most = usize::try_from(query.limit.unwrap_or(u64::MAX)).unwrap();
        if query.descending {
            rows.iter().rev().filter(wanted).take(most).cloned().collect()
        } else {
            rows.iter().filter(wanted).take(most).cloned().collect()
        }
    }
}

#[async_trait]
impl History for FakeHistory {
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn check_schema(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.switch.check().await
    }
    async fn commit(&self, _: &[Part], _: &str) -> Result<Vec<Committed>, StoreError> {
        Err(unavailable())
    }
    async fn probe(&self, _: &[Record]) -> Result<(), StoreError> {
        Err(unavailable())
    }
    fn positions(&self, query: RangeQuery) -> PositionStream<'_> {
        // A page at a time, as the stores do.
        let pages = stream::try_unfold(None, move |rows: Option<Vec<PositionRecord>>| {
            let query = query.clone();
            async move {
                if rows.as_ref().is_some_and(Vec::is_empty) {
                    return Ok(None);
                }
                self.switch.check().await?;
                let mut rows = rows.unwrap_or_else(|| self.select(&query));
                let rest = rows.split_off(rows.len().min(PAGE_ROWS));
                Ok(Some((stream::iter(rows.into_iter().map(Ok)), Some(rest))))
            }
        });
        Box::pin(pages.try_flatten())
    }
    async fn last_position(
        &self,
        device: DeviceId,
        not_after: u32,
        with_fix: bool,
    ) -> Result<Option<PositionRecord>, StoreError> {
        self.switch.check().await?;
        let query = RangeQuery {
            device,
            from: 0,
            to: not_after,
            descending: true,
            after: None,
            limit: None,
        };
        let mut rows = self.select(&query).into_iter();
        Ok(rows.find(|row| !with_fix || row.position.composition.gps_fix()))
    }
    async fn last_known(
        &self,
        devices: &[DeviceId],
        not_after: u32,
    ) -> Result<Vec<LastKnown>, StoreError> {
        self.switch.check().await?;
        let last = |device: &DeviceId| {
            let rows = self.rows.lock().unwrap();
            let counts = |row: &&PositionRecord| {
                row.position.device == *device
                    && row.position.recorded_at <= not_after
                    && Version::may_be_newest(row)
            };
            let newest = rows.iter().filter(counts).max_by_key(|row| Version::of(row));
            let has_fix = |row: &&PositionRecord| row.position.composition.gps_fix();
            let with_fix = rows.iter().filter(counts).filter(has_fix);
            let fix = with_fix.max_by_key(|row| Version::of(row));
            LastKnown { newest: newest.cloned(), fix: fix.cloned() }
        };
        Ok(devices.iter().map(last).collect())
    }
    async fn knows_device(&self, device: DeviceId) -> Result<bool, StoreError> {
        self.switch.check().await?;
        let has_rows = self.rows.lock().unwrap().iter().any(|row| row.position.device == device);
        Ok(has_rows || self.known.lock().unwrap().contains(&device))
    }
    async fn devices_after(
        &self,
        _: Option<DeviceId>,
        _: u32,
    ) -> Result<Vec<DeviceId>, StoreError> {
        Err(unavailable())
    }
    fn recent_entries(
        &self,
        _: u64,
        _: u32,
    ) -> Pin<Box<dyn Stream<Item = Result<Vec<LiveEntry>, StoreError>> + Send + '_>> {
        Box::pin(stream::empty())
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
