//! The collector of traces: does it take an export? One without spans is sent.

use std::time::Duration;

use tokio::time::timeout;

use super::finding::Finding;
use crate::config::Traces;

const ABOUT: &str = "traces";
/// As long as an export is given.
const WITHIN: Duration = Duration::from_secs(5);

/// Asks the collector, if there is one. Frames go on without it: it is never worse
/// than weak.
pub(super) async fn look(settings: Option<&Traces>) -> Option<Finding> {
    let Traces { endpoint, collector, .. } = settings?;
    Some(match timeout(WITHIN, collector.probe()).await {
        Ok(Ok(())) => Finding::good(ABOUT, format!("{endpoint} takes them")),
        Ok(Err(why)) => Finding::weak(
            ABOUT,
            format!(
                "{endpoint} takes none: {why}\nis it a collector that takes OTLP over HTTP, by default on port 4318? (--otlp-endpoint)"
            ),
        ),
        Err(_) => Finding::weak(ABOUT, format!("{endpoint} does not answer within {WITHIN:?}")),
    })
}

#[cfg(test)]
mod tests {
    use nemeses_runtime::traces::{Collector, Ratio};

    use super::*;
    use crate::doctor::finding::Verdict;

    #[tokio::test]
    async fn a_collector_that_is_not_there_is_weak() {
        assert_eq!(look(None).await, None);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let settings = Traces {
            collector: Collector::at(&endpoint).unwrap(),
            endpoint,
            ratio: Ratio::new(1.0).unwrap(),
            service_name: None,
        };
        let found = look(Some(&settings)).await.unwrap();
        assert_eq!(found.verdict, Verdict::Weak);
        assert!(found.says.contains("takes none") && found.says.contains("4318"), "{found:?}");
    }
}
