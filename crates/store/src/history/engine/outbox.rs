//! Ways and notifications, in SQL.

use async_trait::async_trait;

use super::Engine;
use super::channels::optional_text;
use super::fault::{Fault, Kind};
use super::rules::number_or_null;
use super::seam::{Product, Session, fixed, sql};
use super::value::{Fields, Value};
use super::work::Work;
use crate::StoreError;
use crate::history::evaluation::NewNotification;
use crate::history::outbox::{
    DueNotification, ListedNotification, MAX_LISTED_NOTIFICATIONS, MAX_WAYS, NewWay,
    NotificationBooks, NotificationState, Outbox, Outcome, StoredWay,
};

const SELECT_WAYS: &str = "SELECT id, owner, name, kind, target, enabled, created_at_ms, \
    updated_at_ms FROM ways";
const ADD_WAY: &str = "INSERT INTO ways (owner, name, kind, target, enabled, created_at_ms, \
    updated_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)";
const COUNT_WAYS: &str = "SELECT COUNT(*) FROM ways";
const CHANGE_WAY: &str = "UPDATE ways SET name = ?, kind = ?, target = ?, enabled = ?, \
    updated_at_ms = ? WHERE id = ?";
const DISABLE_WAY: &str = "UPDATE ways SET enabled = 0, updated_at_ms = ? WHERE id = ?";
const REMOVE_WAY: &str = "DELETE FROM ways WHERE id = ?";
const FORGET_WAY: &str = "DELETE FROM rule_ways WHERE way_id = ?";
const GIVE_UP: &str = "UPDATE outbox SET state = 3, last_error = 'the way was removed', \
    done_at_ms = ? WHERE way_id = ? AND state = 0";

const ADD: &str = "INSERT INTO outbox (alarm_key, transition, way_id, body, state, attempts, \
    next_at_ms, claimed_by, claimed_until_ms, reason, created_at_ms, done_at_ms) \
    VALUES (?, ?, ?, ?, ?, 0, ?, '', 0, ?, ?, ?)";
const SELECT: &str = "SELECT id, alarm_key, transition, way_id, body, attempts, created_at_ms, \
    state, next_at_ms, last_error, reason, done_at_ms FROM outbox";
const DUE: &str = " WHERE state = 0 AND next_at_ms <= ? AND claimed_until_ms < ? \
    ORDER BY next_at_ms, id LIMIT ?";
const CLAIM: &str = "UPDATE outbox SET claimed_by = ?, claimed_until_ms = ? \
    WHERE id = ? AND state = 0 AND claimed_until_ms < ?";
const SETTLE: &str = "UPDATE outbox SET state = ?, attempts = attempts + 1, next_at_ms = ?, \
    claimed_until_ms = 0, last_error = ?, done_at_ms = ? \
    WHERE id = ? AND state = 0 AND claimed_by = ?";
const AGAIN: &str = "UPDATE outbox SET state = 0, attempts = 0, next_at_ms = ?, \
    claimed_until_ms = 0, done_at_ms = NULL WHERE id = ? AND state = 3";
const BOOKS: &str = "SELECT state, COUNT(*) FROM outbox GROUP BY state";

