//! Every bound of the door, and that control packets come through beside it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use nemeses_broker::DoorConfig;
use support::{Client, Options, PING, TestDoor, config, connect_packet, eventually};

#[tokio::test]
async fn beyond_its_window_a_connection_is_not_read_and_not_blamed_for_silence() {
    let door = TestDoor::with(DoorConfig { window_per_connection: 4, ..config() }).await;
    let hasty = Options { keep_alive_s: 1, ..Client::options(4, "hasty") };
    let mut client = Client::connect_with(door.address, &hasty).await;
    for id in 1..=4 {
        client.publish("/messenger", 1, id, b"frame").await;
        eventually("taken", || door.intake.count() == usize::from(id)).await;
    }
    client.publish("/messenger", 1, 5, b"frame").await;
    client.send(&[0xC0, 0]).await;
    // As long as it takes another to be closed for its silence.
    let clock = Options { client_id: "clock", ..hasty };
    let mut clock = Client::connect_with(door.address, &clock).await;
    assert_eq!(clock.next_or_end().await, None);
    assert_eq!(door.intake.count(), 4);
    door.intake.commit_at_once(true);
    for id in 1..=4 {
        assert_eq!(client.next().await.puback(), id);
    }
    let (fifth, pong) = (client.next().await, client.next().await);
    // PINGRESP has no place in the order of acknowledgements.
    let puback = if fifth.first == 0xD0 { pong } else { fifth };
    assert_eq!(puback.puback(), 5);
}

#[tokio::test]
async fn what_was_read_is_answered_also_beyond_the_window() {
    let door = TestDoor::with(DoorConfig { window_per_connection: 2, ..config() }).await;
    let mut client = Client::connect(door.address, 4, "tracker").await;
    client.subscribe("/ping", 0).await;
    let mut burst = Vec::new();
    for id in 1..=10 {
        burst.extend(client.publish_packet("/messenger", 1, id, b"frame"));
    }
    burst.extend(client.publish_packet("/messenger", 1, 11, PING));
    burst.extend([0xC0, 0]);
    client.send(&burst).await;
    let answers = [client.next().await.first, client.next().await.first];
    assert!(answers.contains(&0xD0), "PINGRESP: {answers:?}");
    assert!(answers.contains(&0x30), "the reply: {answers:?}");
    assert_eq!(door.intake.count(), 11);
}

#[tokio::test]
async fn more_than_the_receive_maximum_is_an_error_in_mqtt_5() {
    let door = TestDoor::with(DoorConfig { window_per_connection: 3, ..config() }).await;
    for qos in [1, 2] {
        let mut client = Client::open(door.address).await;
        let answer = client.greet(&Client::options(5, "greedy")).await;
        assert!(answer.body.windows(3).any(|window| window == [33, 0, 3]), "{answer:?}");
        let mut burst = Vec::new();
        for id in 1..=4 {
            burst.extend(client.publish_packet("/messenger", qos, id, b"frame"));
        }
        client.send(&burst).await;
        client.is_closed_with(0x93).await;
    }
}

#[tokio::test]
async fn while_the_room_of_all_is_taken_trackers_still_get_their_replies() {
    let door = TestDoor::with(DoorConfig { held_bytes_total: 64 * 1024, ..config() }).await;
    let mut tracker = Client::connect(door.address, 4, "tracker").await;
    tracker.subscribe("/ping", 0).await;
    let mut bulk = Client::connect(door.address, 4, "bulk").await;
    for id in 1..=2 {
        bulk.publish("/messenger", 1, id, &vec![0; 60 * 1024]).await;
    }
    eventually("full", || door.handle.stats().held_bytes > 64 * 1024).await;
    // A tracker that waits for PUBACK: its frame, and an hour of pings.
    tracker.publish("/messenger", 1, 1, b"frame").await;
    for id in 2..=30 {
        tracker.publish("/messenger", 1, id, PING).await;
        assert_eq!(tracker.next().await.message().0, "/ping");
        tracker.ping().await;
    }
    // Who has his share is not read: the bound holds.
    let mut flood = Client::connect(door.address, 4, "flood").await;
    let sender = tokio::spawn(async move {
        for id in 1..=2000 {
            flood.publish("/messenger", 1, id, &[0; 1000]).await;
        }
        flood
    });
    let before = door.handle.stats().held_bytes;
    for _ in 0..2000 {
        tracker.ping().await;
        let now = door.handle.stats().held_bytes;
        // Its allowance, one read beyond it, and what a read of frames weighs more.
        assert!(now - before <= 2 * (4096 + 2048), "{before} to {now}");
    }
    door.intake.commit_at_once(true);
    let mut flood = sender.await.unwrap();
    for id in 1..=2000 {
        assert_eq!(flood.next().await.puback(), id);
    }
    eventually("given back", || door.handle.stats().held_bytes == 0).await;
}

