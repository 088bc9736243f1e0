//! The accounts and their grants, in SQL.

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::Engine;
use super::fault::{Fault, Kind};
use super::seam::{Product, Session, fixed};
use super::value::{Fields, Value};
use super::work::{Execute, Work};
use crate::StoreError;
use crate::history::accounts::{
    Access, Added, FirstPlace, MAX_GRANTS, NewUser, Role, User, Users, email_key,
};
use crate::history::sessions::Digest;

/// Succeeds once in the life of a database. Another transaction that claims it
/// meanwhile waits here for the outcome.
const CLAIM_FIRST: &str = "INSERT INTO claims (name, claimed_at_ms) VALUES ('first_account', ?)";
const CLAIMED_FIRST: &str = "SELECT claimed_at_ms FROM claims WHERE name = 'first_account'";
const OFFER_SETUP: &str = "INSERT INTO setup_tokens (secret_hash, offered_at_ms) VALUES (?, ?)";
const TAKE_SETUP: &str = "DELETE FROM setup_tokens WHERE secret_hash = ? AND offered_at_ms >= ?";
const FORGET_SETUP: &str = "DELETE FROM setup_tokens";
const FORGET_OLD_SETUP: &str = "DELETE FROM setup_tokens WHERE offered_at_ms < ?";
/// How long the row of an unused set-up token stays; longer than one is good for.
const SETUP_KEPT_MS: u64 = 30 * 86_400_000;
const ADD: &str = "INSERT INTO users (email, name, password_hash, role, disabled, created_at_ms) VALUES (?, ?, ?, ?, ?, ?)";
const BY_EMAIL: &str = "SELECT id, email, name, password_hash, role, disabled, created_at_ms FROM users WHERE email = ?";
const BY_ID: &str =
    "SELECT id, email, name, password_hash, role, disabled, created_at_ms FROM users WHERE id = ?";
const LIST: &str = "SELECT id, email, name, password_hash, role, disabled, created_at_ms FROM users \
    WHERE id > ? ORDER BY id LIMIT ?";
const SET_ROLE: &str = "UPDATE users SET role = ? WHERE email = ?";
const SET_DISABLED: &str = "UPDATE users SET disabled = ? WHERE id = ?";
const SET_PASSWORD: &str = "UPDATE users SET password_hash = ? WHERE id = ?";
/// Changes nothing, and makes other transactions that do the same wait for this one.
const SERIALIZE: &str = "UPDATE users SET email = email WHERE id = ?";
const ROLE: &str = "SELECT role FROM users WHERE id = ? AND disabled = 0";
const GRANTS: &str = "SELECT device FROM user_devices WHERE user_id = ? ORDER BY device LIMIT ?";
/// What a viewer sees: devices granted one by one, and those of granted groups.
const SEEN: &str = "SELECT device FROM user_devices WHERE user_id = ? \
    UNION SELECT gd.device FROM user_groups ug \
    JOIN group_devices gd ON gd.group_id = ug.group_id WHERE ug.user_id = ? \
    ORDER BY device LIMIT ?";
const COUNT_GRANTS: &str = "SELECT COUNT(*) FROM user_devices WHERE user_id = ?";
const GRANT: &str = "INSERT INTO user_devices (user_id, device, granted_at_ms) VALUES (?, ?, ?)";
const REVOKE: &str = "DELETE FROM user_devices WHERE user_id = ? AND device = ?";

#[async_trait]
impl<P: Product> Users for Engine<P> {
    async fn add(&self, user: NewUser<'_>, now_ms: u64) -> Result<Added, StoreError> {
        let email = email_key(user.email);
        let added = self.transact(Add { user, email: &email, now_ms }).await;
        added.map_err(|fault| match fault.kind {
            Kind::Taken => StoreError::Exists(format!("an account of {email}")),
            _ => fault.into_error(P::STORE),
        })
    }

