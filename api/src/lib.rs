//! The REST API: accounts and tokens, the live position of a device, its
//! history, and the books. Reads the two stores and the accounts through their
//! traits; what is asked and what is answered are decided in pure functions.
//! Every access is decided in one place, by role and granted device.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests await what they spawn"))]

mod access;
mod accounts;
mod auth;
mod backend;
mod commands;
mod config;
mod daily;
mod docs;
mod fleet;
pub mod grpc;
mod guard;
mod http;
mod input;
mod letters;
mod metrics;
mod openapi;
mod output;
mod page;
mod posting;
mod problem;
#[cfg(test)]
#[expect(dead_code, reason = "the tests of the reports use the rest")]
#[path = "../../crates/reports/src/road.rs"]
mod road;
mod router;
mod routes;
mod secret;
mod serve;
mod setup;
mod state;
mod stores;
mod stream;
mod turns;
mod upstream;
mod writable;

pub use access::{Credential, Right, Sees, SignedIn};
pub use accounts::NewAccount;
pub use auth::{Accepted, Tokens, draw_password, hash_password};
pub use commands::{CommandSink, Delivered, KeptCommand, NoWay};
pub use config::{ApiConfig, Registration};
pub use daily::{DailyStats, KeptIn, keep_daily};
pub use guard::{Network, NetworkError, PublicUrl, PublicUrlError};
pub use letters::{Retried, SecondChance};
pub use page::MapSource;
pub use posting::{NotStored, PostOutcome, Posted, Refused, RequestKey, TelemetrySink};
pub use problem::{Kind, Problem};
pub use router::{Declared, declared_routes, openapi_document, router};
pub use secret::{
    MIN_SECRET_BYTES, SECRET_FILE, SecretError, SecretSource, TokenSecret, TokenSecrets,
    secret_source,
};
pub use serve::{Listeners, serve};
pub use setup::offer_setup;
pub use state::ApiState;
pub use stores::{CommitsFail, Stores};
