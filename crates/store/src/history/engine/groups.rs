//! The groups, their devices and their grants, in SQL.

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::Engine;
use super::fault::{Fault, Kind};
use super::ladder::{WIDE, rungs};
use super::seam::{Product, Session, fixed, sql};
use super::sql::placeholders;
use super::value::{Fields, Value};
use super::work::{Execute, Work};
use crate::StoreError;
use crate::history::accounts::MAX_GRANTS;
use crate::history::groups::{Group, Groups, MAX_GROUPS};

const ADD: &str = "INSERT INTO device_groups (name, created_at_ms) VALUES (?, ?)";
const COUNT: &str = "SELECT COUNT(*) FROM device_groups";
const LIST: &str = "SELECT g.id, g.name, g.created_at_ms, \
    (SELECT COUNT(*) FROM group_devices m WHERE m.group_id = g.id) \
    FROM device_groups g ORDER BY g.name, g.id";
const FIND: &str = "SELECT g.id, g.name, g.created_at_ms, \
    (SELECT COUNT(*) FROM group_devices m WHERE m.group_id = g.id) \
    FROM device_groups g WHERE g.id = ?";
const RENAME: &str = "UPDATE device_groups SET name = ? WHERE id = ?";
const DEVICES: &str = "SELECT device FROM group_devices WHERE group_id = ? ORDER BY device";
const MEMBERSHIPS: &str = "SELECT device, group_id FROM group_devices ORDER BY device, group_id";
/// Changes nothing where there is no such group, which is locked meanwhile.
const PUT: &str = "INSERT INTO group_devices (group_id, device, added_at_ms) \
    SELECT id, ?, ? FROM device_groups WHERE id = ?";
const TAKE: &str = "DELETE FROM group_devices WHERE group_id = ? AND device = ?";
const GRANT: &str = "INSERT INTO user_groups (user_id, group_id, granted_at_ms) \
    SELECT u.id, g.id, ? FROM users u, device_groups g WHERE u.id = ? AND g.id = ?";
const REVOKE: &str = "DELETE FROM user_groups WHERE user_id = ? AND group_id = ?";
const GRANTED: &str = "SELECT group_id FROM user_groups WHERE user_id = ? ORDER BY group_id";
const REMOVE: [&str; 3] = [
    "DELETE FROM user_groups WHERE group_id = ?",
    "DELETE FROM group_devices WHERE group_id = ?",
    "DELETE FROM device_groups WHERE id = ?",
];
/// Those who see the devices of a group, each with how many devices in all.
const SEEN_BY_MOST: &str = "SELECT COUNT(*) AS seen FROM user_groups who JOIN ( \
    SELECT user_id, device FROM user_devices \
    UNION SELECT ug.user_id, gd.device FROM user_groups ug \
    JOIN group_devices gd ON gd.group_id = ug.group_id) all_of ON all_of.user_id = who.user_id \
    WHERE who.group_id = ? GROUP BY who.user_id ORDER BY seen DESC LIMIT 1";

#[async_trait]
impl<P: Product> Groups for Engine<P> {
    async fn add(&self, name: &str, now_ms: u64) -> Result<u64, StoreError> {
        self.transact(Add { name, now_ms }).await.map_err(|fault| taken::<P>(fault, name))
    }

    async fn list(&self) -> Result<Vec<Group>, StoreError> {
        self.groups(LIST, &[]).await
    }

    async fn find(&self, id: u64) -> Result<Option<Group>, StoreError> {
        Ok(self.groups(FIND, &[id.into()]).await?.pop())
    }

    async fn rename(&self, id: u64, name: &str) -> Result<bool, StoreError> {
        let work = Execute { text: RENAME, values: &[name.into(), id.into()] };
        let renamed = self.transact(work).await;
        renamed.map(|rows| rows > 0).map_err(|fault| taken::<P>(fault, name))
    }

