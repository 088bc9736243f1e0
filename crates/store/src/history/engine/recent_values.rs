//! The newest values of channels among the records that arrived lately, for a live store that
//! has lost its memory.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use nemeses_protocol::{DeviceId, Value, unpack};

use super::Engine;
use super::fault::Fault;
use super::next_row::{ROW_WITHIN, next_row};
use super::rows::bucket_of;
use super::sealing::newest_blocks;
use super::seam::{Product, sql};
use super::value::Fields as _;
use crate::history::{Channel, StoredReadings};
use crate::live::{LiveEntry, LiveValue, LiveValues, ValueVersion, bounded};

const SELECT: &str = "SELECT device, recorded_at_ms, content_hash, received_at_ms, packed \
    FROM readings WHERE bucket >= ? AND recorded_at_ms >= ? AND received_at_ms >= ?";

/// The newest value of a channel by number.
struct Newest {
    recorded_at_ms: u64,
    received_at_ms: u64,
    content_hash: u64,
    value: Value,
}

impl Newest {
    fn version(&self) -> ValueVersion {
        ValueVersion::new(self.recorded_at_ms, self.received_at_ms, self.content_hash)
    }

    /// The value under the name that parsers know. A channel whose name bears its unit has
    /// that of the channel beside it.
    fn named(self, channel: &Channel) -> LiveValue {
        let (value, cut) = bounded(&self.value);
        let behind = channel.unit.as_ref().map(|unit| format!(" [{unit}]"));
        let bare = behind.and_then(|behind| channel.name.strip_suffix(&behind));
        LiveValue {
            channel: bare.unwrap_or(&channel.name).into(),
            unit: channel.unit.as_deref().map(Into::into),
            value,
            cut,
            recorded_at_ms: self.recorded_at_ms,
            received_at_ms: self.received_at_ms,
            content_hash: self.content_hash,
        }
    }
}

/// When a device was heard, and its newest values.
type Heard = (u64, BTreeMap<u16, Newest>);

/// Adds the newest values to the entries of their devices.
pub(super) async fn join_values<P: Product>(
    engine: &Engine<P>,
    since_ms: u64,
    recorded_from: u32,
    entries: &mut HashMap<DeviceId, LiveEntry>,
) -> Result<(), Fault> {
    for (device, (seen_at_ms, newest)) in newest_of(engine, since_ms, recorded_from).await? {
        let channels = engine.list_of(device).await?;
        let channel = |number: u16| channels.iter().find(|channel| channel.number == number);
        let values: Vec<LiveValue> = newest
            .into_iter()
            .filter_map(|(number, newest)| Some(newest.named(channel(number)?)))
            .collect();
        let values = (!values.is_empty()).then(|| Box::new(LiveValues::new(seen_at_ms, values)));
        let entry = LiveEntry { values, ..LiveEntry::seen(device, seen_at_ms) };
        match entries.entry(device) {
            Entry::Occupied(mut held) => held.get_mut().merge(entry),
            Entry::Vacant(free) => drop(free.insert(entry)),
        }
    }
    Ok(())
}

async fn newest_of<P: Product>(
    engine: &Engine<P>,
    since_ms: u64,
    recorded_from: u32,
) -> Result<BTreeMap<DeviceId, Heard>, Fault> {
    let from_ms = u64::from(recorded_from) * 1000;
    let values = [bucket_of(recorded_from).into(), from_ms.into(), since_ms.into()];
    let mut rows = engine.product.stream(sql(SELECT.to_owned()), &values);
    let mut devices: BTreeMap<DeviceId, Heard> = BTreeMap::new();
    while let Some(row) = next_row(&mut rows, ROW_WITHIN).await? {
        let (recorded_at_ms, content_hash, received_at_ms) =
            (row.need(1)?, row.hash(2)?, row.need(3)?);
        let packed = row.bytes(4)?.unwrap_or_default();
        let values = unpack(&packed).ok_or_else(|| Fault::column(4, "holds no packed values"))?;
        let timeless = false;
        let record =
            StoredReadings { recorded_at_ms, content_hash, received_at_ms, timeless, values };
        offer(&mut devices, DeviceId::new(row.need(0)?), record);
    }
    drop(rows);
    newest_blocks(&engine.product, (from_ms, since_ms), |device, records| {
        let wanted = |record: &StoredReadings| {
            record.recorded_at_ms >= from_ms && record.received_at_ms >= since_ms
        };
        for record in records.into_iter().filter(wanted) {
            offer(&mut devices, device, record);
        }
    })
    .await?;
    Ok(devices)
}

/// Takes what is newer of a record than what is held of its device.
fn offer(devices: &mut BTreeMap<DeviceId, Heard>, device: DeviceId, record: StoredReadings) {
    let StoredReadings { recorded_at_ms, received_at_ms, content_hash, values, .. } = record;
    let (seen_at_ms, newest) = devices.entry(device).or_default();
    *seen_at_ms = (*seen_at_ms).max(received_at_ms);
    for (number, value) in values {
        let offered = Newest { recorded_at_ms, received_at_ms, content_hash, value };
        let held = newest.get(&number);
        if held.is_none_or(|held| offered.version() > held.version()) {
            newest.insert(number, offered);
        }
    }
}
