//! Reading through the REST API: how soon a frame is visible, how many locations a
//! second, and a day's report against the bare SQL read of its rows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nemeses_e2e::User;
use nemeses_store::history::{Options, open};
use sqlx::Connection as _;
use sqlx::mysql::MySqlConnection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use crate::cases::{Effort, FIFTY};
use crate::http::{Http, get_request};
use crate::load::{DEVICES, Plan, as_f64, run};
use crate::mqtt::{PUBACK_BYTES, connect, publish};
use crate::report::{Measure, Report, Target};
use crate::site::{OnServers, commit, recorded_from, rows_of};
use crate::stats::percentile_ms;

const VISIBLE_P50: Measure =
    Measure { id: "visible_p50_at_10000", unit: "ms", against: "", target: Target::AtMost(3.0) };
const VISIBLE_P99: Measure =
    Measure { id: "visible_p99_at_10000", unit: "ms", against: "", target: Target::AtMost(10.0) };
const LOCATION: Measure = Measure {
    id: "location_64",
    unit: "requests/s",
    against: "a constant handler of the same server",
    target: Target::Ratio(0.6),
};
const REPORT: Measure = Measure {
    id: "report_1440_json",
    unit: "reports/s",
    against: "the bare SQL read of the same rows",
    target: Target::Ratio(0.5),
};
const READERS: usize = 64;
const ROWS: u32 = 1440;
/// Between two frames whose way to the API is timed.
const BETWEEN_PROBES: Duration = Duration::from_millis(20);

/// A node on MariaDB and Redis.
pub(crate) async fn reading(effort: Effort, report: &mut Report) -> anyhow::Result<()> {
    let site = OnServers::start(&[]).await?;
    let base = site.node.api_url();
    let email = User::register(&base).await?;
    let user = User::sign_in(&base, &email).await?;
    let api: SocketAddr = base.trim_start_matches("http://").parse().context(base.clone())?;
    let history = open(&site.mariadb.url(), Options::default()).await?.history();
    // Of the device behind the load's.
    commit(&*history, "report", 0, rows_of(DEVICES, 0..ROWS, 60, recorded_from())).await?;
    let mut recorded = recorded_from();
    for _ in 0..effort.runs {
        let latencies_us = visible(&site, api, user.token(), effort.seconds, &mut recorded).await?;
        report.add(VISIBLE_P50, percentile_ms(&latencies_us, 50), None);
        report.add(VISIBLE_P99, percentile_ms(&latencies_us, 99), None);
        let length = Duration::from_secs(effort.seconds);
        let constant = asked(api, &["/healthz".to_owned()], user.token(), length, READERS).await?;
        let location = "/api/v1/location?device_id=000001";
        let rate = asked(api, &[location.to_owned()], user.token(), length, READERS).await?;
        report.add(LOCATION, rate, Some(constant));
        let bare_read = read_bare(&site.mariadb.url(), length).await?;
        let path = format!("/api/v1/report?device_id={DEVICES:06X}&limit={ROWS}");
        let rate = asked(api, &[path], user.token(), length, 1).await?;
        report.add(REPORT, rate, Some(bare_read));
    }
    Ok(())
}

/// From the write of a frame to the first answer that shows it, beside a steady
/// load; microseconds, sorted.
async fn visible(
    site: &OnServers,
    api: SocketAddr,
    token: &str,
    seconds: u64,
    recorded: &mut u32,
) -> anyhow::Result<Vec<u32>> {
    let address = site.node.mqtt().address();
    let plan = Plan { offered: Some(10_000), ..Plan::new(address, FIFTY, seconds, *recorded) };
    let load = tokio::spawn(run(plan));
    let mut device = connect(address, "probe", 120).await?;
    let mut reader = Http::connect(api).await?;
    // Behind the load's devices and the report's.
    let number = DEVICES + 1;
    let request = get_request(&format!("/api/v1/location?device_id={number:06X}"), token);
    let (mut latencies_us, mut packet_id) = (Vec::new(), 1);
    // A device that nobody has heard of is a 404: the first frame only makes it known.
    *recorded += 1;
    device.write_all(&publish(packet_id, number, *recorded)).await?;
    device.read_exact(&mut [0; PUBACK_BYTES]).await?;
    let mut before = recorded_at(reader.ask(&request).await?).to_vec();
    while !load.is_finished() {
        tokio::time::sleep(BETWEEN_PROBES).await;
        packet_id = packet_id % u16::MAX + 1;
        *recorded += 1;
        let sent = Instant::now();
        device.write_all(&publish(packet_id, number, *recorded)).await?;
        before = loop {
            let shown = recorded_at(reader.ask(&request).await?).to_vec();
            if shown != before && shown != b"null" {
                break shown;
            }
        };
        latencies_us.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
        device.read_exact(&mut [0; PUBACK_BYTES]).await?;
    }
    *recorded = load.await??.recorded_to.max(*recorded + 1);
    latencies_us.sort_unstable();
    Ok(latencies_us)
}

/// The value of the field as it stands in the answer.
fn recorded_at(answer: &[u8]) -> &[u8] {
    const NAME: &[u8] = b"\"recorded_at\":";
    let at = answer.windows(NAME.len()).position(|bytes| bytes == NAME);
    let value = at.map_or(&[][..], |at| &answer[at + NAME.len()..]);
    value.split(|byte| *byte == b',').next().unwrap_or_default()
}

/// Answers a second over so many connections, each of which asks for all paths in turn.
pub(crate) async fn asked(
    api: SocketAddr,
    paths: &[String],
    token: &str,
    length: Duration,
    connections: usize,
) -> anyhow::Result<f64> {
    let (mut readers, started) = (JoinSet::new(), Instant::now());
    let requests: Vec<_> = paths.iter().map(|path| get_request(path, token)).collect();
    let requests = Arc::new(requests);
    for connection in 0..connections {
        let requests = Arc::clone(&requests);
        readers.spawn(async move {
            let (mut http, mut answers) = (Http::connect(api).await?, 0_u64);
            let first = connection % requests.len().max(1);
            for request in requests.iter().cycle().skip(first) {
                if started.elapsed() >= length {
                    break;
                }
                http.ask(request).await?;
                answers += 1;
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = 0;
    while let Some(reader) = readers.join_next().await {
        answers += reader??;
    }
    Ok(as_f64(answers) / started.elapsed().as_secs_f64())
}

/// Reads of the report's rows a second, on one connection, as the API orders them.
async fn read_bare(url: &str, length: Duration) -> anyhow::Result<f64> {
    let mut connection = MySqlConnection::connect(url).await?;
    let (mut reads, started) = (0_u64, Instant::now());
    let (first, last) = (recorded_from() - 600, recorded_from() + ROWS * 60 + 600);
    while started.elapsed() < length {
        let rows = sqlx::query(
            "SELECT * FROM positions WHERE bucket BETWEEN ? AND ? AND device = ? \
             ORDER BY bucket, device, recorded_at, frame_hash",
        )
        .bind(first / 300)
        .bind(last / 300)
        .bind(DEVICES)
        .fetch_all(&mut connection)
        .await?;
        anyhow::ensure!(rows.len() == ROWS as usize, "{} rows of {ROWS}", rows.len());
        reads += 1;
    }
    Ok(as_f64(reads) / started.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_found() {
        assert_eq!(recorded_at(br#"{"a":1,"recorded_at":"x","b":2}"#), br#""x""#);
        assert_eq!(recorded_at(b"{}"), b"");
    }
}
