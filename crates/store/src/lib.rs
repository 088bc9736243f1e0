//! The two stores: live (newest position of each device, with a TTL) and
//! history (every frame once, with books, dead letters, logins and users).
//! Traits and pure decisions apart from the products that implement them.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests await what they spawn"))]

mod error;
mod hash;
pub mod history;
pub mod known;
pub mod live;
pub mod named;
pub mod relay;

pub use error::StoreError;
pub use hash::NumberHash;
