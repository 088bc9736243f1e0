//! Topics that are not ours: carried by the router, delivered by the door.

mod support;

use std::sync::{Arc, Mutex};

use nemeses_broker::{Published, Relay, Undelivered};
use support::{Client, DEVICE, TestDoor, eventually, frame};

#[tokio::test]
async fn a_message_is_delivered_at_the_lower_of_both_qualities() {
    let door = TestDoor::start().await;
    for (level, published, subscribed) in
        [(4, 0, 2), (4, 1, 0), (4, 2, 1), (5, 1, 1), (5, 2, 2), (4, 2, 2)]
    {
        let mut listener = Client::connect(door.address, level, "listener").await;
        assert_eq!(listener.subscribe("weather/+", subscribed).await, subscribed);
        let mut publisher = Client::connect(door.address, 9 - level, "publisher").await;
        publisher.publish("weather/today", published, 3, b"rain").await;
        let (topic, payload, qos, retain, id) = listener.next().await.message();
        assert_eq!((topic.as_str(), payload.as_slice()), ("weather/today", &b"rain"[..]));
        assert_eq!((qos, retain), (published.min(subscribed), false));
        match qos {
            1 => listener.acknowledge(0x40, id).await,
            2 => {
                listener.acknowledge(0x50, id).await;
                assert_eq!(listener.next().await.id_of(0x62), id);
                listener.acknowledge(0x70, id).await;
            }
            _ => {}
        }
        match published {
            1 => assert_eq!(publisher.next().await.puback(), 3),
            2 => {
                assert_eq!(publisher.next().await.id_of(0x50), 3);
                publisher.acknowledge(0x62, 3).await;
                assert_eq!(publisher.next().await.id_of(0x70), 3);
            }
            _ => {}
        }
        listener.ping().await;
    }
}

#[tokio::test]
async fn more_messages_than_a_window_arrive_in_order() {
    let door = TestDoor::start().await;
    // The client takes three unacknowledged messages (receive maximum).
    let properties = [33, 0, 3];
    let options = support::Options { properties: &properties, ..Client::options(5, "listener") };
    let mut listener = Client::connect_with(door.address, &options).await;
    listener.subscribe("#", 1).await;
    let mut publisher = Client::connect(door.address, 4, "publisher").await;
    for id in 1..=500_u16 {
        publisher.publish("a/b", 1, id, &id.to_be_bytes()).await;
        assert_eq!(publisher.next().await.puback(), id);
    }
    for _ in 0..3 {
        listener.next().await;
    }
    // No fourth before an acknowledgement.
    listener.ping().await;
    for id in 1..=3 {
        listener.acknowledge(0x40, id).await;
    }
    for expected in 4..=500_u16 {
        let (_, payload, _, _, id) = listener.next().await.message();
        assert_eq!(payload, expected.to_be_bytes());
        listener.acknowledge(0x40, id).await;
    }
}

#[tokio::test]
async fn retained_messages_reach_those_who_come_later() {
    let door = TestDoor::start().await;
    let mut publisher = Client::connect(door.address, 4, "publisher").await;
    publisher.publish_retained("state/a", 1, 1, b"on").await;
    publisher.next().await.puback();
    for level in [4, 5] {
        let mut listener = Client::connect(door.address, level, "listener").await;
        listener.subscribe("state/#", 0).await;
        let (topic, payload, _, retain, _) = listener.next().await.message();
        assert_eq!((topic.as_str(), payload.as_slice(), retain), ("state/a", &b"on"[..], true));
        // To who listens already the flag is not shown.
        publisher.publish_retained("state/b", 1, 2, b"off").await;
        assert!(!listener.next().await.message().3);
        publisher.next().await.puback();
        publisher.publish_retained("state/b", 1, 3, b"").await;
        assert_eq!(listener.next().await.message().1, b"");
        publisher.next().await;
    }
    let mut listener = Client::connect(door.address, 5, "listener").await;
    // Retain handling 2: none.
    listener.subscribe("state/#", 0x20).await;
    listener.ping().await;
    publisher.publish_retained("state/a", 1, 4, b"").await;
    publisher.next().await;
    listener.next().await;
    let mut late = Client::connect(door.address, 4, "late").await;
    late.subscribe("state/#", 0).await;
    late.ping().await;
}

#[tokio::test]
async fn what_is_unsubscribed_comes_no_more_and_no_local_leaves_out_ones_own() {
    let door = TestDoor::start().await;
    let mut client = Client::connect(door.address, 5, "client").await;
    client.subscribe("a", 0).await;
    client.publish("a", 0, 0, b"1").await;
    assert_eq!(client.next().await.message().1, b"1");
    // The same filter with no-local.
    client.subscribe("a", 0x04).await;
    client.publish("a", 1, 1, b"2").await;
    assert_eq!(client.next().await.puback(), 1);
    client.ping().await;
    client.unsubscribe("a").await;
    let mut publisher = Client::connect(door.address, 5, "publisher").await;
    publisher.publish("a", 1, 1, b"3").await;
    assert_eq!(publisher.next().await.refusal(0x40), (1, 0x10), "nobody listens");
    client.ping().await;
    assert!(!door.handle.has_subscriber("a"));
}

