//! Chooses the live store by its URL.

use std::sync::Arc;

use nemeses_runtime::Clock;

use super::{LiveStore, MemoryLive, RedisLive, RedisOptions};
use crate::StoreError;

/// The live store of a URL: none for this process's memory, `redis://` or
/// `rediss://` (TLS) for Redis, with `+sentinel` or `+cluster` for several. Entries live for `ttl_ms` after they were seen.
/// Nothing is connected yet: a Redis that is down now is unavailable, not wrong.
///
/// # Errors
/// `Configuration`, saying what is allowed, for a URL that is neither.
pub fn open(
    url: Option<&str>,
    ttl_ms: u64,
    clock: Clock,
) -> Result<Arc<dyn LiveStore>, StoreError> {
    open_with(url, ttl_ms, clock, RedisOptions::default())
}

/// [`open`] with more to say about Redis.
///
/// # Errors
/// As [`open`], and for certificates that cannot be read.
pub fn open_with(
    url: Option<&str>,
    ttl_ms: u64,
    clock: Clock,
    options: RedisOptions,
) -> Result<Arc<dyn LiveStore>, StoreError> {
    let Some(url) = url else {
        return Ok(Arc::new(MemoryLive::new(ttl_ms, clock)));
    };
    if url.contains('#') {
        return Err(wrong(url, "it has a # in it"));
    }
    match RedisLive::new(url, ttl_ms, clock, options) {
        Ok(live) => Ok(Arc::new(live)),
        Err(error) => Err(wrong(url, &error.to_string())),
    }
}

fn wrong(url: &str, why: &str) -> StoreError {
    StoreError::Configuration(format!(
        "the live store's URL '{}' cannot be used ({why}); write \
         redis://[user:password@]host[:port][/database], \
         redis+sentinel://[user:password@]host[:port],host[:port]/name[/database], \
         redis+cluster://[user:password@]host[:port],host[:port], \
         each with rediss for TLS, or leave it out to keep live positions in memory",
        without_login(url)
    ))
}

/// The URL as it may be shown: user and password are left out.
fn without_login(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://...@{host}"),
        (None, Some((_, host))) => format!("...@{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        match open(Some(url), 1_000, Clock::held(0)) {
            Err(StoreError::Configuration(text)) => text,
            Err(other) => panic!("{url}: {other}"),
            Ok(_) => panic!("{url} was taken"),
        }
    }

    #[test]
    fn a_wrong_url_is_shown_without_its_password_and_with_what_is_allowed() {
        for url in [
            "http://user:secret@host:6379",
            "user:secret@host",
            "rediss://user:secret@host#insecure",
            "redis://user:secret@host/zero",
            "redis://:secret@/",
            "",
            "redis+sentinel://user:secret@host:26379",
            "redis+cluster://user:secret@host/1",
            "redis+magic://user:secret@host/1",
        ] {
            let text = refusal(url);
            assert!(!text.contains("secret"), "{text}");
            assert!(text.contains("redis://[user:password@]host"), "{text}");
        }
    }

    #[tokio::test]
    async fn no_url_is_memory_and_a_good_one_is_not_connected_yet() {
        let memory = open(None, 1_000, Clock::held(0)).unwrap();
        memory.ping().await.unwrap();
        for url in [
            "redis://user:p%40ss@127.0.0.1:1/3",
            "rediss://localhost:1",
            "redis+sentinel://user:p%40ss@127.0.0.1:1,localhost:1/fleet",
            "redis+cluster://user:p%40ss@127.0.0.1:1,localhost:1",
        ] {
            let error = open(Some(url), 1_000, Clock::held(0)).unwrap().ping().await.unwrap_err();
            assert!(error.is_transient(), "{error}");
        }
    }

    #[test]
    fn broken_certificates_are_a_configuration_error() {
        let options = RedisOptions {
            root_certificates: Some(
                b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----".to_vec(),
            ),
            ..RedisOptions::default()
        };
        let opened = open_with(Some("rediss://host"), 1, Clock::held(0), options);
        assert!(matches!(opened, Err(StoreError::Configuration(_))));
    }
}
