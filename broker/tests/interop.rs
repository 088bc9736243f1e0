//! What interoperability suites expect of a server, for the features that
//! docs/mqtt.md claims and no other file here tests.

mod support;

use support::{Client, Options, TestDoor, frame};

/// Publishes on each topic and returns those that the filter brought.
async fn heard(door: &TestDoor, filter: &str, topics: &[&str]) -> Vec<String> {
    let mut listener = Client::connect(door.address, 4, "listener").await;
    for filter in [filter, "the end"] {
        assert_eq!(listener.subscribe(filter, 0).await, 0, "{filter}");
    }
    let mut publisher = Client::connect(door.address, 4, "publisher").await;
    for (id, topic) in (1..).zip(topics.iter().chain(&["the end"])) {
        publisher.publish(topic, 1, id, b"x").await;
        assert_eq!(publisher.next().await.puback(), id);
    }
    let mut heard = Vec::new();
    loop {
        match listener.next().await.message().0 {
            end if end == "the end" => return heard,
            topic => heard.push(topic),
        }
    }
}

/// MQTT 5, section 4.7.
#[tokio::test]
async fn filters_match_as_the_specification_says() {
    let door = TestDoor::start().await;
    let topics = ["sport", "sport/tennis", "sport/tennis/one", "/finance", "finance/", "Sport"];
    for (filter, matched) in [
        ("#", &topics[..]),
        ("sport/#", &["sport", "sport/tennis", "sport/tennis/one"]),
        ("sport/+", &["sport/tennis"]),
        ("sport/+/one", &["sport/tennis/one"]),
        ("+", &["sport", "Sport"]),
        ("+/+", &["sport/tennis", "/finance", "finance/"]),
        ("/+", &["/finance"]),
        ("finance/+", &["finance/"]),
        ("sport", &["sport"]),
    ] {
        assert_eq!(heard(&door, filter, &topics).await, matched, "{filter}");
    }
}

#[tokio::test]
async fn nobody_publishes_below_the_dollar_and_listening_there_brings_nothing() {
    let door = TestDoor::start().await;
    let mut client = Client::connect(door.address, 5, "client").await;
    for filter in ["$SYS/#", "#", "+/x"] {
        assert_eq!(client.subscribe(filter, 0).await, 0, "{filter}");
    }
    client.publish("$SYS/x", 1, 1, b"forged").await;
    assert_eq!(client.next().await.refusal(0x40), (1, 0x87));
    client.ping().await;
    let mut old = Client::connect(door.address, 4, "old").await;
    old.publish("$SYS/x", 1, 1, b"forged").await;
    assert_eq!(old.next_or_end().await, None);
    client.ping().await;
}

#[tokio::test]
async fn overlapping_subscriptions_bring_one_message_at_the_highest_quality() {
    let door = TestDoor::start().await;
    for level in [4, 5] {
        let mut client = Client::connect(door.address, level, "client").await;
        for (filter, qos) in [("a/#", 0), ("a/b", 2), ("a/+", 1)] {
            assert_eq!(client.subscribe(filter, qos).await, qos);
        }
        let mut publisher = Client::connect(door.address, level, "publisher").await;
        publisher.publish("a/b", 1, 1, b"once").await;
        assert_eq!(publisher.next().await.puback(), 1);
        let (topic, payload, qos, _, id) = client.next().await.message();
        assert_eq!((topic.as_str(), payload.as_slice(), qos), ("a/b", &b"once"[..], 1));
        client.acknowledge(0x40, id).await;
        client.ping().await;
        // The same filter again takes the place of the first.
        assert_eq!(client.subscribe("a/b", 0).await, 0);
        client.unsubscribe("a/+").await;
        publisher.publish("a/b", 1, 2, b"").await;
        assert_eq!(publisher.next().await.puback(), 2);
        let (_, payload, qos, ..) = client.next().await.message();
        assert_eq!((payload.as_slice(), qos), (&b""[..], 0), "an empty payload is a message");
        client.ping().await;
    }
}

