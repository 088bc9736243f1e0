//! Logs by tracing, for people or as JSON, on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line an event.
    #[default]
    Human,
    /// One JSON object an event.
    Json,
}

/// The router tells of every link that comes and goes, some of it as an error: a
/// line for each client that a stranger opens. The door watches it itself.
const ROUTER: &str = "rumqttd=off";
/// The database's library tells of each connection that it lost or could not make.
/// We tell of the outage.
const DATABASE: &str = "sqlx=error";
/// And that of a Redis Cluster, of each node and each attempt.
const CLUSTER: &str = "redis=error";

/// Starts logging. `filter` is in the syntax of tracing's `EnvFilter`, for
/// example `info` or `info,nemeses_broker=debug`. The router under the door
/// is silent unless it is named (`rumqttd`), and so are `sqlx` and
/// `redis` but for errors.
///
/// # Errors
/// A filter that cannot be read, or logging that was started already.
pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(quieted(filter))
        .map_err(|error| anyhow::anyhow!("log filter '{filter}' cannot be read: {error}; write for example info or info,nemeses_broker=debug"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        // Else a line that cannot be written, since its reader has gone, is told on the same
        // closed pipe, which panics the task that wrote it.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Human => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging could not start: {error}"))
}

fn quieted(filter: &str) -> String {
    let unnamed = [("rumqttd", ROUTER), ("sqlx", DATABASE), ("redis", CLUSTER)];
    let quiet = unnamed.into_iter().filter(|(name, _)| !filter.contains(name));
    let words = quiet.map(|(_, quiet)| quiet).chain([filter]);
    words.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_silent_unless_they_are_named() {
        for (filter, in_force) in [
            ("info", "rumqttd=off,redis=error,sqlx=error,info"),
            (
                "info,nemeses_broker=debug",
                "nemeses_broker=debug,rumqttd=off,redis=error,sqlx=error,info",
            ),
            ("info,rumqttd=debug", "rumqttd=debug,redis=error,sqlx=error,info"),
            ("debug,sqlx=info", "rumqttd=off,redis=error,sqlx=info,debug"),
            ("", "rumqttd=off,redis=error,sqlx=error"),
        ] {
            let read = EnvFilter::try_new(quieted(filter)).unwrap();
            assert_eq!(read.to_string(), in_force, "{filter:?}");
        }
    }
}