/// A bulk sender has taken the room of all.
async fn full(config: DoorConfig) -> (TestDoor, Client) {
    let door = TestDoor::with(DoorConfig { held_bytes_total: 64 * 1024, ..config }).await;
    let mut bulk = Client::connect(door.address, 4, "bulk").await;
    for id in 1..=66 {
        bulk.publish("/messenger", 1, id, &[0; 1000]).await;
    }
    eventually("full", || door.handle.stats().held_bytes > 64 * 1024).await;
    (door, bulk)
}

/// What a connection leaves behind waits on. So each would leave its allowance,
/// again and again for as long as the database is down.
#[tokio::test]
async fn while_the_room_of_all_is_taken_reconnecting_takes_no_more_of_it() {
    const CONNECTIONS: usize = 8;
    let (door, _bulk) = full(DoorConfig { max_connections: CONNECTIONS, ..config() }).await;
    let before = door.handle.stats().held_bytes;
    for _ in 0..20 {
        let mut client = Client::open(door.address).await;
        // In one write, so that the frames come together with CONNECT.
        let mut burst = connect_packet(&Client::options(4, "again"));
        for id in 1..=20 {
            burst.extend(client.publish_packet("/messenger", 1, id, &[0; 100]));
        }
        client.send(&burst).await;
        assert_eq!(client.next().await.first, 0x20);
        // The next takes over; who is not read is not seen to go.
        eventually("alone", || door.handle.stats().connections <= 2).await;
    }
    let more = door.handle.stats().held_bytes - before;
    // The allowance of all, and one burst of 20 messages of 100 + 96 bytes beyond.
    assert!(more > 0 && more <= CONNECTIONS * 4096 + 20 * 196, "{more} bytes more");
}

#[tokio::test]
async fn who_waited_with_nothing_to_say_may_not_say_much_when_the_room_is_taken() {
    let door = TestDoor::with(DoorConfig { held_bytes_total: 64 * 1024, ..config() }).await;
    let mut quiet = Client::connect(door.address, 4, "quiet").await;
    quiet.ping().await;
    let mut bulk = Client::connect(door.address, 4, "bulk").await;
    for id in 1..=2 {
        bulk.publish("/messenger", 1, id, &vec![0; 60 * 1024]).await;
    }
    eventually("full", || door.handle.stats().held_bytes > 64 * 1024).await;
    let before = door.handle.stats().held_bytes;
    let mut burst = Vec::new();
    for id in 1..=50 {
        burst.extend(quiet.publish_packet("/messenger", 1, id, &[0; 1000]));
    }
    quiet.send(&burst).await;
    eventually("taken", || door.handle.stats().held_bytes - before > 4096).await;
    let more = door.handle.stats().held_bytes - before;
    assert!(more <= 2 * (4096 + 2048), "{more} bytes more");
    door.intake.commit_at_once(true);
    for id in 1..=50 {
        assert_eq!(quiet.next().await.puback(), id);
    }
}

