//! What every station needs and none is about: the clock, back-off, tracked
//! tasks with a two-stage shutdown, logs, metrics, traces, certificates, the HTTP server
//! and the admin listener.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests await what they spawn"))]

mod admin;
mod backoff;
mod certificates;
mod clock;
pub mod http;
pub mod logs;
mod network;
mod outage;
mod pipeline;
mod reload;
mod secret;
mod summary;
mod tasks;
pub mod traces;
mod worker;

pub use admin::{Describe, Ready, serve_admin};
pub use backoff::Backoff;
pub use certificates::{Certificates, Look};
pub use clock::Clock;
pub use network::{Network, NetworkError, share_of};
pub use outage::Outage;
pub use pipeline::PipelineState;
pub use reload::{Reload, ReloadAsked};
pub use secret::Secret;
pub use summary::{Counts, Summary};
pub use tasks::{Stop, Tasks};
pub use worker::{Figure, Listener, Worker, host_name};

/// The metrics library, so that all stations use the same one.
pub use prometheus_client as metrics;
/// The registry that a station adds its metrics to before it starts.
pub use prometheus_client::registry::Registry;
