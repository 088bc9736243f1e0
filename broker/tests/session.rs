//! CONNECT, rights, wills, take-over, keep-alive: what the specifications ask of
//! a server, in both protocols.

mod support;

use std::time::Duration;

use nemeses_broker::DoorConfig;
use nemeses_protocol::Speaker;
use support::{Client, DEVICE, Options, TestDoor, config, eventually, frame};

#[tokio::test]
async fn logins_are_asked_for_and_refused_with_their_codes() {
    let door = TestDoor::with(DoorConfig { anonymous: false, ..config() }).await;
    for (login, in_5, in_311) in [
        (None, 0x87, 5),
        (Some(("0A3F73", "wrong")), 0x86, 4),
        (Some(("nobody", "secret")), 0x86, 4),
        (Some(("disabled", "secret")), 0x87, 5),
        (Some(("unknowable", "secret")), 0x88, 3),
        (Some(("0A3F73", "secret")), 0, 0),
    ] {
        for (level, code) in [(5, in_5), (4, in_311)] {
            let mut client = Client::open(door.address).await;
            let answer = client.greet(&Options { login, ..Client::options(level, "x") }).await;
            assert_eq!(answer.body[1], code, "{login:?} at level {level}");
            if code != 0 {
                assert_eq!(client.next_or_end().await, None);
            }
        }
    }
}

#[tokio::test]
async fn a_device_speaks_for_itself_only() {
    let door = TestDoor::start().await;
    door.intake.commit_at_once(true);
    let mut device = Client::log_in(door.address, 5, "0A3F73").await;
    device.publish("/messenger/0A3F73", 1, 1, b"frame").await;
    assert_eq!(device.next().await.puback(), 1);
    assert_eq!(door.intake.speakers(), [Speaker::Device(DEVICE)]);
    for (id, topic) in ["/messenger/000001", "/DB", "/ping", "elsewhere"].iter().enumerate() {
        let id = u16::try_from(id).unwrap() + 10;
        device.publish(topic, 1, id, b"x").await;
        assert_eq!(device.next().await.refusal(0x40), (id, 0x87), "{topic}");
    }
    device.publish("/DB", 2, 20, b"x").await;
    assert_eq!(device.next().await.refusal(0x50), (20, 0x87));
    // A refusal ends the message: the id is free.
    device.publish("/messenger", 2, 20, b"frame").await;
    assert_eq!(device.next().await.id_of(0x50), 20);
    for (filter, code) in
        [("/ping", 0), ("/command/0A3F73", 0), ("/command/000001", 0x87), ("#", 0x87)]
    {
        assert_eq!(device.subscribe(filter, 0).await, code, "{filter}");
    }
    let mut old = Client::log_in(door.address, 4, "0A3F73").await;
    assert_eq!(old.subscribe("#", 0).await, 0x80);
    old.publish("/messenger/000001", 1, 1, b"x").await;
    assert_eq!(old.next_or_end().await, None, "3.1.1 knows no refusal but the end");
    assert_eq!(door.intake.count(), 2);
}

#[tokio::test]
async fn shared_subscriptions_and_invalid_filters_are_refused() {
    let door = TestDoor::start().await;
    let mut client = Client::connect(door.address, 5, "worker").await;
    assert_eq!(client.subscribe("$share/parsers//messenger", 1).await, 0x9E);
    assert_eq!(client.subscribe("a/#/b", 1).await, 0x8F);
    let mut old = Client::connect(door.address, 4, "old").await;
    assert_eq!(old.subscribe("$share/parsers//messenger", 1).await, 0x80);
    door.serves().await;
}

#[tokio::test]
async fn a_client_id_is_taken_over_within_a_login() {
    let door = TestDoor::start().await;
    let login = |name| Options { login: Some((name, "secret")), ..Client::options(5, "same") };
    let mut first = Client::connect_with(door.address, &login("0A3F73")).await;
    let mut other = Client::connect_with(door.address, &login("gateway")).await;
    let mut second = Client::connect_with(door.address, &login("0A3F73")).await;
    first.is_closed_with(0x8E).await;
    second.ping().await;
    other.ping().await;
    let mut old = Client::connect(door.address, 4, "same").await;
    let mut new = Client::connect(door.address, 4, "same").await;
    old.is_closed_with(0x8E).await;
    new.ping().await;
    eventually("three remain", || door.handle.stats().connections == 3).await;
}

