//! Both ends against a real Mosquitto, links whole.

#![allow(clippy::disallowed_methods, reason = "tests await what they spawn")]

mod support;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use futures_util::StreamExt as _;
use nemeses_mqtt::{
    ConnectError, Delivered, Message, PublishError, Publisher, PublisherConfig, Subscriber,
    SubscriberConfig,
};
use support::mosquitto::Mosquitto;
use support::{until, within};

fn subscriber(url: &str) -> SubscriberConfig {
    SubscriberConfig::new(url.parse().expect("a URL"), "worker-0", ["$share/workers/t/#"])
}

async fn publisher(url: &str) -> Publisher {
    let config = PublisherConfig::new(url.parse().expect("a URL"), "worker-0-out");
    within("connected", Publisher::connect(config)).await.expect("welcome")
}

async fn subscribe(url: &str) -> Subscriber {
    within("subscribed", Subscriber::connect(subscriber(url))).await.expect("welcome")
}

async fn receive(subscriber: &mut Subscriber) -> Message {
    within("a message", subscriber.receive()).await.expect("not ended")
}

fn number(message: &Message) -> u32 {
    std::str::from_utf8(&message.payload).expect("digits").parse().expect("a number")
}

/// Publishes many at once, in order; tokio's budget would make some yield to others.
async fn publish_all(publisher: &Publisher, numbers: std::ops::Range<u32>) {
    let mut answers = futures_util::stream::iter(
        numbers.map(|number| publisher.publish("t/x", number.to_string())),
    )
    .buffered(100);
    let all = async {
        while let Some(answer) = answers.next().await {
            assert_eq!(answer, Ok(Delivered));
        }
    };
    within("all acknowledged", tokio::task::unconstrained(all)).await;
}

#[tokio::test]
async fn a_publish_says_whether_anyone_is_subscribed() {
    let broker = Mosquitto::start().await;
    let publisher = publisher(&broker.url()).await;
    assert_eq!(publisher.publish("t/x", "0").await, Err(PublishError::NoSubscriber));
    let away = subscribe(&broker.url()).await;
    away.close().await;
    assert_eq!(publisher.publish("t/x", "1").await, Ok(Delivered), "the session collects");
    let mut back = subscribe(&broker.url()).await;
    let message = receive(&mut back).await;
    assert_eq!((message.topic.as_str(), number(&message)), ("t/x", 1));
    message.ack.done();
}

#[tokio::test]
async fn acknowledged_in_any_order_nothing_comes_again_and_the_rest_does() {
    let broker = Mosquitto::start().await;
    let mut first = subscribe(&broker.url()).await;
    let publisher = publisher(&broker.url()).await;
    publish_all(&publisher, 0..500).await;
    let mut messages = Vec::new();
    for _ in 0..500 {
        messages.push(receive(&mut first).await);
    }
    assert!(messages.iter().map(number).eq(0..500), "in order");
    // Everything but number 300, odd ones first: only 0 to 299 may be acknowledged.
    let (odd, even): (Vec<_>, Vec<_>) =
        messages.into_iter().partition(|message| number(message) % 2 == 1);
    let mut kept = None;
    for message in odd.into_iter().chain(even) {
        if number(&message) == 300 { kept = Some(message) } else { message.ack.done() }
    }
    first.close().await;
    let mut second = subscribe(&broker.url()).await;
    kept.expect("number 300").ack.done();
    for expected in 300..500 {
        let message = receive(&mut second).await;
        assert_eq!(number(&message), expected);
        assert!(message.redelivered);
        message.ack.done();
    }
    second.close().await;
    publish_all(&publisher, 500..501).await;
    let mut third = subscribe(&broker.url()).await;
    assert_eq!(number(&receive(&mut third).await), 500, "all before it were acknowledged");
}

#[tokio::test]
async fn withheld_acknowledgements_hold_the_broker_back() {
    let broker = Mosquitto::start().await;
    let mut config = subscriber(&broker.url());
    config.receive_maximum = 10;
    let mut subscriber = Subscriber::connect(config).await.expect("welcome");
    let publisher = publisher(&broker.url()).await;
    publish_all(&publisher, 0..100).await;
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(receive(&mut subscriber).await);
    }
    assert_eq!(subscriber.stats().messages.get(), 10);
    for message in held {
        message.ack.done();
    }
    for expected in 10..100 {
        let message = receive(&mut subscriber).await;
        assert_eq!(number(&message), expected);
        message.ack.done();
    }
}

