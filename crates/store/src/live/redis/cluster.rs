//! The live store on a Redis Cluster, where a script call reaches the keys of one
//! hash tag only. Entries are joined tag by tag, at once; what moved is then told
//! to the stream, which has a tag of its own, in a second call. Whoever dies between
//! the two leaves a move untold, and those who watch see the device's next frame;
//! whoever reads the entry sees it at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::{join_all, try_join_all};
use nemeses_protocol::DeviceId;
use redis::{Cmd, Script};

use super::connection::Fault;
use super::{
    EntryKind, IDS_A_MS, KEPT, KEYS_A_CALL, MERGE, RedisLive, each_key, key, lacks_script, reader,
    tag, value, values,
};
use crate::StoreError;
use crate::live::LiveEntry;

/// Tells the stream of records: each is a number of entries and their bytes.
const TELL: &str = concat!(
    include_str!("tell.lua"),
    "for i = 3, #ARGV, 3 do \
         tell(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2], tonumber(ARGV[i]), ARGV[i + 1], \
             ARGV[i + 2]) \
     end \
     return 0"
);

/// Entries that wait to be told: as many as the stream keeps, some 6 MB.
const MOST_UNTOLD: usize = KEPT;

/// So many entries that moved, one after the other, as the stream has them.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    count: usize,
    bytes: Vec<u8>,
    kind: EntryKind,
}

/// What moved and could not be told yet, since the stream's server did not answer.
/// Beyond the bound the oldest are forgotten.
#[derive(Debug, Default)]
pub(super) struct Untold(Mutex<VecDeque<Record>>);

impl Untold {
    /// Adds what moved, in records of at most [`KEYS_A_CALL`] entries.
    fn push(&self, moved: impl IntoIterator<Item = Record>) {
        let mut waiting = self.waiting();
        for record in moved {
            match waiting.back_mut() {
                _ if record.count == 0 => {}
                Some(held)
                    if held.kind == record.kind && held.count + record.count <= KEYS_A_CALL =>
                {
                    held.count += record.count;
                    held.bytes.extend(record.bytes);
                }
                _ => waiting.push_back(record),
            }
        }
        let mut entries: usize = waiting.iter().map(|record| record.count).sum();
        while entries > MOST_UNTOLD
            && let Some(record) = waiting.pop_front()
        {
            entries -= record.count;
        }
    }

    /// What waits. It waits again when this ends with something in it, also because
    /// the caller has lost patience.
    fn take(&self) -> Taken<'_> {
        Taken { records: std::mem::take(&mut *self.waiting()), untold: self }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Taken<'a> {
    records: VecDeque<Record>,
    untold: &'a Untold,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // Before what came meanwhile.
        let mut waiting = self.untold.waiting();
        self.records.append(&mut waiting);
        std::mem::swap(&mut *waiting, &mut self.records);
    }
}

impl RedisLive {
    /// Joins the entries, each device of them once. Tags whose server is down fail
    /// alone; the others are written and told.
    pub(super) async fn merge_by_tag(
        &self,
        entries: &[LiveEntry],
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let historical = value::historical_of(entries);
        let (live, historical) = (by_tag(entries), by_tag(&historical));
        let calls = [(EntryKind::Live, &live), (EntryKind::Historical, &historical)];
        let calls = calls.into_iter().flat_map(|(kind, by_tag)| {
            let calls = by_tag.values().flat_map(|entries| entries.chunks(KEYS_A_CALL));
            calls.map(move |call| (kind, call))
        });
        let calls = calls.map(|(kind, call)| async move {
            // Kept at once: the caller may lose patience with another server.
            self.merge_call(kind, call, now_ms).await.map(|moved| self.untold.push([moved]))
        });
        let mut answers = join_all(calls).await;
        // Behind the live keys: whoever is told of values finds that the device was heard.
        let valued = by_tag(entries)
            .into_values()
            .flat_map(|entries| values::calls(entries, now_ms, self.ttl_ms));
        let valued: Vec<_> = valued.collect();
        let calls = valued.iter().map(|call| async move {
            self.merge_values(call, now_ms).await.map(|moved| self.untold.push([moved]))
        });
        answers.extend(join_all(calls).await);
        let told = self.tell(now_ms).await;
        answers.into_iter().find(Result::is_err).unwrap_or(told)
    }

    /// Joins entries of one tag; what moved.
    async fn merge_call(
        &self,
        kind: EntryKind,
        call: &[&LiveEntry],
        now_ms: u64,
    ) -> Result<Record, StoreError> {
        let records = value::records(call.iter().copied());
        let command = |verb: &str, script: &str| {
            let mut command = redis::cmd(verb);
            command.arg(script).arg(call.len());
            each_key(kind, call.iter().copied(), |key| {
                command.arg(key);
            });
            let (ttl_ms, since_ms) = self.lives(kind);
            command.arg(now_ms.min(value::LATEST_MS)).arg(ttl_ms).arg(since_ms);
            command.arg(&records).arg(kind.word());
            command
        };
        let by_hash = command("EVALSHA", self.script.get_hash());
        let (count, bytes) = self.run(&by_hash, || command("EVAL", MERGE)).await?;
        Ok(Record { count, bytes, kind })
    }

