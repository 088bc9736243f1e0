//! Workers see by canaries whether what is published comes through, and say so.

use std::time::Duration;

use nemeses_e2e::{Line, Nemeses, SOON, Shape, Signal, expect_log, run_nemeses, wait_for};
use serde_json::Value;

/// A canary is missing after 30 s, and judged every second.
const NOTICED: Duration = Duration::from_secs(90);

async fn metric(worker: &Nemeses, name: &str) -> anyhow::Result<f64> {
    let metrics = reqwest::get(worker.metrics_url()).await?.text().await?;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map(str::parse).transpose()?.ok_or_else(|| anyhow::anyhow!("no {name}:\n{metrics}"))
}

async fn ready(worker: &Nemeses) -> anyhow::Result<(u16, String)> {
    let url = worker.metrics_url().replace("/metrics", "/readyz");
    let answer = reqwest::get(url).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

async fn status(line: &Line) -> Value {
    let (database, redis) = (line.database_url(), line.redis.as_ref().unwrap().url());
    let stores = ["--database-url", &database, "--redis-url", &redis];
    let answer = run_nemeses([&["status", "--json", "--ask", "off"], &stores[..]].concat()).await;
    serde_json::from_slice(&answer.unwrap().stdout).unwrap()
}

#[tokio::test]
async fn canaries_come_back_leave_nothing_behind_and_tell_what_is_stuck() {
    expect_log(&["ERROR canaries: ", "no connection to the broker; trying again"]);
    let line = Line::start(Shape::Stations, &[]).await.unwrap();
    let (parsers, exporters) = (&line.parsers, &line.exporters);
    for worker in parsers.iter().chain(exporters) {
        wait_for(SOON, "three canaries are back", async || {
            let returned = metric(worker, "nemeses_canary_returned_total").await?;
            anyhow::ensure!(returned >= 3.0, "{returned}");
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(ready(worker).await.unwrap(), (200, "ready\n".to_owned()));
        assert!(metric(worker, "nemeses_canary_state").await.unwrap() < 0.5);
    }
    let told = status(&line).await;
    assert_eq!(told["complaints"], serde_json::json!([]), "{told:#}");
    assert!(told["pipeline_delay_s"].as_f64().is_some_and(|delay| delay > 0.0), "{told:#}");
    assert_eq!(told["books_last_hour"]["received"], 0, "{told:#}");
    assert!(line.tables().positions().await.unwrap().is_empty());
    assert!(line.tables().dead_letter_bytes().await.unwrap().is_empty());
    line.audit().await.unwrap();

    // One of two parsers stands still: every second frame waits for it.
    parsers[1].signal(Signal::Stop).unwrap();
    let noticed = async |worker: &Nemeses, code: u16, says: &str| {
        wait_for(NOTICED, says, async || {
            let (status, why) = ready(worker).await?;
            anyhow::ensure!(status == code && why.contains(says), "{status} {why}");
            Ok(())
        })
        .await
        .unwrap();
    };
    noticed(&parsers[0], 503, "a part of what is published does not come through").await;
    let told = status(&line).await;
    assert!(told["complaints"].to_string().contains("a part of what is published"), "{told:#}");
    parsers[1].signal(Signal::Cont).unwrap();
    noticed(&parsers[0], 200, "ready").await;

    // Nothing is committed any more, and then again.
    for exporter in exporters {
        exporter.signal(Signal::Stop).unwrap();
    }
    noticed(&parsers[0], 503, "reaches a parser and is not committed").await;
    for exporter in exporters {
        exporter.signal(Signal::Cont).unwrap();
    }
    noticed(&parsers[0], 200, "ready").await;
    let log = parsers[0].log().unwrap();
    assert!(log.contains("canaries: the pipeline delivers"), "{log}");
    line.audit().await.unwrap();
    assert!(line.tables().dead_letter_bytes().await.unwrap().is_empty());
}
