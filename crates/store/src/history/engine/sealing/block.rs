//! A block between records and the bytes that are stored of it.

use std::collections::BTreeMap;

use nemeses_protocol::Value;
use nemeses_series::Value as SealedValue;
use nemeses_series::chunk::{
    Arrival, Arrivals, Block, ChunkError, EncodedBlock, Key, Keys, Record,
};

use super::super::fault::{Fault, Kind};
use super::hash32;
use crate::history::channels::StoredReadings;

/// A block as it is stored.
pub(in crate::history) struct Encoded {
    pub(in crate::history) first_ms: u64,
    pub(in crate::history) last_ms: u64,
    pub(in crate::history) records: u64,
    pub(in crate::history) values: u64,
    pub(in crate::history) received_ms: (u64, u64),
    pub(in crate::history) block: EncodedBlock,
    pub(in crate::history) arrivals: Vec<u8>,
}

impl Encoded {
    /// Of records in order of time, at least one.
    pub(super) fn of(records: &[StoredReadings]) -> Result<Self, Fault> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return Err(Fault::new(Kind::Refused, "a block has a record at least"));
        };
        let received = || records.iter().map(|record| record.received_at_ms);
        let block = Block::of(records.iter().map(column_record).collect()).map_err(unreadable)?;
        let arrivals = Arrivals::new(records.iter().map(arrival).collect());
        Ok(Self {
            first_ms: first.recorded_at_ms,
            last_ms: last.recorded_at_ms,
            records: records.len() as u64,
            values: records.iter().map(|record| record.values.len() as u64).sum(),
            received_ms: (
                received().min().unwrap_or_default(),
                received().max().unwrap_or_default(),
            ),
            arrivals: arrivals.encode(&block.keys).map_err(unreadable)?,
            block: block.encode().map_err(unreadable)?,
        })
    }

    /// Bytes of all its columns.
    pub(super) fn bytes(&self) -> u64 {
        let chunks: usize = self.block.channels.values().map(Vec::len).sum();
        (self.block.keys.len() + self.arrivals.len() + chunks) as u64
    }
}

/// Bytes that no version of this program wrote, or a later one.
pub(super) fn unreadable(error: ChunkError) -> Fault {
    Fault::new(Kind::Schema, format!("a sealed block cannot be read: {error}"))
}

fn column_record(record: &StoredReadings) -> Record {
    let values = record.values.iter();
    Record {
        key: key_of(record.recorded_at_ms, record.content_hash),
        values: values.map(|(channel, value)| (u32::from(*channel), sealed(value))).collect(),
    }
}

/// The key by which a record is known in a block.
pub(super) fn key_of(recorded_at_ms: u64, content_hash: u64) -> Key {
    Key { at_ms: recorded_at_ms.cast_signed(), hash: hash32(content_hash) }
}

fn arrival(record: &StoredReadings) -> Arrival {
    Arrival {
        received_at_ms: record.received_at_ms.cast_signed(),
        timeless: record.timeless,
        value_count: u32::try_from(record.values.len()).unwrap_or(u32::MAX),
    }
}

fn sealed(value: &Value) -> SealedValue {
    match value {
        Value::Flag(flag) => SealedValue::Bool(*flag),
        Value::Integer(whole) => SealedValue::Integer(*whole),
        Value::Number(number) => SealedValue::Number(*number),
        Value::Text(text) => SealedValue::Text((&**text).into()),
    }
}

fn unsealed(value: SealedValue) -> Value {
    match value {
        SealedValue::Bool(flag) => Value::Flag(flag),
        SealedValue::Integer(whole) => Value::Integer(whole),
        SealedValue::Number(number) => Value::Number(number),
        SealedValue::Text(text) => Value::Text((&*text).into()),
    }
}

/// What is read of a block: its keys and arrivals, and the chunks of some or all channels.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) keys: Vec<u8>,
    pub(super) arrivals: Vec<u8>,
    pub(super) chunks: BTreeMap<u32, Vec<u8>>,
}

impl Stored {
    /// The records, in order of time. Of the hash only the upper 32 bits are known; the others
    /// are 0.
    pub(super) fn records(self) -> Result<Vec<StoredReadings>, Fault> {
        let encoded = EncodedBlock { keys: self.keys, channels: self.chunks };
        let block = Block::decode(&encoded).map_err(unreadable)?;
        let arrivals = Arrivals::decode(&self.arrivals, &block.keys).map_err(unreadable)?;
        let records = block.records().into_iter().zip(arrivals.as_slice());
        Ok(records.map(|(record, arrival)| stored(record, arrival)).collect())
    }
}

fn stored(record: Record, arrival: &Arrival) -> StoredReadings {
    let value = |(channel, value)| Some((u16::try_from(channel).ok()?, unsealed(value)));
    StoredReadings {
        recorded_at_ms: record.key.at_ms.cast_unsigned(),
        content_hash: u64::from(record.key.hash) << 32,
        received_at_ms: arrival.received_at_ms.cast_unsigned(),
        timeless: arrival.timeless,
        values: record.values.into_iter().filter_map(value).collect(),
    }
}

/// Records and values by minute of their arrival, of a stored block.
pub(in crate::history) fn by_minute(
    keys: &[u8],
    arrivals: &[u8],
) -> Result<BTreeMap<u32, (u64, u64)>, Fault> {
    let keys = Keys::decode(keys).map_err(unreadable)?;
    let arrivals = Arrivals::decode(arrivals, &keys).map_err(unreadable)?;
    let mut minutes: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for arrival in arrivals.as_slice() {
        let minute = super::super::plan::minute_of(arrival.received_at_ms.cast_unsigned());
        let (records, values) = minutes.entry(minute).or_default();
        *records += 1;
        *values += u64::from(arrival.value_count);
    }
    Ok(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_gives_back_what_rows_had() {
        let record = |at, hash: u64, values| StoredReadings {
            recorded_at_ms: at,
            content_hash: hash << 32,
            received_at_ms: at + 60_001,
            timeless: at == 5,
            values,
        };
        let text = Value::Text("a".into());
        let records = vec![
            record(5, 1, vec![(0, Value::Integer(i64::MIN)), (7, Value::Flag(true))]),
            record(5, 2, vec![(0, Value::Number(-0.0)), (1023, text)]),
            record(9, 0, vec![(7, Value::Flag(false))]),
        ];
        let encoded = Encoded::of(&records).unwrap();
        assert_eq!((encoded.records, encoded.values), (3, 5));
        assert_eq!(
            (encoded.first_ms, encoded.last_ms, encoded.received_ms),
            (5, 9, (60_006, 60_010))
        );
        let minutes = by_minute(&encoded.block.keys, &encoded.arrivals).unwrap();
        assert_eq!(minutes, BTreeMap::from([(1, (3, 5))]));
        let stored = Stored {
            keys: encoded.block.keys,
            arrivals: encoded.arrivals,
            chunks: encoded.block.channels,
        };
        assert_eq!(stored.records().unwrap(), records);
    }
}
