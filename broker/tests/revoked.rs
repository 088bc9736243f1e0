//! Logins that are disabled, removed or changed while their connections are open.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use nemeses_broker::DoorConfig;
use support::{Client, Options, TestDoor, config, eventually};

/// Not authorized any more: "administrative action".
const ADMINISTRATIVE_ACTION: u8 = 0x98;

async fn door() -> TestDoor {
    TestDoor::with(DoorConfig { recheck_every: Duration::from_millis(5), ..config() }).await
}

fn revoke(door: &TestDoor, names: &[&str]) {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    *door.logins.revoked.lock().unwrap() = Some(names);
}

/// A whole recheck that began after this call has ended.
async fn rechecked(door: &TestDoor) {
    let before = door.logins.rechecks.load(Ordering::Relaxed);
    eventually("two more rechecks", || door.logins.rechecks.load(Ordering::Relaxed) > before + 2)
        .await;
}

#[tokio::test]
async fn the_connections_of_a_revoked_login_are_closed_and_others_stay() {
    let door = door().await;
    let mut gone = Client::log_in(door.address, 5, "00AAAA").await;
    let mut gone_311 = Client::log_in(door.address, 4, "00BBBB").await;
    let mut stays = Client::log_in(door.address, 5, "00CCCC").await;
    let mut anonymous = Client::connect(door.address, 5, "anonymous").await;
    rechecked(&door).await;
    for client in [&mut gone, &mut gone_311, &mut stays, &mut anonymous] {
        client.ping().await;
    }
    revoke(&door, &["00AAAA", "00BBBB"]);
    gone.is_closed_with(ADMINISTRATIVE_ACTION).await;
    gone_311.is_closed_with(ADMINISTRATIVE_ACTION).await;
    rechecked(&door).await;
    stays.ping().await;
    anonymous.ping().await;
    eventually("two are left", || door.handle.stats().connections == 2).await;
}

/// What nobody can tell about is not revoked: a database that is down does not
/// send a fleet away.
#[tokio::test]
async fn while_logins_cannot_be_checked_connections_stay() {
    let door = door().await;
    let mut client = Client::log_in(door.address, 5, "00AAAA").await;
    *door.logins.revoked.lock().unwrap() = None;
    rechecked(&door).await;
    client.ping().await;
}

#[tokio::test]
async fn a_revoked_login_leaves_no_will() {
    let door = door().await;
    let login = Some(("00AAAA", "secret"));
    let will = Some(("/messenger", b"frame".as_slice(), 1, false));
    let options = Options { login, will, ..Client::options(5, "tracker") };
    let mut client = Client::connect_with(door.address, &options).await;
    revoke(&door, &["00AAAA"]);
    client.is_closed_with(ADMINISTRATIVE_ACTION).await;
    eventually("it is gone", || door.handle.stats().connections == 0).await;
    assert_eq!(door.intake.count(), 0);
}
