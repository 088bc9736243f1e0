//! Both ends with a proxy between them and Mosquitto that breaks.

#![allow(clippy::disallowed_methods, reason = "tests await what they spawn")]

mod support;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nemeses_mqtt::{
    Delivered, PublishError, Publisher, PublisherConfig, Subscriber, SubscriberConfig,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use support::mosquitto::Mosquitto;
use support::proxy::{Mood, Proxy};
use support::{until, within};
use tokio::task::JoinSet;

const QUICK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));

async fn publisher(url: &str) -> Publisher {
    let mut config = PublisherConfig::new(url.parse().expect("a URL"), "out");
    config.endpoint.retry = QUICK;
    within("connected", Publisher::connect(config)).await.expect("welcome")
}

async fn subscriber(url: &str) -> Subscriber {
    let mut config =
        SubscriberConfig::new(url.parse().expect("a URL"), "worker-0", ["$share/workers/t/#"]);
    config.endpoint.retry = QUICK;
    config.receive_maximum = 200;
    within("subscribed", Subscriber::connect(config)).await.expect("welcome")
}

/// Publishes until it is acknowledged, as a worker does.
async fn publish_surely(publisher: &Publisher, number: u32) {
    loop {
        match publisher.publish("t/x", number.to_string()).await {
            Ok(Delivered) => return,
            Err(PublishError::ConnectionLost) => {}
            Err(error) => panic!("{number}: {error}"),
        }
    }
}

