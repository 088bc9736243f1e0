//! The channel before servers that say what a real one says seldom or never.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nemeses_protocol::{Composition, DeviceId, Position};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
/// Statement 1, nothing described.
const PREPARED: &[u8] = &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// What MariaDB 10.11 says first, with some bits of its capabilities changed.
fn greeting(changed: &[(usize, u8)]) -> Vec<u8> {
    let mut payload = b"\x0a11.4.2-MariaDB\0\x29\0\0\0!QV=n3R%\0".to_vec();
    let at = payload.len();
    payload.extend(b"\xfe\xf7\x08\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0\\#7,v/'s02J^\0");
    payload.extend(b"mysql_native_password\0");
    for (offset, bit) in changed {
        payload[at + offset] ^= bit;
    }
    payload
}

fn failed(number: u16, sqlstate: &str) -> Vec<u8> {
    [&[0xff], &number.to_le_bytes()[..], b"#", sqlstate.as_bytes(), b"words"].concat()
}

/// Says to each connection these packets, one after each thing it hears, and then nothing.
async fn server(says: Vec<Vec<u8>>) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mysql://u:hunter2@{}/d", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let says = says.clone();
            tokio::spawn(async move {
                for (number, payload) in says.iter().enumerate() {
                    // The two answers to rows and script come together.
                    let hears_first = number > 0 && number != 5;
                    if hears_first && client.read(&mut [0; 4096]).await? == 0 {
                        return Ok(());
                    }
                    let mut out = Vec::new();
                    packets::packet(&mut out, 1, |out| out.extend(payload));
                    client.write_all(&out).await?;
                }
                while client.read(&mut [0; 4096]).await? > 0 {}
                Ok::<(), std::io::Error>(())
            });
        }
    });
    (url, connections)
}

/// A commit of 20 rows.
async fn commit(channel: &Channel) -> Result<bool, Fault> {
    let record = PositionRecord {
        position: Position {
            device: DeviceId::new(1),
            recorded_at: 2,
            direction_cdeg: 3,
            odometer_m: 4,
            hour_meter_min: 5,
            composition: Composition(6),
            extension: None,
            speed_kmh: 7,
            latitude_udeg: 8,
            longitude_udeg: 9,
        },
        frame_hash: 10,
        received_at_ms: 11,
        packed: None,
    };
    channel.commit(&[&record; 20], &[], "INSERT INTO books VALUES (1);").await
}

fn channel(url: &str) -> Channel {
    let options = Options { acquire_timeout: Duration::from_secs(20), ..Options::default() };
    Channel::of(url, "MySQL at h:1/d", &options).unwrap()
}

#[tokio::test]
async fn a_server_that_does_not_fit_is_asked_once() {
    let other_way = b"\xfeclient_ed25519\0nonce".to_vec();
    for says in [
        vec![greeting(&[(0, 1)])],
        vec![greeting(&[(14, 4)])],
        vec![greeting(&[]), other_way],
        // The rows are in, and the guard says that they are not.
        [
            greeting(&[]),
            OK.to_vec(),
            OK.to_vec(),
            PREPARED.to_vec(),
            OK.to_vec(),
            failed(1644, "45000"),
        ]
        .to_vec(),
    ] {
        let (url, connections) = server(says).await;
        let channel = channel(&url);
        for _ in 0..3 {
            assert_eq!(commit(&channel).await, Ok(false));
        }
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_plain_link_that_is_wanted_is_used_before_a_server_with_tls() {
    let says = [&greeting(&[(1, 1 << 3)]), OK, OK, PREPARED, OK, OK].map(<[u8]>::to_vec);
    let (url, connections) = server(says.to_vec()).await;
    let channel = channel(&format!("{url}?ssl-mode=disabled"));
    assert_eq!(commit(&channel).await, Ok(true));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_goes_wrong_is_sorted_and_tried_again_with_another_connection() {
    let until_rows = || vec![greeting(&[]), OK.to_vec(), OK.to_vec(), PREPARED.to_vec()];
    let with = |more: &[Vec<u8>]| [until_rows(), more.to_vec()].concat();
    for (says, kind) in [
        (vec![b"HTTP/1.1 400 Bad Request".to_vec()], Kind::Unavailable),
        (vec![b"\xff\x10\x04Too many connections".to_vec()], Kind::Unavailable),
        (vec![greeting(&[]), failed(1045, "28000")], Kind::Configuration),
        (vec![greeting(&[]), OK.to_vec(), OK.to_vec(), failed(1146, "42S02")], Kind::Schema),
        // Killed between the two; and an answer that is a row.
        (with(&[OK.to_vec(), failed(1927, "70100")]), Kind::Unavailable),
        (with(&[vec![1], OK.to_vec()]), Kind::Unavailable),
    ] {
        let (url, connections) = server(says).await;
        let channel = channel(&url);
        for attempt in 1..=2 {
            let fault = commit(&channel).await.unwrap_err();
            assert_eq!(fault.kind, kind, "{}", fault.detail);
            assert!(fault.detail.starts_with("MySQL at h:1/d: "), "{}", fault.detail);
            assert!(!fault.detail.contains("hunter2"));
            assert_eq!(connections.load(Ordering::SeqCst), attempt);
        }
    }
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_for_ever() {
    const SHORT: Duration = Duration::from_millis(20);
    let silent = |mut channel: Channel| async move {
        channel.answer_within = SHORT;
        let fault = commit(&channel).await.unwrap_err();
        assert_eq!(fault.kind, Kind::Unavailable);
        assert!(fault.detail.ends_with("no answer within 20ms"), "{}", fault.detail);
    };
    let (url, _) = server(vec![]).await;
    silent(Channel { connect_within: SHORT, ..channel(&url) }).await;
    let (url, _) = server([&greeting(&[]), OK, OK, PREPARED].map(<[u8]>::to_vec).to_vec()).await;
    silent(channel(&url)).await;
}

#[tokio::test]
async fn what_is_too_little_or_too_much_is_left_to_others() {
    let (url, connections) = server(vec![]).await;
    let channel = channel(&url);
    assert_eq!(channel.commit(&[], &[], "").await, Ok(false));
    assert_eq!(channel.commit(&[], &[], &" ".repeat(MAX_SCRIPT + 1)).await, Ok(false));
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}
