//! The scoped tokens and share links, in SQL.

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::Engine;
use super::accounts::serialize_on_user;
use super::fault::{Fault, Kind};
use super::seam::{Product, Session as _, fixed};
use super::value::{Fields, Value};
use super::work::Work;
use crate::StoreError;
use crate::history::sessions::Digest;
use crate::history::tokens::{
    MAX_TOKENS, NewToken, Scope, ScopedToken, ScopedTokens, Scopes, TokenKind,
};

const FORGET: &str = "DELETE FROM scoped_tokens WHERE user_id = ? AND expires_at_ms <= ?";
const COUNT: &str = "SELECT COUNT(*) FROM scoped_tokens WHERE user_id = ? AND kind = ?";
const ADD: &str = "INSERT INTO scoped_tokens (user_id, kind, name, devices, scopes, \
    history_from, secret_hash, created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const BY_ID: &str = "SELECT id, user_id, kind, name, devices, scopes, created_at_ms, \
    expires_at_ms, history_from FROM scoped_tokens WHERE id = ? AND expires_at_ms > ?";
const BY_SECRET: &str = "SELECT id, user_id, kind, name, devices, scopes, created_at_ms, \
    expires_at_ms, history_from FROM scoped_tokens WHERE secret_hash = ? AND expires_at_ms > ?";
const OF_USER: &str = "SELECT id, user_id, kind, name, devices, scopes, created_at_ms, \
    expires_at_ms, history_from FROM scoped_tokens WHERE user_id = ? AND kind = ? AND expires_at_ms > ? \
    ORDER BY id DESC LIMIT ?";
const REVOKE: &str = "DELETE FROM scoped_tokens WHERE id = ? AND user_id = ? AND kind = ?";
const REVOKE_ALL: &str = "DELETE FROM scoped_tokens WHERE user_id = ?";
/// More than a person can make.
const MOST_LISTED: u32 = 10_000;

#[async_trait]
impl<P: Product> ScopedTokens for Engine<P> {
    async fn add(&self, token: NewToken<'_>, now_ms: u64) -> Result<u64, StoreError> {
        let devices: Vec<String> = token.devices.iter().map(ToString::to_string).collect();
        let (devices, scopes) = (devices.join(","), token.scopes.names().join(","));
        let add = Add { token, devices: &devices, scopes: &scopes, now_ms };
        self.transact(add).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn get(&self, id: u64, now_ms: u64) -> Result<Option<ScopedToken>, StoreError> {
        Ok(self.tokens(BY_ID, &[id.into(), now_ms.into()]).await?.pop())
    }

    async fn by_secret(
        &self,
        secret: &Digest,
        now_ms: u64,
    ) -> Result<Option<ScopedToken>, StoreError> {
        Ok(self.tokens(BY_SECRET, &[secret.as_slice().into(), now_ms.into()]).await?.pop())
    }

    async fn of_user(
        &self,
        user_id: u64,
        kind: TokenKind,
        now_ms: u64,
    ) -> Result<Vec<ScopedToken>, StoreError> {
        let values = [user_id.into(), kind.name().into(), now_ms.into(), MOST_LISTED.into()];
        self.tokens(OF_USER, &values).await
    }

    async fn revoke(&self, id: u64, user_id: u64, kind: TokenKind) -> Result<bool, StoreError> {
        self.update(REVOKE, &[id.into(), user_id.into(), kind.name().into()]).await
    }

    async fn revoke_all(&self, user_id: u64) -> Result<(), StoreError> {
        self.update(REVOKE_ALL, &[user_id.into()]).await.map(drop)
    }
}

impl<P: Product> Engine<P> {
    async fn tokens(
        &self,
        text: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<ScopedToken>, StoreError> {
        let rows = self.product.rows(fixed(text), values).await;
        rows.and_then(|rows| rows.iter().map(token_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }
}

/// Adds a token in place of those that have expired, unless there are too many.
struct Add<'a> {
    token: NewToken<'a>,
    devices: &'a str,
    scopes: &'a str,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Add<'_> {
    type Output = u64;

    async fn run(&self, session: &mut P::Session) -> Result<u64, Fault> {
        let NewToken { user_id, kind, name, history_from, secret, expires_at_ms, .. } = self.token;
        serialize_on_user(session, user_id).await?;
        session.execute(fixed(FORGET), &[user_id.into(), self.now_ms.into()]).await?;
        let rows = session.rows(fixed(COUNT), &[user_id.into(), kind.name().into()]).await?;
        let there: u64 = rows.first().map_or(Ok(0), |row| row.need(0))?;
        if there >= MAX_TOKENS.into() {
            let detail = format!("there are {MAX_TOKENS} of the kind {} already", kind.name());
            return Err(Fault::new(Kind::Full, detail));
        }
        let values = [
            user_id.into(),
            kind.name().into(),
            name.into(),
            self.devices.into(),
            self.scopes.into(),
            history_from.into(),
            secret.map(Digest::as_slice).into(),
            self.now_ms.into(),
            expires_at_ms.into(),
        ];
        session.insert(fixed(ADD), &values).await
    }
}

fn token_of(row: &impl Fields) -> Result<ScopedToken, Fault> {
    let kind = row.text(2)?;
    Ok(ScopedToken {
        id: row.need(0)?,
        user_id: row.need(1)?,
        kind: TokenKind::from_name(&kind)
            .ok_or_else(|| Fault::column(2, &format!("is no kind of token: {kind}")))?,
        name: row.text(3)?,
        devices: listed(&row.text(4)?, |text| text.parse::<DeviceId>().ok())
            .ok_or_else(|| Fault::column(4, "holds something else than device ids"))?,
        scopes: listed(&row.text(5)?, Scope::from_name)
            .ok_or_else(|| Fault::column(5, "holds something else than scopes"))?
            .into_iter()
            .collect::<Scopes>(),
        created_at_ms: row.need(6)?,
        expires_at_ms: row.need(7)?,
        history_from: row.need(8)?,
    })
}

/// What a text with commas lists.
fn listed<T>(text: &str, item: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').filter(|part| !part.is_empty()).map(item).collect()
}
