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
/// No wave has time for more.
const FRAMES_A_WAVE: u32 = 1_000_000;

/// Sends a ping and a frame in turn, waits for reply and acknowledgement, and
/// looks at the live entry, until `done`. Returns how many frames and pings it
/// sent.
pub(crate) async fn serve_me(
    line: &Line,
    wave: u32,
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

async fn turn(mqtt: &mut Mqtt, user: &User, wave: u32, sent: u64) -> anyhow::Result<u64> {
    mqtt.publish("/messenger", &frames::ping(DEVICE)).await?;
    let reply = mqtt.next_publish(SERVED).await?;
    anyhow::ensure!(reply.payload == PING_REPLY, "a ping was answered by {:?}", reply.payload);
    // Each a second newer than the last, and all in the past.
    let number = wave * FRAMES_A_WAVE + u32::try_from(sent / 2)?;
    let frame = frames::live(DEVICE, frames::now_s() - 3 * FRAMES_A_WAVE + number, number);
    mqtt.publish(&format!("/messenger/{DEVICE}"), &frames::bytes(&frame)).await?;
    wait_for(SERVED, "the live entry is the frame", async || {
        let location = user.location(DEVICE).await?;
        anyhow::ensure!(location["odometer_m"] == number, "{location}");
        Ok(())
    })
    .await?;
    Ok(2)
}
