//! What must hold for a client that sends any bytes, in one place for the fuzz
//! target and for the test that replays its corpus.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use nemeses_broker::packet::measure;
use nemeses_broker::{
    Authenticator, Door, DoorConfig, DoorHandle, Intake, IntakeMessage, Login, Receipt, Refusal,
    Reply, Role,
};
use nemeses_protocol::{DeviceId, Speaker};
use nemeses_runtime::{Registry, Stop};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::runtime::Runtime;

/// CONNECT for what follows it: level 4 and 5 without a login, and as a device,
/// worker and operator.
const CONNECTS: [&[u8]; 5] = [
    b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01f",
    b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01f",
    b"\x10\x15\x00\x04MQTT\x04\x82\x00\x00\x00\x01f\x00\x060A3F73",
    b"\x10\x16\x00\x04MQTT\x05\x82\x00\x00\x00\x00\x01f\x00\x06worker",
    b"\x10\x18\x00\x04MQTT\x05\x82\x00\x00\x00\x00\x01f\x00\x08operator",
];
/// What the pipe holds in each direction, bytes: little, so that the door waits.
const PIPE_BYTES: usize = 512;
const DEVICE: DeviceId = DeviceId::new(0x000A_3F73);

/// Lets a client say all of `bytes` and go. The first byte says as whom it
/// connects, or that it says its own CONNECT; the second how its stream is cut.
pub(crate) fn session(bytes: &[u8]) {
    let [who, cut, stream @ ..] = bytes else { return };
    let connect = CONNECTS.get(usize::from(who % 8)).copied().unwrap_or_default();
    let stream = [connect, stream].concat();
    BENCH.with(|bench| bench.visit(&stream, usize::from(*cut) + 1));
}

thread_local! {
    static BENCH: Bench = Bench::new();
}

/// A door that no socket leads to, on a runtime of one thread.
struct Bench {
    runtime: Runtime,
    door: DoorHandle,
    keeper: Arc<Keeper>,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let keeper = Arc::new(Keeper::default());
        let config = DoorConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            anonymous: true,
            ..DoorConfig::default()
        };
        let intake = Arc::clone(&keeper) as Arc<dyn Intake>;
        let mut registry = Registry::default();
        let bound = Door::bind(config, Some(intake), Arc::new(ByName), &mut registry);
        let door = runtime.block_on(bound).expect("a door").handle();
        Self { runtime, door, keeper }
    }

    fn visit(&self, stream: &[u8], cut: usize) {
        let (near_end, far_end) = duplex(PIPE_BYTES);
        let (mut reader, mut writer) = tokio::io::split(near_end);
        let mut answers = Vec::new();
        let talk = async {
            for piece in stream.chunks(cut) {
                // The door may close before it has all.
                if writer.write_all(piece).await.is_err() {
                    break;
                }
            }
            let _ = writer.shutdown().await;
        };
        let commits = async {
            loop {
                self.keeper.commit();
                tokio::task::yield_now().await;
            }
        };
        let stop = Stop::default();
        self.runtime.block_on(async {
            let served = self.door.serve_in_process(far_end, &stop);
            let all = async { tokio::join!(served, talk, reader.read_to_end(&mut answers)) };
            tokio::select! {
                ((), (), read) = all => { read.expect("a pipe is read to its end"); }
                () = commits => {}
            }
        });
        self.keeper.commit();
        let stats = self.door.stats();
        assert_eq!((stats.connections, stats.held_bytes), (0, 0), "all is given back");
        assert_packets(&answers);
    }
}

/// The door says whole packets that a server may send, CONNACK first. The last
/// may be cut: the client left.
fn assert_packets(mut answers: &[u8]) {
    let mut first = true;
    while let Some(length) = measure(answers, usize::MAX).expect("a length") {
        let kind = answers[0] >> 4;
        assert_eq!(kind == 2, first, "CONNACK comes first and once");
        assert!(matches!(kind, 2..=7 | 9 | 11 | 13 | 14), "a server sends no packet {kind}");
        first = false;
        let Some(rest) = answers.get(length..) else { return };
        answers = rest;
    }
}

/// Keeps frames a moment later; loses those that say so.
#[derive(Default)]
struct Keeper(Mutex<Vec<Receipt>>);

impl Keeper {
    fn commit(&self) {
        for receipt in self.0.lock().expect("no panic").drain(..) {
            receipt.committed();
        }
    }
}

impl Intake for Keeper {
    fn take(&self, _: &Speaker, messages: &[IntakeMessage<'_>], receipt: Receipt) -> Vec<Reply> {
        let has = |payload: &[u8]| messages.iter().any(|message| message.payload == payload);
        if !has(b"lost") {
            self.0.lock().expect("no panic").push(receipt);
        }
        let reply = Reply { device: DEVICE, payload: b"pong".to_vec() };
        if has(b"ping") { vec![reply] } else { Vec::new() }
    }
}

/// A user name is a role.
struct ByName;

#[async_trait]
impl Authenticator for ByName {
    async fn authenticate(
        &self,
        _client_id: &str,
        username: Option<&str>,
        _password: Option<&[u8]>,
        _peer: SocketAddr,
    ) -> Result<Login, Refusal> {
        let name = username.ok_or(Refusal::BadCredentials)?;
        let role = match name {
            "worker" => Role::Worker,
            "operator" => Role::Operator,
            "gateway" => Role::Gateway,
            _ => Role::Device(name.parse().map_err(|_| Refusal::BadCredentials)?),
        };
        Ok(Login { name: name.to_owned(), role, revision: 0 })
    }
}
