//! The live store on several Redis servers: a primary that Sentinels replace, and a
//! cluster that divides the keys. Real servers, of which one is killed.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "helpers of tests fail where they stand"
)]

#[expect(dead_code, reason = "shared with other tests, which also stop the server")]
#[path = "live/server.rs"]
mod server;
#[path = "live/strategies.rs"]
mod strategies;

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nemeses_protocol::DeviceId;
use nemeses_runtime::{Clock, Worker};
use nemeses_store::StoreError;
use nemeses_store::live::{
    Frames, LiveEntry, LiveFrame, LiveStore, LiveValue, LiveValues, MemoryLive, Moved, RedisLive,
    RedisOptions,
};
use nemeses_store::relay::{Relayed, open_relay};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use server::{DEADLINE, Redis};
use strategies::{NOW_MS, entries};

const TTL_MS: u64 = 300_000;

fn open(url: &str) -> RedisLive {
    RedisLive::new(url, TTL_MS, Clock::held(NOW_MS), RedisOptions::default()).unwrap()
}

/// Where nothing is to fail, a busy machine must not make it.
fn open_patiently(url: &str) -> RedisLive {
    let options = RedisOptions { answer_within: DEADLINE, ..RedisOptions::default() };
    RedisLive::new(url, TTL_MS, Clock::held(NOW_MS), options).unwrap()
}

fn seen(number: u32, after_ms: u64) -> LiveEntry {
    LiveEntry::seen(DeviceId::new(number), NOW_MS + after_ms)
}

