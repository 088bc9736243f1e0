//! The devices' profiles, and what is known of all devices, in SQL.

use std::collections::BTreeMap;

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::Engine;
use super::fault::Fault;
use super::ladder::{WIDE, rungs};
use super::seam::{Dialect, Product, Session, fixed, sql};
use super::sql::{Join, insert, or_join, placeholders};
use super::value::{Fields, Value};
use super::work::Work;
use crate::StoreError;
use crate::history::devices::{Devices, KnownDevice, Profile, Rhythm};

const COLUMNS: &[&str] = &[
    "device",
    "name",
    "vehicle",
    "tags",
    "live_ttl_s",
    "motion_kmh",
    "stop_s",
    "retention",
    "created_at_ms",
    "updated_at_ms",
];
const FIND: &str = "SELECT device, name, vehicle, tags, live_ttl_s, motion_kmh, stop_s, \
    retention, created_at_ms, updated_at_ms FROM devices WHERE device = ?";
const MOTION: &str = "SELECT motion_kmh FROM devices WHERE device = ?";
const REMOVE: &str = "DELETE FROM devices WHERE device = ?";
const REGISTERED: &str = "SELECT EXISTS (SELECT 1 FROM devices WHERE device = ?) \
    OR EXISTS (SELECT 1 FROM logins WHERE device = ?) \
    OR EXISTS (SELECT 1 FROM group_devices WHERE device = ?)";
const ALL_REGISTERED: &str = "SELECT device FROM devices \
    UNION SELECT device FROM logins WHERE device IS NOT NULL \
    UNION SELECT device FROM group_devices";
/// Slot 0 says: from the first row of the day on, whatever was known.
const MARK_ALL_DAYS: &str = "INSERT INTO daily_marks (slot, device, day) \
    SELECT 0, d.device, d.day FROM device_days d WHERE d.device = ? AND NOT EXISTS \
    (SELECT 1 FROM daily_marks m WHERE m.slot = 0 AND m.device = d.device AND m.day = d.day)";
/// Kinds of traces by which a device is known.
const TRACES: usize = 4;
const FORGET_SUMS: &str = "DELETE FROM daily WHERE device = ?";

/// The devices that have rows, by jumping from one to the next: the table has a
/// row for each of their days. MySQL does so by itself.
const SEEN_MYSQL: &str = "SELECT device, 1 FROM device_days GROUP BY device";
const SEEN_SQLITE: &str = "SELECT device, 1 FROM (WITH RECURSIVE seen (device) AS \
    (SELECT MIN(device) FROM device_days UNION ALL \
    SELECT (SELECT MIN(d.device) FROM device_days d WHERE d.device > seen.device) \
    FROM seen WHERE seen.device IS NOT NULL) \
    SELECT device FROM seen WHERE device IS NOT NULL)";

const fn seen_sql(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::MySql => SEEN_MYSQL,
        Dialect::Sqlite => SEEN_SQLITE,
    }
}

/// All that is known of all devices, or of so many; these are bound once for each of the
/// four kinds of traces, and have rows here if these are noted.
fn known_sql(dialect: Dialect, among: Option<usize>) -> String {
    let (among, seen) = match among {
        None => ("device IS NOT NULL".to_owned(), seen_sql(dialect).to_owned()),
        Some(devices) => {
            let among = format!("device IN ({})", placeholders(devices));
            let seen = format!("SELECT device, 1 FROM device_last WHERE {among}");
            (among, seen)
        }
    };
    format!(
        "SELECT k.device, COALESCE(p.name, ''), COALESCE(p.vehicle, ''), COALESCE(p.tags, ''), \
         p.live_ttl_s, p.motion_kmh, p.stop_s, COALESCE(p.retention, ''), p.created_at_ms, \
         p.updated_at_ms, k.has_rows, l.interval_on_s, l.interval_off_s \
         FROM (SELECT device, MAX(has_rows) AS has_rows FROM ( \
         SELECT device, 0 AS has_rows FROM devices WHERE {among} \
         UNION ALL SELECT device, 0 FROM logins WHERE {among} \
         UNION ALL SELECT device, 0 FROM group_devices WHERE {among} \
         UNION ALL {seen}) traces GROUP BY device) k \
         LEFT JOIN devices p ON p.device = k.device \
         LEFT JOIN device_last l ON l.device = k.device ORDER BY k.device"
    )
}

