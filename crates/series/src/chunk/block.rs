//! All that is sealed of a device at a time: the keys of its records and a chunk for each channel
//! that is in one of them.

use std::collections::BTreeMap;

use super::{Chunk, ChunkError, Key, Keys};
use crate::Value;

/// A record with its values by channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: Key,
    /// Channels with their values. Of two values of the same channel the first counts.
    pub values: Vec<(u32, Value)>,
}

/// Records of a device, by column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The keys of the records.
    pub keys: Keys,
    /// The channels, each with the values of the records that have it.
    pub channels: BTreeMap<u32, Chunk>,
}

/// A block as bytes, to be stored in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedBlock {
    /// The keys.
    pub keys: Vec<u8>,
    /// The channels.
    pub channels: BTreeMap<u32, Vec<u8>>,
}

impl Block {
    /// A block of records in any order. Of several records with the same key the first is taken:
    /// the others are duplicates.
    ///
    /// # Errors
    ///
    /// If there are more than [`super::MAX_RECORDS`] without the duplicates.
    pub fn of(mut records: Vec<Record>) -> Result<Self, ChunkError> {
        records.sort_by_key(|record| record.key);
        records.dedup_by_key(|record| record.key);
        let keys = Keys::new(records.iter().map(|record| record.key).collect())?;
        let mut columns: BTreeMap<u32, (Vec<u32>, Vec<Value>)> = BTreeMap::new();
        for (row, record) in (0_u32..).zip(records) {
            for (channel, value) in record.values {
                let (rows, values) = columns.entry(channel).or_default();
                if rows.last() != Some(&row) {
                    rows.push(row);
                    values.push(value);
                }
            }
        }
        let chunk = |(channel, (rows, values)): (u32, (Vec<u32>, Vec<Value>))| {
            let column = values.into_iter().collect();
            Ok((channel, Chunk::new(keys.len(), rows, column)?))
        };
        let channels = columns.into_iter().map(chunk).collect::<Result<_, _>>()?;
        Ok(Self { keys, channels })
    }

    /// The records in order of their keys, values in order of their channels.
    pub fn records(&self) -> Vec<Record> {
        let keys = self.keys.as_slice().iter();
        let mut records: Vec<Record> =
            keys.map(|key| Record { key: *key, values: Vec::new() }).collect();
        for (channel, chunk) in &self.channels {
            for (row, value) in chunk.values() {
                records[row].values.push((*channel, value));
            }
        }
        records
    }

    /// This block with the records of another, which came late. Where both have a record, this
    /// block's is kept.
    ///
    /// # Errors
    ///
    /// If there are more than [`super::MAX_RECORDS`]; then take [`Block::records`] of both and
    /// make several blocks of them.
    pub fn merge(&self, late: &Self) -> Result<Self, ChunkError> {
        let mut records = self.records();
        records.extend(late.records());
        Self::of(records)
    }

    /// The block as bytes.
    ///
    /// # Errors
    ///
    /// If a chunk is of other records than the keys.
    pub fn encode(&self) -> Result<EncodedBlock, ChunkError> {
        let channels = self.channels.iter();
        let channels = channels.map(|(channel, chunk)| Ok((*channel, chunk.encode(&self.keys)?)));
        Ok(EncodedBlock { keys: self.keys.encode(), channels: channels.collect::<Result<_, _>>()? })
    }

    /// Reads what [`Block::encode`] wrote.
    ///
    /// # Errors
    ///
    /// If the bytes are something else.
    pub fn decode(encoded: &EncodedBlock) -> Result<Self, ChunkError> {
        let keys = Keys::decode(&encoded.keys)?;
        let chunk = |(channel, bytes): (&u32, &Vec<u8>)| {
            let (_, chunk) = Chunk::decode(bytes)?;
            chunk.check(&keys)?;
            Ok((*channel, chunk))
        };
        let channels = encoded.channels.iter().map(chunk).collect::<Result<_, _>>()?;
        Ok(Self { keys, channels })
    }
}
