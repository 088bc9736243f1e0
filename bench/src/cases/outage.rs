//! The database away under a steady load: what the node holds meanwhile, and how
//! soon it is at the full rate again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::cases::FIFTY;
use crate::load::{Plan, as_f64, run};
use crate::report::{Measure, Report, Target, say};
use crate::site::{OnServers, recorded_from};

/// Above what the node had before; the target of a whole node, which is stated.
const MEMORY: Measure = Measure {
    id: "database_down_memory",
    unit: "MiB resident at most",
    against: "",
    target: Target::AtMost(128.0),
};
const BACK: Measure = Measure {
    id: "database_down_full_rate_after",
    unit: "s after its return",
    against: "",
    target: Target::AtMost(10.0),
};
const OFFERED: u32 = 10_000;
const STOP: Duration = Duration::from_secs(60);
/// Seconds of load before the outage, and behind the return.
const BEFORE_S: u64 = 5;
const AFTER_S: u64 = 20;
const LOOK: Duration = Duration::from_millis(250);

/// Once, for so many seconds.
pub(crate) async fn database(down_s: u64, report: &mut Report) -> anyhow::Result<()> {
    let mut site = OnServers::start(&[]).await?;
    // Stopping and starting are not in the seconds; the load ends behind them.
    let seconds = BEFORE_S + down_s + AFTER_S;
    let address = site.node.mqtt().address();
    let plan =
        Plan { offered: Some(OFFERED), ..Plan::new(address, FIFTY, seconds, recorded_from()) };
    let progress = Arc::clone(&plan.progress);
    let load = tokio::spawn(run(plan));
    tokio::time::sleep(Duration::from_secs(BEFORE_S)).await;
    let before_kib = site.node.memory_kib()?;
    site.mariadb.stop(STOP).await?;
    say(&format!("the database is down for {down_s} s"));
    let (down, mut most_kib) = (Instant::now(), before_kib);
    let acknowledged_before = progress.load(Ordering::Relaxed);
    while down.elapsed() < Duration::from_secs(down_s) {
        tokio::time::sleep(LOOK).await;
        most_kib = most_kib.max(site.node.memory_kib()?);
    }
    let meanwhile = progress.load(Ordering::Relaxed) - acknowledged_before;
    site.mariadb.start_again().await?;
    let returned = Instant::now();
    let after = loop {
        let (count, begun) = (progress.load(Ordering::Relaxed), Instant::now());
        tokio::time::sleep(LOOK).await;
        most_kib = most_kib.max(site.node.memory_kib()?);
        let rate = as_f64(progress.load(Ordering::Relaxed) - count) / begun.elapsed().as_secs_f64();
        if rate >= f64::from(OFFERED) {
            break returned.elapsed();
        }
        if load.is_finished() {
            load.await??;
            anyhow::bail!("the full rate did not come back");
        }
    };
    let outcome = load.await??;
    let sent = outcome.sent;
    anyhow::ensure!(progress.load(Ordering::Relaxed) == sent, "a frame was not acknowledged");
    let mib = |kib: u64| as_f64(kib) / 1024.0;
    report.add(MEMORY, mib(most_kib), None);
    report.add(BACK, after.as_secs_f64(), None);
    let stored = stored(&site.mariadb.url()).await?;
    report.note(MEMORY.id, format!(
        "down for {down_s} s with {OFFERED} frames/s offered: {:.1} MiB before, {:.1} at most; \
         {meanwhile} frames acknowledged meanwhile; {sent} sent in all, every one acknowledged, {stored} rows",
        mib(before_kib), mib(most_kib)
    ));
    Ok(())
}

async fn stored(url: &str) -> anyhow::Result<i64> {
    use sqlx::Connection as _;
    let mut connection = sqlx::mysql::MySqlConnection::connect(url).await.context("counting")?;
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM positions");
    Ok(count.fetch_one(&mut connection).await?)
}