/// Mosquitto 2.0.11 releases a whole window for each PUBACK while it has a backlog.
#[tokio::test]
async fn the_bound_holds_for_a_backlog_whatever_the_broker_sends() {
    let broker = Mosquitto::start().await;
    let mut config = subscriber(&broker.url());
    config.receive_maximum = 10;
    Subscriber::connect(config.clone()).await.expect("welcome").close().await;
    let publisher = publisher(&broker.url()).await;
    publish_all(&publisher, 0..3000).await;
    let mut expected = 0..3000;
    for _ in 0..3 {
        let connecting = within("subscribed", Subscriber::connect(config.clone())).await;
        let mut subscriber = connecting.expect("welcome");
        let mut held = VecDeque::new();
        for done in 0..1000 {
            while held.len() < expected.len().min(10) {
                held.push_back(receive(&mut subscriber).await);
            }
            assert!(subscriber.stats().messages.get() <= done + 10, "after {done}");
            let message = held.pop_front().expect("one is there");
            assert_eq!(expected.next(), Some(number(&message)));
            message.ack.done();
        }
        subscriber.close().await;
    }
}

#[tokio::test]
async fn qos_0_beyond_the_bound_is_dropped_and_counted_and_qos_1_goes_on() {
    let broker = Mosquitto::start().await;
    let mut config = subscriber(&broker.url());
    config.receive_maximum = 10;
    let mut subscriber = Subscriber::connect(config).await.expect("welcome");
    let publisher = publisher(&broker.url()).await;
    for number in 0..50 {
        publisher.publish_qos0("t/x", number.to_string()).await.expect("written");
    }
    publish_all(&publisher, 50..55).await;
    until("all arrived", || subscriber.stats().messages.get() == 55).await;
    let mut seen = BTreeSet::new();
    for _ in 0..15 {
        let message = receive(&mut subscriber).await;
        seen.insert(number(&message));
        message.ack.done();
    }
    assert_eq!(seen, (0..10).chain(50..55).collect());
    assert_eq!(subscriber.stats().dropped.get(), 40);
}

#[tokio::test]
async fn a_group_shares_and_leaving_hands_back_what_the_session_holds() {
    let broker = Mosquitto::start().await;
    let publisher = publisher(&broker.url()).await;
    let mut other_config = subscriber(&broker.url());
    other_config.endpoint.client_id = "worker-1".into();
    let first = subscribe(&broker.url()).await;
    let other = Subscriber::connect(other_config.clone()).await.expect("welcome");
    first.close().await;
    other.close().await;
    publish_all(&publisher, 0..4000).await;
    // Both sessions hold a share, more than one window each. One leaves.
    let mut seen = BTreeSet::new();
    let mut leaving = Subscriber::leave(subscriber(&broker.url())).await.expect("welcome");
    let mut held = Vec::new();
    while let Some(message) = within("the end", leaving.receive()).await {
        assert!(seen.insert(number(&message)), "once");
        held.push(message);
        // Acknowledged late and in reverse, so that draining has to wait for it.
        if held.len() == 100 || seen.len() > 1900 {
            held.drain(..).rev().for_each(|message| message.ack.done());
        }
    }
    leaving.close().await;
    assert!(seen.len() > 1000, "its share: {}", seen.len());
    // What comes now goes to the other alone.
    publish_all(&publisher, 4000..4010).await;
    let mut other = Subscriber::connect(other_config).await.expect("welcome");
    while seen.len() < 4010 {
        let message = receive(&mut other).await;
        assert!(seen.insert(number(&message)), "once");
        message.ack.done();
    }
    assert_eq!(seen, (0..4010).collect());
    let mut none_left = Subscriber::leave(subscriber(&broker.url())).await.expect("welcome");
    assert!(none_left.receive().await.is_none(), "its session is gone");
    none_left.close().await;
}

#[tokio::test]
async fn after_the_last_has_left_nobody_is_subscribed() {
    let broker = Mosquitto::start().await;
    let publisher = publisher(&broker.url()).await;
    subscribe(&broker.url()).await.close().await;
    let mut leaving = Subscriber::leave(subscriber(&broker.url())).await.expect("welcome");
    assert!(within("the end", leaving.receive()).await.is_none());
    leaving.close().await;
    assert_eq!(publisher.publish("t/x", "0").await, Err(PublishError::NoSubscriber));
}