#[tokio::test]
async fn a_packet_over_the_limit_ends_its_connection() {
    let config = DoorConfig { max_device_packet_bytes: 2048, max_packet_bytes: 8192, ..config() };
    let door = TestDoor::with(config).await;
    door.intake.commit_at_once(true);
    let mut device = Client::open(door.address).await;
    let login = Some(("0A3F73", "secret"));
    let answer = device.greet(&Options { login, ..Client::options(5, "device") }).await;
    assert!(answer.body.windows(5).any(|window| window == [39, 0, 0, 8, 0]), "{answer:?}");
    device.publish("/messenger", 1, 1, &[0; 2000]).await;
    assert_eq!(device.next().await.puback(), 1);
    // The header alone says it.
    device.send(&[0x30, 0xFF, 0x7F]).await;
    device.is_closed_with(0x95).await;
    let mut other = Client::connect(door.address, 4, "other").await;
    other.publish("/messenger", 1, 1, &[0; 8000]).await;
    assert_eq!(other.next().await.puback(), 1);
    other.send(&[0x30, 0xFF, 0xFF, 0x7F]).await;
    other.is_closed_with(0x95).await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let door = TestDoor::with(DoorConfig { max_connections: 2, ..config() }).await;
    let first = Client::connect(door.address, 4, "first").await;
    let _second = Client::connect(door.address, 4, "second").await;
    for (level, code) in [(4, 3), (5, 0x97)] {
        let mut third = Client::open(door.address).await;
        assert_eq!(third.greet(&Client::options(level, "third")).await.body[1], code);
        assert_eq!(third.next_or_end().await, None);
    }
    drop(first);
    eventually("room", || door.handle.stats().connections == 1).await;
    Client::connect(door.address, 4, "third").await.ping().await;
}

/// As many as come at once, not some of them.
#[tokio::test]
async fn however_many_are_too_many_each_is_told_so() {
    const MANY: usize = 200;
    let door = TestDoor::with(DoorConfig { max_connections: 1, ..config() }).await;
    let mut only = Client::connect(door.address, 4, "only").await;
    let mut clients = Vec::new();
    for _ in 0..MANY {
        clients.push(Client::open(door.address).await);
    }
    for client in &mut clients {
        client.send(&connect_packet(&Client::options(4, "another"))).await;
    }
    for client in &mut clients {
        assert_eq!(client.next().await.body, [0, 3]);
    }
    only.ping().await;
    let refused = door.metric("nemeses_door_refused_total{reason=\"connection_limit\"}");
    assert_eq!(refused, u64::try_from(MANY).unwrap());
}

#[tokio::test]
async fn a_client_that_comes_back_is_never_one_too_many() {
    let door = TestDoor::with(DoorConfig { max_connections: 1, ..config() }).await;
    let mut half_open = Client::connect(door.address, 4, "tracker").await;
    let mut back = Client::connect(door.address, 4, "tracker").await;
    half_open.is_closed_with(0x8E).await;
    back.ping().await;
}

#[tokio::test]
async fn silent_sockets_keep_nobody_out() {
    const LIMIT: usize = 50;
    let bounds = DoorConfig { max_connections: LIMIT, max_handshakes: LIMIT, ..config() };
    let door = TestDoor::with(bounds).await;
    let mut silent = Vec::new();
    for _ in 0..6 * LIMIT {
        silent.push(Client::open(door.address).await);
    }
    let mut half = Client::open(door.address).await;
    half.send(b"\x10\x20\x00\x04MQTT").await;
    // From the same address; every place but one is somebody's who says nothing.
    let mut trackers = Vec::new();
    for number in 0..LIMIT {
        trackers.push(Client::connect(door.address, 4, &format!("tracker-{number}")).await);
    }
    for tracker in &mut trackers {
        tracker.ping().await;
    }
    assert!(door.metric("nemeses_door_handshakes") <= u64::try_from(LIMIT).unwrap());
    // The oldest went first.
    let mut oldest = silent.swap_remove(0);
    assert_eq!(oldest.next_or_end().await, None);
    assert!(door.metric("nemeses_door_refused_total{reason=\"crowded_out\"}") > 0);
}