    async fn add_first(
        &self,
        user: NewUser<'_>,
        setup: &Digest,
        offered_since_ms: u64,
        now_ms: u64,
    ) -> Result<Option<Added>, StoreError> {
        let email = email_key(user.email);
        let add = Add { user, email: &email, now_ms };
        let added = self.transact(AddFirst { add, setup, offered_since_ms }).await;
        added.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn offer_setup(&self, setup: &Digest, now_ms: u64) -> Result<bool, StoreError> {
        let offered = self.transact(OfferSetup { setup, now_ms }).await;
        offered.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        let email = email_key(email);
        Ok(self.users(BY_EMAIL, &[email.as_str().into()]).await?.pop())
    }

    async fn by_id(&self, id: u64) -> Result<Option<User>, StoreError> {
        Ok(self.users(BY_ID, &[id.into()]).await?.pop())
    }

    async fn list(&self, after: u64, limit: u32) -> Result<Vec<User>, StoreError> {
        self.users(LIST, &[after.into(), limit.into()]).await
    }

    async fn set_role(&self, email: &str, role: Role) -> Result<bool, StoreError> {
        let email = email_key(email);
        self.update(SET_ROLE, &[role.name().into(), email.as_str().into()]).await
    }

    async fn set_disabled(&self, id: u64, disabled: bool) -> Result<bool, StoreError> {
        self.update(SET_DISABLED, &[disabled.into(), id.into()]).await
    }

    async fn set_password(&self, id: u64, password_hash: &str) -> Result<bool, StoreError> {
        self.update(SET_PASSWORD, &[password_hash.into(), id.into()]).await
    }

    async fn access(&self, id: u64) -> Result<Option<Access>, StoreError> {
        self.read_access(id).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn grants(&self, id: u64) -> Result<Vec<DeviceId>, StoreError> {
        self.read_grants(id).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn grant(&self, id: u64, device: DeviceId, now_ms: u64) -> Result<bool, StoreError> {
        match self.transact(Grant { id, device, now_ms }).await {
            Ok(()) => Ok(true),
            Err(fault) if fault.kind == Kind::Taken => Ok(false),
            Err(fault) => Err(fault.into_error(P::STORE)),
        }
    }

    async fn revoke(&self, id: u64, device: DeviceId) -> Result<bool, StoreError> {
        self.update(REVOKE, &[id.into(), device.into()]).await
    }
}

impl<P: Product> Engine<P> {
    async fn users(
        &self,
        text: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<User>, StoreError> {
        let rows = self.product.rows(fixed(text), values).await;
        rows.and_then(|rows| rows.iter().map(user_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn read_access(&self, id: u64) -> Result<Option<Access>, Fault> {
        let rows = self.product.rows(fixed(ROLE), &[id.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let role = role_of(row, 0)?;
        let (devices, groups) = match role {
            Role::Viewer => (self.read_seen(id).await?, self.read_groups_of(id).await?),
            Role::Admin | Role::Operator => (Vec::new(), Vec::new()),
        };
        Ok(Some(Access { role, devices, groups }))
    }

    async fn read_seen(&self, id: u64) -> Result<Vec<DeviceId>, Fault> {
        let values = [id.into(), id.into(), MAX_GRANTS.into()];
        let rows = self.product.rows(fixed(SEEN), &values).await?;
        rows.iter().map(|row| row.need(0).map(DeviceId::new)).collect()
    }

    async fn read_grants(&self, id: u64) -> Result<Vec<DeviceId>, Fault> {
        let rows = self.product.rows(fixed(GRANTS), &[id.into(), MAX_GRANTS.into()]).await?;
        rows.iter().map(|row| row.need(0).map(DeviceId::new)).collect()
    }

    /// Runs one statement in a transaction of its own; says whether it found a row.
    pub(in crate::history) async fn update(
        &self,
        text: &'static str,
        values: &[Value<'_>],
    ) -> Result<bool, StoreError> {
        let changed = self.transact(Execute { text, values }).await;
        changed.map(|rows| rows > 0).map_err(|fault| fault.into_error(P::STORE))
    }
}

/// Inserts an account; the first of a database may become its admin.
struct Add<'a> {
    user: NewUser<'a>,
    email: &'a str,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Add<'_> {
    type Output = Added;

    async fn run(&self, session: &mut P::Session) -> Result<Added, Fault> {
        let wanted = self.user.first != FirstPlace::Leaves;
        let first = wanted && claim_first(session, self.now_ms).await?;
        if first {
            session.execute(fixed(FORGET_SETUP), &[]).await?;
        }
        let admin = first && self.user.first == FirstPlace::TakesAsAdmin;
        self.insert(session, if admin { Role::Admin } else { self.user.role }).await
    }
}

impl Add<'_> {
    async fn insert(&self, session: &mut impl Session, role: Role) -> Result<Added, Fault> {
        let NewUser { name, password_hash, disabled, .. } = self.user;
        let values = [
            self.email.into(),
            name.into(),
            password_hash.into(),
            role.name().into(),
            disabled.into(),
            self.now_ms.into(),
        ];
        let id = session.insert(fixed(ADD), &values).await?;
        Ok(Added { id, role })
    }
}

/// Whether this transaction makes the first account.
async fn claim_first(session: &mut impl Session, now_ms: u64) -> Result<bool, Fault> {
    match session.execute(fixed(CLAIM_FIRST), &[now_ms.into()]).await {
        Ok(_) => Ok(true),
        Err(fault) if fault.kind == Kind::Taken => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Inserts the first account for whoever has a set-up token.
struct AddFirst<'a> {
    add: Add<'a>,
    setup: &'a Digest,
    offered_since_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for AddFirst<'_> {
    type Output = Option<Added>;

    async fn run(&self, session: &mut P::Session) -> Result<Option<Added>, Fault> {
        let taken = [self.setup.as_slice().into(), self.offered_since_ms.into()];
        if session.execute(fixed(TAKE_SETUP), &taken).await? == 0
            || !claim_first(session, self.add.now_ms).await?
        {
            return Ok(None);
        }
        session.execute(fixed(FORGET_SETUP), &[]).await?;
        self.add.insert(session, self.add.user.role).await.map(Some)
    }
}

/// Keeps a set-up token unless the first account was made.
struct OfferSetup<'a> {
    setup: &'a Digest,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for OfferSetup<'_> {
    type Output = bool;

    async fn run(&self, session: &mut P::Session) -> Result<bool, Fault> {
        if !session.rows(fixed(CLAIMED_FIRST), &[]).await?.is_empty() {
            return Ok(false);
        }
        let old = self.now_ms.saturating_sub(SETUP_KEPT_MS);
        session.execute(fixed(FORGET_OLD_SETUP), &[old.into()]).await?;
        let values = [self.setup.as_slice().into(), self.now_ms.into()];
        session.execute(fixed(OFFER_SETUP), &values).await?;
        Ok(true)
    }
}

/// Adds a grant unless there are too many.
struct Grant {
    id: u64,
    device: DeviceId,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Grant {
    type Output = ();

    async fn run(&self, session: &mut P::Session) -> Result<(), Fault> {
        serialize_on_user(session, self.id).await?;
        let values = [self.id.into(), self.device.into(), self.now_ms.into()];
        session.execute(fixed(GRANT), &values).await?;
        let rows = session.rows(fixed(COUNT_GRANTS), &[self.id.into()]).await?;
        let granted: u64 = rows.first().map_or(Ok(0), |row| row.need(0))?;
        if granted > MAX_GRANTS.into() {
            let detail = format!("more than {MAX_GRANTS} devices for one account");
            return Err(Fault::new(Kind::Refused, detail));
        }
        Ok(())
    }
}

/// Transactions that count what a person has before they add to it come one after the
/// other, or several would each see room for one more. Comes first in its transaction:
/// what is counted afterwards includes what the others committed.
pub(super) async fn serialize_on_user(session: &mut impl Session, id: u64) -> Result<(), Fault> {
    session.execute(fixed(SERIALIZE), &[id.into()]).await.map(drop)
}

fn user_of(row: &impl Fields) -> Result<User, Fault> {
    Ok(User {
        id: row.need(0)?,
        email: row.text(1)?,
        name: row.text(2)?,
        password_hash: row.text(3)?,
        role: role_of(row, 4)?,
        disabled: row.need::<u8>(5)? != 0,
        created_at_ms: row.need(6)?,
    })
}

fn role_of(row: &impl Fields, column: usize) -> Result<Role, Fault> {
    let name = row.text(column)?;
    Role::from_name(&name).ok_or_else(|| Fault::column(column, &format!("is no role: {name}")))
}
