//! The commands, in SQL.

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::Engine;
use super::fault::Fault;
use super::ladder::rungs;
use super::seam::{Product, Session as _, fixed, sql};
use super::sql::placeholders;
use super::value::{Fields, Value};
use super::work::{Execute, Work};
use crate::StoreError;
use crate::history::commands::{
    ClaimedCommand, Command, CommandState, CommandStep, Commands, MAX_ANSWER_BYTES,
    MAX_CLAIMED_COMMANDS, MAX_OPEN_COMMANDS, NewCommand, OpenCommands,
};

const COUNT: &str = "SELECT COUNT(*) FROM device_commands \
    WHERE is_open = 1 AND device = ? AND expires_at_ms > ?";
const ADD: &str = "INSERT INTO device_commands (device, payload, state, is_open, user_id, \
    asked_by, created_at_ms, expires_at_ms) VALUES (?, ?, 'queued', 1, ?, ?, ?, ?)";
const ONE: &str = "SELECT id, device, payload, state, reason, answer, user_id, asked_by, \
    created_at_ms, expires_at_ms, sent_at_ms, closed_at_ms, attempts, is_open FROM device_commands \
    WHERE device = ? AND id = ?";
const OF_DEVICE: &str = "SELECT id, device, payload, state, reason, answer, user_id, asked_by, \
    created_at_ms, expires_at_ms, sent_at_ms, closed_at_ms, attempts, is_open FROM device_commands \
    WHERE device = ? AND id < ? ORDER BY id DESC LIMIT ?";
const WITHDRAW: &str = "UPDATE device_commands SET state = 'failed', reason = ?, is_open = 0, \
    closed_at_ms = ? WHERE device = ? AND id = ? AND is_open = 1";
const OPEN: &str = "SELECT COUNT(*), MIN(expires_at_ms) FROM device_commands WHERE is_open = 1";
const WAITING: &str = "SELECT DISTINCT device FROM device_commands WHERE is_open = 1 \
    AND device >= ? AND held_until_ms <= ? AND expires_at_ms > ? ORDER BY device LIMIT ?";
/// Its devices and the rest of its condition follow.
const CLAIMABLE: &str = "SELECT id, device, payload, expires_at_ms FROM device_commands \
    WHERE is_open = 1 AND device IN";
const CLAIM: &str = "UPDATE device_commands SET holder = ?, held_until_ms = ? \
    WHERE id = ? AND is_open = 1 AND held_until_ms <= ?";
const RENEW: &str = "UPDATE device_commands SET held_until_ms = ? \
    WHERE is_open = 1 AND holder = ? AND held_until_ms > 0";
const RELEASE_ALL: &str =
    "UPDATE device_commands SET held_until_ms = 0 WHERE is_open = 1 AND held_until_ms > 0";
const SENT: &str = "UPDATE device_commands SET state = 'sent', sent_at_ms = ?, \
    attempts = attempts + 1 WHERE id = ? AND is_open = 1";
const SENT_FOR_GOOD: &str = "UPDATE device_commands SET state = 'sent', sent_at_ms = ?, \
    attempts = attempts + 1, is_open = 0 WHERE id = ? AND is_open = 1";
const ANSWERED: &str = "UPDATE device_commands SET state = 'answered', answer = ?, \
    is_open = 0, closed_at_ms = ? WHERE id = ? AND is_open = 1";
const FAILED: &str = "UPDATE device_commands SET state = 'failed', reason = ?, is_open = 0, \
    closed_at_ms = ? WHERE id = ? AND is_open = 1";
const RELEASED: &str = "UPDATE device_commands SET holder = '', held_until_ms = ? \
    WHERE id = ? AND is_open = 1 AND holder = ?";
const EXPIRE: &str = "UPDATE device_commands SET state = 'expired', is_open = 0, \
    closed_at_ms = ? WHERE is_open = 1 AND expires_at_ms <= ? AND held_until_ms <= ?";
const OLD: &str = "SELECT id FROM device_commands \
    WHERE created_at_ms < ? AND is_open = 0 ORDER BY created_at_ms LIMIT 2000";
const FORGET: &str = "DELETE FROM device_commands WHERE id = ?";
/// Devices of one claim's statements.
const DEVICES: &[usize] = &[500, 100, 20, 4, 1];

