//! The logins, in SQL.

use async_trait::async_trait;

use super::Engine;
use super::fault::{Fault, Kind};
use super::ladder::rungs;
use super::seam::{Product, fixed, sql};
use super::sql::placeholders;
use super::value::{Fields, Value};
use super::work::Execute;
use crate::StoreError;
use crate::history::logins::{Login, LoginRole, Logins, valid_login_name};
use crate::history::secret::{PlainSecret, SecretHash};

const ADD: &str = "INSERT INTO logins (name, role, device, salt, iterations, hash, enabled, \
    created_at_ms, updated_at_ms) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)";
const LIST: &str = "SELECT name, role, device, salt, iterations, hash, enabled, created_at_ms, \
    updated_at_ms FROM logins WHERE name > ? ORDER BY name LIMIT ?";
const FIND: &str = "SELECT name, role, device, salt, iterations, hash, enabled, created_at_ms, \
    updated_at_ms FROM logins WHERE name = ?";
const FIND_ALL: &str = "SELECT name, role, device, salt, iterations, hash, enabled, created_at_ms, \
    updated_at_ms FROM logins WHERE name IN";
/// Names of one look-up.
const NAMES: &[usize] = &[500, 100, 20, 4, 1];
const SET_ENABLED: &str = "UPDATE logins SET enabled = ?, updated_at_ms = ? WHERE name = ?";
const ROTATE: &str =
    "UPDATE logins SET salt = ?, iterations = ?, hash = ?, updated_at_ms = ? WHERE name = ?";
const ROTATE_OF_ROLE: &str = "UPDATE logins SET salt = ?, iterations = ?, hash = ?, \
    updated_at_ms = ? WHERE name = ? AND role = ? AND (device = ? OR device IS NULL AND ? IS NULL)";
const REMOVE: &str = "DELETE FROM logins WHERE name = ?";

#[async_trait]
impl<P: Product> Logins for Engine<P> {
    async fn add(
        &self,
        name: &str,
        role: LoginRole,
        now_ms: u64,
    ) -> Result<PlainSecret, StoreError> {
        if !valid_login_name(name) {
            return Err(StoreError::Refused {
                store: P::STORE,
                detail: format!("{name:?} is no login name: 1 to 64 of A-Z a-z 0-9 . _ @ -"),
            });
        }
        let secret = PlainSecret::draw()?;
        let hash = SecretHash::of(&secret)?;
        let values: [Value<'_>; 8] = [
            name.into(),
            role.name().into(),
            role.device().into(),
            hash.salt.as_str().into(),
            hash.iterations.into(),
            hash.hash.as_str().into(),
            now_ms.into(),
            now_ms.into(),
        ];
        let added = self.transact(Execute { text: ADD, values: &values }).await;
        added.map(|_| secret).map_err(|fault| match fault.kind {
            Kind::Taken => StoreError::Exists(format!("the login {name}")),
            _ => fault.into_error(P::STORE),
        })
    }

    async fn list(&self, after: Option<&str>, limit: u32) -> Result<Vec<Login>, StoreError> {
        let values = [after.unwrap_or_default().into(), limit.into()];
        let rows = self.product.rows(fixed(LIST), &values).await;
        rows.and_then(|rows| rows.iter().map(login_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn find(&self, name: &str) -> Result<Option<Login>, StoreError> {
        let rows = self.product.rows(fixed(FIND), &[name.into()]).await;
        rows.and_then(|rows| rows.first().map(login_of).transpose())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn find_all(&self, names: &[&str]) -> Result<Vec<Login>, StoreError> {
        let mut found = Vec::with_capacity(names.len());
        for names in rungs(names, NAMES) {
            let text = format!("{FIND_ALL} ({})", placeholders(names.len()));
            let values: Vec<Value<'_>> = names.iter().map(|name| (*name).into()).collect();
            let rows = self.product.rows(sql(text), &values).await;
            let logins =
                rows.and_then(|rows| rows.iter().map(login_of).collect::<Result<Vec<_>, _>>());
            found.extend(logins.map_err(|fault| fault.into_error(P::STORE))?);
        }
        Ok(found)
    }

    async fn set_enabled(
        &self,
        name: &str,
        enabled: bool,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        self.update(SET_ENABLED, &[enabled.into(), now_ms.into(), name.into()]).await
    }

    async fn rotate(
        &self,
        name: &str,
        only: Option<LoginRole>,
        now_ms: u64,
    ) -> Result<Option<PlainSecret>, StoreError> {
        let secret = PlainSecret::draw()?;
        let hash = SecretHash::of(&secret)?;
        let mut values: Vec<Value<'_>> = vec![
            hash.salt.as_str().into(),
            hash.iterations.into(),
            hash.hash.as_str().into(),
            now_ms.into(),
            name.into(),
        ];
        let rotated = match only {
            None => self.update(ROTATE, &values).await?,
            Some(role) => {
                let device = role.device();
                let of_role: [Value<'_>; 3] = [role.name().into(), device.into(), device.into()];
                values.extend(of_role);
                self.update(ROTATE_OF_ROLE, &values).await?
            }
        };
        Ok(rotated.then_some(secret))
    }

    async fn remove(&self, name: &str) -> Result<bool, StoreError> {
        self.update(REMOVE, &[name.into()]).await
    }
}

fn login_of(row: &impl Fields) -> Result<Login, Fault> {
    let (name, role_name, device) = (row.text(0)?, row.text(1)?, row.device(2)?);
    let role = LoginRole::from_parts(&role_name, device)
        .ok_or_else(|| Fault::column(1, &format!("is no role of the login {name}: {role_name}")))?;
    Ok(Login {
        name,
        role,
        secret: SecretHash { salt: row.text(3)?, iterations: row.need(4)?, hash: row.text(5)? },
        enabled: row.need::<u64>(6)? != 0,
        created_at_ms: row.need(7)?,
        updated_at_ms: row.need(8)?,
    })
}
