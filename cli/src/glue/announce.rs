//! Tells that this process is there: in the live store, again and again, and on the
//! admin listener, where `nemeses status` asks. Which figures go with it is decided
//! here, the one place that knows all stations.

use std::net::SocketAddr;
use std::sync::Arc;

use nemeses_runtime::{
    Clock, Describe, Figure, Listener, Registry, Stop, Tasks, Worker, host_name,
};
use nemeses_store::live::{ANNOUNCE_EVERY, LiveStore};

/// What is told beside name and age; a process tells those of its stations.
pub(crate) const FIGURES: [Figure; 23] = [
    figure("connections", "nemeses_door_connections", ""),
    figure("messages_taken", "nemeses_door_frame_messages_total", ""),
    figure("frames_parsed", "nemeses_parser_taken_total", ""),
    figure("queued_rows", "nemeses_export_queued_rows", ""),
    figure("oldest_unstored_s", "nemeses_export_oldest_seconds", ""),
    figure("stored", "nemeses_export_records_total", "outcome=\"stored\""),
    figure("duplicates", "nemeses_export_records_total", "outcome=\"duplicate\""),
    figure("pings", "nemeses_export_records_total", "outcome=\"ping\""),
    figure("dead_letters", "nemeses_export_records_total", "outcome=\"dead_letter\""),
    figure("commit_retries", "nemeses_export_retries_total", ""),
    figure("live_waiting", "nemeses_live_entries_waiting", ""),
    figure("live_store_down", "nemeses_live_store_down", ""),
    figure("broker_connected", "nemeses_mqtt_in_connected", ""),
    figure("pipeline_delay_s", "nemeses_canary_delay_seconds", ""),
    figure("pipeline_state", "nemeses_canary_state", ""),
    figure("books_unbalanced", "nemeses_books_unbalanced_lines", ""),
    figure("daily_lag_s", "nemeses_daily_lag_seconds", ""),
    figure("daily_waiting_days", "nemeses_daily_waiting_days", ""),
    figure("unknown_devices_policy", "nemeses_unknown_devices_policy", ""),
    figure("quarantined_devices", "nemeses_quarantine_devices", ""),
    figure("requests", "nemeses_api_requests_total", ""),
    figure("server_errors", "nemeses_api_requests_total", "status=\"5xx\""),
    figure("stream_clients", "nemeses_stream_clients", ""),
];

const fn figure(name: &'static str, metric: &'static str, label: &'static str) -> Figure {
    Figure { name, metric, label }
}

/// The name of a process without a number of its own: its role, machine and port.
pub(crate) fn name_at(role: &str, address: Option<SocketAddr>) -> String {
    let port = address.map_or(0, |address| address.port());
    format!("{role}@{}:{port}", host_name())
}

/// This process, with its listeners for devices and the figures of its registry at the time of
/// each call.
pub(crate) fn describe(
    name: String,
    role: &str,
    listeners: Vec<Listener>,
    clock: Clock,
    registry: Arc<Registry>,
) -> Describe {
    let here = Worker::here(name, role, env!("CARGO_PKG_VERSION"), clock.now_ms());
    let here = Worker { listeners, ..here };
    Arc::new(move || here.at(clock.now_ms(), &registry, &FIGURES))
}

/// Tells the live store every few seconds, and at the end that this process is gone.
pub(crate) fn announce(tasks: &Tasks, live: Arc<dyn LiveStore>, describe: Describe) {
    tasks.spawn_rest("announcement", keep_announced(live, describe, tasks.stop()));
}

async fn keep_announced(
    live: Arc<dyn LiveStore>,
    describe: Describe,
    stop: Stop,
) -> anyhow::Result<()> {
    loop {
        // The live writer says when the live store is down.
        if let Err(error) = live.announce(&describe()).await {
            tracing::debug!(%error, "this process cannot be announced");
        }
        if stop.all.run_until_cancelled(tokio::time::sleep(ANNOUNCE_EVERY)).await.is_none() {
            break;
        }
    }
    if let Err(error) = live.withdraw(&describe().name).await {
        tracing::debug!(%error, "this process cannot be withdrawn; it will be forgotten");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nemeses_store::live::open;

    use super::*;

    #[tokio::test]
    async fn a_process_is_there_until_it_ends() {
        let clock = Clock::system();
        let live = open(None, 60_000, clock.clone()).unwrap();
        let registry = Arc::new(Registry::default());
        let tasks = Tasks::new();
        let name = name_at("node", Some(SocketAddr::from(([127, 0, 0, 1], 1883))));
        assert!(name.starts_with("node@") && name.ends_with(":1883"), "{name}");
        announce(
            &tasks,
            Arc::clone(&live),
            describe(name.clone(), "node", Vec::new(), clock, registry),
        );
        let seen = async {
            while live.workers().await.unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), seen).await.unwrap();
        let alive = live.workers().await.unwrap();
        assert_eq!((alive[0].worker.name.as_str(), alive.len()), (name.as_str(), 1));
        assert_eq!(alive[0].worker.version, env!("CARGO_PKG_VERSION"));
        tasks.run_until(async {}, Duration::from_secs(5)).await.unwrap();
        assert!(live.workers().await.unwrap().is_empty(), "it ended as it should");
    }
}
