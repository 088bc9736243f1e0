//! Clients that mean no good: the door serves everyone else.

mod support;

use std::time::Duration;

use nemeses_broker::DoorConfig;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::{Client, Options, TestDoor, config, connect_packet, frame};
use tokio::time::timeout;

#[tokio::test]
async fn topics_that_end_rumqttd_are_topics_here() {
    let door = TestDoor::start().await;
    let mut client = Client::connect(door.address, 5, "client").await;
    for topic in ["ä", "\u{1F4A3}/x", "é/+/#"] {
        assert_eq!(client.subscribe(topic, 0).await, 0, "{topic}");
    }
    client.publish("ä", 1, 1, b"x").await;
    let answers = [client.next().await, client.next().await];
    assert!(answers.iter().any(|answer| answer.first == 0x30), "{answers:?}");
    for topic in ["\u{1F4A3}/x", "ß/messenger", "/messenger/äöü"] {
        client.publish(topic, 0, 0, b"x").await;
    }
    assert_eq!(client.next().await.message().0, "\u{1F4A3}/x");
    client.ping().await;
    door.serves().await;
}

#[tokio::test]
async fn who_does_not_connect_in_time_is_closed() {
    let config = DoorConfig { connect_deadline: Duration::from_millis(200), ..config() };
    let door = TestDoor::with(config).await;
    let packet = connect_packet(&Client::options(4, "loris"));
    for sent in [0, 1, packet.len() - 1] {
        let mut loris = Client::open(door.address).await;
        loris.send(&packet[..sent]).await;
        assert_eq!(loris.next_or_end().await, None);
    }
    let mut slow = Client::open(door.address).await;
    let login = Some(("slow", "secret"));
    slow.send(&connect_packet(&Options { login, ..Client::options(4, "slow") })).await;
    assert_eq!(slow.next_or_end().await, None, "an authenticator that does not answer");
    door.serves().await;
}

#[tokio::test]
async fn a_packet_that_drips_in_counts_as_silence() {
    let door = TestDoor::start().await;
    let hasty = Options { keep_alive_s: 1, ..Client::options(5, "drip") };
    let mut drip = Client::connect_with(door.address, &hasty).await;
    drip.send(&[0x30, 0xFF, 0x01]).await;
    let dripping = async {
        while drip.try_send(&[0]).await {
            if let Ok(end) = timeout(Duration::from_millis(50), drip.next_or_end()).await {
                return end;
            }
        }
        None
    };
    let goodbye = dripping.await.expect("a DISCONNECT before the end");
    assert_eq!((goodbye.first, goodbye.body[0]), (0xE0, 0x8D));
    door.serves().await;
}

#[tokio::test]
async fn malformed_packets_end_their_connection() {
    let door = TestDoor::start().await;
    for (bytes, reason) in [
        (frame(0x36, &[0, 1, b'a', 0, 1, 0]), 0x81),
        (frame(0x32, &[0, 1, b'a', 0, 0, 0]), 0x81),
        (frame(0x30, &[0, 9, b'a']), 0x81),
        (frame(0x30, &[0, 2, 0xC3, 0x28, 0]), 0x81),
        (frame(0x30, &[0, 2, b'a', 0, 0]), 0x81),
        (frame(0x30, &[0, 1, b'#', 0]), 0x90),
        (frame(0x30, &[0, 0, 0]), 0x90),
        (frame(0x30, &[0, 1, b'a', 9, 1, 1]), 0x81),
        (frame(0x30, &[0, 1, b'a', 2, 17, 1]), 0x82),
        (frame(0x82, &[0, 1, 0]), 0x82),
        (frame(0x80, &[0, 1, 0, 0, 1, b'a', 0]), 0x81),
        (frame(0x82, &[0, 1, 0, 0, 1, b'a', 3]), 0x81),
        (frame(0xA2, &[0, 1, 0]), 0x82),
        (frame(0x20, &[0, 0]), 0x82),
        (frame(0x00, &[]), 0x81),
        (frame(0xC0, &[1]), 0x81),
        (frame(0xF0, &[]), 0x82),
        (vec![0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], 0x81),
    ] {
        let mut client = Client::connect(door.address, 5, "malformed").await;
        client.send(&bytes).await;
        client.is_closed_with(reason).await;
    }
    door.serves().await;
}

#[tokio::test]
async fn what_is_not_connect_is_closed_without_a_word() {
    let door = TestDoor::start().await;
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0xC0, 0],
        &[0x16, 3, 1, 2, 0, 1],
        &[0x10, 0xFF, 0xFF, 0xFF, 0x7F],
        &frame(0x10, b"\x00\x04MQTX\x04\x02\x00\x00\x00\x00"),
        &frame(0x10, b"\x00\x04MQTT\x04\x03\x00\x00\x00\x00"),
        &frame(0x10, b"\x00\x04MQTT\x04\x02\x00\x00\x00\x09x"),
    ] {
        let mut client = Client::open(door.address).await;
        client.send(bytes).await;
        assert_eq!(client.next_or_end().await, None, "{bytes:?}");
    }
    door.serves().await;
}

/// Random bytes, before and after CONNECT, in both protocols: each connection
/// ends or waits for more, and the door goes on.
#[test]
fn random_bytes_leave_the_door_standing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let door = runtime.block_on(TestDoor::start());
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    let packets = (0_u8..=255, proptest::collection::vec(any::<u8>(), 0..60))
        .prop_map(|(first, body)| frame(first, &body));
    let noise = prop_oneof![bytes, packets];
    let mut runner = TestRunner::new(ProptestConfig { cases: 300, ..ProptestConfig::default() });
    runner
        .run(&(noise, 0_u8..3), |(noise, kind)| {
            runtime.block_on(async {
                let mut client = match kind {
                    0 => Client::open(door.address).await,
                    1 => Client::connect(door.address, 4, "noise").await,
                    _ => Client::connect(door.address, 5, "noise").await,
                };
                client.try_send(&noise).await;
                client.try_send(&[0xE0, 0]).await;
            });
            Ok(())
        })
        .unwrap();
    runtime.block_on(door.serves());
}
