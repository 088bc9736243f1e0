//! Resident memory of a node on SQLite over half an hour of load, with pages that watch:
//! what is bounded levels off, and what is not shows here.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Args;
use nemeses_e2e::{Node, User};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::cases::FIFTY;
use crate::http::get_request;
use crate::load::{Plan, as_f64, run};
use crate::machine::processor_seconds;
use crate::report::say;
use crate::site::recorded_from;

/// How long, how much, and who watches.
#[derive(Clone, Debug, Args)]
pub(crate) struct Memory {
    /// Length of the load
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Frames a second in all, of 10 000 devices in turn
    #[arg(long, default_value_t = 10_000)]
    offered: u32,
    /// Clients of the live stream that see everything
    #[arg(long, default_value_t = 2)]
    streams: usize,
    /// Between two looks at the memory
    #[arg(long, default_value_t = 60)]
    every_seconds: u64,
}

/// Prints the memory as it goes, and what it was at the end.
pub(crate) async fn over_time(memory: &Memory) -> anyhow::Result<()> {
    let node = Node::start(&[]).await?;
    let before = mib(&node)?;
    let api = node.api_url();
    let user = User::sign_in(&api, &User::register(&api).await?).await?;
    let address: SocketAddr = api.trim_start_matches("http://").parse()?;
    let mut watching = JoinSet::new();
    for _ in 0..memory.streams {
        watching.spawn(watch(address, user.token().to_owned()));
    }
    let offered = Some(memory.offered);
    let plan = Plan::new(node.mqtt().address(), FIFTY, memory.minutes * 60, recorded_from());
    let loading = tokio::spawn(run(Plan { offered, ..plan }));
    let (began, mut most) = (Instant::now(), 0.0_f64);
    say(&format!("{before:.0} MiB before; then MiB by minute:"));
    while !loading.is_finished() {
        tokio::time::sleep(Duration::from_secs(memory.every_seconds)).await;
        let now = mib(&node)?;
        most = most.max(now);
        say(&format!("{:4.1} min  {now:.0}", began.elapsed().as_secs_f64() / 60.0));
    }
    let outcome = loading.await??;
    watching.shutdown().await;
    say(&format!(
        "{:.0} frames/s for {} min, {} streams: {most:.0} MiB at most, {:.1} us of processor time a frame",
        outcome.acknowledged_a_second,
        memory.minutes,
        memory.streams,
        processor_seconds(node.pid()) * 1e6 / as_f64(outcome.sent)
    ));
    Ok(())
}

/// Reads the live stream and throws it away.
async fn watch(address: SocketAddr, token: String) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&get_request("/api/v1/stream/", &token)).await?;
    let mut thrown_away = vec![0; 64 * 1024];
    while stream.read(&mut thrown_away).await? > 0 {}
    Ok(())
}

fn mib(node: &Node) -> anyhow::Result<f64> {
    Ok(as_f64(node.memory_kib()?) / 1024.0)
}
