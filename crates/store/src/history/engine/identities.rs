//! The numbers of devices that are known by a name: given in order, once, whoever asks.
//! The key of the name makes sure that a name gets one number, the table's key that a
//! number is given once; whoever loses against another process looks again.

use async_trait::async_trait;
use nemeses_protocol::{DeviceId, Identity};

use super::Engine;
use super::fault::{Fault, Kind};
use super::seam::{Product, Session, fixed};
use super::value::{Fields, Value};
use super::work::Work;
use crate::StoreError;
use crate::history::channels::{FIRST_GIVEN_NUMBER, Identities};

const FIND: &str = "SELECT device FROM device_identities WHERE kind = ? AND name = ?";
const LAST: &str = "SELECT MAX(device) FROM device_identities";
const ADD: &str =
    "INSERT INTO device_identities (device, kind, name, created_at_ms) VALUES (?, ?, ?, ?)";
const AFTER: &str = "SELECT device, kind, name FROM device_identities WHERE device > ? \
    ORDER BY device LIMIT ?";

/// Finds a name's number, or gives it the next one.
struct Give<'a> {
    kind: &'a str,
    name: &'a str,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Give<'_> {
    type Output = DeviceId;

    async fn run(&self, session: &mut P::Session) -> Result<DeviceId, Fault> {
        let found = session.rows(fixed(FIND), &[self.kind.into(), self.name.into()]).await?;
        if let Some(row) = found.first() {
            return row.need(0).map(DeviceId::new);
        }
        let rows = session.rows(fixed(LAST), &[]).await?;
        let last: Option<u32> = rows.first().map_or(Ok(None), |row| row.maybe(0))?;
        let next = last.map_or(FIRST_GIVEN_NUMBER, |last| last.saturating_add(1));
        let next = Some(next).filter(|next| *next < DeviceId::NONE.number());
        let next = next.ok_or_else(|| Fault::new(Kind::Refused, "there are no numbers left"))?;
        let values: [Value<'_>; 4] =
            [next.into(), self.kind.into(), self.name.into(), self.now_ms.into()];
        session.execute(fixed(ADD), &values).await.map_err(Fault::lost_race)?;
        Ok(DeviceId::new(next))
    }
}

impl<P: Product> Engine<P> {
    /// The number of an identity, a new one if it has none.
    pub(super) async fn number_for(
        &self,
        identity: &Identity,
        now_ms: u64,
    ) -> Result<DeviceId, Fault> {
        if let Some(device) = self.named.number(identity) {
            return Ok(device);
        }
        let Identity::Named { kind, name } = identity else {
            return Err(Fault::new(Kind::Refused, "an identity without a name"));
        };
        let device = self.transact(Give { kind, name, now_ms }).await?;
        self.named.remember(device, identity);
        Ok(device)
    }

    async fn number_if_any(&self, identity: &Identity) -> Result<Option<DeviceId>, Fault> {
        if let Some(device) = self.named.number(identity) {
            return Ok(Some(device));
        }
        let Identity::Named { kind, name } = identity else { return Ok(None) };
        let rows = self.product.rows(fixed(FIND), &[(*kind).into(), (&**name).into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let device = DeviceId::new(row.need(0)?);
        self.named.remember(device, identity);
        Ok(Some(device))
    }
}

#[async_trait]
impl<P: Product> Identities for Engine<P> {
    async fn give_numbers(
        &self,
        identities: &[Identity],
        now_ms: u64,
    ) -> Result<Vec<DeviceId>, StoreError> {
        let mut numbers = Vec::with_capacity(identities.len());
        for identity in identities {
            let number = self.number_for(identity, now_ms).await;
            numbers.push(number.map_err(|fault| fault.into_error(P::STORE))?);
        }
        Ok(numbers)
    }

    async fn number_of(&self, identity: &Identity) -> Result<Option<DeviceId>, StoreError> {
        self.number_if_any(identity).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn named_after(
        &self,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<(DeviceId, Identity)>, StoreError> {
        let after = after.map_or(0, DeviceId::number);
        let rows = self.product.rows(fixed(AFTER), &[after.into(), limit.into()]).await;
        rows.and_then(|rows| rows.iter().map(named).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }
}

fn named(row: &impl Fields) -> Result<(DeviceId, Identity), Fault> {
    let identity = Identity::named(&row.text(1)?, &row.text(2)?)
        .map_err(|error| Fault::column(1, &error.to_string()))?;
    Ok((DeviceId::new(row.need(0)?), identity))
}
