//! A client that means well, and wants to be served as if it were alone.

use std::time::Duration;

use nemeses_e2e::{Line, Mqtt, User, frames, wait_for};
use nemeses_protocol::DeviceId;
use tokio_util::sync::CancellationToken;

/// No device of the hostile payloads.
const DEVICE: DeviceId = DeviceId::new(0x00AB_CDEF);
const PING_REPLY: &[u8] = b"\x50\xF7\x01PING\x73\xC4";
/// Until a reply or a live entry is there.
const SERVED: Duration = Duration::from_secs(30);

/// Sends a ping and a frame in turn, waits for reply and acknowledgement, and
/// looks at the live entry, until `done`. Returns how many frames and pings it
/// sent.
pub(crate) async fn serve_me(
    line: &Line,
    wave: u64,
    done: &CancellationToken,
) -> anyhow::Result<u64> {
    let user = line.user().await?;
    let mut mqtt = line.device("honest").await?;
    mqtt.subscribe(&format!("/ping/{DEVICE}")).await?;
    let mut sent = 0;
    loop {
        sent += turn(&mut mqtt, &user, wave, sent).await?;
        if done.is_cancelled() {
            return Ok(sent);
        }
    }
}

async fn turn(mqtt: &mut Mqtt, user: &User, wave: u64, sent: u64) -> anyhow::Result<u64> {
    mqtt.publish("/messenger", &frames::ping(DEVICE)).await?;
    let reply = mqtt.next_publish(SERVED).await?;
    anyhow::ensure!(reply.payload == PING_REPLY, "a ping was answered by {:?}", reply.payload);
    let odometer = u32::try_from(wave * 1_000_000 + sent)?;
    let frame = frames::live(DEVICE, frames::now_s(), odometer);
    mqtt.publish(&format!("/messenger/{DEVICE}"), &frames::bytes(&frame)).await?;
    // Of frames of one second any may be the newest.
    let earliest = frame.recorded_at;
    wait_for(SERVED, "the live entry is as new as the frame", async || {
        let location = user.location(DEVICE).await?;
        let recorded_at = location["recorded_at"].as_u64();
        anyhow::ensure!(recorded_at >= Some(earliest.into()), "{location}");
        Ok(())
    })
    .await?;
    Ok(2)
}
