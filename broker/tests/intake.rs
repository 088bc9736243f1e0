//! Frames to the intake and back: acknowledged after their commit, in order.

#![allow(clippy::disallowed_methods, reason = "tests await what they spawn")]

mod support;

use std::net::SocketAddr;

use nemeses_protocol::Speaker;
use support::{Client, DEVICE, PING, PING_REPLY, TestDoor, eventually};

#[tokio::test]
async fn a_frame_is_acknowledged_after_it_was_kept() {
    let door = TestDoor::start().await;
    for level in [4, 5] {
        let mut client = Client::connect(door.address, level, "tracker").await;
        client.publish("/messenger", 1, 7, b"frame").await;
        eventually("taken", || door.intake.held() == 1).await;
        // The answer to PINGREQ would come after the PUBACK if there were one.
        client.ping().await;
        door.intake.commit_all();
        assert_eq!(client.next().await.puback(), 7);
        client.disconnect().await;
    }
    assert_eq!(door.intake.payloads(), [b"frame", b"frame"]);
    assert_eq!(door.intake.speakers(), [Speaker::Any, Speaker::Any]);
    door.stopped().await.unwrap();
}

#[tokio::test]
async fn acknowledgements_come_in_the_order_of_the_messages() {
    let door = TestDoor::start().await;
    let mut client = Client::connect(door.address, 5, "tracker").await;
    for id in 1..=6 {
        // One read each, with a routed message between two frames.
        let topic = if id % 2 == 0 { "elsewhere" } else { "/messenger/0A3F73" };
        client.publish(topic, 1, id, b"x").await;
        client.ping().await;
    }
    assert_eq!(door.intake.held(), 3);
    door.intake.commit_backwards();
    for id in 1..=6 {
        let answer = client.next().await;
        if id % 2 == 0 {
            // Nobody listens elsewhere.
            assert_eq!(answer.refusal(0x40), (id, 0x10));
        } else {
            assert_eq!(answer.puback(), id);
        }
    }
    assert_eq!(door.intake.topics(), ["/messenger/0A3F73"; 3]);
}

#[tokio::test]
async fn what_is_not_kept_is_not_acknowledged_and_the_connection_ends() {
    let door = TestDoor::start().await;
    for level in [4, 5] {
        let mut client = Client::connect(door.address, level, "tracker").await;
        client.publish("/messenger", 1, 7, b"frame").await;
        eventually("taken", || door.intake.held() == 1).await;
        door.intake.lose_all();
        client.is_closed_with(0x83).await;
    }
    door.serves().await;
}

#[tokio::test]
async fn frames_of_qos_0_are_taken_and_not_answered() {
    let door = TestDoor::start().await;
    let mut client = Client::connect(door.address, 4, "tracker").await;
    client.publish("/messenger", 0, 0, b"frame").await;
    client.ping().await;
    eventually("taken", || door.intake.held() == 1).await;
    door.intake.commit_all();
    client.ping().await;
    assert_eq!(door.intake.payloads(), [b"frame"]);
}

#[tokio::test]
async fn frames_of_qos_2_are_received_once() {
    let door = TestDoor::start().await;
    for level in [4, 5] {
        let mut client = Client::connect(door.address, level, "tracker").await;
        let before = door.intake.count();
        client.publish("/messenger", 2, 5, b"frame").await;
        let mut again = client.publish_packet("/messenger", 2, 5, b"frame");
        again[0] |= 0x08;
        client.send(&again).await;
        client.ping().await;
        door.intake.commit_all();
        assert_eq!(client.next().await.id_of(0x50), 5, "PUBREC after the commit");
        client.send(&again).await;
        assert_eq!(client.next().await.id_of(0x50), 5, "PUBREC again");
        client.acknowledge(0x62, 5).await;
        assert_eq!(client.next().await.id_of(0x70), 5, "PUBCOMP");
        assert_eq!(door.intake.count(), before + 1);
        client.acknowledge(0x62, 5).await;
        let answer = client.next().await;
        if level == 5 {
            assert_eq!(answer.refusal(0x70), (5, 0x92), "nothing of this id is left");
        } else {
            assert_eq!(answer.id_of(0x70), 5);
        }
        client.disconnect().await;
    }
}

#[tokio::test]
async fn a_ping_is_answered_at_once_while_nothing_is_kept() {
    let door = TestDoor::start().await;
    let mut client = Client::connect(door.address, 4, "tracker").await;
    assert_eq!(client.subscribe("/ping", 0).await, 0);
    for id in 1..=3 {
        client.publish("/messenger", 1, id, PING).await;
        let (topic, payload, qos, retain, _) = client.next().await.message();
        assert_eq!((topic.as_str(), payload.as_slice()), ("/ping", PING_REPLY));
        assert_eq!((qos, retain), (0, false));
    }
    assert_eq!(door.intake.held(), 3);
}

#[tokio::test]
async fn replies_go_to_who_pinged_else_to_who_listens_for_the_device() {
    let door = TestDoor::start().await;
    let mut bystander = Client::connect(door.address, 4, "bystander").await;
    bystander.subscribe("/ping", 0).await;
    let mut listener = Client::connect(door.address, 4, "listener").await;
    listener.subscribe("/ping/0A3F73", 0).await;
    let mut operator = Client::connect(door.address, 4, "operator").await;
    operator.subscribe("/ping/#", 0).await;
    let mut tracker = Client::connect(door.address, 4, "tracker").await;
    tracker.publish("/messenger", 1, 1, PING).await;
    assert_eq!(listener.next().await.message().0, "/ping/0A3F73");
    assert_eq!(operator.next().await.message().0, "/ping/0A3F73");
    tracker.subscribe("/ping", 0).await;
    tracker.publish("/messenger", 1, 2, PING).await;
    assert_eq!(tracker.next().await.message().0, "/ping");
    assert_eq!(operator.next().await.message().0, "/ping/0A3F73");
    // Nothing more came to the others.
    listener.ping().await;
    bystander.ping().await;
    assert!(door.handle.reply(DEVICE, PING_REPLY), "from another node");
    assert_eq!(listener.next().await.message().1, PING_REPLY);
}

