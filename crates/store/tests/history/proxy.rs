//! A breakable link to the server, and the cases that need one: a commit whose
//! answer never comes, links cut at any moment, a server that is not there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use nemeses_protocol::{DeviceId, Record};
use nemeses_store::StoreError;
use nemeses_store::history::{ClassLimit, Options, Profile, open};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::frames::{BASE, BASE_MS, frame, letter, part};
use crate::server::Server;
use crate::suite::{assert_balanced, temperature};

/// What the link does when it sees a COMMIT.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AtCommit {
    /// Cuts before the server gets it.
    CutBefore,
    /// Lets the server do it and keeps its answer.
    CutBehind,
    /// Lets the server do it and stays silent, the connection open.
    Swallow,
}

/// How the link behaves; counts down what is left to break.
struct Behaviour {
    at_commit: AtCommit,
    commits_to_break: AtomicU32,
    /// One packet in so many cuts the link; 0 for never.
    cut_one_in: u32,
}

/// What a transaction's last COM_QUERY ends with.
const COMMIT: &[u8] = b"COMMIT";

/// Listens and passes on; returns where.
async fn start(server: SocketAddr, behaviour: Arc<Behaviour>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut seed = 0;
        while let Ok((client, _)) = listener.accept().await {
            seed += 1;
            let behaviour = Arc::clone(&behaviour);
            tokio::spawn(async move {
                // A link that ends with an error has just ended.
                let _ = pass(client, server, &behaviour, seed).await;
            });
        }
    });
    address
}

async fn pass(
    mut client: TcpStream,
    server: SocketAddr,
    behaviour: &Behaviour,
    seed: u64,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        let cut = behaviour.cut_one_in > 0 && rng.random_range(0..behaviour.cut_one_in) == 0;
        tokio::select! {
            read = client.read(&mut up) => {
                let bytes = &up[..read?];
                if bytes.is_empty() || cut {
                    return Ok(());
                }
                if bytes.ends_with(COMMIT) && take_one(&behaviour.commits_to_break) {
                    return break_commit(client, server, bytes, behaviour.at_commit).await;
                }
                server.write_all(bytes).await?;
            }
            read = server.read(&mut down) => {
                let bytes = &down[..read?];
                if bytes.is_empty() || cut {
                    return Ok(());
                }
                client.write_all(bytes).await?;
            }
        }
    }
}

fn take_one(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

/// Rows in bulk stand before the query, have an answer of their own, and are followed by a
/// guard, one statement with a semicolon inside.
fn answers(commit: &[u8]) -> usize {
    let query = if commit.get(4) == Some(&0xfa) {
        let length = u32::from_le_bytes([commit[0], commit[1], commit[2], 0]);
        &commit[4 + length as usize..]
    } else {
        commit
    };
    query.split(|byte| *byte == b';').count()
}

async fn break_commit(
    mut client: TcpStream,
    mut server: TcpStream,
    commit: &[u8],
    how: AtCommit,
) -> std::io::Result<()> {
    if how == AtCommit::CutBefore {
        return Ok(());
    }
    server.write_all(commit).await?;
    // The last answer proves that it was done; each statement has one.
    for _ in 0..answers(commit) {
        let mut header = [0; 4];
        server.read_exact(&mut header).await?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        server.read_exact(&mut vec![0; length as usize]).await?;
    }
    if how == AtCommit::Swallow {
        while client.read(&mut [0; 1024]).await? > 0 {}
    }
    Ok(())
}

async fn url_through(server: &Server, name: &str, behaviour: Behaviour) -> String {
    let address = start(([127, 0, 0, 1], server.port).into(), Arc::new(behaviour)).await;
    format!("mysql://root@{address}/{name}")
}

/// Runs the cases of this file; returns the names of those that failed.
pub(crate) async fn failed_cases(server: &Server) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for (name, how, rows, repeated) in [
        ("commit_cut_before", AtCommit::CutBefore, 2, false),
        ("commit_cut_behind", AtCommit::CutBehind, 2, true),
        ("commit_swallowed", AtCommit::Swallow, 2, true),
        ("bulk_cut_before", AtCommit::CutBefore, 100, false),
        ("bulk_cut_behind", AtCommit::CutBehind, 100, true),
        ("bulk_swallowed", AtCommit::Swallow, 100, true),
    ] {
        let case = a_doubtful_commit_counts_once(server, name, how, rows, repeated);
        if std::panic::AssertUnwindSafe(case).catch_unwind().await.is_err() {
            failed.push(name);
        }
    }
    let case = links_cut_at_any_moment_lose_and_double_nothing(server);
    if std::panic::AssertUnwindSafe(case).catch_unwind().await.is_err() {
        failed.push("links_cut_at_any_moment_lose_and_double_nothing");
    }
    let case = a_class_leaves_over_links_cut_at_any_moment(server);
    if std::panic::AssertUnwindSafe(case).catch_unwind().await.is_err() {
        failed.push("a_class_leaves_over_links_cut_at_any_moment");
    }
    let case = a_connection_to_what_became_a_replica_is_not_used_again(server);
    if std::panic::AssertUnwindSafe(case).catch_unwind().await.is_err() {
        failed.push("a_connection_to_what_became_a_replica_is_not_used_again");
    }
    let case = many_letters_fit_a_server_of_small_packets(server);
    if std::panic::AssertUnwindSafe(case).catch_unwind().await.is_err() {
        failed.push("many_letters_fit_a_server_of_small_packets");
    }
    failed
}

