//! Receivers, in SQL.

use async_trait::async_trait;

use super::Engine;
use super::channels::{optional_text, text_or_null};
use super::fault::{Fault, Kind};
use super::rules::number_or_null;
use super::seam::{Product, Session, fixed, sql};
use super::value::{Fields, Value};
use super::work::Work;
use crate::StoreError;
use crate::history::receivers::{MAX_RECEIVERS, NewReceiver, Receivers, StoredReceiver};

const SELECT: &str = "SELECT id, owner, name, kind, target, delivery, enabled, confirmed_at_ms, \
    confirmation, failures, paused_until_ms, last_error, last_delivered_at_ms, created_at_ms, \
    updated_at_ms FROM receivers";
const ADD: &str = "INSERT INTO receivers (owner, name, kind, target, delivery, enabled, \
    confirmed_at_ms, failures, paused_until_ms, claimed_by, claimed_until_ms, created_at_ms, \
    updated_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, '', 0, ?, ?)";
const COUNT: &str = "SELECT COUNT(*) FROM receivers";
const CHANGE: &str = "UPDATE receivers SET name = ?, kind = ?, target = ?, delivery = ?, \
    enabled = ?, confirmed_at_ms = ?, failures = 0, paused_until_ms = 0, last_error = NULL, \
    updated_at_ms = ? WHERE id = ?";
const DUE_NOW: &str = "UPDATE outbox SET next_at_ms = ? WHERE receiver_id = ? AND state = 0";
const CONFIRMATION: &str =
    "UPDATE receivers SET confirmation = ?, confirmed_at_ms = ? WHERE id = ?";
const DISABLE: &str = "UPDATE receivers SET enabled = 0, last_error = ?, updated_at_ms = ? \
    WHERE id = ?";
const REMOVE: &str = "DELETE FROM receivers WHERE id = ?";
const FORGET: &str = "DELETE FROM rule_receivers WHERE receiver_id = ?";
const GIVE_UP: &str = "UPDATE outbox SET state = 3, last_error = ?, done_at_ms = ? \
    WHERE receiver_id = ? AND state = 0";