#[tokio::test]
async fn who_watches_sees_the_frames() {
    let door = TestDoor::start().await;
    let mut watcher = Client::connect(door.address, 5, "watcher").await;
    watcher.subscribe("/messenger/#", 1).await;
    let mut tracker = Client::connect(door.address, 4, "tracker").await;
    tracker.publish("/messenger/0A3F73", 1, 1, b"frame").await;
    let (topic, payload, qos, _, id) = watcher.next().await.message();
    assert_eq!((topic.as_str(), payload.as_slice(), qos), ("/messenger/0A3F73", &b"frame"[..], 1));
    watcher.acknowledge(0x40, id).await;
    eventually("taken", || door.intake.held() == 1).await;
}

#[tokio::test]
async fn stopping_waits_for_commits_and_acknowledges_them() {
    let door = TestDoor::start().await;
    let mut client = Client::connect(door.address, 5, "tracker").await;
    client.publish("/messenger", 1, 7, b"frame").await;
    eventually("taken", || door.intake.held() == 1).await;
    door.stop.intake.cancel();
    let intake = std::sync::Arc::clone(&door.intake);
    let stopped = tokio::spawn(door.stopped());
    // Not read any more: this one is neither taken nor acknowledged.
    client.publish("/messenger", 1, 8, b"frame").await;
    intake.commit_all();
    assert_eq!(client.next().await.puback(), 7);
    client.is_closed_with(0x8B).await;
    stopped.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panic_in_the_intake_ends_one_connection() {
    let door = TestDoor::start().await;
    let mut client = Client::connect(door.address, 4, "tracker").await;
    client.publish("/messenger", 1, 7, b"panic").await;
    assert_eq!(client.next_or_end().await, None);
}

/// Many connections on several threads, commits in any order: every frame is
/// acknowledged, in the order of its connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_connections_are_acknowledged_each_in_its_order() {
    const CONNECTIONS: u16 = 40;
    const FRAMES: u16 = 1000;
    let config = nemeses_broker::DoorConfig {
        window_per_connection: 100,
        held_bytes_total: 128 * 1024,
        ..support::config()
    };
    let door = TestDoor::with(config).await;
    let intake = std::sync::Arc::clone(&door.intake);
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let over = std::sync::Arc::clone(&done);
    let committer = std::thread::spawn(move || {
        while !over.load(std::sync::atomic::Ordering::Relaxed) {
            intake.commit_backwards();
            std::thread::yield_now();
        }
    });
    let mut clients = Vec::new();
    for number in 0..CONNECTIONS {
        let address = door.address;
        clients.push(tokio::spawn(async move {
            let mut client = Client::connect(address, 4, &format!("client-{number}")).await;
            let mut burst = Vec::new();
            for id in 1..=FRAMES {
                burst.extend(client.publish_packet("/messenger", 1, id, &[0; 33]));
                // In pieces that are no packets.
                if burst.len() > 3000 {
                    client.send(&burst[..2999]).await;
                    burst.drain(..2999);
                }
            }
            client.send(&burst).await;
            for id in 1..=FRAMES {
                assert_eq!(client.next().await.puback(), id);
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    committer.join().unwrap();
    assert_eq!(door.intake.count(), usize::from(CONNECTIONS) * usize::from(FRAMES));
    assert_eq!(door.handle.stats().held_bytes, 0);
    door.stopped().await.unwrap();
}

/// Commits, reads and writes of many connections at the same time, in whatever order.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn each_frame_is_acknowledged_once_and_in_order_under_load() {
    let door = TestDoor::start().await;
    let intake = std::sync::Arc::clone(&door.intake);
    let committing = tokio::spawn(async move {
        loop {
            intake.commit_backwards();
            tokio::task::yield_now().await;
        }
    });
    let clients: Vec<_> =
        (1..=12).map(|number| tokio::spawn(send_and_wait(door.address, number))).collect();
    let mut frames = 0;
    for client in clients {
        frames += client.await.unwrap();
    }
    committing.abort();
    assert_eq!(door.intake.count(), frames);
    door.stopped().await.unwrap();
}

/// Sends one to three frames at a time, some with a PINGREQ between, and waits for all
/// answers; how many frames.
async fn send_and_wait(address: SocketAddr, number: u16) -> usize {
    let mut client = Client::connect(address, 4, &format!("tracker-{number}")).await;
    let (mut sent, mut acknowledged) = (0, 0);
    for round in 0..150 {
        let mut pings = 0;
        for _ in 0..=(round + number) % 3 {
            sent += 1;
            client.publish("/messenger", 1, sent, b"frame").await;
            if (sent + number).is_multiple_of(5) {
                // Answered by the task, perhaps between two acknowledgements.
                client.send(&[0xC0, 0]).await;
                pings += 1;
            }
        }
        while pings > 0 || acknowledged < sent {
            let answer = client.next().await;
            if answer.first == 0xD0 {
                pings -= 1;
            } else {
                acknowledged += 1;
                assert_eq!(answer.puback(), acknowledged);
            }
        }
    }
    client.disconnect().await;
    usize::from(sent)
}
