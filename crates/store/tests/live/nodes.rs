//! What processes tell each other through Redis besides live entries: replies and commands,
//! who is alive, which devices are known, and whether the server is fit for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nemeses_protocol::{DeviceId, Identity};
use nemeses_runtime::{Clock, Worker};
use nemeses_store::StoreError;
use nemeses_store::history::Identities;
use nemeses_store::known::{KNOWN_FOR_MS, KnownDevices, KnownList, Standing, follow_known};
use nemeses_store::live::{
    FORGOTTEN_AFTER_MS, LiveEntry, LiveStore, Mirrored, RedisLive, RedisOptions,
};
use nemeses_store::named::NamedDevices;
use nemeses_store::relay::{RelaySender, Relayed, open_relay, relay_caller};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::server::{DEADLINE, Redis};
use super::strategies::NOW_MS;
use super::{TTL_MS, device, open, until_ok};

/// Two nodes' relays on one Redis, and what the second hears.
fn relay_pair(redis: &Redis) -> (RelaySender, mpsc::UnboundedReceiver<Relayed>, CancellationToken) {
    let stop = CancellationToken::new();
    let (speaking, mine) = open_relay(&redis.url(), None).unwrap();
    let (_, theirs) = open_relay(&redis.url(), None).unwrap();
    let (told, heard) = mpsc::unbounded_channel();
    tokio::spawn(mine.run(|_| {}, stop.clone()));
    let deliver = move |message| drop(told.send(message));
    tokio::spawn(theirs.run(deliver, stop.clone()));
    (speaking, heard, stop)
}

/// Sends until one arrives: what is sent before both are connected is lost by design.
async fn until_heard(
    speaking: &RelaySender,
    heard: &mut mpsc::UnboundedReceiver<Relayed>,
    message: &Relayed,
) {
    let begun = Instant::now();
    while begun.elapsed() < DEADLINE {
        assert!(speaking.send(message.clone()));
        let next = tokio::time::timeout(Duration::from_millis(100), heard.recv()).await;
        if next.is_ok_and(|next| next.as_ref() == Some(message)) {
            return;
        }
    }
    panic!("nothing was heard");
}

#[tokio::test]
async fn replies_and_commands_travel_between_nodes_and_over_a_restart() {
    let mut redis = Redis::start();
    let (speaking, mut heard, stop) = relay_pair(&redis);
    let device = DeviceId::new(0x0A_3F73);
    until_heard(&speaking, &mut heard, &Relayed::Command(device, b"stop".to_vec())).await;
    until_heard(&speaking, &mut heard, &Relayed::Reply(device, vec![0, 255])).await;
    let (nodes, message) =
        (relay_caller(&redis.url(), None).unwrap(), Relayed::Command(device, b"called".to_vec()));
    assert!(nodes.send(&message).await.unwrap(), "two nodes listen");
    // Repeated ones may come before it.
    while heard.recv().await.unwrap() != message {}
    redis.kill();
    assert!(nodes.send(&message).await.unwrap_err().is_transient());
    redis.start_again();
    until_heard(&speaking, &mut heard, &Relayed::Command(device, b"go".to_vec())).await;
    stop.cancel();
}

#[tokio::test]
async fn a_command_without_nodes_is_heard_by_nobody() {
    let redis = Redis::start();
    let message = Relayed::Command(DeviceId::new(0x0A_3F73), b"stop".to_vec());
    assert!(!relay_caller(&redis.url(), None).unwrap().send(&message).await.unwrap());
}

