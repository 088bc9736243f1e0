//! The rules, their devices and their receivers, in SQL. Each change makes the number in `rule_changes`
//! grow in the same transaction.

use std::collections::BTreeMap;

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::Engine;
use super::fault::{Fault, Kind};
use super::rule_marks::CHANGES;
use super::seam::{Product, Session, fixed, sql};
use super::value::{Fields, Value};
use super::work::Work;
use crate::StoreError;
use crate::history::rules::{MAX_RULES, NewRule, RuleScope, Rules, StoredGeofence, StoredRule};

pub(super) const CHANGED: &str = "UPDATE rule_changes SET number = number + 1 WHERE id = 1";
const SELECT: &str = "SELECT id, owner, version, name, severity, spec, scope_all, scope_group, \
    enabled, created_at_ms, updated_at_ms FROM rules";
const ADD: &str = "INSERT INTO rules (owner, name, severity, spec, scope_all, scope_group, enabled, \
    version, created_at_ms, updated_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?)";
const COUNT: &str = "SELECT COUNT(*) FROM rules";
const CHANGE: &str = "UPDATE rules SET name = ?, severity = ?, spec = ?, scope_all = ?, \
    scope_group = ?, enabled = ?, version = version + 1, updated_at_ms = ? WHERE id = ?";
const REMOVE: &str = "DELETE FROM rules WHERE id = ?";
const FORGET_DEVICES: &str = "DELETE FROM rule_devices WHERE rule_id = ?";
const FORGET_RECEIVERS: &str = "DELETE FROM rule_receivers WHERE rule_id = ?";
const ADD_DEVICE: &str = "INSERT INTO rule_devices (rule_id, device) VALUES (?, ?)";
const ADD_RECEIVER: &str = "INSERT INTO rule_receivers (rule_id, receiver_id) VALUES (?, ?)";
const COUNT_GEOFENCES_OF: &str = "SELECT COUNT(*) FROM geofences WHERE owner = ?";
const DEVICES: &str = "SELECT rule_id, device FROM rule_devices ORDER BY rule_id, device";
const RECEIVERS: &str =
    "SELECT rule_id, receiver_id FROM rule_receivers ORDER BY rule_id, receiver_id";

