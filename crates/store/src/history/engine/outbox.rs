//! Notifications, in SQL.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::Engine;
use super::channels::{optional_text, text_or_null};
use super::fault::{Fault, Kind};
use super::ladder::{WIDE, rungs};
use super::receivers::read_receiver;
use super::rules::number_or_null;
use super::seam::{Product, Session, fixed, sql};
use super::sql::placeholders;
use super::value::{Fields, Value};
use super::work::Work;
use crate::StoreError;
use crate::history::evaluation::NewNotification;
use crate::history::outbox::{
    Claimed, DueNotification, ListedNotification, MAX_LISTED_NOTIFICATIONS, NotificationBooks,
    NotificationFilter, NotificationState, Outbox, Outcome, ReceiverHealth, Standing,
};

const HOUR_MS: u64 = 3_600_000;
const ADD: &str = "INSERT INTO outbox (alarm_key, alarm_id, transition, receiver_id, body, state, \
    attempts, next_at_ms, reason, created_at_ms, done_at_ms) VALUES (?, (SELECT id FROM alarms \
    WHERE rule_id = ? AND rule_version = ? AND device = ? AND episode = ?), ?, ?, ?, ?, 0, ?, ?, \
    ?, ?)";
const COLUMNS: &str = "o.id, o.alarm_key, o.alarm_id, o.transition, o.receiver_id, o.body, \
    o.group_key, o.attempts, o.created_at_ms";
const SELECT: &str = ", o.state, o.next_at_ms, o.last_error, o.reason, o.done_at_ms FROM outbox o";
const DUE_RECEIVERS: &str = "SELECT r.id, r.kind FROM receivers r WHERE r.claimed_until_ms < ? \
    AND r.paused_until_ms <= ? AND EXISTS (SELECT 1 FROM outbox o WHERE o.receiver_id = r.id \
    AND o.state = 0 AND o.next_at_ms <= ?) ORDER BY r.id";
const CLAIM: &str = "UPDATE receivers SET claimed_by = ?, claimed_until_ms = ? \
    WHERE id = ? AND (claimed_until_ms < ? OR claimed_by = ?)";
/// Nobody but the holder changes what is claimed; the row locks out who takes it over meanwhile.
const HOLDS: &str = "UPDATE receivers SET claimed_by = ? WHERE id = ? AND claimed_by = ?";
const DUE: &str = ", (SELECT COUNT(*) FROM outbox e WHERE e.alarm_key = o.alarm_key \
    AND e.receiver_id = o.receiver_id AND e.id < o.id AND e.state = 1), \
    (SELECT MAX(e.next_at_ms) FROM outbox e WHERE e.alarm_key = o.alarm_key \
    AND e.receiver_id = o.receiver_id AND e.id < o.id AND e.state = 0), \
    a.acknowledged_at_ms IS NOT NULL, a.silenced_until_ms, a.cleared_at_ms IS NOT NULL \
    FROM outbox o LEFT JOIN alarms a ON a.id = o.alarm_id WHERE o.receiver_id = ? AND o.state = 0 AND o.next_at_ms <= ? \
    ORDER BY o.group_key IS NULL, o.group_key, o.id LIMIT ?";
const SENT: &str = "SELECT COUNT(DISTINCT COALESCE(group_key, id)) FROM outbox \
    WHERE receiver_id = ? AND state = 1 AND done_at_ms > ?";
const HEALTH: &str = "UPDATE receivers SET failures = ?, paused_until_ms = ?, last_error = ?, \
    last_delivered_at_ms = COALESCE(?, last_delivered_at_ms) WHERE id = ?";
const SETTLE: &str = "UPDATE outbox SET state = ?, attempts = attempts + ?, next_at_ms = ?, \
    last_error = COALESCE(?, last_error), reason = ?, done_at_ms = ? WHERE id = ? AND state = 0";
const RELEASE: &str = "UPDATE receivers SET claimed_by = '', claimed_until_ms = 0 \
    WHERE id = ? AND claimed_by = ?";
const RELEASE_ALL: &str = "UPDATE receivers SET claimed_by = '', claimed_until_ms = 0";
const AGAIN: &str = "UPDATE outbox SET state = 0, attempts = 0, next_at_ms = ?, group_key = NULL, \
    reason = NULL, done_at_ms = NULL WHERE id = ? AND state = 3";
const OPENED: &str = "SELECT created_at_ms, state FROM outbox WHERE receiver_id = ? \
    AND alarm_key > ? AND alarm_key < ? AND transition = 'opened' AND created_at_ms >= ? \
    ORDER BY id DESC LIMIT ?";
