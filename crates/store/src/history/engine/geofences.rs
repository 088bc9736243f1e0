//! The geofences, in SQL.

use async_trait::async_trait;

use super::Engine;
use super::fault::{Fault, Kind};
use super::rules::{CHANGED, number_or_null};
use super::seam::{Product, Session, fixed, sql};
use super::value::{Fields as _, Value};
use super::work::Work;
use crate::history::rules::{MAX_GEOFENCES, StoredGeofence};

const SELECT: &str = "SELECT id, owner, name, geojson, version, created_at_ms, updated_at_ms \
    FROM geofences";
const ADD: &str = "INSERT INTO geofences (owner, name, geojson, version, created_at_ms, \
    updated_at_ms) VALUES (?, ?, ?, 1, ?, ?)";
const COUNT: &str = "SELECT COUNT(*) FROM geofences";
const CHANGE: &str = "UPDATE geofences SET name = ?, geojson = ?, version = version + 1, \
    updated_at_ms = ? WHERE id = ?";
const REMOVE: &str = "DELETE FROM geofences WHERE id = ?";

impl<P: Product> Engine<P> {
    pub(super) async fn read_geofences(
        &self,
        condition: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<StoredGeofence>, Fault> {
        self.geofences_by(format!("{SELECT}{condition} ORDER BY id"), values).await
    }

    pub(super) async fn read_geofence_page(
        &self,
        after: u64,
        of: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredGeofence>, Fault> {
        let mut values = vec![after.into()];
        values.extend(of.map(Value::from));
        values.push(limit.into());
        let seen = of.map_or("", |_| " AND (owner IS NULL OR owner = ?)");
        self.geofences_by(format!("{SELECT} WHERE id > ?{seen} ORDER BY id LIMIT ?"), &values).await
    }

    async fn geofences_by(
        &self,
        text: String,
        values: &[Value<'_>],
    ) -> Result<Vec<StoredGeofence>, Fault> {
        let rows = self.product.rows(sql(text), values).await?;
        let fence = |row: &P::Row| {
            Ok(StoredGeofence {
                id: row.need(0)?,
                owner: row.maybe(1)?,
                name: row.text(2)?,
                geojson: row.text(3)?,
                version: row.need(4)?,
                created_at_ms: row.need(5)?,
                updated_at_ms: row.need(6)?,
            })
        };
        rows.iter().map(fence).collect()
    }

    pub(super) async fn insert_geofence(
        &self,
        owner: Option<u64>,
        name: &str,
        geojson: &str,
        now_ms: u64,
    ) -> Result<u64, Fault> {
        self.transact(Add { owner, name, geojson, now_ms }).await
    }

    pub(super) async fn update_geofence(
        &self,
        id: u64,
        name: &str,
        geojson: &str,
        now_ms: u64,
    ) -> Result<bool, Fault> {
        let values = [name.into(), geojson.into(), now_ms.into(), id.into()];
        self.transact(Changed { text: CHANGE, values: &values }).await
    }

    pub(super) async fn delete_geofence(&self, id: u64) -> Result<bool, Fault> {
        self.transact(Changed { text: REMOVE, values: &[id.into()] }).await
    }
}

struct Add<'a> {
    owner: Option<u64>,
    name: &'a str,
    geojson: &'a str,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Add<'_> {
    type Output = u64;

    async fn run(&self, session: &mut P::Session) -> Result<u64, Fault> {
        let now = self.now_ms.into();
        let values = [number_or_null(self.owner), self.name.into(), self.geojson.into(), now, now];
        let id = session.insert(fixed(ADD), &values).await?;
        let rows = session.rows(fixed(COUNT), &[]).await?;
        let fences: u64 = rows.first().map_or(Ok(0), |row| row.need(0))?;
        if fences > MAX_GEOFENCES.into() {
            let detail = format!("there are {MAX_GEOFENCES} geofences already");
            return Err(Fault::new(Kind::Full, detail));
        }
        session.execute(fixed(CHANGED), &[]).await?;
        Ok(id)
    }
}

/// A statement, and that something changed.
struct Changed<'a> {
    text: &'static str,
    values: &'a [Value<'a>],
}

#[async_trait]
impl<P: Product> Work<P> for Changed<'_> {
    type Output = bool;

    async fn run(&self, session: &mut P::Session) -> Result<bool, Fault> {
        let changed = session.execute(fixed(self.text), self.values).await?;
        session.execute(fixed(CHANGED), &[]).await?;
        Ok(changed > 0)
    }
}
