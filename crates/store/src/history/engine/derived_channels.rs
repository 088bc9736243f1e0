//! Derived channels: what is kept of them. They are computed where channels are read.

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::Engine;
use super::channels::{optional_text, text_or_null};
use super::fault::Fault;
use super::seam::{Product, Session, fixed, sql};
use super::sql::insert;
use super::value::{Fields, Value};
use super::work::Work;
use crate::history::channels::{Channel, NewDerived};
use crate::history::derived::{Derivation, Derived, MAX_DERIVED};

const SELECT: &str = "SELECT name, source, calibration, unit, kind, label, decimals, \
    created_at_ms FROM derived_channels WHERE device = ? ORDER BY name";
const REMOVE: &str = "DELETE FROM derived_channels WHERE device = ? AND name = ?";
const OWN: &str = "SELECT name FROM channels WHERE device = ? AND name IN (?, ?)";
const COLUMNS: &[&str] = &[
    "device",
    "name",
    "source",
    "calibration",
    "unit",
    "kind",
    "label",
    "decimals",
    "created_at_ms",
];

struct Derive<'a> {
    device: DeviceId,
    new: &'a NewDerived,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Derive<'_> {
    type Output = Derived;

    async fn run(&self, session: &mut P::Session) -> Result<Derived, Fault> {
        let NewDerived { name, derivation, unit, kind, label, decimals } = self.new;
        let Derivation { source, calibration } = derivation;
        let asked = [self.device.into(), name.as_str().into(), source.as_str().into()];
        let own = session.rows(fixed(OWN), &asked).await?;
        let own = own.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()?;
        if own.contains(name) {
            return Ok(Derived::NameTaken);
        }
        if !own.contains(source) {
            return Ok(Derived::NoSource);
        }
        let removed = session.execute(fixed(REMOVE), &asked[..2]).await?;
        let there = session.rows(fixed(SELECT), &asked[..1]).await?;
        if there.len() >= MAX_DERIVED {
            return Ok(Derived::TooMany);
        }
        let calibration = calibration.to_string();
        let values = [
            self.device.into(),
            name.as_str().into(),
            source.as_str().into(),
            calibration.as_str().into(),
            text_or_null(unit.as_deref()),
            kind.word().into(),
            text_or_null(label.as_deref()),
            decimals.map_or(Value::NoNumber, Value::from),
            self.now_ms.into(),
        ];
        session.execute(sql(insert("derived_channels", COLUMNS, 1)), &values).await?;
        Ok(if removed > 0 { Derived::Replaced } else { Derived::Made })
    }
}

struct Remove<'a>(DeviceId, &'a str);

#[async_trait]
impl<P: Product> Work<P> for Remove<'_> {
    type Output = bool;

    async fn run(&self, session: &mut P::Session) -> Result<bool, Fault> {
        Ok(session.execute(fixed(REMOVE), &[self.0.into(), self.1.into()]).await? > 0)
    }
}

impl<P: Product> Engine<P> {
    pub(super) async fn derive_channel(
        &self,
        device: DeviceId,
        new: &NewDerived,
        now_ms: u64,
    ) -> Result<Derived, Fault> {
        self.transact(Derive { device, new, now_ms }).await
    }

    pub(super) async fn remove_derived(&self, device: DeviceId, name: &str) -> Result<bool, Fault> {
        self.transact(Remove(device, name)).await
    }

    /// The channels that are derived from a device's own ones. One whose name the device has
    /// taken for a channel of its own is not among them.
    pub(super) async fn derived_from(
        &self,
        device: DeviceId,
        own: &[Channel],
    ) -> Result<Vec<Channel>, Fault> {
        if own.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.product.rows(fixed(SELECT), &[device.into()]).await?;
        let mut derived = Vec::with_capacity(rows.len());
        for row in &rows {
            let (name, source) = (row.text(0)?, row.text(1)?);
            let Some(from) = own.iter().find(|channel| channel.name == source) else { continue };
            if own.iter().any(|channel| channel.name == name) {
                continue;
            }
            let calibration = row.text(2)?.parse();
            let calibration = calibration.map_err(|_| Fault::column(2, "is no calibration"))?;
            derived.push(Channel {
                number: from.number,
                name,
                unit: optional_text(row, 3)?,
                kind: row
                    .text(4)?
                    .parse()
                    .map_err(|_| Fault::column(4, "is no kind of channel"))?,
                label: optional_text(row, 5)?,
                decimals: row.maybe(6)?,
                created_at_ms: row.need(7)?,
                derivation: Some(Derivation { source, calibration }),
            });
        }
        Ok(derived)
    }
}
