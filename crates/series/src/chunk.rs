//! Sealed chunks: how values that do not change any more are stored.
//!
//! A chunk is one channel of one device: a head that answers most questions about a long range
//! ([`Head`]), and a body of values in whichever form is the shortest. The times are not in it:
//! all channels of a device share one column of keys ([`Keys`]), and a chunk has the rows in
//! which its channel is. [`Block`] is all of it together.
//!
//! What is written is read back with the same bits, whatever the values are: NaN, -0, and whole
//! numbers beyond 2^53 too. The same records give the same bytes in whatever order they came.
//! Bytes that no writer made are refused without a panic, and cannot ask for more memory than
//! [`MAX_RECORDS`] values.
//!
//! A chunk as bytes: the version, the head, unless all records have the channel the rows that do
//! as whole numbers, the type, and the column.

mod arrivals;
mod block;
mod bytes;
mod column;
mod decimal;
mod error;
mod head;
mod integers;
mod keys;
mod numbers;
mod packed;
mod xor;

use crate::{Summary, Value};
use bytes::Reader;

pub use arrivals::{Arrival, Arrivals};
pub use block::{Block, EncodedBlock, Record};
pub use column::Column;
pub use error::ChunkError;
pub use head::Head;
pub use keys::{Key, Keys};

/// Most records of a block: 1.5 MB of values of a channel.
pub const MAX_RECORDS: usize = 1 << 16;

/// The version that is written, the first byte of keys and chunks.
const VERSION: u8 = 1;

/// The values of one channel in the records of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    records: usize,
    /// The records that have a value, in order; none if all of them do.
    rows: Option<Vec<u32>>,
    column: Column,
}

impl Chunk {
    /// A chunk of `records` records, of which `rows` have a value of the channel: in order,
    /// counted from 0, each with its value in the column.
    ///
    /// # Errors
    ///
    /// If the rows are not in order, not as many as values, or beyond the records, or if there
    /// are more than [`MAX_RECORDS`].
    pub fn new(records: usize, rows: Vec<u32>, column: Column) -> Result<Self, ChunkError> {
        if records > MAX_RECORDS || column.len() > records {
            return Err(ChunkError::TooMany);
        }
        let within = rows.last().is_none_or(|row| place(*row) < records);
        if rows.len() != column.len() || !within || !rows.is_sorted_by(|a, b| a < b) {
            return Err(ChunkError::Malformed("rows and values do not belong together"));
        }
        let rows = (rows.len() < records).then_some(rows);
        Ok(Self { records, rows, column })
    }

    /// The values without their rows.
    pub fn column(&self) -> &Column {
        &self.column
    }

    /// The values with the number of their record.
    pub fn values(&self) -> impl Iterator<Item = (usize, Value)> + '_ {
        self.column.iter().enumerate().map(|(number, value)| (self.row(number), value))
    }

    /// The values with their times.
    ///
    /// # Errors
    ///
    /// If the keys are of other records.
    pub fn samples<'a>(
        &'a self,
        keys: &'a Keys,
    ) -> Result<impl Iterator<Item = (i64, Value)> + 'a, ChunkError> {
        self.check(keys)?;
        Ok(self.values().map(|(row, value)| (keys.as_slice()[row].at_ms, value)))
    }

    /// The head that belongs to the values; `audit` compares it with the stored one.
    ///
    /// # Errors
    ///
    /// If the keys are of other records.
    pub fn head(&self, keys: &Keys) -> Result<Head, ChunkError> {
        let mut summary = Summary::default();
        for (at_ms, value) in self.samples(keys)? {
            summary.push(at_ms, &value);
        }
        Ok(Head { records: self.records, summary })
    }

    /// The chunk as bytes.
    ///
    /// # Errors
    ///
    /// If the keys are of other records.
    pub fn encode(&self, keys: &Keys) -> Result<Vec<u8>, ChunkError> {
        let mut out = vec![VERSION];
        self.head(keys)?.write(&mut out);
        if let Some(rows) = &self.rows {
            let rows: Vec<i64> = rows.iter().copied().map(i64::from).collect();
            integers::encode(&rows, &mut out);
        }
        self.column.encode(&mut out);
        Ok(out)
    }

    /// Reads what [`Chunk::encode`] wrote.
    ///
    /// # Errors
    ///
    /// If the bytes are something else. Memory is bounded by [`MAX_RECORDS`].
    pub fn decode(bytes: &[u8]) -> Result<(Head, Self), ChunkError> {
        let mut reader = Reader::new(bytes);
        check_version(&mut reader)?;
        let head = Head::read(&mut reader)?;
        let count = usize::try_from(head.summary.count).map_err(|_| ChunkError::TooMany)?;
        let rows = if count < head.records { read_rows(&mut reader, count)? } else { all(count)? };
        let column = Column::decode(&mut reader, count)?;
        reader.finish()?;
        let chunk = Self::new(head.records, rows, column)?;
        Ok((head, chunk))
    }

    /// Reads the head only.
    ///
    /// # Errors
    ///
    /// If the bytes do not begin with one.
    pub fn decode_head(bytes: &[u8]) -> Result<Head, ChunkError> {
        let mut reader = Reader::new(bytes);
        check_version(&mut reader)?;
        Head::read(&mut reader)
    }

    fn check(&self, keys: &Keys) -> Result<(), ChunkError> {
        let same = keys.len() == self.records;
        same.then_some(()).ok_or(ChunkError::Malformed("the keys are of other records"))
    }

    fn row(&self, number: usize) -> usize {
        self.rows.as_ref().map_or(number, |rows| place(rows[number]))
    }
}

fn check_version(reader: &mut Reader<'_>) -> Result<(), ChunkError> {
    match reader.byte()? {
        VERSION => Ok(()),
        other => Err(ChunkError::Version(other)),
    }
}

fn read_rows(reader: &mut Reader<'_>, count: usize) -> Result<Vec<u32>, ChunkError> {
    let rows = integers::decode(reader, count)?.into_iter().map(u32::try_from);
    rows.collect::<Result<_, _>>().map_err(|_| ChunkError::TooMany)
}

fn all(count: usize) -> Result<Vec<u32>, ChunkError> {
    u32::try_from(count).map(|count| (0..count).collect()).map_err(|_| ChunkError::TooMany)
}

fn place(row: u32) -> usize {
    usize::try_from(row).expect("a usize has 32 bits at least")
}

#[cfg(test)]
mod tests;
