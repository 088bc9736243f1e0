//! MQTT 3.1 as old modems speak it, what a bridge of Mosquitto says, and small faults of
//! modems that must not cost them their connection.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use nemeses_broker::DoorConfig;
use support::{Client, Options, TestDoor, config, eventually, frame};

/// A CONNECT of MQTT 3.1; `fields` are what is behind the client id.
fn connect_31(flags: u8, client_id: &str, fields: &[u8]) -> Vec<u8> {
    let mut body = b"\x00\x06MQIsdp\x03".to_vec();
    body.extend([flags, 0, 60]);
    body.extend(u16::try_from(client_id.len()).unwrap().to_be_bytes());
    body.extend(client_id.as_bytes());
    body.extend(fields);
    frame(0x10, &body)
}

async fn answered(door: &TestDoor, connect: &[u8]) -> (Client, u8) {
    let mut client = Client::open(door.address).await;
    client.send(connect).await;
    let answer = client.next().await;
    assert_eq!((answer.first, answer.body[0]), (0x20, 0), "{answer:?}");
    (client, answer.body[1])
}

#[tokio::test]
async fn mqtt_3_1_is_spoken_by_its_own_rules() {
    let door = TestDoor::with(DoorConfig { anonymous: false, ..config() }).await;
    door.intake.commit_at_once(true);
    let login = b"\x00\x060A3F73\x00\x06secret";
    // The reserved bit of the flags means nothing.
    let (mut client, code) = answered(&door, &connect_31(0xC3, "quectel", login)).await;
    assert_eq!(code, 0);
    client.publish("/messenger", 1, 1, b"frame").await;
    assert_eq!(client.next().await.puback(), 1);
    // There is no word for a refusal: what was asked for is granted, and brings nothing.
    assert_eq!(client.subscribe("#", 1).await, 1);
    assert_eq!(client.subscribe("/command/0A3F73", 1).await, 1);
    assert!(!door.handle.has_subscriber("/messenger"));
    // Repeated with DUP.
    client.send(&frame(0x8A, b"\x00\x09\x00\x05/ping\x00")).await;
    assert_eq!(client.next().await.first, 0x90);
    client.publish("/messenger", 2, 2, b"frame").await;
    assert_eq!(client.next().await.id_of(0x50), 2);
    client.acknowledge(0x6A, 2).await;
    assert_eq!(client.next().await.id_of(0x70), 2);
    client.ping().await;
    // What is refused is not acknowledged, since that would say that it is kept.
    client.publish("/DB", 1, 3, b"x").await;
    assert_eq!(client.next_or_end().await, None);
    assert_eq!(door.intake.count(), 2);
}

#[tokio::test]
async fn client_ids_of_mqtt_3_1_have_1_to_23_characters() {
    let door = TestDoor::start().await;
    for (id, code) in [("", 2), ("ä", 0), (&"x".repeat(23), 0), (&"x".repeat(24), 2)] {
        assert_eq!(answered(&door, &connect_31(0x02, id, b"")).await.1, code, "{id}");
    }
    // Longer in 3.1.1.
    let mut client = Client::open(door.address).await;
    let id = "x".repeat(24);
    assert_eq!(client.greet(&Client::options(4, &id)).await.body, [0, 0]);
}

/// Its remaining length goes before its flags (MQTT 3.1, section 3.1).
#[tokio::test]
async fn a_login_of_mqtt_3_1_may_be_announced_and_missing() {
    let door = TestDoor::start().await;
    assert_eq!(answered(&door, &connect_31(0xC2, "modem", b"")).await.1, 0);
    let name_alone = b"\x00\x060A3F73";
    assert_eq!(answered(&door, &connect_31(0xC2, "modem", name_alone)).await.1, 4);
}

#[tokio::test]
async fn other_levels_are_told_so_and_a_bridge_is_told_the_version_below_its_bit() {
    let door = TestDoor::start().await;
    let connect = |name: &str, level: u8| {
        let mut body = vec![0, u8::try_from(name.len()).unwrap()];
        body.extend(name.as_bytes());
        body.extend([level, 2, 0, 60, 0, 1, b'x']);
        frame(0x10, &body)
    };
    for (name, level) in
        [("MQTT", 3), ("MQTT", 0x84), ("MQIsdp", 0x83), ("MQIsdp", 4), ("MQIsdp", 0x84)]
    {
        let (mut client, code) = answered(&door, &connect(name, level)).await;
        assert_eq!(code, 1, "{name} {level}");
        assert_eq!(client.next_or_end().await, None);
    }
    for level in [6, 0x85] {
        assert_eq!(answered(&door, &connect("MQTT", level)).await.1, 0x84, "{level}");
    }
}

