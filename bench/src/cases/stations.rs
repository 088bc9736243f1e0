//! Parser and exporter over Mosquitto, until everything published is committed.

use std::time::{Duration, Instant};

use nemeses_e2e::{Line, Redis, RedisMemory, wait_for};

use crate::cases::{Effort, FOUR, full_speed, pass_through};
use crate::load::as_f64;
use crate::machine::processor_seconds;
use crate::report::{Measure, Report, Target};
use crate::sink::Sink;
use crate::site::{mariadb, mosquitto, recorded_from};

const KIND: Measure = Measure {
    id: "stations_mosquitto",
    unit: "frames/s",
    against: "Mosquitto passing QoS 1 on to rumqttc with manual acknowledgements",
    target: Target::Ratio(0.7),
};
const COMMITTED_WITHIN: Duration = Duration::from_secs(120);

/// One parser, one exporter.
pub(crate) async fn over_mosquitto(effort: Effort, report: &mut Report) -> anyhow::Result<()> {
    let (_bare, bare) = mosquitto().await?;
    let (broker, address) = mosquitto().await?;
    let (redis, mariadb) = (Redis::start(RedisMemory::Lost).await?, mariadb().await?);
    let urls = (broker.url(), redis.url(), mariadb.url());
    let urls = (&*urls.0, &*urls.1, &*urls.2);
    let line = Line::stations_on(broker, redis, mariadb, urls, 1, &[]).await?;
    let mut recorded = recorded_from();
    let mut committed_before = 0;
    for _ in 0..effort.runs {
        let sink = Sink::rumqttc(bare).await?;
        let ceiling = pass_through(bare, FOUR, effort.seconds, &sink).await?;
        drop(sink);
        let pids = [line.parsers[0].pid(), line.exporters[0].pid()];
        let before = pids.map(processor_seconds);
        let started = Instant::now();
        let outcome = full_speed(address, FOUR, effort.seconds, &mut recorded).await?;
        let wanted = committed_before + outcome.sent;
        wait_for(COMMITTED_WITHIN, "all frames are committed", async || {
            let stored = stored(&line).await?;
            anyhow::ensure!(stored >= wanted, "{stored} of {wanted}");
            Ok(())
        })
        .await?;
        let rate = as_f64(outcome.sent) / started.elapsed().as_secs_f64();
        committed_before = wanted;
        report.add(KIND, rate, Some(ceiling));
        let after = pids.map(processor_seconds);
        let us = |at: usize| (after[at] - before[at]) * 1e6 / as_f64(outcome.sent);
        report.note(KIND.id, format!(
            "devices were acknowledged {:.0} frames/s; processor time a frame: parser {:.2} us, exporter {:.2} us",
            outcome.acknowledged_a_second, us(0), us(1)
        ));
    }
    Ok(())
}

/// Rows that the exporter has stored since its start.
async fn stored(line: &Line) -> anyhow::Result<u64> {
    let metrics = reqwest::get(line.exporters[0].metrics_url()).await?.text().await?;
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix("nemeses_export_records_total{outcome=\"stored\"} "));
    Ok(value.map_or(Ok(0), str::parse)?)
}