/// After a failover the old connections lead to a server that answers everything
/// and refuses to write.
async fn a_connection_to_what_became_a_replica_is_not_used_again(server: &Server) {
    let site = server.site("failover").await.migrated().await;
    let one = Options { max_connections: 1, ..Options::default() };
    let history = open(&site.url, one).await.unwrap().history();
    history.commit(&[part("w", 1, vec![frame(1, BASE, 1)])], "x").await.unwrap();
    site.run("CREATE TABLE failover (id BIGINT PRIMARY KEY) AS SELECT CONNECTION_ID() AS id").await;
    site.run(
        "CREATE TRIGGER read_only BEFORE INSERT ON positions FOR EACH ROW \
         IF CONNECTION_ID() < (SELECT id FROM failover) THEN \
         SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1290, MESSAGE_TEXT = 'read-only'; END IF",
    )
    .await;
    let second = [part("w", 2, vec![frame(1, BASE + 1, 1)])];
    let error = history.commit(&second, "x").await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    history.commit(&second, "x").await.unwrap();
    assert_eq!(assert_balanced(&site.database).await.stored, 2);
}

/// The smallest `max_allowed_packet` in use is 1 MiB. Fifty letters of a little
/// less together, or with topics as long as MQTT allows, must get in.
async fn many_letters_fit_a_server_of_small_packets(server: &Server) {
    let site = server.site("small_packets").await.migrated().await;
    site.run("SET GLOBAL max_allowed_packet = 1048576").await;
    let through = site.another().await;
    let letters = |topic: usize, bytes: usize| -> Vec<Record> {
        let mut letter = letter(Some(1), BASE_MS, &vec![0x50; bytes]);
        letter.topic = "t".repeat(topic);
        vec![Record::DeadLetter(Box::new(letter)); 50]
    };
    let parts = [part("w", 1, letters(10, 20_900)), part("w", 2, letters(65_535, 32 * 1024))];
    let outcome = through.history().commit(&parts, "x").await;
    site.run("SET GLOBAL max_allowed_packet = 16777216").await;
    assert_eq!(outcome.unwrap().iter().map(|part| part.dead_letters).sum::<u64>(), 100);
    assert_balanced(&site.database).await;
}

async fn a_doubtful_commit_counts_once(
    server: &Server,
    name: &'static str,
    at_commit: AtCommit,
    rows: u32,
    repeated: bool,
) {
    let site = server.site(name).await.migrated().await;
    let behaviour = Behaviour { at_commit, commits_to_break: AtomicU32::new(1), cut_one_in: 0 };
    let url = url_through(server, name, behaviour).await;
    let options = Options { statement_timeout: Duration::from_millis(1_500), ..Options::default() };
    let through = open(&url, options).await.unwrap();
    let mut records: Vec<Record> = (1..=rows).map(|device| frame(device, BASE, 1)).collect();
    records.push(frame(1, BASE, 1));
    let parts = [part("w", 1, records)];
    let error = through.history().commit(&parts, "x").await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let again = through.history().commit(&parts, "x").await.unwrap();
    assert_eq!(again[0].repeated, repeated);
    let totals = assert_balanced(&site.database).await;
    let rows = u64::from(rows);
    assert_eq!((totals.received, totals.stored, totals.duplicates), (rows + 1, rows, 1));
}

