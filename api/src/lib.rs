//! The REST API: accounts and tokens, the live position of a device, its
//! history, and the books. Reads the two stores and the accounts through their
//! traits; what is asked and what is answered are decided in pure functions.
//! There are no rights per device yet, so the listener must be loopback: the
//! binary sees to that.

mod accounts;
mod auth;
mod config;
mod connection;
mod input;
mod metrics;
mod output;
mod problem;
mod router;
mod routes;
mod secret;
mod serve;
mod state;
mod upstream;

pub use accounts::NewAccount;
pub use auth::{Accepted, Tokens};
pub use config::ApiConfig;
pub use problem::{Kind, Problem};
pub use router::router;
pub use secret::{
    MIN_SECRET_BYTES, SECRET_FILE, SecretError, SecretSource, TokenSecret, secret_source,
};
pub use serve::serve;
pub use state::{ApiState, Stores};
