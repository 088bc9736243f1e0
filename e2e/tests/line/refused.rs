//! A row that the database refuses for good does not block the line.

use nemeses_e2e::frames::{bytes, key, live, now_s};
use nemeses_e2e::{Line, SOON, expect_log, wait_for};
use nemeses_protocol::DeviceId;

use crate::in_every_shape;

in_every_shape!(the_guilty_row_becomes_a_dead_letter_and_the_rest_is_stored);

async fn the_guilty_row_becomes_a_dead_letter_and_the_rest_is_stored(line: Line) {
    const GUILTY: u32 = 666;
    expect_log(&["the database refuses rows", "bytes became dead letters"]);
    let of = |n: u32| live(DeviceId::new(0x0033_0000 + n % 10), now_s(), n);
    line.tables().refuse_odometer(GUILTY).await.unwrap();
    let frames: Vec<_> = (1..=1000).map(of).collect();
    let messages: Vec<Vec<u8>> = frames.iter().map(bytes).collect();
    let mut device = line.device("gateway").await.unwrap();
    device.publish_all("/messenger", messages.iter().map(Vec::as_slice), 100).await.unwrap();

    let guilty = &messages[GUILTY as usize - 1];
    wait_for(SOON, "the guilty row is a dead letter", async || {
        let letters = line.tables().dead_letters().await?;
        anyhow::ensure!(letters == [("refused".to_owned(), guilty.clone())], "{letters:?}");
        Ok(())
    })
    .await
    .unwrap();
    line.wait_rows(999).await.unwrap();
    let rows = line.tables().positions().await.unwrap();
    assert!(!rows.contains(&key(&frames[GUILTY as usize - 1])));
    line.audit().await.unwrap();
}
