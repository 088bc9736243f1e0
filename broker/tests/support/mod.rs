//! A door on a free port with an intake that the test commits by hand, and a
//! client that speaks MQTT byte by byte.

#![allow(clippy::disallowed_methods, reason = "tests await what they spawn")]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::unwrap_used,
    reason = "a module of each test file, which uses its part; it may panic"
)]

mod client;
mod intake;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use nemeses_broker::{
    Authenticator, CommandKeeper, Door, DoorConfig, DoorHandle, Fate, Intake, Login, OpenLogin,
    Refusal, Relay, Role,
};
use nemeses_protocol::DeviceId;
use nemeses_runtime::{Registry, Stop};
use tokio::task::JoinHandle;

pub use client::{Client, Options, Received, connect_packet, frame};
pub use intake::FakeIntake;

/// No wait in these tests is longer.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The device of the founding document.
pub const DEVICE: DeviceId = DeviceId::new(0x000A_3F73);
/// Its ping and what answers it.
pub const PING: &[u8] = b"\x50\xF7\x0A\x3F\x73\x01PING\x73\xC4";
pub const PING_REPLY: &[u8] = b"\x50\xF7\x01PING\x73\xC4";

/// A running door.
pub struct TestDoor {
    pub address: SocketAddr,
    pub tls: Option<SocketAddr>,
    pub websocket: Option<SocketAddr>,
    pub handle: DoorHandle,
    pub stop: Stop,
    pub intake: Arc<FakeIntake>,
    pub logins: Arc<Logins>,
    pub keeper: Arc<Keeper>,
    registry: Registry,
    running: JoinHandle<anyhow::Result<()>>,
}

/// A configuration for tests: a free port, anonymous clients welcome.
pub fn config() -> DoorConfig {
    DoorConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        anonymous: true,
        ..DoorConfig::default()
    }
}

impl TestDoor {
    /// A door with a [`FakeIntake`].
    pub async fn start() -> Self {
        Self::with(config()).await
    }

    pub async fn with(config: DoorConfig) -> Self {
        let intake = Arc::new(FakeIntake::default());
        Self::build(config, intake, true, None).await
    }

    /// A door whose frames go to whoever subscribes.
    pub async fn without_intake() -> Self {
        Self::build(config(), Arc::new(FakeIntake::default()), false, None).await
    }

    pub async fn with_relay(relay: Arc<dyn Relay>) -> Self {
        Self::build(config(), Arc::new(FakeIntake::default()), true, Some(relay)).await
    }

    async fn build(
        config: DoorConfig,
        intake: Arc<FakeIntake>,
        with_intake: bool,
        relay: Option<Arc<dyn Relay>>,
    ) -> Self {
        let taker = with_intake.then(|| Arc::clone(&intake) as Arc<dyn Intake>);
        let mut registry = Registry::default();
        let logins = Arc::new(Logins {
            revoked: Mutex::new(Some(HashSet::new())),
            rechecks: AtomicU64::new(0),
            peers: Mutex::default(),
        });
        let rights = Arc::clone(&logins) as Arc<dyn Authenticator>;
        let mut door = Door::bind(config, taker, rights, &mut registry).await.unwrap();
        if let Some(relay) = relay {
            door = door.with_relay(relay);
        }
        let keeper = Arc::new(Keeper::default());
        door = door.with_commands(Arc::clone(&keeper) as Arc<dyn CommandKeeper>);
        let stop = Stop::default();
        Self {
            address: door.local_addr().unwrap(),
            tls: door.tls_addr(),
            websocket: door.websocket_addr(),
            handle: door.handle(),
            running: tokio::spawn(door.run(stop.clone())),
            stop,
            intake,
            logins,
            keeper,
            registry,
        }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A line of its metrics: `nemeses_door_...{...}`; 0 when it is not there.
    pub fn metric(&self, name: &str) -> u64 {
        let mut text = String::new();
        nemeses_runtime::metrics::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// Asks the door to stop and waits for it.
    pub async fn stopped(self) -> anyhow::Result<()> {
        self.stop.intake.cancel();
        tokio::time::timeout(DEADLINE, self.running).await.unwrap().unwrap()
    }

    /// Whether the door serves a client from CONNECT to a kept frame.
    pub async fn serves(&self) {
        let mut client = Client::connect(self.address, 4, "well-behaved").await;
        self.intake.commit_at_once(true);
        client.publish("/messenger", 1, 77, b"frame").await;
        assert_eq!(client.next().await.puback(), 77);
        client.ping().await;
        self.intake.commit_at_once(false);
    }
}

/// Remembers what it hears of commands.
#[derive(Default)]
pub struct Keeper {
    pub listened_for: Mutex<Vec<DeviceId>>,
    pub reports: Mutex<Vec<(u64, Fate)>>,
}

impl Keeper {
    /// What was reported since this was asked last.
    pub fn reports(&self) -> Vec<(u64, Fate)> {
        std::mem::take(&mut self.reports.lock().unwrap())
    }

    /// Waits for these reports, with no others before them.
    pub async fn hears(&self, expected: &[(u64, Fate)]) {
        let count = expected.len();
        eventually("reports", || self.reports.lock().unwrap().len() >= count).await;
        assert_eq!(self.reports(), expected);
    }
}

impl CommandKeeper for Keeper {
    fn listened_for(&self, device: DeviceId) {
        self.listened_for.lock().unwrap().push(device);
    }

    fn report(&self, command: u64, _device: DeviceId, fate: Fate) {
        self.reports.lock().unwrap().push((command, fate));
    }
}

/// The roles' names are their logins; the password is `secret`.
pub struct Logins {
    /// Names that hold no longer; `None` while nobody can tell.
    pub revoked: Mutex<Option<HashSet<String>>>,
    /// How often open connections were asked about.
    pub rechecks: AtomicU64,
    /// Where those who logged in came from.
    pub peers: Mutex<Vec<SocketAddr>>,
}

#[async_trait]
impl Authenticator for Logins {
    async fn authenticate(
        &self,
        _client_id: &str,
        username: Option<&str>,
        password: Option<&[u8]>,
        peer: SocketAddr,
    ) -> Result<Login, Refusal> {
        self.peers.lock().unwrap().push(peer);
        let role = match username {
            Some("gateway") => Role::Gateway,
            Some("worker") => Role::Worker,
            Some("operator") => Role::Operator,
            Some("disabled") => return Err(Refusal::NotAuthorized),
            Some("unknowable") => return Err(Refusal::Unavailable),
            Some("slow") => std::future::pending().await,
            other => {
                let device = other.and_then(|name| name.parse().ok());
                Role::Device(device.ok_or(Refusal::BadCredentials)?)
            }
        };
        if password != Some(b"secret") {
            return Err(Refusal::BadCredentials);
        }
        Ok(Login { name: username.unwrap_or_default().to_owned(), role, revision: 0 })
    }

    async fn revoked(&self, open: &[OpenLogin]) -> Result<Vec<OpenLogin>, Refusal> {
        let revoked = self.revoked.lock().unwrap();
        self.rechecks.fetch_add(1, Ordering::Relaxed);
        let revoked = revoked.as_ref().ok_or(Refusal::Unavailable)?;
        Ok(open.iter().filter(|login| revoked.contains(&*login.name)).cloned().collect())
    }
}

/// Waits until `condition` holds, under the deadline.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = tokio::time::Instant::now() + DEADLINE;
    while !condition() {
        assert!(tokio::time::Instant::now() < until, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