#[tokio::test]
async fn properties_and_subscription_identifiers_travel() {
    let door = TestDoor::start().await;
    let mut listener = Client::connect(door.address, 5, "listener").await;
    // SUBSCRIBE with identifier 7 to "a".
    listener.send(&frame(0x82, &[0, 9, 2, 11, 7, 0, 1, b'a', 0])).await;
    assert_eq!(listener.next().await.body.last(), Some(&0));
    let mut publisher = Client::connect(door.address, 5, "publisher").await;
    let content_type = [3, 0, 4, b't', b'e', b'x', b't'];
    let mut body = vec![0, 1, b'a', 7];
    body.extend(content_type);
    body.extend(b"hello");
    publisher.send(&frame(0x30, &body)).await;
    let mut expected = vec![0, 1, b'a', 9];
    expected.extend(content_type);
    expected.extend([11, 7]);
    expected.extend(b"hello");
    assert_eq!(listener.next().await.body, expected);
}

#[tokio::test]
async fn the_node_publishes_to_those_who_listen() {
    let door = TestDoor::start().await;
    assert!(!door.handle.has_subscriber("/DB"));
    assert_eq!(door.handle.publish("/DB", &b"x"[..]).unwrap(), Published::NobodyListens);
    let mut exporter = Client::log_in(door.address, 5, "worker").await;
    assert_eq!(exporter.subscribe("/DB", 1).await, 1);
    assert!(door.handle.has_subscriber("/DB"));
    assert_eq!(door.handle.publish("/DB", &b"batch"[..]).unwrap(), Published::Delivered);
    let (topic, payload, qos, _, _) = exporter.next().await.message();
    assert_eq!((topic.as_str(), payload.as_slice(), qos), ("/DB", &b"batch"[..], 1));
}

#[tokio::test]
async fn commands_reach_their_device_and_its_listeners() {
    #[derive(Default)]
    struct Kept(Mutex<Vec<Undelivered>>);
    impl Relay for Kept {
        fn relay(&self, undelivered: Undelivered) {
            self.0.lock().unwrap().push(undelivered);
        }
    }
    let relay = Arc::new(Kept::default());
    let door = TestDoor::with_relay(Arc::clone(&relay) as Arc<dyn Relay>).await;
    let mut operator = Client::log_in(door.address, 5, "operator").await;
    operator.publish("/command/0A3F73", 1, 1, b"early").await;
    assert_eq!(operator.next().await.puback(), 1, "handed to the relay");
    let kept = [Undelivered::Command(DEVICE, b"early"[..].into())];
    assert_eq!(*relay.0.lock().unwrap(), kept);
    let mut device = Client::log_in(door.address, 4, "0A3F73").await;
    assert_eq!(device.subscribe("/command/0A3F73", 1).await, 1);
    operator.publish("/command/0A3F73", 1, 2, b"stop").await;
    assert_eq!(operator.next().await.puback(), 2);
    let (topic, payload, qos, _, id) = device.next().await.message();
    assert_eq!((topic.as_str(), payload.as_slice(), qos), ("/command/0A3F73", &b"stop"[..], 1));
    device.acknowledge(0x40, id).await;
    assert!(door.handle.command(DEVICE, &b"from another node"[..]));
    assert_eq!(device.next().await.message().1, b"from another node");
    device.disconnect().await;
    assert_eq!(device.next_or_end().await, None);
    eventually("gone", || !door.handle.command(DEVICE, &b"x"[..])).await;
    assert!(!door.handle.show_command(DEVICE, &b"x"[..]));
    assert_eq!(operator.subscribe("/command/+", 1).await, 1);
    assert!(door.handle.show_command(DEVICE, &b"seen"[..]));
    let (topic, payload, _, _, _) = operator.next().await.message();
    assert_eq!((topic.as_str(), payload.as_slice()), ("/command/0A3F73", &b"seen"[..]));
    assert_eq!(relay.0.lock().unwrap().len(), 1, "what came from a node is not relayed again");
}

#[tokio::test]
async fn commands_wait_for_a_client_that_does_not_acknowledge_up_to_a_bound() {
    let door = TestDoor::start().await;
    let options = support::Options { properties: &[33, 0, 1], ..Client::options(5, "device") };
    let mut device = Client::connect_with(door.address, &options).await;
    device.subscribe("/command/0A3F73", 1).await;
    let mut taken = 0_u32;
    eventually("full", || {
        let took = door.handle.command(DEVICE, taken.to_be_bytes().to_vec());
        taken += u32::from(took);
        !took
    })
    .await;
    for expected in 0..taken {
        let (_, payload, _, _, id) = device.next().await.message();
        assert_eq!(payload, expected.to_be_bytes());
        device.acknowledge(0x40, id).await;
    }
}

#[tokio::test]
async fn without_an_intake_frames_and_replies_go_to_who_subscribes() {
    let door = TestDoor::without_intake().await;
    let mut parser = Client::log_in(door.address, 5, "worker").await;
    assert_eq!(parser.subscribe("/messenger/#", 1).await, 1);
    let mut device = Client::log_in(door.address, 4, "0A3F73").await;
    device.subscribe("/ping", 0).await;
    device.publish("/messenger", 1, 1, b"frame").await;
    assert_eq!(device.next().await.puback(), 1);
    assert_eq!(parser.next().await.message().0, "/messenger");
    for topic in ["/ping", "/ping/0A3F73"] {
        parser.publish(topic, 1, 2, b"reply").await;
        assert_eq!(parser.next().await.puback(), 2);
        let (heard_on, payload, ..) = device.next().await.message();
        assert_eq!((heard_on.as_str(), payload.as_slice()), ("/ping", &b"reply"[..]));
    }
    assert_eq!(door.intake.count(), 0);
}
