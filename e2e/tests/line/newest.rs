//! Which position is the newest: the location, the lists and the stream agree on it, whatever
//! the device's clock says and whichever way its frames came.

use std::time::Duration;

use nemeses_e2e::frames::{bytes, historical, live, now_s, ping};
use nemeses_e2e::{Line, SOON, User, wait_for};
use nemeses_protocol::DeviceId;
use serde_json::Value;

use crate::in_every_shape;

const AHEAD: DeviceId = DeviceId::new(0x0066_0001);
const MEMORY: DeviceId = DeviceId::new(0x0066_0002);
const TOPIC: &str = "/messenger";

in_every_shape!(a_clock_ahead_and_newer_memory);

/// The first frame of one device is 12 h ahead. Of another one, the second comes from its
/// memory, and then it only pings.
async fn a_clock_ahead_and_newer_memory(mut line: Line) {
    let user = line.user().await.unwrap();
    let mut device = line.device("tracker").await.unwrap();
    let now = now_s();
    device.publish(TOPIC, &bytes(&live(AHEAD, now + 43_200, 1))).await.unwrap();
    device.publish(TOPIC, &bytes(&live(AHEAD, now, 2))).await.unwrap();
    device.publish(TOPIC, &bytes(&live(MEMORY, now - 60, 1))).await.unwrap();
    let memory = historical(live(MEMORY, now - 30, 2));
    device.publish(TOPIC, &bytes(&memory)).await.unwrap();
    device.publish(TOPIC, &ping(MEMORY)).await.unwrap();
    the_second_is_the_newest(&user, AHEAD, "live").await;
    the_second_is_the_newest(&user, MEMORY, "history").await;
    drop(device);
    if let Some(node) = &mut line.node {
        // How long a process runs makes no difference.
        node.stop(Duration::from_secs(10)).await.unwrap();
        node.start_again().await.unwrap();
        the_second_is_the_newest(&user, AHEAD, "live").await;
        the_second_is_the_newest(&user, MEMORY, "history").await;
    }
}

async fn the_second_is_the_newest(user: &User, device: DeviceId, from: &str) {
    wait_for(SOON, &format!("all answers of {device} are its second frame"), async || {
        let location = user.location(device).await?;
        let list = format!("/api/v1/locations/?device_ids={device}");
        let (_, listed) = user.get(&list).await?;
        let (_, shown) = user.get(&format!("/api/v1/devices/{device}")).await?;
        let streamed = user.standing(device).await?;
        let answers: [&Value; 4] =
            [&location, &listed["locations"][0], &shown["location"], &streamed];
        for answer in answers {
            let right = answer["odometer_m"] == 2
                && answer["position_from"] == from
                && answer["status"] == "online";
            anyhow::ensure!(right, "{answer}");
        }
        anyhow::ensure!(location["age_s"].as_u64().is_some_and(|age_s| age_s < 600), "{location}");
        Ok(())
    })
    .await
    .unwrap();
}