async fn links_cut_at_any_moment_lose_and_double_nothing(server: &Server) {
    let name = "cut_links";
    let site = server.site(name).await.migrated().await;
    let behaviour = Behaviour {
        at_commit: AtCommit::CutBefore,
        commits_to_break: AtomicU32::new(0),
        cut_one_in: 40,
    };
    let url = url_through(server, name, behaviour).await;
    let through = open(&url, Options::default()).await.unwrap();
    let mut failures = 0;
    for sequence in 1..=60_u64 {
        let second = u32::try_from(sequence).unwrap() / 2;
        let records: Vec<Record> = (0..100).map(|device| frame(device, BASE + second, 1)).collect();
        let parts = [part("w", sequence, records)];
        while let Err(error) = through.history().commit(&parts, "x").await {
            assert!(error.is_transient(), "{error}");
            failures += 1;
            assert!(failures < 2_000, "no commit gets through");
        }
    }
    assert!(failures > 0, "nothing was cut");
    let totals = assert_balanced(&site.database).await;
    assert_eq!((totals.received, totals.stored), (6_000, 3_100));
}

/// A process that dies at any moment of rewriting a week leaves it to the next.
async fn a_class_leaves_over_links_cut_at_any_moment(server: &Server) {
    const WEEK: u32 = 7 * 86_400;
    let name = "cut_classes";
    let site = server.site(name).await.migrated().await;
    site.database.retention().prepare(BASE, BASE + 4 * WEEK).await.unwrap();
    let frames = |week: u32| (1..=20).map(move |device| frame(device, BASE + week * WEEK, 1));
    let readings = |week: u32| {
        let at_ms = u64::from(BASE + week * WEEK) * 1000;
        ["000007", "000008"].map(|device| temperature(device, at_ms, 1.0))
    };
    let records: Vec<Record> = (0..3).flat_map(frames).chain((0..3).flat_map(readings)).collect();
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();
    let short = Profile { retention: "short".into(), ..Profile::new(DeviceId::new(7), 1) };
    site.database.devices().put(&short).await.unwrap();

    let behaviour = Behaviour {
        at_commit: AtCommit::CutBefore,
        commits_to_break: AtomicU32::new(0),
        cut_one_in: 40,
    };
    let url = url_through(server, name, behaviour).await;
    let through = open(&url, Options::default()).await.unwrap().retention();
    let over = [ClassLimit { class: "short".into(), before: BASE + 3 * WEEK }];
    let mut failures = 0;
    loop {
        match through.expire_classes(&over).await {
            // The dead one's right lasts until the server has noticed.
            Ok(step) if step.busy => tokio::time::sleep(Duration::from_millis(5)).await,
            Ok(step) if step.more => {}
            Ok(_) => break,
            Err(error) => {
                failures += 1;
                assert!(failures < 2_000, "it never gets through: {error}");
            }
        }
    }
    assert!(failures > 0, "nothing was cut");
    assert_eq!(assert_balanced(&site.database).await.stored, 66);
    assert_eq!(site.number("SELECT COUNT(*) FROM positions").await, 57);
    assert_eq!(site.number("SELECT COUNT(*) FROM readings").await, 3);
    assert_eq!(site.number("SELECT COUNT(*) FROM positions WHERE device = 7").await, 0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_named() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = Options { acquire_timeout: Duration::from_millis(300), ..Options::default() };
    let url = format!("mariadb://root:hunter2@{free}/nemeses");
    let database = open(&url, options).await.unwrap();
    let parts = [part("w", 1, vec![frame(1, BASE, 1)])];
    let errors = [
        database.history().commit(&parts, "x").await.unwrap_err(),
        database.history().ping().await.unwrap_err(),
        database.history().migrate().await.unwrap_err(),
        database.history().check_schema().await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&free.to_string()) && !text.contains("hunter2"), "{text}");
    }
}
