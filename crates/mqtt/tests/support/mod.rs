//! A Mosquitto on a free port and a TCP proxy that can be broken, for tests.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod mosquitto;
pub(crate) mod proxy;

use std::future::Future;
use std::time::Duration;

/// How long a test waits for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for something under the deadline.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

/// Polls until a condition holds, under the deadline.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}
