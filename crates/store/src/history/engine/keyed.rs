//! Rows of tables whose key is a bucket, a device, a time and a hash.

use nemeses_protocol::DeviceId;

use super::rows::bucket_of;
use super::value::Value;

/// Bucket, device, time, hash.
pub(in crate::history) type Key = (u32, u32, u64, u64);

/// A row of a table whose key is a bucket, a device, a time and a hash.
pub(in crate::history) trait Keyed: Sync {
    const TABLE: &'static str;
    /// In the order in which they are bound.
    const COLUMNS: &'static [&'static str];
    /// The key's columns.
    const KEY: [&'static str; 4];

    fn key(&self) -> Key;

    /// How long the row's values of no fixed length are.
    fn bytes(&self) -> usize {
        0
    }

    /// Appends the row's values.
    fn bind<'a>(&'a self, values: &mut Vec<Value<'a>>);
}

/// Columns of `readings` in the order in which rows are bound.
pub(in crate::history) const READINGS_COLUMNS: &[&str] = &[
    "bucket",
    "device",
    "recorded_at_ms",
    "content_hash",
    "received_at_ms",
    "timeless",
    "value_count",
    "packed",
];

/// One record as a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::history) struct ReadingsRow {
    /// Index of the part that it came with.
    pub(in crate::history) part: usize,
    pub(in crate::history) device: DeviceId,
    pub(in crate::history) recorded_at_ms: u64,
    pub(in crate::history) content_hash: u64,
    pub(in crate::history) received_at_ms: u64,
    pub(in crate::history) timeless: bool,
    pub(in crate::history) value_count: u16,
    pub(in crate::history) packed: Vec<u8>,
}

impl ReadingsRow {
    /// Whole seconds; a record of later than 2106 is refused before it comes here.
    pub(in crate::history) fn recorded_at(&self) -> u32 {
        u32::try_from(self.recorded_at_ms / 1000).unwrap_or(u32::MAX)
    }

    /// In the order of [`READINGS_COLUMNS`].
    pub(in crate::history) fn values(&self) -> [Value<'_>; 8] {
        [
            bucket_of(self.recorded_at()).into(),
            self.device.into(),
            self.recorded_at_ms.into(),
            Value::Hash(self.content_hash),
            self.received_at_ms.into(),
            self.timeless.into(),
            self.value_count.into(),
            Value::Bytes(&self.packed),
        ]
    }
}

impl Keyed for ReadingsRow {
    const TABLE: &'static str = "readings";
    const COLUMNS: &'static [&'static str] = READINGS_COLUMNS;
    const KEY: [&'static str; 4] = ["bucket", "device", "recorded_at_ms", "content_hash"];

    fn key(&self) -> (u32, u32, u64, u64) {
        let bucket = bucket_of(self.recorded_at());
        (bucket, self.device.number(), self.recorded_at_ms, self.content_hash)
    }

    fn bytes(&self) -> usize {
        self.packed.len()
    }

    fn bind<'a>(&'a self, values: &mut Vec<Value<'a>>) {
        values.extend(self.values());
    }
}
