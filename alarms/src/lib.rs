//! The station that evaluates rules: it reads the marks that commits left, moves the states of devices by
//! them, and writes states, alarms and notifications back in one transaction (decision 0062).
//!
//! One evaluator works at a time; others wait for its lease. What a rule means is decided in the
//! crate `rules`, which is pure; here is what reads, writes and waits.

mod changes;
mod channels;
mod definitions;
mod dry_run;
mod evaluator;
mod held;
mod notification;
mod stats;

pub use definitions::{compile, fence_of, fences, spec_of};
pub use dry_run::would_have_raised;
pub use evaluator::{Config, Evaluator};