#[tokio::test]
async fn the_state_of_a_bridge_is_taken_and_dropped() {
    let door = TestDoor::with(DoorConfig { anonymous: false, ..config() }).await;
    let state = "$SYS/broker/connection/far.bridge/state";
    for level in [4, 5] {
        let login = Some(("gateway", "secret"));
        let will = Some((state, &b"0"[..], 1, true));
        let bridge = Options { login, will, ..Client::options(level, "bridge") };
        let mut bridge = Client::connect_with(door.address, &bridge).await;
        bridge.publish_retained(state, 1, 1, b"1").await;
        let answer = bridge.next().await;
        assert_eq!((answer.first, &answer.body[..2]), (0x40, &[0, 1][..]));
        // To those who can be told: nobody gets it.
        assert_eq!(answer.body.get(2), (level == 5).then_some(&0x10));
        bridge.publish("$SYS/broker/uptime", 1, 2, b"1").await;
        match bridge.next_or_end().await {
            Some(refused) => assert_eq!(refused.refusal(0x40), (2, 0x87)),
            None => assert_eq!(level, 4),
        }
        drop(bridge);
    }
    eventually("gone", || door.handle.stats().connections == 0).await;
    let login = Some(("operator", "secret"));
    let operator = Options { login, ..Client::options(4, "operator") };
    let mut operator = Client::connect_with(door.address, &operator).await;
    operator.subscribe("$SYS/#", 0).await;
    operator.ping().await;
}

#[tokio::test]
async fn dup_at_qos_0_costs_nobody_the_connection() {
    let door = TestDoor::start().await;
    door.intake.commit_at_once(true);
    for level in [4, 5] {
        let mut client = Client::connect(door.address, level, "modem").await;
        let mut packet = client.publish_packet("/messenger", 0, 0, b"frame");
        packet[0] |= 0x08;
        client.send(&packet).await;
        client.ping().await;
    }
    assert_eq!(door.intake.count(), 2);
}

/// PUBCOMP says as PUBREC does that the message is kept.
#[tokio::test]
async fn a_message_released_early_is_completed_after_its_commit() {
    let door = TestDoor::start().await;
    for level in [4, 5] {
        let before = door.intake.count();
        let mut client = Client::connect(door.address, level, "hasty").await;
        client.publish("/messenger", 2, 7, b"frame").await;
        client.acknowledge(0x62, 7).await;
        // A message that is not kept holds nothing up.
        client.acknowledge(0x62, 8).await;
        let unknown = client.next().await;
        assert_eq!((unknown.first, &unknown.body[..2]), (0x70, &[0, 8][..]), "{unknown:?}");
        client.ping().await;
        // Sent again meanwhile, it is the same message.
        client.publish("/messenger", 2, 7, b"frame").await;
        client.ping().await;
        door.intake.commit_all();
        assert_eq!(client.next().await.id_of(0x50), 7);
        assert_eq!(client.next().await.id_of(0x70), 7);
        assert_eq!(door.intake.count(), before + 1);
        // The packet id is free.
        client.publish("/messenger", 2, 7, b"another").await;
        eventually("taken", || door.intake.count() == before + 2).await;
        door.intake.commit_all();
        assert_eq!(client.next().await.id_of(0x50), 7);
        client.acknowledge(0x62, 7).await;
        assert_eq!(client.next().await.id_of(0x70), 7);
    }
}

#[tokio::test]
async fn a_subscription_to_commands_is_granted_what_it_brings() {
    let door = TestDoor::start().await;
    for level in [4, 5] {
        let mut client = Client::connect(door.address, level, "device").await;
        for (asked, granted) in [(0, 0), (1, 1), (2, 1)] {
            assert_eq!(client.subscribe("/command/0A3F73", asked).await, granted);
            let mut operator = Client::connect(door.address, level, "operator").await;
            operator.publish("/command/0A3F73", 2, 5, b"go").await;
            assert_eq!(operator.next().await.id_of(0x50), 5);
            let (_, _, qos, _, id) = client.next().await.message();
            assert_eq!(qos, granted);
            if qos > 0 {
                client.acknowledge(0x40, id).await;
            }
        }
    }
}