#[async_trait]
impl<P: Product> Receivers for Engine<P> {
    async fn receivers(&self) -> Result<Vec<StoredReceiver>, StoreError> {
        let rows = self.product.rows(sql(format!("{SELECT} ORDER BY id")), &[]).await;
        rows.and_then(|rows| rows.iter().map(receiver_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn receiver(&self, id: u64) -> Result<Option<StoredReceiver>, StoreError> {
        let rows = self.product.rows(sql(format!("{SELECT} WHERE id = ?")), &[id.into()]).await;
        rows.and_then(|rows| rows.first().map(receiver_of).transpose())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn add_receiver(
        &self,
        owner: Option<u64>,
        receiver: &NewReceiver,
        confirmed_at_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<u64, StoreError> {
        let added = self.transact(Add { owner, receiver, confirmed_at_ms, now_ms }).await;
        added.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn change_receiver(
        &self,
        id: u64,
        receiver: &NewReceiver,
        confirmed_at_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        let [name, kind, target, delivery, enabled] = values_of(receiver);
        let confirmed = number_or_null(confirmed_at_ms);
        let values = [name, kind, target, delivery, enabled, confirmed, now_ms.into(), id.into()];
        let changed = self.transact(Change { id, values: &values, now_ms }).await;
        changed.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn note_confirmation(
        &self,
        id: u64,
        confirmation: Option<&str>,
        confirmed_at_ms: Option<u64>,
    ) -> Result<bool, StoreError> {
        let values = [text_or_null(confirmation), number_or_null(confirmed_at_ms), id.into()];
        self.update(CONFIRMATION, &values).await
    }

    async fn disable_receiver(
        &self,
        id: u64,
        reason: &str,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        let disabled = self.transact(Disable { id, reason, now_ms }).await;
        disabled.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn remove_receiver(&self, id: u64, now_ms: u64) -> Result<bool, StoreError> {
        let removed = self.transact(Remove { id, now_ms }).await;
        removed.map_err(|fault| fault.into_error(P::STORE))
    }
}

/// The receiver of a number, in a transaction.
pub(super) async fn read_receiver<S: Session>(
    session: &mut S,
    id: u64,
) -> Result<Option<StoredReceiver>, Fault> {
    let rows = session.rows(sql(format!("{SELECT} WHERE id = ?")), &[id.into()]).await?;
    rows.first().map(receiver_of).transpose()
}

fn receiver_of(row: &impl Fields) -> Result<StoredReceiver, Fault> {
    let receiver = NewReceiver {
        name: row.text(2)?,
        kind: row.text(3)?,
        target: row.text(4)?,
        delivery: row.text(5)?,
        enabled: row.need::<u8>(6)? == 1,
    };
    Ok(StoredReceiver {
        id: row.need(0)?,
        owner: row.maybe(1)?,
        receiver,
        confirmed_at_ms: row.maybe(7)?,
        confirmation: optional_text(row, 8)?,
        failures: row.need(9)?,
        paused_until_ms: row.need(10)?,
        last_error: optional_text(row, 11)?,
        last_delivered_at_ms: row.maybe(12)?,
        created_at_ms: row.need(13)?,
        updated_at_ms: row.need(14)?,
    })
}

fn values_of(receiver: &NewReceiver) -> [Value<'_>; 5] {
    [
        receiver.name.as_str().into(),
        receiver.kind.as_str().into(),
        receiver.target.as_str().into(),
        receiver.delivery.as_str().into(),
        receiver.enabled.into(),
    ]
}

struct Add<'a> {
    owner: Option<u64>,
    receiver: &'a NewReceiver,
    confirmed_at_ms: Option<u64>,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Add<'_> {
    type Output = u64;

    async fn run(&self, session: &mut P::Session) -> Result<u64, Fault> {
        let [name, kind, target, delivery, enabled] = values_of(self.receiver);
        let (owner, now) = (number_or_null(self.owner), Value::from(self.now_ms));
        let confirmed = number_or_null(self.confirmed_at_ms);
        let values = [owner, name, kind, target, delivery, enabled, confirmed, now, now];
        let id = session.insert(fixed(ADD), &values).await?;
        let rows = session.rows(fixed(COUNT), &[]).await?;
        let receivers: u64 = rows.first().map_or(Ok(0), |row| row.need(0))?;
        if receivers > MAX_RECEIVERS.into() {
            let detail = format!("there are {MAX_RECEIVERS} receivers already");
            return Err(Fault::new(Kind::Full, detail));
        }
        Ok(id)
    }
}

struct Change<'a> {
    id: u64,
    values: &'a [Value<'a>],
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Change<'_> {
    type Output = bool;

    async fn run(&self, session: &mut P::Session) -> Result<bool, Fault> {
        if session.execute(fixed(CHANGE), self.values).await? == 0 {
            return Ok(false);
        }
        session.execute(fixed(DUE_NOW), &[self.now_ms.into(), self.id.into()]).await.map(|_| true)
    }
}

struct Disable<'a> {
    id: u64,
    reason: &'a str,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Disable<'_> {
    type Output = bool;

    async fn run(&self, session: &mut P::Session) -> Result<bool, Fault> {
        let values = [self.reason.into(), self.now_ms.into(), self.id.into()];
        if session.execute(fixed(DISABLE), &values).await? == 0 {
            return Ok(false);
        }
        session.execute(fixed(GIVE_UP), &values).await.map(|_| true)
    }
}

struct Remove {
    id: u64,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Remove {
    type Output = bool;

    async fn run(&self, session: &mut P::Session) -> Result<bool, Fault> {
        let reason = Value::Text("the receiver was removed");
        session.execute(fixed(FORGET), &[self.id.into()]).await?;
        session.execute(fixed(GIVE_UP), &[reason, self.now_ms.into(), self.id.into()]).await?;
        session.execute(fixed(super::rules::CHANGED), &[]).await?;
        Ok(session.execute(fixed(REMOVE), &[self.id.into()]).await? > 0)
    }
}