#[tokio::test]
async fn what_was_not_subscribed_cannot_be_unsubscribed() {
    let door = TestDoor::start().await;
    let mut client = Client::connect(door.address, 5, "client").await;
    client.subscribe("a", 0).await;
    client.send(&frame(0xA2, &[0, 7, 0, 0, 1, b'a', 0, 1, b'b'])).await;
    let answer = client.next().await;
    assert_eq!((answer.first, answer.body), (0xB0, vec![0, 7, 0, 0, 0x11]));
}

#[tokio::test]
async fn user_properties_travel_in_their_order() {
    let door = TestDoor::start().await;
    let mut client = Client::connect(door.address, 5, "client").await;
    client.subscribe("a", 0).await;
    let mut body = vec![0, 1, b'a', 21];
    for value in [b'1', b'2', b'1'] {
        body.extend([38, 0, 1, b'k', 0, 1, value]);
    }
    body.push(b'x');
    client.send(&frame(0x30, &body)).await;
    assert_eq!(client.next().await.body, body);
    // A listener of 3.1.1 gets the message without them.
    let mut old = Client::connect(door.address, 4, "old").await;
    old.subscribe("a", 0).await;
    client.send(&frame(0x30, &body)).await;
    assert_eq!(old.next().await.body, [0, 1, b'a', b'x']);
}

#[tokio::test]
async fn a_will_with_a_delay_is_published_at_once() {
    let door = TestDoor::start().await;
    let mut listener = Client::connect(door.address, 5, "listener").await;
    listener.subscribe("w", 0).await;
    let mut mortal = Client::open(door.address).await;
    // Session expiry and will delay of an hour.
    let hour = [0, 0, 14, 16];
    let mut body = b"\x00\x04MQTT\x05\x06\x00\x3C\x05\x11".to_vec();
    body.extend(hour);
    body.extend(b"\x00\x01m\x05\x18");
    body.extend(hour);
    body.extend(b"\x00\x01w\x00\x04gone");
    mortal.send(&frame(0x10, &body)).await;
    let answer = mortal.next().await;
    assert!(answer.body.windows(5).any(|at| at == [17, 0, 0, 0, 0]), "{answer:?}");
    drop(mortal);
    assert_eq!(listener.next().await.body, [0, 1, b'w', 0, b'g', b'o', b'n', b'e']);
}

#[tokio::test]
async fn nameless_clients_get_names_of_their_own() {
    let door = TestDoor::start().await;
    let mut first = Client::open(door.address).await;
    let mut second = Client::open(door.address).await;
    let first_answer = first.greet(&Client::options(5, "")).await;
    let second_answer = second.greet(&Client::options(5, "")).await;
    assert_ne!(first_answer.body, second_answer.body, "assigned client ids differ");
    let mut old = Client::open(door.address).await;
    assert_eq!(old.greet(&Client::options(4, "")).await.body, [0, 0]);
    for client in [&mut first, &mut second, &mut old] {
        client.ping().await;
    }
}

/// No topic alias maximum (34), no session, no shared subscriptions, the window.
#[tokio::test]
async fn connack_says_what_is_not_offered() {
    let door = TestDoor::start().await;
    let mut client = Client::open(door.address).await;
    let properties = [17, 255, 255, 255, 255, 34, 0, 10];
    let options = Options { properties: &properties, ..Client::options(5, "client") };
    let answer = client.greet(&options).await;
    assert_eq!(answer.body[..2], [0, 0], "let in without a session");
    let said = |property: &[u8]| answer.body.windows(property.len()).any(|at| at == property);
    assert!(said(&[17, 0, 0, 0, 0]), "the session ends with the connection: {answer:?}");
    assert!(said(&[33, 0x03, 0xE8]), "receive maximum 1000: {answer:?}");
    assert!(said(&[42, 0]), "no shared subscriptions: {answer:?}");
    assert!(!said(&[34]), "no topic aliases: {answer:?}");
}
