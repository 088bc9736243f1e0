//! A report of a million rows as CSV.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nemeses_e2e::{Node, User};
use nemeses_store::history::{Options, open};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cases::Effort;
use crate::http::get_request;
use crate::load::{DEVICES, as_f64};
use crate::report::{Measure, Report, Target};
use crate::site::{OnServers, commit, recorded_from, rows_of};

const RATE: Measure = Measure {
    id: "report_1m_csv",
    unit: "rows/s",
    against: "",
    target: Target::AtLeast(500_000.0),
};
const MEMORY: Measure = Measure {
    id: "report_1m_csv_memory",
    unit: "MiB more at most",
    against: "",
    target: Target::AtMost(32.0),
};
const ROWS: u32 = 1_000_000;
/// Apart, so that all lie in the past (35 days).
const EVERY_S: u32 = 3;
const LOOK: Duration = Duration::from_millis(50);
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A node on MariaDB and Redis.
pub(crate) async fn report(effort: Effort, report: &mut Report) -> anyhow::Result<()> {
    let site = OnServers::start(&[]).await?;
    let base = site.node.api_url();
    let email = User::register(&base).await?;
    let user = User::sign_in(&base, &email).await?;
    let address: SocketAddr = base.trim_start_matches("http://").parse().context(base.clone())?;
    let from = recorded_from();
    let history = open(&site.mariadb.url(), Options::default()).await?.history();
    for first in (0..ROWS).step_by(1000) {
        let rows = rows_of(DEVICES, first..first + 1000, EVERY_S, from);
        commit(&*history, "report", first / 1000, rows).await?;
    }
    let path = format!("/api/v1/report?device_id={DEVICES:06X}&format=csv");
    let request = get_request(&path, user.token());
    for _ in 0..effort.runs {
        let before = site.node.memory_kib()?;
        let started = Instant::now();
        let reading = read_lines(address, &request);
        let (lines, most) = tokio::join!(reading, watch(&site.node, started));
        let (lines, seconds) = lines?;
        anyhow::ensure!(lines > u64::from(ROWS), "{lines} lines of {ROWS} rows");
        report.add(RATE, f64::from(ROWS) / seconds, None);
        report.add(MEMORY, as_f64(most?.saturating_sub(before)) / 1024.0, None);
    }
    Ok(())
}

/// The node's memory at most, for as long as a report takes.
async fn watch(node: &Node, started: Instant) -> anyhow::Result<u64> {
    let mut most = 0;
    while started.elapsed() < Duration::from_secs(2) {
        most = most.max(node.memory_kib()?);
        tokio::time::sleep(LOOK).await;
    }
    Ok(most)
}

/// Lines of an answer that is not kept (those of its chunks too), and how long it took.
async fn read_lines(address: SocketAddr, request: &[u8]) -> anyhow::Result<(u64, f64)> {
    let mut stream = TcpStream::connect(address).await?;
    let started = Instant::now();
    stream.write_all(request).await?;
    let (mut bytes, mut lines, mut last) = (vec![0; 256 * 1024], 0_u64, Vec::new());
    let mut is_first = true;
    while !last.ends_with(LAST_CHUNK) {
        let read = stream.read(&mut bytes).await?;
        anyhow::ensure!(read > 0, "the API closed the connection");
        let new = &bytes[..read];
        if std::mem::take(&mut is_first) {
            anyhow::ensure!(new.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(new));
        }
        lines += u64::try_from(new.split(|byte| *byte == b'\n').count() - 1)?;
        last.extend_from_slice(&new[read.saturating_sub(LAST_CHUNK.len())..]);
        let surplus = last.len().saturating_sub(LAST_CHUNK.len());
        last.drain(..surplus);
    }
    Ok((lines, started.elapsed().as_secs_f64()))
}