#[tokio::test]
async fn fifty_cuts_lose_nothing_and_acknowledge_nothing_early() {
    const CUTS: u64 = 50;
    let broker = Mosquitto::start().await;
    let (in_proxy, out_proxy) =
        (Proxy::to(broker.port()).await, Arc::new(Proxy::to(broker.port()).await));
    let mut subscriber = subscriber(&in_proxy.url()).await;
    let publisher = publisher(&out_proxy.url()).await;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let cuts = Arc::new(AtomicU64::new(0));

    // 20 publishers write numbers until all cuts were made.
    let mut publishers = JoinSet::new();
    let next = Arc::new(AtomicU64::new(0));
    for _ in 0..20 {
        let (publisher, next) = (publisher.clone(), Arc::clone(&next));
        let (acknowledged, cuts) = (Arc::clone(&acknowledged), Arc::clone(&cuts));
        publishers.spawn(async move {
            while cuts.load(Ordering::Relaxed) < CUTS {
                let number = next.fetch_add(1, Ordering::Relaxed);
                publish_surely(&publisher, u32::try_from(number).expect("few")).await;
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    // Cuts both ends in turn, each after some progress.
    let (progress, made) = (Arc::clone(&acknowledged), Arc::clone(&cuts));
    let cutter = tokio::spawn(async move {
        let mut rng = SmallRng::seed_from_u64(3);
        let mut connections = [0, 0];
        for cut in 0..CUTS {
            let target = progress.load(Ordering::Relaxed) + rng.random_range(20..120);
            let which = usize::from(cut % 2 == 1);
            let proxy = [&in_proxy, out_proxy.as_ref()][which];
            until("progress and a connection to cut", || {
                progress.load(Ordering::Relaxed) >= target
                    && proxy.connections() > connections[which]
            })
            .await;
            connections[which] = proxy.connections();
            proxy.cut();
            made.fetch_add(1, Ordering::Relaxed);
        }
        (in_proxy, out_proxy)
    });

    // Works on messages in random order. The first time, some are given up: they must come again.
    let mut rng = SmallRng::seed_from_u64(4);
    let mut times: HashMap<u32, u32> = HashMap::new();
    let mut given_up = BTreeSet::new();
    let mut held = Vec::new();
    let mut done = BTreeSet::new();
    let mut publishing = true;
    let mut proxies = None;
    let mut cutter = Some(cutter);
    while publishing || !given_up.is_empty() || done.len() < acknowledged_count(&acknowledged) {
        if publishing && cutter.as_ref().is_some_and(tokio::task::JoinHandle::is_finished) {
            let finished = cutter.take().expect("taken once").await.expect("no panic");
            within("publishers end", async { while publishers.join_next().await.is_some() {} })
                .await;
            publishing = false;
            // What was given up comes again on the next connection.
            finished.0.cut();
            proxies = Some(finished);
        }
        match tokio::time::timeout(Duration::from_millis(5), subscriber.receive()).await {
            Ok(message) => held.push(message.expect("not ended")),
            Err(_) if held.is_empty() => continue,
            Err(_) => {}
        }
        while held.len() > 50 || (rng.random_bool(0.5) && !held.is_empty()) {
            let message = held.swap_remove(rng.random_range(0..held.len()));
            let number: u32 = std::str::from_utf8(&message.payload).unwrap().parse().unwrap();
            let seen = times.entry(number).or_default();
            *seen += 1;
            if *seen == 1 && publishing && number.is_multiple_of(197) {
                given_up.insert(number);
            } else {
                given_up.remove(&number);
                done.insert(number);
                message.ack.done();
            }
        }
    }
    held.drain(..).for_each(|message| message.ack.done());
    assert_eq!(done.len(), acknowledged_count(&acknowledged), "lost");
    assert!(done.iter().copied().eq(0..u32::try_from(done.len()).unwrap()));
    assert!(times.keys().any(|number| number % 197 == 0 && times[number] > 1), "came again");
    let (in_proxy, out_proxy) = proxies.expect("the cutter ended");
    assert!(in_proxy.connections() > CUTS / 2, "{}", in_proxy.connections());
    assert!(out_proxy.connections() > CUTS / 2, "{}", out_proxy.connections());
    println!("{} messages, {} deliveries", done.len(), times.values().sum::<u32>());
}

fn acknowledged_count(acknowledged: &AtomicU64) -> usize {
    usize::try_from(acknowledged.load(Ordering::Relaxed)).expect("few")
}

#[tokio::test]
async fn handles_of_a_dead_connection_do_nothing() {
    let broker = Mosquitto::start().await;
    let proxy = Proxy::to(broker.port()).await;
    let mut subscriber = subscriber(&proxy.url()).await;
    let publisher = publisher(&broker.url()).await;
    for number in 0..3 {
        publish_surely(&publisher, number).await;
    }
    let mut old = Vec::new();
    for _ in 0..3 {
        old.push(within("a message", subscriber.receive()).await.expect("not ended"));
    }
    proxy.cut();
    let again = within("a message", subscriber.receive()).await.expect("not ended");
    assert_eq!((again.payload.as_ref(), again.redelivered), (b"0".as_slice(), true));
    // All three handles are of the dead connection: they must not acknowledge
    // what the new one has delivered and nobody has worked on.
    for message in old {
        message.ack.done();
    }
    again.ack.done();
    proxy.cut();
    let next = within("a message", subscriber.receive()).await.expect("not ended");
    assert!(next.redelivered);
}

#[tokio::test]
async fn a_publish_under_way_at_a_loss_is_doubtful_and_the_next_waits_for_a_connection() {
    let broker = Mosquitto::start().await;
    let proxy = Proxy::to(broker.port()).await;
    let _subscriber = subscriber(&broker.url()).await;
    let publisher = publisher(&proxy.url()).await;
    proxy.set(Mood::DeafClient);
    let under_way = tokio::spawn({
        let publisher = publisher.clone();
        async move { publisher.publish("t/x", "0").await }
    });
    let mut other = Subscriber::connect(SubscriberConfig::new(
        broker.url().parse().expect("a URL"),
        "witness",
        ["t/#"],
    ))
    .await
    .expect("welcome");
    // The broker has it (or will, when the witness came late), its PUBACK is swallowed.
    assert!(!under_way.is_finished());
    proxy.set(Mood::Passing);
    proxy.cut();
    let answer = within("an answer", under_way).await.expect("no panic");
    assert_eq!(answer, Err(PublishError::ConnectionLost));
    within("delivered", publish_surely(&publisher, 1)).await;
    let mut last = within("a message", other.receive()).await.expect("not ended");
    while last.payload.as_ref() != b"1" {
        last.ack.done();
        last = within("a message", other.receive()).await.expect("not ended");
    }
}

#[tokio::test]
async fn a_frozen_link_is_noticed_by_both_ends_and_left() {
    let broker = Mosquitto::start().await;
    let proxy = Proxy::to(broker.port()).await;
    let mut subscriber = subscriber(&proxy.url()).await;
    let publisher = publisher(&proxy.url()).await;
    proxy.set(Mood::Frozen);
    // Twice the keep-alive of 5 s.
    until("both noticed", || !subscriber.is_connected() && !publisher.is_connected()).await;
    proxy.set(Mood::Passing);
    within("delivered", publish_surely(&publisher, 7)).await;
    let message = within("a message", subscriber.receive()).await.expect("not ended");
    assert_eq!(message.payload.as_ref(), b"7");
}

#[tokio::test]
async fn a_slow_link_delivers_all_in_order() {
    let broker = Mosquitto::start().await;
    let proxy = Proxy::to(broker.port()).await;
    proxy.set(Mood::Slow(Duration::from_millis(5)));
    let mut subscriber = subscriber(&proxy.url()).await;
    let publisher = publisher(&broker.url()).await;
    for number in 0..500 {
        publish_surely(&publisher, number).await;
    }
    for number in 0..500_u32 {
        let message = within("a message", subscriber.receive()).await.expect("not ended");
        assert_eq!(message.payload, number.to_string());
        message.ack.done();
    }
}