#[tokio::test]
async fn what_is_too_large_is_refused_here_and_the_connection_stays() {
    let broker = Mosquitto::start_with("max_packet_size 20000").await;
    let publisher = publisher(&broker.url()).await;
    let _subscriber = subscribe(&broker.url()).await;
    let size = 20_000;
    let answer = publisher.publish("t/x", vec![0; size]).await;
    assert!(matches!(answer, Err(PublishError::TooLarge { max: 20_000, .. })), "{answer:?}");
    assert_eq!(publisher.publish("t/x", vec![0; size - 100]).await, Ok(Delivered));
    assert_eq!(publisher.stats().connects.get(), 1);
    let wrong = publisher.publish("t/+", "").await;
    assert_eq!(wrong, Err(PublishError::BadTopic("t/+".into())));
}

#[tokio::test]
async fn the_largest_batch_passes_both_ways() {
    let broker = Mosquitto::start().await;
    let mut subscriber = subscribe(&broker.url()).await;
    let publisher = publisher(&broker.url()).await;
    let payload = vec![7_u8; 256 * 1024];
    assert_eq!(publisher.publish("t/x", payload.clone()).await, Ok(Delivered));
    let message = receive(&mut subscriber).await;
    assert_eq!(message.payload, payload);
    message.ack.done();
}

#[tokio::test]
async fn a_refused_login_is_an_error_at_the_first_connection() {
    let broker = Mosquitto::start_with("allow_anonymous false").await;
    let refused = within("an answer", Subscriber::connect(subscriber(&broker.url()))).await;
    assert!(matches!(refused, Err(ConnectError::Refused { .. })), "{refused:?}");
    let mut config = subscriber(&broker.url());
    config.filters = vec!["a#".into()];
    let refused = Subscriber::connect(config).await;
    assert!(matches!(refused, Err(ConnectError::BadFilter(_))), "{refused:?}");
}

#[tokio::test]
async fn a_stopped_broker_is_waited_for_and_what_it_saved_comes() {
    let mut broker = Mosquitto::start().await;
    subscribe(&broker.url()).await.close().await;
    let publisher = publisher(&broker.url()).await;
    publish_all(&publisher, 0..1000).await;
    broker.stop();
    let url = broker.url();
    let waiting = tokio::spawn(async move { subscribe(&url).await });
    until("noticed", || !publisher.is_connected()).await;
    broker.run().await;
    let mut subscriber = waiting.await.expect("no panic");
    publish_all(&publisher, 1000..1100).await;
    // Mosquitto lets new messages pass those that wait for room in the window.
    let mut seen = BTreeSet::new();
    while seen.len() < 1100 {
        let message = receive(&mut subscriber).await;
        assert!(seen.insert(number(&message)), "once");
        message.ack.done();
    }
    assert_eq!(seen, (0..1100).collect());
}

/// Mosquitto 2.0.11 restores a session without its shared subscriptions.
#[tokio::test]
async fn a_restarted_broker_is_subscribed_to_again_though_it_kept_the_session() {
    let mut broker = Mosquitto::start().await;
    let mut subscriber = subscribe(&broker.url()).await;
    let publisher = publisher(&broker.url()).await;
    publish_all(&publisher, 0..1).await;
    broker.stop();
    until("noticed", || !subscriber.is_connected()).await;
    broker.run().await;
    until("connected again", || subscriber.is_connected()).await;
    publish_all(&publisher, 1..2).await;
    for expected in 0..2 {
        let message = receive(&mut subscriber).await;
        assert_eq!(number(&message), expected);
        message.ack.done();
    }
}

#[tokio::test]
async fn two_clients_of_one_id_do_not_lose_messages_between_them() {
    let broker = Mosquitto::start().await;
    let publisher = publisher(&broker.url()).await;
    let (mut first, mut second) = (subscribe(&broker.url()).await, subscribe(&broker.url()).await);
    publish_all(&publisher, 0..100).await;
    let mut seen = BTreeSet::new();
    while seen.len() < 100 {
        let message = within("a message", async {
            tokio::select! {
                message = first.receive() => message,
                message = second.receive() => message,
            }
        });
        let message = message.await.expect("not ended");
        seen.insert(number(&message));
        message.ack.done();
    }
}

#[tokio::test]
async fn a_broker_that_lost_its_memory_is_subscribed_to_again() {
    let mut broker = Mosquitto::start().await;
    let mut subscriber = subscribe(&broker.url()).await;
    let publisher = publisher(&broker.url()).await;
    broker.stop();
    broker.forget();
    until("noticed", || !subscriber.is_connected()).await;
    broker.run().await;
    until("connected again", || subscriber.is_connected()).await;
    publish_all(&publisher, 0..1).await;
    assert_eq!(number(&receive(&mut subscriber).await), 0);
    tokio::time::timeout(Duration::from_secs(10), subscriber.close()).await.expect("closes");
}