#[async_trait]
impl<P: Product> Commands for Engine<P> {
    async fn add(&self, command: NewCommand<'_>, now_ms: u64) -> Result<Option<u64>, StoreError> {
        self.transact(Add { command, now_ms }).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn get(&self, device: DeviceId, id: u64) -> Result<Option<Command>, StoreError> {
        Ok(self.commands(ONE, &[device.into(), id.into()]).await?.pop())
    }

    async fn of_device(
        &self,
        device: DeviceId,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Command>, StoreError> {
        // The largest number that both products read.
        let below = below.unwrap_or(i64::MAX.unsigned_abs());
        self.commands(OF_DEVICE, &[device.into(), below.into(), limit.into()]).await
    }

    async fn withdraw(
        &self,
        device: DeviceId,
        id: u64,
        reason: &'static str,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        let values = [reason.into(), now_ms.into(), device.into(), id.into()];
        self.update(WITHDRAW, &values).await
    }

    async fn open(&self) -> Result<OpenCommands, StoreError> {
        let rows = self.product.rows(fixed(OPEN), &[]).await;
        let open = rows.and_then(|rows| match rows.first() {
            Some(row) => {
                Ok(OpenCommands { count: row.need(0)?, first_expires_at_ms: row.maybe(1)? })
            }
            None => Ok(OpenCommands::default()),
        });
        open.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn waiting(
        &self,
        after: Option<DeviceId>,
        limit: u32,
        now_ms: u64,
    ) -> Result<Vec<DeviceId>, StoreError> {
        // Behind the last number of all there is none, and 2^32 fits the column's comparison.
        let from = after.map_or(0, |device| u64::from(device.number()) + 1);
        let values = [from.into(), now_ms.into(), now_ms.into(), limit.into()];
        let rows = self.product.rows(fixed(WAITING), &values).await;
        rows.and_then(|rows| rows.iter().map(|row| needed_device(row, 0)).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn claim(
        &self,
        devices: &[DeviceId],
        holder: &str,
        now_ms: u64,
        until_ms: u64,
    ) -> Result<Vec<ClaimedCommand>, StoreError> {
        let claim = Claim { devices, holder, now_ms, until_ms };
        self.transact(claim).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn renew(&self, holder: &str, until_ms: u64) -> Result<(), StoreError> {
        self.update(RENEW, &[until_ms.into(), holder.into()]).await.map(drop)
    }

    async fn release_all(&self) -> Result<(), StoreError> {
        self.update(RELEASE_ALL, &[]).await.map(drop)
    }

    async fn note(
        &self,
        holder: &str,
        steps: &[(u64, CommandStep)],
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let note = Note { holder, steps, now_ms };
        self.transact(note).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn expire(&self, now_ms: u64) -> Result<u64, StoreError> {
        let values = [now_ms.into(), now_ms.into(), now_ms.into()];
        let expired = self.transact(Execute { text: EXPIRE, values: &values }).await;
        expired.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn forget(&self, before_ms: u64) -> Result<u64, StoreError> {
        let forgotten = self.transact(Forget { before_ms }).await;
        forgotten.map_err(|fault| fault.into_error(P::STORE))
    }
}

impl<P: Product> Engine<P> {
    async fn commands(
        &self,
        text: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Command>, StoreError> {
        let rows = self.product.rows(fixed(text), values).await;
        rows.and_then(|rows| rows.iter().map(command_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }
}

/// Adds a command unless there are too many.
struct Add<'a> {
    command: NewCommand<'a>,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Add<'_> {
    type Output = Option<u64>;

    async fn run(&self, session: &mut P::Session) -> Result<Option<u64>, Fault> {
        let NewCommand { device, payload, user_id, asked_by, expires_at_ms } = self.command;
        let open = session.rows(fixed(COUNT), &[device.into(), self.now_ms.into()]).await?;
        let open: u64 = open.first().map_or(Ok(0), |row| row.need(0))?;
        if open >= MAX_OPEN_COMMANDS.into() {
            return Ok(None);
        }
        let values = [
            device.into(),
            payload.into(),
            user_id.into(),
            asked_by.into(),
            self.now_ms.into(),
            expires_at_ms.into(),
        ];
        session.insert(fixed(ADD), &values).await.map(Some)
    }
}

/// Claims commands: each by a statement that finds it still unclaimed.
struct Claim<'a> {
    devices: &'a [DeviceId],
    holder: &'a str,
    now_ms: u64,
    until_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Claim<'_> {
    type Output = Vec<ClaimedCommand>;

    async fn run(&self, session: &mut P::Session) -> Result<Vec<ClaimedCommand>, Fault> {
        let mut found = Vec::new();
        for devices in rungs(self.devices, DEVICES) {
            let text = format!(
                "{CLAIMABLE} ({}) AND held_until_ms <= ? AND expires_at_ms > ? ORDER BY id LIMIT ?",
                placeholders(devices.len())
            );
            let most = MAX_CLAIMED_COMMANDS - u32::try_from(found.len()).unwrap_or(0);
            let values: Vec<Value<'_>> = devices
                .iter()
                .map(|device| (*device).into())
                .chain([self.now_ms.into(), self.now_ms.into(), most.into()])
                .collect();
            for row in &session.rows(sql(text), &values).await? {
                found.push(ClaimedCommand {
                    id: row.need(0)?,
                    device: needed_device(row, 1)?,
                    payload: row.bytes(2)?.unwrap_or_default(),
                    expires_at_ms: row.need(3)?,
                });
            }
        }
        // In the order in which they were asked for, also across statements.
        found.sort_unstable_by_key(|command| command.id);
        let mut claimed = Vec::with_capacity(found.len());
        for command in found {
            let values =
                [self.holder.into(), self.until_ms.into(), command.id.into(), self.now_ms.into()];
            if session.execute(fixed(CLAIM), &values).await? > 0 {
                claimed.push(command);
            }
        }
        Ok(claimed)
    }
}

/// Notes what became of commands.
struct Note<'a> {
    holder: &'a str,
    steps: &'a [(u64, CommandStep)],
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Note<'_> {
    type Output = ();

    async fn run(&self, session: &mut P::Session) -> Result<(), Fault> {
        let now = Value::from(self.now_ms);
        for (id, step) in self.steps {
            let id = Value::from(*id);
            match step {
                CommandStep::Sent => session.execute(fixed(SENT), &[now, id]).await,
                CommandStep::SentForGood => session.execute(fixed(SENT_FOR_GOOD), &[now, id]).await,
                CommandStep::Answered(answer) => {
                    let answer = answer.as_deref();
                    let kept = answer.map(|bytes| &bytes[..bytes.len().min(MAX_ANSWER_BYTES)]);
                    session.execute(fixed(ANSWERED), &[kept.into(), now, id]).await
                }
                CommandStep::Failed(reason) => {
                    session.execute(fixed(FAILED), &[(*reason).into(), now, id]).await
                }
                CommandStep::Released(from_ms) => {
                    let values = [(*from_ms).into(), id, self.holder.into()];
                    session.execute(fixed(RELEASED), &values).await
                }
            }?;
        }
        Ok(())
    }
}

/// Removes old closed commands, a bounded number.
struct Forget {
    before_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Forget {
    type Output = u64;

    async fn run(&self, session: &mut P::Session) -> Result<u64, Fault> {
        let mut removed = 0;
        for row in &session.rows(fixed(OLD), &[self.before_ms.into()]).await? {
            let id: u64 = row.need(0)?;
            removed += session.execute(fixed(FORGET), &[id.into()]).await?;
        }
        Ok(removed)
    }
}

fn needed_device(row: &impl Fields, column: usize) -> Result<DeviceId, Fault> {
    row.device(column)?.ok_or_else(|| Fault::column(column, "holds no device"))
}

fn command_of(row: &impl Fields) -> Result<Command, Fault> {
    let state = row.text(3)?;
    Ok(Command {
        id: row.need(0)?,
        device: needed_device(row, 1)?,
        payload: row.bytes(2)?.unwrap_or_default(),
        state: CommandState::from_name(&state)
            .ok_or_else(|| Fault::column(3, &format!("is no state of a command: {state}")))?,
        reason: row.text(4)?,
        answer: row.bytes(5)?,
        user_id: row.need(6)?,
        asked_by: row.text(7)?,
        created_at_ms: row.need(8)?,
        expires_at_ms: row.need(9)?,
        sent_at_ms: row.maybe(10)?,
        closed_at_ms: row.maybe(11)?,
        attempts: row.need(12)?,
        is_open: row.need::<u64>(13)? != 0,
    })
}
