//! The simulator against a real broker that dies and comes back.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;

use clap::Parser as _;
use nemeses_protocol::{Frame, Item, encode_ping_reply, frame_hash, frames};
use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS};

use super::*;
use crate::args::{Cli, Command as Role};

const DEADLINE: Duration = Duration::from_secs(60);

/// A Mosquitto on a free port, ended with the test.
struct Mosquitto {
    folder: tempfile::TempDir,
    port: u16,
    process: Child,
}

impl Mosquitto {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Self::spawn(folder.path(), port);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < DEADLINE, "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { folder, port, process }
    }

    fn spawn(folder: &Path, port: u16) -> Child {
        let settings = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 100000\nuser root\n"
        );
        let path = folder.join("mosquitto.conf");
        std::fs::write(&path, settings).unwrap();
        Command::new("mosquitto")
            .arg("-c")
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.process = Self::spawn(self.folder.path(), self.port);
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

fn arguments(line: &str) -> SimulateArgs {
    let line = ["nemeses", "simulate"].into_iter().chain(line.split_whitespace());
    match Cli::try_parse_from(line).unwrap().command {
        Role::Simulate(args) => args,
        other => panic!("{other:?}"),
    }
}

/// A running simulation.
struct Running {
    plan: Arc<Plan>,
    connections: JoinSet<anyhow::Result<()>>,
}

impl Running {
    fn start(line: &str) -> Self {
        let args = arguments(line);
        let plan = Arc::new(plan(&args).unwrap());
        let mut connections = JoinSet::new();
        for connection in connections_of(&args, &plan).unwrap() {
            connections.spawn(connection.run());
        }
        Self { plan, connections }
    }

    async fn until(&self, what: &str, reached: impl Fn(&Tally) -> bool) {
        let waiting = async {
            while !reached(&self.plan.tally) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, waiting).await;
        assert!(waited.is_ok(), "{what}: {:?}", self.plan.tally.read());
    }

    async fn end(mut self) -> tally::Counts {
        self.plan.stop.cancel();
        finished(&mut self.connections, &self.plan.stop).await.unwrap();
        for journal in [&self.plan.acknowledged, &self.plan.sent].into_iter().flatten() {
            journal.flush().unwrap();
        }
        self.plan.tally.read()
    }
}

/// Hashes of the location frames in a journal, and how many lines it has.
fn journal(path: &Path) -> (BTreeSet<u64>, usize) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut hashes = BTreeSet::new();
    for line in text.lines() {
        let (at_ms, frame) = line.split_once(' ').unwrap();
        assert!(at_ms.parse::<u64>().unwrap() > 1_700_000_000_000);
        let bytes = hex::decode(frame).unwrap();
        match frames(&bytes).collect::<Vec<_>>()[..] {
            [Item::Frame { frame: Frame::Location(_), .. }] => {
                hashes.insert(frame_hash(&bytes));
            }
            [Item::Frame { frame: Frame::Ping { .. }, .. }] => {}
            ref other => panic!("{line}: {other:?}"),
        }
    }
    (hashes, text.lines().count())
}