#[async_trait]
impl<P: Product> Devices for Engine<P> {
    async fn put(&self, profile: &Profile) -> Result<bool, StoreError> {
        let tags = profile.tags.join("\n");
        let put = self.transact(Put { profile, tags: &tags }).await;
        put.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn find(&self, device: DeviceId) -> Result<Option<Profile>, StoreError> {
        let rows = self.product.rows(fixed(FIND), &[device.into()]).await;
        rows.and_then(|rows| rows.first().map(profile_of).transpose())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn remove(&self, device: DeviceId) -> Result<bool, StoreError> {
        let removed = self.transact(Remove { device }).await;
        removed.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn known(&self) -> Result<Vec<KnownDevice>, StoreError> {
        let rows = self.product.rows(sql(known_sql(P::DIALECT, None)), &[]).await;
        rows.and_then(|rows| rows.iter().map(known_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn known_among(&self, devices: &[DeviceId]) -> Result<Vec<KnownDevice>, StoreError> {
        self.among(devices).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn registered(&self) -> Result<Vec<DeviceId>, StoreError> {
        self.numbers(ALL_REGISTERED).await
    }

    async fn with_rows(&self) -> Result<Vec<DeviceId>, StoreError> {
        self.numbers(seen_sql(P::DIALECT)).await
    }

    async fn is_registered(&self, device: DeviceId) -> Result<bool, StoreError> {
        let rows = self.product.rows(fixed(REGISTERED), &[device.into(); 3]).await;
        rows.and_then(|rows| rows.first().map_or(Ok(false), |row| Ok(row.need::<u64>(0)? != 0)))
            .map_err(|fault| fault.into_error(P::STORE))
    }
}

impl<P: Product> Engine<P> {
    /// Those of the devices that are known, by number.
    async fn among(&self, devices: &[DeviceId]) -> Result<Vec<KnownDevice>, Fault> {
        let mut known: BTreeMap<DeviceId, KnownDevice> = BTreeMap::new();
        for devices in rungs(devices, WIDE) {
            let one: Vec<Value<'_>> = devices.iter().map(|device| (*device).into()).collect();
            let text = known_sql(P::DIALECT, Some(devices.len()));
            for row in self.product.rows(sql(text), &one.repeat(TRACES)).await? {
                let one = known_of(&row)?;
                known.insert(one.device, one);
            }
        }
        // A device whose last rows are not noted yet has few days.
        let is_new = |device: &&DeviceId| known.get(device).is_none_or(|known| !known.has_rows);
        let new: Vec<DeviceId> = devices.iter().filter(is_new).copied().collect();
        for devices in rungs(&new, WIDE) {
            let values: Vec<Value<'_>> = devices.iter().map(|device| (*device).into()).collect();
            let text = format!(
                "SELECT DISTINCT device FROM device_days WHERE device IN ({})",
                placeholders(devices.len())
            );
            for row in self.product.rows(sql(text), &values).await? {
                let device = DeviceId::new(row.need(0)?);
                let rhythm = Rhythm::default();
                let bare = KnownDevice { device, profile: None, has_rows: true, rhythm };
                known.entry(device).or_insert(bare).has_rows = true;
            }
        }
        Ok(known.into_values().collect())
    }

    /// The devices in the first column.
    async fn numbers(&self, text: &'static str) -> Result<Vec<DeviceId>, StoreError> {
        let rows = self.product.rows(fixed(text), &[]).await;
        rows.and_then(|rows| rows.iter().map(|row| Ok(DeviceId::new(row.need(0)?))).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }
}

fn profile_of(row: &impl Fields) -> Result<Profile, Fault> {
    let tags = row.text(3)?;
    Ok(Profile {
        device: DeviceId::new(row.need(0)?),
        name: row.text(1)?,
        vehicle: row.text(2)?,
        tags: tags.split('\n').filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
        live_ttl_s: row.maybe(4)?,
        motion_kmh: row.maybe(5)?,
        stop_s: row.maybe(6)?,
        retention: row.text(7)?,
        created_at_ms: row.need(8)?,
        updated_at_ms: row.need(9)?,
    })
}

fn known_of(row: &impl Fields) -> Result<KnownDevice, Fault> {
    Ok(KnownDevice {
        device: DeviceId::new(row.need(0)?),
        profile: row.number(8)?.map(|_| profile_of(row)).transpose()?,
        has_rows: row.need::<u64>(10)? != 0,
        rhythm: Rhythm { on_s: row.maybe(11)?, off_s: row.maybe(12)? },
    })
}

/// What changed in the kept threshold changes the sums of all days.
async fn compute_anew<S: Session>(session: &mut S, device: DeviceId) -> Result<(), Fault> {
    session.execute(fixed(FORGET_SUMS), &[device.into()]).await?;
    // Another transaction may have marked the same days meanwhile.
    let marked = session.execute(fixed(MARK_ALL_DAYS), &[device.into()]).await;
    marked.map(drop).map_err(Fault::lost_race)
}

struct Put<'a> {
    profile: &'a Profile,
    tags: &'a str,
}

#[async_trait]
impl<P: Product> Work<P> for Put<'_> {
    type Output = bool;

    async fn run(&self, session: &mut P::Session) -> Result<bool, Fault> {
        let profile = self.profile;
        let device = profile.device;
        let rows = session.rows(fixed(MOTION), &[device.into()]).await?;
        let before: Option<Option<u32>> = rows.first().map(|row| row.maybe(0)).transpose()?;
        let values = [
            device.into(),
            profile.name.as_str().into(),
            profile.vehicle.as_str().into(),
            self.tags.into(),
            profile.live_ttl_s.into(),
            profile.motion_kmh.into(),
            profile.stop_s.into(),
            profile.retention.as_str().into(),
            profile.created_at_ms.into(),
            profile.updated_at_ms.into(),
        ];
        let changed: Vec<(&str, Join)> = COLUMNS[1..]
            .iter()
            .filter(|column| **column != "created_at_ms")
            .map(|column| (*column, Join::New))
            .collect();
        let text = or_join(&insert("devices", COLUMNS, 1), P::DIALECT, &COLUMNS[..1], &changed);
        session.execute(sql(text), &values).await?;
        if before.flatten() != profile.motion_kmh {
            compute_anew(session, device).await?;
        }
        Ok(before.is_none())
    }
}

struct Remove {
    device: DeviceId,
}

#[async_trait]
impl<P: Product> Work<P> for Remove {
    type Output = bool;

    async fn run(&self, session: &mut P::Session) -> Result<bool, Fault> {
        let rows = session.rows(fixed(MOTION), &[self.device.into()]).await?;
        let before: Option<Option<u32>> = rows.first().map(|row| row.maybe(0)).transpose()?;
        let removed = session.execute(fixed(REMOVE), &[self.device.into()]).await?;
        if before.flatten().is_some() {
            compute_anew(session, self.device).await?;
        }
        Ok(removed > 0)
    }
}
