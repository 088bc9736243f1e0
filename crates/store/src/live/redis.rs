//! The live store in Redis, shared by all nodes and stations.
//!
//! One key a device (`live:{7}:0A3F73`; the braces are a hash tag of 64 values,
//! so that a script call can serve many keys of one tag on a cluster, `cluster.rs`), and
//! a second one (`live:{7}:0A3F73:h`) if it ever sent frames from its memory, and a hash
//! (`live:{7}:0A3F73:v`) of the newest values of its channels, which nodes of a version that
//! knows no values do not touch. Many
//! entries are joined in one script call, atomically, by the caller's clock; the
//! key's own expiry is relative to that clock too, so Redis's time of day does
//! not matter. Readers still look at the entry's age, since a stopped server
//! may carry out an old write late.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use nemeses_protocol::{DeviceId, Identity};
use nemeses_runtime::{Clock, Worker};
use redis::{ErrorKind, Pipeline, RedisError, ServerErrorKind};

use self::connection::{Connection, Fault};
use self::loss::Claim;
use self::reader::Reader;
pub(crate) use self::source::Source;
use super::entry::coalesce;
use super::stream::{IDS_A_MS, KEPT, Moved};
use super::workers::Alive;
use super::{LiveEntry, LiveInspection, LiveStore, LiveValues, Mirrored};
use crate::StoreError;
use crate::known::KnownList;

mod cluster;
mod connection;
mod fault;
mod inspect;
mod known;
mod loss;
mod names;
mod place;
mod reader;
#[cfg(test)]
mod rolling_tests;
mod source;
mod value;
mod values;
mod workers;

/// The longest key, `live:{63}:FFFFFFFF:h`.
const KEY_BYTES: usize = 20;
/// Distinct hash tags: a few dozen, so that a batch of 1000 has some twenty keys a tag.
const TAGS: u32 = 64;
/// Keys in one script call or read. 500 values of 50 bytes take the server less than
/// a millisecond, which is how long others wait for it.
const KEYS_A_CALL: usize = 500;
/// Calls sent in one go, so that what waits for one answer is bounded: 2000 entries, 200 KB.
const CALLS_AT_ONCE: usize = 4;

/// Hashes of values read in one go: of 0.5 MB at most, nearly always of 1 KB.
const HASHES_AT_ONCE: usize = 200;

/// Fields of a hash.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What joins, and tells the stream in the same call.
const MERGE: &str = concat!(include_str!("redis/tell.lua"), include_str!("redis/merge.lua"));

/// What a device's key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryKind {
    /// When it was heard, and its newest live frames.
    Live,
    /// Its newest frames from memory. Without expiry: it is wanted as long as pings renew
    /// the live key. One that nobody wants any more is 150 bytes.
    Historical,
    /// The newest values of its channels (`values.rs`).
    Values,
}

impl EntryKind {
    /// As the scripts call it.
    const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Historical => "historical",
            Self::Values => "values",
        }
    }
}

/// How to reach Redis, beyond its URL.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Connecting or answering that takes longer counts as not available.
    pub answer_within: Duration,
    /// Certificates (PEM) to trust for `rediss://` instead of the system's.
    pub root_certificates: Option<Vec<u8>>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self { answer_within: Duration::from_millis(500), root_certificates: None }
    }
}

/// Live entries in Redis 6 or later, or what speaks its protocol.
pub struct RedisLive {
    connection: Connection,
    script: redis::Script,
    values_script: redis::Script,
    untold: cluster::Untold,
    ttl_ms: u64,
    /// When this began to write, for `merge.lua`.
    since_ms: u64,
    clock: Clock,
    claim: Mutex<Option<Claim>>,
    reader: Reader,
}

impl RedisLive {
    /// Entries live for `ttl_ms` after they were seen. Connects when first used.
    ///
    /// # Errors
    /// `Configuration` for a URL or certificates that cannot be used.
    pub fn new(
        url: &str,
        ttl_ms: u64,
        clock: Clock,
        options: RedisOptions,
    ) -> Result<Self, StoreError> {
        let source = Source::new(url, options.root_certificates)
            .map_err(|error| fault::store_error(&error, options.answer_within))?;
        Ok(Self {
            reader: Reader::new(source.clone(), options.answer_within),
            connection: Connection::new(source, options.answer_within),
            script: redis::Script::new(MERGE),
            values_script: redis::Script::new(values::MERGE_VALUES),
            untold: cluster::Untold::default(),
            ttl_ms: ttl_ms.min(value::LATEST_MS),
            since_ms: clock.now_ms().min(value::LATEST_MS),
            clock,
            claim: Mutex::new(None),
        })
    }

