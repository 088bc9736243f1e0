//! The courier with a way that tests make and break, on a real SQLite file.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use nemeses_broker::{CommandKeeper as _, Fate};
use nemeses_protocol::DeviceId;
use nemeses_runtime::{Clock, Registry};
use nemeses_store::history::{
    ClaimedCommand, CommandState, CommandStep, Database, NewCommand, Options, open,
};

use super::courier::{Courier, Way};
use super::{CommandFigures, Desk};

const DEVICE: DeviceId = DeviceId::new(0x000A_3F73);
const START_MS: u64 = 1_700_000_000_000;
const MINUTE_MS: u64 = 60_000;

/// Remembers what it sent; every command is on its way for as long as the test wants.
#[derive(Clone, Default)]
struct FakeWay {
    sent: Arc<Mutex<Vec<u64>>>,
    broken: Arc<Mutex<bool>>,
}

#[async_trait]
impl Way for FakeWay {
    fn leads_to(&self, _device: DeviceId) -> bool {
        true
    }

    async fn send(&self, command: &ClaimedCommand) -> anyhow::Result<Option<CommandStep>> {
        anyhow::ensure!(!*self.broken.lock().unwrap(), "broken");
        self.sent.lock().unwrap().push(command.id);
        Ok(None)
    }
}

struct Site {
    courier: Courier<FakeWay>,
    way: FakeWay,
    database: Database,
    clock: Clock,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("n.db").display());
        let database = open(&url, Options::default()).await.unwrap();
        database.history().migrate().await.unwrap();
        let (way, clock) = (FakeWay::default(), Clock::held(START_MS));
        let figures = CommandFigures::register(&mut Registry::default());
        let desk = Arc::new(Desk::default());
        let courier = Courier::new(database.commands(), way.clone(), desk, clock.clone(), figures);
        Self { courier, way, database, clock, _folder: folder }
    }

    async fn add(&self) -> u64 {
        let expires_at_ms = START_MS + 60 * MINUTE_MS;
        let command = NewCommand {
            device: DEVICE,
            payload: b"x",
            user_id: 1,
            asked_by: "anna@example.org",
            expires_at_ms,
        };
        self.database.commands().add(command, START_MS).await.unwrap().unwrap()
    }

    /// Sends what waits; which numbers went out.
    async fn sent(&self) -> Vec<u64> {
        self.courier.send_to(&[DEVICE]).await.unwrap();
        std::mem::take(&mut *self.way.sent.lock().unwrap())
    }

    fn later(&self, ms: u64) {
        self.clock.set(self.clock.now_ms() + ms);
    }

    async fn state(&self, id: u64) -> CommandState {
        let command = self.database.commands().get(DEVICE, id).await.unwrap().unwrap();
        command.state_at(self.clock.now_ms())
    }
}

/// While the database is away nobody renews it.
#[tokio::test]
async fn what_is_on_its_way_does_not_go_out_again_when_its_claim_has_ended() {
    let site = Site::start().await;
    let id = site.add().await;
    assert_eq!(site.sent().await, [id]);
    site.courier.desk.report(id, DEVICE, Fate::Sent);
    site.later(MINUTE_MS);
    assert_eq!(site.sent().await, [0; 0]);
    assert_eq!(site.state(id).await, CommandState::Sent);
    site.courier.desk.report(id, DEVICE, Fate::Lost);
    assert_eq!(site.sent().await, [id], "the connection ended before the acknowledgement");
}

#[tokio::test]
async fn what_was_acknowledged_is_noted_before_anything_goes_out() {
    let site = Site::start().await;
    let (first, second) = (site.add().await, site.add().await);
    assert_eq!(site.sent().await, [first, second]);
    site.courier.desk.report(first, DEVICE, Fate::Acknowledged);
    site.courier.desk.report(second, DEVICE, Fate::Lost);
    site.later(MINUTE_MS);
    assert_eq!(site.sent().await, [second]);
    assert_eq!(site.state(first).await, CommandState::Answered);
    site.courier.desk.report(second, DEVICE, Fate::Refused(0x83));
    assert_eq!(site.sent().await, [0; 0]);
    assert_eq!(site.state(second).await, CommandState::Failed);
}

#[tokio::test]
async fn a_way_that_does_not_work_is_tried_again_after_a_while() {
    let site = Site::start().await;
    let (first, second) = (site.add().await, site.add().await);
    *site.way.broken.lock().unwrap() = true;
    assert_eq!(site.sent().await, [0; 0]);
    *site.way.broken.lock().unwrap() = false;
    assert_eq!(site.sent().await, [0; 0], "it was tried just now");
    site.later(MINUTE_MS);
    assert_eq!(site.sent().await, [first, second]);
}

#[tokio::test]
async fn the_desk_keeps_what_could_not_be_noted() {
    let desk = Desk::default();
    desk.report(1, DEVICE, Fate::Sent);
    let seen = desk.steps_so_far();
    desk.report(1, DEVICE, Fate::Acknowledged);
    assert_eq!(seen, [(1, CommandStep::Sent)]);
    desk.noted(seen.len());
    assert_eq!(desk.steps_so_far(), [(1, CommandStep::Answered(None))]);
    assert!(desk.take_devices().is_empty());
    desk.report(2, DEVICE, Fate::Lost);
    assert!(desk.take_devices().contains(&DEVICE), "it may be connected again already");
}