/// Tries until it succeeds, as a caller would.
async fn until_ok<T>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => {
                assert!(error.is_transient(), "{what}: {error}");
                assert!(begun.elapsed() < DEADLINE, "{what}: {error}");
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What an operator would type; errors are an empty answer.
fn ask(port: u16, password: &str, words: &[&str]) -> String {
    let done = Command::new("redis-cli")
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .envs((!password.is_empty()).then_some(("REDISCLI_AUTH", password)))
        .args(words)
        .output()
        .unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const PASSWORD: &str = "right";

/// A server with a password.
fn guarded(more: &[&str]) -> Redis {
    Redis::start_with(|_, port| {
        let port = port.to_string();
        let own = ["--port", &port, "--requirepass", PASSWORD, "--masterauth", PASSWORD];
        own.iter().chain(more).map(|&word| word.to_owned()).collect()
    })
}

/// A Sentinel with a password, alone enough to decide.
struct Sentinel {
    port: u16,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Sentinel {
    fn start(primary: u16) -> Self {
        let begun = Instant::now();
        loop {
            let folder = tempfile::tempdir().unwrap();
            let port = server::free_port();
            let path = folder.path().join("sentinel.conf");
            let text = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\nrequirepass {PASSWORD}\n\
                 sentinel monitor fleet 127.0.0.1 {primary} 1\n\
                 sentinel auth-pass fleet {PASSWORD}\n\
                 sentinel down-after-milliseconds fleet 1000\n\
                 sentinel failover-timeout fleet 3000\n",
                folder.path().display()
            );
            std::fs::write(&path, text).unwrap();
            let process = Command::new("redis-server")
                .arg(&path)
                .arg("--sentinel")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut sentinel = Self { port, process, _folder: folder };
            while sentinel.process.try_wait().unwrap().is_none() {
                if ask(port, PASSWORD, &["PING"]).contains("PONG") {
                    return sentinel;
                }
                assert!(begun.elapsed() < DEADLINE, "no Sentinel came up");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_lead_to_the_new_primary() {
    let mut first = guarded(&[]);
    let second = guarded(&["--replicaof", "127.0.0.1", &first.port.to_string()]);
    let info = |port| ask(port, PASSWORD, &["INFO", "replication"]);
    until("the replica follows", || info(second.port).contains("master_link_status:up"));
    let sentinel = Sentinel::start(first.port);
    until("the Sentinel knows the replica", || {
        let known = ask(sentinel.port, PASSWORD, &["SENTINEL", "REPLICAS", "fleet"]);
        known.contains("master-link-status\nok")
    });
    // One of those named is not there, as after the loss of its machine.
    let url = format!("redis+sentinel://:{PASSWORD}@127.0.0.1:1,127.0.0.1:{}/fleet", sentinel.port);
    let live = open(&url);
    until_ok("merged", async || live.merge(&[seen(1, 0)], NOW_MS).await).await;
    until_ok("marked", async || live.mark_rebuilt().await).await;
    assert!(!until_ok("looked", async || live.needs_rebuild().await).await);
    assert!(info(first.port).contains("role:master"));

    first.kill();
    until_ok("the other is the primary", async || live.merge(&[seen(2, 5)], NOW_MS).await).await;
    assert!(info(second.port).contains("role:master"));
    let devices = [DeviceId::new(2)];
    assert_eq!(until_ok("read", async || live.get(&devices).await).await, [Some(seen(2, 5))]);
    let lost = until_ok("looked", async || live.needs_rebuild().await).await;
    assert!(lost, "what was not copied in time is lost");

    let wrong = open(&url.replace("/fleet", "/float")).ping().await.unwrap_err();
    assert!(wrong.to_string().contains("No such master"), "{wrong}");
}

/// Three primaries, and a replica of the first.
struct Cluster(Vec<Redis>);

impl Cluster {
    /// A server that is silent for so long counts as gone.
    fn start(timeout_ms: u32) -> Self {
        let nodes: Vec<Redis> = (0..4).map(|_| Self::node(timeout_ms)).collect();
        let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
        // The first gets the slots among which the stream's is.
        let stream = ask(ports[0], "", &["CLUSTER", "KEYSLOT", "{stream}"]);
        let mut slots = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        slots.rotate_left(usize::from(stream.trim().parse::<u16>().unwrap() / 5461).min(2));
        for (number, (port, slots)) in ports.iter().zip(slots).enumerate() {
            ask(*port, "", &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            let added = ask(*port, "", &["CLUSTER", "ADDSLOTSRANGE", slots.0, slots.1]);
            assert!(added.contains("OK"), "{added}");
        }
        for node in &nodes[1..] {
            let (port, bus) = (node.port.to_string(), bus(node).to_string());
            let met = ask(ports[0], "", &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
            assert!(met.contains("OK"), "{met}");
        }
        until("all know all", || {
            ports.iter().all(|port| {
                let info = ask(*port, "", &["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:4")
            })
        });
        let first = ask(ports[0], "", &["CLUSTER", "MYID"]);
        until("the replica is one", || {
            ask(ports[3], "", &["CLUSTER", "REPLICATE", first.trim()]).contains("OK")
        });
        until("the replica follows", || {
            ask(ports[3], "", &["INFO", "replication"]).contains("master_link_status:up")
        });
        until("all know whom it follows", || {
            ports[1..3].iter().all(|port| {
                let nodes = ask(*port, "", &["CLUSTER", "REPLICAS", first.trim()]);
                nodes.contains("slave")
            })
        });
        Self(nodes)
    }

    fn node(timeout_ms: u32) -> Redis {
        Redis::start_with(|folder, port| {
            let bus = server::free_port();
            std::fs::write(folder.join("bus"), bus.to_string()).unwrap();
            let (port, bus, timeout_ms) =
                (port.to_string(), bus.to_string(), timeout_ms.to_string());
            ["--port", &port, "--cluster-port", &bus, "--cluster-enabled", "yes"]
                .iter()
                .chain(&["--cluster-config-file", "nodes", "--cluster-node-timeout", &timeout_ms])
                .chain(&["--cluster-require-full-coverage", "no"])
                .map(|&word| word.to_owned())
                .collect()
        })
    }

    /// By two of its nodes; the first is to die.
    fn url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", self.0[0].port, self.0[1].port)
    }
}

fn bus(node: &Redis) -> u16 {
    std::fs::read_to_string(node.folder.path().join("bus")).unwrap().parse().unwrap()
}

/// Follows until the stream has told all of these, then what it told.
async fn follow(live: &RedisLive, expected: &[LiveEntry]) -> Vec<Moved> {
    let begun = Instant::now();
    let mut all: Vec<Moved> = Vec::new();
    let mut joined: HashMap<DeviceId, LiveEntry> = HashMap::new();
    while !expected.iter().all(|entry| joined.get(&entry.device) == Some(entry)) {
        assert!(begun.elapsed() < DEADLINE, "{} told", all.len());
        let after = all.last().map_or(0, |moved| moved.id);
        for moved in live.moved_after(after).await.unwrap() {
            let entry = moved.entry.clone();
            let known = joined.entry(entry.device).or_insert_with(|| entry.clone());
            known.merge(entry);
            all.push(moved);
        }
    }
    all
}

/// What one node says to a device is heard by the others.
async fn replies_and_commands_travel(cluster: &Cluster) {
    let stop = CancellationToken::new();
    // By different nodes of it.
    let url = |node: usize| format!("redis+cluster://127.0.0.1:{}", cluster.0[node].port);
    let (speaking, mine) = open_relay(&url(1), None).unwrap();
    let (_, theirs) = open_relay(&url(2), None).unwrap();
    let (told, mut heard) = mpsc::unbounded_channel();
    tokio::spawn(mine.run(|_| {}, stop.clone()));
    tokio::spawn(theirs.run(move |message| drop(told.send(message)), stop.clone()));
    let message = Relayed::Command(DeviceId::new(7), b"x".to_vec());
    let begun = Instant::now();
    let arrived = loop {
        assert!(begun.elapsed() < DEADLINE, "nothing came over");
        speaking.send(message.clone());
        let next = tokio::time::timeout(Duration::from_millis(100), heard.recv());
        if let Ok(Some(arrived)) = next.await {
            break arrived;
        }
    };
    assert_eq!(arrived, message);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_holds_what_one_server_does() {
    let cluster = Cluster::start(15_000);
    let live = open_patiently(&cluster.url());
    let memory = MemoryLive::new(TTL_MS, Clock::held(NOW_MS));
    let mut runner = TestRunner::default();
    let many: Vec<LiveEntry> = (0..1_500_u32)
        .map(|number| entries(DeviceId::new(number % 700)).new_tree(&mut runner).unwrap().current())
        .collect();
    for batch in many.chunks(400) {
        live.merge(batch, NOW_MS).await.unwrap();
        memory.merge(batch, NOW_MS).await.unwrap();
    }
    let devices: Vec<DeviceId> = (0..800).rev().map(DeviceId::new).collect();
    let expected = memory.get(&devices).await.unwrap();
    assert_eq!(live.get(&devices).await.unwrap(), expected);
    assert!(live.get(&[]).await.unwrap().is_empty());

    // The stream tells all of it, in order and without holes.
    let alive: Vec<LiveEntry> = expected.into_iter().flatten().collect();
    let moved = follow(&live, &alive).await;
    assert!(moved.windows(2).all(|pair| pair[0].id + 1 == pair[1].id));
    assert!(live.first_use("ticket", 60_000).await.unwrap());
    assert!(!live.first_use("ticket", 60_000).await.unwrap());
    live.ping().await.unwrap();
    replies_and_commands_travel(&cluster).await;
    live.announce(&Worker::here("parser-0", "parser", "0.1.0", NOW_MS)).await.unwrap();
    let alive = live.workers().await.unwrap();
    assert_eq!(alive.len(), 1);
    for _ in 0..10 {
        let found = live.inspect().await.unwrap();
        assert_eq!(found.refused, None);
        assert!(!found.weaknesses.iter().any(|weak| weak.contains("replica")), "{found:?}");
    }

    // Each server's memory counts.
    let other = open_patiently(&cluster.url());
    assert!(live.needs_rebuild().await.unwrap(), "never filled");
    assert!(live.claim_rebuild().await.unwrap());
    assert!(!other.claim_rebuild().await.unwrap());
    assert!(live.keep_claim().await.unwrap());
    live.mark_rebuilt().await.unwrap();
    assert!(!other.needs_rebuild().await.unwrap());
    for node in &cluster.0[..3] {
        assert!(ask(node.port, "", &["FLUSHALL"]).contains("OK"));
        assert!(other.needs_rebuild().await.unwrap(), "flushed");
        other.mark_rebuilt().await.unwrap();
        assert!(!live.needs_rebuild().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_goes_on_without_one_of_its_servers() {
    let mut cluster = Cluster::start(1_500);
    let live = open(&cluster.url());
    let all: Vec<LiveEntry> = (0..640).map(|number| seen(number, 1)).collect();
    until_ok("merged", async || live.merge(&all, NOW_MS).await).await;
    until_ok("marked", async || live.mark_rebuilt().await).await;
    cluster.0[0].kill();
    let later: Vec<LiveEntry> = (0..640).map(|number| seen(number, 2)).collect();
    until_ok("its replica took over", async || live.merge(&later, NOW_MS).await).await;
    let devices: Vec<DeviceId> = later.iter().map(|entry| entry.device).collect();
    let held = until_ok("read", async || live.get(&devices).await).await;
    assert!(held.iter().flatten().eq(&later));
    assert!(until_ok("looked", async || live.needs_rebuild().await).await, "another memory");
    // What could not be told meanwhile is told.
    let moved = until_ok("read", async || live.moved_after(0).await).await;
    assert!(!moved.is_empty());
    // Someone new finds the way by the node that is left.
    let other = open(&cluster.url());
    let held = until_ok("read", async || other.get(&devices).await).await;
    assert!(held.iter().flatten().eq(&later));
}