    /// Joins at most what may be sent at once.
    async fn merge_at_once(&self, entries: &[LiveEntry], now_ms: u64) -> Result<(), StoreError> {
        let mut commands = self.merge_commands(Pipeline::new(), entries, now_ms);
        match self.connection.try_ask::<()>(&commands).await {
            Err(Fault::Answered(error)) if lacks_script(&error) => {
                let mut load = Pipeline::new();
                load.cmd("SCRIPT").arg("LOAD").arg(MERGE);
                load.cmd("SCRIPT").arg("LOAD").arg(values::MERGE_VALUES);
                commands = self.merge_commands(load, entries, now_ms);
                self.connection.ask(&commands).await
            }
            other => other.map_err(|fault| self.connection.store_error(fault)),
        }
    }

    fn merge_commands(
        &self,
        mut commands: Pipeline,
        entries: &[LiveEntry],
        now_ms: u64,
    ) -> Pipeline {
        let historical = value::historical_of(entries);
        for (kind, entries) in [(EntryKind::Live, entries), (EntryKind::Historical, &historical)] {
            for call in entries.chunks(KEYS_A_CALL) {
                let command = commands.cmd("EVALSHA").arg(self.script.get_hash());
                command.arg(call.len() + reader::KEYS.len()).arg(&reader::KEYS);
                each_key(kind, call.iter(), |key| {
                    command.arg(key);
                });
                let (ttl_ms, since_ms) = self.lives(kind);
                command.arg(now_ms.min(value::LATEST_MS)).arg(ttl_ms).arg(since_ms);
                command.arg(value::records(call.iter())).arg(kind.word());
                command.arg(KEPT).arg(now_ms.min(value::LATEST_MS).saturating_mul(IDS_A_MS));
            }
        }
        for call in values::calls(entries, now_ms, self.ttl_ms) {
            let mut command = redis::cmd("EVALSHA");
            command.arg(self.values_script.get_hash());
            values::arguments(&mut command, &call, now_ms, self.ttl_ms, true);
            commands.add_command(command);
        }
        commands
    }

    /// How long a key lives after its device was seen, and what was written before it is
    /// renewed.
    const fn lives(&self, kind: EntryKind) -> (u64, u64) {
        match kind {
            EntryKind::Live | EntryKind::Values => (self.ttl_ms, self.since_ms),
            // Thousands of years.
            EntryKind::Historical => (value::LATEST_MS, 0),
        }
    }

    async fn get_at_once(
        &self,
        devices: &[DeviceId],
    ) -> Result<Vec<Option<LiveEntry>>, StoreError> {
        let values = if self.connection.is_cluster() {
            self.values_of_all(devices).await?
        } else {
            let mut commands = Pipeline::new();
            for call in devices.chunks(KEYS_A_CALL) {
                let keys = call.iter().flat_map(|device| {
                    [key(EntryKind::Live, *device), key(EntryKind::Historical, *device)]
                });
                commands.cmd("MGET").arg(keys.collect::<Vec<_>>());
            }
            self.connection.ask(&commands).await?
        };
        let now_ms = self.clock.now_ms();
        let values: Vec<Option<Vec<u8>>> = values.into_iter().flatten().collect();
        let entry = |(pair, device): (&[Option<Vec<u8>>], &DeviceId)| {
            let [live, historical] = pair else { return None };
            let mut entry = value::decode(*device, live.as_ref()?)?;
            let apart = historical.as_ref().and_then(|value| value::decode(*device, value));
            entry.historical = apart.and_then(|apart| value::as_historical(apart).historical);
            entry.lives_at(now_ms, self.ttl_ms).then_some(entry)
        };
        Ok(values.chunks(2).zip(devices).map(entry).collect())
    }