const WAITING: &str =
    "SELECT receiver_id, COUNT(*) FROM outbox WHERE state = 0 GROUP BY receiver_id";
const BOOKS: &str = "SELECT state, COUNT(*) FROM outbox GROUP BY state";
const OLD: &str = "SELECT id FROM outbox WHERE state IN (1, 2, 3) AND done_at_ms < ? LIMIT ?";

#[async_trait]
impl<P: Product> Outbox for Engine<P> {
    async fn due_receivers(&self, now_ms: u64) -> Result<Vec<(u64, String)>, StoreError> {
        let now = Value::from(now_ms);
        let rows = self.product.rows(fixed(DUE_RECEIVERS), &[now, now, now]).await;
        rows.and_then(|rows| rows.iter().map(|row| Ok((row.need(0)?, row.text(1)?))).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn claim(
        &self,
        receiver: u64,
        holder: &str,
        now_ms: u64,
        until_ms: u64,
        limit: u32,
    ) -> Result<Option<Claimed>, StoreError> {
        let claimed = self.transact(Claim { receiver, holder, now_ms, until_ms, limit }).await;
        claimed.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn group(
        &self,
        receiver: u64,
        holder: &str,
        ids: &[u64],
        key: &str,
    ) -> Result<bool, StoreError> {
        held(self.transact(Group { receiver, holder, ids, key }).await, P::STORE)
    }

    async fn settle(
        &self,
        receiver: u64,
        holder: &str,
        now_ms: u64,
        outcomes: &[(u64, Outcome)],
        health: Option<&ReceiverHealth>,
    ) -> Result<bool, StoreError> {
        let work = Settle { receiver, holder, now_ms, outcomes, health };
        held(self.transact(work).await, P::STORE)
    }

    async fn release(&self, receiver: u64, holder: &str) -> Result<(), StoreError> {
        self.update(RELEASE, &[receiver.into(), holder.into()]).await.map(drop)
    }

    async fn release_all_receivers(&self) -> Result<(), StoreError> {
        self.update(RELEASE_ALL, &[]).await.map(drop)
    }

    async fn send_again(&self, id: u64, now_ms: u64) -> Result<bool, StoreError> {
        self.update(AGAIN, &[now_ms.into(), id.into()]).await
    }

    async fn opened(
        &self,
        receiver: u64,
        alarms: &str,
        since_ms: u64,
        limit: u32,
    ) -> Result<Vec<(u64, NotificationState)>, StoreError> {
        // Episodes are digits, before which `/` comes and after which `:`.
        let (from, to) = (format!("{alarms}/"), format!("{alarms}:"));
        let values = [
            receiver.into(),
            from.as_str().into(),
            to.as_str().into(),
            since_ms.into(),
            limit.into(),
        ];
        let rows = self.product.rows(fixed(OPENED), &values).await;
        let opened = |row: &P::Row| Ok((row.need(0)?, state_of(row, 1)?));
        rows.and_then(|rows| rows.iter().map(opened).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn notification(&self, id: u64) -> Result<Option<ListedNotification>, StoreError> {
        let text = format!("SELECT {COLUMNS}{SELECT} WHERE o.id = ?");
        let rows = self.product.rows(sql(text), &[id.into()]).await;
        rows.and_then(|rows| rows.first().map(listed_of).transpose())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn notifications(
        &self,
        filter: &NotificationFilter,
    ) -> Result<Vec<ListedNotification>, StoreError> {
        if filter.receivers.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let (text, values) = listing(filter);
        let rows = self.product.rows(sql(text), &values).await;
        rows.and_then(|rows| rows.iter().map(listed_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn waiting(&self) -> Result<BTreeMap<u64, u64>, StoreError> {
        let rows = self.product.rows(fixed(WAITING), &[]).await;
        rows.and_then(|rows| rows.iter().map(|row| Ok((row.need(0)?, row.need(1)?))).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn notification_books(&self) -> Result<NotificationBooks, StoreError> {
        let rows = self.product.rows(fixed(BOOKS), &[]).await;
        rows.and_then(|rows| books_of(&rows)).map_err(|fault| fault.into_error(P::STORE))
    }

    async fn forget_notifications(&self, before_ms: u64, limit: u32) -> Result<u64, StoreError> {
        let forgotten = self.transact(Forget { before_ms, limit }).await;
        forgotten.map_err(|fault| fault.into_error(P::STORE))
    }
}

/// `false` where the claim was lost.
fn held(done: Result<(), Fault>, store: &'static str) -> Result<bool, StoreError> {
    match done {
        Ok(()) => Ok(true),
        Err(fault) if fault.kind == Kind::Missing => Ok(false),
        Err(fault) => Err(fault.into_error(store)),
    }
}

fn listing(filter: &NotificationFilter) -> (String, Vec<Value<'_>>) {
    let NotificationFilter { before, state, receivers, alarm, limit } = filter;
    let mut text = format!("SELECT {COLUMNS}{SELECT} WHERE o.id < ?");
    let mut values = vec![Value::from(before.unwrap_or(i64::MAX.unsigned_abs()))];
    if let Some(state) = state {
        text.push_str(" AND o.state = ?");
        values.push(state.number().into());
    }
    if let Some(receivers) = receivers {
        text.push_str(" AND o.receiver_id IN (");
        text.push_str(&placeholders(receivers.len()));
        text.push(')');
        values.extend(receivers.iter().map(|id| Value::from(*id)));
    }
    if let Some(alarm) = alarm {
        text.push_str(" AND o.alarm_id = ?");
        values.push((*alarm).into());
    }
    text.push_str(" ORDER BY o.id DESC LIMIT ?");
    values.push((*limit).clamp(1, MAX_LISTED_NOTIFICATIONS).into());
    (text, values)
}

fn due_of(row: &impl Fields) -> Result<DueNotification, Fault> {
    Ok(DueNotification {
        id: row.need(0)?,
        alarm_key: row.text(1)?,
        alarm: row.maybe(2)?,
        transition: row.text(3)?,
        receiver: row.need(4)?,
        body: row.text(5)?,
        group: optional_text(row, 6)?,
        attempts: row.need(7)?,
        created_at_ms: row.need(8)?,
    })
}

fn listed_of(row: &impl Fields) -> Result<ListedNotification, Fault> {
    Ok(ListedNotification {
        notification: due_of(row)?,
        state: state_of(row, 9)?,
        next_at_ms: row.need(10)?,
        last_error: optional_text(row, 11)?,
        reason: optional_text(row, 12)?,
        done_at_ms: row.maybe(13)?,
    })
}

fn state_of(row: &impl Fields, column: usize) -> Result<NotificationState, Fault> {
    let state = NotificationState::from_number(row.need(column)?);
    state.ok_or_else(|| Fault::column(column, "is no state of a notification"))
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

/// Writes a notification in a transaction, after its alarm.
pub(super) async fn add_notification<S: Session>(
    session: &mut S,
    new: &NewNotification,
) -> Result<(), Fault> {
    let state = match new.suppressed {
        Some(_) => NotificationState::Suppressed,
        None => NotificationState::Waiting,
    };
    let (alarm, key) = (&new.alarm, new.alarm.text());
    let values = [
        key.as_str().into(),
        alarm.rule.into(),
        alarm.version.into(),
        alarm.device.into(),
        alarm.episode.into(),
        new.transition.into(),
        new.receiver.into(),
        new.body.as_str().into(),
        state.number().into(),
        new.created_at_ms.into(),
        text_or_null(new.suppressed),
        new.created_at_ms.into(),
        number_or_null(new.suppressed.map(|_| new.created_at_ms)),
    ];
    session.execute(fixed(ADD), &values).await.map(drop)
}

/// Fails unless the holder has the receiver.
async fn check_claim<S: Session>(
    session: &mut S,
    receiver: u64,
    holder: &str,
) -> Result<(), Fault> {
    let values = [holder.into(), receiver.into(), holder.into()];
    if session.execute(fixed(HOLDS), &values).await? == 0 {
        return Err(Fault::new(Kind::Missing, "claim of a receiver"));
    }
    Ok(())
}

struct Claim<'a> {
    receiver: u64,
    holder: &'a str,
    now_ms: u64,
    until_ms: u64,
    limit: u32,
}

#[async_trait]
impl<P: Product> Work<P> for Claim<'_> {
    type Output = Option<Claimed>;

    async fn run(&self, session: &mut P::Session) -> Result<Option<Claimed>, Fault> {
        let Self { receiver: id, holder, now_ms, until_ms, limit } = *self;
        let values = [holder.into(), until_ms.into(), id.into(), now_ms.into(), holder.into()];
        if session.execute(fixed(CLAIM), &values).await? == 0 {
            return Ok(None);
        }
        let Some(receiver) = read_receiver(session, id).await? else { return Ok(None) };
        let text = format!("SELECT {COLUMNS}{DUE}");
        let rows = session.rows(sql(text), &[id.into(), now_ms.into(), limit.into()]).await?;
        let due = |row: &<P::Session as Session>::Row| {
            let standing = Standing {
                delivered: row.need(9)?,
                waits_until_ms: row.maybe(10)?,
                acknowledged: row.need::<u8>(11)? == 1,
                silenced_until_ms: row.maybe(12)?.unwrap_or_default(),
                over: row.need::<u8>(13)? == 1,
            };
            Ok((due_of(row)?, standing))
        };
        let due = rows.iter().map(due).collect::<Result<_, Fault>>()?;
        let since = now_ms.saturating_sub(HOUR_MS);
        let rows = session.rows(fixed(SENT), &[id.into(), since.into()]).await?;
        let sent_last_hour = rows.first().map_or(Ok(0), |row| row.need(0))?;
        Ok(Some(Claimed { receiver, due, sent_last_hour }))
    }
}

struct Group<'a> {
    receiver: u64,
    holder: &'a str,
    ids: &'a [u64],
    key: &'a str,
}

#[async_trait]
impl<P: Product> Work<P> for Group<'_> {
    type Output = ();

    async fn run(&self, session: &mut P::Session) -> Result<(), Fault> {
        check_claim(session, self.receiver, self.holder).await?;
        for ids in rungs(self.ids, WIDE) {
            let list = placeholders(ids.len());
            let text =
                format!("UPDATE outbox SET group_key = ? WHERE state = 0 AND id IN ({list})");
            let mut values = vec![self.key.into()];
            values.extend(ids.iter().map(|id| Value::from(*id)));
            session.execute(sql(text), &values).await?;
        }
        Ok(())
    }
}

struct Settle<'a> {
    receiver: u64,
    holder: &'a str,
    now_ms: u64,
    outcomes: &'a [(u64, Outcome)],
    health: Option<&'a ReceiverHealth>,
}

#[async_trait]
impl<P: Product> Work<P> for Settle<'_> {
    type Output = ();

    async fn run(&self, session: &mut P::Session) -> Result<(), Fault> {
        check_claim(session, self.receiver, self.holder).await?;
        if let Some(ReceiverHealth { failures, paused_until_ms, last_error }) = self.health {
            let delivered = last_error.is_none().then_some(self.now_ms);
            let values = [
                (*failures).into(),
                (*paused_until_ms).into(),
                text_or_null(last_error.as_deref()),
                number_or_null(delivered),
                self.receiver.into(),
            ];
            session.execute(fixed(HEALTH), &values).await?;
        }
        for (id, outcome) in self.outcomes {
            session.execute(fixed(SETTLE), &settled(*id, outcome, self.now_ms)).await?;
        }
        Ok(())
    }
}

fn settled(id: u64, outcome: &Outcome, now_ms: u64) -> [Value<'_>; 7] {
    let (state, attempts, next_at_ms, error, reason) = match outcome {
        Outcome::Delivered => (NotificationState::Delivered, 1_u8, now_ms, None, None),
        Outcome::Again { at_ms, error } => {
            (NotificationState::Waiting, 1, *at_ms, Some(error.as_str()), None)
        }
        Outcome::Held { at_ms, reason } => {
            (NotificationState::Waiting, 0, *at_ms, None, Some(*reason))
        }
        Outcome::Suppressed { reason } => {
            (NotificationState::Suppressed, 0, now_ms, None, Some(*reason))
        }
        Outcome::Failed { error } => {
            (NotificationState::Failed, 1, now_ms, Some(error.as_str()), None)
        }
    };
    let done = (state != NotificationState::Waiting).then_some(now_ms);
    [
        state.number().into(),
        attempts.into(),
        next_at_ms.into(),
        text_or_null(error),
        text_or_null(reason),
        number_or_null(done),
        id.into(),
    ]
}

struct Forget {
    before_ms: u64,
    limit: u32,
}

#[async_trait]
impl<P: Product> Work<P> for Forget {
    type Output = u64;

    async fn run(&self, session: &mut P::Session) -> Result<u64, Fault> {
        let rows = session.rows(fixed(OLD), &[self.before_ms.into(), self.limit.into()]).await?;
        let ids = rows.iter().map(|row| row.need(0)).collect::<Result<Vec<u64>, Fault>>()?;
        let mut forgotten = 0;
        for ids in rungs(&ids, WIDE) {
            let text = format!("DELETE FROM outbox WHERE id IN ({})", placeholders(ids.len()));
            let values: Vec<Value<'_>> = ids.iter().map(|id| (*id).into()).collect();
            forgotten += session.execute(sql(text), &values).await?;
        }
        Ok(forgotten)
    }
}