#[tokio::test]
async fn silence_ends_a_connection_and_pings_keep_it() {
    let door = TestDoor::start().await;
    for level in [4, 5] {
        let hasty = Options { keep_alive_s: 1, ..Client::options(level, "hasty") };
        let mut silent = Client::connect_with(door.address, &hasty).await;
        let lively = Options { client_id: "lively", ..hasty.clone() };
        let mut lively = Client::connect_with(door.address, &lively).await;
        let pings = async {
            loop {
                lively.ping().await;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        };
        tokio::select! {
            () = silent.is_closed_with(0x8D) => {}
            () = pings => {}
        }
        lively.ping().await;
    }
}

#[tokio::test]
async fn a_long_keep_alive_is_shortened_for_those_who_can_be_told() {
    let door = TestDoor::with(DoorConfig { longest_keep_alive_s: 30, ..config() }).await;
    let keep_alive = [19, 0, 30];
    for (asked, told) in [(0, true), (31, true), (30, false), (5, false)] {
        let mut client = Client::open(door.address).await;
        let options = Options { keep_alive_s: asked, ..Client::options(5, "x") };
        let answer = client.greet(&options).await;
        let found = answer.body.windows(3).any(|window| window == keep_alive);
        assert_eq!(found, told, "{asked}");
    }
}

#[tokio::test]
async fn a_will_is_published_unless_the_client_says_goodbye() {
    let door = TestDoor::start().await;
    let mut listener = Client::connect(door.address, 4, "listener").await;
    listener.subscribe("wills/#", 1).await;
    for level in [4, 5] {
        let will = Some(("wills/a", &b"gone"[..], 1, false));
        let options = Options { will, ..Client::options(level, "mortal") };
        let mut polite = Client::connect_with(door.address, &options).await;
        polite.disconnect().await;
        assert_eq!(polite.next_or_end().await, None);
        let broken = Client::connect_with(door.address, &options).await;
        drop(broken);
        let (topic, payload, qos, _, id) = listener.next().await.message();
        assert_eq!((topic.as_str(), payload.as_slice(), qos), ("wills/a", &b"gone"[..], 1));
        listener.acknowledge(0x40, id).await;
        // The polite one left none.
        listener.ping().await;
    }
    let will = Some(("wills/b", &b"asked for"[..], 0, true));
    let options = Options { will, ..Client::options(5, "mortal") };
    let mut asking = Client::connect_with(door.address, &options).await;
    asking.send(&[0xE0, 1, 0x04]).await;
    assert_eq!(listener.next().await.message().1, b"asked for");
    let mut late = Client::connect(door.address, 4, "late").await;
    late.subscribe("wills/b", 0).await;
    assert!(late.next().await.message().3, "a retained will");
}

#[tokio::test]
async fn a_will_has_the_rights_of_its_client_and_goes_to_the_intake() {
    let door = TestDoor::start().await;
    let login = Some(("0A3F73", "secret"));
    let options = |topic| Options {
        login,
        will: Some((topic, b"last frame", 1, false)),
        ..Client::options(5, "device")
    };
    let mut refused = Client::open(door.address).await;
    assert_eq!(refused.greet(&options("/DB")).await.body[1], 0x87);
    drop(Client::connect_with(door.address, &options("/messenger/0A3F73")).await);
    eventually("the will", || door.intake.count() == 1).await;
    assert_eq!(door.intake.speakers(), [Speaker::Device(DEVICE)]);
    assert!(door.handle.stats().held_bytes > 0);
    door.intake.commit_all();
    assert_eq!(door.handle.stats().held_bytes, 0);
}

#[tokio::test]
async fn sessions_end_with_their_connection_and_that_is_said() {
    let door = TestDoor::start().await;
    let options = Options { clean: false, ..Client::options(4, "durable") };
    let mut client = Client::connect_with(door.address, &options).await;
    client.subscribe("a", 1).await;
    drop(client);
    eventually("gone", || door.handle.stats().connections == 0).await;
    // `connect_with` sees "session present" unset.
    let mut client = Client::connect_with(door.address, &options).await;
    client.publish("a", 1, 1, b"x").await;
    assert_eq!(client.next().await.puback(), 1, "not subscribed any more");
    let hour = [17, 0, 0, 14, 16];
    let options = Options { properties: &hour, ..Client::options(5, "durable") };
    let answer = Client::open(door.address).await.greet(&options).await;
    assert!(answer.body.windows(5).any(|window| window == [17, 0, 0, 0, 0]), "{answer:?}");
}

#[tokio::test]
async fn odd_client_ids_are_taken_or_refused() {
    let door = TestDoor::start().await;
    for id in ["+#/$", "$share/x", "ümläut", "a b", "../../etc"] {
        for level in [4, 5] {
            let mut client = Client::connect(door.address, level, id).await;
            client.ping().await;
        }
    }
    let long = "x".repeat(257);
    for (id, clean, level, code) in
        [("", true, 4, 0), ("", false, 4, 2), (&long, true, 4, 2), (&long, true, 5, 0x85)]
    {
        let mut client = Client::open(door.address).await;
        let options = Options { clean, ..Client::options(level, id) };
        assert_eq!(client.greet(&options).await.body[1], code, "{id}");
    }
    let mut nameless = Client::open(door.address).await;
    let answer = nameless.greet(&Client::options(5, "")).await;
    assert!(answer.body.contains(&18), "an assigned client id: {answer:?}");
    door.serves().await;
}

#[tokio::test]
async fn other_protocols_are_told_so() {
    let door = TestDoor::start().await;
    let mut client = Client::open(door.address).await;
    assert_eq!(client.greet(&Client::options(3, "x")).await.body, [0, 1]);
    let mut client = Client::open(door.address).await;
    assert_eq!(client.greet(&Client::options(6, "x")).await.body[1], 0x84);
    let mut client = Client::open(door.address).await;
    let method = Options { properties: &[21, 0, 1, b'x'], ..Client::options(5, "x") };
    assert_eq!(client.greet(&method).await.body[1], 0x8C);
    // A second CONNECT.
    let mut client = Client::connect(door.address, 5, "twice").await;
    client.send(&support::connect_packet(&Client::options(5, "twice"))).await;
    client.is_closed_with(0x82).await;
    // A topic alias, although none was offered.
    let mut client = Client::connect(door.address, 5, "alias").await;
    client.send(&frame(0x30, &[0, 1, b'a', 3, 35, 0, 1])).await;
    client.is_closed_with(0x94).await;
}
