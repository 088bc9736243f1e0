//! What trackers send, in all its forms, and what becomes of it.

use std::time::Duration;

use nemeses_e2e::frames::{bytes, historical, key, live, message, now_s, ping};
use nemeses_e2e::{Line, SOON, expect_log, wait_for};
use nemeses_protocol::DeviceId;

use crate::in_every_shape;

in_every_shape!(
    a_frame_sent_live_and_again_from_memory_is_one_row,
    pings_are_answered_in_the_form_of_the_question,
    rubbish_is_kept_with_its_reason,
    late_frames_join_history_and_leave_the_live_entry_alone,
);

const DEVICE: DeviceId = DeviceId::new(0x0022_2222);
const TOPIC: &str = "/messenger";

async fn a_frame_sent_live_and_again_from_memory_is_one_row(line: Line) {
    let mut device = line.device("tracker").await.unwrap();
    let now = now_s();
    let frames: Vec<_> = (0..5).map(|n| live(DEVICE, now - 60 + n, n)).collect();
    let twin = live(DEVICE, now - 60, 77);
    // Raw, as text in lower case on the device's own topic, and all of it again
    // from memory in one message, together with another frame of the first second.
    device.publish(TOPIC, &bytes(&frames[0])).await.unwrap();
    let text = hex::encode(bytes(&frames[1])) + "\n";
    device.publish("/messenger/222222", text.as_bytes()).await.unwrap();
    device.publish(TOPIC, &message(&frames[2..])).await.unwrap();
    let mut again: Vec<_> = frames.iter().copied().map(historical).collect();
    again.push(twin);
    device.publish(TOPIC, &message(&again)).await.unwrap();
    device.publish(TOPIC, &message(&frames)).await.unwrap();

    line.wait_rows(6).await.unwrap();
    let mut rows = line.tables().positions().await.unwrap();
    rows.sort_unstable();
    let mut expected: Vec<_> = frames.iter().chain([&twin]).map(key).collect();
    expected.sort_unstable();
    assert_eq!(rows, expected);
    // Whichever is committed first is kept: in a node the live one, which came
    // first; parsers that share the work keep no order between messages.
    if line.node.is_some() {
        let report = line.user().await.unwrap().report(DEVICE, "").await.unwrap();
        assert!(report.iter().all(|row| row["historical"] == false), "{report:?}");
    }
    line.audit().await.unwrap();
}

async fn pings_are_answered_in_the_form_of_the_question(line: Line) {
    let mut device = line.device("tracker").await.unwrap();
    device.subscribe("/ping/222222").await.unwrap();
    let asked = [
        (ping(DEVICE), b"\x50\xF7\x01PING\x73\xC4".to_vec()),
        (b"50f72222220173C4".to_vec(), b"50F70173C4".to_vec()),
    ];
    for (question, answer) in asked {
        device.publish(TOPIC, &question).await.unwrap();
        let reply = device.next_publish(SOON).await.unwrap();
        assert_eq!(reply.topic, "/ping/222222");
        assert_eq!(reply.payload.to_ascii_uppercase(), answer.to_ascii_uppercase());
    }
    // The first user of a line sees every device.
    let user = line.user().await.unwrap();
    wait_for(SOON, "the pings are in the books", async || {
        line.audit().await?;
        let location = user.location(DEVICE).await?;
        anyhow::ensure!(location["status"] == "online", "{location}");
        Ok(())
    })
    .await
    .unwrap();
}

async fn rubbish_is_kept_with_its_reason(line: Line) {
    expect_log(&["bytes became dead letters"]);
    let mut device = line.device("tracker").await.unwrap();
    let (first, second) = (live(DEVICE, now_s(), 1), live(DEVICE, now_s(), 2));
    let noise = b"\x00\x01noise".to_vec();
    // Between two good frames, a frame of another on this device's topic, a
    // frame from far ahead, half a frame, and bad hex.
    device.publish(TOPIC, &[bytes(&first), noise.clone(), bytes(&second)].concat()).await.unwrap();
    let foreign = bytes(&live(DeviceId::new(5), now_s(), 3));
    device.publish("/messenger/222222", &foreign).await.unwrap();
    let future = bytes(&live(DEVICE, now_s() + 3 * 86_400, 4));
    device.publish(TOPIC, &future).await.unwrap();
    let half = bytes(&first)[..20].to_vec();
    device.publish(TOPIC, &half).await.unwrap();

    let mut expected = [
        ("bad_header".to_owned(), noise),
        ("topic_mismatch".to_owned(), foreign),
        ("future".to_owned(), future),
        ("truncated".to_owned(), half),
    ];
    expected.sort_unstable();
    wait_for(SOON, "all rubbish is kept", async || {
        let mut letters = line.tables().dead_letters().await?;
        letters.sort_unstable();
        anyhow::ensure!(letters == expected, "kept: {letters:?}");
        Ok(())
    })
    .await
    .unwrap();
    line.wait_rows(2).await.unwrap();
    line.audit().await.unwrap();
}

async fn late_frames_join_history_and_leave_the_live_entry_alone(line: Line) {
    let mut device = line.device("tracker").await.unwrap();
    let now = now_s();
    let newest = live(DEVICE, now, 100);
    device.publish(TOPIC, &bytes(&newest)).await.unwrap();
    // Older live frames out of order, a month-old burst from memory, and a
    // historical frame that claims to have been recorded after it arrived.
    let late: Vec<_> = [5, 1, 9].map(|n| live(DEVICE, now - 100 - n, n)).into();
    device.publish(TOPIC, &message(&late)).await.unwrap();
    let burst: Vec<_> =
        (0..50).map(|n| historical(live(DEVICE, now - 30 * 86_400 - n, 1000 + n))).collect();
    device.publish(TOPIC, &message(&burst)).await.unwrap();
    let claims = historical(live(DEVICE, now + 3600, 2000));
    device.publish(TOPIC, &bytes(&claims)).await.unwrap();

    line.wait_rows(55).await.unwrap();
    let user = line.user().await.unwrap();
    wait_for(SOON, "the live entry shows the newest live frame", async || {
        let location = user.location(DEVICE).await?;
        anyhow::ensure!(
            location["odometer_m"] == 100 && location["status"] == "online",
            "{location}"
        );
        Ok(())
    })
    .await
    .unwrap();
    let rows = user.report(DEVICE, "&limit=1000").await.unwrap();
    assert_eq!(rows.len(), 55);
    let times: Vec<&str> = rows.iter().map(|row| row["recorded_at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "in time order: {times:?}");
    // A last good look: nothing late moved it in the meantime.
    tokio::time::timeout(Duration::from_secs(5), line.audit()).await.unwrap().unwrap();
    assert_eq!(user.location(DEVICE).await.unwrap()["odometer_m"], 100);
}
