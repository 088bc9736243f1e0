//! Reads the stream of what moved, with a connection of its own, since a read
//! that waits holds up whatever comes behind it.
//!
//! The stream `live:{stream}:moved` has a record for each script call that moved
//! something: one field `e` with its entries one after the other, each the device
//! (4 bytes, big endian), the length (1) and the value as in the device's key; only
//! its first 8 bytes when the device was merely heard. A record of what devices sent
//! from memory has it in a second field `h`, and in `e` that they were heard; one of devices
//! whose values moved has a second field `v` beside that they were heard. The
//! record's id is the number of its last entry, counted in `live:{stream}:last`; where
//! counting began is in `live:{stream}:origin`. Trimming needs Redis 6.2
//! (`XTRIM MINID`); the keys are lost with the server's memory only.

use std::time::Duration;

use nemeses_protocol::DeviceId;
use redis::RedisError;
use tokio::sync::Mutex;

use super::source::{Open, Source};
use super::value;
use crate::StoreError;
use crate::live::LiveEntry;
use crate::live::stream::{IDS_A_MS, Moved, WAIT, WAIT_MS};

pub(super) const STREAM_KEY: &str = "live:{stream}:moved";
pub(super) const COUNTER_KEY: &str = "live:{stream}:last";
pub(super) const ORIGIN_KEY: &str = "live:{stream}:origin";
/// What the scripts are given of the stream, in this order.
pub(super) const KEYS: [&str; 3] = [STREAM_KEY, COUNTER_KEY, ORIGIN_KEY];
/// Records read at once: of at most 500 entries and 48 KB each, 1 MB.
const RECORDS_AT_ONCE: usize = 20;

/// Whether the counter knows the id. One that was put back, by an old snapshot, is
/// moved on, so that no id is given out twice.
const FOLLOW: &str = "local last = redis.call('GET', KEYS[1]) \
    if not last then return 0 end \
    if tonumber(last) < tonumber(ARGV[1]) then \
    redis.call('MSET', KEYS[1], ARGV[2], KEYS[2], ARGV[2]) end \
    return 1";

/// What `XREAD` answers: streams of records of fields.
type Answer = Option<Vec<(String, Vec<Record>)>>;
type Record = (String, Vec<(String, Vec<u8>)>);

pub(super) struct Reader {
    source: Source,
    answer_within: Duration,
    open: Mutex<Option<Open>>,
}

impl Reader {
    pub(super) fn new(source: Source, answer_within: Duration) -> Self {
        Self { source, answer_within, open: Mutex::new(None) }
    }

    /// What came behind the id, after a little waiting if nothing is there. One
    /// reader at a time; a second waits for the first.
    pub(super) async fn after(&self, id: u64, now_ms: u64) -> Result<Vec<Moved>, StoreError> {
        let mut open = self.open.lock().await;
        // Taken out, so that a read that is dropped half-way leaves no answer behind.
        let read = match open.take() {
            Some(connection) => self.read(connection, id, now_ms).await,
            None => match self.connect().await {
                Ok(connection) => self.read(connection, id, now_ms).await,
                Err(error) => Err(error),
            },
        };
        let (connection, moved) =
            read.map_err(|error| self.source.store_error(&error, self.answer_within))?;
        *open = Some(connection);
        Ok(moved)
    }

    async fn connect(&self) -> Result<Open, RedisError> {
        self.source.connect(self.answer_within, WAIT + self.answer_within).await
    }

    async fn read(
        &self,
        mut connection: Open,
        id: u64,
        now_ms: u64,
    ) -> Result<(Open, Vec<Moved>), RedisError> {
        let beyond = now_ms.saturating_mul(IDS_A_MS).max(id.saturating_add(1));
        let mut ask = redis::cmd("EVAL");
        ask.arg(FOLLOW).arg(2).arg(COUNTER_KEY).arg(ORIGIN_KEY).arg(id).arg(beyond);
        let known: bool = ask.query_async(&mut connection).await?;
        let from = if known { id } else { 0 };
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(RECORDS_AT_ONCE).arg("BLOCK").arg(WAIT_MS);
        command.arg("STREAMS").arg(STREAM_KEY).arg(from.to_string());
        let answer: Answer = command.query_async(&mut connection).await?;
        let records = answer.into_iter().flatten().flat_map(|(_, records)| records);
        let moved = records.flat_map(|record| decode(&record)).filter(|moved| moved.id > from);
        Ok((connection, moved.collect()))
    }
}

/// The entries of a record; none of one that cannot be divided. Of an entry of an unknown
/// version nothing is told but that it had its place in the stream.
fn decode((id, fields): &Record) -> Vec<Moved> {
    let last = id.split('-').next().and_then(|number| number.parse::<u64>().ok());
    let field = |wanted| fields.iter().find(|(name, _)| name == wanted).map(|(_, bytes)| bytes);
    let Some(last) = last else { return Vec::new() };
    let entries = match (field("h"), field("e")) {
        (Some(bytes), _) => {
            let apart = entries(bytes).unwrap_or_default();
            apart.into_iter().map(value::as_historical).collect()
        }
        (None, Some(bytes)) => entries(bytes).unwrap_or_default(),
        (None, None) => return Vec::new(),
    };
    let first = (last + 1).saturating_sub(entries.len() as u64);
    let values = field("v").is_some();
    (first..).zip(entries).map(|(id, entry)| Moved { id, entry, values }).collect()
}

fn entries(mut bytes: &[u8]) -> Option<Vec<LiveEntry>> {
    let mut entries = Vec::new();
    while let Some((device, rest)) = bytes.split_first_chunk::<4>() {
        let (length, rest) = rest.split_first()?;
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        let device = DeviceId::new(u32::from_be_bytes(*device));
        let entry = value::decode(device, value);
        entries.push(entry.unwrap_or_else(|| LiveEntry::seen(device, 0)));
        bytes = rest;
    }
    bytes.is_empty().then_some(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::live::redis::value::tests::entries as any_entry;

    fn record(last: u64, entries: &[LiveEntry]) -> Record {
        (format!("{last}-0"), vec![("e".to_owned(), value::records(entries.iter()))])
    }

    proptest! {
        #[test]
        fn records_are_read(entries in proptest::collection::vec(any_entry(DeviceId::new(7)), 0..5)) {
            let moved = decode(&record(100, &entries));
            prop_assert!(moved.iter().map(|moved| &moved.entry).eq(&entries));
            if let Some(newest) = moved.last() {
                prop_assert_eq!(newest.id, 100);
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(id: String, bytes: Vec<u8>) {
            for field in ["e", "h"] {
                let _ = decode(&(id.clone(), vec![(field.to_owned(), bytes.clone())]));
                let _ = decode(&("7-0".to_owned(), vec![(field.to_owned(), bytes.clone())]));
            }
        }
    }
}