    /// The fields of the devices' hashes, in the devices' order.
    async fn hashes(&self, devices: &[DeviceId]) -> Result<Vec<Fields>, StoreError> {
        if self.connection.is_cluster() {
            // The client sends each where its slot is.
            let read = devices.iter().map(|device| async move {
                let mut command = redis::cmd("HGETALL");
                command.arg(key(EntryKind::Values, *device));
                let answer = self.connection.try_command(&command).await;
                answer.map_err(|fault| self.connection.store_error(fault))
            });
            return try_join_all(read).await;
        }
        let mut commands = Pipeline::new();
        for device in devices {
            commands.cmd("HGETALL").arg(key(EntryKind::Values, *device));
        }
        self.connection.ask(&commands).await
    }

    fn claim(&self) -> std::sync::MutexGuard<'_, Option<Claim>> {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of a device: `live:{7}:0A3F73`.
fn key(kind: EntryKind, device: DeviceId) -> String {
    let mut key = String::with_capacity(KEY_BYTES);
    push_key(&mut key, kind, device);
    key
}

/// Appends the key. Written digit by digit, since it is done for every entry.
fn push_key(key: &mut String, kind: EntryKind, device: DeviceId) {
    let digit = |number: u32, base: u32| char::from_digit(number % base, base).unwrap_or('0');
    let (number, tag) = (device.number(), tag(device));
    key.push_str("live:{");
    if tag >= 10 {
        key.push(digit(tag / 10, 10));
    }
    key.push(digit(tag, 10));
    key.push_str("}:");
    let digits = if number > DeviceId::MAX_SFT9001 { 8 } else { 6 };
    for place in (0..digits).rev() {
        key.push(digit(number >> (4 * place), 16).to_ascii_uppercase());
    }
    match kind {
        EntryKind::Live => {}
        EntryKind::Historical => key.push_str(":h"),
        EntryKind::Values => key.push_str(":v"),
    }
}

/// Hands out the key of each entry in turn.
fn each_key<'e>(
    kind: EntryKind,
    entries: impl Iterator<Item = &'e LiveEntry>,
    mut take: impl FnMut(&[u8]),
) {
    let mut key = String::with_capacity(KEY_BYTES);
    for entry in entries {
        key.clear();
        push_key(&mut key, kind, entry.device);
        take(key.as_bytes());
    }
}

/// A device's hash tag.
fn tag(device: DeviceId) -> u32 {
    device.number() % TAGS
}

/// Whether the server does not know the script, as after a restart.
fn lacks_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

#[async_trait]
impl LiveStore for RedisLive {
    async fn merge(&self, entries: &[LiveEntry], now_ms: u64) -> Result<(), StoreError> {
        for part in coalesce(entries, now_ms, self.ttl_ms).chunks(KEYS_A_CALL * CALLS_AT_ONCE) {
            if self.connection.is_cluster() {
                self.merge_by_tag(part, now_ms).await?;
            } else {
                self.merge_at_once(part, now_ms).await?;
            }
        }
        Ok(())
    }

    async fn get(&self, devices: &[DeviceId]) -> Result<Vec<Option<LiveEntry>>, StoreError> {
        let mut entries = Vec::with_capacity(devices.len());
        for part in devices.chunks(KEYS_A_CALL * CALLS_AT_ONCE) {
            entries.extend(self.get_at_once(part).await?);
        }
        Ok(entries)
    }

    async fn values(&self, devices: &[DeviceId]) -> Result<Vec<Option<LiveValues>>, StoreError> {
        let now_ms = self.clock.now_ms();
        let mut all = Vec::with_capacity(devices.len());
        for part in devices.chunks(HASHES_AT_ONCE) {
            let lives = |values: &LiveValues| values.lives_at(now_ms, self.ttl_ms);
            let read = self.hashes(part).await?;
            all.extend(read.iter().map(|fields| values::decode(fields).filter(lives)));
        }
        Ok(all)
    }

    fn ttl_ms(&self) -> u64 {
        self.ttl_ms
    }

    async fn moved_after(&self, id: u64) -> Result<Vec<Moved>, StoreError> {
        self.reader.after(id, self.clock.now_ms()).await
    }

