//! Things are killed and cut while devices send 5 000 frames a second and
//! remember what was acknowledged to them. After each blow: every acknowledged
//! frame is in the table once or a dead letter, nothing else is, the live
//! entries are the newest live frames, the books balance, memory is bounded and
//! the log is short.
//!
//! Short by default, as part of `make test`; `make chaos` sets `CHAOS_KILLS` and
//! `CHAOS_OUTAGE_S`.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]
#![expect(clippy::print_stdout, reason = "the long run reports as it goes")]

mod disk;
mod kills;
mod links;
mod mosquitto;
mod outages;
mod values;

use std::time::Duration;

use nemeses_e2e::{Line, Load, Process, User, expect_log};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// Between two blows at least so much is acknowledged, so that an idle run
/// cannot pass: a second of the load.
const LEAST_BETWEEN: u64 = 5000;
/// Until that much is acknowledged, reconnecting and debug builds included.
const PROGRESS: Duration = Duration::from_secs(60);
/// Until everything sent is acknowledged after a blow.
const SETTLE: Duration = Duration::from_secs(90);
/// After the return, live entries equal the newest live frames within this.
const LIVE_AGAIN: Duration = Duration::from_secs(10);
/// No process of ours uses more, KiB. The bounds of the queues add up to less
/// than half; the rest is the allocator's and SQLite's cache.
const MEMORY_BOUND_KIB: u64 = 512 * 1024;
/// A blow is told in lines, not in thousands of them.
const LOG_LINES_A_BLOW: usize = 200;

/// How often each thing is killed.
fn kills() -> u32 {
    figure("CHAOS_KILLS", 2)
}

/// How long a store is down.
fn outage() -> Duration {
    Duration::from_secs(figure("CHAOS_OUTAGE_S", 8).into())
}

/// What the blows are drawn from.
fn seed() -> u64 {
    std::env::var("CHAOS_SEED").map_or_else(|_| rand::random(), |value| value.parse().unwrap())
}

fn figure(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// What processes warn of when what they need is killed, cut off or full; and of the rubbish
/// that the load sends.
const WARNINGS: [&str; 15] = [
    "no connection to the broker; trying again",
    "batches are not taken; frames are not acknowledged until they are",
    "the history cannot be written; nothing is acknowledged until it can",
    "the list of known devices cannot be",
    "commands wait until the database is back",
    "the live store is down, keeping the newest of each device",
    "the live store cannot be looked after",
    "the live stream stands still until the live store is back",
    "a part of the live stream was missed",
    "replies and commands do not travel between nodes until Redis is back",
    "the sums of days cannot be kept up",
    "bytes became dead letters",
    "readings stay rows until the next try",
    "the retention classes cannot be noted",
    "old rows stay until the next try",
];

/// Long enough that no entry expires while a test runs.
const TTL: [&str; 2] = ["--live-ttl", "60m"];

/// A line under load, with the judge's user.
struct Scene {
    line: Line,
    load: Load,
    user: User,
    blows: usize,
    /// Draws the order and the moments of blows.
    rng: StdRng,
}

impl Scene {
    async fn begin(line: Line) -> Self {
        expect_log(&WARNINGS);
        let user = line.user().await.unwrap();
        let load = Load::start(line.mqtt_address(), nemeses_e2e::Plan::default());
        let seed = seed();
        println!("CHAOS_SEED={seed} draws the same order and moments again");
        Self { line, load, user, blows: 0, rng: StdRng::seed_from_u64(seed) }
    }

    /// Lets the load run for a while that is never the same.
    async fn run_on(&mut self) {
        self.load.resume();
        self.load.wait_acknowledged(LEAST_BETWEEN, PROGRESS).await.unwrap();
        let moment = self.rng.random_range(0..300);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        self.blows += 1;
    }

    /// Everything is back: waits for what is open, and judges.
    async fn judge(&mut self) {
        self.load.wait_acknowledged(LEAST_BETWEEN, PROGRESS).await.unwrap();
        self.load.settle(SETTLE).await.unwrap();
        self.line.judge(&self.load, &self.user, LIVE_AGAIN).await.unwrap();
        for process in self.ours() {
            let memory_kib = process.memory_kib().unwrap();
            let name = &process.spec().name;
            assert!(memory_kib < MEMORY_BOUND_KIB, "{name} uses {memory_kib} KiB");
            let lines = process.log().unwrap().lines().count();
            assert!(lines < LOG_LINES_A_BLOW * (self.blows + 1), "{name} logged {lines} lines");
        }
    }

    fn ours(&self) -> impl Iterator<Item = &Process> {
        let node = self.line.node.iter().map(|node| &**node);
        let workers = self.line.parsers.iter().chain(&self.line.exporters).map(|one| &**one);
        node.chain(workers).chain(self.line.api.iter().map(|api| &**api))
    }

    async fn end(self, what: &str) {
        let acknowledged = self.load.acknowledged();
        let ledger = self.load.stop().await;
        println!(
            "{what}: {} blows, {acknowledged} acknowledged, {} sent, 0 lost",
            self.blows,
            ledger.frames_sent()
        );
    }
}