#[tokio::test]
async fn workers_that_say_so_are_alive_until_they_fall_silent_or_end() {
    let redis = Redis::start();
    let clock = Clock::held(NOW_MS);
    let (one, other) = (open(&redis, &clock), open(&redis, &clock));
    let worker = |name: &str| Worker {
        figures: [("queued_rows".to_owned(), 3.0)].into(),
        ..Worker::here(name, "parser", "0.1.0", NOW_MS)
    };
    assert!(other.workers().await.unwrap().is_empty());
    for name in ["parser-1", "parser-0", "node@host:1883"] {
        one.announce(&worker(name)).await.unwrap();
    }
    one.announce(&worker("parser-0")).await.unwrap();
    let alive = other.workers().await.unwrap();
    let names: Vec<_> = alive.iter().map(|alive| alive.worker.name.as_str()).collect();
    assert_eq!(names, ["node@host:1883", "parser-0", "parser-1"]);
    assert_eq!(alive[1].worker, worker("parser-0"));
    assert!(alive.iter().all(|alive| alive.silent_ms < FORGOTTEN_AFTER_MS));

    one.withdraw("parser-1").await.unwrap();
    // What falls silent is its key's expiry; here it comes at once.
    redis.command(&["PEXPIRE", "nemeses:{workers}:parser-0", "1"]);
    until_ok("the silent one is forgotten", async || {
        let left = other.workers().await?;
        let names: Vec<_> = left.into_iter().map(|alive| alive.worker.name).collect();
        let gone = names == ["node@host:1883"];
        gone.then_some(()).ok_or_else(|| StoreError::Full(format!("{names:?}")))
    })
    .await;

    // What another version says in another way is passed over, not an error.
    redis.command(&["SET", "nemeses:{workers}:node@host:1883", "{}", "PX", "20000"]);
    assert!(other.workers().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_redis_is_inspected() {
    let redis = Redis::start();
    let clock = Clock::held(NOW_MS);
    let found = open(&redis, &clock).inspect().await.unwrap();
    // `make engines` runs Valkey under the name of redis-server.
    let brand = found.product.split(' ').next();
    assert!(brand.is_some_and(|brand| ["Redis", "Valkey"].contains(&brand)), "{}", found.product);
    assert!(found.now_ms.is_some() && found.used_bytes.is_some() && found.refused.is_none());
    // The server of these tests saves nothing.
    assert!(found.weaknesses.len() == 1, "{:?}", found.weaknesses);
    assert!(found.weaknesses[0].contains("keeps nothing on disk"), "{:?}", found.weaknesses);

    redis.command(&["ACL", "SETUSER", "looker", "on", ">x", "~*", "+@read", "+info", "+time"]);
    let url = redis.url().replace("redis://", "redis://looker:x@");
    let looker = RedisLive::new(&url, TTL_MS, clock, RedisOptions::default()).unwrap();
    let found = looker.inspect().await.unwrap();
    assert!(found.refused.unwrap().contains("eval"), "what a station needs is missing");
    assert_eq!(found.weaknesses, [""; 0], "its settings may not be seen");
}

#[tokio::test]
async fn the_list_of_known_devices_and_its_version_are_written_both_or_not_at_all() {
    let redis = Redis::start();
    let version = "(+get +pexpire ~nemeses:{known}:version)";
    let list = "~nemeses:{known}:list";
    redis.command(&["ACL", "SETUSER", "half", "on", ">secret", list, "+@all", version]);
    let url = redis.url().replace("redis://", "redis://half:secret@");
    let keeper = RedisLive::new(&url, TTL_MS, Clock::system(), RedisOptions::default()).unwrap();
    keeper.keep_known(&[device(1)].into_iter().collect()).await.unwrap_err();
    assert_eq!(redis.command(&["EXISTS", "nemeses:{known}:list"]), redis::Value::Int(0));
}

#[tokio::test]
async fn the_list_of_known_devices_is_kept_for_who_wants_it() {
    let redis = Redis::start();
    let clock = Clock::system();
    let (keeper, reader) = (open(&redis, &clock), open(&redis, &clock));
    assert!(!keeper.known_wanted().await.unwrap());
    assert_eq!(reader.known_devices(None).await.unwrap(), Mirrored::Missing);
    assert!(keeper.known_wanted().await.unwrap());

    let list = |numbers: &[u32]| numbers.iter().copied().map(device).collect::<KnownList>();
    let read = async |have| reader.known_devices(have).await.unwrap();
    keeper.keep_known(&list(&[1, 2])).await.unwrap();
    let Mirrored::List { version, list: found } = read(None).await else { panic!("no list") };
    assert_eq!(found, list(&[2, 1]));
    assert_eq!(read(Some(version)).await, Mirrored::Same);
    keeper.keep_known(&list(&[1, 2])).await.unwrap();
    assert_eq!(read(Some(version)).await, Mirrored::Same);
    keeper.keep_known(&list(&[])).await.unwrap();
    let Mirrored::List { version, list: found } = read(Some(version)).await else {
        panic!("no other list")
    };
    assert!(found.is_empty());

    // What somebody else wrote there is no list, and is replaced.
    redis.command(&["SET", "nemeses:{known}:list", "rubbish"]);
    redis.command(&["SET", "nemeses:{known}:version", "7"]);
    assert_eq!(read(Some(version)).await, Mirrored::Missing);
    keeper.keep_known(&list(&[])).await.unwrap();
    assert!(matches!(read(None).await, Mirrored::List { .. }));
    // A server that lost its memory has none.
    redis.command(&["FLUSHDB"]);
    assert_eq!(read(Some(version)).await, Mirrored::Missing);
}

#[tokio::test]
async fn a_follower_learns_of_devices_and_doubts_when_nobody_tells_it() {
    let redis = Redis::start();
    let clock = Clock::held(NOW_MS);
    let keeper = open(&redis, &clock);
    let (known, stop) = (KnownDevices::default(), CancellationToken::new());
    let live: Arc<dyn LiveStore> = Arc::new(open(&redis, &clock));
    let following = follow_known(live, known.clone(), clock.clone(), stop.clone());
    let following = tokio::spawn(following);
    let until = async |number, standing| {
        let begun = Instant::now();
        while known.standing(device(number), clock.now_ms()) != standing {
            assert!(begun.elapsed() < DEADLINE, "{number} is not {standing:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(known.standing(device(1), NOW_MS), Standing::Unsure);
    keeper.keep_known(&[device(1)].into_iter().collect()).await.unwrap();
    until(1, Standing::Known).await;
    until(2, Standing::Unknown).await;
    keeper.keep_known(&[device(1), device(2)].into_iter().collect()).await.unwrap();
    until(2, Standing::Known).await;
    redis.command(&["FLUSHDB"]);
    assert_eq!(known.standing(device(3), NOW_MS + KNOWN_FOR_MS), Standing::Unsure);
    assert_eq!(known.standing(device(1), NOW_MS + KNOWN_FOR_MS), Standing::Known);
    stop.cancel();
    following.await.unwrap();
}

/// Names as a database gives them.
struct Given(Vec<(DeviceId, Identity)>);

#[async_trait::async_trait]
impl Identities for Given {
    async fn give_numbers(&self, _: &[Identity], _: u64) -> Result<Vec<DeviceId>, StoreError> {
        unreachable!("nobody asks for new ones")
    }
    async fn number_of(&self, name: &Identity) -> Result<Option<DeviceId>, StoreError> {
        Ok(self.0.iter().find(|(_, own)| own == name).map(|(device, _)| *device))
    }
    async fn named_after(
        &self,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<(DeviceId, Identity)>, StoreError> {
        let behind = self.0.iter().filter(|(device, _)| Some(*device) > after);
        Ok(behind.take(limit as usize).cloned().collect())
    }
}

/// More than one page of them.
#[tokio::test]
async fn a_process_without_a_database_learns_the_names_of_devices() {
    let redis = Redis::start();
    let clock = Clock::system();
    let name = |n: u32| format!("id:sensor/{n}").parse::<Identity>().unwrap();
    let given = (0..2500).map(|n| (DeviceId::new((1 << 24) + n), name(n))).collect();
    let (keeper, parser, stop) =
        (NamedDevices::default(), NamedDevices::default(), CancellationToken::new());
    let shared: Arc<dyn LiveStore> = Arc::new(open(&redis, &clock));
    let identities: Arc<dyn Identities> = Arc::new(Given(given));
    let keeping = tokio::spawn(keeper.follow(identities, Some(Arc::clone(&shared)), stop.clone()));
    assert_eq!(shared.names_wanted().await.unwrap(), None, "nobody asked");
    let until_known = async |named: &NamedDevices| {
        let begun = Instant::now();
        while [0, 1000, 2499].iter().any(|n| named.number(&name(*n)).is_none()) {
            assert!(begun.elapsed() < DEADLINE, "the names do not come");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let following = tokio::spawn(parser.clone().follow_live(Arc::clone(&shared), stop.clone()));
    until_known(&parser).await;
    assert_eq!(parser.names().identity(DeviceId::new((1 << 24) + 7)), name(7));
    // A server that lost its memory is filled again, for who asks later.
    redis.command(&["FLUSHDB"]);
    let late = NamedDevices::default();
    let too_late = tokio::spawn(late.clone().follow_live(shared, stop.clone()));
    until_known(&late).await;
    stop.cancel();
    for task in [keeping, following, too_late] {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn the_account_of_stations_is_enough() {
    let redis = Redis::start();
    // Keys and channels as in deploy/accounts/redis.sh.
    let script = include_str!("../../../../deploy/accounts/redis.sh");
    assert!(script.contains("~live:* ~nemeses:* &nemeses:* +@all -@admin -@dangerous"));
    let rights = "~live:* ~nemeses:* &nemeses:* +@all -@admin -@dangerous +role +info";
    let account: Vec<&str> = ["ACL", "SETUSER", "station", "on", ">secret"]
        .into_iter()
        .chain(rights.split(' '))
        .collect();
    redis.command(&account);
    let url = redis.url().replace("redis://", "redis://station:secret@");
    let clock = Clock::system();
    let live = RedisLive::new(&url, TTL_MS, clock.clone(), RedisOptions::default()).unwrap();
    let now_ms = clock.now_ms();
    live.merge(&[LiveEntry::seen(device(1), now_ms)], now_ms).await.unwrap();
    assert!(live.first_use("word", 60_000).await.unwrap());
    assert!(!live.first_use("word", 60_000).await.unwrap());
    live.known_devices(None).await.unwrap();
    assert!(live.known_wanted().await.unwrap());
    live.keep_known(&[device(1)].into_iter().collect()).await.unwrap();
    assert!(matches!(live.known_devices(None).await.unwrap(), Mirrored::List { .. }));
    let named = (DeviceId::new(1 << 24), "id:a".parse().unwrap());
    assert_eq!(live.names_after(None).await.unwrap(), (Vec::new(), 0));
    live.keep_names(std::slice::from_ref(&named)).await.unwrap();
    assert_eq!(live.names_wanted().await.unwrap(), Some(1));
    assert_eq!(live.names_after(None).await.unwrap(), (vec![named], 1));
    live.announce(&Worker::here("w", "parser", "0.1.0", 1)).await.unwrap();
}