/// Answers pings as a parser does.
async fn answer_pings(port: u16) {
    let mut options = MqttOptions::new("answers", "127.0.0.1", port);
    options.set_max_packet_size(1 << 20, 1 << 20);
    let (client, mut events) = AsyncClient::new(options, 100_000);
    client.subscribe("/messenger", QoS::AtMostOnce).await.unwrap();
    while let Ok(event) = events.poll().await {
        let Event::Incoming(Incoming::Publish(message)) = event else { continue };
        for item in frames(&message.payload) {
            let Item::Frame { frame: Frame::Ping { device, payload }, .. } = item else { continue };
            let mut reply = Vec::new();
            encode_ping_reply(payload, &mut reply);
            for topic in ["/ping".to_owned(), format!("/ping/{device}")] {
                client.try_publish(topic, QoS::AtMostOnce, false, reply.clone()).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn acknowledged_frames_and_replies_are_counted() {
    let broker = Mosquitto::start();
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    for shape in ["--connections 2", "--connections 0 --qos 2", "--connections 3 --hex"] {
        let answering = tokio::spawn(answer_pings(broker.port));
        let line = format!("--mqtt-url {url} --devices 12 --rate 2000 --seed 5 {shape}");
        let running = Running::start(&line);
        let answered = !shape.contains("--hex");
        running
            .until(shape, |tally| {
                tally.acknowledged.load(Relaxed) > 1_000
                    && (!answered || tally.replies.load(Relaxed) > 5)
            })
            .await;
        let counts = running.end().await;
        assert_eq!(counts.acknowledged, counts.sent, "{shape}");
        assert_eq!((counts.open, counts.resent, counts.lost), (0, 0, 0), "{shape}");
        assert!(counts.replies <= counts.pings, "{shape}");
        answering.abort();
    }
}

#[tokio::test]
async fn what_a_dead_broker_did_not_acknowledge_comes_again() {
    let mut broker = Mosquitto::start();
    let folder = tempfile::tempdir().unwrap();
    let (acknowledged, sent) = (folder.path().join("acknowledged"), folder.path().join("sent"));
    let running = Running::start(&format!(
        "--mqtt-url mqtt://127.0.0.1:{} --devices 40 --rate 5000 --connections 2 --log-acknowledged {} --log-sent {}",
        broker.port,
        acknowledged.display(),
        sent.display()
    ));
    let mut wanted = 0;
    for round in 0..3 {
        wanted += 2_000;
        running.until("before", |tally| tally.acknowledged.load(Relaxed) >= wanted).await;
        broker.kill();
        running.until("lost", |tally| tally.lost.load(Relaxed) >= 2 * (round + 1)).await;
        broker.start_again();
        wanted = running.plan.tally.acknowledged.load(Relaxed);
    }
    running.until("back", |tally| tally.acknowledged.load(Relaxed) >= wanted + 2_000).await;
    let counts = running.end().await;
    assert_eq!(counts.acknowledged, counts.sent);
    assert_eq!((counts.open, counts.lost), (0, 6));
    let (acknowledged, _) = journal(&acknowledged);
    let (sent, _) = journal(&sent);
    assert!(acknowledged.is_subset(&sent));
    assert_eq!(u64::try_from(acknowledged.len()).unwrap(), counts.acknowledged);
}

#[tokio::test]
async fn without_a_broker_it_waits_and_ends_when_asked() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let running = Running::start(&format!("--mqtt-url mqtt://127.0.0.1:{port} --devices 2"));
    running.until("told", |_| running.plan.outage_told.load(Relaxed)).await;
    let counts = running.end().await;
    assert_eq!((counts.acknowledged, counts.connected), (0, 0));
}

#[tokio::test]
async fn a_run_that_reached_nobody_is_a_failure() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let alone = format!("--mqtt-url mqtt://127.0.0.1:{port} --devices 2 --duration 1s");
    for line in [alone.clone(), format!("{alone} --json --qos 0")] {
        let error = run(arguments(&line)).await.unwrap_err().to_string();
        assert!(error.ends_with("there was never a connection"), "{error}");
    }
    let broker = Mosquitto::start();
    let line =
        format!("--mqtt-url mqtt://127.0.0.1:{} --devices 2 --rate 100 --duration 1s", broker.port);
    run(arguments(&line)).await.unwrap();
}

#[test]
fn trackers_are_dealt_out_and_ids_checked() {
    let shared = arguments("--devices 10 --connections 3");
    let count = |args: &SimulateArgs| {
        connections_of(args, &Arc::new(plan(args).unwrap())).map(|all| all.len())
    };
    assert_eq!(count(&shared).unwrap(), 3);
    assert_eq!(count(&arguments("--devices 10 --connections 0")).unwrap(), 10);
    assert_eq!(count(&arguments("--devices 2 --connections 5")).unwrap(), 2);
    let error = count(&arguments("--devices 10001 --connections 0")).unwrap_err().to_string();
    assert!(error.contains("10000 at most"), "{error}");
    let error = plan(&arguments("--devices 2 --first-device FFFFFF")).unwrap_err().to_string();
    assert!(error.contains("beyond the last id"), "{error}");
}

#[test]
fn faults_are_dealt_out_in_turn() {
    let of = |line: &str| {
        let args = arguments(line);
        (0..4).map(|index| fault_of(&args, index)).collect::<Vec<_>>()
    };
    assert_eq!(of(""), [None; 4]);
    let (jitter, silence) = (Some(Fault::Jitter), Some(Fault::Silence));
    assert_eq!(of("--fault jitter"), [jitter; 4]);
    assert_eq!(of("--fault jitter,silence"), [jitter, silence, jitter, silence]);
}