#[async_trait]
impl<P: Product> Outbox for Engine<P> {
    async fn ways(&self) -> Result<Vec<StoredWay>, StoreError> {
        self.read_ways("", &[]).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn way(&self, id: u64) -> Result<Option<StoredWay>, StoreError> {
        let ways = self.read_ways(" WHERE id = ?", &[id.into()]).await;
        ways.map(|mut ways| ways.pop()).map_err(|fault| fault.into_error(P::STORE))
    }

    async fn add_way(
        &self,
        owner: Option<u64>,
        way: &NewWay,
        now_ms: u64,
    ) -> Result<u64, StoreError> {
        let added = self.transact(AddWay { owner, way, now_ms }).await;
        added.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn change_way(&self, id: u64, way: &NewWay, now_ms: u64) -> Result<bool, StoreError> {
        let [name, kind, target, enabled] = way_values(way);
        self.update(CHANGE_WAY, &[name, kind, target, enabled, now_ms.into(), id.into()]).await
    }

    async fn disable_way(&self, id: u64, now_ms: u64) -> Result<bool, StoreError> {
        self.update(DISABLE_WAY, &[now_ms.into(), id.into()]).await
    }

    async fn remove_way(&self, id: u64, now_ms: u64) -> Result<bool, StoreError> {
        let removed = self.transact(RemoveWay { id, now_ms }).await;
        removed.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn claim(
        &self,
        holder: &str,
        now_ms: u64,
        until_ms: u64,
        limit: u32,
    ) -> Result<Vec<DueNotification>, StoreError> {
        let claimed = self.transact(Claim { holder, now_ms, until_ms, limit }).await;
        claimed.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn settle(
        &self,
        id: u64,
        holder: &str,
        now_ms: u64,
        outcome: &Outcome,
    ) -> Result<bool, StoreError> {
        let (state, next_at_ms, error, done) = match outcome {
            Outcome::Delivered => (NotificationState::Delivered, now_ms, None, Some(now_ms)),
            Outcome::Again { at_ms, error } => {
                (NotificationState::Waiting, *at_ms, Some(error), None)
            }
            Outcome::Failed { error } => {
                (NotificationState::Failed, now_ms, Some(error), Some(now_ms))
            }
        };
        let error = error.map_or(Value::NoBytes, |error| Value::Text(error));
        let values = [
            state.number().into(),
            next_at_ms.into(),
            error,
            number_or_null(done),
            id.into(),
            holder.into(),
        ];
        self.update(SETTLE, &values).await
    }

    async fn send_again(&self, id: u64, now_ms: u64) -> Result<bool, StoreError> {
        self.update(AGAIN, &[now_ms.into(), id.into()]).await
    }

    async fn notifications(
        &self,
        before: Option<u64>,
        state: Option<NotificationState>,
        limit: u32,
    ) -> Result<Vec<ListedNotification>, StoreError> {
        let mut text = format!("{SELECT} WHERE id < ?");
        let mut values = vec![Value::from(before.unwrap_or(i64::MAX.unsigned_abs()))];
        if let Some(state) = state {
            text.push_str(" AND state = ?");
            values.push(state.number().into());
        }
        text.push_str(" ORDER BY id DESC LIMIT ?");
        values.push(limit.clamp(1, MAX_LISTED_NOTIFICATIONS).into());
        let rows = self.product.rows(sql(text), &values).await;
        rows.and_then(|rows| rows.iter().map(listed_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn notification_books(&self) -> Result<NotificationBooks, StoreError> {
        let rows = self.product.rows(fixed(BOOKS), &[]).await;
        rows.and_then(|rows| books_of(&rows)).map_err(|fault| fault.into_error(P::STORE))
    }
}

impl<P: Product> Engine<P> {
    async fn read_ways(
        &self,
        condition: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<StoredWay>, Fault> {
        let text = format!("{SELECT_WAYS}{condition} ORDER BY id");
        let rows = self.product.rows(sql(text), values).await?;
        rows.iter().map(way_of).collect()
    }
}

fn way_of(row: &impl Fields) -> Result<StoredWay, Fault> {
    let way = NewWay {
        name: row.text(2)?,
        kind: row.text(3)?,
        target: row.text(4)?,
        enabled: row.need::<u8>(5)? == 1,
    };
    let (created_at_ms, updated_at_ms) = (row.need(6)?, row.need(7)?);
    Ok(StoredWay { id: row.need(0)?, owner: row.maybe(1)?, way, created_at_ms, updated_at_ms })
}

fn way_values(way: &NewWay) -> [Value<'_>; 4] {
    [
        way.name.as_str().into(),
        way.kind.as_str().into(),
        way.target.as_str().into(),
        way.enabled.into(),
    ]
}

fn due_of(row: &impl Fields) -> Result<DueNotification, Fault> {
    Ok(DueNotification {
        id: row.need(0)?,
        alarm_key: row.text(1)?,
        transition: row.text(2)?,
        way: row.need(3)?,
        body: row.text(4)?,
        attempts: row.need(5)?,
        created_at_ms: row.need(6)?,
    })
}

fn listed_of(row: &impl Fields) -> Result<ListedNotification, Fault> {
    let state = NotificationState::from_number(row.need(7)?);
    Ok(ListedNotification {
        notification: due_of(row)?,
        state: state.ok_or_else(|| Fault::column(7, "is no state of a notification"))?,
        next_at_ms: row.need(8)?,
        last_error: optional_text(row, 9)?,
        reason: optional_text(row, 10)?,
        done_at_ms: row.maybe(11)?,
    })
}

fn books_of(rows: &[impl Fields]) -> Result<NotificationBooks, Fault> {
    let mut books = NotificationBooks::default();
    for row in rows {
        let count: u64 = row.need(1)?;
        books.raised += count;
        match NotificationState::from_number(row.need(0)?) {
            Some(NotificationState::Waiting) => books.waiting += count,
            Some(NotificationState::Delivered) => books.delivered += count,
            Some(NotificationState::Suppressed) => books.suppressed += count,
            Some(NotificationState::Failed) => books.failed += count,
            // Then the books do not add up, and it shows.
            None => {}
        }
    }
    Ok(books)
}

/// Writes a notification in a transaction.
pub(super) async fn add_notification<S: Session>(
    session: &mut S,
    new: &NewNotification,
) -> Result<(), Fault> {
    let state = match new.suppressed {
        Some(_) => NotificationState::Suppressed,
        None => NotificationState::Waiting,
    };
    let done = new.suppressed.map(|_| new.created_at_ms);
    let values = [
        new.alarm_key.as_str().into(),
        new.transition.into(),
        new.way.into(),
        new.body.as_str().into(),
        state.number().into(),
        new.created_at_ms.into(),
        new.suppressed.map_or(Value::NoBytes, Value::Text),
        new.created_at_ms.into(),
        number_or_null(done),
    ];
    session.execute(fixed(ADD), &values).await.map(drop)
}

struct AddWay<'a> {
    owner: Option<u64>,
    way: &'a NewWay,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for AddWay<'_> {
    type Output = u64;

    async fn run(&self, session: &mut P::Session) -> Result<u64, Fault> {
        let [name, kind, target, enabled] = way_values(self.way);
        let now = Value::from(self.now_ms);
        let values = [number_or_null(self.owner), name, kind, target, enabled, now, now];
        let id = session.insert(fixed(ADD_WAY), &values).await?;
        let rows = session.rows(fixed(COUNT_WAYS), &[]).await?;
        let ways: u64 = rows.first().map_or(Ok(0), |row| row.need(0))?;
        if ways > MAX_WAYS.into() {
            let detail = format!("there are {MAX_WAYS} ways of notification already");
            return Err(Fault::new(Kind::Full, detail));
        }
        Ok(id)
    }
}

struct RemoveWay {
    id: u64,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for RemoveWay {
    type Output = bool;

    async fn run(&self, session: &mut P::Session) -> Result<bool, Fault> {
        session.execute(fixed(FORGET_WAY), &[self.id.into()]).await?;
        session.execute(fixed(GIVE_UP), &[self.now_ms.into(), self.id.into()]).await?;
        session.execute(fixed(super::rules::CHANGED), &[]).await?;
        Ok(session.execute(fixed(REMOVE_WAY), &[self.id.into()]).await? > 0)
    }
}

struct Claim<'a> {
    holder: &'a str,
    now_ms: u64,
    until_ms: u64,
    limit: u32,
}

#[async_trait]
impl<P: Product> Work<P> for Claim<'_> {
    type Output = Vec<DueNotification>;

    async fn run(&self, session: &mut P::Session) -> Result<Vec<DueNotification>, Fault> {
        let now = Value::from(self.now_ms);
        let rows =
            session.rows(sql(format!("{SELECT}{DUE}")), &[now, now, self.limit.into()]).await?;
        let mut claimed = Vec::new();
        for row in &rows {
            let due = due_of(row)?;
            let values = [self.holder.into(), self.until_ms.into(), due.id.into(), now];
            if session.execute(fixed(CLAIM), &values).await? > 0 {
                claimed.push(due);
            }
        }
        Ok(claimed)
    }
}