    /// Joins values of devices of one tag; whose moved.
    async fn merge_values(
        &self,
        call: &[values::Valued<'_>],
        now_ms: u64,
    ) -> Result<Record, StoreError> {
        let command = |verb: &str, script: &str| {
            let mut command = redis::cmd(verb);
            command.arg(script);
            values::arguments(&mut command, call, now_ms, self.ttl_ms, false);
            command
        };
        let by_hash = command("EVALSHA", self.values_script.get_hash());
        let by_text = || command("EVAL", values::MERGE_VALUES);
        let (count, bytes) = self.run(&by_hash, by_text).await?;
        Ok(Record { count, bytes, kind: EntryKind::Values })
    }

    /// Tells the stream what moved and was not told yet.
    async fn tell(&self, now_ms: u64) -> Result<(), StoreError> {
        let mut untold = self.untold.take();
        if untold.records.is_empty() {
            return Ok(());
        }
        let first = now_ms.min(value::LATEST_MS).saturating_mul(IDS_A_MS);
        let command = |verb: &str, script: &str| {
            let mut command = redis::cmd(verb);
            command.arg(script).arg(reader::KEYS.len()).arg(&reader::KEYS);
            command.arg(KEPT).arg(first);
            for Record { count, bytes, kind } in &untold.records {
                command.arg(*count).arg(bytes).arg(kind.word());
            }
            command
        };
        let hash = Script::new(TELL).get_hash().to_owned();
        self.run::<u8>(&command("EVALSHA", &hash), || command("EVAL", TELL)).await?;
        untold.records.clear();
        Ok(())
    }

    /// Runs a script by its hash, or by its text where the server does not know it.
    async fn run<T: redis::FromRedisValue>(
        &self,
        by_hash: &Cmd,
        by_text: impl FnOnce() -> Cmd,
    ) -> Result<T, StoreError> {
        let answer = match self.connection.try_command(by_hash).await {
            Err(Fault::Answered(error)) if lacks_script(&error) => {
                self.connection.try_command(&by_text()).await
            }
            answer => answer,
        };
        answer.map_err(|fault| self.connection.store_error(fault))
    }

    /// The values of the devices, in their order.
    pub(super) async fn values_of_all(
        &self,
        devices: &[DeviceId],
    ) -> Result<Vec<Vec<Option<Vec<u8>>>>, StoreError> {
        let read = |call: &[DeviceId]| {
            // The client divides it among the slots and puts the answers in order.
            let mut command = redis::cmd("MGET");
            for device in call {
                command.arg(key(EntryKind::Live, *device)).arg(key(EntryKind::Historical, *device));
            }
            async move {
                let answer = self.connection.try_command(&command).await;
                answer.map_err(|fault| self.connection.store_error(fault))
            }
        };
        try_join_all(devices.chunks(KEYS_A_CALL).map(read)).await
    }
}

fn by_tag(entries: &[LiveEntry]) -> BTreeMap<u32, Vec<&LiveEntry>> {
    let mut by_tag: BTreeMap<u32, Vec<&LiveEntry>> = BTreeMap::new();
    for entry in entries {
        by_tag.entry(tag(entry.device)).or_default().push(entry);
    }
    by_tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_one_tag_and_every_entry_is_in_one() {
        let entries: Vec<LiveEntry> =
            (0..200).map(|number| LiveEntry::seen(DeviceId::new(number * 3), 1)).collect();
        let by_tag = by_tag(&entries);
        for (expected, entries) in &by_tag {
            assert!(entries.iter().all(|entry| tag(entry.device) == *expected));
        }
        assert_eq!(by_tag.values().map(Vec::len).sum::<usize>(), entries.len());
    }

    #[test]
    fn what_moved_is_told_in_order_in_few_records() {
        let untold = Untold::default();
        let live =
            |count, bytes: &[u8]| Record { count, bytes: bytes.into(), kind: EntryKind::Live };
        let historical = || Record { kind: EntryKind::Historical, ..live(1, &[5]) };
        untold.push([live(300, &[1]), live(0, &[]), live(200, &[2]), live(1, &[3])]);
        let taken = untold.take();
        assert_eq!(taken.records, [live(500, &[1, 2]), live(1, &[3])]);
        untold.push([live(2, &[4]), historical(), live(1, &[6])]);
        drop(taken);
        let mut taken = untold.take();
        let all = [live(500, &[1, 2]), live(1, &[3]), live(2, &[4]), historical(), live(1, &[6])];
        assert_eq!(taken.records, all);
        taken.records.clear();
        drop(taken);
        assert!(untold.take().records.is_empty());
    }

    #[test]
    fn what_cannot_be_told_is_bounded() {
        let untold = Untold::default();
        for number in 0..=MOST_UNTOLD / KEYS_A_CALL {
            let bytes = number.to_be_bytes().to_vec();
            untold.push([Record { count: KEYS_A_CALL, bytes, kind: EntryKind::Live }]);
        }
        let taken = untold.take();
        assert_eq!(taken.records.len(), MOST_UNTOLD / KEYS_A_CALL);
        assert_eq!(taken.records[0].bytes, 1_usize.to_be_bytes(), "the oldest went");
    }
}