#[tokio::test]
async fn subscriptions_and_listeners_have_their_bound() {
    let config = DoorConfig { max_subscriptions: 2, max_listeners: 1, ..config() };
    let door = TestDoor::with(config).await;
    let mut client = Client::connect(door.address, 5, "client").await;
    assert_eq!(client.subscribe("a", 0).await, 0);
    assert_eq!(client.subscribe("b", 0).await, 0);
    assert_eq!(client.subscribe("c", 0).await, 0x97);
    assert_eq!(client.subscribe("a", 1).await, 1, "an old one may change");
    let mut other = Client::connect(door.address, 5, "other").await;
    assert_eq!(other.subscribe("a", 0).await, 0x97);
    assert_eq!(other.subscribe("/ping", 0).await, 0, "needs no link");
    client.unsubscribe("a").await;
    client.unsubscribe("b").await;
    assert_eq!(other.subscribe("a", 0).await, 0);
}

#[tokio::test]
async fn acknowledgements_behind_a_commit_count_towards_the_window() {
    let door = TestDoor::with(DoorConfig { window_per_connection: 5, ..config() }).await;
    let mut client = Client::connect(door.address, 4, "client").await;
    let mut listener = Client::connect(door.address, 4, "listener").await;
    listener.subscribe("elsewhere", 0).await;
    client.publish("/messenger", 1, 1, b"frame").await;
    eventually("taken", || door.intake.held() == 1).await;
    for id in 2..=50 {
        client.publish("elsewhere", 1, id, b"x").await;
        if id <= 5 {
            listener.next().await;
        }
    }
    // One read may go beyond the window; the connection is not read after it.
    door.intake.commit_all();
    for id in 1..=50 {
        assert_eq!(client.next().await.puback(), id);
    }
}

#[tokio::test]
async fn who_asks_for_more_than_it_takes_is_not_decoded_further() {
    let door = TestDoor::start().await;
    let mut publisher = Client::connect(door.address, 4, "publisher").await;
    for id in 1..=20 {
        publisher.publish_retained(&format!("big/{id}"), 1, id, &vec![0; 100_000]).await;
        publisher.next().await.puback();
    }
    let mut client = Client::connect(door.address, 4, "client").await;
    // Two megabytes asked for two thousand times in one packet each.
    let mut burst = Vec::new();
    for _ in 0..2000 {
        burst.extend(support::frame(0x82, &[0, 9, 0, 1, b'#', 0]));
    }
    client.send(&burst).await;
    for _ in 0..100 {
        client.next().await;
    }
    let megabytes = resident_bytes() / 1_000_000;
    assert!(megabytes < 200, "{megabytes} MB");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_closed() {
    let config = DoorConfig { write_deadline: Duration::from_millis(300), ..config() };
    let door = TestDoor::with(config).await;
    let mut stuck = Client::connect(door.address, 4, "stuck").await;
    stuck.subscribe("flood", 0).await;
    let payload = vec![0_u8; 100_000];
    eventually("closed", || {
        // More than the buffers of both sockets hold.
        for _ in 0..20 {
            let _ = door.handle.publish("flood", payload.clone());
        }
        door.handle.stats().connections == 0
    })
    .await;
    door.serves().await;
}

#[tokio::test]
async fn an_idle_connection_costs_little_memory() {
    const CONNECTIONS: usize = 400;
    let door = TestDoor::start().await;
    let mut clients = Vec::with_capacity(2 * CONNECTIONS);
    let open = async |clients: &mut Vec<Client>| {
        for number in 0..CONNECTIONS {
            let id = format!("idle-{}-{number}", clients.len());
            let mut client = Client::connect(door.address, 4, &id).await;
            client.subscribe("/ping", 0).await;
            client.publish("/messenger", 0, 0, &[0; 8192]).await;
            client.ping().await;
            door.intake.commit_all();
            door.intake.forget();
            clients.push(client);
        }
    };
    // The first of them fill the allocator's own stores.
    open(&mut clients).await;
    let before = resident_bytes();
    open(&mut clients).await;
    let each = resident_bytes().saturating_sub(before) / CONNECTIONS;
    // Both ends are in this process.
    assert!(each < 8192, "{each} bytes a connection");
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = status.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}
