//! What an evaluator of rules reads and writes, in SQL (decision 0062).

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::Engine;
use super::alarms::write_change;
use super::fault::{Fault, Kind};
use super::ladder::{WIDE, rungs};
use super::outbox::add_notification;
use super::seam::{Product, Session, fixed, sql};
use super::sql::{Join, insert, or_join, placeholders};
use super::value::{Fields as _, Value};
use super::work::Work;
use crate::StoreError;
use crate::history::evaluation::{Evaluation, Mark, RULES_LEASE, StoredState, Turn};
use crate::history::marked::unpacked;

const MARKS: &str = "SELECT id, packed FROM rule_marks ORDER BY id LIMIT ?";
const COUNT: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM rule_marks LIMIT ?) counted";
const STATES: &str = "SELECT device, due_at_ms, state FROM rule_states WHERE device > ? \
    ORDER BY device LIMIT ?";
const FIRST_STATES: &str =
    "SELECT device, due_at_ms, state FROM rule_states ORDER BY device LIMIT ?";
const STATE_COLUMNS: &[&str] = &["device", "due_at_ms", "state"];
const RENEW: &str = "UPDATE leases SET until_ms = ? WHERE name = ? AND holder = ?";
/// States read at once.
const PAGE: usize = 1000;
/// States written by one statement: some hundred bytes each, some KiB with windows.
const STATE_RUNGS: &[usize] = &[100, 25, 5, 1];

#[async_trait]
impl<P: Product> Evaluation for Engine<P> {
    async fn marks(&self, limit: u32) -> Result<Vec<Mark>, StoreError> {
        let rows = self.product.rows(fixed(MARKS), &[limit.into()]).await;
        let mark = |row: &P::Row| {
            let packed = row.bytes(1)?.unwrap_or_default();
            Ok(Mark { id: row.need(0)?, rows: unpacked(&packed) })
        };
        rows.and_then(|rows| rows.iter().map(mark).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn count_marks(&self, most: u32) -> Result<u32, StoreError> {
        let rows = self.product.rows(fixed(COUNT), &[most.into()]).await;
        rows.and_then(|rows| rows.first().map_or(Ok(0), |row| row.need(0)))
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn states(&self) -> Result<Vec<StoredState>, StoreError> {
        self.read_states().await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn write_turn(
        &self,
        holder: &str,
        until_ms: u64,
        turn: &Turn,
    ) -> Result<bool, StoreError> {
        match self.transact(Write { holder, until_ms, turn }).await {
            Ok(()) => {
                if turn.notifications.iter().any(|new| new.suppressed.is_none()) {
                    self.outbox_wake.notify_one();
                }
                Ok(true)
            }
            Err(fault) if fault.kind == Kind::Missing => Ok(false),
            Err(fault) => Err(fault.into_error(P::STORE)),
        }
    }
}

impl<P: Product> Engine<P> {
    async fn read_states(&self) -> Result<Vec<StoredState>, Fault> {
        let mut states: Vec<StoredState> = Vec::new();
        let limit = Value::from(u32::try_from(PAGE).unwrap_or(u32::MAX));
        loop {
            let rows = match states.last() {
                None => self.product.rows(fixed(FIRST_STATES), &[limit]).await?,
                Some(last) => {
                    self.product.rows(fixed(STATES), &[last.device.into(), limit]).await?
                }
            };
            for row in &rows {
                states.push(StoredState {
                    device: DeviceId::new(row.need(0)?),
                    due_at_ms: row.maybe(1)?,
                    state: row.bytes(2)?.unwrap_or_default(),
                });
            }
            if rows.len() < PAGE {
                return Ok(states);
            }
        }
    }
}

struct Write<'a> {
    holder: &'a str,
    until_ms: u64,
    turn: &'a Turn,
}

#[async_trait]
impl<P: Product> Work<P> for Write<'_> {
    type Output = ();

    async fn run(&self, session: &mut P::Session) -> Result<(), Fault> {
        // First: its row is the lock that keeps two evaluators apart.
        let lease = [self.until_ms.into(), RULES_LEASE.into(), self.holder.into()];
        if session.execute(fixed(RENEW), &lease).await? == 0 {
            return Err(Fault::new(Kind::Missing, "lease on the rules"));
        }
        delete_marks(session, &self.turn.marks).await?;
        write_states::<P>(session, &self.turn.states).await?;
        for change in &self.turn.alarms {
            write_change(session, change).await?;
        }
        for notification in &self.turn.notifications {
            add_notification(session, notification).await?;
        }
        Ok(())
    }
}

async fn write_states<P: Product>(
    session: &mut P::Session,
    states: &[StoredState],
) -> Result<(), Fault> {
    let set = [("due_at_ms", Join::New), ("state", Join::New)];
    for states in rungs(states, STATE_RUNGS) {
        let values: Vec<Value<'_>> = states
            .iter()
            .flat_map(|state| {
                let due = state.due_at_ms.map_or(Value::NoNumber, Value::Number);
                [state.device.into(), due, Value::Bytes(&state.state)]
            })
            .collect();
        let text = insert("rule_states", STATE_COLUMNS, states.len());
        let text = or_join(&text, P::DIALECT, &["device"], &set);
        session.execute(sql(text), &values).await?;
    }
    Ok(())
}

/// A mark that is gone was evaluated by somebody else.
async fn delete_marks<S: Session>(session: &mut S, marks: &[u64]) -> Result<(), Fault> {
    for marks in rungs(marks, WIDE) {
        let values: Vec<Value<'_>> = marks.iter().map(|id| (*id).into()).collect();
        let text = format!("DELETE FROM rule_marks WHERE id IN ({})", placeholders(marks.len()));
        let deleted = session.execute(sql(text), &values).await?;
        if usize::try_from(deleted) != Ok(marks.len()) {
            return Err(Fault::new(Kind::Missing, "mark for the rules that was read"));
        }
    }
    Ok(())
}
