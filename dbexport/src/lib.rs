//! The exporter station: records in, committed rows out, and only then the
//! acknowledgement. The core is the same for a node, which hands records over
//! in process, and for a station, which reads batches from `/DB`.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests await what they spawn"))]

mod acknowledge;
mod commit_span;
mod exporter;
mod pace;
mod queue;
mod quiet;
mod refused;
pub mod retention;
pub mod sealing;
mod stats;
mod worker;

pub use acknowledge::Acknowledge;
pub use exporter::{Config, Exporter};
pub use queue::{Submission, Work};
pub use quiet::note_quiet;
pub use worker::{BatchAck, Worker, WorkerConfig};
