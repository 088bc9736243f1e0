//! `nemeses mosquitto-metrics`: serves to Prometheus what Mosquitto says of itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use clap::Args;
use nemeses_mosquitto::Figures;
use nemeses_runtime::{Registry, Tasks};

use crate::args::{AdminArgs, LinkArgs};
use crate::config::{Wrong, admin_address, link};
use crate::glue::{Asked, DRAIN, bind_metrics, serve_metrics};

const PORT: u16 = 9183;

/// `nemeses mosquitto-metrics`.
#[derive(Debug, Args)]
pub(crate) struct MosquittoMetricsArgs {
    #[command(flatten)]
    link: LinkArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Serves the figures until asked to end.
///
/// # Errors
/// Wrong settings, or a listener that cannot be had.
pub(crate) async fn run(args: MosquittoMetricsArgs) -> anyhow::Result<()> {
    let broker = link(&args.link)?;
    let default = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT);
    let Some(listen) = admin_address(&args.admin, default)? else {
        return Err(Wrong::new("admin-listen", "off", "there is nothing else to serve").into());
    };
    let asked = Asked::listen()?;
    let metrics = bind_metrics(Some(listen)).await?;
    let (tasks, mut registry) = (Tasks::new(), Registry::default());
    let figures = Figures::register(&mut registry);
    let (figures_broker, stop) = (broker.clone(), tasks.stop().intake);
    serve_metrics(&tasks, metrics, Arc::new(registry), None, None)?;
    tasks.spawn_intake("figures", async move {
        figures.follow(&figures_broker, stop).await;
        Ok(())
    });
    tracing::info!(broker = %broker.url(), "Mosquitto's figures are served");
    tasks.run_until(asked.to_end(), DRAIN).await
}
