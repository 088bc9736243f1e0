//! Bytes that nobody should send: the node keeps them as dead letters, serves
//! everyone else, and does not grow.

use nemeses_e2e::frames::{bytes, key, live, now_s};
use nemeses_e2e::{Line, Mqtt, Shape};
use nemeses_protocol::DeviceId;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{MEMORY_BOUND_KIB, figure};

/// Random payloads of up to 200 bytes, some with a good header, some of hex digits.
fn payload(random: &mut SmallRng) -> Vec<u8> {
    let length = random.random_range(1..200);
    let mut payload: Vec<u8> = (0..length).map(|_| random.random()).collect();
    match random.random_range(0..4) {
        0 => payload.splice(0..0, [0x50, 0xF7, 0, 0, 9, 2]).for_each(drop),
        1 => payload = hex::encode(payload).into_bytes(),
        _ => {}
    }
    payload
}

async fn publish_rubbish(line: &Line, seed: u64, count: u32) -> anyhow::Result<()> {
    const AT_ONCE: u32 = 1000;
    let mut random = SmallRng::seed_from_u64(seed);
    let mut device = line.device(&format!("hostile {seed}")).await?;
    for _ in 0..count / AT_ONCE {
        let payloads: Vec<Vec<u8>> = (0..AT_ONCE).map(|_| payload(&mut random)).collect();
        device.publish_all("/messenger", payloads.iter().map(Vec::as_slice), 200).await?;
    }
    Ok(())
}

/// Bytes that are no MQTT, on connections of their own.
async fn send_noise(line: &Line, seed: u64) -> anyhow::Result<()> {
    let mut random = SmallRng::seed_from_u64(seed);
    for _ in 0..200 {
        let mut stream = TcpStream::connect(line.mqtt_address()).await?;
        let noise: Vec<u8> = (0..random.random_range(1..300)).map(|_| random.random()).collect();
        // The door may close it half way: that is its right.
        let _ = stream.write_all(&noise).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_are_kept_and_change_nothing_else() {
    let messages = figure("CHAOS_MESSAGES", 20_000);
    let seed = rand::rng().random();
    println!("seed {seed}");
    let line = Line::start(Shape::Embedded, &[]).await.unwrap();
    let (first, second, noise) = tokio::join!(
        publish_rubbish(&line, seed, messages / 2),
        publish_rubbish(&line, seed ^ 1, messages / 2),
        send_noise(&line, seed ^ 2)
    );
    first.and(second).and(noise).unwrap();

    let good = live(DeviceId::new(0x0099_9999), now_s(), 1);
    let mut device = Mqtt::connect(line.mqtt_address(), "good").await.unwrap();
    device.publish("/messenger", &bytes(&good)).await.unwrap();
    assert!(line.tables().positions().await.unwrap().contains(&key(&good)));
    let letters = line.tables().count_dead_letters().await.unwrap();
    assert!(letters > u64::from(messages) / 2, "only {letters} dead letters");
    line.audit().await.unwrap();
    let memory_kib = line.node.as_ref().unwrap().memory_kib().unwrap();
    assert!(memory_kib < MEMORY_BOUND_KIB, "{memory_kib} KiB");
    println!("{messages} messages of rubbish, {letters} dead letters, {memory_kib} KiB");
}