    async fn remove(&self, id: u64) -> Result<bool, StoreError> {
        let removed = self.transact(Remove { id }).await;
        removed.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn devices(&self, id: u64) -> Result<Vec<DeviceId>, StoreError> {
        let rows = self.product.rows(fixed(DEVICES), &[id.into()]).await;
        rows.and_then(|rows| rows.iter().map(|row| row.need(0).map(DeviceId::new)).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn memberships(&self) -> Result<Vec<(DeviceId, u64)>, StoreError> {
        self.pairs(fixed(MEMBERSHIPS), &[]).await
    }

    async fn memberships_of(
        &self,
        devices: &[DeviceId],
    ) -> Result<Vec<(DeviceId, u64)>, StoreError> {
        let mut pairs = Vec::new();
        for devices in rungs(devices, WIDE) {
            let values: Vec<Value<'_>> = devices.iter().map(|device| (*device).into()).collect();
            let text = format!(
                "SELECT device, group_id FROM group_devices WHERE device IN ({}) \
                 ORDER BY device, group_id",
                placeholders(devices.len())
            );
            pairs.extend(self.pairs(sql(text), &values).await?);
        }
        Ok(pairs)
    }

    async fn put(&self, id: u64, device: DeviceId, now_ms: u64) -> Result<bool, StoreError> {
        let values = [device.into(), now_ms.into(), id.into()];
        let missing = || format!("group {id}");
        self.show(Show { text: PUT, values: &values, group: id, missing: &missing }).await
    }

    async fn take(&self, id: u64, device: DeviceId) -> Result<bool, StoreError> {
        self.update(TAKE, &[id.into(), device.into()]).await
    }

    async fn grant(&self, user: u64, id: u64, now_ms: u64) -> Result<bool, StoreError> {
        let values = [now_ms.into(), user.into(), id.into()];
        let missing = || format!("account {user} or group {id}");
        self.show(Show { text: GRANT, values: &values, group: id, missing: &missing }).await
    }

    async fn revoke(&self, user: u64, id: u64) -> Result<bool, StoreError> {
        self.update(REVOKE, &[user.into(), id.into()]).await
    }

    async fn granted(&self, user: u64) -> Result<Vec<u64>, StoreError> {
        self.read_groups_of(user).await.map_err(|fault| fault.into_error(P::STORE))
    }
}

impl<P: Product> Engine<P> {
    /// Devices with a number each.
    async fn pairs(
        &self,
        text: sqlx::SqlStr,
        values: &[Value<'_>],
    ) -> Result<Vec<(DeviceId, u64)>, StoreError> {
        let rows = self.product.rows(text, values).await;
        let pair = |row: &P::Row| Ok((DeviceId::new(row.need(0)?), row.need(1)?));
        rows.and_then(|rows| rows.iter().map(pair).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn groups(
        &self,
        text: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Group>, StoreError> {
        let rows = self.product.rows(fixed(text), values).await;
        rows.and_then(|rows| rows.iter().map(group_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn show(&self, work: Show<'_>) -> Result<bool, StoreError> {
        match self.transact(work).await {
            Ok(()) => Ok(true),
            Err(fault) if fault.kind == Kind::Taken => Ok(false),
            Err(fault) => Err(fault.into_error(P::STORE)),
        }
    }

    /// The groups granted to a person.
    pub(in crate::history) async fn read_groups_of(&self, user: u64) -> Result<Vec<u64>, Fault> {
        let rows = self.product.rows(fixed(GRANTED), &[user.into()]).await?;
        rows.iter().map(|row| row.need(0)).collect()
    }
}

fn taken<P: Product>(fault: Fault, name: &str) -> StoreError {
    match fault.kind {
        Kind::Taken => StoreError::Exists(format!("the group {name}")),
        _ => fault.into_error(P::STORE),
    }
}

fn group_of(row: &impl Fields) -> Result<Group, Fault> {
    Ok(Group {
        id: row.need(0)?,
        name: row.text(1)?,
        created_at_ms: row.need(2)?,
        devices: row.need(3)?,
    })
}

/// Makes a group unless there are too many.
struct Add<'a> {
    name: &'a str,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Add<'_> {
    type Output = u64;

    async fn run(&self, session: &mut P::Session) -> Result<u64, Fault> {
        let id = session.insert(fixed(ADD), &[self.name.into(), self.now_ms.into()]).await?;
        let rows = session.rows(fixed(COUNT), &[]).await?;
        let groups: u64 = rows.first().map_or(Ok(0), |row| row.need(0))?;
        if groups > MAX_GROUPS.into() {
            return Err(Fault::new(Kind::Full, format!("there are {MAX_GROUPS} groups already")));
        }
        Ok(id)
    }
}

/// Deletes a group with all that hangs on it.
struct Remove {
    id: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Remove {
    type Output = bool;

    async fn run(&self, session: &mut P::Session) -> Result<bool, Fault> {
        let mut removed = 0;
        for text in REMOVE {
            removed = session.execute(fixed(text), &[self.id.into()]).await?;
        }
        Ok(removed > 0)
    }
}

/// Lets people see more devices, unless they are too many then.
struct Show<'a> {
    text: &'static str,
    values: &'a [Value<'a>],
    group: u64,
    missing: &'a (dyn Fn() -> String + Send + Sync),
}

#[async_trait]
impl<P: Product> Work<P> for Show<'_> {
    type Output = ();

    async fn run(&self, session: &mut P::Session) -> Result<(), Fault> {
        if session.execute(fixed(self.text), self.values).await? == 0 {
            return Err(Fault::new(Kind::Missing, (self.missing)()));
        }
        let rows = session.rows(fixed(SEEN_BY_MOST), &[self.group.into()]).await?;
        let most: u64 = rows.first().map_or(Ok(0), |row| row.need(0))?;
        if most > MAX_GRANTS.into() {
            let detail = format!("an account would see more than {MAX_GRANTS} devices");
            return Err(Fault::new(Kind::Full, detail));
        }
        Ok(())
    }
}
