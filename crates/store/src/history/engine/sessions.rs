//! The sessions, in SQL.

use async_trait::async_trait;

use super::Engine;
use super::fault::{Fault, Kind};
use super::seam::{Product, Session as _, fixed};
use super::value::{Fields, Value};
use super::work::Work;
use crate::StoreError;
use crate::history::sessions::{
    Digest, MAX_SESSIONS, NewSession, Previous, Rotation, Session, Sessions,
};

const FORGET: &str = "DELETE FROM sessions WHERE user_id = ? AND expires_at_ms <= ?";
const BEGIN: &str = "INSERT INTO sessions (user_id, family_hash, secret_hash, created_at_ms, \
    used_at_ms, expires_at_ms, user_agent) VALUES (?, ?, ?, ?, ?, ?, ?)";
const SURPLUS: &str = "SELECT id FROM sessions WHERE user_id = ? \
    ORDER BY used_at_ms DESC, id DESC LIMIT 1000 OFFSET ?";
const BY_FAMILY: &str = "SELECT id, user_id, secret_hash, previous_hash, nonce, created_at_ms, \
    used_at_ms, expires_at_ms, user_agent FROM sessions WHERE family_hash = ?";
const OF_USER: &str = "SELECT id, user_id, secret_hash, previous_hash, nonce, created_at_ms, \
    used_at_ms, expires_at_ms, user_agent FROM sessions WHERE user_id = ? AND expires_at_ms > ? \
    ORDER BY used_at_ms DESC, id DESC LIMIT ?";
const ROTATE: &str = "UPDATE sessions SET previous_hash = secret_hash, nonce = ?, \
    used_at_ms = ?, expires_at_ms = ?, secret_hash = ? WHERE id = ? AND secret_hash = ?";
const GOES_ON: &str = "SELECT id FROM sessions WHERE id = ? AND user_id = ? AND expires_at_ms > ?";
const END: &str = "DELETE FROM sessions WHERE id = ? AND user_id = ?";
const END_OTHERS: &str = "DELETE FROM sessions WHERE user_id = ? AND id <> ?";

#[async_trait]
impl<P: Product> Sessions for Engine<P> {
    async fn begin(&self, session: NewSession<'_>, now_ms: u64) -> Result<u64, StoreError> {
        let begun = self.transact(Begin { session, now_ms }).await;
        begun.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn by_family(&self, family: &Digest) -> Result<Option<Session>, StoreError> {
        Ok(self.sessions(BY_FAMILY, &[family.as_slice().into()]).await?.pop())
    }

    async fn rotate(
        &self,
        id: u64,
        rotation: Rotation<'_>,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        let values = [
            rotation.nonce.as_slice().into(),
            now_ms.into(),
            rotation.expires_at_ms.into(),
            rotation.to.as_slice().into(),
            id.into(),
            rotation.from.as_slice().into(),
        ];
        self.update(ROTATE, &values).await
    }

    async fn goes_on(&self, id: u64, user_id: u64, now_ms: u64) -> Result<bool, StoreError> {
        let values = [id.into(), user_id.into(), now_ms.into()];
        let rows = self.product.rows(fixed(GOES_ON), &values).await;
        rows.map(|rows| !rows.is_empty()).map_err(|fault| fault.into_error(P::STORE))
    }

    async fn of_user(&self, user_id: u64, now_ms: u64) -> Result<Vec<Session>, StoreError> {
        self.sessions(OF_USER, &[user_id.into(), now_ms.into(), MAX_SESSIONS.into()]).await
    }

    async fn end(&self, id: u64, user_id: u64) -> Result<bool, StoreError> {
        self.update(END, &[id.into(), user_id.into()]).await
    }

    async fn end_others(&self, user_id: u64, but: Option<u64>) -> Result<(), StoreError> {
        // The database draws numbers from 1.
        let but = but.unwrap_or(0);
        self.update(END_OTHERS, &[user_id.into(), but.into()]).await.map(drop)
    }
}

impl<P: Product> Engine<P> {
    async fn sessions(
        &self,
        text: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Session>, StoreError> {
        let rows = self.product.rows(fixed(text), values).await;
        rows.and_then(|rows| rows.iter().map(session_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }
}

/// Begins a session in place of those that are over or too many.
struct Begin<'a> {
    session: NewSession<'a>,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Begin<'_> {
    type Output = u64;

    async fn run(&self, session: &mut P::Session) -> Result<u64, Fault> {
        let NewSession { user_id, family, current, expires_at_ms, user_agent } = self.session;
        session.execute(fixed(FORGET), &[user_id.into(), self.now_ms.into()]).await?;
        let values = [
            user_id.into(),
            family.as_slice().into(),
            current.as_slice().into(),
            self.now_ms.into(),
            self.now_ms.into(),
            expires_at_ms.into(),
            user_agent.into(),
        ];
        let id = session.insert(fixed(BEGIN), &values).await?;
        let surplus = session.rows(fixed(SURPLUS), &[user_id.into(), MAX_SESSIONS.into()]).await?;
        for row in &surplus {
            let id: u64 = row.need(0)?;
            session.execute(fixed(END), &[id.into(), user_id.into()]).await?;
        }
        Ok(id)
    }
}

fn session_of(row: &impl Fields) -> Result<Session, Fault> {
    let previous = match (row.bytes(3)?, row.bytes(4)?) {
        (Some(digest), Some(nonce)) => {
            Some(Previous { digest: digest_of(&digest, 3)?, nonce: digest_of(&nonce, 4)? })
        }
        _ => None,
    };
    Ok(Session {
        id: row.need(0)?,
        user_id: row.need(1)?,
        current: digest_of(&row.bytes(2)?.unwrap_or_default(), 2)?,
        previous,
        created_at_ms: row.need(5)?,
        used_at_ms: row.need(6)?,
        expires_at_ms: row.need(7)?,
        user_agent: row.text(8)?,
    })
}

fn digest_of(bytes: &[u8], column: usize) -> Result<Digest, Fault> {
    Digest::try_from(bytes).map_err(|_| {
        Fault::new(Kind::Schema, format!("column {column} of the answer holds no SHA-256"))
    })
}