    async fn stream_origin(&self) -> Result<Option<u64>, StoreError> {
        let mut commands = Pipeline::new();
        commands.cmd("GET").arg(reader::ORIGIN_KEY);
        let (origin,): (Option<u64>,) = self.connection.ask(&commands).await?;
        Ok(origin)
    }

    async fn first_use(&self, word: &str, within_ms: u64) -> Result<bool, StoreError> {
        let mut commands = Pipeline::new();
        commands
            .cmd("SET")
            .arg(format!("nemeses:once:{word}"))
            .arg(1)
            .arg("NX")
            .arg("PX")
            .arg(within_ms);
        let (set,): (redis::Value,) = self.connection.ask(&commands).await?;
        Ok(set != redis::Value::Nil)
    }

    async fn announce(&self, worker: &Worker) -> Result<(), StoreError> {
        workers::announce(&self.connection, worker).await
    }

    async fn withdraw(&self, name: &str) -> Result<(), StoreError> {
        workers::withdraw(&self.connection, name).await
    }

    async fn workers(&self) -> Result<Vec<Alive>, StoreError> {
        workers::alive(&self.connection).await
    }

    async fn known_devices(&self, have: Option<u64>) -> Result<Mirrored, StoreError> {
        known::read(&self.connection, have).await
    }

    async fn known_wanted(&self) -> Result<bool, StoreError> {
        known::is_wanted(&self.connection).await
    }

    async fn keep_known(&self, list: &KnownList) -> Result<(), StoreError> {
        known::keep(&self.connection, list).await
    }

    async fn names_after(
        &self,
        after: Option<DeviceId>,
    ) -> Result<(Vec<(DeviceId, Identity)>, usize), StoreError> {
        names::read(&self.connection, after).await
    }

    async fn names_wanted(&self) -> Result<Option<usize>, StoreError> {
        names::wanted(&self.connection).await
    }

    async fn keep_names(&self, named: &[(DeviceId, Identity)]) -> Result<(), StoreError> {
        names::keep(&self.connection, named).await
    }

    async fn inspect(&self) -> Result<LiveInspection, StoreError> {
        inspect::inspect(&self.connection).await
    }

    async fn check_writes(&self) -> Result<(), StoreError> {
        let mut commands = Pipeline::new();
        commands.cmd("SET").arg("nemeses:written").arg(1).arg("PX").arg(1_000);
        self.connection.ask(&commands).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let mut commands = Pipeline::new();
        commands.cmd("PING");
        self.connection.ask(&commands).await
    }

    async fn needs_rebuild(&self) -> Result<bool, StoreError> {
        loss::has_lost(&self.connection).await
    }

    async fn mark_rebuilt(&self) -> Result<(), StoreError> {
        let claim = self.claim().take();
        loss::mark(&self.connection, claim).await
    }

    async fn claim_rebuild(&self) -> Result<bool, StoreError> {
        // After a failure the claim may still be ours.
        if self.keep_claim().await? {
            return Ok(true);
        }
        let claim = loss::claim(&self.connection).await?;
        let claimed = claim.is_some();
        *self.claim() = claim;
        Ok(claimed)
    }

    async fn keep_claim(&self) -> Result<bool, StoreError> {
        let claim = self.claim().clone();
        match claim {
            Some(claim) => loss::keep(&self.connection, &claim).await,
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_carry_a_tag() {
        assert_eq!(key(EntryKind::Live, DeviceId::new(0x0A_3F73)), "live:{51}:0A3F73");
        assert_eq!(key(EntryKind::Historical, DeviceId::new(0x0A_3F73)), "live:{51}:0A3F73:h");
        assert_eq!(key(EntryKind::Live, DeviceId::new(0x1200_0040)), "live:{0}:12000040");
        for number in (0..=u32::MAX).step_by(65_521) {
            let device = DeviceId::new(number);
            let live = format!("live:{{{}}}:{device}", tag(device));
            assert_eq!(key(EntryKind::Live, device), live);
            assert_eq!(key(EntryKind::Historical, device), format!("{live}:h"));
            assert_eq!(key(EntryKind::Values, device), format!("{live}:v"));
        }
    }
}
