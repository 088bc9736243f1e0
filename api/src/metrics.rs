//! What was asked and how long it took, for Prometheus. Labels are the paths of
//! the route table and classes of status: nothing that a client can make up.

use std::time::Duration;

use axum::http::StatusCode;
use nemeses_runtime::Registry;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::family::Family;
use nemeses_runtime::metrics::metrics::histogram::{Histogram, exponential_buckets};

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Requests by route. All atomic; clones share.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    answered: Family<Labels<2>, Counter>,
    seconds: Family<Labels<1>, Histogram, fn() -> Histogram>,
}

/// 1 ms to 16 s; a login takes 30 ms, a live position less than one.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

impl Requests {
    pub(crate) fn new() -> Self {
        Self { answered: Family::default(), seconds: Family::new_with_constructor(seconds) }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let api = registry.sub_registry_with_prefix("nemeses_api");
        api.register(
            "requests",
            "Requests answered, by path and class of status",
            self.answered.clone(),
        );
        api.register(
            "answer_seconds",
            "Time to the first byte of an answer, by path",
            self.seconds.clone(),
        );
    }

    pub(crate) fn answered(&self, path: &'static str, status: StatusCode, took: Duration) {
        let labels = [("path", path), ("status", class(status))];
        self.answered.get_or_create(&labels).inc();
        self.seconds.get_or_create(&[("path", path)]).observe(took.as_secs_f64());
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=299 => "2xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use nemeses_runtime::metrics::encoding::text::encode;

    use super::*;

    #[test]
    fn requests_are_counted_by_path_and_class() {
        let (requests, mut registry) = (Requests::new(), Registry::default());
        requests.register(&mut registry);
        for status in [StatusCode::OK, StatusCode::CREATED, StatusCode::SERVICE_UNAVAILABLE] {
            requests.answered("/login", status, Duration::from_millis(30));
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "nemeses_api_requests_total{path=\"/login\",status=\"2xx\"} 2",
            "nemeses_api_requests_total{path=\"/login\",status=\"5xx\"} 1",
            "nemeses_api_answer_seconds_count{path=\"/login\"} 3",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
