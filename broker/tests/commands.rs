//! Kept commands: who gets them, and what is reported of each.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use nemeses_broker::Fate;
use support::{Client, DEVICE, Options, TestDoor, eventually};
use tokio::time::Instant;

const TOPIC: &str = "/command/0A3F73";

fn in_an_hour() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// Hands one over; whether it was taken.
fn hand_over(door: &TestDoor, id: u64, payload: &[u8]) -> bool {
    door.handle.hand_over(DEVICE, id, payload.to_vec(), in_an_hour())
}

async fn listening(door: &TestDoor, level: u8, name: &str, qos: u8) -> Client {
    let mut client = Client::log_in(door.address, level, name).await;
    assert_eq!(client.subscribe(TOPIC, qos).await, qos);
    client
}

/// The next message's bytes; it is acknowledged with this packet, if any.
async fn heard(client: &mut Client, answer: Option<&[u8]>) -> Vec<u8> {
    let (topic, payload, _, _, id) = client.next().await.message();
    assert_eq!(topic, TOPIC);
    if let Some(answer) = answer {
        let body = [&id.to_be_bytes()[..], answer].concat();
        client.send(&support::frame(0x40, &body)).await;
    }
    payload
}

#[tokio::test]
async fn a_command_is_acknowledged_by_its_device() {
    let door = TestDoor::start().await;
    assert!(!door.handle.has_taker(DEVICE) && !hand_over(&door, 1, b"x"));
    assert_eq!(door.keeper.reports(), []);
    for level in [4, 5] {
        let mut device = listening(&door, level, "0A3F73", 1).await;
        assert_eq!(*door.keeper.listened_for.lock().unwrap().last().unwrap(), DEVICE);
        assert!(door.handle.has_taker(DEVICE) && hand_over(&door, 1, b"one"));
        assert_eq!(heard(&mut device, None).await, b"one");
        door.keeper.hears(&[(1, Fate::Sent)]).await;
        assert!(hand_over(&door, 2, b"two"));
        assert_eq!(heard(&mut device, Some(b"")).await, b"two");
        door.keeper.hears(&[(2, Fate::Sent), (2, Fate::Acknowledged)]).await;
        // The connection breaks before the first is acknowledged.
        drop(device);
        door.keeper.hears(&[(1, Fate::Lost)]).await;
        assert!(!door.handle.has_taker(DEVICE));
    }
}

#[tokio::test]
async fn a_command_without_an_acknowledgement_to_come_says_so_and_a_refusal_is_told() {
    let door = TestDoor::start().await;
    let mut device = listening(&door, 5, "0A3F73", 0).await;
    assert!(hand_over(&door, 1, b"x"));
    assert_eq!(heard(&mut device, None).await, b"x");
    door.keeper.hears(&[(1, Fate::SentForGood)]).await;
    assert_eq!(device.subscribe(TOPIC, 1).await, 1);
    assert!(hand_over(&door, 2, b"x"));
    heard(&mut device, Some(&[0x83])).await;
    door.keeper.hears(&[(2, Fate::Sent), (2, Fate::Refused(0x83))]).await;
    // 0x10 is no refusal.
    assert!(hand_over(&door, 3, b"x"));
    heard(&mut device, Some(&[0x10])).await;
    door.keeper.hears(&[(3, Fate::Sent), (3, Fate::Acknowledged)]).await;
    // Of a client that takes 50 bytes at most.
    let login = Some(("0A3F73", "secret"));
    let small = [39, 0, 0, 0, 50];
    let small = Options { login, properties: &small, ..Client::options(5, "small") };
    let mut small = Client::connect_with(door.address, &small).await;
    small.subscribe(TOPIC, 1).await;
    assert!(hand_over(&door, 4, &[0; 50]));
    door.keeper.hears(&[(4, Fate::TooLarge)]).await;
    small.ping().await;
}

#[tokio::test]
async fn one_client_gets_it_the_nearest_to_the_device() {
    let door = TestDoor::start().await;
    let mut operator = listening(&door, 4, "operator", 1).await;
    assert!(!door.handle.has_taker(DEVICE), "who watches is not the device");
    assert!(door.keeper.listened_for.lock().unwrap().is_empty());
    let mut first = listening(&door, 4, "gateway", 1).await;
    assert!(hand_over(&door, 1, b"gateway"));
    assert_eq!(heard(&mut first, Some(b"")).await, b"gateway");
    let mut device = listening(&door, 4, "0A3F73", 1).await;
    let mut late = Client::connect(door.address, 4, "without a login").await;
    late.subscribe(TOPIC, 1).await;
    assert!(hand_over(&door, 2, b"device"));
    assert_eq!(heard(&mut device, Some(b"")).await, b"device");
    drop(device);
    eventually("gone", || door.handle.stats().connections == 3).await;
    assert!(hand_over(&door, 3, b"the last"));
    assert_eq!(heard(&mut late, Some(b"")).await, b"the last");
    for quiet in [&mut operator, &mut first, &mut late] {
        quiet.ping().await;
    }
    // Who watches is shown it.
    assert!(door.handle.show_command(DEVICE, b"shown".to_vec()));
    assert_eq!(heard(&mut operator, Some(b"")).await, b"shown");
    first.ping().await;
}

#[tokio::test]
async fn what_is_over_does_not_go_out_and_what_goes_out_says_for_how_long() {
    let door = TestDoor::start().await;
    let mut device = listening(&door, 5, "0A3F73", 1).await;
    assert!(door.handle.hand_over(DEVICE, 1, b"late".to_vec(), Instant::now()));
    door.keeper.hears(&[(1, Fate::Late)]).await;
    assert!(hand_over(&door, 2, b"x"));
    let packet = device.next().await;
    let at = packet.body.windows(2).position(|window| window == [5, 2]).expect("one property");
    let seconds = u32::from_be_bytes(packet.body[at + 2..at + 6].try_into().unwrap());
    assert!((3590..=3601).contains(&seconds), "{seconds}");
    device.ping().await;
}

#[tokio::test]
async fn commands_wait_for_the_clients_window_in_their_order_and_beyond_the_box_are_told() {
    const BOX: u64 = 256;
    let door = TestDoor::start().await;
    let login = Some(("0A3F73", "secret"));
    let one_at_a_time = [33, 0, 1];
    let options = Options { login, properties: &one_at_a_time, ..Client::options(5, "slow") };
    let mut device = Client::connect_with(door.address, &options).await;
    device.subscribe(TOPIC, 1).await;
    // One is in flight; the box fills while the connection cannot send.
    assert!(hand_over(&door, 0, &0_u64.to_be_bytes()));
    door.keeper.hears(&[(0, Fate::Sent)]).await;
    let taken = (1..=BOX + 1).take_while(|id| hand_over(&door, *id, &id.to_be_bytes())).count();
    let refused = u64::try_from(taken).unwrap() + 1;
    assert_eq!(door.keeper.reports(), [(refused, Fate::NoRoom)]);
    for id in 0..refused {
        assert_eq!(heard(&mut device, Some(b"")).await, id.to_be_bytes());
    }
    let told = usize::try_from(2 * refused - 1).unwrap();
    eventually("all acknowledged", || door.keeper.reports.lock().unwrap().len() == told).await;
}