#[async_trait]
impl<P: Product> Rules for Engine<P> {
    async fn changes(&self) -> Result<u64, StoreError> {
        let rows = self.product.rows(fixed(CHANGES), &[]).await;
        rows.and_then(|rows| rows.first().map_or(Ok(0), |row| row.need(0)))
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn rules(&self) -> Result<Vec<StoredRule>, StoreError> {
        self.read_rules("", &[]).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn rule(&self, id: u64) -> Result<Option<StoredRule>, StoreError> {
        let rules = self.read_rules(" WHERE id = ?", &[id.into()]).await;
        rules.map(|mut rules| rules.pop()).map_err(|fault| fault.into_error(P::STORE))
    }

    async fn add_rule(
        &self,
        owner: Option<u64>,
        rule: &NewRule,
        now_ms: u64,
    ) -> Result<u64, StoreError> {
        let added = self.transact(Add { owner, rule, now_ms }).await;
        self.concerned.forget();
        added.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn change_rule(&self, id: u64, rule: &NewRule, now_ms: u64) -> Result<bool, StoreError> {
        let changed = self.transact(Change { id, rule, now_ms }).await;
        self.concerned.forget();
        changed.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn remove_rule(&self, id: u64) -> Result<bool, StoreError> {
        let removed = self.transact(Remove { id }).await;
        self.concerned.forget();
        removed.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn geofences(&self) -> Result<Vec<StoredGeofence>, StoreError> {
        self.read_geofences("", &[]).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn geofences_after(
        &self,
        after: u64,
        of: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredGeofence>, StoreError> {
        let page = self.read_geofence_page(after, of, limit).await;
        page.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn count_geofences_of(&self, owner: u64) -> Result<u64, StoreError> {
        let rows = self.product.rows(fixed(COUNT_GEOFENCES_OF), &[owner.into()]).await;
        rows.and_then(|rows| rows.first().map_or(Ok(0), |row| row.need(0)))
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn geofence(&self, id: u64) -> Result<Option<StoredGeofence>, StoreError> {
        let fences = self.read_geofences(" WHERE id = ?", &[id.into()]).await;
        fences.map(|mut fences| fences.pop()).map_err(|fault| fault.into_error(P::STORE))
    }

    async fn add_geofence(
        &self,
        owner: Option<u64>,
        name: &str,
        geojson: &str,
        now_ms: u64,
    ) -> Result<u64, StoreError> {
        let added = self.insert_geofence(owner, name, geojson, now_ms).await;
        added.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn change_geofence(
        &self,
        id: u64,
        name: &str,
        geojson: &str,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        let changed = self.update_geofence(id, name, geojson, now_ms).await;
        changed.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn remove_geofence(&self, id: u64) -> Result<bool, StoreError> {
        self.delete_geofence(id).await.map_err(|fault| fault.into_error(P::STORE))
    }
}

impl<P: Product> Engine<P> {
    async fn read_rules(
        &self,
        condition: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<StoredRule>, Fault> {
        let text = format!("{SELECT}{condition} ORDER BY id");
        let rows = self.product.rows(sql(text), values).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut devices = self.by_rule(DEVICES).await?;
        let mut receivers = self.by_rule(RECEIVERS).await?;
        rows.iter().map(|row| rule_of(row, &mut devices, &mut receivers)).collect()
    }

    async fn by_rule(&self, text: &'static str) -> Result<BTreeMap<u64, Vec<u64>>, Fault> {
        let mut by_rule: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for row in self.product.rows(fixed(text), &[]).await? {
            by_rule.entry(row.need(0)?).or_default().push(row.need(1)?);
        }
        Ok(by_rule)
    }
}

fn rule_of(
    row: &impl Fields,
    devices: &mut BTreeMap<u64, Vec<u64>>,
    receivers: &mut BTreeMap<u64, Vec<u64>>,
) -> Result<StoredRule, Fault> {
    let id = row.need(0)?;
    let scope = match (row.need::<u8>(6)?, row.maybe(7)?) {
        (1, _) => RuleScope::All,
        (_, Some(group)) => RuleScope::Group(group),
        _ => {
            let devices = devices.remove(&id).unwrap_or_default();
            let number = |device: &u64| u32::try_from(*device).unwrap_or(u32::MAX);
            RuleScope::Devices(devices.iter().map(number).map(DeviceId::new).collect())
        }
    };
    let rule = NewRule {
        name: row.text(3)?,
        severity: row.text(4)?,
        spec: row.text(5)?,
        scope,
        enabled: row.need::<u8>(8)? == 1,
        receivers: receivers.remove(&id).unwrap_or_default(),
    };
    Ok(StoredRule {
        id,
        owner: row.maybe(1)?,
        version: row.need(2)?,
        rule,
        created_at_ms: row.need(9)?,
        updated_at_ms: row.need(10)?,
    })
}

pub(super) fn number_or_null(number: Option<u64>) -> Value<'static> {
    number.map_or(Value::NoNumber, Value::Number)
}

fn scope_values(scope: &RuleScope) -> [Value<'static>; 2] {
    match scope {
        RuleScope::All => [true.into(), Value::NoNumber],
        RuleScope::Group(group) => [false.into(), (*group).into()],
        RuleScope::Devices(_) => [false.into(), Value::NoNumber],
    }
}

async fn insert_parts<S: Session>(session: &mut S, id: u64, rule: &NewRule) -> Result<(), Fault> {
    if let RuleScope::Devices(devices) = &rule.scope {
        for device in devices {
            session.execute(fixed(ADD_DEVICE), &[id.into(), (*device).into()]).await?;
        }
    }
    for receiver in &rule.receivers {
        session.execute(fixed(ADD_RECEIVER), &[id.into(), (*receiver).into()]).await?;
    }
    session.execute(fixed(CHANGED), &[]).await.map(drop)
}

struct Add<'a> {
    owner: Option<u64>,
    rule: &'a NewRule,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Add<'_> {
    type Output = u64;

    async fn run(&self, session: &mut P::Session) -> Result<u64, Fault> {
        let [all, group] = scope_values(&self.rule.scope);
        let values = [
            number_or_null(self.owner),
            self.rule.name.as_str().into(),
            self.rule.severity.as_str().into(),
            self.rule.spec.as_str().into(),
            all,
            group,
            self.rule.enabled.into(),
            self.now_ms.into(),
            self.now_ms.into(),
        ];
        let id = session.insert(fixed(ADD), &values).await?;
        let rows = session.rows(fixed(COUNT), &[]).await?;
        let rules: u64 = rows.first().map_or(Ok(0), |row| row.need(0))?;
        if rules > MAX_RULES.into() {
            return Err(Fault::new(Kind::Full, format!("there are {MAX_RULES} rules already")));
        }
        insert_parts(session, id, self.rule).await?;
        Ok(id)
    }
}

struct Change<'a> {
    id: u64,
    rule: &'a NewRule,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Change<'_> {
    type Output = bool;

    async fn run(&self, session: &mut P::Session) -> Result<bool, Fault> {
        let [all, group] = scope_values(&self.rule.scope);
        let values = [
            self.rule.name.as_str().into(),
            self.rule.severity.as_str().into(),
            self.rule.spec.as_str().into(),
            all,
            group,
            self.rule.enabled.into(),
            self.now_ms.into(),
            self.id.into(),
        ];
        if session.execute(fixed(CHANGE), &values).await? == 0 {
            return Ok(false);
        }
        for text in [FORGET_DEVICES, FORGET_RECEIVERS] {
            session.execute(fixed(text), &[self.id.into()]).await?;
        }
        insert_parts(session, self.id, self.rule).await?;
        Ok(true)
    }
}

struct Remove {
    id: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Remove {
    type Output = bool;

    async fn run(&self, session: &mut P::Session) -> Result<bool, Fault> {
        for text in [FORGET_DEVICES, FORGET_RECEIVERS] {
            session.execute(fixed(text), &[self.id.into()]).await?;
        }
        let removed = session.execute(fixed(REMOVE), &[self.id.into()]).await?;
        session.execute(fixed(CHANGED), &[]).await?;
        Ok(removed > 0)
    }
}
