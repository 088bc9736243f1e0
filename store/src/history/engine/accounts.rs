//! The accounts, in SQL.

use async_trait::async_trait;

use super::Engine;
use super::fault::{Fault, Kind};
use super::seam::{Product, Session, fixed};
use super::value::{Fields, Value};
use super::work::{Execute, Work};
use crate::StoreError;
use crate::history::accounts::{NewUser, User, Users, email_key};

const ADD: &str =
    "INSERT INTO users (email, name, password_hash, admin, created_at_ms) VALUES (?, ?, ?, ?, ?)";
const BY_EMAIL: &str =
    "SELECT id, email, name, password_hash, admin, created_at_ms FROM users WHERE email = ?";
const BY_ID: &str =
    "SELECT id, email, name, password_hash, admin, created_at_ms FROM users WHERE id = ?";
const SET_ADMIN: &str = "UPDATE users SET admin = ? WHERE email = ?";

#[async_trait]
impl<P: Product> Users for Engine<P> {
    async fn add(&self, user: NewUser<'_>, now_ms: u64) -> Result<u64, StoreError> {
        let email = email_key(user.email);
        let values: [Value<'_>; 5] = [
            email.as_str().into(),
            user.name.into(),
            user.password_hash.into(),
            user.admin.into(),
            now_ms.into(),
        ];
        let added = self.transact(Add { values: &values }).await;
        added.map_err(|fault| match fault.kind {
            Kind::Taken => StoreError::Exists(format!("an account of {email}")),
            _ => fault.into_error(P::STORE),
        })
    }

    async fn by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        let email = email_key(email);
        self.user(BY_EMAIL, email.as_str().into()).await
    }

    async fn by_id(&self, id: u64) -> Result<Option<User>, StoreError> {
        self.user(BY_ID, id.into()).await
    }

    async fn set_admin(&self, email: &str, admin: bool) -> Result<bool, StoreError> {
        let email = email_key(email);
        let values = [admin.into(), email.as_str().into()];
        self.update(SET_ADMIN, &values).await
    }
}

impl<P: Product> Engine<P> {
    async fn user(&self, text: &'static str, value: Value<'_>) -> Result<Option<User>, StoreError> {
        let rows = self.product.rows(fixed(text), &[value]).await;
        rows.and_then(|rows| rows.first().map(user_of).transpose())
            .map_err(|fault| fault.into_error(P::STORE))
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

/// Inserts an account and tells its number.
struct Add<'a> {
    values: &'a [Value<'a>],
}

#[async_trait]
impl<P: Product> Work<P> for Add<'_> {
    type Output = u64;

    async fn run(&self, session: &mut P::Session) -> Result<u64, Fault> {
        session.insert(fixed(ADD), self.values).await
    }
}

fn user_of(row: &impl Fields) -> Result<User, Fault> {
    Ok(User {
        id: row.need(0)?,
        email: row.text(1)?,
        name: row.text(2)?,
        password_hash: row.text(3)?,
        admin: row.need::<u64>(4)? != 0,
        created_at_ms: row.need(5)?,
    })
}
